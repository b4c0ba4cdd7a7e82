//! Operators' accounts and tokens (OP-3). Owns reading the requests and showing a new token once.

use super::{Answered, Shared, token};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, NewToken, OperatorPut, OperatorView, Page};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::ids::OperatorId;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The name of whoever holds the installation's token: no account can be called so.
const RESERVED: &str = crate::domain::operator::person::ROOT;

fn operator(id: &str) -> Answered<OperatorId> {
    wire::path_id(id, Code::OperatorUnknown)
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<OperatorView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.operators(page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<OperatorView>> {
    Ok(Json(state.port.operator(&operator(&id)?).await?))
}

pub(super) async fn put(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<OperatorView>)> {
    let put: OperatorPut = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("name", &put.name, 1, 100);
    findings.check(!put.roles.is_empty(), "roles", "is empty", "support, operations, finance, administrator");
    let free = id.parse::<OperatorId>().is_ok() && !id.eq_ignore_ascii_case(RESERVED);
    findings.check(free, "id", "cannot be an operator's", "1 to 32 characters of A-Z a-z 0-9 _ -, and not root");
    findings.done()?;
    let id = operator(&id)?;
    let new = state.port.put_operator(&id, put, &actor).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(state.port.operator(&id).await?)))
}

/// The body of `POST …/suspend`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspend {
    reason: String,
}

pub(super) async fn suspend(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<OperatorView>> {
    let Suspend { reason } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("reason", &reason, 1, 200);
    findings.done()?;
    let id = operator(&id)?;
    state.port.suspend_operator(&id, Some(reason), &actor).await?;
    Ok(Json(state.port.operator(&id).await?))
}

pub(super) async fn resume(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<Json<OperatorView>> {
    let id = operator(&id)?;
    state.port.suspend_operator(&id, None, &actor).await?;
    Ok(Json(state.port.operator(&id).await?))
}

/// The body of `POST …/tokens`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    label: String,
    /// Seconds.
    valid_s: Option<u64>,
}

pub(super) async fn add_token(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let Token { label, valid_s } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("label", &label, 1, 64);
    findings.check(valid_s != Some(0), "valid_s", "is 0", "1 or more seconds; absent: operators.token_valid");
    findings.done()?;
    let id = operator(&id)?;
    let (token_id, secret, whole) = token::make();
    note.target(format_args!("{id} token {token_id}"));
    let new = NewToken { id: token_id.clone(), secret, label, valid: valid_s.map(Duration::from_secs) };
    let expires = state.port.add_token(&id, new, &actor).await?;
    let shown = json!({"operator_id": id, "token_id": token_id, "token": whole.expose_secret(), "expires_at": expires});
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn revoke_token(
    State(state): State<Shared>,
    Path((id, token_id)): Path<(String, String)>,
) -> Answered<Json<Value>> {
    let id = operator(&id)?;
    state.port.revoke_token(&id, &token_id).await?;
    Ok(Json(json!({"operator_id": id, "token_id": token_id, "revoked": true})))
}
