//! What waits for a second person (OP-3, MO-6; control 40): listed, agreed to, dropped. Owns reading the requests and that whoever
//! agrees has a role that may do it.

use super::accounts::second;
use super::{Answered, Shared, door, permissions};
use crate::api::port::{Actor, Granted, Page};
use crate::api::trace::Note;
use crate::api::wire::Query;
use axum::Json;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

/// The answer to a wish: done, or taken and waiting.
pub(super) fn answer(granted: Granted) -> Answered<(StatusCode, Json<Granted>)> {
    let status = match granted {
        Granted::Done(_) => StatusCode::OK,
        Granted::Waits { .. } => StatusCode::ACCEPTED,
    };
    Ok((status, Json(granted)))
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<Value>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.approvals(page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<Value>> {
    Ok(Json(state.port.approval(&id).await?.view))
}

/// Sees that the operator has a role that may do what waits, and says in the trail what it is.
async fn looked_at(state: &Shared, id: &str, actor: &Actor, note: &Note) -> Answered<()> {
    let waiting = state.port.approval(id).await?;
    note.target(format_args!("{id} {}", waiting.view["act"].as_str().unwrap_or_default()));
    let roles = permissions::of_act(waiting.act);
    if actor.may(roles) { Ok(()) } else { Err(door::lacking(roles).into()) }
}

pub(super) async fn approve(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
) -> Answered<Json<Value>> {
    second(&actor)?;
    looked_at(&state, &id, &actor, &note).await?;
    let outcome = state.port.agree(&id, &actor).await?;
    Ok(Json(json!({"approval_id": id, "outcome": outcome})))
}

pub(super) async fn withdraw(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
) -> Answered<Json<Value>> {
    let waiting = state.port.approval(&id).await?;
    // Whoever wanted it can drop it, whatever their role.
    if waiting.view["proposed_by"] != actor.name.as_str() {
        looked_at(&state, &id, &actor, &note).await?;
    }
    Ok(Json(state.port.withdraw(&id, &actor).await?))
}
