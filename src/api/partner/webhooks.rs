//! Events and the webhook endpoint called `default` (EM-7 … EM-9); the others are in [`super::endpoints`]. Owns reading the
//! requests; never delivery.

use super::gate::Caller;
use super::idempotency::{Claim, Write};
use super::sessions::Named;
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::port::{
    Choice, DeliveryView, EndpointChange, Every, Moment, OperationKind, Page, Refusal, ReplayRequest, WebhookView,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::ids::{EndpointName, RequestId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// Events named one by one in a replay.
const REPLAY_IDS_MAX: usize = 100;

/// Event types in one subscription: more than there are.
const SUBSCRIBED_MAX: usize = 64;

/// Sites in one subscription.
const SITES_MAX: usize = 1000;

/// An event, as a webhook's body has it.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: events come as stored")]
pub(crate) struct Event {
    /// Unique for ever: drop an id that you have seen.
    id: String,
    /// `session.started`, `session.ended`, `connector.status` …
    #[serde(rename = "type")]
    kind: String,
    /// When it happened.
    timestamp: Moment,
    /// Yours.
    partner_id: String,
    /// Events of one key are in order.
    order_key: String,
    /// From 1 without gaps within the key; absent for statuses.
    sequence: Option<u64>,
    /// What happened.
    data: serde_json::Value,
}

/// The body of `POST /webhook/replay`: exactly one of `event_ids`, `from` and/or `to`, `all_dead`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayBody {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// These events, at most 100.
    #[serde(default)]
    event_ids: Vec<String>,
    /// Events from this moment on …
    from: Option<Moment>,
    /// … to this one.
    to: Option<Moment>,
    /// All dead letters.
    #[serde(default)]
    all_dead: bool,
}

/// How many events are sent again.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the answer may be a stored one")]
pub(crate) struct Replayed {
    /// So many.
    replayed: u64,
}

/// A write without a session was taken.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the answer may be a stored one")]
pub(crate) struct TestTaken {
    /// Your name of the operation.
    request_id: String,
}

/// Refuses a replay that names nothing, or two things at once.
pub(crate) fn check_replay(replay: &ReplayRequest) -> Result<(), Refusal> {
    let ranged = replay.from.is_some() || replay.to.is_some();
    let named = [!replay.event_ids.is_empty(), ranged, replay.all_dead];
    let mut findings = Findings::default();
    let one = named.into_iter().filter(|given| *given).count() == 1;
    findings.check(one, "event_ids", "names nothing or too much", "exactly one of event_ids, from/to, all_dead");
    let few = replay.event_ids.len() <= REPLAY_IDS_MAX;
    findings.check(few, "event_ids", "is too long", format_args!("at most {REPLAY_IDS_MAX}"));
    let forwards = replay.from.zip(replay.to).is_none_or(|(from, to)| from <= to);
    findings.check(forwards, "to", "is before `from`", "a later moment");
    for (n, id) in replay.event_ids.iter().enumerate().take(REPLAY_IDS_MAX) {
        findings.text(&format!("event_ids[{n}]"), id, 1, 200);
    }
    findings.done()
}

/// Events, oldest first: what a partner that cannot receive reads, and what fills a gap. `next` is always there.
#[utoipa::path(get, path = "/events", tag = "events", security(("key" = ["query"])), params(
    ("after" = Option<String>, Query, description = "The `next` of an earlier answer; absent: the oldest kept"),
    ("limit" = Option<u32>, Query, description = "Most events, 1 to 500")), responses(
    (status = 200, description = "A page", body = Page<Event>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn events(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<Page<serde_json::Value>>> {
    let page = Query::read(&uri, &["after", "limit"])?.page("after", state.pages())?;
    Ok(Json(state.port.events(&caller.partner, page).await?))
}

/// Your endpoint called `default`, its health, and what waits for it.
#[utoipa::path(get, path = "/webhook", tag = "events", security(("key" = ["push"])), responses(
    (status = 200, description = "The webhook", body = WebhookView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn show(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
) -> Answered<Json<WebhookView>> {
    Ok(Json(state.port.webhook(&caller.partner, &EndpointName::default_endpoint()).await?))
}

/// The log of attempts, newest first.
#[utoipa::path(get, path = "/webhook/deliveries", tag = "events", security(("key" = ["push"])), params(
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<DeliveryView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn deliveries(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<Page<DeliveryView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.deliveries(&caller.partner, &EndpointName::default_endpoint(), page).await?))
}

/// Sends you a `webhook.test` event.
#[utoipa::path(post, path = "/webhook/test", tag = "events", security(("key" = ["push"])), request_body = Named, responses(
    (status = 202, description = "It comes", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn test(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    test_of(&state, caller, &note, &body, None).await
}

/// Sends events again, under their own ids.
#[utoipa::path(post, path = "/webhook/replay", tag = "events", security(("key" = ["push"])), request_body = ReplayBody, responses(
    (status = 202, description = "They are sent again", body = Replayed),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn replay(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    replay_of(&state, caller, &note, &body, None).await
}

/// The body of `POST /webhook/subscription`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionBody {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Event types that your endpoint gets, 1 to 64; absent: all. `webhook.test` always comes, `GET /events` shows all.
    events: Option<Vec<String>>,
}

/// Holds your endpoint back: nothing is sent until you resume, and nothing is lost as long as events are kept.
#[utoipa::path(post, path = "/webhook/pause", tag = "events", security(("key" = ["push"])), request_body = Named, responses(
    (status = 202, description = "Nothing is sent", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn pause(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    hold(&state, caller, &note, &body, None, true).await
}

/// Lets your endpoint go on, with what waited first.
#[utoipa::path(post, path = "/webhook/resume", tag = "events", security(("key" = ["push"])), request_body = Named, responses(
    (status = 202, description = "It goes on", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn resume(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    hold(&state, caller, &note, &body, None, false).await
}

/// Says which event types your endpoint gets.
#[utoipa::path(post, path = "/webhook/subscription", tag = "events", security(("key" = ["push"])), request_body = SubscriptionBody, responses(
    (status = 202, description = "From now on these", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn subscribe(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<serde_json::Value>)> {
    let request: SubscriptionBody = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let events = match &request.events {
        Some(kinds) => Choice::Only(kinds.clone()),
        None => Choice::All(Every::All),
    };
    check_choice(Some(&events), None).map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = write(&caller, &request.request_id, OperationKind::Subscribe, None, &request)?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let change = EndpointChange { events: Some(events), ..EndpointChange::default() };
        port.change_webhook(&caller.partner, &EndpointName::default_endpoint(), change, false).await?;
        Ok(json!({"request_id": request.request_id}))
    };
    Ok((StatusCode::ACCEPTED, Json(state.idempotency.run(write, drive).await?)))
}

/// Refuses a subscription that cannot be one.
pub(crate) fn check_choice(events: Option<&Choice>, sites: Option<&Choice>) -> Result<(), Refusal> {
    let mut findings = Findings::default();
    if let Some(Choice::Only(kinds)) = events {
        let allowed = format!("1 to {SUBSCRIBED_MAX} event types, or all");
        findings.check((1..=SUBSCRIBED_MAX).contains(&kinds.len()), "events", "is empty or too long", allowed);
        for (n, kind) in kinds.iter().enumerate().take(SUBSCRIBED_MAX) {
            let good = kind.contains('.')
                && kind.len() <= 64
                && kind.chars().all(|c| c == '.' || c == '_' || c.is_ascii_lowercase());
            let allowed = "such as session.ended; see the catalogue of events";
            findings.check(good, &format!("events[{n}]"), "is no event type", allowed);
        }
    }
    if let Some(Choice::Only(ids)) = sites {
        let allowed = format!("1 to {SITES_MAX} sites, or all");
        findings.check((1..=SITES_MAX).contains(&ids.len()), "sites", "is empty or too long", allowed);
    }
    findings.done()
}

/// A write about an endpoint, the one called `default` without a name. What is stored of it tells the two apart.
pub(super) fn write(
    caller: &Caller,
    request_id: &RequestId,
    kind: OperationKind,
    name: Option<&EndpointName>,
    body: &impl Serialize,
) -> Answered<Write> {
    let canonical = match name {
        Some(name) => serde_json::to_vec(&(name, body)),
        None => serde_json::to_vec(body),
    };
    Ok(Write {
        partner: caller.partner.clone(),
        request_id: request_id.clone(),
        kind,
        canonical: canonical.map_err(|_| Code::Internal)?,
        session_id: None,
        reservation_id: None,
        charger_id: None,
    })
}

/// The answer to a write that goes on by itself.
pub(super) type Under = Answered<(StatusCode, Json<serde_json::Value>)>;

pub(super) async fn test_of(
    state: &Partners,
    caller: Caller,
    note: &Note,
    body: &Bytes,
    name: Option<EndpointName>,
) -> Under {
    let request: Named = wire::json(body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::WebhookTest, name.as_ref(), &request)?;
    let (port, name) = (Arc::clone(&state.port), name.unwrap_or_else(EndpointName::default_endpoint));
    let drive = move |_: Claim| async move {
        port.test_webhook(&caller.partner, &name, &request.request_id).await?;
        Ok(json!({"request_id": request.request_id}))
    };
    Ok((StatusCode::ACCEPTED, Json(state.idempotency.run(write, drive).await?)))
}

pub(super) async fn replay_of(
    state: &Partners,
    caller: Caller,
    note: &Note,
    body: &Bytes,
    name: Option<EndpointName>,
) -> Under {
    let request: ReplayBody = wire::json(body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::Replay, name.as_ref(), &request)?;
    let ReplayBody { request_id, event_ids, from, to, all_dead } = request;
    let replay = ReplayRequest { event_ids, from, to, all_dead };
    check_replay(&replay).map_err(|refusal| ApiError::from(refusal).of_request(&request_id))?;
    let (port, name) = (Arc::clone(&state.port), name.unwrap_or_else(EndpointName::default_endpoint));
    let drive = move |_: Claim| async move {
        let replayed = port.replay(&caller.partner, &name, replay).await?;
        Ok(json!({"replayed": replayed}))
    };
    Ok((StatusCode::ACCEPTED, Json(state.idempotency.run(write, drive).await?)))
}

pub(super) async fn hold(
    state: &Partners,
    caller: Caller,
    note: &Note,
    body: &Bytes,
    name: Option<EndpointName>,
    paused: bool,
) -> Under {
    let request: Named = wire::json(body)?;
    note.request(request.request_id.as_str());
    let kind = if paused { OperationKind::PauseWebhook } else { OperationKind::ResumeWebhook };
    let write = write(&caller, &request.request_id, kind, name.as_ref(), &request)?;
    let (port, name) = (Arc::clone(&state.port), name.unwrap_or_else(EndpointName::default_endpoint));
    let drive = move |_: Claim| async move {
        port.pause_webhook(&caller.partner, &name, paused).await?;
        Ok(json!({"request_id": request.request_id}))
    };
    Ok((StatusCode::ACCEPTED, Json(state.idempotency.run(write, drive).await?)))
}
