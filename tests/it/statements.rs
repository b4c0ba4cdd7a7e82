//! Statements from outside: orders are settled, stated, downloaded and compared, confirmed, one is disputed and corrected by a
//! line of a later statement, all of it settled; over kills, and by a stranger's eyes (RC-3, RC-4).

use crate::charger::Charger;
use crate::rig::{BINARY, CHARGER, PARTNER, Rig, texts};
use loadtest::partner::{Key, http_client, sign};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, Instant};

/// What is to happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(20);

struct Town {
    rig: Rig,
    key: Key,
}

/// What came of a signed call.
struct Answer {
    status: u16,
    digest: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

impl Town {
    /// A partner that settles by itself, ten yuan a kWh; a cut is made a second later.
    async fn start() -> Town {
        let change = |text: &str| {
            format!("[session]\nmax_power_w = 10000000\n\n[statement]\nsettle = \"1s\"\nretry = \"1s\"\n\n{text}")
        };
        let rig = Rig::start_with("http://127.0.0.1:9/", change).await;
        let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [{"name": "flat",
            "from": "00:00", "to": "24:00", "electricity": 50_000, "service": 50_000}]});
        rig.order("ada", "PUT", "/tariffs/flat", &tariff).await;
        rig.order("ada", "POST", "/tariffs/flat/roll-out", &json!({"version": 1})).await;
        let key = rig.operator().make_key(PARTNER).await.unwrap();
        Town { rig, key }
    }

    /// A signed call, again while a fresh server cannot know nonces.
    async fn call(&self, key: &Key, verb: &str, path: &str, body: Option<&Value>) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.once(key, verb, path, body).await;
            if answer.status != 503 || begun.elapsed() > PATIENCE {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn once(&self, key: &Key, verb: &str, path: &str, body: Option<&Value>) -> Answer {
        let (target, body) = (format!("/api/v1{path}"), body.map(ToString::to_string).unwrap_or_default());
        let nonce = uuid::Uuid::now_v7();
        // A version 7 id begins with the time.
        let (unix, _) = nonce.get_timestamp().unwrap().to_unix();
        let nonce = nonce.simple().to_string();
        let signed = sign(key, verb, &target, body.as_bytes(), i64::try_from(unix).unwrap(), &nonce);
        let url = format!("http://127.0.0.1:{}{target}", self.rig.server.ports().partner);
        let http = http_client(Duration::from_secs(20)).unwrap();
        let call = http.request(verb.parse().unwrap(), url).header("content-type", "application/json").body(body);
        let call = call.header("x-chargeline-key", signed.key).header("x-chargeline-timestamp", signed.timestamp);
        let call = call.header("x-chargeline-nonce", signed.nonce).header("x-chargeline-signature", signed.signature);
        let answer = call.send().await.unwrap();
        let digest = answer.headers().get("x-content-sha256").map(|it| it.to_str().unwrap().to_owned());
        let (status, digest) = (answer.status().as_u16(), digest.unwrap_or_default());
        Answer { status, digest, text: answer.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call(&self.key, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.call(&self.key, "POST", path, Some(body)).await;
        (answer.status, answer.json())
    }

    /// A whole session of so many Wh, settled; its order's id.
    async fn charge(&self, charger: &mut Charger, name: &str, wh: i64) -> String {
        let body = json!({"request_id": name, "charger_id": CHARGER, "connector_id": 1, "user": {"id": "u-secret"}});
        let (status, answer) = self.post("/sessions", &body).await;
        assert_eq!(status, 202, "{answer}");
        let id = answer["session_id"].as_str().unwrap().to_owned();
        let (transaction, _) = charger.begin(1, 1_000).await;
        charger.stop(transaction, 1_000 + wh).await;
        charger.status(1, "Available").await;
        let begun = Instant::now();
        loop {
            let order = self.rig.partner().get(&format!("/orders/{id}")).await.unwrap().unwrap_or_default();
            if order["status"] == "Paid" {
                return id;
            }
            assert!(begun.elapsed() < PATIENCE, "never paid: {order}\n{}", self.rig.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the open period; its statement's id.
    async fn cut(&self) -> String {
        let cut = self.rig.order("ada", "POST", &format!("/partners/{PARTNER}/statements/cut"), &json!({})).await;
        cut["statement_id"].as_str().unwrap().to_owned()
    }

    /// The statement, once it is made.
    async fn made(&self, id: &str) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.call(&self.key, "GET", &format!("/statements/{id}"), None).await;
            if answer.status == 200 {
                return answer.json();
            }
            assert!(begun.elapsed() < PATIENCE, "never made: {}\n{}", answer.text, self.rig.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Both files, each with the digest that is stated.
    async fn files(&self, view: &Value) -> [String; 2] {
        let mut texts = Vec::new();
        for format in ["csv", "json"] {
            let path = format!("/statements/{}/{format}", view["statement_id"].as_str().unwrap());
            let file = self.call(&self.key, "GET", &path, None).await;
            assert_eq!(file.status, 200, "{path}: {}", file.text);
            let digest = hex::encode(Sha256::digest(file.text.as_bytes()));
            assert_eq!((&view[format]["sha256"], &file.digest), (&digest.as_str().into(), &digest), "{path}");
            assert_eq!(view[format]["bytes"], file.text.len());
            assert!(!file.text.contains("u-secret"), "no user in a statement");
            texts.push(file.text);
        }
        texts.try_into().unwrap()
    }

    fn admin(&self, arguments: &[&str]) -> String {
        let token = self.rig.path("operator.token").display().to_string();
        let url = format!("http://127.0.0.1:{}", self.rig.server.ports().operator);
        let reach = ["--operator", "ada", "--url", &url, "--token-file", &token];
        let output = self.rig.admin(&[arguments, &reach].concat());
        let (out, error) = texts(&output);
        assert!(output.status.success(), "{BINARY} {arguments:?}: {out}{error}");
        out
    }

    /// One order is agreed to, the other is not; each once, however often it is said.
    async fn disagrees(&self, id: &str, first: &str, second: &str) {
        let of = |order: &str, what: &str| format!("/statements/{id}/orders/{order}/{what}");
        assert_eq!(self.post(&of(first, "confirm"), &json!({"request_id": "c-1"})).await.0, 200);
        let dispute = json!({"request_id": "d-1", "reason": "6 kWh by our meter"});
        for _ in 0..3 {
            let (status, answer) = self.post(&of(second, "dispute"), &dispute).await;
            assert_eq!((status, &answer["disputes_open"]), (200, &1.into()), "{answer}");
        }
        let other = json!({"request_id": "d-1", "reason": "another"});
        assert_eq!(self.post(&of(second, "dispute"), &other).await.1["error"]["code"], "request_id_conflict");
        let again = json!({"request_id": "d-2", "reason": "again"});
        assert_eq!(self.post(&of(second, "dispute"), &again).await.1["error"]["code"], "dispute_exists");
        let unknown = of("00000000-0000-7000-8000-000000000000", "dispute");
        assert_eq!(
            self.post(&unknown, &json!({"request_id": "d-3", "reason": "x"})).await.1["error"]["code"],
            "order_not_stated"
        );
        let (status, answer) = self.post(&format!("/statements/{id}/confirm"), &json!({"request_id": "c-2"})).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &"statement_disputed".into()));
    }

    /// The partner was right: a correction, which is a line of the next statement. The rest is settled.
    async fn comes_to_terms(&self, id: &str, second: &str, files: &[String; 2]) {
        let out =
            self.admin(&["statement", "resolve", PARTNER, id, second, "--note", "you are right", "--service", "-100"]);
        assert!(out.contains("0 are open"), "{out}");
        assert_eq!(self.post(&format!("/statements/{id}/confirm"), &json!({"request_id": "c-3"})).await.0, 200);
        let amount = json!({"minor": 1_080, "currency": "CNY"});
        let paper = json!({"request_id": "p-1", "kind": "payment", "reference": "bank-7", "amount": amount});
        assert_eq!(self.post(&format!("/statements/{id}/papers"), &paper).await.0, 200);
        self.admin(&["statement", "paper", PARTNER, id, "invoice", "--reference", "I-1", "--minor", "1080"]);
        self.admin(&["statement", "settle", PARTNER, id, "--note", "thanks"]);
        let settled = self.get(&format!("/statements/{id}")).await;
        assert_eq!(
            (&settled["status"], &settled["settled"]["corrected"][0]["minor"]),
            (&"settled".into(), &(-100).into()),
            "{settled}"
        );
        assert_eq!(settled["papers"].as_array().unwrap().len(), 2);
        assert_eq!(self.files(&settled).await, *files, "not a byte has changed");
        let tickets = self.rig.ops("/ops/v1/tickets").await;
        assert!(
            !tickets["items"]
                .as_array()
                .unwrap()
                .iter()
                .any(|it| it["code"] == "statement_disputed" && it["state"] == "open")
        );
    }
}

#[tokio::test]
async fn orders_are_stated_disputed_corrected_and_settled_over_kills() {
    let mut town = Town::start().await;
    let began = crate::charger::now();
    let rule = json!({"from": began, "shares": [{"party": PARTNER, "share": 1000}], "remainder": "operator"});
    town.rig.order("ada", "PUT", &format!("/revenue-rules/{PARTNER}"), &rule).await;
    let mut charger = town.rig.charger().await;
    let first = town.charge(&mut charger, "s-1", 500).await;
    let second = town.charge(&mut charger, "s-2", 700).await;

    // The process ends between the cut and the statement.
    let id = town.cut().await;
    town.rig.server.kill().await.unwrap();
    town.rig.again().await;
    let view = town.made(&id).await;
    assert_eq!((&view["status"], &view["lines"]), (&"stated".into(), &2.into()), "{view}");
    let total = &view["totals"][0];
    assert_eq!((&total["total"], &total["orders"], &total["energy_wh"]), (&1_200.into(), &2.into(), &1_200.into()));
    assert_eq!((&total["shares"][1]["minor"], &view["balance"][0]["minor"]), (&120.into(), &1_080.into()), "{view}");
    let files = town.files(&view).await;
    assert_eq!(files[0].lines().count(), 3);
    let lines = town.get(&format!("/statements/{id}/lines?limit=1")).await;
    assert_eq!(
        (&lines["items"][0]["order_id"], &lines["items"][0]["shares"][0]["minor"]),
        (&first.as_str().into(), &50.into())
    );
    let rest = town
        .get(&format!("/statements/{id}/lines?cursor={}", lines["next"].as_str().unwrap().replace('/', "%2F")))
        .await;
    assert_eq!(rest["items"][0]["order_id"], second.as_str());
    let now = crate::charger::now();
    let settled = town.get(&format!("/orders?from={began}&to={now}")).await;
    let ids: Vec<&str> =
        settled["items"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [first.as_str(), second.as_str()]);

    town.disagrees(&id, &first, &second).await;
    town.rig.server.kill().await.unwrap();
    town.rig.again().await;
    let tickets = town.rig.ops("/ops/v1/tickets").await;
    let ticket = tickets["items"].as_array().unwrap().iter().find(|it| it["code"] == "statement_disputed").unwrap();
    assert_eq!(ticket["state"], "open", "{ticket}");
    let disputes = town.rig.ops(&format!("/ops/v1/partners/{PARTNER}/statements/{id}/disputes")).await;
    assert_eq!(disputes["items"][0]["ticket"], ticket["id"], "the dispute names its ticket");

    town.comes_to_terms(&id, &second, &files).await;
    let next = town.cut().await;
    let corrected = town.made(&next).await;
    assert_eq!(
        (&corrected["lines"], &corrected["totals"][0]["corrections"], &corrected["totals"][0]["total"]),
        (&1.into(), &1.into(), &(-100).into())
    );
    assert!(town.files(&corrected).await[0].contains("you are right"));
    let pushed: Vec<String> =
        town.rig.partner().events().await.unwrap().into_iter().map(|event| event.event_type).collect();
    for kind in [
        "statement.ready",
        "statement.disputed",
        "statement.dispute_resolved",
        "statement.confirmed",
        "statement.paper",
        "statement.settled",
    ] {
        assert!(pushed.iter().any(|it| it == kind), "{kind}: {pushed:?}");
    }
}

#[tokio::test]
async fn a_stranger_sees_no_statement_and_no_line_of_another() {
    let town = Town::start().await;
    let mut charger = town.rig.charger().await;
    let order = town.charge(&mut charger, "s-1", 500).await;
    let id = town.cut().await;
    let view = town.made(&id).await;
    assert_eq!(view["lines"], 1);
    let operator = town.rig.operator();
    operator.put_partner("stranger", "http://127.0.0.1:9/").await.unwrap();
    let stranger = operator.make_key("stranger").await.unwrap();
    for path in ["", "/lines", "/disputes", "/csv", "/json"] {
        let answer = town.call(&stranger, "GET", &format!("/statements/{id}{path}"), None).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &"statement_unknown".into()), "{path}");
    }
    let body = json!({"request_id": "x-1", "reason": "x"});
    let answer = town.call(&stranger, "POST", &format!("/statements/{id}/orders/{order}/dispute"), Some(&body)).await;
    assert_eq!(answer.status, 404);
    // A statement of its own of the same name: the order is not in it.
    let cut = town.rig.order("ada", "POST", "/partners/stranger/statements/cut", &json!({})).await;
    let own = cut["statement_id"].as_str().unwrap();
    let begun = Instant::now();
    let answer = loop {
        let answer = town.call(&stranger, "GET", &format!("/statements/{own}"), None).await;
        if answer.status == 200 {
            break answer.json();
        }
        assert!(begun.elapsed() < PATIENCE, "never made\n{}", town.rig.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&answer["lines"], &answer["status"]), (&0.into(), &"settled".into()));
    let cursor = format!("{PARTNER}%2F0");
    for path in [format!("/statements?cursor={cursor}"), format!("/statements/{own}/lines?cursor={cursor}")] {
        assert_eq!(town.call(&stranger, "GET", &path, None).await.status, 400, "{path}");
    }
    assert_eq!(town.call(&stranger, "GET", "/statements", None).await.json()["items"].as_array().unwrap().len(), 1);
}
