//! CH-3 and control 8: two connections of one identity.

use super::*;

#[tokio::test]
async fn the_newest_wins_and_a_forger_without_password_displaces_nobody() {
    let rig = rig(|_| {});
    let mut old = rig.charger("CP-1").await;
    let forged = upgrade("/ocpp/CP-1", &basic("CP-1", b"wrong-password-1"));
    assert_eq!(status(&exchange(rig.addr(), [127, 0, 0, 9], forged.as_bytes()).await), "HTTP/1.1 401 Unauthorized");
    assert!(old.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
    let mut new = rig.charger("CP-1").await;
    assert_eq!(old.next().await, Err(Some(1008)));
    assert_eq!(rig.script.detached(1).await, CloseReason::Replaced);
    assert_eq!(rig.meters.now(r#"auth_failures_total{cause="wrong"}"#), 1);
    assert!(new.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
    assert_eq!(rig.handle.link(&"CP-1".parse().unwrap()).map(|l| l.generation()), Some(Generation(2)));
    assert_eq!(rig.handle.connected(), 1);
}

#[tokio::test]
async fn alternation_raises_the_alarm() {
    let rig = rig(|s| s.alternation_takeovers = 3);
    let mut last = Vec::new();
    for _ in 0..4 {
        last.push(rig.charger("CP-1").await);
    }
    rig.script.wait(|seen| matches!(seen, Seen::Alternating).then_some(())).await;
    assert_eq!(rig.meters.counts("alternations_total", 1).await, 1);
}

/// How an old socket dies.
#[derive(Debug, Clone, Copy)]
enum Death {
    Abort,
    Close,
    Late,
}

#[tokio::test]
async fn thirty_chargers_that_reconnect_while_their_old_sockets_die_are_all_served() {
    for death in [Death::Abort, Death::Close, Death::Late] {
        let rig = Arc::new(rig(|_| {}));
        let mut chargers = Vec::new();
        for n in 0..30 {
            chargers.push(rig.charger(&format!("CP-{n}")).await);
        }
        let mut tasks = Vec::new();
        for (n, mut old) in chargers.into_iter().enumerate() {
            let rig = rig.clone();
            tasks.push(tokio::spawn(async move {
                let kept = match death {
                    Death::Abort => {
                        // Zero linger: a reset.
                        old.0.get_ref().set_zero_linger().unwrap();
                        drop(old);
                        None
                    }
                    Death::Close => {
                        old.0.close(None).await.unwrap();
                        Some(old)
                    }
                    Death::Late => Some(old),
                };
                let mut new = rig.charger(&format!("CP-{n}")).await;
                assert!(new.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"), "{death:?} {n}");
                drop(kept);
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert!(new.ask(r#"[2,"2","Heartbeat",{}]"#).await.starts_with("[3,"), "{death:?} {n}");
                new
            }));
        }
        let mut served = Vec::new();
        for task in tasks {
            served.push(task.await.unwrap());
        }
        assert_eq!((served.len(), rig.handle.connected()), (30, 30), "{death:?}");
    }
}

#[tokio::test]
async fn what_an_old_socket_sends_after_the_takeover_reaches_nobody() {
    let rig = rig(|_| {});
    let mut old = rig.raw("CP-1").await;
    let mut new = rig.charger("CP-1").await;
    assert!(new.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
    assert_eq!(rig.script.detached(1).await, CloseReason::Replaced);
    let stop = r#"[2,"old","StopTransaction",{"transactionId":1,"meterStop":9,"timestamp":"2026-01-02T00:00:00Z"}]"#;
    for _ in 0..20 {
        // It may be reset while it writes.
        if old.write_all(&frame(0x81, stop.as_bytes())).await.is_err() {
            break;
        }
    }
    assert_eq!(close_code(old).await, Some(1008));
    assert_eq!(rig.meters.counts("takeovers_total", 1).await, 1);
    assert_eq!(rig.meters.counts(r#"closed_total{reason="replaced"}"#, 1).await, 1);
    assert!(new.ask(r#"[2,"2","Heartbeat",{}]"#).await.starts_with("[3,"));
    let seen = rig.script.seen.lock().unwrap();
    assert!(!seen.iter().any(|seen| matches!(seen, Seen::Call { id, .. } if id == "old")), "{seen:?}");
    assert_eq!(rig.handle.connected(), 1);
}
