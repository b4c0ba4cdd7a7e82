//! What operators do with tariffs: check, publish, roll out, roll back, look (MO-2).

use super::super::{Service, refused};
use crate::api::catalogue::Code;
use crate::api::port::{Detail, Moment, Page, PageRequest, PlaceView, Refusal, RollOut, TariffView};
use crate::clock::Timestamp;
use crate::domain::platform::{Command, PARTITION, Platform};
use crate::domain::tariff::{Book, BookRefusal, FieldError, Scope, Tariff, checked};
use crate::ids::{SiteId, TariffId};
use std::sync::Arc;

/// What the rules' rejections are called in the catalogue.
pub(in crate::actors::service) fn rejected(rejection: BookRefusal) -> Refusal {
    let why = rejection.to_string();
    match rejection {
        BookRefusal::Unknown => Code::TariffUnknown.into(),
        BookRefusal::Stale => Code::TariffConflict.into(),
        BookRefusal::Full => Refusal::field("tariff", why, "fewer than there are"),
        BookRefusal::Past => Refusal::field("from", why, "now or later; absent: now"),
        BookRefusal::Over => Refusal::field("from", why, "before the version's `valid_to`"),
        BookRefusal::NotThere => Refusal::field("sites", why, "places where the tariff's roll-out is the newest"),
        BookRefusal::Sites => Refusal::field("sites", why, "absent for everywhere, or 1 to 1000 site ids"),
    }
}

fn not_good(found: Vec<FieldError>) -> Refusal {
    let details = found.into_iter().map(|e| Detail { field: e.path, problem: e.problem, allowed: e.allowed });
    Refusal { code: Code::TariffInvalid, retry_after: None, details: details.collect() }
}

/// Publishes a version, or only checks it; the number that it has or would have.
pub(in crate::actors::service) async fn publish(
    service: &Service,
    tariff: Tariff,
    check: bool,
) -> Result<u32, Refusal> {
    service.working()?;
    let bounds = service.configuration.live.current().tariff.bounds();
    let good = checked(tariff, &bounds).map_err(not_good)?;
    if check {
        return service.tariffs.book().publish(good).map(|(_, version)| version).map_err(rejected);
    }
    let asked = service.platform.ask(PARTITION, Platform, Command::PublishTariff(Box::new(good))).await;
    let version = asked.map_err(|refusal| refused(refusal, rejected))?;
    // The rules answer with the number that they gave.
    version.and_then(|version| u32::try_from(version).ok()).ok_or_else(|| Code::Internal.into())
}

fn scope(sites: Option<Vec<SiteId>>) -> Scope {
    sites.map_or(Scope::Everywhere, Scope::Sites)
}

pub(in crate::actors::service) async fn roll_out(
    service: &Service,
    id: &TariffId,
    order: RollOut,
) -> Result<(), Refusal> {
    let RollOut { version, sites, from } = order;
    let from = from.map(|from| from.0);
    super::platform(service, Command::RollOutTariff { id: id.clone(), version, scope: scope(sites), from }).await?;
    service.look_at_prices().await;
    Ok(())
}

pub(in crate::actors::service) async fn roll_back(
    service: &Service,
    id: &TariffId,
    sites: Option<Vec<SiteId>>,
) -> Result<(), Refusal> {
    super::platform(service, Command::RollBackTariff { id: id.clone(), scope: scope(sites) }).await?;
    service.look_at_prices().await;
    Ok(())
}

/// Tariffs by name.
pub(in crate::actors::service) fn list(book: &Book, page: &PageRequest) -> Page<TariffView> {
    let after = page.cursor.as_deref();
    let beyond = book.all().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
    let mut items: Vec<TariffView> = beyond.take(page.limit + 1).map(|(id, _)| view(book, id)).collect();
    let more = items.len() > page.limit;
    items.truncate(page.limit);
    let next = more.then(|| items.last().map(|last| last.tariff_id.to_string())).flatten();
    Page { items, next }
}

fn view(book: &Book, id: &TariffId) -> TariffView {
    let versions = book.versions(id);
    let places = book.places(id).filter_map(|(site, entry)| {
        let (_, version) = entry.what.as_ref()?;
        Some(PlaceView { site_id: site.cloned(), version: *version, from: Moment(entry.from) })
    });
    let newest = versions.last();
    TariffView {
        tariff_id: id.clone(),
        name: newest.map(|tariff| tariff.name.clone()).unwrap_or_default(),
        version: newest.map_or(0, |tariff| tariff.version),
        places: places.collect(),
    }
}

/// One tariff; `None`: there is none by that name.
pub(in crate::actors::service) fn show(book: &Book, id: &TariffId) -> Result<TariffView, Refusal> {
    if book.versions(id).is_empty() { Err(Code::TariffUnknown.into()) } else { Ok(view(book, id)) }
}

/// A version, the newest without one.
pub(in crate::actors::service) fn version(
    book: &Book,
    id: &TariffId,
    version: Option<u32>,
) -> Result<Arc<Tariff>, Refusal> {
    let found = version.map_or_else(|| book.versions(id).last(), |version| book.version(id, version));
    found.cloned().ok_or_else(|| Code::TariffUnknown.into())
}

/// What is in force at a site.
pub(in crate::actors::service) fn in_force(
    service: &Service,
    site: &SiteId,
    at: Option<Timestamp>,
) -> Result<Arc<Tariff>, Refusal> {
    let at = at.unwrap_or_else(|| service.clock.now());
    service.tariffs.tariff_at(site, at).ok_or_else(|| Code::TariffUnknown.into())
}
