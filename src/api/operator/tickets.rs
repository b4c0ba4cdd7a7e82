//! Tickets for operators (OP-2). Owns reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, Page, TicketAct, TicketSearch};
use crate::api::wire::{self, Findings, Query};
use crate::ids::{OperatorId, TicketId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::Uri;
use serde::Deserialize;
use serde_json::Value;

/// Longest note: a page of text.
const NOTE_MAX: usize = 1000;

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<Value>>> {
    let mut query = Query::read(&uri, &["open", "code", "assignee", "subject", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let open = query.value("open", "true or false")?;
    let (code, assignee, subject) = (query.text("code"), query.text("assignee"), query.text("subject"));
    Ok(Json(state.port.tickets(TicketSearch { open, code, assignee, subject }, page).await?))
}

fn ticket(id: &str) -> Answered<TicketId> {
    wire::path_id(id, Code::TicketUnknown)
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<Value>> {
    Ok(Json(state.port.ticket(&ticket(&id)?).await?))
}

/// The body of `POST …/assign`: an operator's id, or null for nobody.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    to: Option<OperatorId>,
}

pub(super) async fn assign(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Assign { to } = wire::json(&body)?;
    Ok(Json(state.port.work_ticket(&ticket(&id)?, TicketAct::Assign(to), &actor).await?))
}

/// The body of `POST …/note`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

pub(super) async fn note(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Text { text } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("text", &text, 1, NOTE_MAX);
    findings.done()?;
    Ok(Json(state.port.work_ticket(&ticket(&id)?, TicketAct::Note(text), &actor).await?))
}

/// The body of `POST …/close`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    reason: String,
}

pub(super) async fn close(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Close { reason } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("reason", &reason, 1, NOTE_MAX);
    findings.done()?;
    Ok(Json(state.port.work_ticket(&ticket(&id)?, TicketAct::Close(reason), &actor).await?))
}
