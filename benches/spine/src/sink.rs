//! A partner's endpoint, as lean as it can be: it notes how long each event was on its way. Owns the gate that holds answers
//! back; never checks a signature (the load test's sink does).

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use loadtest::time::{now_ms, parse_rfc3339};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Debug, Clone)]
struct Shared {
    arrivals: Arc<Mutex<Vec<(Instant, f64)>>>,
    gate: watch::Receiver<bool>,
    wait: Duration,
}

/// A listening endpoint.
pub(crate) struct Sink {
    /// Where events go.
    pub(crate) url: String,
    shared: Shared,
    gate: watch::Sender<bool>,
}

impl Sink {
    /// Listens at any port; answers after `wait`.
    pub(crate) async fn start(wait: Duration) -> anyhow::Result<Sink> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let (gate, opened) = watch::channel(true);
        let shared = Shared { arrivals: Arc::default(), gate: opened, wait };
        let app = Router::new().route("/hook", post(deliver)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Sink { url, shared, gate })
    }

    /// Whether events are answered; while not, they wait.
    pub(crate) fn open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// When each event came and how many milliseconds it was on its way; forgets them.
    pub(crate) fn take(&self) -> Vec<(Instant, f64)> {
        std::mem::take(&mut *self.shared.lock())
    }

    /// How many came since the last [`Sink::take`].
    pub(crate) fn count(&self) -> usize {
        self.shared.lock().len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, f64)>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn deliver(State(mut shared): State<Shared>, body: Bytes) -> Response {
    let arrived = now_ms();
    if let Some(challenge) = challenge(&body) {
        return challenge.into_response();
    }
    // An error means that the bench ends.
    let _ = shared.gate.wait_for(|open| *open).await;
    tokio::time::sleep(shared.wait).await;
    let text = String::from_utf8_lossy(&body);
    let created = text.split_once(r#""timestamp":""#).and_then(|(_, rest)| parse_rfc3339(rest.split('"').next()?));
    let Some(created) = created else { return StatusCode::BAD_REQUEST.into_response() };
    shared.lock().push((Instant::now(), (arrived - created) as f64));
    StatusCode::NO_CONTENT.into_response()
}

/// What has to come back before anything else is sent here. It is no event.
fn challenge(body: &[u8]) -> Option<String> {
    const TYPE: &[u8] = br#""type":"webhook.verification""#;
    let asked = body.windows(TYPE.len()).any(|part| part == TYPE);
    let event: serde_json::Value = serde_json::from_slice(body).ok().filter(|_| asked)?;
    event["data"]["challenge"].as_str().map(str::to_owned)
}
