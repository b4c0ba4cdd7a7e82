//! SIGTERM (RT-9).

use crate::rig::Rig;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_stop_closes_sockets_as_going_away_and_the_next_start_finds_everything() {
    let mut rig = Rig::start().await;
    let mut charger = rig.charger().await;
    let session_id = rig.started("it-start-1", 1).await;
    let (transaction, _) = charger.begin(1, 1000).await;
    let begun = Instant::now();
    rig.signal("TERM");
    assert_eq!(charger.closed().await, CloseCode::Away);
    let status = rig.ended().await;
    assert!(status.success(), "{status}\n{}", rig.log());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    rig.again().await;
    let mut charger = rig.charger().await;
    charger.stop(transaction, 1700).await;
    let ended = rig.session(&session_id, "it has ended", |session| session.status == "Ended").await;
    assert_eq!(ended.energy_wh, 700);
}

/// A connection to the operator's listener with a call half sent, so that a stop has something to wait for.
async fn half_a_call(rig: &Rig) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", rig.server.ports().operator)).await.unwrap();
    let token = rig.server.token().unwrap();
    let head = format!(
        "PUT /ops/v1/sites/site-late HTTP/1.1\r\nHost: it\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{{\"name\":"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The server has to have taken the connection before it stops to take any.
    tokio::time::sleep(Duration::from_millis(200)).await;
    socket
}

#[tokio::test]
async fn a_call_that_is_half_sent_at_a_stop_is_told_to_come_again() {
    let mut rig = Rig::start().await;
    let mut socket = half_a_call(&rig).await;
    rig.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    socket.write_all(b"\"Late\"}").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}\n{}", rig.log());
    assert!(rig.ended().await.success());
    rig.again().await;
    let sites = rig.partner().get("/sites").await.unwrap().unwrap();
    assert!(sites.to_string().contains("site-it") && !sites.to_string().contains("site-late"), "{sites}");
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut rig = Rig::start().await;
    let _socket = half_a_call(&rig).await;
    let begun = Instant::now();
    rig.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.signal("TERM");
    let status = rig.ended().await;
    assert_eq!(status.code(), Some(1), "{}", rig.log());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    rig.again().await;
    assert!(rig.partner().get("/chargers").await.unwrap().unwrap().to_string().contains(crate::rig::CHARGER));
}
