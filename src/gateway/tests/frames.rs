//! Controls 14 to 17: what a charger that is in may send.

use super::*;

const HEARTBEAT: &str = r#"[2,"1","Heartbeat",{}]"#;

async fn cut(rig: &Rig, bytes: &[u8]) -> (Option<u16>, CloseReason) {
    let mut stream = rig.raw("CP-1").await;
    // It may be cut off while it still writes.
    let _ = stream.write_all(bytes).await;
    let code = close_code(stream).await;
    let reason = rig
        .script
        .wait(|seen| match seen {
            Seen::Detached(_, reason) => Some(*reason),
            _ => None,
        })
        .await;
    (code, reason)
}

#[tokio::test]
async fn frames_that_break_a_limit_end_the_socket_with_the_right_code() {
    let too_big = [&[0x81, 0x80 | 127][..], &(2u64 << 20).to_be_bytes(), &[0; 4]].concat();
    let halves = [frame(0x01, &[b' '; 600_000]), frame(0x80, &[b' '; 600_000])].concat();
    for (name, bytes, code, reason) in [
        ("compressed", frame(0xc1, b"x"), 1002, CloseReason::Protocol),
        ("unmasked", b"\x81\x02hi".to_vec(), 1002, CloseReason::Protocol),
        ("stray continuation", frame(0x80, b"x"), 1002, CloseReason::Protocol),
        ("unknown opcode", frame(0x83, b"x"), 1002, CloseReason::Protocol),
        ("too big", too_big, 1009, CloseReason::TooBig),
        ("too big in two", halves, 1009, CloseReason::TooBig),
        ("empty fragments", [frame(0x01, b""), frame(0, b"").repeat(10_000)].concat(), 1008, CloseReason::Fragments),
        ("pings", frame(0x89, b"x").repeat(1000), 1008, CloseReason::ControlFlood),
        ("not UTF-8", frame(0x81, b"\xff\xfe"), 1007, CloseReason::BadUtf8),
    ] {
        let rig = rig(|_| {});
        assert_eq!(cut(&rig, &bytes).await, (Some(code), reason), "{name}");
        let series = match reason {
            CloseReason::Protocol => r#"closed_total{reason="protocol"}"#,
            CloseReason::TooBig => r#"closed_total{reason="too_big"}"#,
            CloseReason::Fragments => r#"closed_total{reason="fragments"}"#,
            CloseReason::ControlFlood => r#"closed_total{reason="control_flood"}"#,
            CloseReason::BadUtf8 => r#"closed_total{reason="bad_utf8"}"#,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(rig.meters.counts(series, 1).await, 1, "{name}");
        assert!(rig.charger("CP-2").await.ask(HEARTBEAT).await.starts_with("[3,"), "{name}: others are served");
    }
}

#[tokio::test]
async fn garbage_alone_closes_no_socket() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    for text in ["", "hello", "[", "{}", r#"[9,"x"]"#, r#"[3,"nobody",{}]"#, r#"[4,"nobody","X","",{}]"#, "[2,7]"] {
        charger.send(text).await;
    }
    charger.0.send(Message::Binary(vec![0xff; 100].into())).await.unwrap();
    charger.send(&"[".repeat(100_000)).await;
    charger.send(&format!("[{}]", "9".repeat(500_000))).await;
    assert!(charger.ask(HEARTBEAT).await.starts_with(r#"[3,"1","#));
    // "", hello, [, {}, and a long one.
    assert_eq!(rig.meters.counts(r#"ignored_total{kind="not_a_frame"}"#, 5).await, 5);
    assert_eq!(rig.meters.counts(r#"ignored_total{kind="unknown_answer"}"#, 2).await, 2);
    assert_eq!(rig.meters.counts(r#"ignored_total{kind="binary"}"#, 1).await, 1);
}

#[tokio::test]
async fn every_kind_of_bad_call_gets_its_code_and_the_socket_lives_on() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    let deep = format!(r#"{{"vendorId":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let status = r#"{"connectorId":1,"errorCode":"NoError","status":"Available""#;
    for (action, payload, code) in [
        ("Teleport", "{}".to_owned(), "NotImplemented"),
        ("Reset", "{}".to_owned(), "NotSupported"),
        ("Authorize", "{}".to_owned(), "OccurenceConstraintViolation"),
        ("Authorize", r#"{"idTag":7}"#.to_owned(), "TypeConstraintViolation"),
        ("Authorize", r#"{"idTag":"123456789012345678901"}"#.to_owned(), "PropertyConstraintViolation"),
        ("Authorize", r#"{"idTag":"a","x":1}"#.to_owned(), "FormationViolation"),
        ("Authorize", r#"{"idTag":"a","idTag":"b"}"#.to_owned(), "FormationViolation"),
        ("Authorize", r#"{"idTag":"\ud800"}"#.to_owned(), "FormationViolation"),
        ("Authorize", r#"{"idTag":}"#.to_owned(), "FormationViolation"),
        ("Authorize", "[]".to_owned(), "FormationViolation"),
        ("Heartbeat", r#"{"x":1}"#.to_owned(), "FormationViolation"),
        ("DataTransfer", deep, "FormationViolation"),
        ("StatusNotification", format!(r#"{status},"timestamp":"now"}}"#), "PropertyConstraintViolation"),
    ] {
        let answer = charger.ask(&format!(r#"[2,"7","{action}",{payload}]"#)).await;
        assert!(answer.starts_with(&format!(r#"[4,"7","{code}","#)), "{action} {payload}: {answer}");
    }
    assert!(charger.ask(HEARTBEAT).await.starts_with("[3,"));
    assert!(rig.script.calls().is_empty(), "none of them reached the charger's actor");
    assert_eq!(rig.meters.counts(r#"call_errors_total{code="FormationViolation"}"#, 7).await, 7);
}

#[tokio::test]
async fn a_large_message_is_taken_within_the_budget_of_the_process() {
    let rig = rig(|s| s.large_message_bytes_total = 1_500_000);
    rig.script.gate.forget_permits(1_000_000);
    let reading = r#"{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1"}]}"#;
    let list = vec![reading; 12_000].join(",");
    let stop = format!(
        r#"[2,"big","StopTransaction",{{"meterStop":5,"timestamp":"2026-01-01T00:00:00Z","transactionId":1,"transactionData":[{list}]}}]"#
    );
    assert!(stop.len() > 800_000 && stop.len() < 1 << 20);
    let mut first = rig.charger("CP-1").await;
    first.send(&stop).await;
    let count = |seen: &Seen| match seen {
        Seen::Call { request, .. } => match &**request {
            Request::StopTransaction(stop) => Some(stop.transaction_data.len()),
            _ => None,
        },
        _ => None,
    };
    assert_eq!(rig.script.wait(count).await, 12_000);
    let mut second = rig.charger("CP-2").await;
    second.send(&stop).await;
    assert_eq!(second.next().await, Err(Some(1013)), "the budget is used up");
    rig.meters.counts(r#"closed_total{reason="no_budget"}"#, 1).await;
    rig.script.gate.add_permits(1);
    assert_eq!(first.next().await, Ok(r#"[3,"big",{}]"#.into()));
    assert!(first.ask(HEARTBEAT).await.starts_with("[3,"));
    assert_eq!(rig.handle.budget_left(), 1_500_000, "given back");
    rig.script.memory_max.store(10_000_000, Ordering::Relaxed);
    let mut third = rig.charger("CP-3").await;
    third.send(&stop).await;
    assert_eq!(third.next().await, Err(Some(1013)), "a twentieth of the memory is no more");
    rig.script.memory_max.store(u64::MAX, Ordering::Relaxed);
    let mut wider = (*rig.settings.load_full()).clone();
    wider.large_message_bytes_total = 2_000_000;
    rig.settings.store(Arc::new(wider));
    assert_eq!(rig.handle.budget_left(), 2_000_000, "it changes at run time");
}

#[tokio::test]
async fn a_charger_that_floods_is_read_slowly_and_loses_nothing() {
    let rig = rig(|s| {
        s.messages_per_second = 100;
        s.messages_burst = 10;
    });
    let mut charger = rig.charger("CP-1").await;
    let began = std::time::Instant::now();
    for n in 0..40 {
        charger.send(&format!(r#"[2,"{n}","Heartbeat",{{}}]"#)).await;
    }
    for n in 0..40 {
        assert!(charger.next().await.unwrap().starts_with(&format!(r#"[3,"{n}","#)));
    }
    assert!(began.elapsed() > Duration::from_millis(200), "{:?}", began.elapsed());
    rig.meters.counts("throttled_total", 1).await;
}

#[tokio::test]
async fn a_charger_that_reads_nothing_is_cut_off() {
    let rig = rig(|s| {
        s.write_timeout = Duration::from_millis(200);
        s.messages_per_second = 1_000_000;
        s.messages_burst = 1_000_000;
    });
    *rig.script.outcome.lock().unwrap() = CallOutcome::Result(format!("{{\"data\":\"{}\"}}", "x".repeat(100_000)));
    let mut stream = rig.raw("CP-1").await;
    let call = frame(0x81, br#"[2,"1","DataTransfer",{"vendorId":"a"}]"#);
    let flood = async {
        loop {
            stream.write_all(&call).await?;
        }
        #[allow(unreachable_code, reason = "names the error type")]
        Ok::<_, std::io::Error>(())
    };
    assert!(tokio::time::timeout(PATIENCE, flood).await.expect("it must be cut off").is_err());
    assert_eq!(rig.script.detached(1).await, CloseReason::Stuck);
    rig.meters.counts(r#"closed_total{reason="stuck"}"#, 1).await;
}

#[tokio::test]
async fn pings_are_answered_and_silence_ends_the_socket() {
    let rig = rig(|s| s.ping_interval = Duration::from_millis(300));
    let mut stream = rig.raw("CP-1").await;
    stream.write_all(&frame(0x89, b"abc")).await.unwrap();
    let mut pong = [0; 5];
    stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong[..], b"\x8a\x03abc"[..]);
    let mut ping = [0; 2];
    stream.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping, [0x89, 0]);
    // Pongs alone keep it alive for more than two intervals.
    for _ in 0..4 {
        stream.write_all(&frame(0x8a, b"")).await.unwrap();
        stream.read_exact(&mut ping).await.unwrap();
    }
    assert_eq!(rig.handle.connected(), 1);
    assert_eq!(close_code(stream).await, Some(1008));
    assert_eq!(rig.script.detached(1).await, CloseReason::Silent);
}

#[tokio::test]
async fn a_slow_message_gets_through_and_a_stalled_one_does_not_hold_the_budget() {
    let rig = rig(|s| s.ping_interval = Duration::from_millis(400));
    let text = format!(r#"[2,"1","DataTransfer",{{"vendorId":"a","data":"{}"}}]"#, " ".repeat(150_000));
    let bytes = frame(0x81, text.as_bytes());
    let mut slow = rig.raw("CP-1").await;
    for chunk in bytes.chunks(bytes.len() / 40) {
        slow.write_all(chunk).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let mut sniffed = [0; 256];
    let answered = async {
        loop {
            let n = slow.read(&mut sniffed).await.unwrap();
            assert!(n > 0, "cut off");
            if sniffed[..n].windows(2).any(|w| w == b"[4") {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
    let mut stalled = rig.raw("CP-2").await;
    let total = rig.handle.budget_left();
    stalled.write_all(&bytes[..100_000]).await.unwrap();
    let closing = close_code(stalled).await;
    assert_eq!((closing, rig.script.detached(2).await), (Some(1008), CloseReason::Silent));
    rig.meters.counts(r#"closed_total{reason="silent"}"#, 1).await;
    let given_back = async {
        while rig.handle.budget_left() != total {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, given_back).await.unwrap();
}
