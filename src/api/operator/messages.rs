//! The OCPP frames of a charger or a session (OP-4). Owns reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{MessageSearch, MessageView, Moment, Page, PageRequest};
use crate::api::wire::{self, Pages, Query};
use crate::ids::{ChargerId, SessionId};
use axum::Json;
use axum::extract::{Path, State};
use http::Uri;
use std::time::Duration;

/// What came shortly before a session was made belongs to it: the plug, the card.
const BEFORE: Duration = Duration::from_secs(60);

/// And what came shortly after its end: the last status.
const AFTER: Duration = Duration::from_secs(60);

const MOMENT: &str = "an RFC 3339 time with an offset, such as 2026-01-02T03:04:05Z";

const PARAMETERS: [&str; 7] = ["from", "to", "action", "text", "order", "limit", "cursor"];

/// The search that a query asks for.
fn read(uri: &Uri, charger_id: ChargerId, oldest_first: bool, pages: Pages) -> Answered<(MessageSearch, PageRequest)> {
    let mut query = Query::read(uri, &PARAMETERS)?;
    let page = query.page("cursor", pages)?;
    let oldest_first = match query.value::<Order>("order", "newest or oldest")? {
        Some(Order(oldest_first)) => oldest_first,
        None => oldest_first,
    };
    let search = MessageSearch {
        charger_id,
        from: query.value("from", MOMENT)?,
        to: query.value("to", MOMENT)?,
        action: query.text("action"),
        text: query.text("text"),
        oldest_first,
    };
    Ok((search, page))
}

/// Which come first: whether the oldest.
struct Order(bool);

impl std::str::FromStr for Order {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "oldest" => Ok(Order(true)),
            "newest" => Ok(Order(false)),
            _ => Err(()),
        }
    }
}

pub(super) async fn of_charger(
    State(state): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<MessageView>>> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let (search, page) = read(&uri, id, false, state.pages())?;
    Ok(Json(state.port.messages(search, page).await?))
}

pub(super) async fn of_session(
    State(state): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<MessageView>>> {
    let id: SessionId = wire::path_id(&id, Code::SessionUnknown)?;
    let session = state.port.any_session(id).await?;
    let (mut search, page) = read(&uri, session.charger_id, true, state.pages())?;
    let (begun, ended) = (session.created_at, session.ended_at);
    let from = Moment(begun.0 - BEFORE);
    search.from = Some(search.from.map_or(from, |asked| asked.max(from)));
    search.to = match (search.to, ended.map(|ended| Moment(ended.0 + AFTER))) {
        (Some(asked), Some(to)) => Some(asked.min(to)),
        (asked, to) => asked.or(to),
    };
    Ok(Json(state.port.messages(search, page).await?))
}
