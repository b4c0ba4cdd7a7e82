//! All sessions, for operators (OP-4). Owns reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, Page, SessionFilter, SessionView};
use crate::api::wire::{self, Query};
use crate::ids::SessionId;
use axum::Json;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<SessionView>>> {
    let mut query = Query::read(&uri, &["open", "charger_id", "user_id", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let filter = SessionFilter {
        open: query.value("open", "true or false")?,
        charger_id: query.value("charger_id", "a charger's id")?,
        user_id: query.text("user_id"),
    };
    Ok(Json(state.port.all_sessions(filter, page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<SessionView>> {
    let id: SessionId = wire::path_id(&id, Code::SessionUnknown)?;
    Ok(Json(state.port.any_session(id).await?))
}

pub(super) async fn signed(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<Value>> {
    let id: SessionId = wire::path_id(&id, Code::SessionUnknown)?;
    let items = state.port.signed_readings(id).await?;
    Ok(Json(json!({"session_id": id, "items": items})))
}

pub(super) async fn stop(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: SessionId = wire::path_id(&id, Code::SessionUnknown)?;
    let status = state.port.force_stop(id, &actor).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"session_id": id, "status": status}))))
}
