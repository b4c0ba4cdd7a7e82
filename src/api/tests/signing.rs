//! EM-3 and EM-4 over real HTTP: who is let in, who is told what, who is banned, who is slowed down.

use super::*;
use serde_json::json;

#[tokio::test]
async fn a_signed_call_is_answered_and_every_answer_has_a_trace_id() {
    let rig = World::new().serve().await;
    let answer = rig.get("/chargers?limit=1").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json["items"][0]["charger_id"], "CP1");
    assert_eq!((answer.header("x-trace-id").len(), answer.header("x-content-type-options")), (32, "nosniff"));
    assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("100", "99"));
    let refused = rig.get("/chargers/none").await;
    assert_eq!(refused.told(), (404, "charger_unknown"));
    assert_eq!(refused.json["error"]["trace_id"], refused.header("x-trace-id"));
}

#[tokio::test]
async fn a_request_changed_on_its_way_is_refused_whatever_was_changed() {
    let world = World::with(Api { failures_before_ban: 1000, ..config() });
    let rig = world.serve().await;
    let signed = rig.call("GET", "/sessions?user_id=a%20b", "");
    for changed in [
        Call { target: "/api/v1/sessions?user_id=a+b".into(), ..signed.clone() },
        Call { target: "/api/v1/sessions".into(), ..signed.clone() },
        Call { body: b"x".to_vec(), ..signed.clone() },
        Call { method: "POST", ..signed.clone() },
    ] {
        assert_eq!(rig.send_signed(&changed, &signed).await.told(), (401, "bad_signature"), "{}", changed.target);
    }
    assert_eq!(rig.send(&signed).await.status, 200, "as it was it is good: refused ones use up no nonce");
}

#[tokio::test]
async fn unknown_key_and_wrong_secret_look_alike_and_a_revoked_key_is_told() {
    let world = World::new();
    world.keys.put("ck_old", "p1", SECRET, true);
    let rig = world.serve().await;
    let by = |key: &str, secret: &str| Call { key: key.into(), secret: secret.into(), ..rig.call("GET", "/sites", "") };
    let mut texts = Vec::new();
    for call in [by("ck_nobody", SECRET), by("ck_1", "cs_wrong")] {
        let answer = rig.send(&call).await;
        assert_eq!(answer.told(), (401, "bad_signature"));
        texts.push(answer.text.replace(answer.header("x-trace-id"), ""));
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(rig.send(&by("ck_old", SECRET)).await.told(), (401, "revoked_key"));
    assert_eq!(rig.send(&by("ck_old", "cs_wrong")).await.told(), (401, "bad_signature"), "only its holder is told");
}

#[tokio::test]
async fn a_key_revoked_meanwhile_is_refused_by_the_next_call() {
    let world = World::new();
    let rig = world.serve().await;
    assert_eq!(rig.get("/sites").await.status, 200);
    world.keys.put("ck_1", "p1", SECRET, true);
    assert_eq!(rig.get("/sites").await.told(), (401, "revoked_key"));
}

#[tokio::test]
async fn missing_headers_and_wrong_clocks_are_told_and_ban_nobody() {
    let rig = World::new().serve().await;
    for _ in 0..10 {
        let bare = Answer::read(rig.http.get(format!("{}/api/v1/sites", rig.url)).send().await.unwrap()).await;
        assert_eq!(bare.told(), (401, "missing_signature"));
        assert_eq!(bare.json["error"]["details"][0]["field"], "X-Chargeline-Key");
        let late = Call { timestamp: BEGIN - 301, ..rig.call("GET", "/sites", "") };
        assert_eq!(rig.send(&late).await.told(), (401, "clock_skew"));
    }
    assert_eq!(rig.get("/sites").await.status, 200);
}

#[tokio::test]
async fn a_replay_is_refused_at_one_second_and_at_the_ends_of_the_window() {
    let world = World::new();
    let rig = world.serve().await;
    let call = rig.call("GET", "/sites", "");
    assert_eq!(rig.send(&call).await.status, 200);
    for (forward, told) in [(1, "replayed_nonce"), (298, "replayed_nonce"), (2, "clock_skew")] {
        world.clock.forward(forward);
        assert_eq!(rig.send(&call).await.told(), (401, told), "after {forward} more");
    }
}

#[tokio::test]
async fn of_a_request_sent_fifty_times_at_once_one_is_answered() {
    let rig = World::with(Api { failures_before_ban: 1000, ..config() }).serve().await;
    let call = rig.call("GET", "/sites", "");
    let answers = futures_util::future::join_all((0..50).map(|_| rig.send(&call))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.code() == "replayed_nonce").count(), 49);
}

#[tokio::test]
async fn a_replay_after_a_restart_is_refused_also_of_a_call_signed_ahead_of_our_clock() {
    let world = World::new();
    let rig = world.serve().await;
    let now = rig.call("GET", "/sites", "");
    let ahead = Call { timestamp: BEGIN + 200, ..rig.call("GET", "/sites", "") };
    assert_eq!([rig.send(&now).await.status, rig.send(&ahead).await.status], [200, 200]);
    drop(rig);
    // The rig's horizon is a second before its start: the moment at which the one before could last accept.
    world.clock.forward(1);
    let rig = world.serve().await;
    let refused = rig.send(&now).await;
    assert_eq!(refused.told(), (503, "unavailable"), "not 401: the one before may have done it and died");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(rig.send(&ahead).await.told(), (401, "replayed_nonce"));
    assert_eq!(rig.get("/sites").await.status, 200);
}

#[tokio::test]
async fn who_calls_while_the_keys_are_still_read_is_told_to_come_again_and_never_banned() {
    let world = World::new();
    let rig = world.serve().await;
    world.keys.recovering(true);
    let unknown = || Call { key: "ck_9".into(), ..rig.call("GET", "/sites", "") };
    for _ in 0..6 {
        let early = rig.send(&unknown()).await;
        assert_eq!((early.told(), early.header("retry-after")), ((503, "unavailable"), "1"));
    }
    world.keys.recovering(false);
    assert_eq!(rig.send(&unknown()).await.told(), (401, "bad_signature"), "not banned");
    assert_eq!(rig.get("/sites").await.status, 200);
}

#[tokio::test]
async fn five_failures_in_a_row_ban_the_key_here_and_nobody_else() {
    let world = World::with(Api { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..config() });
    let rig = world.serve().await;
    let from = |address: &str, call: Call| Call { headers: vec![("x-forwarded-for".into(), address.into())], ..call };
    let wrong = || Call { secret: "cs_wrong".into(), ..rig.call("GET", "/sites", "") };
    for _ in 0..5 {
        assert_eq!(rig.send(&from("192.0.2.66", wrong())).await.told(), (401, "bad_signature"));
    }
    let banned = rig.send(&from("192.0.2.66", rig.call("GET", "/sites", ""))).await;
    assert_eq!(banned.told(), (403, "banned"), "even with the right secret");
    assert_eq!(banned.header("retry-after"), "300");
    assert_eq!(rig.send(&from("192.0.2.1", rig.call("GET", "/sites", ""))).await.status, 200, "not from elsewhere");
    let other = Call { key: "ck_2".into(), secret: SECRET_2.into(), ..rig.call("GET", "/sites", "") };
    assert_eq!(rig.send(&from("192.0.2.66", other)).await.status, 200, "not another key");
    let address = "192.0.2.66".parse().unwrap();
    let event = SecurityEvent::Banned { partner: "p1".parse().unwrap(), key_id: "ck_1".into(), address };
    assert_eq!(*world.alerts.lock().unwrap(), [event]);
    world.clock.forward(300);
    assert_eq!(rig.send(&from("192.0.2.66", rig.call("GET", "/sites", ""))).await.status, 200, "it ends");
}

#[tokio::test]
async fn a_key_without_the_scope_may_not() {
    let world = World::new();
    let scopes = [crate::domain::access::Scope::Query].into();
    world.keys.put_granted("ck_read", "p1", SECRET, crate::domain::access::Grant { scopes, networks: Vec::new() });
    let rig = world.serve().await;
    let by = |call: Call| Call { key: "ck_read".into(), ..call };
    assert_eq!(rig.send(&by(rig.call("GET", "/sites", ""))).await.status, 200);
    let start = by(rig.call("POST", "/sessions", start_body("r1", 1).to_string()));
    assert_eq!(rig.send(&start).await.told(), (403, "scope"));
    assert_eq!(world.runtime.session_count(), 0);
}

#[tokio::test]
async fn too_many_calls_of_a_class_are_slowed_down_and_told_when_to_come_back() {
    let rig = World::with(Api { write_rate: 1, write_burst: 2, ..config() }).serve().await;
    let test = |n: u32| json!({"request_id": format!("t{n}")});
    let mut told = Vec::new();
    for n in 0..3 {
        let answer = rig.post("/webhook/test", &test(n)).await;
        told.push(answer.status);
        if answer.status == 429 {
            assert_eq!((answer.code(), answer.header("retry-after")), ("rate_limited", "1"));
            assert_eq!((answer.header("ratelimit-remaining"), answer.header("ratelimit-limit")), ("0", "2"));
            assert_eq!(answer.json["error"]["retry"], "later");
        }
    }
    assert_eq!(told, [202, 202, 429]);
    assert_eq!(rig.get("/sites").await.status, 200, "reads are another class");
    assert_eq!(rig.as_p2("GET", "/sites", "").await.status, 200);
}

#[tokio::test]
async fn one_partner_has_so_many_calls_at_a_time_and_the_others_go_on() {
    let world = World::with(Api { in_flight_per_partner: 3, ..config() });
    let rig = Arc::new(world.serve().await);
    for _ in 0..3 {
        world.runtime.next_fault(fake::Fault::Hang);
    }
    let session = "/sessions/00000000-0000-7000-8000-000000000000";
    let hung: Vec<_> = (0..3)
        .map(|_| {
            let rig = rig.clone();
            tokio::spawn(async move { rig.get(session).await })
        })
        .collect();
    while world.runtime.faults_left() > 0 {
        tokio::task::yield_now().await;
    }
    let answer = rig.get(session).await;
    assert_eq!((answer.code(), answer.header("retry-after")), ("busy", "2"));
    assert_eq!(rig.as_p2("GET", "/sites", "").await.status, 200);
    hung.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn while_the_server_is_late_reads_go_first_then_starts_and_stops_never() {
    let world = World::new();
    let rig = world.serve().await;
    let started = rig.post("/sessions", &start_body("r1", 1)).await;
    let stop = format!("/sessions/{}/stop", started.json["session_id"].as_str().unwrap());
    for (late_ms, read, start) in [(1, 200, true), (300, 503, true), (1_000, 503, false), (2, 200, true)] {
        world.late.store(late_ms, SeqCst);
        let told = rig.get("/sites").await;
        assert_eq!(told.status, read, "{late_ms} ms");
        if read == 503 {
            assert_eq!(told.code(), "busy");
            assert!((1..=5).contains(&told.header("retry-after").parse::<u64>().unwrap()));
        }
        // The connector is taken: that is the answer of the rules, behind the gate.
        let told = rig.post("/sessions", &start_body(&format!("s{late_ms}"), 1)).await;
        assert_eq!(told.status == 409, start, "{late_ms} ms: {}", told.text);
        let stopped = rig.post(&stop, &json!({"request_id": format!("stop{late_ms}")})).await;
        assert_ne!(stopped.status, 503, "{late_ms} ms");
    }
}

#[tokio::test]
async fn while_memory_is_nearly_full_nothing_is_read_or_begun_and_stops_go_on() {
    let world = World::new();
    let rig = world.serve().await;
    let started = rig.post("/sessions", &start_body("r1", 1)).await;
    let stop = format!("/sessions/{}/stop", started.json["session_id"].as_str().unwrap());
    for (percent, taken) in [(94, true), (95, false), (90, true)] {
        world.full.store(percent, SeqCst);
        let read = rig.get("/sites").await;
        assert_eq!(read.status, if taken { 200 } else { 503 }, "{percent} %");
        assert_eq!(read.header("retry-after").is_empty(), taken, "{percent} %");
        let begun = rig.post("/sessions", &start_body(&format!("s{percent}"), 1)).await;
        assert_eq!(begun.status, if taken { 409 } else { 503 }, "{percent} %");
        let stopped = rig.post(&stop, &json!({"request_id": format!("stop{percent}")})).await;
        assert_ne!(stopped.status, 503, "{percent} %");
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cut_off_with_a_clear_answer() {
    let world = World::with(Api { request_deadline: std::time::Duration::from_millis(100), ..config() });
    let rig = world.serve().await;
    world.runtime.next_fault(fake::Fault::Hang);
    let read = rig.get("/sessions/00000000-0000-7000-8000-000000000000").await;
    assert_eq!(read.told(), (503, "unavailable"));
    world.runtime.next_fault(fake::Fault::Hang);
    assert_eq!(rig.post("/sessions", &start_body("r1", 1)).await.told(), (504, "outcome_unknown"));
}

#[tokio::test]
async fn bodies_beyond_the_bound_are_refused_announced_or_not() {
    let rig = World::new().serve().await;
    let big = vec![b' '; 262_145];
    assert_eq!(rig.send(&rig.call("POST", "/sessions", &big)).await.told(), (413, "body_too_large"));
    let call = rig.call("POST", "/sessions", &big);
    let pieces =
        futures_util::stream::iter(big.chunks(4096).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>());
    let mut request = rig.http.post(format!("{}{}", rig.url, call.target)).body(reqwest::Body::wrap_stream(pieces));
    for (name, value) in call.sign() {
        request = request.header(name, value);
    }
    assert_eq!(Answer::read(request.send().await.unwrap()).await.told(), (413, "body_too_large"));
}
