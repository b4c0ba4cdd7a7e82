//! Sites and chargers with live status (EM-6). Owns the form of the answers and their ETags; never what is known of a charger.

use super::gate::Caller;
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::ErrorBody;
use crate::api::port::{ChargerView, Page, SiteView};
use crate::api::wire::{self, Query};
use crate::ids::{ChargerId, SiteId};
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The answer with an ETag, or 304 if the caller has this very state already.
pub(super) fn tagged<T: Serialize>(asked: &HeaderMap, value: &T) -> Answered<Response> {
    let body = serde_json::to_vec(value).map_err(|_| Code::Internal)?;
    // 128 bits of SHA-256 are plenty to tell two states apart.
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let same = known.flat_map(|v| v.split(',')).any(|v| v.trim().trim_start_matches("W/") == tag);
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// A charger as a partner sees it: whose session is on a connector is nobody else's business.
fn outward(mut charger: ChargerView) -> ChargerView {
    for connector in &mut charger.connectors {
        connector.session_id = None;
    }
    charger
}

fn outward_site(mut site: SiteView) -> SiteView {
    site.chargers = site.chargers.into_iter().map(outward).collect();
    site
}

/// Sites that are open to you, with their chargers.
#[utoipa::path(get, path = "/sites", tag = "fleet", security(("key" = ["query"])), params(
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<SiteView>),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn sites(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered<Response> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    let Page { items, next } = state.port.sites(&caller.partner, page).await?;
    tagged(&headers, &Page { items: items.into_iter().map(outward_site).collect::<Vec<_>>(), next })
}

/// One site.
#[utoipa::path(get, path = "/sites/{id}", tag = "fleet", security(("key" = ["query"])),
    params(("id" = String, Path, description = "Which site")), responses(
    (status = 200, description = "The site", body = SiteView),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn site(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answered<Response> {
    let id: SiteId = wire::path_id(&id, Code::SiteUnknown)?;
    tagged(&headers, &outward_site(state.port.site(&caller.partner, &id).await?))
}

/// The tariff in force at a site now: its prices by time slice, in ten-thousandths of the currency's unit a kWh (docs/tariffs.md).
#[utoipa::path(get, path = "/sites/{id}/tariff", tag = "fleet", security(("key" = ["query"])),
    params(("id" = String, Path, description = "Which site")), responses(
    (status = 200, description = "The tariff", body = serde_json::Value),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn tariff(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answered<Response> {
    let id: SiteId = wire::path_id(&id, Code::SiteUnknown)?;
    tagged(&headers, state.port.site_tariff(&caller.partner, &id).await?.as_ref())
}

/// Chargers that are open to you, each connector with its status and when it was learnt.
#[utoipa::path(get, path = "/chargers", tag = "fleet", security(("key" = ["query"])), params(
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<ChargerView>),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn chargers(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answered<Response> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    let Page { items, next } = state.port.chargers(&caller.partner, page).await?;
    tagged(&headers, &Page { items: items.into_iter().map(outward).collect::<Vec<_>>(), next })
}

/// One charger.
#[utoipa::path(get, path = "/chargers/{id}", tag = "fleet", security(("key" = ["query"])),
    params(("id" = String, Path, description = "Which charger")), responses(
    (status = 200, description = "The charger", body = ChargerView),
    (status = 304, description = "As the ETag that you gave"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn charger(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answered<Response> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    tagged(&headers, &outward(state.port.charger(&caller.partner, &id).await?))
}
