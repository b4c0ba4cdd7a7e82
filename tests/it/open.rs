//! The open platform from outside: keys that partners manage themselves (EM-2), and that a stranger's key sees and touches
//! nothing of another partner's by any call that there is (control 22).

use crate::rig::{CHARGER, PARTNER, Rig};
use chargeline::clock::{Clock as _, WallClock};
use loadtest::partner::{Key, http_client, sign};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// More calls at once than the defaults allow.
pub(crate) fn unlimited(text: &str) -> String {
    let rates = "[api]\nread_rate = 100000\nwrite_rate = 100000\nevents_rate = 100000\nread_burst = 100000\n\
                 write_burst = 100000\nevents_burst = 100000\nin_flight_per_partner = 10000\n";
    text.replace("[api]\n", rates)
}

impl Rig {
    /// A call signed with that key, repeated while the server says that it can do nothing yet: in its first second it cannot
    /// know which nonces an earlier process has seen.
    pub(crate) async fn signed(&self, key: &Key, verb: &str, path: &str, body: &Value) -> (u16, Value) {
        let begun = Instant::now();
        loop {
            let answer = self.signed_once(key, verb, path, body).await;
            if answer.0 != 503 || begun.elapsed() > Duration::from_secs(10) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn signed_once(&self, key: &Key, verb: &str, path: &str, body: &Value) -> (u16, Value) {
        let target = format!("/api/v1{path}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let signed = sign(key, verb, &target, body.as_bytes(), WallClock.now().as_seconds(), &nonce);
        let url = format!("http://127.0.0.1:{}{target}", self.server.ports().partner);
        let call = http_client(Duration::from_secs(10)).unwrap().request(verb.parse().unwrap(), url);
        let call = call.header("x-chargeline-key", signed.key).header("x-chargeline-timestamp", signed.timestamp);
        let call = call.header("x-chargeline-nonce", signed.nonce).header("x-chargeline-signature", signed.signature);
        let answer = call.header("content-type", "application/json").body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// Every call of the served document: method and path below `/api/v1`.
    pub(crate) async fn calls(&self) -> Vec<(String, String)> {
        let (_, text) = self.get(self.server.ports().partner, "/openapi.json").await;
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut calls = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            // What is open to everybody is nobody's.
            let Some(path) = path.strip_prefix("/api/v1") else { continue };
            // Applicants have tokens, no keys: `onboarding.rs`.
            let signed = |call: &Value| call.get("responses").is_some() && call["tags"] != json!(["applications"]);
            let methods = item.as_object().unwrap().iter().filter(|(_, call)| signed(call));
            calls.extend(methods.map(|(method, _)| (method.to_uppercase(), path.to_owned())));
        }
        assert!(calls.len() > 30, "{calls:?}");
        calls
    }
}

/// A key out of an answer that shows one.
fn key(answer: &Value) -> Key {
    serde_json::from_value(json!({"key_id": answer["key_id"], "secret": answer["secret"]})).unwrap()
}

async fn sites(rig: &Rig, key: &Key) -> (u16, Value) {
    rig.signed(key, "GET", "/sites", &Value::Null).await
}

#[tokio::test]
async fn a_partner_rotates_confines_and_revokes_its_keys_and_each_change_counts_for_the_next_call() {
    let mut rig = Rig::start().await;
    let first = rig.operator().make_key(PARTNER).await.unwrap();
    let none = Value::Null;
    let rotate = json!({"request_id": "rotate-1", "overlap_s": 600});
    let (status, made) = rig.signed(&first, "POST", &format!("/keys/{}/rotate", first.key_id), &rotate).await;
    assert_eq!(status, 201, "{made}");
    let second = key(&made);
    assert_eq!((sites(&rig, &first).await.0, sites(&rig, &second).await.0), (200, 200), "both sign for a while");
    rig.server.kill().await.unwrap();
    rig.again().await;
    let repeat = rig.signed(&second, "POST", &format!("/keys/{}/rotate", first.key_id), &rotate).await;
    assert_eq!(repeat, (201, made), "the same answer after a kill");

    let revoke = json!({"request_id": "revoke-1"});
    assert_eq!(rig.signed(&second, "POST", &format!("/keys/{}/revoke", first.key_id), &revoke).await.0, 200);
    assert_eq!(sites(&rig, &first).await.1["error"]["code"], "revoked_key");

    let small = json!({"request_id": "make-1", "scopes": ["query"], "networks": ["127.0.0.1"]});
    let (_, small) = rig.signed(&second, "POST", "/keys", &small).await;
    let small = key(&small);
    assert_eq!(sites(&rig, &small).await.0, 200);
    assert_eq!(rig.signed(&small, "GET", "/keys", &none).await.1["error"]["code"], "scope");
    let away = json!({"request_id": "away-1", "networks": ["192.0.2.0/24"]});
    assert_eq!(rig.signed(&second, "POST", &format!("/keys/{}/networks", small.key_id), &away).await.0, 200);
    assert_eq!(sites(&rig, &small).await.1["error"]["code"], "address_refused");

    let (_, keys) = rig.signed(&second, "GET", "/keys", &none).await;
    let of = |id: &str| keys["items"].as_array().unwrap().iter().find(|key| key["key_id"] == id).unwrap().clone();
    assert!(of(&first.key_id)["revoked_at"].is_string() && of(&small.key_id)["last_used_at"].is_string(), "{keys}");
    assert!(of(&second.key_id)["revoked_at"].is_null(), "{keys}");
    let shown = rig.ops(&format!("/ops/v1/partners/{PARTNER}")).await;
    assert!(shown["keys"].to_string().contains("\"last_used_at\"") && !shown.to_string().contains("cs_"), "{shown}");
}

fn timeless(seen: &mut Value) {
    if let Some(session) = seen.as_object_mut() {
        session.remove("duration_s");
    }
    if let Some(items) = seen["items"].as_array_mut() {
        items.iter_mut().for_each(timeless);
    }
}

/// The owner's second webhook endpoint.
const QUAY: &str = "quay-of-the-owner";

/// What the owner has, and a stranger must not find.
struct Estate {
    rig: Rig,
    stranger: Key,
    session: String,
    reservation: String,
    top_up: String,
    key: String,
    event: String,
}

impl Estate {
    async fn made() -> (Estate, crate::charger::Charger) {
        let rig = Rig::start_with("http://127.0.0.1:9/", unlimited).await;
        let mut charger = rig.charger().await;
        let held =
            json!({"request_id": "it-hold-1", "charger_id": CHARGER, "connector_id": 2, "user": {"id": "user-r"}});
        let (status, held) = rig.partner().post("/reservations", &held).await.unwrap();
        assert_eq!(status, 202, "{held}");
        let app = json!({"name": "Owner", "accounts": true});
        rig.order("ada", "PUT", &format!("/partners/{PARTNER}"), &app).await;
        let slice = json!({"name": "flat", "from": "00:00", "to": "24:00", "electricity": 5000, "service": 5000});
        let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice]});
        rig.order("ada", "PUT", "/tariffs/flat", &tariff).await;
        rig.order("ada", "POST", "/tariffs/flat/roll-out", &json!({"version": 1})).await;
        rig.fund("user-it", 20_000).await;
        let session = rig.started("it-start-1", 1).await;
        charger.begin(1, 1000).await;
        rig.session(&session, "it charges", |session| session.status == "Charging").await;
        let money = json!({"request_id": "it-top-1", "amount": {"minor": 1234, "currency": "CNY"}});
        let (status, top_up) = rig.partner().post("/users/user-it/top-ups", &money).await.unwrap();
        assert_eq!(status, 202, "{top_up}");
        rig.operator().put_site("site-other", "Elsewhere").await.unwrap();
        let webhook = json!({"url": "http://127.0.0.1:9/"});
        let other = json!({"name": "Stranger", "accounts": true, "sites": ["site-other"], "webhook": webhook});
        rig.order("ada", "PUT", "/partners/stranger", &other).await;
        let stranger = rig.operator().make_key("stranger").await.unwrap();
        let key = rig.operator().make_key(PARTNER).await.unwrap().key_id;
        let event = rig.partner().events().await.unwrap()[0].id.clone();
        let endpoint =
            json!({"request_id": "it-hook-1", "name": QUAY, "url": "http://127.0.0.1:9/", "sites": ["site-it"]});
        let (status, made) = rig.partner().post("/webhooks/endpoints", &endpoint).await.unwrap();
        assert_eq!(status, 201, "{made}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (reservation, top_up) = (text(&held["reservation_id"]), text(&top_up["top_up_id"]));
        (Estate { rig, stranger, session, reservation, top_up, key, event }, charger)
    }

    /// What must be in no answer to a stranger.
    fn marks(&self) -> [&str; 9] {
        let own = [&self.session, &self.reservation, &self.top_up, &self.key, &self.event].map(String::as_str);
        [own[0], own[1], own[2], own[3], own[4], CHARGER, "site-it", PARTNER, QUAY]
    }

    /// The path with the owner's names in it, or with names of nothing.
    fn aimed(&self, path: &str, real: bool) -> String {
        let nothing = "00000000-0000-7000-8000-000000000000";
        let pick = |name: &str, none: &str| if real { name.to_owned() } else { none.to_owned() };
        // What is asked for in the query.
        match path {
            "/resolve" => return format!("/resolve?code={}", pick("CP-it*1", "CP-none*1")),
            "/statuses" => return format!("/statuses?site_id={}", pick("site-it", "site-none")),
            _ => {}
        }
        let id = match path.starts_with("/sites") {
            true => pick("site-it", "site-none"),
            false => pick(CHARGER, "CP-none"),
        };
        let aimed = [
            ("{session_id}", pick(&self.session, nothing)),
            ("{order_id}", pick(&self.session, nothing)),
            ("{reservation_id}", pick(&self.reservation, nothing)),
            ("{top_up_id}", pick(&self.top_up, nothing)),
            ("{key_id}", pick(&self.key, "ck_000000000000000000000000")),
            ("{request_id}", pick("it-start-1", "it-none")),
            ("{user_id}", pick("user-it", "user-none")),
            ("{connector_id}", "1".to_owned()),
            ("{statement_id}", pick("2026-01-02", "2026-01-03")),
            ("{name}", pick(QUAY, "none-quay")),
            ("{id}", id),
        ];
        let aimed = aimed.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
        assert!(!aimed.contains('{'), "{path}: say in this test what its parameter is");
        aimed
    }

    /// A body that the call would take from the owner.
    fn body(&self, path: &str, name: &str, real: bool) -> Value {
        let charger = if real { CHARGER } else { "CP-none" };
        let event = if real { self.event.as_str() } else { "evt-none" };
        let more = match path {
            "/sessions" | "/reservations" => {
                json!({"charger_id": charger, "connector_id": 2, "user": {"id": "user-it"}})
            }
            "/reservations/{reservation_id}/complaint" => json!({"kind": "other"}),
            "/orders/{order_id}/extend" => json!({"amount": 100}),
            "/orders/{order_id}/contest" => json!({"text": "it was not me"}),
            "/statements/{statement_id}/orders/{order_id}/dispute" => json!({"reason": "not mine"}),
            "/webhook/replay" | "/webhooks/endpoints/{name}/replay" => json!({"event_ids": [event]}),
            "/webhooks/endpoints" => {
                let site = if real { "site-it" } else { "site-none" };
                json!({"name": "mine", "url": "http://127.0.0.1:9/", "sites": [site]})
            }
            "/users/{user_id}/top-ups" => json!({"amount": {"minor": 100, "currency": "CNY"}}),
            "/users/{user_id}/debts/pay" => json!({"order_id": self.session}),
            "/keys/{key_id}/networks" => json!({"networks": ["192.0.2.0/24"]}),
            _ => json!({}),
        };
        let mut body = json!({"request_id": name});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    }

    async fn ask(&self, verb: &str, path: &str, name: &str, real: bool) -> (u16, Value) {
        let body = if verb == "GET" { Value::Null } else { self.body(path, name, real) };
        self.rig.signed(&self.stranger, verb, &self.aimed(path, real), &body).await
    }

    /// All that the owner and the operators see of it.
    async fn seen(&self) -> Value {
        let partner = self.rig.partner();
        let mut seen = Vec::new();
        for path in [
            format!("/sessions/{}", self.session),
            format!("/orders/{}", self.session),
            format!("/reservations/{}", self.reservation),
            format!("/users/user-it/top-ups/{}", self.top_up),
            "/users/user-it/account".to_owned(),
            "/sessions".to_owned(),
            "/reservations".to_owned(),
        ] {
            seen.push(partner.get(&path).await.unwrap().unwrap_or_else(|| panic!("{path} is gone")));
        }
        let mut keys = partner.get("/keys").await.unwrap().unwrap();
        for key in keys["items"].as_array_mut().unwrap() {
            key["last_used_at"] = Value::Null;
        }
        seen.push(keys);
        let endpoints = partner.get("/webhooks/endpoints").await.unwrap().unwrap();
        // What is tried meanwhile is told beside.
        let set = ["name", "url", "events", "sites", "paused", "enabled"];
        let endpoints = endpoints["items"].as_array().unwrap().iter();
        let endpoints: Vec<_> = endpoints.map(|endpoint| set.map(|member| endpoint[member].clone())).collect();
        seen.push(json!({"endpoints": endpoints}));
        // Time passes for a session that goes on.
        seen.iter_mut().for_each(timeless);
        json!(seen)
    }
}

#[tokio::test]
async fn a_stranger_sees_and_touches_nothing_of_another_partner_by_any_call() {
    let (estate, _charger) = Estate::made().await;
    let before = estate.seen().await;
    // These tell of the stranger's own things, whatever is in the path: users are named by partners, each its own.
    let own = |path: &str| path.starts_with("/users/") && !path.contains("{top_up_id}");
    let mut aimed = 0;
    for (n, (verb, path)) in estate.rig.calls().await.into_iter().enumerate() {
        let (status, answer) = estate.ask(&verb, &path, &format!("real-{n}"), true).await;
        assert!(status < 500, "{verb} {path}: {status} {answer}");
        if status < 300 {
            let text = answer.to_string();
            let found: Vec<_> = estate.marks().into_iter().filter(|mark| text.contains(mark)).collect();
            assert!(found.is_empty(), "{verb} {path} tells a stranger of {found:?}: {answer}");
            assert!(!path.contains('{') || own(&path), "{verb} {path} is open to a stranger: {answer}");
            continue;
        }
        let (none, nothing) = estate.ask(&verb, &path, &format!("none-{n}"), false).await;
        let code = &answer["error"]["code"];
        assert_eq!((none, &nothing["error"]["code"]), (status, code), "{verb} {path}: it must look like nothing");
        aimed += usize::from(path.contains('{'));
    }
    assert!(aimed > 15, "only {aimed} calls named something of the owner's");
    assert_eq!(estate.seen().await, before, "and nothing was touched");
    let own = estate.rig.signed(&estate.stranger, "GET", "/events", &Value::Null).await.1;
    assert!(estate.marks().iter().all(|mark| !own.to_string().contains(mark)), "{own}");
}
