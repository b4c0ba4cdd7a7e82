//! The outermost layer of every listener: a trace id for each call, its span, its metrics, its line in the audit log
//! (EM-14), and the body of errors. Owns what is noted of a call; never decides about it.
//!
//! Invariants: every call leaves exactly one audit line, also when the caller leaves before the answer; no query, no body
//! and no personal data is noted.

use super::error;
use crate::telemetry::logs::AUDIT;
use crate::telemetry::metrics::api as metrics;
use crate::telemetry::redact::Personal;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument as _;

/// The header that carries the trace id in every answer.
pub const TRACE_HEADER: HeaderName = HeaderName::from_static("x-trace-id");

/// What the layers and handlers below tell about a call.
#[derive(Debug, Clone, Default)]
pub struct Note(Arc<Mutex<Facts>>);

/// The facts of a call.
#[derive(Debug, Default, Clone)]
struct Facts {
    trace_id: String,
    actor: Option<String>,
    key_id: Option<String>,
    request_id: Option<String>,
    target: Option<String>,
}

impl Note {
    fn new() -> Self {
        let trace_id = hex::encode(rand::random::<[u8; 16]>());
        Note(Arc::new(Mutex::new(Facts { trace_id, ..Facts::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        // Plain texts: a panic in between leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call's trace id.
    pub fn trace_id(&self) -> String {
        self.lock().trace_id.clone()
    }

    /// Who calls: a partner, an operator. Proven.
    pub fn actor(&self, actor: &str) {
        tracing::Span::current().record("actor", actor);
        self.lock().actor = Some(actor.to_owned());
    }

    /// The key that was named, proven or not.
    pub fn key(&self, key_id: &str) {
        self.lock().key_id = Some(key_id.to_owned());
    }

    /// The partner's name of the operation.
    pub fn request(&self, request_id: &str) {
        tracing::Span::current().record("request_id", request_id);
        self.lock().request_id = Some(request_id.to_owned());
    }

    /// What the call is about, as far as it was told.
    pub fn told(&self) -> Option<String> {
        self.lock().target.clone()
    }

    /// What the call is about, where the path does not say it.
    pub fn target(&self, target: impl ToString) {
        self.lock().target = Some(target.to_string());
    }
}

/// The class of a call, for metrics and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A partner reads.
    Read,
    /// A partner writes.
    Write,
    /// A partner reads events.
    Events,
    /// An operator's call.
    Operator,
    /// Open to everybody: documents, health.
    Open,
}

impl Class {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
            Class::Events => "events",
            Class::Operator => "operator",
            Class::Open => "open",
        }
    }

    /// The class of a call by method and path.
    pub fn of(method: &http::Method, path: &str) -> Self {
        if path.starts_with("/ops/") {
            return Class::Operator;
        }
        if path.starts_with("/evcs/") {
            let write = ["query_start_charge", "query_stop_charge"].iter().any(|name| path.ends_with(name));
            return if write { Class::Write } else { Class::Read };
        }
        if !path.starts_with("/api/") {
            return Class::Open;
        }
        if path == "/api/v1/events" {
            return Class::Events;
        }
        if method == http::Method::GET || method == http::Method::HEAD { Class::Read } else { Class::Write }
    }
}

/// A call under way. When dropped without an end, the caller has left.
struct Call {
    note: Note,
    class: Class,
    method: http::Method,
    route: String,
    path: String,
    address: Option<SocketAddr>,
    began: Instant,
    ended: bool,
}

impl Call {
    #[allow(clippy::disallowed_methods, reason = "tokio's own, pausable time; a duration, not a wall clock")]
    fn begin(request: &Request, note: Note) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
        let class = Class::of(request.method(), request.uri().path());
        metrics::IN_FLIGHT.shift(1.0, [class.label()]);
        Call {
            note,
            class,
            method: request.method().clone(),
            path: shown(route, request.uri().path()),
            route: route.to_owned(),
            address: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
            began: Instant::now(),
            ended: false,
        }
    }

    fn end(&mut self, status: Option<StatusCode>, code: Option<&'static str>) {
        self.ended = true;
        let took = self.began.elapsed();
        let class = self.class.label();
        metrics::IN_FLIGHT.shift(-1.0, [class]);
        metrics::REQUESTS.add(1, [class, status_class(status)]);
        metrics::SECONDS_TAKEN.record(took.as_secs_f64(), [class]);
        if self.class == Class::Open {
            return;
        }
        self.audit(status, code, took);
    }

    fn audit(&self, status: Option<StatusCode>, code: Option<&'static str>, took: Duration) {
        let facts = self.note.lock().clone();
        let text = |text: Option<String>| text.unwrap_or_default();
        tracing::info!(
            target: AUDIT,
            trace_id = %facts.trace_id,
            actor = %text(facts.actor),
            key_id = %text(facts.key_id),
            address = %self.address.map(|a| a.ip().to_string()).unwrap_or_default(),
            action = %format_args!("{} {}", self.method, self.route),
            target_of = %facts.target.unwrap_or_else(|| self.path.clone()),
            request_id = %text(facts.request_id),
            outcome = code.unwrap_or(if status.is_some() { "done" } else { "abandoned" }),
            status = status.map_or(0, |s| s.as_u16()),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "call"
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            self.end(None, None);
        }
    }
}

/// A path as it may be logged: the text of an RFID token is personal, and a partner's name of its user (OP-9).
pub(super) fn shown(route: &str, path: &str) -> String {
    if let (true, Some((head, rest))) = (route.contains("{user_id}"), path.split_once("/users/")) {
        let (user, tail) = rest.split_once('/').unwrap_or((rest, ""));
        return format!("{head}/users/{}/{tail}", Personal(user));
    }
    match path.rsplit_once('/') {
        Some((head, tag)) if route.contains("{id_tag}") => format!("{head}/{}", Personal(tag)),
        // A path of no route is a stranger's text: its length says enough.
        Some(_) | None if route == "(none)" => format!("({} bytes)", path.len()),
        Some(_) | None => path.to_owned(),
    }
}

fn status_class(status: Option<StatusCode>) -> &'static str {
    match status.map(|s| s.as_u16()) {
        None => "gone",
        Some(429) => "429",
        Some(503) => "503",
        Some(code) if code >= 500 => "5xx",
        Some(code) if code >= 400 => "4xx",
        Some(_) => "2xx",
    }
}

/// The layer.
pub(crate) async fn layer(State(()): State<()>, mut request: Request, next: Next) -> Response {
    let note = Note::new();
    let trace_id = note.trace_id();
    request.extensions_mut().insert(note.clone());
    let mut call = Call::begin(&request, note);
    let span = tracing::info_span!(
        "call",
        %trace_id,
        method = %request.method(),
        route = %call.route,
        actor = tracing::field::Empty,
        request_id = tracing::field::Empty,
    );
    let response = next.run(request).instrument(span).await;
    let (mut response, code) = error::render(response, &trace_id);
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(TRACE_HEADER, value);
    }
    harden(&mut response);
    call.end(Some(response.status()), code.map(super::catalogue::Code::as_str));
    response
}

/// Headers that keep browsers from doing more with an answer than it is meant for (control 30).
fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// What a caught panic becomes: the catalogue's `internal`, and nothing of the panic's own text.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    use axum::response::IntoResponse as _;
    metrics::PANICS.add(1, []);
    tracing::error!("a call ended in a panic");
    super::error::ApiError::from(super::catalogue::Code::Internal).into_response()
}

/// What unknown paths are answered.
pub(crate) async fn not_found() -> super::error::ApiError {
    super::catalogue::Code::NotFound.into()
}

/// What known paths with an unknown method are answered.
pub(crate) async fn method_not_allowed() -> super::error::ApiError {
    super::catalogue::Code::MethodNotAllowed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_logged_without_what_is_personal() {
        for (route, path, kept, hidden) in [
            ("/api/v1/users/{user_id}/account", "/api/v1/users/13800138000/account", "/account", "13800138000"),
            ("/api/v1/users/{user_id}/top-ups/{top_up_id}", "/api/v1/users/u-1/top-ups/7", "/top-ups/7", "u-1"),
            ("/ops/v1/tokens/{id_tag}", "/ops/v1/tokens/04A1B2", "/ops/v1/tokens/p#", "04A1B2"),
            ("(none)", "/api/v1/users/13800138000", "bytes", "13800138000"),
        ] {
            let shown = shown(route, path);
            assert!(shown.contains(kept) && !shown.contains(hidden), "{shown}");
        }
    }
}
