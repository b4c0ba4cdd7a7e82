//! EM-2, EM-4 over real HTTP: scopes of every route, allow-lists, a partner's own keys.

use super::*;
use crate::domain::access::{Grant, Scope, network};
use serde_json::json;

fn only(scopes: &[Scope]) -> Grant {
    Grant { scopes: scopes.iter().copied().collect(), networks: Vec::new() }
}

fn by(key: &str, call: Call) -> Call {
    Call { key: key.into(), ..call }
}

#[tokio::test]
async fn every_route_names_a_scope_and_opens_to_no_key_without_it() {
    let world = World::new();
    world.keys.put_granted("ck_all", "p1", SECRET, Grant::default());
    for scope in Scope::ALL {
        let others: Vec<_> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
        world.keys.put_granted(&format!("ck_no_{scope}"), "p1", SECRET, only(&others));
        world.keys.put_granted(&format!("ck_{scope}"), "p1", SECRET, only(&[scope]));
    }
    let rig = world.serve().await;
    let document = serde_json::to_value(rig.partner.openapi()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let target = path.strip_prefix("/api/v1").unwrap().replace(['{', '}'], "");
        // Applicants have no key yet: `applications.rs` looks at what opens their calls.
        let signed = |op: &serde_json::Value| op.get("responses").is_some() && op["tags"] != json!(["applications"]);
        for (method, operation) in item.as_object().unwrap().iter().filter(|(_, op)| signed(op)) {
            let scope = operation["security"][0]["key"][0].as_str().unwrap_or_default();
            let scope: Scope = scope.parse().unwrap_or_else(|_| panic!("{method} {path} names no scope"));
            assert!(operation["security"][0]["signature"].is_array(), "{method} {path}: {operation}");
            seen.insert(scope);
            let method = if method == "get" { "GET" } else { "POST" };
            let call = rig.call(method, &target, "{}");
            let refused = rig.send(&by(&format!("ck_no_{scope}"), call.clone())).await;
            assert_eq!(refused.told(), (403, "scope"), "{method} {path}");
            let nonce = format!("{}-again", call.nonce);
            let let_in = rig.send(&by(&format!("ck_{scope}"), Call { nonce, ..call })).await;
            assert_ne!(let_in.code(), "scope", "{method} {path}");
        }
    }
    assert_eq!(seen.len(), Scope::ALL.len(), "every scope is asked for somewhere: {seen:?}");
    assert_eq!(rig.send(&by("ck_query", rig.call("GET", "/nothing-here", ""))).await.status, 404);
}

#[tokio::test]
async fn a_key_signs_only_where_its_allow_list_admits_it_and_somebody_hears_of_the_rest() {
    let world = World::with(Api { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..config() });
    let networks = vec![network("192.0.2.0/24").unwrap(), network("2001:db8::/32").unwrap()];
    world.keys.put_granted("ck_home", "p1", SECRET, Grant { networks, ..Grant::default() });
    let rig = world.serve().await;
    let from = |address: &str| {
        let headers = vec![("x-forwarded-for".into(), address.into())];
        by("ck_home", Call { headers, ..rig.call("GET", "/sites", "") })
    };
    for (address, told) in [
        ("192.0.2.9", (200, "")),
        ("2001:db8:5::1", (200, "")),
        ("192.0.3.9", (403, "address_refused")),
        ("2001:db9::1", (403, "address_refused")),
    ] {
        assert_eq!(rig.send(&from(address)).await.told(), told, "{address}");
    }
    for _ in 0..4 {
        rig.send(&from("192.0.3.9")).await;
    }
    assert_eq!(rig.send(&from("192.0.3.9")).await.told(), (403, "banned"), "five failures in a row");
    let alerts = world.alerts.lock().unwrap().clone();
    let elsewhere = |event: &&SecurityEvent| matches!(event, SecurityEvent::Elsewhere { .. });
    assert_eq!(alerts.iter().filter(elsewhere).count(), 2, "once for each place: {alerts:?}");
    assert!(alerts.iter().any(|event| matches!(event, SecurityEvent::Banned { .. })), "{alerts:?}");
}

#[tokio::test]
async fn a_replaced_key_signs_until_its_time_is_over_and_uses_are_noted() {
    let world = World::new();
    world.keys.put_until("ck_old", "p1", SECRET, Timestamp((BEGIN + 60) * 1000));
    let rig = world.serve().await;
    assert_eq!(rig.send(&by("ck_old", rig.call("GET", "/sites", ""))).await.status, 200);
    rig.send(&Call { secret: "cs_wrong".into(), ..by("ck_1", rig.call("GET", "/sites", "")) }).await;
    assert_eq!(world.keys.uses(), ["ck_old"], "a wrong signature is no use of a key");
    world.clock.forward(60);
    assert_eq!(rig.send(&by("ck_old", rig.call("GET", "/sites", ""))).await.told(), (401, "revoked_key"));
}

#[tokio::test]
async fn a_partner_makes_rotates_revokes_and_confines_its_keys_and_a_repeat_gets_the_same_secret() {
    let world = World::new();
    let rig = world.serve().await;
    rig.ops("PUT", "/ops/v1/partners/p1", json!({"name": "One"})).await;
    let body = json!({"request_id": "k1", "scopes": ["query", "push"], "networks": ["192.0.2.0/24"]});
    let made = rig.post("/keys", &body).await;
    let (id, secret) = (made.json["key_id"].as_str().unwrap(), made.json["secret"].as_str().unwrap());
    assert!(made.status == 201 && id.starts_with("ck_") && secret.starts_with("cs_"), "{}", made.text);
    assert_eq!(rig.post("/keys", &body).await.json, made.json);
    let kept = format!(
        "{:?}",
        world.once.values.lock().unwrap().values().map(|v| String::from_utf8_lossy(v)).collect::<Vec<_>>()
    );
    assert!(kept.contains(id) && !kept.contains(secret), "{kept}");
    let listed = rig.get("/keys").await;
    assert!(!listed.text.contains("cs_"), "{}", listed.text);
    assert_eq!(listed.json["items"][0]["scopes"], json!(["query", "push"]), "{}", listed.text);
    let rotated = rig.post(&format!("/keys/{id}/rotate"), &json!({"request_id": "k2", "overlap_s": 0})).await;
    assert!(rotated.status == 201 && rotated.json["key_id"] != made.json["key_id"], "{}", rotated.text);
    let again = rig.post(&format!("/keys/{id}/rotate"), &json!({"request_id": "k2", "overlap_s": 0})).await;
    assert_eq!(again.json, rotated.json);
    let confined = json!({"request_id": "k3", "networks": ["127.0.0.0/8", "2001:db8::7"]});
    assert_eq!(rig.post(&format!("/keys/{id}/networks"), &confined).await.status, 200);
    assert_eq!(rig.post(&format!("/keys/{id}/revoke"), &json!({"request_id": "k4"})).await.status, 200);
    let keys = rig.get("/keys").await.json;
    assert_eq!(keys["items"][0]["networks"], json!(["127.0.0.0/8", "2001:db8::7/128"]));
    assert!(keys["items"][0]["revoked_at"].is_string() && keys["items"][1]["revoked_at"].is_null(), "{keys}");
}

#[tokio::test]
async fn what_a_partner_may_not_do_with_keys_is_refused_by_name() {
    let world = World::new();
    world.keys.put_granted("ck_small", "p1", SECRET, only(&[Scope::Query, Scope::Credentials]));
    let rig = world.serve().await;
    rig.ops("PUT", "/ops/v1/partners/p1", json!({"name": "One"})).await;
    let big = rig.post("/keys", &json!({"request_id": "k0"})).await.json["key_id"].as_str().unwrap().to_owned();
    let small = |path: &str, body: Value| by("ck_small", rig.call("POST", path, body.to_string()));
    for (path, body, told, field) in [
        ("/keys", json!({"request_id": "a", "scopes": ["control"]}), (403, "scope"), "scopes"),
        ("/keys", json!({"request_id": "a", "scopes": []}), (400, "invalid_field"), "scopes"),
        ("/keys", json!({"request_id": "a", "scopes": ["root"]}), (400, "invalid_field"), "scopes[0]"),
        ("/keys", json!({"request_id": "a", "networks": ["10.0.0.1/8"]}), (400, "invalid_field"), "networks[0]"),
        ("/keys", json!({"request_id": "a", "networks": ["::/0"]}), (400, "invalid_field"), "networks[0]"),
        (&format!("/keys/{big}/rotate"), json!({"request_id": "a"}), (403, "scope"), "scopes"),
        (
            &format!("/keys/{big}/rotate"),
            json!({"request_id": "a", "overlap_s": 604_801}),
            (400, "invalid_field"),
            "overlap_s",
        ),
        (
            "/keys/ck_small/networks",
            json!({"request_id": "a", "networks": ["192.0.2.1"]}),
            (400, "invalid_field"),
            "networks",
        ),
        ("/keys/ck_none/rotate", json!({"request_id": "a"}), (404, "not_found"), ""),
        ("/keys/ck_none/revoke", json!({"request_id": "b"}), (404, "not_found"), ""),
    ] {
        let answer = rig.send(&small(path, body.clone())).await;
        assert_eq!(answer.told(), told, "{path} {body}: {}", answer.text);
        assert_eq!(answer.json["error"]["details"][0]["field"].as_str().unwrap_or_default(), field, "{}", answer.text);
    }
    let plain = rig.send(&small("/keys", json!({"request_id": "c"}))).await;
    let id = plain.json["key_id"].as_str().unwrap();
    let keys = rig.get("/keys").await.json;
    let made = keys["items"].as_array().unwrap().iter().find(|key| key["key_id"] == id).unwrap();
    assert_eq!(made["scopes"], json!(["query", "credentials"]), "what the calling key may");
}

#[tokio::test]
async fn a_key_that_is_suddenly_used_from_elsewhere_raises_an_alert() {
    let api = Api { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], read_burst: 1000, ..config() };
    let world = World::with(api);
    let rig = world.serve().await;
    let from = |address: &str| {
        let headers = vec![("x-forwarded-for".into(), address.into())];
        Call { headers, ..rig.call("GET", "/chargers/CP1", "") }
    };
    for _ in 0..12 {
        for _ in 0..10 {
            assert_eq!(rig.send(&from("192.0.2.1")).await.status, 200);
        }
        world.clock.forward(60);
    }
    assert_eq!(*world.alerts.lock().unwrap(), [], "that is how it is used");
    assert_eq!(rig.send(&from("203.0.113.5")).await.status, 200, "an alert, no lock-out");
    let alerts = world.alerts.lock().unwrap().clone();
    assert!(matches!(&alerts[..], [SecurityEvent::Changed { key_id, .. }] if key_id == "ck_1"), "{alerts:?}");
}

#[tokio::test]
async fn a_partner_pauses_its_webhook_and_says_what_it_wants_to_be_sent() {
    let rig = World::new().serve().await;
    let put = json!({"name": "One", "webhook": {"url": "https://example.com/hook"}});
    rig.ops("PUT", "/ops/v1/partners/p1", put).await;
    let seen = || async { rig.ops("GET", "/ops/v1/partners/p1/webhook", Value::Null).await.json };
    for (path, paused) in [("/webhook/pause", true), ("/webhook/resume", false)] {
        assert_eq!(rig.post(path, &json!({"request_id": format!("r{paused}")})).await.status, 202);
        assert_eq!(seen().await["paused"], paused);
    }
    let wanted = json!({"request_id": "s1", "events": ["session.ended", "session.started"]});
    assert_eq!(rig.post("/webhook/subscription", &wanted).await.status, 202);
    assert_eq!(seen().await["events"], wanted["events"]);
    assert_eq!(rig.post("/webhook/subscription", &json!({"request_id": "s2"})).await.status, 202);
    assert_eq!(seen().await["events"], Value::Null, "all");
    for (events, field) in [(json!([]), "events"), (json!(["x"]), "events[0]"), (json!(["a.b", "A.b"]), "events[1]")] {
        let told = rig.post("/webhook/subscription", &json!({"request_id": "s3", "events": events})).await;
        assert_eq!((told.told(), &told.json["error"]["details"][0]["field"]), ((400, "invalid_field"), &json!(field)));
    }
}
