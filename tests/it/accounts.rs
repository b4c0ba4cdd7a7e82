//! Accounts through the whole server (MO-1, MO-3, MO-6): top-ups by signed callbacks, double payments that go back, adjustments by
//! two people, and books that verify while it runs, after a kill, and when it has stopped.

use crate::rig::{PARTNER, Rig, texts};
use chargeline::clock::{Clock as _, WallClock};
use chargeline::protocol::payment;
use loadtest::partner::{Key, http_client, sign};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct House {
    rig: Rig,
    gateway: MockServer,
    key: Key,
    _secret: tempfile::NamedTempFile,
}

impl House {
    /// A server whose partner's users have accounts, and a payment gateway that takes refunds.
    async fn start() -> House {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), SECRET).unwrap();
        let gateway = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/refunds"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&gateway)
            .await;
        let payments = format!(
            "[payments]\nsecret_file = {:?}\ngateway_url = {:?}\n\n",
            secret.path().display().to_string(),
            gateway.uri()
        );
        let rig = Rig::start_with("http://127.0.0.1:9/", |text| payments + text).await;
        let key = rig.operator().make_key(PARTNER).await.unwrap();
        House { rig, gateway, key, _secret: secret }
    }

    fn open_to_accounts(&self) {
        self.admin("ada", &["partner", "add", PARTNER, "--name", "App", "--accounts", "true"]);
    }

    /// A signed call of the app, repeated while the server says that it can do nothing yet: in its first second it cannot know
    /// which nonces an earlier process has seen.
    async fn app(&self, verb: &str, target: &str, body: Option<Value>) -> (u16, Value) {
        let begun = Instant::now();
        loop {
            let answer = self.try_app(verb, target, body.clone()).await;
            if answer.0 != 503 || begun.elapsed() > Duration::from_secs(10) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn try_app(&self, verb: &str, target: &str, body: Option<Value>) -> (u16, Value) {
        let target = format!("/api/v1{target}");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let nonce = format!("{:032x}", rand_like(&target, &body));
        let signed = sign(&self.key, verb, &target, body.as_bytes(), WallClock.now().as_seconds(), &nonce);
        let url = format!("http://127.0.0.1:{}{target}", self.rig.server.ports().partner);
        let http = http_client(Duration::from_secs(10)).unwrap();
        let answer = http
            .request(verb.parse().unwrap(), url)
            .header("x-chargeline-key", signed.key)
            .header("x-chargeline-timestamp", signed.timestamp)
            .header("x-chargeline-nonce", signed.nonce)
            .header("x-chargeline-signature", signed.signature)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A callback of the gateway, signed with `secret`.
    async fn callback(&self, secret: &str, note: &Value) -> u16 {
        let body = note.to_string().into_bytes();
        let (timestamp, signature) = payment::sign(&SecretString::from(secret.to_owned()), WallClock.now(), &body);
        let url = format!("http://127.0.0.1:{}/payments/v1/callback", self.rig.server.ports().partner);
        let call = http_client(Duration::from_secs(10)).unwrap().post(url).body(body);
        let call = call.header(payment::TIMESTAMP, timestamp).header(payment::SIGNATURE, signature);
        call.send().await.unwrap().status().as_u16()
    }

    /// `chargeline admin` as this operator: what it printed and whether it went well.
    fn admin(&self, operator: &str, arguments: &[&str]) -> (bool, String) {
        // Whoever has a token of their own uses that.
        let own = self.rig.path(&format!("{operator}.token"));
        let token = if own.exists() { own } else { self.rig.path("operator.token") }.display().to_string();
        let url = format!("http://127.0.0.1:{}", self.rig.server.ports().operator);
        let reach = ["--operator", operator, "--url", &url, "--token-file", &token];
        let output = self.rig.admin(&[arguments, &reach].concat());
        let (out, error) = texts(&output);
        (output.status.success(), out + &error)
    }

    async fn balance(&self) -> Value {
        let (status, account) = self.app("GET", "/users/u-1/account", None).await;
        assert_eq!(status, 200, "{account}");
        account
    }

    async fn top_up(&self, request_id: &str, minor: i64) -> (u16, Value) {
        let body = json!({"request_id": request_id, "amount": {"minor": minor, "currency": "CNY"}});
        self.app("POST", "/users/u-1/top-ups", Some(body)).await
    }
}

/// A nonce that differs from call to call.
fn rand_like(target: &str, body: &str) -> u128 {
    use std::hash::{BuildHasher as _, RandomState};
    u128::from(RandomState::new().hash_one((target, body))) << 64 | u128::from(RandomState::new().hash_one(body))
}

fn paid(top_up: &Value, transaction: &str, minor: i64) -> Value {
    json!({"top_up_id": top_up["top_up_id"], "transaction_id": transaction, "status": "paid", "amount_minor": minor,
        "currency": "CNY"})
}

#[tokio::test]
async fn a_top_up_is_credited_once_and_a_second_payment_goes_back() {
    let mut house = House::start().await;
    assert_eq!(house.top_up("t-0", 5_000).await.1["error"]["code"], "accounts_off");
    house.open_to_accounts();
    let (status, top_up) = house.top_up("t-1", 5_000).await;
    assert_eq!((status, &top_up["state"]), (202, &json!("pending")), "{top_up}");
    assert_eq!(house.top_up("t-1", 5_000).await.1, top_up, "the same request_id is the same top-up");
    assert_eq!(house.top_up("t-1", 5_001).await.1["error"]["code"], "request_id_conflict");
    let note = paid(&top_up, "T1", 5_000);
    assert_eq!(house.callback("another secret of 32 characters!!", &note).await, 401);
    assert_eq!(house.balance().await["available"], json!({"minor": 0, "currency": "CNY"}));
    for _ in 0..3 {
        assert_eq!(house.callback(SECRET, &note).await, 200);
    }
    assert_eq!(house.balance().await["available"]["minor"], 5_000);
    house.rig.server.kill().await.unwrap();
    house.rig.again().await;
    assert_eq!(house.callback(SECRET, &note).await, 200);
    assert_eq!(house.balance().await["available"]["minor"], 5_000, "neither lost nor doubled by a kill");
    assert_eq!(house.callback(SECRET, &paid(&top_up, "T2", 5_000)).await, 200);
    let begun = Instant::now();
    while house.gateway.received_requests().await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the second payment never goes back\n{}", house.rig.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked: Value = serde_json::from_slice(&house.gateway.received_requests().await.unwrap()[0].body).unwrap();
    assert_eq!((&asked["transaction_id"], &asked["amount_minor"]), (&json!("T2"), &json!(5_000)));
    let (_, shown) =
        house.app("GET", &format!("/users/u-1/top-ups/{}", top_up["top_up_id"].as_str().unwrap()), None).await;
    assert_eq!((&shown["state"], &shown["transaction_id"]), (&json!("paid"), &json!("T1")));
    let strange = json!({"top_up_id": "01920000-0000-7000-8000-000000000001"});
    assert_eq!(house.callback(SECRET, &paid(&strange, "T9", 1)).await, 200);
    assert_eq!(house.callback(SECRET, &paid(&strange, "T9", 1)).await, 200);
    let tickets = house.rig.ops("/ops/v1/tickets").await;
    let stray = tickets["items"].as_array().unwrap().iter().filter(|ticket| ticket["code"] == "payment_stray").count();
    assert_eq!(stray, 1, "{tickets}");
}

#[tokio::test]
async fn operators_adjust_with_four_eyes_and_the_books_verify() {
    let mut house = House::start().await;
    house.open_to_accounts();
    let (_, top_up) = house.top_up("t-1", 5_000).await;
    house.callback(SECRET, &paid(&top_up, "T1", 5_000)).await;
    let (good, found) = house.admin("ada", &["account", "find", PARTNER, "u-1", "--json"]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!(good && found["items"][0]["user_id"] == "u-1", "{found}");
    let account = found["items"][0]["account"].as_str().unwrap().to_owned();
    let propose = ["account", "propose", &account, "--minor", "-1500", "--reason", "meter", "--json"];
    let (good, proposed) = house.admin("ada", &propose);
    let proposed: Value = serde_json::from_str(&proposed).unwrap();
    let id = proposed["outcome"]["Proposed"]["proposal"].as_str().unwrap().to_owned();
    assert!(good, "{proposed}");
    let approve = ["account", "approve", &account, &id];
    let (good, said) = house.admin("bob", &approve);
    assert!(!good && said.contains("operator_account"), "the installation's token is nobody: {said}");
    for who in ["ada", "bob"] {
        house.rig.token_file(who).await;
    }
    let (good, said) = house.admin("ada", &approve);
    assert!(!good && said.contains("second_person"), "{said}");
    let (good, said) = house.admin("bob", &approve);
    assert!(good && said.contains("adjustment booked"), "{said}");
    house.admin("bob", &["account", "block", &account, "--reason", "fraud"]);
    let balance = house.balance().await;
    assert_eq!((&balance["available"]["minor"], &balance["blocks"][0]["rule"]), (&json!(3_500), &json!("blacklist")));
    assert!(house.admin("bob", &["account", "unblock", &account]).0);
    let (status, entries) = house.app("GET", "/users/u-1/entries?limit=1", None).await;
    assert_eq!((status, &entries["items"][0]["available"]["minor"]), (200, &json!(-1_500)), "{entries}");
    let next = format!("/users/u-1/entries?limit=1&cursor={}", entries["next"].as_str().unwrap().replace('/', "%2F"));
    assert_eq!(house.app("GET", &next, None).await.1["items"][0]["cause"], "payment/T1");
    let books = house.rig.ops("/ops/v1/ledger/verify").await;
    assert_eq!((&books["sound"], &books["entries"]), (&json!(true), &json!(2)), "{books}");
    assert_eq!(books["totals"]["CNY"]["adjustments"], 1_500);
    assert!(house.admin("ada", &["ledger-verify"]).0);
    house.rig.stop().await;
    let verified = house.rig.run(&["ledger", "verify"]);
    let (out, error) = texts(&verified);
    assert!(verified.status.success(), "{out}{error}");
    assert_eq!(out.lines().last(), Some("ledger: 1 accounts, 2 entries: 0 problems"), "{out}");
}
