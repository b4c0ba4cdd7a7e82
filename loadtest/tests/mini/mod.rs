//! A charging platform in miniature, in memory, for testing the load test itself. It keeps the promises that the checker
//! judges, except those that a test tells it to break.
#![allow(clippy::unwrap_used, reason = "test code: a panic here fails the test")]

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{any, get, post, put};
use axum::{Json, Router};
use futures_util::{SinkExt, StreamExt};
use loadtest::fleet::Endpoints;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

/// A promise to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breaks {
    Nothing,
    EveryFifthEventIsLost,
    RepeatedStartsGetNewIds,
}

pub(crate) struct Platform {
    breaks: Breaks,
    sessions: Vec<Value>,
    tags: HashMap<String, usize>,
    starts: HashMap<String, i64>,
    operations: HashMap<String, Value>,
    events: Vec<Value>,
    pushes: mpsc::Sender<Value>,
    chargers: HashMap<String, mpsc::Sender<String>>,
    calls: HashMap<String, usize>,
    webhook: Option<String>,
    waiting: u64,
}

pub(crate) type Mini = Arc<Mutex<Platform>>;

impl Platform {
    fn emit(&mut self, session: usize, event_type: &str) {
        let data = self.sessions[session].clone();
        let key = format!("session/{}", data["session_id"].as_str().unwrap());
        let sequence = self.events.iter().filter(|e| e["order_key"] == key.as_str()).count() + 1;
        let number = self.events.len() + 1;
        let event = json!({"id": format!("evt_{number}"), "type": event_type, "order_key": key, "sequence": sequence,
                           "timestamp": loadtest::time::rfc3339(loadtest::time::now_ms()), "partner_id": "p", "data": data});
        self.events.push(event.clone());
        if self.breaks != Breaks::EveryFifthEventIsLost || !number.is_multiple_of(5) {
            self.waiting += 1;
            self.pushes.try_send(event).unwrap();
        }
    }

    fn call(&mut self, charger: &str, action: &str, payload: &Value, session: usize) {
        let id = format!("srv-{}", self.calls.len());
        self.calls.insert(id.clone(), session);
        if let Some(line) = self.chargers.get(charger) {
            let _ = line.try_send(json!([2, id, action, payload]).to_string());
        }
    }

    fn finish(&mut self, session: usize, status: &str, event_type: &str) {
        self.sessions[session]["status"] = json!(status);
        let id = self.sessions[session]["session_id"].clone();
        let outcome = if status == "Failed" { "Failed" } else { "Succeeded" };
        self.operations.values_mut().filter(|o| o["session_id"] == id).for_each(|o| o["status"] = json!(outcome));
        self.emit(session, event_type);
    }

    fn new_session(&mut self, charger: &str, connector: &Value, request_id: Value) -> usize {
        let id = format!("ses_{}", self.sessions.len() + 1);
        self.sessions.push(json!({"session_id": id, "request_id": request_id, "charger_id": charger,
            "connector_id": connector, "status": "Starting", "energy_wh": 0, "duration_s": 0, "flags": []}));
        self.sessions.len() - 1
    }

    fn called(&mut self, charger: &str, action: &str, p: &Value) -> Value {
        match action {
            "BootNotification" => json!({"status": "Accepted", "interval": 60}),
            "Authorize" => json!({"idTagInfo": {"status": "Accepted"}}),
            "StartTransaction" => {
                let same = format!("{charger} {p}");
                let fresh = i64::try_from(self.starts.len()).unwrap() + 1;
                let known = self.starts.get(&same).copied().filter(|_| self.breaks != Breaks::RepeatedStartsGetNewIds);
                let id = known.unwrap_or(fresh);
                if known.is_none() {
                    self.starts.insert(format!("{same}{}", if self.starts.contains_key(&same) { "'" } else { "" }), id);
                    let tag = p["idTag"].as_str().unwrap().to_owned();
                    let session = self.tags.remove(&tag);
                    let session = session.unwrap_or_else(|| self.new_session(charger, &p["connectorId"], Value::Null));
                    self.sessions[session]["transaction_id"] = json!(id);
                    self.sessions[session]["meter_start_wh"] = p["meterStart"].clone();
                    self.finish(session, "Charging", "session.started");
                }
                json!({"transactionId": id, "idTagInfo": {"status": "Accepted"}})
            }
            "StopTransaction" => {
                let here = |s: &Value| s["transaction_id"] == p["transactionId"] && s["charger_id"] == charger;
                let open = self.sessions.iter().position(|s| here(s) && s["status"] != "Ended");
                if let Some(i) = open {
                    let from = self.sessions[i]["meter_start_wh"].as_i64().unwrap();
                    self.sessions[i]["energy_wh"] = json!(p["meterStop"].as_i64().unwrap() - from);
                    self.finish(i, "Ended", "session.ended");
                }
                json!({})
            }
            _ => json!({}),
        }
    }

    fn answered(&mut self, id: &str, status: &Value) {
        let Some(session) = self.calls.get(id).copied() else { return };
        if status == "Rejected" && self.sessions[session]["status"] == "Starting" {
            self.finish(session, "Failed", "session.failed");
        }
    }
}

/// Starts the platform; both APIs share one port.
pub(crate) async fn start(breaks: Breaks) -> Endpoints {
    let (pushes, queue) = mpsc::channel(100_000);
    let platform = Platform {
        breaks,
        sessions: vec![],
        tags: HashMap::new(),
        starts: HashMap::new(),
        operations: HashMap::new(),
        events: vec![],
        pushes,
        chargers: HashMap::new(),
        calls: HashMap::new(),
        webhook: None,
        waiting: 0,
    };
    let mini = Arc::new(Mutex::new(platform));
    tokio::spawn(push(mini.clone(), queue));
    let ocpp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ocpp_at, http_at) = (ocpp.local_addr().unwrap(), http.local_addr().unwrap());
    let app = routes(mini.clone());
    tokio::spawn(async move { axum::serve(http, app).await.unwrap() });
    tokio::spawn(async move {
        loop {
            let (stream, _) = ocpp.accept().await.unwrap();
            tokio::spawn(socket(mini.clone(), stream));
        }
    });
    Endpoints {
        ocpp: format!("ws://{ocpp_at}/ocpp"),
        partner: format!("http://{http_at}/api/v1"),
        operator: format!("http://{http_at}"),
        operator_token: "token".into(),
    }
}

async fn push(mini: Mini, mut queue: mpsc::Receiver<Value>) {
    let client = loadtest::partner::http_client(Duration::from_secs(5)).unwrap();
    let signer = standardwebhooks::Webhook::new(SECRET).unwrap();
    while let Some(event) = queue.recv().await {
        let body = event.to_string();
        let id = event["id"].as_str().unwrap();
        loop {
            let url = mini.lock().unwrap().webhook.clone().unwrap();
            let at = loadtest::time::now_ms() / 1_000;
            let signature = signer.sign(id, at, body.as_bytes()).unwrap();
            let request = client.post(url).header("webhook-id", id).header("webhook-timestamp", at);
            let answer = request.header("webhook-signature", signature).body(body.clone()).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        mini.lock().unwrap().waiting -= 1;
    }
}

#[allow(clippy::result_large_err, reason = "the shape that the handshake callback has")]
async fn socket(mini: Mini, stream: TcpStream) {
    let mut charger = String::new();
    let named = |request: &Request, mut response: Response| {
        charger = request.uri().path().rsplit('/').next().unwrap().to_owned();
        response.headers_mut().insert("sec-websocket-protocol", "ocpp1.6".parse().unwrap());
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, named).await else { return };
    let (line, mut calls) = mpsc::channel(64);
    mini.lock().unwrap().chargers.insert(charger.clone(), line);
    loop {
        let text = tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => text.to_string(),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            Some(call) = calls.recv() => {
                if socket.send(Message::text(call)).await.is_err() { return }
                continue;
            }
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        let id = frame[1].as_str().unwrap();
        if frame[0] == 2 {
            let answer = mini.lock().unwrap().called(&charger, frame[2].as_str().unwrap(), &frame[3]);
            if socket.send(Message::text(json!([3, id, answer]).to_string())).await.is_err() {
                return;
            }
        } else {
            mini.lock().unwrap().answered(id, &frame[2]["status"]);
        }
    }
}

type Answer = (StatusCode, Json<Value>);

fn routes(mini: Mini) -> Router {
    Router::new()
        .route("/readyz", get(async || StatusCode::OK))
        .route("/ops/v1/sites/{id}", put(async || StatusCode::OK))
        .route("/ops/v1/chargers/{id}", put(async || StatusCode::OK))
        .route("/ops/v1/tokens/{id}", put(async || StatusCode::OK))
        .route("/ops/v1/partners/{id}", put(partner))
        .route("/ops/v1/partners/{id}/keys", post(async || Json(json!({"key_id": "ck_1", "secret": "cs_1"}))))
        .route("/ops/v1/partners/{id}/webhook/secret", post(async || Json(json!({"secret": SECRET}))))
        .route("/ops/v1/partners/{id}/webhook", get(queue))
        .route("/ops/v1/sessions", get(sessions))
        .route("/api/v1/sessions", post(start_session).get(sessions))
        .route("/api/v1/sessions/{id}/stop", post(stop_session))
        .route("/api/v1/operations/{id}", get(operation))
        .route("/api/v1/events", get(events))
        .fallback(any(async || StatusCode::NOT_FOUND))
        .with_state(mini)
}

async fn partner(State(mini): State<Mini>, Json(body): Json<Value>) -> StatusCode {
    mini.lock().unwrap().webhook = body["webhook"]["url"].as_str().map(str::to_owned);
    StatusCode::OK
}

async fn queue(State(mini): State<Mini>) -> Json<Value> {
    Json(json!({"queue_depth": mini.lock().unwrap().waiting, "oldest_age_s": 0}))
}

async fn sessions(State(mini): State<Mini>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let open = query.contains_key("open");
    let over = |s: &Value| s["status"] == "Ended" || s["status"] == "Failed";
    let all = mini.lock().unwrap().sessions.clone();
    Json(json!({"items": all.into_iter().filter(|s| !open || !over(s)).collect::<Vec<_>>()}))
}

async fn events(State(mini): State<Mini>, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let from: usize = query.get("after").map_or(0, |a| a.parse().unwrap());
    let all = mini.lock().unwrap().events.clone();
    Json(json!({"items": all.get(from..).unwrap_or_default(), "next": all.len().to_string()}))
}

async fn operation(State(mini): State<Mini>, Path(id): Path<String>) -> Answer {
    match mini.lock().unwrap().operations.get(&id) {
        Some(operation) => (StatusCode::OK, Json(operation.clone())),
        None => (StatusCode::NOT_FOUND, Json(Value::Null)),
    }
}

async fn start_session(State(shared): State<Mini>, Json(body): Json<Value>) -> Answer {
    let mut mini = shared.lock().unwrap();
    let charger = body["charger_id"].as_str().unwrap();
    let at = |s: &&Value| s["charger_id"] == charger && s["connector_id"] == body["connector_id"];
    let busy = mini.sessions.iter().filter(at).any(|s| s["status"] != "Ended" && s["status"] != "Failed");
    if busy {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": {"code": "connector_busy"}})));
    }
    let session = mini.new_session(charger, &body["connector_id"], body["request_id"].clone());
    let tag = format!("R{session}");
    mini.tags.insert(tag.clone(), session);
    let id = mini.sessions[session]["session_id"].clone();
    let request_id = body["request_id"].as_str().unwrap().to_owned();
    let operation = json!({"request_id": request_id, "kind": "start", "status": "Pending", "session_id": id});
    mini.operations.insert(request_id, operation);
    mini.call(charger, "RemoteStartTransaction", &json!({"connectorId": body["connector_id"], "idTag": tag}), session);
    let deadline = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let mut mini = deadline.lock().unwrap();
        if mini.sessions[session]["status"] == "Starting" {
            mini.finish(session, "Failed", "session.failed");
        }
    });
    (StatusCode::ACCEPTED, Json(json!({"session_id": id, "status": "Starting"})))
}

async fn stop_session(State(mini): State<Mini>, Path(id): Path<String>, Json(body): Json<Value>) -> Answer {
    let mut mini = mini.lock().unwrap();
    let session = mini.sessions.iter().position(|s| s["session_id"] == id.as_str()).unwrap();
    let request_id = body["request_id"].as_str().unwrap().to_owned();
    let operation = json!({"request_id": request_id, "kind": "stop", "status": "Succeeded", "session_id": id});
    mini.operations.insert(request_id, operation);
    let (charger, transaction) =
        (mini.sessions[session]["charger_id"].clone(), mini.sessions[session]["transaction_id"].clone());
    if transaction.is_i64() {
        let payload = json!({"transactionId": transaction});
        mini.call(charger.as_str().unwrap(), "RemoteStopTransaction", &payload, session);
    }
    (StatusCode::ACCEPTED, Json(json!({"session_id": id, "status": "StopPending"})))
}
