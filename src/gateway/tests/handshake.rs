//! Controls 1 to 7, 13 and 18: who gets in, and what strangers are told.

use super::*;
use crate::telemetry::heard::Heard;

const HOME: [u8; 4] = [127, 0, 0, 1];

#[tokio::test]
async fn a_charger_with_its_password_gets_in_and_leaves_no_permit_behind() {
    let rig = rig(|_| {});
    let mut charger = rig.charger("CP-1").await;
    assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with(r#"[3,"1",{"currentTime":""#));
    assert_eq!((rig.handle.present(), rig.handle.connected()), ((0, 1), 1));
    let link = rig.script.link(1).await;
    assert_eq!((link.charger().as_str(), link.subprotocol()), ("CP-1", "ocpp1.6"));
    drop(charger);
    assert_eq!(rig.script.detached(1).await, CloseReason::PeerGone);
}

#[tokio::test]
async fn known_and_unknown_ids_get_the_same_bytes() {
    let rig = rig(|_| {});
    let try_in = |path: &str, login: &str| {
        let request = upgrade(path, login);
        let to = rig.addr();
        async move { exchange(to, HOME, request.as_bytes()).await }
    };
    let reference = try_in("/ocpp/NOBODY", &basic("NOBODY", PASSWORD)).await;
    assert_eq!(status(&reference), "HTTP/1.1 401 Unauthorized");
    for (path, login) in [
        ("/ocpp/CP-1", basic("CP-1", b"wrong-password-1")),
        ("/ocpp/CP-1", basic("CP-2", PASSWORD)),
        ("/ocpp/CP-1", basic("cp-1", PASSWORD)),
        ("/ocpp/cp-1", basic("cp-1", PASSWORD)),
        ("/ocpp/CP-1", basic("", PASSWORD)),
        ("/ocpp/CP-1", String::new()),
        ("/ocpp/NOBODY", String::new()),
        ("/ocpp/OPEN", "Authorization: Basic !!!\r\n".into()),
        ("/ocpp/CP-1", "Authorization: Bearer x\r\n".into()),
    ] {
        assert_eq!(try_in(path, &login).await, reference, "{path} {login}");
    }
    assert_eq!(rig.meters.now(r#"handshakes_total{outcome="unauthorized"}"#), 10);
    assert_eq!(rig.meters.now(r#"auth_failures_total{cause="wrong"}"#), 10);
    assert_eq!(rig.handle.connected(), 0);
    assert!(rig.script.seen.lock().unwrap().is_empty(), "no state for strangers");
}

#[tokio::test]
async fn look_alike_paths_are_not_found() {
    let rig = rig(|_| {});
    for path in ["/ocpp/CP-1/", "/ocpp/CP-1%2e", "/OCPP/CP-1", "/ocpp/%D0%A1P-1", "/ocpp/../CP-1", "/ocpp/CP-1?a"] {
        let answer = exchange(rig.addr(), HOME, upgrade(path, &basic("CP-1", PASSWORD)).as_bytes()).await;
        assert_eq!(status(&answer), "HTTP/1.1 404 Not Found", "{path}");
    }
}

#[tokio::test]
async fn an_open_charger_needs_no_login() {
    let rig = rig(|_| {});
    let mut stream = dial(rig.addr(), HOME).await;
    stream.write_all(upgrade("/ocpp/OPEN", "").as_bytes()).await.unwrap();
    assert!(response_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn without_a_common_sub_protocol_the_socket_closes_at_once() {
    let rig = rig(|_| {});
    for offered in ["", "Sec-WebSocket-Protocol: ocpp2.0.1\r\n"] {
        let request = upgrade("/ocpp/CP-1", &basic("CP-1", PASSWORD));
        let request = request.replace("Sec-WebSocket-Protocol: ocpp1.6\r\n", offered);
        let mut stream = dial(rig.addr(), HOME).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = response_head(&mut stream).await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-protocol"), "{head}");
        assert_eq!(close_code(stream).await, Some(1002));
    }
    assert!(rig.script.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn guesses_are_barred_and_the_charger_still_comes_in_from_its_address() {
    let rig = rig(|_| {});
    drop(rig.charger("CP-1").await);
    let guess = upgrade("/ocpp/CP-1", &basic("CP-1", b"wrong-password-1"));
    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(status(&exchange(rig.addr(), [127, 0, 0, 66], guess.as_bytes()).await));
    }
    let tried = answers.iter().filter(|a| a.contains(" 401 ")).count();
    assert!((10..=12).contains(&tried), "{answers:?}");
    assert_eq!(answers.last().map(String::as_str), Some("HTTP/1.1 429 Too Many Requests"));
    let right = upgrade("/ocpp/CP-1", &basic("CP-1", PASSWORD));
    let from_there = exchange(rig.addr(), [127, 0, 0, 66], right.as_bytes()).await;
    assert_eq!(status(&from_there), "HTTP/1.1 429 Too Many Requests", "the guesser's luck comes too late");
    assert_eq!(rig.meters.now(r#"auth_failures_total{cause="id_limit"}"#), 30 - tried as u64 + 1);
    assert_eq!(rig.meters.now(r#"handshakes_total{outcome="throttled"}"#), 30 - tried as u64 + 1);
    let mut charger = rig.charger("CP-1").await;
    assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
}

#[tokio::test]
async fn a_charger_that_shares_the_guessers_address_still_comes_in() {
    let rig = rig(|_| {});
    for connected_before in [false, true] {
        for id in ["CP-1", "NOBODY"] {
            let guess = upgrade(&format!("/ocpp/{id}"), &basic(id, b"wrong-password-1"));
            for _ in 0..15 {
                exchange(rig.addr(), HOME, guess.as_bytes()).await;
            }
            let answer = status(&exchange(rig.addr(), HOME, guess.as_bytes()).await);
            assert_eq!(answer, "HTTP/1.1 429 Too Many Requests", "{id} {connected_before}");
        }
        let mut charger = rig.charger("CP-1").await;
        assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"), "{connected_before}");
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_off_and_a_huge_one_refused() {
    let rig = rig(|s| s.handshake_timeout = Duration::from_millis(200));
    let slow = exchange(rig.addr(), HOME, b"GET /ocpp/CP-1 HTTP/1.1\r\n").await;
    assert_eq!(status(&slow), "HTTP/1.1 408 Request Timeout");
    assert_eq!(rig.meters.now(r#"handshakes_total{outcome="timeout"}"#), 1);
    let many: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    let answer = exchange(rig.addr(), HOME, upgrade("/ocpp/CP-1", &many).as_bytes()).await;
    assert_eq!(status(&answer), "HTTP/1.1 431 Request Header Fields Too Large");
    let mut stream = dial(rig.addr(), HOME).await;
    let flood = async {
        stream.write_all(b"GET /ocpp/CP-1 HTTP/1.1\r\nx: ").await?;
        for _ in 0..20 {
            stream.write_all(&vec![b'y'; 1 << 20]).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    assert!(flood.await.is_err(), "20 MB of header are not taken");
    assert_eq!(rig.meters.counts(r#"handshakes_total{outcome="head_too_large"}"#, 2).await, 2);
    rig.charger("CP-1").await;
}

#[tokio::test]
async fn idle_strangers_leave_room_for_chargers() {
    let rig = rig(|s| {
        s.handshake_timeout = Duration::from_secs(30);
        s.handshakes_in_flight = 300;
        s.handshakes_per_address = 64;
    });
    let mut idle = Vec::new();
    for n in 0..600u32 {
        idle.push(dial(rig.addr(), [127, 0, 1, (n % 3) as u8 + 1]).await);
    }
    let mut charger = rig.charger("CP-1").await;
    // Its permit is given back after it has read the upgrade; an answer comes only later.
    assert!(charger.ask(r#"[2,"1","Heartbeat",{}]"#).await.starts_with("[3,"));
    assert_eq!(rig.handle.present(), (3 * 64, 3 * 64 + 1));
    assert_eq!(rig.meters.now(r#"refused_total{limit="address"}"#), 600 - 3 * 64);
    let mut answer = Vec::new();
    // The first ones that are too many are answered, later ones are closed without a word.
    idle[250].read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 503 ") && text.contains("retry-after: "), "{text}");
    // How many answers are under way at once depends on how fast this machine is: more strangers, until they are too many.
    for _ in 0..20 {
        if rig.meters.now(r#"refused_total{limit="silent"}"#) > 0 {
            return;
        }
        for _ in 0..300 {
            idle.push(dial(rig.addr(), [127, 0, 1, 1]).await);
        }
        tokio::task::yield_now().await;
    }
    panic!("no refusal was silent");
}

#[tokio::test]
async fn when_nothing_can_be_taken_chargers_are_told_to_come_again() {
    let rig = rig(|_| {});
    rig.script.ready.store(false, Ordering::Relaxed);
    let answer = exchange(rig.addr(), HOME, upgrade("/ocpp/CP-1", &basic("CP-1", PASSWORD)).as_bytes()).await;
    assert_eq!(status(&answer), "HTTP/1.1 503 Service Unavailable");
    // Nobody is known yet, so no login is judged: a right password must not count as a wrong one.
    let wrong = upgrade("/ocpp/CP-1", &basic("CP-1", b"wrong-password-1"));
    for _ in 0..30 {
        let answer = exchange(rig.addr(), HOME, wrong.as_bytes()).await;
        assert_eq!(status(&answer), "HTTP/1.1 503 Service Unavailable");
    }
    assert_eq!(rig.meters.now(r#"auth_failures_total{cause="wrong"}"#), 0);
    rig.script.ready.store(true, Ordering::Relaxed);
    let mut charger = rig.charger("CP-1").await;
    charger.ask(r#"[2,"1","Heartbeat",{}]"#).await;
    assert_eq!(rig.handle.present(), (0, 1));
}

#[tokio::test]
async fn the_cap_on_connections_holds_and_changes_at_run_time() {
    let rig = rig(|s| s.connections_max = 1);
    let _first = rig.charger("CP-1").await;
    let answer = exchange(rig.addr(), HOME, upgrade("/ocpp/CP-2", &basic("CP-2", PASSWORD)).as_bytes()).await;
    assert_eq!(status(&answer), "HTTP/1.1 503 Service Unavailable");
    let mut wider = (*rig.settings.load_full()).clone();
    wider.connections_max = 2;
    rig.settings.store(Arc::new(wider));
    rig.charger("CP-2").await;
}

/// O4: those who are in go on, and are not put out.
#[tokio::test]
async fn while_memory_is_short_nobody_comes_in_and_those_who_are_in_go_on() {
    let rig = rig(|_| {});
    let mut first = rig.charger("CP-1").await;
    first.ask(r#"[2,"1","Heartbeat",{}]"#).await;
    let try_in = async || {
        let request = upgrade("/ocpp/CP-2", &basic("CP-2", PASSWORD));
        String::from_utf8(exchange(rig.addr(), HOME, request.as_bytes()).await).unwrap().to_ascii_lowercase()
    };
    rig.script.memory_percent.store(90, Ordering::Relaxed);
    let answer = try_in().await;
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    assert_eq!(rig.meters.now(r#"refused_total{limit="memory"}"#), 1);
    assert!(first.ask(r#"[2,"2","Heartbeat",{}]"#).await.starts_with("[3,"));
    rig.script.memory_percent.store(89, Ordering::Relaxed);
    rig.charger("CP-2").await;
}

/// J13: whatever is configured, sockets take no more descriptors than there are for them.
#[tokio::test]
async fn beyond_the_room_that_there_is_nobody_comes_in_or_is_answered() {
    let rig = rig_within(Room { connections: 1, refusals: 0 });
    let mut first = rig.charger("CP-1").await;
    first.ask(r#"[2,"1","Heartbeat",{}]"#).await;
    let request = upgrade("/ocpp/CP-2", &basic("CP-2", PASSWORD));
    let mut stream = dial(rig.addr(), HOME).await;
    // It may be closed before all of it is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(status(&answer), "", "closed without a word");
    assert_eq!(rig.meters.now(r#"refused_total{limit="connections"}"#), 1);
    assert_eq!(rig.meters.now(r#"refused_total{limit="silent"}"#), 1);
    assert_eq!(rig.handle.connected(), 1);
}

#[tokio::test]
async fn bytes_sent_right_behind_the_request_are_not_lost() {
    let rig = rig(|_| {});
    let mut bytes = upgrade("/ocpp/CP-1", &basic("CP-1", PASSWORD)).into_bytes();
    bytes.extend(frame(0x81, br#"[2,"early","Heartbeat",{}]"#));
    let mut stream = dial(rig.addr(), HOME).await;
    stream.write_all(&bytes).await.unwrap();
    response_head(&mut stream).await;
    let mut answer = [0; 20];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer[2..].starts_with(br#"[3,"early","#), "{answer:?}");
}

#[tokio::test]
async fn no_password_is_ever_logged() {
    let rig = rig(|_| {});
    let planted = b"planted-secret-17";
    let guess = upgrade("/ocpp/CP-1", &basic("CP-1", planted));
    let refused = async || drop(exchange(rig.addr(), HOME, guess.as_bytes()).await);
    let heard = Heard::once("login refused", refused).await;
    refused().await;
    exchange(rig.addr(), HOME, upgrade("/ocpp/CP-1", &basic("planted-secret-17", planted)).as_bytes()).await;
    rig.charger("CP-1").await;
    let text = heard.text();
    assert!(text.contains("login refused"), "{text}");
    for secret in [&planted[..], PASSWORD] {
        let forms = [
            String::from_utf8(secret.to_vec()).unwrap(),
            hex::encode(secret),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode([b"CP-1:", secret].concat()),
        ];
        assert!(!forms.iter().any(|form| text.contains(form.as_str())), "{text}");
    }
}

/// Control 5: the time that a refusal takes must not tell a known id from an unknown one. The comparison itself is measured,
/// so that the noise of sockets does not hide a difference.
#[test]
fn refusals_take_the_same_time_for_known_and_unknown_ids() {
    let pepper = Pepper::new([9; 32]);
    let id: ChargerId = "CP-1".parse().unwrap();
    let known = Access::Password(SmallVec::from_iter([pepper.tag(&id, PASSWORD)]));
    let value = basic("CP-1", b"wrong-password-1").replace("Authorization: ", "");
    let login = super::super::credentials::Login::read(value.trim().as_bytes());
    let time = |access: Option<&Access>| {
        let began = std::time::Instant::now();
        for _ in 0..20 {
            assert!(pepper.verify(&id, access, login.as_ref()).is_none());
        }
        began.elapsed()
    };
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..500 {
        times[0].push(time(Some(&known)));
        times[1].push(time(None));
    }
    let median = |list: &mut Vec<Duration>| {
        list.sort();
        list[list.len() / 2].as_nanos() as f64
    };
    let ratio = median(&mut times[0]) / median(&mut times[1]);
    assert!((0.75..1.33).contains(&ratio), "{ratio}");
}
