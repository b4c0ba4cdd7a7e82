//! A company becomes a partner, from outside (EM-1): it applies, amends, is approved, takes its credentials, and is suspended; over
//! kills, with a hundred copies of each write. And the whole way of `examples/partner/native.py`, which knows the published
//! documents and public libraries only.

use crate::rig::{CHARGER, Rig};
use loadtest::partner::{Key, http_client};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

const TOKEN: &str = "Kd83jfhQ2mZx7Lp0VbN4sTy6WcR1gHua";
/// Copies of a write at the same time.
const COPIES: usize = 100;

fn form(company: &str) -> Value {
    let contact = |role: &str| json!({"role": role, "name": "Wang Li", "phone": "+86 139 1234 5678", "email": "li@partner.example"});
    json!({"company": company, "credit_code": "91110000600037341L", "webhook_url": "http://127.0.0.1:9/hook",
        "contacts": [contact("business"), contact("technical")], "scopes": ["query", "control"]})
}

/// A call of an applicant's.
async fn ask(port: u16, verb: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("http://127.0.0.1:{port}/api/v1/applications{path}");
    let http = http_client(Duration::from_secs(20)).unwrap();
    let call = http.request(verb.parse().unwrap(), url).bearer_auth(TOKEN).header("content-type", "application/json");
    let Ok(answer) = call.body(body.to_string()).send().await else { return (0, Value::Null) };
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// The same until the server says something that binds.
async fn insist(port: u16, verb: &str, path: &str, body: &Value) -> (u16, Value) {
    let begun = Instant::now();
    loop {
        let answer = ask(port, verb, path, body).await;
        if ![0, 429, 503, 504].contains(&answer.0) || begun.elapsed() > Duration::from_secs(60) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A hundred copies, a kill after the first answer, a restart: one answer to all.
async fn fire(rig: &mut Rig, path: &str, body: &Value) -> (u16, Value) {
    let port = rig.server.ports().partner;
    let mut copies = JoinSet::new();
    for _ in 0..COPIES {
        let (path, body) = (path.to_owned(), body.clone());
        copies.spawn(async move { insist(port, "POST", &path, &body).await });
    }
    let first = copies.join_next().await.unwrap().unwrap();
    rig.server.kill().await.unwrap();
    rig.again().await;
    while let Some(answer) = copies.join_next().await {
        assert_eq!(answer.unwrap(), first, "{path}");
    }
    first
}

#[tokio::test]
async fn a_company_becomes_a_partner_and_nobody_but_itself_sees_its_secrets() {
    let many = |text: &str| crate::open::unlimited(text).replace("[api]\n", "[api]\napplications_per_hour = 10000\n");
    let mut rig = Rig::start_with("http://127.0.0.1:9/", many).await;
    let port = rig.server.ports().partner;
    let apply = json!({"request_id": "apply-1", "access_token": TOKEN, "application": form("Example Ltd.")});
    let (status, applied) = fire(&mut rig, "", &apply).await;
    assert_eq!((status, &applied["stage"]), (201, &json!("waiting")), "{applied}");
    let id = applied["application_id"].as_str().unwrap().to_owned();
    let listed = rig.ops("/ops/v1/applications?stage=waiting").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "one of a hundred copies: {listed}");
    let path = format!("/{id}");
    let claim = json!({"request_id": "claim-1"});
    let early = insist(port, "POST", &format!("{path}/credentials"), &claim).await;
    assert_eq!((early.0, &early.1["error"]["code"]), (409, &json!("application_open")), "{early:?}");

    let admin = |arguments: &[&str]| {
        let url = format!("http://127.0.0.1:{}", rig.server.ports().operator);
        let token = rig.path("operator.token").display().to_string();
        let output = rig.admin(&[&["--url", &url, "--token-file", &token], arguments].concat());
        let (out, error) = crate::rig::texts(&output);
        assert!(output.status.success(), "{arguments:?}: {out}{error}");
        out
    };
    admin(&["partner", "application", "return", &id, "--reason", "which company is it?"]);
    let (_, seen) = insist(port, "GET", &path, &Value::Null).await;
    let last = seen["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&seen["stage"], &last["reason"]), (&json!("returned"), &json!("which company is it?")), "{seen}");
    assert!(last["by"].is_null(), "operators are not named to applicants: {seen}");
    let amend = json!({"request_id": "amend-1", "application": form("Example Charging Ltd.")});
    assert_eq!(insist(port, "PUT", &path, &amend).await.0, 200);
    let shown = rig.ops(&format!("/ops/v1/applications/{id}")).await;
    assert_eq!((&shown["stage"], &shown["contacts"][0]["name"]), (&json!("waiting"), &json!("Wang Li")), "{shown}");
    admin(&["partner", "application", "approve", &id, "--sites", "site-it"]);

    let claim = json!({"request_id": "claim-2"});
    let (status, taken) = fire(&mut rig, &format!("{path}/credentials"), &claim).await;
    assert_eq!((status, &taken["partner_id"]), (201, &json!(id)), "{taken}");
    assert!(taken["webhook_secret"].as_str().unwrap().starts_with("whsec_"), "{taken}");
    let again = insist(port, "POST", &format!("{path}/credentials"), &json!({"request_id": "claim-3"})).await;
    assert_eq!((again.0, &again.1["error"]["code"]), (409, &json!("credentials_gone")), "{again:?}");
    let partner = rig.ops(&format!("/ops/v1/partners/{id}")).await;
    assert_eq!(partner["keys"].as_array().unwrap().len(), 1, "one of a hundred copies: {partner}");
    let secret = taken["secret"].as_str().unwrap();
    assert!(!partner.to_string().contains(secret) && !rig.log().contains(secret), "nobody else sees it");

    let key = Key { key_id: taken["key_id"].as_str().unwrap().to_owned(), secret: secret.to_owned() };
    suspended(&rig, &id, &key).await;
}

/// A suspended partner begins nothing new, and ends what it has begun.
async fn suspended(rig: &Rig, id: &str, key: &Key) {
    let mut charger = rig.charger().await;
    let start = |request: &str, connector: u16| json!({"request_id": request, "charger_id": CHARGER, "connector_id": connector, "user": {"id": "u-1"}});
    let (status, begun) = rig.signed(key, "POST", "/sessions", &start("start-1", 1)).await;
    assert_eq!(status, 202, "{begun}");
    let (transaction, _) = charger.begin(1, 1_000).await;
    let path = format!("/partners/{id}/suspend");
    rig.order("ada", "POST", &path, &json!({"reason": "unpaid statements"})).await;
    let (status, refused) = rig.signed(key, "POST", "/sessions", &start("start-2", 2)).await;
    assert_eq!((status, &refused["error"]["code"]), (403, &json!("partner_suspended")), "{refused}");
    assert!(refused.to_string().contains("unpaid statements"), "the reason is told: {refused}");
    let reserve = json!({"request_id": "hold-1", "charger_id": CHARGER, "connector_id": 2, "user": {"id": "u-2"}});
    let (_, refused) = rig.signed(key, "POST", "/reservations", &reserve).await;
    assert_eq!(refused["error"]["code"], "partner_suspended", "{refused}");
    let token = json!({"status": "Accepted", "partner_id": id, "user_id": "u-3"});
    rig.order("ada", "PUT", "/tokens/CARD3", &token).await;
    let told = charger.call("Authorize", json!({"idTag": "CARD3"})).await;
    assert_eq!(told["idTagInfo"]["status"], "Blocked", "{told}");

    let session = begun["session_id"].as_str().unwrap();
    let (status, stopped) =
        rig.signed(key, "POST", &format!("/sessions/{session}/stop"), &json!({"request_id": "s-1"})).await;
    assert_eq!(status, 202, "what runs can be stopped: {stopped}");
    charger.stop(transaction, 2_000).await;
    rig.order("ada", "POST", &format!("/partners/{id}/resume"), &json!({})).await;
    let told = charger.call("Authorize", json!({"idTag": "CARD3"})).await;
    assert_eq!(told["idTagInfo"]["status"], "Accepted", "{told}");
    let (status, again) = rig.signed(key, "POST", "/sessions", &start("start-3", 2)).await;
    assert_eq!(status, 202, "{again}");
}

/// The Python that has the examples' packages: that of the peers' environment, or the system's.
fn python() -> String {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/python");
    let candidates = [peers.display().to_string(), "python3".to_owned()];
    let works = |python: &&String| {
        let asked = std::process::Command::new(python).args(["-c", "import standardwebhooks"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    candidates
        .iter()
        .find(works)
        .cloned()
        .expect("Python with the package `standardwebhooks` (tests/peers/requirements.txt)")
}

#[tokio::test]
async fn a_partner_that_knows_the_documents_only_goes_the_whole_way() {
    let change = |text: &str| {
        let quick = "[session]\nmax_power_w = 10000000\n\n[statement]\nsettle = \"1s\"\nretry = \"1s\"\n\n";
        quick.to_owned() + text
    };
    let rig = Rig::start_with("http://127.0.0.1:9/", change).await;
    let tariff = json!({"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [{"name": "flat",
        "from": "00:00", "to": "24:00", "electricity": 50_000, "service": 50_000}]});
    rig.order("ada", "PUT", "/tariffs/flat", &tariff).await;
    rig.order("ada", "POST", "/tariffs/flat/roll-out", &json!({"version": 1})).await;
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = json!({"url": format!("http://127.0.0.1:{}", rig.server.ports().partner), "listen": listen,
        "application": {"company": "Example Charging Ltd.", "credit_code": "91110000600037341L", "contacts": form("")["contacts"],
            "webhook_url": format!("http://127.0.0.1:{listen}/hook")}});
    let file = rig.path("native.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/partner/native.py");
    let mut command = tokio::process::Command::new(python());
    command.arg(script).arg(&file).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut example = command.spawn().unwrap();
    let (mut out, mut errors) = (example.stdout.take().unwrap(), example.stderr.take().unwrap());
    let said = async {
        let (mut text, mut error) = (String::new(), String::new());
        let (read, failed) = tokio::join!(out.read_to_string(&mut text), errors.read_to_string(&mut error));
        read.and(failed).unwrap();
        (text, error)
    };
    let (text, error) = tokio::select! {
        said = said => said,
        () = async { other_side(&rig).await; std::future::pending().await } => unreachable!("the example ends the test"),
        () = tokio::time::sleep(Duration::from_secs(90)) => panic!("it does not end\n{}", rig.log()),
    };
    assert!(text.lines().last() == Some("done"), "{text}\n{error}\n{}", rig.log());
}

/// What the operator and the charger do while the example runs.
async fn other_side(rig: &Rig) {
    let mut charger = rig.charger().await;
    let id = loop {
        let listed = rig.ops("/ops/v1/applications?stage=waiting").await;
        if let Some(id) = listed["items"][0]["application_id"].as_str() {
            break id.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    rig.order("ada", "POST", &format!("/applications/{id}/approve"), &json!({"sites": "all"})).await;
    let (transaction, _) = charger.begin(1, 1_000).await;
    charger.status(1, "Charging").await;
    charger.asked("RemoteStopTransaction").await;
    charger.stop(transaction, 1_005).await;
    charger.status(1, "Available").await;
    // The day's statement, without waiting for the night.
    loop {
        let orders = rig.ops("/ops/v1/orders").await;
        if orders["items"].as_array().unwrap().iter().any(|order| order["status"] == "Paid") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.order("ada", "POST", &format!("/partners/{id}/statements/cut"), &json!({})).await;
}
