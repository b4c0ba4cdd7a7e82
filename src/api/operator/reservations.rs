//! All reservations, for operators (OP-4). Owns reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, Page, ReservationFilter, ReservationView};
use crate::api::wire::{self, Query};
use crate::ids::ReservationId;
use axum::Json;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde_json::{Value, json};

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<ReservationView>>> {
    let mut query = Query::read(&uri, &["open", "charger_id", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let filter = ReservationFilter {
        open: query.value("open", "true or false")?,
        charger_id: query.value("charger_id", "a charger's id")?,
        user_id: None,
    };
    Ok(Json(state.port.all_reservations(filter, page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<ReservationView>> {
    let id: ReservationId = wire::path_id(&id, Code::ReservationUnknown)?;
    Ok(Json(state.port.any_reservation(id).await?))
}

pub(super) async fn cancel(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ReservationId = wire::path_id(&id, Code::ReservationUnknown)?;
    let status = state.port.release_reservation(id, &actor).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"reservation_id": id, "status": status}))))
}
