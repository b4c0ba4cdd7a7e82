//! Alerts, quarantine, configuration and the store. Owns reading the requests.

use super::{Answered, Shared, approvals};
use crate::api::port::{Actor, Granted, Page, Wish};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) async fn alerts(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<Value>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.alerts(page).await?))
}

pub(super) async fn quarantine(State(state): State<Shared>) -> Answered<Json<Page<Value>>> {
    Ok(Json(Page { items: state.port.quarantined().await?, next: None }))
}

/// The body of `POST /quarantine/release`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    entity: String,
}

pub(super) async fn release(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Release { entity } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("entity", &entity, 1, 200);
    findings.done()?;
    note.target(&entity);
    state.port.release(&entity).await?;
    Ok(Json(json!({"entity": entity, "released": true})))
}

pub(super) async fn config(State(state): State<Shared>) -> Answered<Json<Value>> {
    let versions = state.port.config_versions().await?;
    Ok(Json(json!({"current": versions.first().map(|version| version.version), "items": versions})))
}

/// The body of `PUT /config`: a whole file's text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Apply {
    toml: String,
}

pub(super) async fn apply_config(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Apply { toml } = wire::json(&body)?;
    let version = state.port.apply_config(&toml, &actor).await?;
    note.target(format_args!("version {version}"));
    Ok(Json(json!({"version": version})))
}

/// The body of `POST /config/rollback`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    version: u64,
}

pub(super) async fn rollback(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Granted>)> {
    let Rollback { version } = wire::json(&body)?;
    note.target(format_args!("to version {version}"));
    approvals::answer(state.port.grant_wish(Wish::RollBackConfig { version }, &actor).await?)
}

/// The body of `POST /journal/backup`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backup {
    name: String,
}

pub(super) async fn backup(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Backup { name } = wire::json(&body)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let good = (1..=64).contains(&name.len()) && name.bytes().all(plain);
    let mut findings = Findings::default();
    // A name, not a path: nobody writes anywhere on our disk by this call.
    findings.check(good, "name", "is no plain name", "1 to 64 characters of A-Z a-z 0-9 _ -");
    findings.done()?;
    note.target(&name);
    Ok(Json(state.port.backup_journal(&name).await?))
}

pub(super) async fn compact(State(state): State<Shared>) -> Answered<Json<Value>> {
    Ok(Json(state.port.compact_journal().await?))
}

pub(super) async fn stats(State(state): State<Shared>) -> Answered<Json<Value>> {
    Ok(Json(state.port.journal_stats().await?))
}
