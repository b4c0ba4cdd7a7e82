//! Sites, chargers, commands and tokens. Owns reading and checking the requests; never what a charger may do.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, CommandRequest, CommandView, LockAction, OperatorChargerView, Page, SiteView, TokenPut};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::ids::{ChargerId, CommandId, ConnectorId};
use crate::telemetry::redact::Personal;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest OCPP 1.6 idTag.
const ID_TAG_MAX: usize = 20;

pub(super) async fn sites(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<SiteView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.all_sites(page).await?))
}

pub(super) async fn chargers(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<OperatorChargerView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.all_chargers(page).await?))
}

pub(super) async fn charger(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Answered<Json<OperatorChargerView>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    Ok(Json(state.port.any_charger(&id).await?))
}

pub(super) async fn command(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let command: CommandRequest = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.check(command.payload.is_object(), "payload", "is no object", "the OCPP payload, a JSON object");
    findings.done()?;
    let command_id = state.port.command(&id, command).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"command_id": command_id}))))
}

pub(super) async fn command_state(
    State(state): State<Shared>,
    Path((id, command_id)): Path<(String, String)>,
) -> Answered<Json<CommandView>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let command_id: CommandId = wire::path_id(&command_id, Code::NotFound)?;
    Ok(Json(state.port.command_state(&id, command_id).await?))
}

/// The body of `POST /chargers/{id}/lock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveLock {
    connector_id: ConnectorId,
    action: LockAction,
}

pub(super) async fn move_lock(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let MoveLock { connector_id, action } = wire::json(&body)?;
    let command_id = state.port.move_lock(&id, connector_id, action, &actor).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"command_id": command_id}))))
}

pub(super) async fn rotate_key(
    State(state): State<Shared>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let command_id = state.port.rotate_key(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"command_id": command_id}))))
}

/// The body of `POST /chargers/{id}/maintenance`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Maintenance {
    on: bool,
    note: Option<String>,
}

pub(super) async fn maintenance(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let Maintenance { on, note } = wire::json(&body)?;
    let mut findings = Findings::default();
    if let Some(note) = &note {
        findings.text("note", note, 1, 500);
    }
    findings.done()?;
    state.port.set_maintenance(&id, on, note).await?;
    Ok(Json(json!({"charger_id": id, "maintenance": on})))
}

pub(super) async fn put_token(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    Path(id_tag): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    note.target(Personal(&id_tag));
    let mut findings = Findings::default();
    findings.text("id_tag", &id_tag, 1, ID_TAG_MAX);
    let token: TokenPut = wire::json(&body)?;
    if let Some(user_id) = &token.user_id {
        findings.text("user_id", user_id, 1, 64);
        findings.check(token.partner_id.is_some(), "partner_id", "is missing", "the partner whose user it is");
    }
    findings.done()?;
    let status = token.status;
    state.port.put_token(&id_tag, token).await?;
    Ok(Json(json!({"status": status})))
}
