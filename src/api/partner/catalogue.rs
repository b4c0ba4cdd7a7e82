//! The catalogue that a partner mirrors, live statuses, one connector, and what a code means (EM-6). Owns the reading of these
//! calls; never what is in the answers.

use super::fleet::tagged;
use super::gate::Caller;
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::ErrorBody;
use crate::api::port::{CataloguePage, ConnectorDetail, Moment, PullFrom, Refusal, StatusOf, StatusPage};
use crate::api::wire::{self, Query};
use crate::domain::platform::code::TEXT_MAX;
use crate::ids::{ChargerId, ConnectorId, SiteId};
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use http::{HeaderMap, Uri};
use std::sync::Arc;

/// Most connectors that are asked for by name at once.
pub(super) const NAMED_MAX: usize = 100;

/// The catalogue: every site that is open to you with chargers, connectors, hours and tariff, in the order of their changes. Pull
/// until `more` is false, keep the last `next`, and come back with it for what has changed since: new and changed sites are in
/// `items`, those that are open to you no longer in `removed`. What changes while you pull is not missed: it comes again.
#[utoipa::path(get, path = "/catalogue", tag = "fleet", security(("key" = ["query"])), params(
    ("limit" = Option<u32>, Query, description = "Most sites"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page; absent: everything"),
    ("updated_since" = Option<Moment>, Query, description = "Instead of a cursor: what was changed then or later")),
    responses(
    (status = 200, description = "A page", body = CataloguePage),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn catalogue(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered<Response> {
    let mut query = Query::read(&uri, &["limit", "cursor", "updated_since"])?;
    let since = query.value::<Moment>("updated_since", "an RFC 3339 time with an offset")?;
    let page = query.page("cursor", state.pages())?;
    let from = match (page.cursor, since) {
        (Some(_), Some(_)) => {
            return Err(Refusal::field("updated_since", "is together with `cursor`", "one of the two").into());
        }
        (Some(cursor), None) => PullFrom::Cursor(cursor),
        (None, Some(since)) => PullFrom::Since(since),
        (None, None) => PullFrom::Beginning,
    };
    tagged(&headers, &state.port.catalogue(&caller.partner, from, page.limit).await?)
}

/// Live statuses, each with the time it was learnt and whether its charger is connected: of connectors by name, of a site, or of
/// everything that is open to you.
#[utoipa::path(get, path = "/statuses", tag = "fleet", security(("key" = ["query"])), params(
    ("connectors" = Option<String>, Query,
        description = "These: up to 100 `charger/connector` with commas between them, such as `CP-1/1,CP-1/2`"),
    ("site_id" = Option<String>, Query, description = "Or all of this site"),
    ("limit" = Option<u32>, Query, description = "Or a page of all: of so many chargers"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "The statuses", body = StatusPage),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn statuses(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered<Response> {
    let mut query = Query::read(&uri, &["connectors", "site_id", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let of = match (query.text("connectors"), query.text("site_id")) {
        (None, None) => StatusOf::All(page),
        (Some(names), None) => StatusOf::Connectors(named(&names)?),
        (None, Some(site)) => StatusOf::Site(wire::path_id::<SiteId>(&site, Code::SiteUnknown)?),
        (Some(_), Some(_)) => {
            return Err(Refusal::field("site_id", "is together with `connectors`", "one of the two").into());
        }
    };
    tagged(&headers, &state.port.statuses(&caller.partner, of).await?)
}

fn named(text: &str) -> Result<Vec<(ChargerId, ConnectorId)>, Refusal> {
    let names: Vec<&str> = text.split(',').collect();
    if names.len() > NAMED_MAX {
        return Err(Refusal::field("connectors", "is too long", format!("at most {NAMED_MAX}")));
    }
    let read = |name: &str| {
        let (charger, connector) = name.rsplit_once('/')?;
        Some((charger.parse().ok()?, ConnectorId(connector.parse().ok()?)))
    };
    let allowed = "charger/connector, such as CP-1/2";
    let each = names.into_iter().enumerate().map(|(n, name)| {
        read(name).ok_or_else(|| Refusal::field(format!("connectors[{n}]"), "is no connector", allowed))
    });
    each.collect()
}

/// One connector with all that a user is shown before a start: plug, power, price, status.
#[utoipa::path(get, path = "/chargers/{id}/connectors/{connector_id}", tag = "fleet", security(("key" = ["query"])), params(
    ("id" = String, Path, description = "Which charger"),
    ("connector_id" = u16, Path, description = "Its number, 1 and up")), responses(
    (status = 200, description = "The connector", body = ConnectorDetail),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn connector(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path((id, connector)): Path<(String, String)>,
) -> Answered<Response> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let connector: u16 = wire::path_id(&connector, Code::ConnectorUnknown)?;
    tagged(&headers, &state.port.connector(&caller.partner, &id, ConnectorId(connector)).await?)
}

/// The connector that a QR text or a number typed by a user means, with all that the user is shown before a start.
#[utoipa::path(get, path = "/resolve", tag = "fleet", security(("key" = ["query"])), params(
    ("code" = String, Query, description = "The whole text of the QR code, or what was typed")), responses(
    (status = 200, description = "The connector", body = ConnectorDetail),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn resolve(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered<Response> {
    let mut query = Query::read(&uri, &["code"])?;
    let good = |code: &String| !code.is_empty() && code.len() <= TEXT_MAX;
    let allowed = format!("1 to {TEXT_MAX} bytes");
    let code = query.text("code").filter(good);
    let code = code.ok_or_else(|| Refusal::field("code", "is missing, empty or too long", allowed))?;
    tagged(&headers, &state.port.resolve(&caller.partner, &code).await?)
}
