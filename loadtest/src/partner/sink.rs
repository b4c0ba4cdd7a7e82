//! The partner's webhook endpoint: verifies, records, answers by script (EM-8, EM-9; faults W1 to W6).
//!
//! Owns what arrived. Invariant: a delivery is in the history before it is answered, with one counter for arrivals and
//! answers, so the checker can tell whether an event overtook its predecessor.

use super::serving::{Serving, bind};
use super::types::{Event, Session};
use crate::history::{History, SinkRecord};
use crate::stats::{Measure, Stats, count};
use crate::time::now_ms;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use standardwebhooks::Webhook;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Event ids remembered for counting attempts; past it the count begins anew.
const SEEN_MAX: usize = 2_000_000;
/// Deliveries and sessions kept for display.
const RECENT_MAX: usize = 64;

/// How deliveries are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SinkMode {
    /// 204 at once.
    #[default]
    Accept,
    /// 204 after this time (W2).
    AnswerAfter(Duration),
    /// This status (W1).
    Fail(u16),
    /// 410: the endpoint wants no more (W4).
    Gone,
    /// 429 with `Retry-After`.
    TooMany {
        /// Seconds.
        retry_after_s: u32,
    },
    /// 500 for so many of a thousand, at random.
    Sometimes {
        /// Of a thousand.
        fail_permille: u32,
    },
}

/// A delivery as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its type.
    pub event_type: String,
    /// Its place within the session.
    pub sequence: Option<u64>,
    /// What it is ordered within.
    pub order_key: String,
    /// When it was created, ms since 1970.
    pub created_ms: i64,
    /// When it arrived, ms since 1970.
    pub arrived_ms: i64,
    /// How often this id came so far.
    pub attempt: u32,
    /// Whether its signature held.
    pub verified: bool,
    /// What it was answered with.
    pub answer: u16,
    /// What it told.
    pub data: serde_json::Value,
}

#[derive(Debug)]
struct Inner {
    secrets: Vec<String>,
    steps: VecDeque<(usize, SinkMode)>,
    mode: SinkMode,
    rng: SmallRng,
    attempts: HashMap<String, u32>,
    counter: u64,
    recent: VecDeque<Received>,
    sessions: BTreeMap<String, (i64, Session)>,
    unverified: u64,
    accepted: u64,
    challenges: u64,
    last_arrival_ms: i64,
}

#[derive(Debug, Clone)]
struct Shared {
    inner: Arc<Mutex<Inner>>,
    history: History,
    stats: Arc<Stats>,
}

/// A running sink; ends when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Shared,
    serving: Mutex<Option<Serving>>,
}

impl Sink {
    /// Listens at `listen` (port 0: any).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, seed: u64, history: History, stats: Arc<Stats>) -> anyhow::Result<Sink> {
        let listener = bind(listen).await?;
        let address = listener.local_addr()?;
        let inner = Inner {
            secrets: Vec::new(),
            steps: VecDeque::new(),
            mode: SinkMode::Accept,
            rng: SmallRng::seed_from_u64(seed),
            attempts: HashMap::new(),
            counter: 0,
            recent: VecDeque::new(),
            sessions: BTreeMap::new(),
            unverified: 0,
            accepted: 0,
            challenges: 0,
            last_arrival_ms: 0,
        };
        let shared = Shared { inner: Arc::new(Mutex::new(inner)), history, stats };
        let serving = Mutex::new(Some(Serving::start(listener, shared.app())?));
        Ok(Sink { address, shared, serving })
    }

    fn serving(&self) -> MutexGuard<'_, Option<Serving>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses connections from now on, as a dead process does; what is under way is still answered.
    pub fn go_down(&self) {
        if let Some(serving) = self.serving().take() {
            serving.go_down();
        }
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    /// When somebody else has taken it.
    pub async fn come_up(&self) -> anyhow::Result<()> {
        if self.serving().is_some() {
            return Ok(());
        }
        let listener = bind(self.address).await?;
        *self.serving() = Some(Serving::start(listener, self.shared.app())?);
        Ok(())
    }

    /// Where deliveries go.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The secrets (`whsec_…`) of which one must have signed.
    pub fn set_secrets(&self, secrets: Vec<String>) {
        self.shared.lock().secrets = secrets;
    }

    /// How deliveries are answered from now on.
    pub fn set_mode(&self, mode: SinkMode) {
        self.shared.lock().mode = mode;
    }

    /// Answers the next deliveries by these steps (how many, how), before the mode holds again.
    pub fn script(&self, steps: impl IntoIterator<Item = (usize, SinkMode)>) {
        self.shared.lock().steps.extend(steps);
    }

    /// The newest deliveries, newest first.
    pub fn recent(&self) -> Vec<Received> {
        self.shared.lock().recent.iter().rev().cloned().collect()
    }

    /// The sessions last heard of, with the moment of the last news, newest last.
    pub fn sessions(&self) -> Vec<(i64, Session)> {
        let mut all: Vec<_> = self.shared.lock().sessions.values().cloned().collect();
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// Deliveries answered with 2xx, and those whose signature did not hold.
    pub fn counts(&self) -> (u64, u64) {
        let inner = self.shared.lock();
        (inner.accepted, inner.unverified)
    }

    /// Challenges that were given back.
    pub fn challenges(&self) -> u64 {
        self.shared.lock().challenges
    }

    /// When the last delivery arrived, ms since 1970; 0 before the first.
    pub fn last_arrival_ms(&self) -> i64 {
        self.shared.lock().last_arrival_ms
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn app(&self) -> Router {
        Router::new().route("/hook", post(deliver)).with_state(self.clone())
    }
}

impl Shared {
    /// Gives a challenge back, whoever signed it: it comes at once, and the secret only with the answer to the call that set the
    /// endpoint. Nothing follows from it here.
    fn challenged(&self, event: &Event) -> Response {
        self.lock().challenges += 1;
        Json(serde_json::json!({"challenge": event.data["challenge"]})).into_response()
    }
}

impl Inner {
    fn next_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn verified(&self, headers: &HeaderMap, body: &[u8], event: &Event) -> bool {
        let signed = self.secrets.iter().any(|s| Webhook::new(s).is_ok_and(|w| w.verify(body, headers).is_ok()));
        signed && headers.get("webhook-id").is_some_and(|id| id.as_bytes() == event.id.as_bytes())
    }

    fn attempt(&mut self, id: &str) -> u32 {
        if self.attempts.len() >= SEEN_MAX {
            self.attempts.clear();
        }
        let attempt = self.attempts.entry(id.to_owned()).or_insert(0);
        *attempt += 1;
        *attempt
    }

    fn next_mode(&mut self) -> SinkMode {
        match self.steps.front_mut() {
            Some((left, mode)) => {
                let mode = *mode;
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.steps.pop_front();
                }
                mode
            }
            None => self.mode,
        }
    }

    fn remember(&mut self, event: &Event, received: Received) {
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(received);
        let about_session = event.event_type.starts_with("session.") && event.data["status"].is_string();
        if let (true, Ok(session)) = (about_session, serde_json::from_value::<Session>(event.data.clone())) {
            self.sessions.insert(session.session_id.clone(), (now_ms(), session));
        }
        if self.sessions.len() > RECENT_MAX {
            let over = self.sessions.iter().min_by_key(|(_, (at, s))| (!s.is_over(), *at)).map(|(id, _)| id.clone());
            over.map(|id| self.sessions.remove(&id));
        }
    }
}

async fn deliver(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let arrived_ms = now_ms();
    count(&shared.stats.deliveries);
    let Ok(event) = serde_json::from_slice::<Event>(&body) else {
        shared.lock().unverified += 1;
        return StatusCode::BAD_REQUEST.into_response();
    };
    if event.event_type == "webhook.verification" {
        return shared.challenged(&event);
    }
    let (arrival, attempt, verified, mode, chance) = {
        let mut inner = shared.lock();
        inner.last_arrival_ms = arrived_ms;
        let verified = inner.verified(&headers, &body, &event);
        inner.unverified += u64::from(!verified);
        let chance: u32 = inner.rng.random_range(0..1_000);
        (inner.next_number(), inner.attempt(&event.id), verified, inner.next_mode(), chance)
    };
    if attempt == 1 {
        measure(&shared, &event, arrived_ms);
    }
    let (status, retry_after_s) = match mode {
        _ if !verified => (StatusCode::UNAUTHORIZED, None),
        SinkMode::Accept => (StatusCode::NO_CONTENT, None),
        SinkMode::AnswerAfter(wait) => {
            tokio::time::sleep(wait).await;
            (StatusCode::NO_CONTENT, None)
        }
        SinkMode::Fail(status) => (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), None),
        SinkMode::Gone => (StatusCode::GONE, None),
        SinkMode::TooMany { retry_after_s } => (StatusCode::TOO_MANY_REQUESTS, Some(retry_after_s)),
        SinkMode::Sometimes { fail_permille } if chance < fail_permille => (StatusCode::INTERNAL_SERVER_ERROR, None),
        SinkMode::Sometimes { .. } => (StatusCode::NO_CONTENT, None),
    };
    let received = Received {
        event_type: event.event_type.clone(),
        sequence: event.sequence,
        order_key: event.order_key.clone().unwrap_or_default(),
        created_ms: event.created_ms(),
        arrived_ms,
        attempt,
        verified,
        answer: status.as_u16(),
        data: event.data.clone(),
    };
    note(&shared, &event, received, arrival);
    let mut response = status.into_response();
    if let Some(s) = retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(s));
    }
    response
}

fn measure(shared: &Shared, event: &Event, arrived_ms: i64) {
    let took = Duration::from_millis(arrived_ms.saturating_sub(event.created_ms()).max(0).unsigned_abs());
    shared.stats.record(Measure::CreatedToDelivered, took);
    if let ("session.started", Some(session_id)) = (event.event_type.as_str(), event.session_id()) {
        shared.stats.session_started(session_id);
    }
}

fn note(shared: &Shared, event: &Event, received: Received, arrival: u64) {
    let mut inner = shared.lock();
    inner.accepted += u64::from((200..300).contains(&received.answer));
    let answered = inner.next_number();
    // Written under the lock, so that the lines stand in the order of the counter.
    shared.history.write(SinkRecord::Delivery {
        event_id: event.id.clone(),
        event_type: event.event_type.clone(),
        order_key: received.order_key.clone(),
        sequence: event.sequence,
        session_id: event.session_id().map(str::to_owned),
        attempt: received.attempt,
        verified: received.verified,
        answer: received.answer,
        arrival,
        answered,
        created_ms: received.created_ms,
        arrived_ms: received.arrived_ms,
    });
    inner.remember(event, received);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Stamped;
    use serde_json::json;

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    async fn sink() -> Sink {
        let listen = "127.0.0.1:0".parse().unwrap();
        let sink = Sink::start(listen, 1, History::memory(), Arc::new(Stats::default())).await.unwrap();
        sink.set_secrets(vec!["whsec_b3RoZXI=".into(), SECRET.into()]);
        sink
    }

    async fn push(sink: &Sink, id: &str, header_id: &str, secret: &str) -> (u16, Option<String>) {
        let session = json!({"session_id": "s1", "charger_id": "CP-1", "status": "Charging", "energy_wh": 5});
        let body = json!({"id": id, "type": "session.started", "timestamp": "2026-01-02T03:04:05.678Z",
                          "order_key": "session/s1", "sequence": 1, "data": session})
        .to_string();
        let at = now_ms() / 1_000;
        let signature = Webhook::new(secret).unwrap().sign(header_id, at, body.as_bytes()).unwrap();
        let client = super::super::http_client(Duration::from_secs(5)).unwrap();
        let request = client.post(sink.url()).body(body);
        let request = request.header("webhook-id", header_id).header("webhook-timestamp", at.to_string());
        let answer = request.header("webhook-signature", signature).send().await.unwrap();
        let retry = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        (answer.status().as_u16(), retry)
    }

    #[tokio::test]
    async fn a_signed_delivery_is_recorded_and_accepted() {
        let sink = sink().await;
        assert_eq!(push(&sink, "evt_1", "evt_1", SECRET).await.0, 204);
        assert_eq!(push(&sink, "evt_1", "evt_1", SECRET).await.0, 204);
        assert_eq!(sink.recent()[0].attempt, 2);
        assert_eq!(sink.sessions()[0].1.energy_wh, 5);
        assert_eq!(sink.counts(), (2, 0));
        let records: Vec<Stamped<SinkRecord>> = sink.shared.history.records();
        let SinkRecord::Delivery { arrival, answered, verified, .. } = &records[0].it;
        assert!(*verified && (*arrival, *answered) == (1, 2));
    }

    #[tokio::test]
    async fn a_wrong_secret_and_a_foreign_id_are_found() {
        let sink = sink().await;
        assert_eq!(push(&sink, "evt_1", "evt_1", "whsec_d3Jvbmc=").await.0, 401);
        assert_eq!(push(&sink, "evt_1", "evt_2", SECRET).await.0, 401);
        assert_eq!(sink.counts(), (0, 2));
    }

    #[tokio::test]
    async fn a_challenge_comes_back_and_is_no_delivery() {
        let sink = sink().await;
        let ask = async |secret: &str| {
            let body = json!({"id": "whv_1", "type": "webhook.verification", "timestamp": "2026-01-02T03:04:05.678Z",
                              "data": {"challenge": "abc"}})
            .to_string();
            let at = now_ms() / 1_000;
            let signature = Webhook::new(secret).unwrap().sign("whv_1", at, body.as_bytes()).unwrap();
            let request = super::super::http_client(Duration::from_secs(5)).unwrap().post(sink.url()).body(body);
            let request = request.header("webhook-id", "whv_1").header("webhook-timestamp", at.to_string());
            let answer = request.header("webhook-signature", signature).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        sink.set_mode(SinkMode::Fail(500));
        assert_eq!(ask(SECRET).await, (200, json!({"challenge": "abc"}).to_string()));
        assert_eq!(ask("whsec_d3Jvbmc=").await.0, 200);
        assert_eq!((sink.challenges(), sink.counts(), sink.recent().len()), (2, (0, 0), 0));
    }

    #[tokio::test]
    async fn one_that_is_down_refuses_and_comes_up_at_the_same_address() {
        let sink = sink().await;
        let ask = || async {
            let client = super::super::http_client(Duration::from_secs(5)).unwrap();
            client.post(sink.url()).body("{}").send().await.map(|r| r.status().as_u16()).ok()
        };
        assert_eq!(ask().await, Some(400));
        sink.go_down();
        for _ in 0..100 {
            if ask().await.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(ask().await, None);
        sink.come_up().await.unwrap();
        assert_eq!(ask().await, Some(400));
    }

    #[tokio::test]
    async fn answers_follow_the_script() {
        let sink = sink().await;
        sink.script([(1, SinkMode::Fail(500)), (1, SinkMode::TooMany { retry_after_s: 7 }), (1, SinkMode::Gone)]);
        sink.set_mode(SinkMode::AnswerAfter(Duration::from_millis(1)));
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(push(&sink, "evt_1", "evt_1", SECRET).await);
        }
        assert_eq!(answers, [(500, None), (429, Some("7".into())), (410, None), (204, None)]);
    }
}
