//! A partner's webhook endpoints (EM-8, EM-9): made, changed, removed, asked and looked at by the partner itself. Owns reading the
//! requests; never delivery.
//!
//! A new secret is stored nowhere in the clear: it follows from the request that made it, as that of a key does.

use super::credentials::overlap;
use super::gate::Caller;
use super::idempotency::Claim;
use super::keys::derive_webhook;
use super::sessions::Named;
use super::webhooks::{ReplayBody, Replayed, TestTaken, Under, check_choice, hold, replay_of, test_of, write};
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::port::{
    Choice, DeadView, DeliveryView, Dropped, EndpointChange, Moment, OperationKind, Page, Refusal, WebhookView,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::ids::{EndpointName, RequestId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// Longest URL, in characters.
pub(super) const URL_MAX: usize = 2000;
/// The body of `POST /webhooks/endpoints`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeEndpoint {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Your name of the endpoint, 1 to 32 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    name: EndpointName,
    /// Where to: https, a public address.
    url: String,
    /// Event types that it gets, 1 to 64, or `"all"`; absent: all.
    events: Option<Choice>,
    /// Sites whose events it gets, 1 to 1000, or `"all"`; absent: all. Events without a site always come.
    sites: Option<Choice>,
}

/// The body of `POST /webhooks/endpoints/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeEndpoint {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Where to; absent: as it is.
    url: Option<String>,
    /// Event types that it gets, or `"all"`; absent: as it is.
    events: Option<Choice>,
    /// Sites whose events it gets, or `"all"`; absent: as it is.
    sites: Option<Choice>,
}

/// The body of `POST /webhooks/endpoints/{name}/secret`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateEndpoint {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// How long the old secrets sign too, 0 to 604800 s; absent: a day.
    overlap_s: Option<u64>,
}

/// A signing secret. It is shown in this answer, and in that to a repeat of the request.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the secret is put in beside a stored answer")]
pub(crate) struct EndpointSecret {
    /// Of which endpoint.
    name: String,
    /// `whsec_…`: what signs.
    secret: String,
    /// When it was made.
    made_at: Moment,
}

/// A change of an endpoint was made.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the answer may be a stored one")]
pub(crate) struct EndpointChanged {
    /// Which.
    name: String,
}

fn named(text: &str) -> Answered<EndpointName> {
    wire::path_id(text, Code::NotFound)
}

fn check(url: Option<&str>, events: Option<&Choice>, sites: Option<&Choice>) -> Result<(), Refusal> {
    let mut findings = Findings::default();
    if let Some(url) = url {
        findings.text("url", url, 1, URL_MAX);
    }
    findings.done()?;
    check_choice(events, sites)
}

/// The answer with the secret in it, which is not stored with it.
fn shown_once(state: &Partners, caller: &Caller, request: &RequestId, mut answer: Value) -> Under {
    let at: Moment = serde_json::from_value(answer["made_at"].clone()).map_err(|_| Code::Internal)?;
    let secret = derive_webhook(&state.key_seed, &caller.partner, request, at.0);
    answer["secret"] = secret.expose_secret().into();
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Your endpoints, oldest first.
#[utoipa::path(get, path = "/webhooks/endpoints", tag = "endpoints", security(("key" = ["push"])), responses(
    (status = 200, description = "All of them", body = Page<WebhookView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn list(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
) -> Answered<Json<Page<WebhookView>>> {
    Ok(Json(Page { items: state.port.webhooks(&caller.partner).await?, next: None }))
}

/// Makes an endpoint. It is sent what happens from now on, once its URL has given a challenge back.
#[utoipa::path(post, path = "/webhooks/endpoints", tag = "endpoints", security(("key" = ["push"])), request_body = MakeEndpoint, responses(
    (status = 201, description = "The endpoint and its secret", body = EndpointSecret),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn make(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Under {
    let request: MakeEndpoint = wire::json(&body)?;
    note.request(request.request_id.as_str());
    check(Some(&request.url), request.events.as_ref(), request.sites.as_ref())
        .map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = write(&caller, &request.request_id, OperationKind::MakeEndpoint, None, &request)?;
    let (port, seed, partner) = (Arc::clone(&state.port), state.key_seed, caller.partner.clone());
    let MakeEndpoint { request_id, name, url, events, sites } = request;
    let claimed = request_id.clone();
    let drive = move |claim: Claim| async move {
        let secret = derive_webhook(&seed, &partner, &claimed, claim.at.0);
        let order = EndpointChange { url: Some(url), events, sites };
        port.make_webhook(&partner, &name, order, secret).await?;
        Ok(json!({"name": name, "made_at": claim.at}))
    };
    let answer = state.idempotency.run(write, drive).await?;
    shown_once(&state, &caller, &request_id, answer)
}

/// One endpoint, its health, and what waits for it.
#[utoipa::path(get, path = "/webhooks/endpoints/{name}", tag = "endpoints", security(("key" = ["push"])),
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 200, description = "The endpoint", body = WebhookView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn show(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answered<Json<WebhookView>> {
    Ok(Json(state.port.webhook(&caller.partner, &named(&name)?).await?))
}

/// Moves an endpoint, or says what it gets. A new URL has to give a challenge back first.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}", tag = "endpoints", security(("key" = ["push"])), request_body = ChangeEndpoint,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 200, description = "It is changed", body = EndpointChanged),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn change(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let name = named(&name)?;
    let request: ChangeEndpoint = wire::json(&body)?;
    note.request(request.request_id.as_str());
    check(request.url.as_deref(), request.events.as_ref(), request.sites.as_ref())
        .map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = write(&caller, &request.request_id, OperationKind::ChangeEndpoint, Some(&name), &request)?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let ChangeEndpoint { url, events, sites, .. } = request;
        port.change_webhook(&caller.partner, &name, EndpointChange { url, events, sites }, false).await?;
        Ok(json!({"name": name}))
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

/// Takes an endpoint away for good, with what waits for it, its dead letters and its log. The events stay in `GET /events`.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/remove", tag = "endpoints", security(("key" = ["push"])), request_body = Named,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 200, description = "It is gone, and this with it", body = Dropped),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn remove(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let name = named(&name)?;
    let request: Named = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::RemoveEndpoint, Some(&name), &request)?;
    let port = Arc::clone(&state.port);
    let drive = move |claim: Claim| async move {
        let gone = port.remove_webhook(&caller.partner, &name, claim.at).await?;
        Ok(json!({"dropped": gone.dropped, "dead_letters": gone.dead_letters}))
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

/// Makes a new signing secret; the old ones sign too for a while, so that none of your receivers refuses anything.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/secret", tag = "endpoints", security(("key" = ["push"])), request_body = RotateEndpoint,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 201, description = "The new secret", body = EndpointSecret),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn rotate(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Under {
    let name = named(&name)?;
    let request: RotateEndpoint = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let overlap =
        overlap(request.overlap_s).map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = write(&caller, &request.request_id, OperationKind::RotateEndpointSecret, Some(&name), &request)?;
    let (port, seed, partner) = (Arc::clone(&state.port), state.key_seed, caller.partner.clone());
    let claimed = request.request_id.clone();
    let drive = move |claim: Claim| async move {
        let secret = derive_webhook(&seed, &partner, &claimed, claim.at.0);
        port.rotate_webhook_secret(&partner, &name, secret, overlap).await?;
        Ok(json!({"name": name, "made_at": claim.at}))
    };
    let answer = state.idempotency.run(write, drive).await?;
    shown_once(&state, &caller, &request.request_id, answer)
}

/// Asks the endpoint at once: a new URL for its challenge, one that was disabled by itself whether it is there again.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/verify", tag = "endpoints", security(("key" = ["push"])), request_body = Named,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 202, description = "It is asked", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn verify(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Under {
    let name = named(&name)?;
    let request: Named = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::VerifyEndpoint, Some(&name), &request)?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        port.verify_webhook(&caller.partner, &name).await?;
        Ok(json!({"request_id": request.request_id}))
    };
    Ok((StatusCode::ACCEPTED, Json(state.idempotency.run(write, drive).await?)))
}

/// Holds an endpoint back: nothing is sent until you resume, and nothing is lost as long as events are kept.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/pause", tag = "endpoints", security(("key" = ["push"])), request_body = Named,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 202, description = "Taken", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn pause(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Under {
    hold(&state, caller, &note, &body, Some(named(&name)?), true).await
}

/// Lets an endpoint go on, with what waited first.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/resume", tag = "endpoints", security(("key" = ["push"])), request_body = Named,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 202, description = "Taken", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn resume(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Under {
    hold(&state, caller, &note, &body, Some(named(&name)?), false).await
}

/// Sends an endpoint a `webhook.test` event, whatever it has subscribed to, and no other.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/test", tag = "endpoints", security(("key" = ["push"])), request_body = Named,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 202, description = "Taken", body = TestTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn test(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Under {
    test_of(&state, caller, &note, &body, Some(named(&name)?)).await
}

/// Sends events to an endpoint again, under their own ids.
#[utoipa::path(post, path = "/webhooks/endpoints/{name}/replay", tag = "endpoints", security(("key" = ["push"])), request_body = ReplayBody,
    params(("name" = String, Path, description = "Which endpoint")), responses(
    (status = 202, description = "They are sent again", body = Replayed),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn replay(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(name): Path<String>,
    body: Bytes,
) -> Under {
    replay_of(&state, caller, &note, &body, Some(named(&name)?)).await
}

/// The log of attempts of an endpoint, newest first.
#[utoipa::path(get, path = "/webhooks/endpoints/{name}/deliveries", tag = "endpoints", security(("key" = ["push"])),
    params(("name" = String, Path, description = "Which endpoint"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<DeliveryView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn deliveries(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<DeliveryView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.deliveries(&caller.partner, &named(&name)?, page).await?))
}

/// Events that were given up for an endpoint, oldest first, with what came of the last try. A replay sends them again.
#[utoipa::path(get, path = "/webhooks/endpoints/{name}/dead-letters", tag = "endpoints", security(("key" = ["push"])),
    params(("name" = String, Path, description = "Which endpoint"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<DeadView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn dead_letters(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<DeadView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.dead_letters(&caller.partner, &named(&name)?, page).await?))
}
