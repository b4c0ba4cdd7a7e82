//! The door before every operator call (OP-3): token, ban, name, role; then body, deadline, and the line of the audit trail. Owns the
//! order of these; what each one means is in its own file.
//!
//! Invariants: the installation's right token always opens, banned address or not: it is the emergency way in, and 256 bits are
//! not guessed. A write runs to its end though its caller leaves, and its line is in the journal before its answer leaves; so is
//! the line of every refusal but those of a ban, which any stranger could make as many of as there are requests.

use super::permissions;
use super::token::Presented;
use super::{OPERATOR_HEADER, Operators, Shared};
use crate::api::catalogue::Code;
use crate::api::error::ApiError;
use crate::api::port::{Actor, Detail, Refusal};
use crate::api::trace::{self, Note};
use crate::domain::operator::Role;
use crate::domain::operator::trail::Line;
use crate::telemetry::metrics::api as metrics;
use crate::telemetry::metrics::operator as office;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, MatchedPath, OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument as _;

/// Where the routes are.
const BASE: &str = "/ops/v1";

/// Longest texts of a line: what names something is shorter, and what is longer is not ours.
const TEXT_MAX: usize = 300;

/// What a line says of a call before it is answered.
struct Called {
    note: Note,
    address: IpAddr,
    method: Method,
    route: String,
    path: String,
}

impl Called {
    fn read(request: &Request) -> Self {
        let note = request.extensions().get::<Note>().cloned().unwrap_or_default();
        let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str).to_owned();
        let path = request.extensions().get::<OriginalUri>().map_or(request.uri().path(), |uri| uri.path());
        Called {
            note,
            // Without a socket (a test of the router alone) all callers share one address.
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            method: request.method().clone(),
            path: trace::shown(&route, path),
            route,
        }
    }

    fn line(&self, actor: &str, token: Option<&str>, response: &Response, request_id: Option<String>) -> Line {
        let (target, trace_id) = (self.note.told().unwrap_or_else(|| self.path.clone()), self.note.trace_id());
        let code = response.extensions().get::<ApiError>().map(|error| error.refusal.code.as_str().into());
        Line {
            actor: actor.into(),
            token: token.map(Into::into),
            address: self.address.to_string().into(),
            action: format!("{} {}", self.method, self.route).into(),
            target: target.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect::<String>().into(),
            status: response.status().as_u16(),
            code,
            request_id: request_id.map(Into::into),
            trace_id: trace_id.into(),
        }
    }
}

/// Why the door stays closed: what is answered, whether it leaves a line, and the metric's word for it.
struct Closed(ApiError, bool, &'static str);

/// The layer.
pub(super) async fn guard(State(state): State<Shared>, mut request: Request, next: Next) -> Response {
    let called = Called::read(&request);
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = Presented::read(shown.and_then(|value| value.strip_prefix("Bearer ")));
    let actor = match admit(&state, &presented, &request, &called) {
        Ok(actor) => actor,
        Err((Closed(error, leaves_line, cause), actor)) => {
            office::REFUSED.add(1, [cause]);
            if matches!(cause, "token" | "ban") {
                metrics::REFUSED_CALLERS.add(1, ["operator_token"]);
            }
            let response = error.into_response();
            if leaves_line {
                let line = called.line(&actor.unwrap_or_default(), presented.token_id(), &response, None);
                keep(&state, line).await;
            }
            return response;
        }
    };
    called.note.actor(&actor.name);
    request.extensions_mut().insert(actor.clone());
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let response = answered(&state, request, next).await.0;
        if response.status() == StatusCode::FORBIDDEN {
            keep(&state, called.line(&actor.name, actor.token.as_deref(), &response, None)).await;
        }
        return response;
    }
    // Its caller may leave, and it still runs to its end: otherwise something could be done without a line.
    let task = async move {
        let (response, body) = answered(&state, request, next).await;
        let line = called.line(&actor.name, actor.token.as_deref(), &response, request_id(&body));
        keep(&state, line).await;
        response
    };
    match tokio::spawn(task.in_current_span()).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => ApiError::from(Code::OutcomeUnknown).into_response(),
    }
}

/// Who calls, if they may make this call.
#[allow(clippy::result_large_err, reason = "refusals are rare, and one layer reads them")]
fn admit(
    state: &Operators,
    presented: &Presented<'_>,
    request: &Request,
    called: &Called,
) -> Result<Actor, (Closed, Option<String>)> {
    let actor = open(state, presented, called.address).map_err(|closed| (closed, None))?;
    let said = request.headers().get(OPERATOR_HEADER);
    let actor = match actor {
        None => Actor::root(said.and_then(|value| value.to_str().ok()).filter(|name| is_name(name))),
        Some(actor) if said.is_some_and(|said| !said.as_bytes().eq_ignore_ascii_case(actor.name.as_bytes())) => {
            return Err((Closed(Code::OperatorName.into(), true, "name"), Some(actor.name)));
        }
        Some(actor) => actor,
    };
    let roles = permissions::of_route(request.method(), called.route.strip_prefix(BASE).unwrap_or(&called.route));
    if !actor.may(roles) {
        return Err((Closed(lacking(roles).into(), true, "role"), Some(actor.name)));
    }
    Ok(actor)
}

/// Whether a text can name a person.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}

/// Whose token it is; `None`: the installation's.
fn open(state: &Operators, presented: &Presented<'_>, address: IpAddr) -> Result<Option<Actor>, Closed> {
    if state.token.opens(presented.whole()) {
        return Ok(None);
    }
    let (now, settings) = (state.clock.now(), state.config.current());
    // What is named, proven or not; what names nothing is one caller for each address.
    let name = presented.token_id().unwrap_or("operator");
    if let Some(wait) = state.bans.remaining(name, address, now) {
        return Err(Closed(Refusal::from(Code::Banned).after(wait).into(), false, "ban"));
    }
    let opened = match presented {
        Presented::Own { id, secret } => {
            let opened = state.port.operator_of(id, secret);
            opened.map_err(|refusal| Closed(refusal.into(), false, "early"))?.map(|opened| Actor::account(opened, id))
        }
        Presented::Other(_) => None,
    };
    match opened {
        Some(actor) => {
            state.bans.succeeded(name, address);
            Ok(Some(actor))
        }
        None => {
            if state.bans.failed(name, address, now, settings.api.failures_before_ban, settings.api.ban_time) {
                metrics::BANS.add(1, []);
                tracing::warn!(name, %address, "an operator's token is banned at this address after failures in a row");
            }
            Err(Closed(Code::Unauthorized.into(), true, "token"))
        }
    }
}

/// The refusal of a call that needs another role.
pub(super) fn lacking(roles: &[Role]) -> Refusal {
    let allowed: Vec<_> = roles.iter().chain([&Role::Administrator]).map(|role| role.as_str()).collect();
    let detail = Detail {
        field: "role".to_owned(),
        problem: "this operator has none that may make this call".to_owned(),
        allowed: allowed.join(", "),
    };
    Refusal { code: Code::OperatorRole, retry_after: None, details: vec![detail] }
}

/// The answer, within the deadline and the bound of a body; and the body.
async fn answered(state: &Operators, request: Request, next: Next) -> (Response, Bytes) {
    let settings = state.config.current();
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, settings.api.body_bytes_max).await else {
        metrics::LIMITED.add(1, ["body"]);
        return (ApiError::from(Code::BodyTooLarge).into_response(), Bytes::new());
    };
    // A backup, a compaction or a look at all books takes as long as it takes.
    let long = ["/ops/v1/journal/", "/ops/v1/ledger/", "/ops/v1/audit/"];
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let long = long.iter().any(|long| route.starts_with(long));
    let answer = next.run(Request::from_parts(parts, body.clone().into()));
    if long {
        return (answer.await, body);
    }
    match tokio::time::timeout(settings.api.request_deadline, answer).await {
        Ok(response) => (response, body),
        Err(_) => {
            metrics::LIMITED.add(1, ["deadline"]);
            (ApiError::from(Code::OutcomeUnknown).into_response(), body)
        }
    }
}

/// The caller's name of the request, where its body has one.
fn request_id(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        request_id: crate::ids::RequestId,
    }
    serde_json::from_slice::<Named>(body).ok().map(|named| named.request_id.to_string())
}

/// Writes a line, and waits until it is durable. If that cannot be, the log has it still, and a metric says so.
#[allow(clippy::disallowed_methods, reason = "tokio's own, pausable time; a duration, not a wall clock")]
async fn keep(state: &Arc<Operators>, line: Line) {
    let began = Instant::now();
    match state.port.note(line.clone()).await {
        Ok(()) => {
            office::AUDIT_LINES.add(1, ["kept"]);
            office::AUDIT_SECONDS.record(began.elapsed().as_secs_f64(), []);
        }
        Err(refusal) => {
            office::AUDIT_LINES.add(1, ["lost"]);
            tracing::error!(code = %refusal.code, ?line, "a line of the audit trail could not be kept");
        }
    }
}
