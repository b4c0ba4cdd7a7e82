//! CH-5: storms.

use super::meters::on_two_threads;
use super::*;

#[test]
fn two_thousand_chargers_that_reconnect_at_once_are_all_served_in_the_end() {
    on_two_threads(async {
        let rig = Arc::new(rig(|s| {
            s.handshakes_per_address = 512;
            s.handshakes_per_second = 2000;
        }));
        let mut tasks = Vec::new();
        for n in 0..2000 {
            let rig = rig.clone();
            tasks.push(tokio::spawn(async move {
                let id = format!("CP-{n}");
                let request = upgrade(&format!("/ocpp/{id}"), &basic(&id, PASSWORD));
                let mut refused = 0;
                loop {
                    let mut stream = dial(rig.addr(), [127, 0, 2, (n % 200) as u8 + 1]).await;
                    // A refused one may be reset while it writes.
                    let head = match stream.write_all(request.as_bytes()).await {
                        Ok(()) => response_head(&mut stream).await,
                        Err(_) => String::new(),
                    };
                    if head.starts_with("HTTP/1.1 101 ") {
                        return (stream, refused);
                    }
                    assert!(head.is_empty() || head.starts_with("HTTP/1.1 503 "), "{head}");
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(50 + (n * 7 + refused * 31) % 200)).await;
                }
            }));
        }
        let mut sockets = Vec::new();
        for task in tasks {
            sockets.push(tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap());
        }
        let settled = async {
            while (rig.handle.connected(), rig.handle.present()) != (2000, (0, 2000)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.unwrap();
        // All die in one instant; one more charger is served meanwhile.
        drop(sockets);
        let mut charger = rig.charger("CP-2500").await;
        let began = std::time::Instant::now();
        assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let gone = async {
            while rig.handle.connected() > 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap();
    });
}

#[tokio::test]
async fn while_those_who_are_in_are_served_late_only_a_few_more_are_let_in() {
    let rig = rig(|s| {
        s.late_max = Duration::from_millis(50);
        s.handshakes_per_second_busy = 1;
    });
    let _first = rig.charger("CP-1").await;
    rig.script.late_ms.store(51, Ordering::Relaxed);
    // CH-5: nobody waits for ever, so the first one comes in all the same.
    let _second = rig.charger("CP-2").await;
    let request = upgrade("/ocpp/CP-3", &basic("CP-3", PASSWORD));
    let answer = exchange(rig.addr(), [127, 0, 0, 1], request.as_bytes()).await;
    assert_eq!(status(&answer), "HTTP/1.1 503 Service Unavailable");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("Retry-After: "), "{answer}");
    assert_eq!(rig.meters.now(r#"refused_total{limit="busy"}"#), 1);
    rig.script.late_ms.store(50, Ordering::Relaxed);
    let _third = rig.charger("CP-3").await;
}

#[test]
fn a_million_random_ids_would_leave_no_state_as_five_thousand_do_not() {
    on_two_threads(async {
        let rig = rig(|s| {
            s.auth_failures_per_address = 100_000;
            s.auth_failures_total = 1_000_000;
            s.handshakes_per_address = 512;
        });
        for n in 0..500u32 {
            let requests = (0..10).map(|m| {
                let id = format!("X{}", n * 10 + m);
                let request = upgrade(&format!("/ocpp/{id}"), &basic(&id, PASSWORD));
                let to = rig.addr();
                async move { status(&exchange(to, [127, 0, 3, 1], request.as_bytes()).await) }
            });
            for answer in futures_util::future::join_all(requests).await {
                assert_eq!(answer, "HTTP/1.1 401 Unauthorized");
            }
        }
        rig.empties().await;
        assert_eq!(rig.handle.connected(), 0);
        assert_eq!(rig.meters.now(r#"handshakes_total{outcome="unauthorized"}"#), 5000);
        assert_eq!(rig.meters.now(r#"auth_failures_total{cause="wrong"}"#), 5000);
        assert!(rig.script.seen.lock().unwrap().is_empty());
    });
}

#[tokio::test]
async fn beyond_the_rate_and_the_number_at_once_strangers_are_told_to_come_again() {
    let request = upgrade("/ocpp/CP-1", &basic("CP-1", PASSWORD));
    let fast = rig(|s| s.handshakes_per_second = 1);
    // Two within one of the limiter's seconds, however slow this machine is.
    for _ in 0..20 {
        let answer = exchange_or_join(&fast, &request).await;
        if answer.starts_with("HTTP/1.1 503 ") {
            assert!(answer.to_ascii_lowercase().contains("retry-after: "), "{answer}");
            break;
        }
    }
    fast.meters.counts(r#"refused_total{limit="rate"}"#, 1).await;
    let narrow = rig(|s| s.handshakes_in_flight = 2);
    let idle = [dial(narrow.addr(), [127, 0, 1, 1]).await, dial(narrow.addr(), [127, 0, 1, 2]).await];
    let answer = exchange_or_join(&narrow, &request).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(narrow.meters.now(r#"refused_total{limit="in_flight"}"#), 1);
    drop(idle);
    narrow.meters.counts(r#"handshakes_total{outcome="gone"}"#, 2).await;
    narrow.charger("CP-1").await;
}

/// The head of the answer to a handshake.
async fn exchange_or_join(rig: &Rig, request: &str) -> String {
    let mut stream = dial(rig.addr(), [127, 0, 0, 1]).await;
    // A refused one may be reset while it writes.
    let _ = stream.write_all(request.as_bytes()).await;
    response_head(&mut stream).await
}
