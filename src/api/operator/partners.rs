//! Partners and their keys. Owns reading the requests and showing a new secret once; never delivery.

use super::{Answered, Shared, approvals};
use crate::api::catalogue::Code;
use crate::api::partner::credentials::{self, some_scopes};
use crate::api::partner::keys;
use crate::api::port::{Actor, Granted, NewKey, Page, PartnerPut, PartnerView, Wish};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::domain::access::{Grant, Scope};
use crate::ids::PartnerId;
use crate::telemetry::redact::Personal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn partner(id: &str) -> Answered<PartnerId> {
    wire::path_id(id, Code::PartnerUnknown)
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<PartnerView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.partners(page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<PartnerView>> {
    Ok(Json(state.port.partner(&partner(&id)?).await?))
}

pub(super) async fn put(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answered<Json<Value>> {
    let id = partner(&id)?;
    let put: PartnerPut = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("name", &put.name, 1, 100);
    if let Some(webhook) = &put.webhook {
        findings.text("webhook.url", &webhook.url, 1, 2000);
        let few = webhook.events.as_ref().is_none_or(|events| events.len() <= 64);
        findings.check(few, "webhook.events", "is too long", "at most 64 event types");
    }
    findings.done()?;
    let answer = state.port.put_partner(&id, put).await?;
    let mut shown = json!({"partner_id": id});
    if let (Some(secret), Some(object)) = (answer.webhook_secret, shown.as_object_mut()) {
        object.insert("webhook_secret".into(), secret.expose_secret().into());
    }
    Ok(Json(shown))
}

/// The body of `POST …/keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyOrder {
    scopes: Option<BTreeSet<Scope>>,
    #[serde(default)]
    networks: Vec<String>,
}

fn shown_once(note: &Note, key: &NewKey) -> Value {
    note.key(&key.key_id);
    json!({"key_id": key.key_id, "secret": key.secret.expose_secret()})
}

pub(super) async fn add_key(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id = partner(&id)?;
    let KeyOrder { scopes, networks } = wire::json(&body)?;
    let scopes = scopes.unwrap_or_else(|| Grant::default().scopes);
    some_scopes(&scopes)?;
    let grant = Grant { scopes, networks: credentials::networks(&networks)? };
    let key = keys::make();
    let shown = shown_once(&note, &key);
    state.port.add_api_key(&id, key, grant).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

/// The body of `POST …/keys/{key_id}/rotate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap_s: Option<u64>,
}

pub(super) async fn rotate_key(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    Path((id, key_id)): Path<(String, String)>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id = partner(&id)?;
    let Rotation { overlap_s } = wire::json(&body)?;
    let overlap = credentials::overlap(overlap_s)?;
    let key = keys::make();
    let mut shown = shown_once(&note, &key);
    shown["overlap_s"] = overlap.as_secs().into();
    state.port.rotate_api_key(&id, &key_id, key, overlap).await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

/// The body of `PUT …/keys/{key_id}/networks`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Networks {
    networks: Vec<String>,
}

pub(super) async fn confine_key(
    State(state): State<Shared>,
    Path((id, key_id)): Path<(String, String)>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Networks { networks } = wire::json(&body)?;
    let networks = credentials::networks(&networks)?;
    let shown = json!({"key_id": key_id, "networks": networks});
    state.port.set_api_key_networks(&partner(&id)?, &key_id, networks).await?;
    Ok(Json(shown))
}

pub(super) async fn revoke_key(
    State(state): State<Shared>,
    Path((id, key_id)): Path<(String, String)>,
) -> Answered<Json<Value>> {
    state.port.revoke_api_key(&partner(&id)?, &key_id).await?;
    Ok(Json(json!({"key_id": key_id, "revoked": true})))
}

/// The body of `POST …/users/erase`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erase {
    user_id: String,
}

pub(super) async fn erase_user(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Granted>)> {
    let id = partner(&id)?;
    let Erase { user_id } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("user_id", &user_id, 1, 64);
    findings.done()?;
    note.target(format!("{id} user {}", Personal(&user_id)));
    approvals::answer(state.port.grant_wish(Wish::EraseUser { partner: id, user_id }, &actor).await?)
}
