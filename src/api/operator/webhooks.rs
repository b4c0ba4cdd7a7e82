//! Partners' webhook endpoints. Owns reading the requests and showing a new secret once; never delivery. The routes without a
//! name mean the endpoint called `default`.

use super::partners::partner;
use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::partner::check_choice;
use crate::api::port::{
    Choice, DeadView, DeliveryView, Dropped, EndpointChange, Moment, Page, ReplayRequest, WebhookView,
};
use crate::api::wire::{self, Findings, Query};
use crate::ids::{EndpointName, PartnerId};
use crate::protocol::webhook::SigningSecret;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{StatusCode, Uri};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long old signing secrets sign too, unless said: time for a partner to deploy.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest overlap: a secret that leaked must not sign for ever.
const OVERLAP_MAX_S: u64 = 30 * 24 * 60 * 60;
/// Longest URL, in characters.
const URL_MAX: usize = 2000;

/// Which endpoint a call is about: `/partners/{id}/webhook/…` or `/partners/{id}/webhooks/{name}/…`.
#[derive(Deserialize)]
pub(super) struct Which {
    id: String,
    name: Option<String>,
}

impl Which {
    fn read(&self) -> Answered<(PartnerId, EndpointName)> {
        let name = match &self.name {
            Some(name) => wire::path_id(name, Code::NotFound)?,
            None => EndpointName::default_endpoint(),
        };
        Ok((partner(&self.id)?, name))
    }
}

pub(super) fn new_secret() -> SecretString {
    let random: [u8; 32] = rand::random();
    SecretString::from(SigningSecret::make(&random).to_string())
}

pub(super) async fn list(State(state): State<Shared>, Path(which): Path<Which>) -> Answered<Json<Page<WebhookView>>> {
    let (id, _) = which.read()?;
    Ok(Json(Page { items: state.port.webhooks(&id).await?, next: None }))
}

pub(super) async fn show(State(state): State<Shared>, Path(which): Path<Which>) -> Answered<Json<WebhookView>> {
    let (id, name) = which.read()?;
    Ok(Json(state.port.webhook(&id, &name).await?))
}

/// The body of `PUT …/webhooks/{name}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointPut {
    url: Option<String>,
    events: Option<Choice>,
    sites: Option<Choice>,
}

pub(super) async fn put(
    State(state): State<Shared>,
    Path(which): Path<Which>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let (id, name) = which.read()?;
    let EndpointPut { url, events, sites } = wire::json(&body)?;
    let mut findings = Findings::default();
    if let Some(url) = &url {
        findings.text("url", url, 1, URL_MAX);
    }
    findings.done()?;
    check_choice(events.as_ref(), sites.as_ref())?;
    let change = EndpointChange { url, events, sites };
    if state.port.webhooks(&id).await?.iter().any(|endpoint| endpoint.name == name) {
        state.port.change_webhook(&id, &name, change, true).await?;
        return Ok((StatusCode::OK, Json(json!({"partner_id": id, "name": name}))));
    }
    let secret = new_secret();
    let shown = json!({"partner_id": id, "name": name, "webhook_secret": secret.expose_secret()});
    state.port.make_webhook(&id, &name, change, secret).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn remove(State(state): State<Shared>, Path(which): Path<Which>) -> Answered<Json<Dropped>> {
    let (id, name) = which.read()?;
    // No removal of before is meant.
    let since = Moment(crate::clock::Timestamp(i64::MAX));
    Ok(Json(state.port.remove_webhook(&id, &name, since).await?))
}

/// The body of `POST …/secret`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap_s: Option<u64>,
}

pub(super) async fn rotate_secret(
    State(state): State<Shared>,
    Path(which): Path<Which>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let (id, name) = which.read()?;
    let Rotation { overlap_s } = wire::json(&body)?;
    let overlap_s = overlap_s.unwrap_or(OVERLAP.as_secs());
    let mut findings = Findings::default();
    let allowed = format!("0 to {OVERLAP_MAX_S}");
    findings.check(overlap_s <= OVERLAP_MAX_S, "overlap_s", "is out of range", allowed);
    findings.done()?;
    let secret = new_secret();
    let shown = json!({"secret": secret.expose_secret(), "overlap_s": overlap_s});
    state.port.rotate_webhook_secret(&id, &name, secret, Duration::from_secs(overlap_s)).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn enable(State(state): State<Shared>, Path(which): Path<Which>) -> Answered<Json<Value>> {
    let (id, name) = which.read()?;
    state.port.enable_webhook(&id, &name, true).await?;
    Ok(Json(json!({"enabled": true})))
}

pub(super) async fn disable(State(state): State<Shared>, Path(which): Path<Which>) -> Answered<Json<Value>> {
    let (id, name) = which.read()?;
    state.port.enable_webhook(&id, &name, false).await?;
    Ok(Json(json!({"enabled": false})))
}

pub(super) async fn verify(
    State(state): State<Shared>,
    Path(which): Path<Which>,
) -> Answered<(StatusCode, Json<Value>)> {
    let (id, name) = which.read()?;
    state.port.verify_webhook(&id, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"asked": true}))))
}

pub(super) async fn vouch(State(state): State<Shared>, Path(which): Path<Which>) -> Answered<Json<Value>> {
    let (id, name) = which.read()?;
    state.port.vouch_webhook(&id, &name).await?;
    Ok(Json(json!({"verified": true})))
}

/// The body of `POST …/replay`; see [`ReplayRequest`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(default)]
    event_ids: Vec<String>,
    from: Option<Moment>,
    to: Option<Moment>,
    #[serde(default)]
    all_dead: bool,
}

pub(super) async fn replay(
    State(state): State<Shared>,
    Path(which): Path<Which>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let (id, name) = which.read()?;
    let Replay { event_ids, from, to, all_dead } = wire::json(&body)?;
    let replay = ReplayRequest { event_ids, from, to, all_dead };
    crate::api::partner::check_replay(&replay)?;
    let replayed = state.port.replay(&id, &name, replay).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"replayed": replayed}))))
}

pub(super) async fn dead_letters(
    State(state): State<Shared>,
    Path(which): Path<Which>,
    uri: Uri,
) -> Answered<Json<Page<DeadView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    let (id, name) = which.read()?;
    Ok(Json(state.port.dead_letters(&id, &name, page).await?))
}

pub(super) async fn deliveries(
    State(state): State<Shared>,
    Path(which): Path<Which>,
    uri: Uri,
) -> Answered<Json<Page<DeliveryView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    let (id, name) = which.read()?;
    Ok(Json(state.port.deliveries(&id, &name, page).await?))
}
