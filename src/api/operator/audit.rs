//! The audit trail (OP-3; control 41): searched and verified. Owns reading the requests; a line is written by the door.

use super::{Answered, Shared};
use crate::api::port::{AuditSearch, Moment, Page};
use crate::api::wire::Query;
use crate::domain::operator::trail::Findings;
use axum::Json;
use axum::extract::State;
use http::Uri;
use serde_json::Value;

const TIME: &str = "RFC 3339, such as 2026-11-20T01:00:00Z";

fn moment(query: &mut Query, name: &str) -> Answered<Option<Moment>> {
    query.value::<Moment>(name, TIME)
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<Value>>> {
    let mut query = Query::read(&uri, &["actor", "action", "target", "from", "to", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let (from, to) = (moment(&mut query, "from")?, moment(&mut query, "to")?);
    let search = AuditSearch {
        actor: query.text("actor"),
        action: query.text("action"),
        target: query.text("target"),
        from,
        to,
    };
    Ok(Json(state.port.audit(search, page).await?))
}

pub(super) async fn verify(State(state): State<Shared>) -> Answered<Json<Findings>> {
    Ok(Json(state.port.verify_audit().await?))
}
