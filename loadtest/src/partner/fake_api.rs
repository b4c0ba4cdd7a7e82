//! A small partner API that checks signatures its own way, for the client's tests.

use super::*;
use crate::history::{History, PartnerRecord, Stamped, WriteKind};
use crate::stats::Stats;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Api {
    nonces: HashSet<String>,
    sessions: HashMap<String, (Value, String)>,
    seen: Vec<String>,
    fail_first: usize,
    hang_first: usize,
}

/// Recomputes the tag from the documentation's six lines, joined here by hand.
fn verified(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8], api: &mut Api) -> bool {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let lines = [
        "v1".to_owned(),
        method.as_str().to_uppercase(),
        uri.to_string(),
        Sha256::digest(body).iter().map(|b| format!("{b:02x}")).collect(),
        header("x-chargeline-timestamp"),
        header("x-chargeline-nonce"),
    ];
    let mut mac = Hmac::<Sha256>::new_from_slice(b"cs_secret").unwrap();
    mac.update(lines.join("\n").as_bytes());
    let tag = header("x-chargeline-signature").strip_prefix("v1=").map(|t| hex::decode(t).unwrap()).unwrap_or_default();
    let nonce = header("x-chargeline-nonce");
    let alphabet = nonce.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    mac.verify_slice(&tag).is_ok() && (16..=64).contains(&nonce.len()) && alphabet && api.nonces.insert(nonce)
}

async fn serve(
    State(api): State<Arc<Mutex<Api>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (mut hang, answer) = {
        let mut api = api.lock().unwrap();
        if !verified(&method, &uri, &headers, &body, &mut api) {
            return (StatusCode::UNAUTHORIZED, json!({"error": {"code": "bad_signature"}}).to_string()).into_response();
        }
        api.seen.push(format!("{method} {uri}"));
        (None, answer(&method, &uri, &body, &mut api))
    };
    {
        let mut api = api.lock().unwrap();
        if api.hang_first > 0 {
            api.hang_first -= 1;
            hang = Some(Duration::from_secs(60));
        }
    }
    if let Some(hang) = hang {
        tokio::time::sleep(hang).await;
    }
    (answer.0, answer.1.to_string()).into_response()
}

fn answer(method: &Method, uri: &Uri, body: &[u8], api: &mut Api) -> (StatusCode, Value) {
    if api.fail_first > 0 {
        api.fail_first -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, json!({"error": {"code": "unavailable"}}));
    }
    if method == Method::GET {
        let second = uri.query().unwrap_or_default().contains("cursor=two");
        let id = if second { "s2" } else { "s1" };
        let item = json!({"session_id": id, "charger_id": "CP-1", "status": "Ended", "transaction_id": "17"});
        let next = if second { Value::Null } else { json!("two") };
        return (StatusCode::OK, json!({"items": [item], "next": next}));
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    let request_id = body["request_id"].as_str().unwrap().to_owned();
    if body["charger_id"] == "gone" {
        return (StatusCode::NOT_FOUND, json!({"error": {"code": "charger_unknown"}}));
    }
    let fresh = format!("s{}", api.sessions.len() + 1);
    let (_, session) = api.sessions.entry(request_id).or_insert((body, fresh));
    (StatusCode::ACCEPTED, json!({"session_id": session, "status": "Starting"}))
}

async fn api() -> (PartnerClient, Arc<Mutex<Api>>, History) {
    let api = Arc::new(Mutex::new(Api::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/api/v1", listener.local_addr().unwrap());
    let app = Router::new().fallback(serve).with_state(api.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let key = Key { key_id: "ck_1".into(), secret: "cs_secret".into() };
    let history = History::memory();
    let stats = Arc::new(Stats::default());
    let client = PartnerClient::new(&base, key, history.clone(), stats, Duration::from_secs(2)).unwrap();
    (client, api, history)
}

fn start(request_id: &str, charger_id: &str) -> StartCall {
    let (request_id, charger_id) = (request_id.to_owned(), charger_id.to_owned());
    StartCall { request_id, charger_id, connector_id: 1, user_id: "u1".into() }
}

fn accepted(session_id: &str) -> Outcome {
    Outcome::Accepted { session_id: session_id.to_owned() }
}

#[tokio::test]
async fn a_start_is_signed_so_that_an_independent_check_agrees() {
    let (client, api, history) = api().await;
    assert_eq!(client.start(&start("r1", "CP-1")).await, accepted("s1"));
    assert_eq!(client.stop("r2", "s1").await, accepted("s2"));
    assert_eq!(api.lock().unwrap().seen, ["POST /api/v1/sessions", "POST /api/v1/sessions/s1/stop"]);
    let records: Vec<Stamped<PartnerRecord>> = history.records();
    assert!(matches!(records[0].it, PartnerRecord::Invoke { kind: WriteKind::Start, .. }));
    assert!(matches!(records[1].it, PartnerRecord::Ok { attempts: 1, .. }));
}

#[tokio::test]
async fn a_start_answered_503_is_repeated_under_the_same_id() {
    let (client, api, history) = api().await;
    api.lock().unwrap().fail_first = 2;
    assert_eq!(client.start(&start("r1", "CP-1")).await, accepted("s1"));
    assert_eq!(api.lock().unwrap().sessions.len(), 1);
    let records: Vec<Stamped<PartnerRecord>> = history.records();
    assert!(matches!(records[1].it, PartnerRecord::Ok { attempts: 3, .. }), "{records:?}");
}

#[tokio::test]
async fn a_refusal_binds_and_silence_is_unknown() {
    let (mut client, api, history) = api().await;
    let refused = Outcome::Refused { http: 404, code: "charger_unknown".into() };
    assert_eq!(client.start(&start("r1", "gone")).await, refused);
    api.lock().unwrap().hang_first = 100;
    client = client.with_try_max(Duration::from_millis(200)).unwrap();
    assert!(matches!(client.start(&start("r2", "CP-1")).await, Outcome::Unknown { .. }));
    assert_eq!(api.lock().unwrap().sessions.len(), 1, "it did happen, and it stays one");
    let records: Vec<Stamped<PartnerRecord>> = history.records();
    assert!(matches!(records[3].it, PartnerRecord::Unknown { .. }), "{records:?}");
}

#[tokio::test]
async fn a_listing_is_read_to_its_last_page_with_queries_signed() {
    let (client, api, _) = api().await;
    let sessions = client.sessions().await.unwrap();
    assert_eq!(sessions.iter().map(|s| s.session_id.as_str()).collect::<Vec<_>>(), ["s1", "s2"]);
    assert_eq!(sessions[0].transaction_id, Some(17), "an id in quotes is read too");
    assert_eq!(api.lock().unwrap().seen.len(), 2);
}
