//! Sessions and operations (SE-1, SE-12, EM-5, EM-6). Owns reading the requests and the form of the answers; never whether
//! charging may begin.

use super::gate::Caller;
use super::idempotency::{Answer, Claim, Write};
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, ErrorBody, ErrorView};
use crate::api::port::{
    Limits, Moment, OperationKind, OperationRef, OperationState, OperationStatus, Page, Refusal, SessionFilter,
    SessionStatus, SessionView, Start, Stop, UserRef,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::clock::Timestamp;
use crate::ids::{ChargerId, ConnectorId, RequestId, ReservationId, SessionId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The body of `POST /sessions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Where.
    #[schema(value_type = String)]
    charger_id: ChargerId,
    /// Which connector, 1 and up.
    #[schema(value_type = u16)]
    connector_id: ConnectorId,
    /// For whom.
    user: UserRef,
    /// When charging ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    /// The reservation that it ends (RS-3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    reservation_id: Option<ReservationId>,
}

/// What a user is named with.
pub(super) fn check_user(user: &UserRef, findings: &mut Findings) {
    findings.text("user.id", &user.id, 1, 64);
    let optional = [("user.name", &user.name, 64), ("user.phone", &user.phone, 32), ("user.plate", &user.plate, 16)];
    for (field, text, max) in optional {
        if let Some(text) = text {
            findings.text(field, text, 1, max);
        }
    }
}

impl StartRequest {
    fn check(&self) -> Result<(), Refusal> {
        let mut findings = Findings::default();
        findings.check((1..=64).contains(&self.connector_id.0), "connector_id", "is out of range", "1 to 64");
        check_user(&self.user, &mut findings);
        let limits = self.limits.unwrap_or_default();
        let energy = limits.energy_wh.is_none_or(|wh| (100..=1_000_000).contains(&wh));
        findings.check(energy, "limits.energy_wh", "is out of range", "100 to 1000000");
        let duration = limits.duration_s.is_none_or(|s| (60..=86_400).contains(&s));
        findings.check(duration, "limits.duration_s", "is out of range", "60 to 86400");
        let amount = limits.amount.is_none_or(|minor| (1..=10_000_000).contains(&minor));
        let soc = limits.soc_percent.is_none_or(|percent| (10..=100).contains(&percent));
        findings.check(soc, "limits.soc_percent", "is out of range", "10 to 100");
        findings.check(amount, "limits.amount", "is out of range", "1 to 10000000");
        findings.done()
    }
}

/// The body of a write that needs nothing but its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    pub(super) request_id: RequestId,
}

/// A write about a session was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Taken {
    /// Your name of the operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// The session.
    #[schema(value_type = uuid::Uuid)]
    session_id: SessionId,
    /// Its status then.
    status: SessionStatus,
}

/// An operation and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Operation {
    /// Your name of it.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// What it was.
    kind: OperationKind,
    /// How far it is.
    status: OperationStatus,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    session_id: Option<SessionId>,
    /// The reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    reservation_id: Option<ReservationId>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView>,
    /// When that became known.
    at: Moment,
}

/// A new session id: UUID v7, so that it sorts by birth.
fn new_session(now: Timestamp) -> SessionId {
    let millis = u64::try_from(now.0).unwrap_or(0);
    SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid())
}

fn taken(request_id: RequestId, session_id: SessionId, status: SessionStatus) -> Result<serde_json::Value, Refusal> {
    serde_json::to_value(Taken { request_id, session_id, status }).map_err(|_| Code::Internal.into())
}

/// Starts charging. The answer comes before the charger's: the result is pushed, and told by `GET /operations/{request_id}`.
#[utoipa::path(post, path = "/sessions", tag = "sessions", security(("key" = ["control"])), request_body = StartRequest, responses(
    (status = 202, description = "Taken; the charger is told", body = Taken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn start(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    let request: StartRequest = wire::json(&body)?;
    note.request(request.request_id.as_str());
    note.target(format_args!("{}/{}", request.charger_id, request.connector_id));
    request.check().map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = Write {
        partner: caller.partner.clone(),
        request_id: request.request_id.clone(),
        kind: OperationKind::Start,
        canonical: serde_json::to_vec(&request).map_err(|_| Code::Internal)?,
        session_id: Some(new_session(state.clock.now())),
        reservation_id: None,
        charger_id: Some(request.charger_id.clone()),
    };
    let port = Arc::clone(&state.port);
    let drive = move |claim: Claim| async move {
        let session_id = claim.session_id.ok_or(Code::Internal)?;
        let StartRequest { request_id, charger_id, connector_id, user, limits, reservation_id } = request;
        let limits = limits.unwrap_or_default();
        let name = request_id.clone();
        let trace_id = note.trace_id();
        let start = Start { session_id, request_id, charger_id, connector_id, user, limits, reservation_id, trace_id };
        port.start_session(&caller.partner, start).await?;
        taken(name, session_id, SessionStatus::Starting)
    };
    let answer = state.idempotency.run(write, drive).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// Stops charging. Accepted also for a charger that is offline only if it can be told later: the status says so.
#[utoipa::path(post, path = "/sessions/{session_id}/stop", tag = "sessions", security(("key" = ["control"])), request_body = Named,
    params(("session_id" = uuid::Uuid, Path, description = "Which session")), responses(
    (status = 202, description = "Taken", body = Taken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn stop(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(session_id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    let session_id: SessionId = wire::path_id(&session_id, Code::SessionUnknown)?;
    let request: Named = wire::json(&body)?;
    let request_id = request.request_id.clone();
    note.request(request_id.as_str());
    let write = Write {
        partner: caller.partner.clone(),
        request_id: request_id.clone(),
        kind: OperationKind::Stop,
        canonical: serde_json::to_vec(&request).map_err(|_| Code::Internal)?,
        session_id: Some(session_id),
        reservation_id: None,
        charger_id: None,
    };
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let stop = Stop { session_id, request_id: request_id.clone(), trace_id: note.trace_id() };
        let status = port.stop_session(&caller.partner, stop).await?;
        taken(request_id, session_id, status)
    };
    let answer = state.idempotency.run(write, drive).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// What became of a write.
#[utoipa::path(get, path = "/operations/{request_id}", tag = "sessions", security(("key" = ["query"])),
    params(("request_id" = String, Path, description = "Your name of the operation")), responses(
    (status = 200, description = "How far it is", body = Operation),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn operation(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(request_id): Path<String>,
) -> Answered<Json<Operation>> {
    let request_id: RequestId = wire::path_id(&request_id, Code::NotFound)?;
    let (claim, answer) = state.idempotency.remembered(&caller.partner, &request_id).await?.ok_or(Code::NotFound)?;
    let found = match (answer, claim.session_id) {
        (Some(Answer::Refused(refusal)), _) => {
            OperationState { status: OperationStatus::Failed, error: Some(refusal), at: claim.at }
        }
        (Some(Answer::Taken(_)) | None, Some(session_id)) => {
            let which = OperationRef { request_id: request_id.clone(), kind: claim.kind, session_id };
            let pending = OperationState { status: OperationStatus::Pending, error: None, at: claim.at };
            state.port.operation(&caller.partner, &which).await?.unwrap_or(pending)
        }
        (Some(Answer::Taken(_)), None) => {
            OperationState { status: OperationStatus::Succeeded, error: None, at: claim.at }
        }
        (None, None) => OperationState { status: OperationStatus::Pending, error: None, at: claim.at },
    };
    let error = found.error.map(|refusal| ErrorView::new(&refusal, Some(request_id.as_str()), &note.trace_id()));
    let Claim { kind, session_id, reservation_id, .. } = claim;
    Ok(Json(Operation { request_id, kind, status: found.status, session_id, reservation_id, error, at: found.at }))
}

/// One session, with all its readings.
#[utoipa::path(get, path = "/sessions/{session_id}", tag = "sessions", security(("key" = ["query"])),
    params(("session_id" = uuid::Uuid, Path, description = "Which session")), responses(
    (status = 200, description = "The session", body = SessionView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn show(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(session_id): Path<String>,
) -> Answered<Json<SessionView>> {
    let session_id: SessionId = wire::path_id(&session_id, Code::SessionUnknown)?;
    Ok(Json(own(state.port.session(&caller.partner, session_id).await?)))
}

/// Sessions, newest first: of one user, or open ones. A client that lost its state finds its running session here (SE-12).
#[utoipa::path(get, path = "/sessions", tag = "sessions", security(("key" = ["query"])), params(
    ("user_id" = Option<String>, Query, description = "Of this user"),
    ("open" = Option<bool>, Query, description = "Only open (`true`) or closed (`false`) ones"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<SessionView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn list(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<Page<SessionView>>> {
    let mut query = Query::read(&uri, &["user_id", "open", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let filter =
        SessionFilter { open: query.value("open", "true or false")?, user_id: query.text("user_id"), charger_id: None };
    if let Some(user_id) = &filter.user_id {
        let mut findings = Findings::default();
        findings.text("user_id", user_id, 1, 64);
        findings.done()?;
    }
    let Page { items, next } = state.port.sessions(&caller.partner, filter, page).await?;
    Ok(Json(Page { items: items.into_iter().map(own).collect(), next }))
}

/// A session as its own partner sees it: whose it is goes without saying.
fn own(session: SessionView) -> SessionView {
    SessionView { partner_id: None, ..session }
}
