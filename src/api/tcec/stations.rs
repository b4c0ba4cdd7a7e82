//! `query_stations_info`, `query_station_status`, `query_station_stats` (102.2). Owns paging and bounds; the facts are the
//! native catalogue's, and only sites that the partner may see exist.

use super::{Answered, Call, USER, mapping, reasons};
use crate::api::catalogue::Code;
use crate::api::port::{PageRequest, Refusal, SessionFilter, SessionView, SiteView};
use crate::clock::Timestamp;
use crate::ids::{ChargerId, ConnectorId, SiteId};
use crate::protocol::tcec::envelope::to_value;
use crate::protocol::tcec::station::*;
use crate::protocol::tcec::values::{ChinaTime, kwh};
use crate::protocol::tcec::{Refused, Ret};
use std::collections::BTreeMap;
use std::time::Duration;

/// Stations in a page, unless asked otherwise: the standard's default.
const PAGE_DEFAULT: i64 = 10;
/// Most stations in a page.
const PAGE_MAX: i64 = 100;
/// The longest time that statistics are made of.
const STATS_DAYS_MAX: u64 = 31;
/// Sessions that statistics look through at most.
const STATS_SESSIONS_MAX: usize = 20_000;
/// A session that began longer ago than this before the time asked about is not looked for.
const SESSION_LONGEST: Duration = Duration::from_secs(2 * 86_400);

fn ret(refusal: Refusal) -> Refused {
    reasons::ret(&refusal)
}

async fn all_sites(call: &Call) -> Result<Vec<SiteView>, Refused> {
    let limit = call.state.pages().max;
    let (mut sites, mut cursor) = (Vec::new(), None);
    loop {
        let page = call.state.port.sites(&call.relation.partner, PageRequest { cursor, limit }).await.map_err(ret)?;
        sites.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(sites);
        }
    }
}

/// `query_stations_info`. When master data changed is not kept, so `LastQueryTime` leaves nothing out.
pub(super) async fn infos(call: &Call, query: StationsQuery) -> Answered {
    let page_no = if query.page_no == 0 { 1 } else { query.page_no };
    let page_size = if query.page_size == 0 { PAGE_DEFAULT } else { query.page_size };
    if page_no < 1 || page_size < 1 {
        return Err(Refused::member("PageNo and PageSize", "are out of range", "1 and up"));
    }
    let page_size = page_size.min(PAGE_MAX);
    let sites = all_sites(call).await?;
    let item_size = i64::try_from(sites.len()).unwrap_or(i64::MAX);
    let whole = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let from = whole(page_no - 1).saturating_mul(whole(page_size));
    let here = sites.iter().skip(from).take(whole(page_size));
    Ok(to_value(&StationsPage {
        page_no,
        page_count: item_size.div_euclid(page_size) + i64::from(item_size.rem_euclid(page_size) > 0),
        item_size,
        station_infos: here.map(|site| mapping::station(site, &call.relation.tcec)).collect(),
    }))
}

async fn site(call: &Call, id: &str) -> Result<Option<SiteView>, Refused> {
    let Ok(id) = id.parse::<SiteId>() else { return Ok(None) };
    match call.state.port.site(&call.relation.partner, &id).await {
        Ok(site) => Ok(Some(site)),
        Err(refusal) if matches!(refusal.code, Code::NotFound | Code::SiteUnknown) => Ok(None),
        Err(refusal) => Err(ret(refusal)),
    }
}

/// `query_station_status`. Stations that the partner does not see are left out.
pub(super) async fn statuses(call: &Call, query: StatusQuery) -> Answered {
    if query.station_ids.len() > STATION_IDS_MAX {
        return Err(Refused::member("StationIDs", "is too long", "at most 50 ids"));
    }
    let mut found = Vec::with_capacity(query.station_ids.len());
    for id in &query.station_ids {
        let site = site(call, id).await?;
        found.extend(site.map(|site| mapping::station_status(&site, &call.relation.tcec.own_id)));
    }
    let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
    Ok(to_value(&StatusAnswer { total, station_status_infos: found }))
}

/// The time asked about: dates include their last day.
fn span(query: &StatsQuery) -> Result<(Timestamp, Timestamp), Refused> {
    let read = |name: &str, text: &str| {
        let allowed = "yyyy-MM-dd or yyyy-MM-dd HH:mm:ss";
        ChinaTime::parse(text).ok_or_else(|| Refused::member(name, "is no time", allowed))
    };
    let from = read("StartTime", &query.start_time)?.0;
    let mut to = read("EndTime", &query.end_time)?;
    if !query.end_time.contains(':') {
        to = to.day().1;
    }
    let days = to.0.since(from).as_secs() / 86_400;
    if to.0 <= from || days > STATS_DAYS_MAX {
        return Err(Refused::member("EndTime", "is not after StartTime, or too far", "at most 31 days"));
    }
    Ok((from, to.0))
}

/// `query_station_stats`: the energy of the partner's own sessions that ended within the time. Those of others are not its
/// business (isolation).
pub(super) async fn stats(call: &Call, query: StatsQuery) -> Answered {
    let (from, to) = span(&query)?;
    let site = site(call, &query.station_id).await?;
    let site = site.ok_or_else(|| Refused::member("StationID", "is not known", "a station of query_stations_info"))?;
    let within = |session: &SessionView| session.ended_at.is_some_and(|at| from <= at.0 && at.0 < to);
    let mut energy: BTreeMap<(ChargerId, ConnectorId), i64> = BTreeMap::new();
    let limit = call.state.pages().max;
    // Of one user, so that they come newest first.
    let filter = SessionFilter { user_id: Some(USER.to_owned()), ..SessionFilter::default() };
    let (mut looked, mut cursor) = (0, None);
    'pages: loop {
        let page = PageRequest { cursor, limit };
        let page = call.state.port.sessions(&call.relation.partner, filter.clone(), page).await.map_err(ret)?;
        for session in &page.items {
            if session.created_at.0 + SESSION_LONGEST < from {
                break 'pages;
            }
            if within(session) {
                *energy.entry((session.charger_id.clone(), session.connector_id)).or_default() += session.energy_wh;
            }
        }
        looked += page.items.len();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        if looked >= STATS_SESSIONS_MAX {
            return Err(Refused::new(Ret::Parameter, "more sessions than are looked through: ask for a shorter time"));
        }
    }
    let mut equipment_stats_infos = Vec::with_capacity(site.chargers.len());
    let mut whole = 0;
    for charger in &site.chargers {
        let of = |connector: ConnectorId| energy.get(&(charger.charger_id.clone(), connector)).copied().unwrap_or(0);
        let sum: i64 = charger.connectors.iter().map(|connector| of(connector.connector_id)).sum();
        whole += sum;
        let connectors = charger.connectors.iter().map(|connector| ConnectorStats {
            connector_id: mapping::connector_name(&charger.charger_id, connector.connector_id),
            connector_electricity: kwh(of(connector.connector_id)),
        });
        equipment_stats_infos.push(EquipmentStats {
            equipment_id: charger.charger_id.to_string(),
            equipment_electricity: kwh(sum),
            connector_stats_infos: connectors.collect(),
        });
    }
    let station_stats = StationStats {
        station_id: query.station_id,
        start_time: query.start_time,
        end_time: query.end_time,
        station_electricity: kwh(whole),
        equipment_stats_infos,
    };
    Ok(to_value(&StatsAnswer { station_stats }))
}
