//! Idempotency under fire (EM-5, P1): a hundred copies of each write of the partner API at the same time, a kill in the midst of
//! them, and a restart: one effect, one answer.

use crate::charger::{Charger, now};
use crate::open::unlimited;
use crate::rig::{CHARGER, PARTNER, Rig};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

const COPIES: usize = 100;

/// One write: what it is in the document, where it goes, what it says besides its name.
struct Shot {
    path: String,
    body: Value,
    /// What is answered; `None`: some refusal, the same for all.
    status: Option<u16>,
}

/// A server, its charger, and the writes that were fired at it.
struct Range {
    rig: Rig,
    charger: Charger,
    fired: BTreeSet<&'static str>,
}

impl Range {
    async fn open() -> Range {
        let rig = Rig::start_with("http://127.0.0.1:9/", unlimited).await;
        let charger = rig.charger().await;
        Range { rig, charger, fired: BTreeSet::new() }
    }

    fn shot(&mut self, route: &'static str, id: (&str, &str), more: &Value, status: Option<u16>) -> Shot {
        self.fired.insert(route);
        let mut body = json!({"request_id": format!("fire-{}", uuid::Uuid::new_v4().simple())});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let path = route.replace(id.0, id.1).replace("{order_id}", "00000000-0000-7000-8000-000000000000");
        Shot { path, body, status }
    }

    /// The one answer to all copies, many of which meet a server that is killed after the first. `until`: what else is waited
    /// for before that.
    async fn fire_until<T>(&mut self, shot: Shot, until: impl AsyncFnOnce(&mut Charger) -> T) -> (Value, T) {
        let mut copies = JoinSet::new();
        for _ in 0..COPIES {
            let mut client = self.rig.partner().clone();
            client.set_patience(Duration::from_secs(60));
            let (path, body) = (shot.path.clone(), shot.body.clone());
            copies.spawn(async move { client.post(&path, &body).await.unwrap() });
        }
        let first = copies.join_next().await.unwrap().unwrap();
        let expected = shot.status.map_or((400..500).contains(&first.0), |status| first.0 == status);
        assert!(expected, "{}: {} {}", shot.path, first.0, first.1);
        let seen = until(&mut self.charger).await;
        self.rig.server.kill().await.unwrap();
        self.rig.again().await;
        let mut answers = 1;
        while let Some(answer) = copies.join_next().await {
            assert_eq!(told(answer.unwrap()), told(first.clone()), "{}: another answer", shot.path);
            answers += 1;
        }
        assert_eq!(answers, COPIES);
        self.charger = self.rig.connect().await;
        (first.1, seen)
    }

    async fn fire(&mut self, route: &'static str, id: (&str, &str), more: &Value, status: Option<u16>) -> Value {
        let shot = self.shot(route, id, more, status);
        self.fire_until(shot, async |_: &mut Charger| ()).await.0
    }

    async fn count(&self, path: &str) -> usize {
        let list = self.rig.partner().get(path).await.unwrap().unwrap();
        list["items"].as_array().unwrap().len()
    }

    /// A session from its start to its end.
    async fn charging(&mut self) -> String {
        let start = self.shot("/sessions", NO_ID, &at(1), Some(202));
        let asked = async |charger: &mut Charger| charger.asked("RemoteStartTransaction").await;
        let (session, command) = self.fire_until(start, asked).await;
        let session = session["session_id"].as_str().unwrap().to_owned();
        assert_eq!(self.count("/sessions").await, 1, "one of a hundred");
        let payload = json!({"connectorId": 1, "idTag": command["idTag"], "meterStart": 0, "timestamp": now()});
        let transaction = self.charger.start(&payload).await;
        self.rig.session(&session, "it charges", |session| session.status == "Charging").await;
        let order = ("{order_id}", session.as_str());
        // Nothing is owed yet and nobody has an account: refused, a hundred times alike.
        self.fire("/orders/{order_id}/extend", order, &json!({"amount": 100}), None).await;
        self.fire("/orders/{order_id}/pay", order, &json!({}), None).await;
        self.fire("/orders/{order_id}/contest", order, &json!({"text": "too much"}), None).await;
        self.fire("/sessions/{session_id}/stop", ("{session_id}", &session), &json!({}), Some(202)).await;
        self.charger.stop(transaction, 2000).await;
        self.rig.session(&session, "it has ended", |session| session.status == "Ended").await;
        session
    }

    async fn reserving(&mut self) {
        for (route, more) in [
            ("/reservations/{reservation_id}/cancel", json!({})),
            ("/reservations/{reservation_id}/complaint", json!({"kind": "other"})),
        ] {
            let held = self.fire("/reservations", NO_ID, &at(2), Some(202)).await;
            let held = held["reservation_id"].as_str().unwrap();
            self.fire(route, ("{reservation_id}", held), &more, Some(202)).await;
            self.charger.status(2, "Available").await;
        }
        assert_eq!(self.count("/reservations").await, 2, "one of each hundred");
    }

    async fn keys(&mut self) {
        let before = self.count("/keys").await;
        let made = self.fire("/keys", NO_ID, &json!({}), Some(201)).await;
        let id = ("{key_id}", made["key_id"].as_str().unwrap());
        let rotated = self.fire("/keys/{key_id}/rotate", id, &json!({}), Some(201)).await;
        assert_eq!(self.count("/keys").await, before + 2, "one of each hundred");
        let id = ("{key_id}", rotated["key_id"].as_str().unwrap());
        self.fire("/keys/{key_id}/networks", id, &json!({"networks": ["192.0.2.7"]}), Some(200)).await;
        self.fire("/keys/{key_id}/revoke", id, &json!({}), Some(200)).await;
    }

    async fn endpoints(&mut self, event: &str) {
        let set = json!({"name": "west", "url": "http://127.0.0.1:9/west"});
        let made = self.fire("/webhooks/endpoints", NO_ID, &set, Some(201)).await;
        assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
        assert_eq!(self.count("/webhooks/endpoints").await, 2, "one of a hundred");
        let west = ("{name}", "west");
        self.fire("/webhooks/endpoints/{name}", west, &json!({"events": ["session.ended"]}), Some(200)).await;
        let again = json!({"event_ids": [event]});
        for (route, more, status) in [
            ("/webhooks/endpoints/{name}/secret", json!({"overlap_s": 60}), 201),
            ("/webhooks/endpoints/{name}/verify", json!({}), 202),
            ("/webhooks/endpoints/{name}/pause", json!({}), 202),
            ("/webhooks/endpoints/{name}/resume", json!({}), 202),
            ("/webhooks/endpoints/{name}/test", json!({}), 202),
            ("/webhooks/endpoints/{name}/replay", again, 202),
            ("/webhooks/endpoints/{name}/remove", json!({}), 200),
        ] {
            self.fire(route, west, &more, Some(status)).await;
        }
        assert_eq!(self.count("/webhooks/endpoints").await, 1);
    }

    /// There is no statement of that day: refused, a hundred times alike.
    async fn statements(&mut self) {
        let day = ("{statement_id}", "2026-01-02");
        let reason = json!({"reason": "too much"});
        self.fire("/statements/{statement_id}/confirm", day, &json!({}), None).await;
        self.fire("/statements/{statement_id}/orders/{order_id}/confirm", day, &json!({}), None).await;
        self.fire("/statements/{statement_id}/orders/{order_id}/dispute", day, &reason, None).await;
        self.fire("/statements/{statement_id}/papers", day, &json!({}), None).await;
    }
}

const NO_ID: (&str, &str) = ("{}", "{}");

fn at(connector: u16) -> Value {
    json!({"charger_id": CHARGER, "connector_id": connector, "user": {"id": "user-it"}})
}

/// An answer without what names the call and not the operation.
fn told((status, mut answer): (u16, Value)) -> (u16, Value) {
    if let Some(error) = answer["error"].as_object_mut() {
        error.remove("trace_id");
    }
    (status, answer)
}

#[tokio::test]
async fn a_hundred_copies_of_each_write_over_a_kill_have_one_effect_and_one_answer() {
    let mut range = Range::open().await;
    let session = range.charging().await;
    range.reserving().await;
    range.keys().await;
    range.statements().await;
    let event = range.rig.partner().events().await.unwrap()[0].id.clone();
    range.fire("/webhook/replay", NO_ID, &json!({"event_ids": [event]}), Some(202)).await;
    range.fire("/webhook/test", NO_ID, &json!({}), Some(202)).await;
    range.fire("/webhook/pause", NO_ID, &json!({}), Some(202)).await;
    range.fire("/webhook/resume", NO_ID, &json!({}), Some(202)).await;
    range.fire("/webhook/subscription", NO_ID, &json!({"events": ["session.ended"]}), Some(202)).await;
    range.endpoints(&event).await;
    let app = json!({"name": "App", "accounts": true});
    range.rig.order("ada", "PUT", &format!("/partners/{PARTNER}"), &app).await;
    let user = ("{user_id}", "user-it");
    let money = json!({"amount": {"minor": 1000, "currency": "CNY"}});
    range.fire("/users/{user_id}/top-ups", user, &money, Some(202)).await;
    let found = range.rig.ops(&format!("/ops/v1/accounts?partner_id={PARTNER}&user_id=user-it")).await;
    let account = range.rig.ops(&format!("/ops/v1/accounts/{}", found["items"][0]["account"].as_str().unwrap())).await;
    assert_eq!(account["top_ups"].as_array().map(Vec::len), Some(1), "one of a hundred: {account}");
    range.fire("/users/{user_id}/debts/pay", user, &json!({"order_id": session}), None).await;

    let calls = range.rig.calls().await;
    let writes: BTreeSet<_> = calls.iter().filter(|(verb, _)| verb != "GET").map(|(_, path)| path.as_str()).collect();
    assert_eq!(range.fired, writes, "every write there is");
}
