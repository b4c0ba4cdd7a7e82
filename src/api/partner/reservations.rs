//! Reservations (RS-1 … RS-6). Owns reading the requests and the form of the answers; never whether a connector may be
//! held, nor what that costs.

use super::gate::Caller;
use super::idempotency::{Claim, Write};
use super::sessions::check_user;
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::port::{
    Grievance, OperationKind, Page, Refusal, ReservationFilter, ReservationQuote, ReservationStatus, ReservationView,
    Reserve, UserRef,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::clock::Timestamp;
use crate::ids::{ChargerId, ConnectorId, RequestId, ReservationId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// The body of `POST /reservations`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReserveRequest {
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
    /// How long it is held, 60 to 86,400 s, at most `reservation.hold_max`; absent: `reservation.hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hold_s: Option<u64>,
    /// How long from now until the user may come, at most `reservation.ahead_max`; the connector is held from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ahead_s: Option<u64>,
}

impl ReserveRequest {
    fn check(&self) -> Result<(), Refusal> {
        let mut findings = Findings::default();
        findings.check((1..=64).contains(&self.connector_id.0), "connector_id", "is out of range", "1 to 64");
        check_user(&self.user, &mut findings);
        let hold = self.hold_s.is_none_or(|s| (60..=86_400).contains(&s));
        findings.check(hold, "hold_s", "is out of range", "60 to 86400");
        findings.check(self.ahead_s.is_none_or(|s| s <= 86_400), "ahead_s", "is out of range", "0 to 86400");
        findings.done()
    }
}

/// The body of `POST /reservations/{reservation_id}/cancel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
}

/// The body of `POST /reservations/{reservation_id}/complaint`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComplaintRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// What is wrong.
    kind: Grievance,
    /// In the user's words, up to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// A write about a reservation was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReservationTaken {
    /// Your name of the operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// The reservation.
    #[schema(value_type = uuid::Uuid)]
    reservation_id: ReservationId,
    /// Its status then.
    status: ReservationStatus,
}

/// A new id: UUID v7, so that it sorts by birth.
fn new_reservation(now: Timestamp) -> ReservationId {
    let millis = u64::try_from(now.0).unwrap_or(0);
    ReservationId(uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid())
}

fn taken(
    request_id: RequestId,
    reservation_id: ReservationId,
    status: ReservationStatus,
) -> Result<serde_json::Value, Refusal> {
    serde_json::to_value(ReservationTaken { request_id, reservation_id, status }).map_err(|_| Code::Internal.into())
}

/// Holds a connector for a user. What it costs is in the answer to `GET /reservation-terms` and fixed here; whether the
/// deposit was there is pushed (`reservation.reserved`, `reservation.failed`).
#[utoipa::path(post, path = "/reservations", tag = "reservations", security(("key" = ["control"])), request_body = ReserveRequest, responses(
    (status = 202, description = "The connector is held", body = ReservationTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn reserve(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    let request: ReserveRequest = wire::json(&body)?;
    note.request(request.request_id.as_str());
    note.target(format_args!("{}/{}", request.charger_id, request.connector_id));
    request.check().map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = Write {
        charger_id: Some(request.charger_id.clone()),
        reservation_id: Some(new_reservation(state.clock.now())),
        ..write(&caller, &request.request_id, OperationKind::Reserve, &request)?
    };
    let port = Arc::clone(&state.port);
    let drive = move |claim: Claim| async move {
        let reservation_id = claim.reservation_id.ok_or(Code::Internal)?;
        let ReserveRequest { request_id, charger_id, connector_id, user, hold_s, ahead_s } = request;
        let (ahead, length) = (Duration::from_secs(ahead_s.unwrap_or(0)), hold_s.map(Duration::from_secs));
        let name = request_id.clone();
        let reserve = Reserve { reservation_id, request_id, charger_id, connector_id, user, ahead, length };
        let status = port.reserve(&caller.partner, reserve).await?;
        taken(name, reservation_id, status)
    };
    let answer = state.idempotency.run(write, drive).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

fn write(
    caller: &Caller,
    request_id: &RequestId,
    kind: OperationKind,
    request: &impl Serialize,
) -> Result<Write, Refusal> {
    Ok(Write {
        partner: caller.partner.clone(),
        request_id: request_id.clone(),
        kind,
        canonical: serde_json::to_vec(request).map_err(|_| Code::Internal)?,
        session_id: None,
        reservation_id: None,
        charger_id: None,
    })
}

/// Gives a reservation up: free of charge in time, for the fee that was shown later.
#[utoipa::path(post, path = "/reservations/{reservation_id}/cancel", tag = "reservations", security(("key" = ["control"])), request_body = CancelRequest,
    params(("reservation_id" = uuid::Uuid, Path, description = "Which reservation")), responses(
    (status = 202, description = "Given up", body = ReservationTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn cancel(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    let id: ReservationId = wire::path_id(&id, Code::ReservationUnknown)?;
    let request: CancelRequest = wire::json(&body)?;
    let name = request.request_id.clone();
    note.request(name.as_str());
    let write =
        Write { reservation_id: Some(id), ..write(&caller, &name, OperationKind::CancelReservation, &request)? };
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let status = port.cancel_reservation(&caller.partner, id).await?;
        taken(name, id, status)
    };
    let answer = state.idempotency.run(write, drive).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// The user could not charge there: the reservation is cancelled, the whole deposit returned, and a person looks into it.
#[utoipa::path(post, path = "/reservations/{reservation_id}/complaint", tag = "reservations", security(("key" = ["control"])),
    request_body = ComplaintRequest,
    params(("reservation_id" = uuid::Uuid, Path, description = "Which reservation")), responses(
    (status = 202, description = "Taken", body = ReservationTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn complain(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    let id: ReservationId = wire::path_id(&id, Code::ReservationUnknown)?;
    let request: ComplaintRequest = wire::json(&body)?;
    let name = request.request_id.clone();
    note.request(name.as_str());
    if let Some(text) = &request.text {
        let mut findings = Findings::default();
        findings.text("text", text, 1, 500);
        findings.done().map_err(|refusal| ApiError::from(refusal).of_request(&name))?;
    }
    let write = Write { reservation_id: Some(id), ..write(&caller, &name, OperationKind::Complaint, &request)? };
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let status = port.complain(&caller.partner, id, request.kind, request.text).await?;
        taken(name, id, status)
    };
    let answer = state.idempotency.run(write, drive).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// One reservation. Where its charger failed, other free connectors of the site are with it.
#[utoipa::path(get, path = "/reservations/{reservation_id}", tag = "reservations", security(("key" = ["query"])),
    params(("reservation_id" = uuid::Uuid, Path, description = "Which reservation")), responses(
    (status = 200, description = "The reservation", body = ReservationView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn show(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answered<Json<ReservationView>> {
    let id: ReservationId = wire::path_id(&id, Code::ReservationUnknown)?;
    Ok(Json(state.port.reservation(&caller.partner, id).await?))
}

/// Reservations, newest first: of one user, or open ones.
#[utoipa::path(get, path = "/reservations", tag = "reservations", security(("key" = ["query"])), params(
    ("user_id" = Option<String>, Query, description = "Of this user"),
    ("open" = Option<bool>, Query, description = "Only open (`true`) or closed (`false`) ones"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<ReservationView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn list(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<Page<ReservationView>>> {
    let mut query = Query::read(&uri, &["user_id", "open", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let (open, user_id) = (query.value("open", "true or false")?, query.text("user_id"));
    if let Some(user_id) = &user_id {
        let mut findings = Findings::default();
        findings.text("user_id", user_id, 1, 64);
        findings.done()?;
    }
    let filter = ReservationFilter { user_id, open, charger_id: None };
    Ok(Json(state.port.reservations(&caller.partner, filter, page).await?))
}

/// What a reservation would cost if it were made now.
#[utoipa::path(get, path = "/reservation-terms", tag = "reservations", security(("key" = ["query"])), params(
    ("charger_id" = String, Query, description = "Where")), responses(
    (status = 200, description = "The terms", body = ReservationQuote),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn terms(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<ReservationQuote>> {
    let mut query = Query::read(&uri, &["charger_id"])?;
    let charger: Option<ChargerId> = query.value("charger_id", "a charger's id")?;
    let missing = || Refusal::field("charger_id", "is missing", "a charger's id");
    Ok(Json(state.port.quote(&caller.partner, &charger.ok_or_else(missing)?).await?))
}
