//! Sites and chargers with live status, from rows (EM-6).

use super::feed::{degrees, tariff_ref};
use super::sessions::Eyes;
use super::{Service, corrupt};
use crate::api::catalogue::Code;
use crate::api::port::{
    ChargerView, ConnectorStatus, ConnectorView, FaultView, LockView, Moment, Page, PageRequest, Refusal, SiteView,
};
use crate::clock::Timestamp;
use crate::domain::charger::{Maintenance, Registration};
use crate::domain::platform::{Hours, Site};
use crate::domain::tariff::calendar::zone;
use crate::ids::{ChargerId, ConnectorId, SiteId};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The table of registrations.
pub(super) const CHARGER: &str = "charger";
/// The table of connector statuses.
pub(super) const STATUS: &str = "status";
/// The table of sites.
pub(super) const SITE: &str = "site";

/// Rows read at a time when a filter thins them out.
const CHUNK: usize = 500;

/// A row of [`CHARGER`].
#[derive(Debug, Deserialize)]
pub(super) struct ChargerRow {
    pub(super) registration: Option<Registration>,
    #[serde(default)]
    pub(super) maintenance: Option<Maintenance>,
    #[serde(default)]
    vendor: Option<String>,
    #[serde(default)]
    model: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct StatusRow {
    #[serde(default)]
    connectors: Vec<StatusOf>,
}

#[derive(Debug, Deserialize)]
struct StatusOf {
    connector_id: ConnectorId,
    status: ConnectorStatus,
    #[serde(default)]
    error: Option<FaultView>,
    #[serde(default)]
    lock: Option<LockView>,
    #[serde(default)]
    status_at: Option<String>,
}

impl Service {
    fn sees_site(&self, eyes: Eyes<'_>, site: &SiteId) -> bool {
        match eyes {
            Eyes::Operator => true,
            Eyes::Partner(partner) => {
                self.directory.get(partner).is_some_and(|known| crate::actors::partners::sees(&known.partner, site))
            }
        }
    }

    async fn charger_of(
        &self,
        id: ChargerId,
        row: &[u8],
        status: Option<&[u8]>,
    ) -> Result<Option<ChargerView>, Refusal> {
        let charger: ChargerRow = serde_json::from_slice(row).map_err(|e| corrupt(CHARGER, id.as_str(), &e))?;
        let Some(registration) = charger.registration else { return Ok(None) };
        let status: StatusRow = match status {
            Some(status) => serde_json::from_slice(status).map_err(|e| corrupt(STATUS, id.as_str(), &e))?,
            None => StatusRow::default(),
        };
        let mut connectors: Vec<ConnectorView> = status.connectors.into_iter().map(connector).collect();
        let facts = self.facts(&id).await?.map(|facts| facts.connectors).unwrap_or_default();
        for (facts, connector) in facts.into_iter().zip(&mut connectors) {
            connector.facts = Some(facts);
        }
        Ok(Some(ChargerView {
            site_id: registration.site,
            online: self.register.is_online(&id),
            status_at: connectors.iter().filter_map(|connector| connector.status_at).max(),
            maintenance: charger.maintenance.is_some(),
            vendor: charger.vendor,
            model: charger.model,
            connectors,
            charger_id: id,
        }))
    }

    pub(super) async fn charger_view(&self, eyes: Eyes<'_>, id: &ChargerId) -> Result<ChargerView, Refusal> {
        let row = self.journal.row(CHARGER, id.as_str()).await?.ok_or(Code::ChargerUnknown)?;
        let status = self.journal.row(STATUS, id.as_str()).await?;
        let view = self.charger_of(id.clone(), &row, status.as_deref()).await?.ok_or(Code::ChargerUnknown)?;
        if self.sees_site(eyes, &view.site_id) { Ok(view) } else { Err(Code::ChargerUnknown.into()) }
    }

    pub(super) async fn charger_views(&self, eyes: Eyes<'_>, page: &PageRequest) -> Result<Page<ChargerView>, Refusal> {
        let mut items = Vec::new();
        let mut after = page.cursor.clone();
        loop {
            let rows = self.journal.rows(CHARGER, "", after.as_deref(), CHUNK.min(page.limit.max(50))).await?;
            let Some(last) = rows.last().map(|row| row.key.clone()) else { return Ok(Page { items, next: None }) };
            let statuses = self.statuses(&rows[0].key, &last).await?;
            for row in rows {
                let id: ChargerId = row.key.parse().map_err(|error| corrupt(CHARGER, &row.key, &error))?;
                after = Some(row.key.clone());
                let view = self.charger_of(id, &row.value, statuses.get(&row.key).map(Vec::as_slice)).await?;
                items.extend(view.filter(|view| self.sees_site(eyes, &view.site_id)));
                if items.len() == page.limit {
                    return Ok(Page { items, next: after });
                }
            }
        }
    }

    /// The status rows from `first` to `last`.
    async fn statuses(&self, first: &str, last: &str) -> Result<BTreeMap<String, Vec<u8>>, Refusal> {
        let mut statuses = BTreeMap::new();
        if let Some(row) = self.journal.row(STATUS, first).await? {
            statuses.insert(first.to_owned(), row);
        }
        let mut after = first.to_owned();
        loop {
            let rows = self.journal.rows(STATUS, "", Some(&after), CHUNK).await?;
            let over = rows.len() < CHUNK || rows.last().is_some_and(|row| row.key.as_str() > last);
            if let Some(row) = rows.last() {
                after.clone_from(&row.key);
            }
            statuses.extend(rows.into_iter().filter(|row| row.key.as_str() <= last).map(|row| (row.key, row.value)));
            if over {
                return Ok(statuses);
            }
        }
    }

    pub(super) async fn site_view(&self, eyes: Eyes<'_>, id: &SiteId) -> Result<SiteView, Refusal> {
        let row = self.journal.row(SITE, id.as_str()).await?.ok_or(Code::NotFound)?;
        if !self.sees_site(eyes, id) {
            return Err(Code::NotFound.into());
        }
        self.site_of(id.as_str(), &row).await
    }

    /// A site without its chargers.
    pub(super) async fn bare_site(&self, id: &SiteId) -> Result<Site, Refusal> {
        let row = self.journal.row(SITE, id.as_str()).await?.ok_or(Code::NotFound)?;
        serde_json::from_slice(&row).map_err(|error| corrupt(SITE, id.as_str(), &error))
    }

    /// Whether a site with these hours is open now; `None`: hours or zone are not known.
    pub(super) fn open_now(&self, hours: Option<&Hours>, time_zone: Option<&str>) -> Option<bool> {
        hours?.open_at(&zone(time_zone?).ok()?, self.clock.now())
    }

    async fn site_of(&self, key: &str, row: &[u8]) -> Result<SiteView, Refusal> {
        let site: Site = serde_json::from_slice(row).map_err(|error| corrupt(SITE, key, &error))?;
        let mut chargers = Vec::new();
        for id in self.register.at_site(&site.site_id) {
            // Registered, so it is the platform's own to show.
            chargers.push(self.charger_view(Eyes::Operator, &id).await?);
        }
        let tariff = self.tariffs.tariff_at(&site.site_id, self.clock.now());
        Ok(SiteView {
            tariff: tariff.as_deref().map(|tariff| tariff_ref(&site.site_id, tariff)),
            site_id: site.site_id,
            name: site.name,
            address: site.address,
            position: site.position.map(degrees),
            open_now: self.open_now(site.hours.as_ref(), site.time_zone.as_deref()),
            time_zone: site.time_zone,
            hours: site.hours,
            facilities: site.facilities,
            status_at: chargers.iter().filter_map(|charger| charger.status_at).max(),
            chargers,
        })
    }

    pub(super) async fn site_views(&self, eyes: Eyes<'_>, page: &PageRequest) -> Result<Page<SiteView>, Refusal> {
        let mut items = Vec::new();
        let mut after = page.cursor.clone();
        loop {
            let rows = self.journal.rows(SITE, "", after.as_deref(), CHUNK).await?;
            if rows.is_empty() {
                return Ok(Page { items, next: None });
            }
            for row in rows {
                let id: SiteId = row.key.parse().map_err(|error| corrupt(SITE, &row.key, &error))?;
                after = Some(row.key.clone());
                if self.sees_site(eyes, &id) {
                    items.push(self.site_of(&row.key, &row.value).await?);
                }
                if items.len() == page.limit {
                    return Ok(Page { items, next: after });
                }
            }
        }
    }
}

fn connector(of: StatusOf) -> ConnectorView {
    ConnectorView {
        connector_id: of.connector_id,
        status: of.status,
        // A connector that was never heard of has its birth in 1970.
        status_at: of.status_at.and_then(|at| Timestamp::parse(&at).ok()).filter(|at| at.0 > 0).map(Moment),
        error: of.error,
        lock: of.lock,
        facts: None,
        session_id: None,
    }
}
