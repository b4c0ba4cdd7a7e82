//! CH-2: calls in both directions.

use super::*;

/// No call of a test waits so long.
const TIMEOUT: Duration = Duration::from_secs(30);
use crate::protocol::ocpp16::FlagKind;
use crate::protocol::ocppj::Repeat;

const BOOT: &str = r#"{"chargePointVendor":"v","chargePointModel":"m"}"#;

async fn answered(rig: &Rig, id: &str, late: bool) -> Outcome {
    let fits = |seen: &Seen| match seen {
        Seen::Answered(answer) if &*answer.id == id && answer.late == late => Some(answer.outcome.clone()),
        _ => None,
    };
    rig.script.wait(fits).await
}

#[tokio::test]
async fn calls_are_answered_in_order_though_the_charger_does_not_wait() {
    let rig = rig(|_| {});
    rig.script.gate.forget_permits(1_000_000);
    let mut charger = rig.charger("CP-1").await;
    for n in 0..5 {
        charger.send(&format!(r#"[2,"{n}","BootNotification",{BOOT}]"#)).await;
    }
    charger.send(r#"[2,"bad","Authorize",{}]"#).await;
    charger.send(r#"[2,"hb","Heartbeat",{}]"#).await;
    rig.script.wait(|s| matches!(s, Seen::Call { id, .. } if id == "0").then_some(())).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(rig.script.calls(), ["0"], "one at a time");
    rig.script.gate.add_permits(10);
    for n in 0..5 {
        assert_eq!(charger.next().await.unwrap(), format!(r#"[3,"{n}",{{}}]"#));
    }
    assert!(charger.next().await.unwrap().starts_with(r#"[4,"bad","OccurenceConstraintViolation","#));
    assert_eq!(charger.next().await.unwrap(), r#"[3,"hb",{}]"#, "in its turn, by the actor");
}

#[tokio::test]
async fn the_heartbeat_of_a_charger_that_is_not_accepted_goes_to_its_actor() {
    let rig = rig(|_| {});
    rig.script.accepted.store(false, Ordering::Relaxed);
    let mut charger = rig.charger("CP-1").await;
    assert_eq!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await, r#"[3,"1",{}]"#);
    assert_eq!(rig.script.calls(), ["1"]);
}

#[tokio::test]
async fn a_transaction_message_that_cannot_be_made_durable_gets_no_answer() {
    let rig = rig(|_| {});
    *rig.script.outcome.lock().unwrap() = CallOutcome::NoAnswer;
    let mut charger = rig.charger("CP-1").await;
    charger
        .send(r#"[2,"1","StopTransaction",{"meterStop":1,"timestamp":"2026-01-01T00:00:00Z","transactionId":1}]"#)
        .await;
    charger.send(r#"[2,"2","Heartbeat",{}]"#).await;
    assert_eq!(charger.next().await, Err(Some(1013)), "neither result nor error");
    assert_eq!(rig.script.detached(1).await, CloseReason::NotDurable);
}

#[tokio::test]
async fn a_broken_transaction_message_reaches_the_actor_as_bytes() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    let text = r#"[2,"1","StartTransaction",{"connectorId":1,"#;
    assert_eq!(charger.ask(text).await, r#"[3,"1",{}]"#);
    let fits = |seen: &Seen| match seen {
        Seen::Call { request, .. } => match &**request {
            Request::Unreadable(u) => Some((u.action, u.bytes.clone())),
            _ => None,
        },
        _ => None,
    };
    assert_eq!(rig.script.wait(fits).await, ("StartTransaction", text.as_bytes().to_vec()));
}

#[tokio::test]
async fn repeats_and_reused_ids_are_told_apart() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    for tag in ["a", "a", "b"] {
        charger.ask(&format!(r#"[2,"1","Authorize",{{"idTag":"{tag}"}}]"#)).await;
    }
    let seen = rig.script.seen.lock().unwrap();
    let repeats: Vec<Repeat> =
        seen.iter().filter_map(|s| if let Seen::Call { repeat, .. } = s { Some(*repeat) } else { None }).collect();
    assert_eq!(repeats, [Repeat::New, Repeat::Same, Repeat::Reused]);
}

#[tokio::test]
async fn our_calls_go_out_one_at_a_time_and_not_before_the_first_answer() {
    let rig = rig(|s| s.outgoing_queue = 2);
    let mut charger = rig.charger("CP-1").await;
    let link = rig.script.link(1).await;
    link.call("a", "Reset", r#"{"type":"Soft"}"#, TIMEOUT).unwrap();
    link.call("b", "ClearCache", "{}", TIMEOUT).unwrap();
    assert_eq!(link.call("c", "ClearCache", "{}", TIMEOUT), Err(super::super::LinkError::Full));
    assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"), "the answer comes first");
    assert_eq!(charger.next().await.unwrap(), r#"[2,"a","Reset",{"type":"Soft"}]"#);
    charger.send(r#"[3,"b",{"status":"Accepted"}]"#).await;
    assert!(charger.ask(r#"[2,"2","Heartbeat",{}]"#).await.starts_with("[3,"), "b was not asked yet");
    charger.send(r#"[3,"a",{"status":"Accepted"}]"#).await;
    assert_eq!(charger.next().await.unwrap(), r#"[2,"b","ClearCache",{}]"#);
    charger.send(r#"[4,"b","NotSupported","no",{}]"#).await;
    assert_eq!(answered(&rig, "a", false).await, Outcome::Result(r#"{"status":"Accepted"}"#.into()));
    let error = Outcome::Error { code: "NotSupported".into(), description: "no".into() };
    assert_eq!(answered(&rig, "b", false).await, error);
}

#[tokio::test]
async fn a_silent_charger_is_called_after_the_grace() {
    let rig = rig(|s| s.call_grace = Duration::from_millis(100));
    let mut charger = rig.charger("CP-1").await;
    rig.script.link(1).await.call("a", "ClearCache", "{}", TIMEOUT).unwrap();
    let began = std::time::Instant::now();
    assert_eq!(charger.next().await.unwrap(), r#"[2,"a","ClearCache",{}]"#);
    assert!(began.elapsed() > Duration::from_millis(50));
}

#[tokio::test]
async fn a_call_times_out_and_its_late_answer_is_still_told() {
    let rig = rig(|s| s.call_grace = Duration::ZERO);
    let mut charger = rig.charger("CP-1").await;
    let link = rig.script.link(1).await;
    link.call("a", "ClearCache", "{}", Duration::from_millis(100)).unwrap();
    link.call("b", "ClearCache", "{}", TIMEOUT).unwrap();
    charger.next().await.unwrap();
    assert_eq!(answered(&rig, "a", false).await, Outcome::TimedOut);
    assert_eq!(charger.next().await.unwrap(), r#"[2,"b","ClearCache",{}]"#);
    charger.send(r#"[3,"a",{"status":"Accepted"}]"#).await;
    assert_eq!(answered(&rig, "a", true).await, Outcome::Result(r#"{"status":"Accepted"}"#.into()));
}

#[tokio::test]
async fn every_queued_call_gets_its_fate_when_the_socket_ends() {
    let rig = rig(|s| s.call_grace = Duration::ZERO);
    let mut charger = rig.charger("CP-1").await;
    let link = rig.script.link(1).await;
    link.call("sent", "ClearCache", "{}", TIMEOUT).unwrap();
    charger.next().await.unwrap();
    link.call("queued", "ClearCache", "{}", TIMEOUT).unwrap();
    drop(charger);
    assert_eq!(rig.script.detached(1).await, CloseReason::PeerGone);
    assert_eq!(answered(&rig, "sent", false).await, Outcome::Uncertain);
    assert_eq!(answered(&rig, "queued", false).await, Outcome::NotSent);
    assert!(link.is_closed());
    assert_eq!(link.call("more", "ClearCache", "{}", TIMEOUT), Err(super::super::LinkError::Closed));
    assert!(matches!(rig.script.seen.lock().unwrap().last(), Some(Seen::Detached(..))), "detached comes last");
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_in_flight_and_says_why() {
    for (restart, code) in [(false, 1001), (true, 1012)] {
        let rig = rig(|_| {});
        rig.script.gate.forget_permits(1_000_000);
        let mut charger = rig.charger("CP-1").await;
        charger.send(&format!(r#"[2,"1","BootNotification",{BOOT}]"#)).await;
        rig.script.wait(|s| matches!(s, Seen::Call { .. }).then_some(())).await;
        let handle = rig.handle.clone();
        let closing = tokio::spawn(async move { handle.close_all(restart, PATIENCE).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        rig.script.gate.add_permits(1);
        assert_eq!(charger.next().await, Ok(r#"[3,"1",{}]"#.into()));
        assert_eq!(charger.next().await, Err(Some(code)));
        closing.await.unwrap();
        assert_eq!(rig.handle.connected(), 0);
        assert!(TcpStream::connect(rig.addr()).await.is_err(), "nothing listens any more");
    }
}

#[tokio::test]
async fn hostile_texts_are_data() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    for text in ["a\\r\\nb", "\\u001b[31m", "{{7*7}}", "<script>", "../../etc", "a\\u0000b", "=1+2"] {
        let payload = format!(r#"{{"chargePointVendor":"{text}","chargePointModel":"m"}}"#);
        assert_eq!(charger.ask(&format!(r#"[2,"1","BootNotification",{payload}]"#)).await, r#"[3,"1",{}]"#);
        let answer = charger.ask(&format!(r#"[2,"1","{text}",{{}}]"#)).await;
        assert!(answer.starts_with(r#"[4,"1","NotImplemented","#), "{answer}");
        assert!(!answer.contains(['\r', '\n', '\u{1b}', '\0']), "{answer}");
    }
}

#[tokio::test]
async fn a_message_id_that_is_too_long_is_echoed_and_flagged() {
    let id = "x".repeat(40);
    let payload = r#"{"idTag":"a"}"#;
    let decoded = crate::protocol::ocpp16::decode(&id, "Authorize", payload).unwrap();
    assert_eq!(decoded.flags[0].kind, FlagKind::LongMessageId);
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    assert_eq!(charger.ask(&format!(r#"[2,"{id}","Authorize",{payload}]"#)).await, format!(r#"[3,"{id}",{{}}]"#));
}

#[tokio::test]
async fn a_panic_behind_the_port_ends_that_socket_alone_and_is_told() {
    let rig = rig(|_| {});
    let mut first = rig.charger("CP-1").await;
    let mut second = rig.charger("CP-2").await;
    first.send(r#"[2,"panic","Authorize",{"idTag":"a"}]"#).await;
    assert_eq!(first.next().await, Err(None));
    assert_eq!(rig.script.detached(1).await, CloseReason::Aborted);
    assert!(second.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
    assert_eq!((rig.handle.connected(), rig.handle.present()), (1, (0, 1)));
    rig.charger("CP-1").await;
}

#[tokio::test]
async fn every_frame_is_told_to_the_frame_log_and_heartbeats_as_a_run() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    for n in 0..3 {
        charger.ask(&format!(r#"[2,"{n}","Heartbeat",{{}}]"#)).await;
    }
    charger.ask(r#"[2,"a","Authorize",{"idTag":"A"}]"#).await;
    charger.ask(r#"[2,"b","Nonsense",{}]"#).await;
    let link = rig.script.link(1).await;
    link.call("c", "ClearCache", "{}", TIMEOUT).unwrap();
    assert_eq!(charger.next().await.unwrap(), r#"[2,"c","ClearCache",{}]"#);
    charger.send(r#"[3,"c",{"status":"Accepted"}]"#).await;
    charger.ask(r#"[2,"d","Heartbeat",{}]"#).await;
    drop(charger);
    rig.script.detached(1).await;
    let frames = rig.script.frames.lock().unwrap()[&"CP-1".parse::<ChargerId>().unwrap()].clone();
    let begins = [
        "connected",
        "3 heartbeats",
        r#"> [2,"a","Authorize",{"idTag":"A"}]"#,
        r#"< [3,"a",{}]"#,
        r#"> [2,"b","Nonsense",{}]"#,
        r#"< [4,"b","NotImplemented","#,
        r#"< [2,"c","ClearCache",{}]"#,
        r#"> [3,"c",{"status":"Accepted"}]"#,
        "1 heartbeats",
        "closed: peer_gone",
    ];
    assert_eq!(frames.len(), begins.len(), "{frames:#?}");
    for (frame, begin) in frames.iter().zip(begins) {
        assert!(frame.starts_with(begin), "{frame} should begin with {begin}");
    }
}
