//! Tariffs (MO-2): look, check, publish, roll out, roll back, and OCPI in and out. Owns reading the requests; never what a tariff
//! may be.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{Detail, Moment, Page, Refusal, RollOut, TariffView};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::clock::Timestamp;
use crate::domain::tariff::{FieldError, Tariff};
use crate::ids::{SiteId, TariffId};
use crate::protocol::ocpi::tariff::{self as ocpi, Party};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

/// Years that a yearly season is told for in OCPI, whose dates have years.
const SEASON_YEARS: i16 = 2;

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<TariffView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.tariffs(page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<TariffView>> {
    let id: TariffId = wire::path_id(&id, Code::TariffUnknown)?;
    Ok(Json(state.port.tariff(&id).await?))
}

pub(super) async fn version(
    State(state): State<Shared>,
    Path((id, version)): Path<(String, String)>,
) -> Answered<Json<Tariff>> {
    let id: TariffId = wire::path_id(&id, Code::TariffUnknown)?;
    let version = wire::path_id(&version, Code::TariffUnknown)?;
    Ok(Json(Tariff::clone(&*state.port.tariff_version(&id, Some(version)).await?)))
}

/// What is in force at a site, now or at `at`.
pub(super) async fn in_force(
    State(state): State<Shared>,
    Path(site): Path<String>,
    uri: Uri,
) -> Answered<Json<Tariff>> {
    let site: SiteId = wire::path_id(&site, Code::NotFound)?;
    let at = Query::read(&uri, &["at"])?.text("at");
    let at = at.map(|text| Timestamp::parse(&text).map(Moment)).transpose();
    let at = at.map_err(|_| Refusal::field("at", "is no moment", "RFC 3339 with an offset"))?;
    Ok(Json(Tariff::clone(&*state.port.tariff_at(&site, at).await?)))
}

async fn take(state: &Shared, id: &str, body: &[u8], check: bool) -> Answered<u32> {
    let id: TariffId = wire::path_id(id, Code::TariffUnknown)?;
    let tariff: Tariff = wire::json(body)?;
    let mut findings = Findings::default();
    findings.check(tariff.id == id, "id", "is not the one in the path", &id);
    findings.done()?;
    Ok(state.port.publish_tariff(tariff, check).await?)
}

pub(super) async fn check(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answered<Json<Value>> {
    let version = take(&state, &id, &body, true).await?;
    Ok(Json(json!({"tariff_id": id, "good": true, "version": version})))
}

pub(super) async fn publish(
    State(state): State<Shared>,
    Path(id): Path<String>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let version = take(&state, &id, &body, false).await?;
    note.target(format_args!("tariff {id} version {version}"));
    Ok(Json(json!({"tariff_id": id, "version": version})))
}

pub(super) async fn roll_out(
    State(state): State<Shared>,
    Path(id): Path<String>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: TariffId = wire::path_id(&id, Code::TariffUnknown)?;
    let order: RollOut = wire::json(&body)?;
    let version = order.version;
    note.target(format_args!("tariff {id} version {version}"));
    state.port.roll_out_tariff(&id, order).await?;
    Ok(Json(json!({"tariff_id": id, "version": version})))
}

/// The body of `POST /tariffs/{id}/roll-back`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBack {
    sites: Option<Vec<SiteId>>,
}

pub(super) async fn roll_back(
    State(state): State<Shared>,
    Path(id): Path<String>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: TariffId = wire::path_id(&id, Code::TariffUnknown)?;
    let RollBack { sites } = wire::json(&body)?;
    note.target(format_args!("tariff {id}"));
    state.port.roll_back_tariff(&id, sites).await?;
    Ok(Json(json!({"tariff_id": id})))
}

/// A version as an OCPI 2.2.1 tariff object, with what OCPI cannot say.
pub(super) async fn export(
    State(state): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answered<Json<ocpi::Exported>> {
    let id: TariffId = wire::path_id(&id, Code::TariffUnknown)?;
    let mut query = Query::read(&uri, &["version", "country_code", "party_id", "year"])?;
    let version = query.value::<u32>("version", "a number from 1")?;
    let year = query.value::<i16>("year", "the first year that yearly seasons are told for")?;
    let party = Party::new(
        query.text("country_code").as_deref().unwrap_or("CN"),
        query.text("party_id").as_deref().unwrap_or("CHL"),
    );
    let party =
        party.ok_or_else(|| Refusal::field("party_id", "is no party", "two letters of a country, three of a party"))?;
    let tariff = state.port.tariff_version(&id, version).await?;
    let first = year.unwrap_or(ocpi::FIRST_YEAR).clamp(1970, 9000);
    Ok(Json(ocpi::export(&tariff, &party, first..first.saturating_add(SEASON_YEARS))))
}

/// Publishes an OCPI 2.2.1 tariff object; OCPI has no time zone, so it is a parameter.
pub(super) async fn import(
    State(state): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: TariffId = wire::path_id(&id, Code::TariffUnknown)?;
    let mut query = Query::read(&uri, &["time_zone", "check"])?;
    let zone = query.text("time_zone");
    let zone = zone.ok_or_else(|| Refusal::field("time_zone", "is missing", "an IANA name such as Asia/Shanghai"))?;
    let check = query.value::<bool>("check", "true or false")?.unwrap_or(false);
    let imported = ocpi::import(&body, &zone, id.clone()).map_err(not_taken)?;
    let version = state.port.publish_tariff(imported.tariff.clone(), check).await?;
    note.target(format_args!("tariff {id} version {version}"));
    let (tariff, dropped) = (imported.tariff, imported.dropped);
    Ok(Json(json!({"tariff_id": id, "version": version, "dropped": dropped, "tariff": Tariff { version, ..tariff }})))
}

fn not_taken(found: Vec<FieldError>) -> Refusal {
    let details = found.into_iter().map(|e| Detail { field: e.path, problem: e.problem, allowed: e.allowed });
    Refusal { code: Code::TariffInvalid, retry_after: None, details: details.collect() }
}
