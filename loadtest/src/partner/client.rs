//! Calls to the partner API, each repeated with the same request id until an answer binds (EM-5).
//!
//! Owns the retries and the history of what was asked. Invariant: a call that got no binding answer is *unknown*, never
//! a failure: a time-out is not a refusal.

use super::sign::{Key, sign};
use super::types::{Event, Operation, Session};
use crate::history::{History, PartnerRecord, WriteKind};
use crate::stats::{Measure, Stats, count};
use crate::time::now_ms;
use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A single try may take this long.
const TRY_MAX: Duration = Duration::from_secs(10);
/// The least and the longest wait between two tries.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Pages read of one listing before it counts as endless.
const PAGES_MAX: usize = 100_000;

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 202.
    Accepted {
        /// The session.
        session_id: String,
    },
    /// Refused for good.
    Refused {
        /// The HTTP status.
        http: u16,
        /// `error.code`.
        code: String,
    },
    /// It may have happened.
    Unknown {
        /// The last error seen.
        reason: String,
    },
}

/// A start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartCall {
    /// The idempotency key.
    pub request_id: String,
    /// The charger.
    pub charger_id: String,
    /// The connector, 1, 2, ….
    pub connector_id: u16,
    /// The partner's user.
    pub user_id: String,
}

/// One partner's access; cheap to clone.
#[derive(Debug, Clone)]
pub struct PartnerClient {
    base: String,
    key: Key,
    http: reqwest::Client,
    history: History,
    stats: Arc<Stats>,
    patience: Duration,
}

enum Try {
    Answer(StatusCode, Value),
    Again { reason: String, wait: Option<Duration> },
}

impl PartnerClient {
    /// A client of `http://host:port/api/v1` that goes on trying one write for `patience`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(
        base: &str,
        key: Key,
        history: History,
        stats: Arc<Stats>,
        patience: Duration,
    ) -> anyhow::Result<PartnerClient> {
        let http = super::http_client(TRY_MAX)?;
        Ok(PartnerClient { base: base.trim_end_matches('/').to_owned(), key, http, history, stats, patience })
    }

    /// The same without the connections that it has.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn afresh(self) -> anyhow::Result<PartnerClient> {
        self.with_try_max(TRY_MAX)
    }

    /// The same with another limit for one try.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn with_try_max(mut self, try_max: Duration) -> anyhow::Result<PartnerClient> {
        self.http = super::http_client(try_max)?;
        Ok(self)
    }

    /// `POST /sessions`.
    pub async fn start(&self, call: &StartCall) -> Outcome {
        self.history.write(PartnerRecord::Invoke {
            request_id: call.request_id.clone(),
            kind: WriteKind::Start,
            charger: Some(call.charger_id.clone()),
            connector: Some(call.connector_id),
            session_id: None,
        });
        let body = json!({
            "request_id": call.request_id,
            "charger_id": call.charger_id,
            "connector_id": call.connector_id,
            "user": {"id": call.user_id},
        });
        self.write(WriteKind::Start, &call.request_id, "/sessions", &body).await
    }

    /// `POST /sessions/{session_id}/stop`.
    pub async fn stop(&self, request_id: &str, session_id: &str) -> Outcome {
        self.history.write(PartnerRecord::Invoke {
            request_id: request_id.to_owned(),
            kind: WriteKind::Stop,
            charger: None,
            connector: None,
            session_id: Some(session_id.to_owned()),
        });
        let path = format!("/sessions/{session_id}/stop");
        self.write(WriteKind::Stop, request_id, &path, &json!({"request_id": request_id})).await
    }

    async fn write(&self, kind: WriteKind, request_id: &str, path: &str, body: &Value) -> Outcome {
        let begun = Instant::now();
        let mut attempts = 0;
        let outcome = loop {
            attempts += 1;
            let (reason, asked) = match self.once(Method::POST, path, Some(body)).await {
                Try::Answer(status, answer) => break bound(status, &answer),
                Try::Again { reason, wait } => (reason, wait),
            };
            let wait = asked.unwrap_or(WAIT.0 * 2u32.saturating_pow(attempts.min(8))).clamp(WAIT.0, WAIT.1);
            if begun.elapsed() + wait > self.patience {
                break Outcome::Unknown { reason };
            }
            tokio::time::sleep(wait).await;
        };
        self.note(kind, request_id, &outcome, begun.elapsed(), attempts);
        outcome
    }

    fn note(&self, kind: WriteKind, request_id: &str, outcome: &Outcome, took: Duration, attempts: u32) {
        let request_id = request_id.to_owned();
        self.history.write(match outcome.clone() {
            Outcome::Accepted { session_id } => {
                let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                PartnerRecord::Ok { request_id, kind, session_id, latency_us, attempts }
            }
            Outcome::Refused { http, code } => PartnerRecord::Fail { request_id, kind, http, code },
            Outcome::Unknown { reason } => PartnerRecord::Unknown { request_id, kind, reason },
        });
        match (kind, outcome) {
            (WriteKind::Start, Outcome::Accepted { session_id }) => {
                count(&self.stats.starts_accepted);
                self.stats.record(Measure::StartAccepted, took);
                self.stats.start_accepted(session_id);
            }
            (WriteKind::Stop, Outcome::Accepted { .. }) => {
                count(&self.stats.stops_accepted);
                self.stats.record(Measure::StopAccepted, took);
            }
            (WriteKind::Start, Outcome::Refused { .. }) => count(&self.stats.starts_refused),
            (WriteKind::Stop, Outcome::Refused { .. }) => {}
            (WriteKind::Start | WriteKind::Stop, Outcome::Unknown { .. }) => count(&self.stats.unknown),
        }
    }

    /// One try, measured.
    async fn once(&self, method: Method, path: &str, body: Option<&Value>) -> Try {
        let (begun, before) = (Instant::now(), self.stats.storming.load(Ordering::Relaxed));
        let tried = self.signed(method, path, body).await;
        let storming = before || self.stats.storming.load(Ordering::Relaxed);
        let measure = if storming { Measure::PartnerCallInStorm } else { Measure::PartnerCall };
        self.stats.record(measure, begun.elapsed());
        tried
    }

    async fn signed(&self, method: Method, path: &str, body: Option<&Value>) -> Try {
        let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let Some(url) = reqwest::Url::parse(&format!("{}{path}", self.base)).ok() else {
            return Try::Answer(StatusCode::BAD_REQUEST, json!({"error": {"code": "bad_url"}}));
        };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let signed = sign(&self.key, method.as_str(), &target, &bytes, now_ms().div_euclid(1_000), &nonce);
        let mut request = self
            .http
            .request(method, url)
            .header("X-Chargeline-Key", signed.key)
            .header("X-Chargeline-Timestamp", signed.timestamp)
            .header("X-Chargeline-Nonce", signed.nonce)
            .header("X-Chargeline-Signature", signed.signature);
        if body.is_some() {
            request = request.header("content-type", "application/json").body(bytes);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Try::Again { reason: format!("{error:#}"), wait: None },
        };
        let status = answer.status();
        let wait = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let text = match answer.text().await {
            Ok(text) => text,
            Err(error) => return Try::Again { reason: format!("answer broken off: {error}"), wait: None },
        };
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            let code = answer["error"]["code"].as_str().unwrap_or("no code");
            self.told_to_wait(status, wait.is_some(), path);
            return Try::Again { reason: format!("{status}: {code}"), wait: wait.map(Duration::from_secs) };
        }
        Try::Answer(status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn told_to_wait(&self, status: StatusCode, how_long: bool, path: &str) {
        match status {
            StatusCode::TOO_MANY_REQUESTS => count(&self.stats.told_too_many),
            StatusCode::SERVICE_UNAVAILABLE => count(&self.stats.told_unavailable),
            _ => return,
        }
        if !how_long {
            count(&self.stats.told_without_wait);
        }
        if path.ends_with("/stop") {
            count(&self.stats.stops_turned_away);
        }
    }

    /// A read that is tried once; whether it was answered.
    pub async fn ask(&self, path: &str) -> bool {
        matches!(self.once(Method::GET, path, None).await, Try::Answer(status, _) if status.is_success())
    }

    /// How long one write is tried.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// A read, tried until `patience` is over; `None` for 404.
    ///
    /// # Errors
    /// When no answer comes or it is a refusal.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let begun = Instant::now();
        loop {
            match self.once(Method::GET, path, None).await {
                Try::Answer(StatusCode::NOT_FOUND, _) => return Ok(None),
                Try::Answer(status, answer) if status.is_success() => return Ok(Some(answer)),
                Try::Answer(status, answer) => bail!("GET {path}: {status} {answer}"),
                Try::Again { reason, .. } if begun.elapsed() > self.patience => bail!("GET {path}: {reason}"),
                Try::Again { wait, .. } => tokio::time::sleep(wait.unwrap_or(WAIT.0 * 4).min(WAIT.1)).await,
            }
        }
    }

    /// A write that has no call of its own here, tried until `patience` is over: status and answer.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let begun = Instant::now();
        loop {
            match self.once(Method::POST, path, Some(body)).await {
                Try::Answer(status, answer) => return Ok((status.as_u16(), answer)),
                Try::Again { reason, .. } if begun.elapsed() > self.patience => bail!("POST {path}: {reason}"),
                Try::Again { wait, .. } => tokio::time::sleep(wait.unwrap_or(WAIT.0 * 4).min(WAIT.1)).await,
            }
        }
    }

    /// `GET /operations/{request_id}`.
    ///
    /// # Errors
    /// As [`PartnerClient::get`].
    pub async fn operation(&self, request_id: &str) -> anyhow::Result<Option<Operation>> {
        let answer = self.get(&format!("/operations/{request_id}")).await?;
        answer.map(serde_json::from_value).transpose().context("operation")
    }

    /// `GET /sessions/{session_id}`.
    ///
    /// # Errors
    /// As [`PartnerClient::get`].
    pub async fn session(&self, session_id: &str) -> anyhow::Result<Option<Session>> {
        let answer = self.get(&format!("/sessions/{session_id}")).await?;
        answer.map(serde_json::from_value).transpose().context("session")
    }

    /// All of this partner's sessions.
    ///
    /// # Errors
    /// As [`PartnerClient::get`].
    pub async fn sessions(&self) -> anyhow::Result<Vec<Session>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.get(&format!("/sessions?limit=100{cursor}")).await?.context("no session list")?;
            let items: Vec<Session> = serde_json::from_value(page["items"].clone()).context("session list")?;
            all.extend(items);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
        bail!("the session list does not end")
    }

    /// All events that the server still keeps, oldest first.
    ///
    /// # Errors
    /// As [`PartnerClient::get`].
    pub async fn events(&self) -> anyhow::Result<Vec<Event>> {
        self.events_after(&mut None).await
    }

    /// The events behind a cursor, oldest first; moves it. `None`: from the oldest that is kept.
    ///
    /// # Errors
    /// As [`PartnerClient::get`].
    pub async fn events_after(&self, cursor: &mut Option<String>) -> anyhow::Result<Vec<Event>> {
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = cursor.as_ref().map(|c| format!("&after={c}")).unwrap_or_default();
            let page = self.get(&format!("/events?limit=500{after}")).await?.context("no event list")?;
            let items: Vec<Event> = serde_json::from_value(page["items"].clone()).context("event list")?;
            let done = items.is_empty();
            all.extend(items);
            match page["next"].as_str() {
                Some(next) if !done => *cursor = Some(next.to_owned()),
                Some(_) | None => return Ok(all),
            }
        }
        bail!("the event list does not end")
    }
}

fn bound(status: StatusCode, answer: &Value) -> Outcome {
    if status.is_success() {
        return match answer["session_id"].as_str() {
            Some(session_id) => Outcome::Accepted { session_id: session_id.to_owned() },
            None => Outcome::Unknown { reason: format!("{status} without a session_id") },
        };
    }
    let code = answer["error"]["code"].as_str().unwrap_or("none").to_owned();
    Outcome::Refused { http: status.as_u16(), code }
}
