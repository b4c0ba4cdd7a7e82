//! The whole charger against a small server of our own, over real sockets.

use super::*;
use crate::history::{ChargerRecord, FactKind, History, Stamped};
use crate::stats::Stats;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// A server that gives out transaction ids and can be told to close its sockets.
#[derive(Default)]
struct FakeCsms {
    calls: Vec<Value>,
    authorization: Vec<String>,
    close_after_start: bool,
}

#[allow(clippy::result_large_err, reason = "the shape that the handshake callback has")]
async fn serve(listener: TcpListener, csms: Arc<Mutex<FakeCsms>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let csms = csms.clone();
        tokio::spawn(async move {
            let seen = csms.clone();
            let check = move |request: &Request, mut response: Response| {
                let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
                assert_eq!(header("sec-websocket-protocol"), "ocpp1.6");
                seen.lock().unwrap().authorization.push(format!("{} {}", request.uri(), header("authorization")));
                response.headers_mut().insert("sec-websocket-protocol", "ocpp1.6".parse().unwrap());
                Ok(response)
            };
            let mut socket = tokio_tungstenite::accept_hdr_async(stream, check).await.unwrap();
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame[0] != 2 {
                    continue;
                }
                let close = {
                    let mut csms = csms.lock().unwrap();
                    csms.calls.push(frame.clone());
                    frame[2] == "StartTransaction" && std::mem::take(&mut csms.close_after_start)
                };
                if close {
                    return; // the answer never comes
                }
                let payload = match frame[2].as_str().unwrap() {
                    "BootNotification" => json!({"status": "Accepted", "interval": 300}),
                    "StartTransaction" => json!({"transactionId": 42, "idTagInfo": {"status": "Accepted"}}),
                    _ => json!({"idTagInfo": {"status": "Accepted"}}),
                };
                socket.send(Message::text(json!([3, frame[1], payload]).to_string())).await.unwrap();
            }
        });
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_whole_charger_charges_over_a_socket_and_survives_a_lost_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
    let csms = Arc::new(Mutex::new(FakeCsms { close_after_start: true, ..FakeCsms::default() }));
    let server = tokio::spawn(serve(listener, csms.clone()));
    let mut profile = Profile::towards(&url);
    profile.driver.plugs_in_after = Some(Duration::ZERO);
    profile.reconnect = (Duration::from_millis(10), Duration::from_millis(50));
    profile.meter_interval = Duration::from_millis(200);
    let around = Surroundings { history: History::memory(), stats: Arc::new(Stats::default()), store: None };
    let spec = ChargerSpec::normal("CP-1", Some("secret".into()), 1, 1);
    let charger = spawn(spec, Arc::new(profile), around.clone());
    eventually("boot", || crate::stats::get(&around.stats.booted) == 1).await;
    assert!(charger.at_charger(AtCharger::Card { connector: 1, id_tag: "CARD".into() }));
    eventually("a transaction", || charger.view().connectors[0].transaction_id == Some(42)).await;
    let meters = || csms.lock().unwrap().calls.iter().filter(|c| c[2] == "MeterValues").count();
    eventually("meter values", || meters() >= 2).await;
    charger.at_charger(AtCharger::StopButton { connector: 1 });
    eventually("an empty queue", || charger.view().queued == 0 && charger.view().connectors[0].local.is_none()).await;
    charger.shut_down().await;
    server.abort();

    let csms = csms.lock().unwrap();
    // "CP-1:secret"
    assert_eq!(csms.authorization[0], "/ocpp/CP-1 Basic Q1AtMTpzZWNyZXQ=");
    let starts: Vec<_> = csms.calls.iter().filter(|c| c[2] == "StartTransaction").collect();
    assert_eq!(starts.len(), 2, "sent again after the answer was lost");
    assert_eq!(starts[0], starts[1], "the very same frame");
    let boots = csms.calls.iter().filter(|c| c[2] == "BootNotification").count();
    assert_eq!(boots, 1, "a reconnect is no reboot");
    let records: Vec<Stamped<ChargerRecord>> = around.history.records();
    let acked = |kind| records.iter().any(|r| matches!(&r.it, ChargerRecord::Acked { kind: k, .. } if *k == kind));
    assert!(acked(FactKind::Start) && acked(FactKind::Meter) && acked(FactKind::Stop));
    let last = ChargerRecord::Final { charger: "CP-1".into(), running: vec![], queued: 0 };
    assert_eq!(records.last().unwrap().it, last);
}

#[tokio::test]
async fn who_is_dropped_again_while_he_waits_comes_back_no_later_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ocpp", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, Arc::new(Mutex::new(FakeCsms::default()))));
    let mut profile = Profile::towards(&url);
    profile.reconnect = (Duration::from_millis(200), Duration::from_secs(3_600));
    let around = Surroundings { history: History::memory(), stats: Arc::new(Stats::default()), store: None };
    let charger = spawn(ChargerSpec::normal("CP-1", Some("secret".into()), 1, 1), Arc::new(profile), around.clone());
    let connections = || crate::stats::get(&around.stats.connections);
    eventually("a first connection", || connections() == 1).await;
    for _ in 0..16 {
        while !charger.at_charger(AtCharger::Drop { offline_ms: 0 }) {
            tokio::task::yield_now().await; // its mailbox is full
        }
    }
    // Within twice the least pause; sixteen drops that counted would be about an hour.
    eventually("a second connection", || connections() == 2).await;
    charger.shut_down().await;
    server.abort();
}
