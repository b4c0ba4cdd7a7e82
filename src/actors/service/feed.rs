//! The catalogue that partners mirror (EM-6): sites listed in the order of their changes, and pages of that. Owns when a site
//! is listed again and what a partner's cursor means.
//!
//! A site is listed under a new place once what partners are shown of it is another; that is looked at right after each
//! change, before it is answered, at the start, and every few seconds for tariffs that come into force by themselves. So a
//! kill between a change and its listing is made good at the start.

use super::{Service, corrupt};
use crate::actors::catalogue::TariffVersion;
use crate::actors::partners::{Known, sees};
use crate::api::catalogue::Code;
use crate::api::port::{
    CataloguePage, ListedCharger, ListedConnector, ListedSite, Moment, PositionView, PullFrom, Refusal, TariffRef,
};
use crate::domain::delivery::Sites;
use crate::domain::platform::{ChargerFacts, Command, FEED, Listed, Listing, PARTITION, Platform, Position, Site};
use crate::domain::tariff::Tariff;
use crate::ids::{ChargerId, ConnectorId, PartnerId, SiteId};
use crate::persistence::JournalError;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The table of chargers as equipment.
pub(super) const FACTS: &str = "charger-facts";

/// Rows read at a time.
const CHUNK: usize = 1000;

/// A position in degrees.
pub(super) fn degrees(position: Position) -> PositionView {
    PositionView { lat: f64::from(position.latitude_micro) / 1e6, lon: f64::from(position.longitude_micro) / 1e6 }
}

/// A tariff as it is referred to.
pub(super) fn tariff_ref(site: &SiteId, tariff: &Tariff) -> TariffRef {
    TariffRef {
        tariff_id: tariff.id.to_string(),
        version: tariff.version,
        currency: tariff.currency.code().to_owned(),
        href: format!("/api/v1/sites/{site}/tariff"),
    }
}

/// A cursor: a place in the feed, and the grant that counted then.
fn cursor(place: u64, grant: u32) -> String {
    format!("{place}-{grant}")
}

fn read_cursor(text: &str) -> Result<(u64, u32), Refusal> {
    let read = text.split_once('-').and_then(|(place, grant)| Some((place.parse().ok()?, grant.parse().ok()?)));
    read.ok_or_else(|| Refusal::field("cursor", "is no cursor", "the `next` of an earlier page"))
}

fn granted(sites: &Sites, site: &SiteId) -> bool {
    match sites {
        Sites::All => true,
        Sites::Only(sites) => sites.contains(site),
    }
}

/// Sites that are listed while an operator waits; the others follow within seconds.
const AT_ONCE: usize = 100;

/// Where a page begins.
struct Begin {
    place: u64,
    removed: Vec<SiteId>,
    reset: bool,
}

const ANEW: Begin = Begin { place: 0, removed: Vec::new(), reset: true };

impl Service {
    /// Reads the feed and the numbers, and lists what has changed since.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open_catalogue(&self) -> Result<(), JournalError> {
        for listed in self.every::<Listed>(FEED).await? {
            self.feed.put(&listed, None);
        }
        for facts in self.every::<ChargerFacts>(FACTS).await? {
            self.feed.number(&facts);
        }
        // What changed just before the end may not be listed: all are looked at, once work goes on.
        for site in self.every::<Site>(super::catalogue::SITE).await? {
            self.feed.soil(site.site_id);
        }
        Ok(())
    }

    async fn every<T: DeserializeOwned>(&self, table: &str) -> Result<Vec<T>, JournalError> {
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let rows = self.journal.rows(table, "", after.as_deref(), CHUNK).await?;
            let Some(last) = rows.last() else { return Ok(all) };
            after = Some(last.key.clone());
            for row in &rows {
                let read = serde_json::from_slice(&row.value);
                all.push(read.map_err(|error| JournalError::Corrupt {
                    key: format!("{table}/{}", row.key),
                    why: error.to_string(),
                })?);
            }
        }
    }

    /// Looks at sites whose listing failed, and at those where another tariff is in force than was listed.
    pub async fn look_at_catalogue(&self) {
        let mut sites = self.feed.soiled();
        sites.extend(self.repriced());
        if !sites.is_empty() {
            self.relist(sites).await;
        }
    }

    /// The same for a tariff that an operator has just rolled out or back: they see it at once at some sites, and do not wait
    /// for thousands.
    pub(super) async fn look_at_prices(&self) {
        let sites = self.repriced().into_iter().take(AT_ONCE).collect();
        self.relist(sites).await;
    }

    fn repriced(&self) -> Vec<SiteId> {
        let now = self.clock.now();
        self.feed.repriced(|site| version(self.tariffs.tariff_at(site, now).as_deref()))
    }

    /// Lists these sites again, as far as partners are shown something else of them. What fails is tried again soon.
    pub(super) async fn relist(&self, sites: BTreeSet<SiteId>) {
        for site in sites {
            // For each anew: looking at all of a large platform takes seconds.
            let _writing = self.feed.writing.lock().await;
            if let Err(refusal) = self.list(&site).await {
                tracing::warn!(%site, code = refusal.code.as_str(), "a site could not be listed; it is tried again");
                self.feed.soil(site);
            }
        }
    }

    async fn list(&self, site: &SiteId) -> Result<(), Refusal> {
        let Some(shown) = self.listed_site(site).await? else { return Ok(()) };
        let tariff = version(self.tariffs.tariff_at(site, self.clock.now()).as_deref());
        let bytes = serde_json::to_vec(&shown).map_err(|error| corrupt(FEED, site.as_str(), &error))?;
        // 128 bits of SHA-256 are plenty to tell two states apart.
        let digest = hex::encode(&Sha256::digest(&bytes)[..16]);
        let place = self.feed.place(site);
        if place.as_ref().is_some_and(|place| place.digest == digest) {
            self.feed.looked(site, tariff);
            return Ok(());
        }
        let listing = Listing { site_id: site.clone(), digest, was: place.map(|place| place.sequence) };
        let asked = self.platform.ask(PARTITION, Platform, Command::List(listing.clone())).await;
        let sequence = asked.map_err(|refusal| super::refused(refusal, super::admin::tariffs::rejected))?;
        let sequence = sequence.ok_or(Code::Internal)?;
        // As it was journaled: what a restart would read.
        let row = self.journal.row(FEED, &format!("{sequence:020}")).await?.ok_or(Code::Internal)?;
        let listed: Listed = serde_json::from_slice(&row).map_err(|error| corrupt(FEED, site.as_str(), &error))?;
        self.feed.put(&listed, tariff);
        Ok(())
    }

    /// Says what a charger is as equipment. A number that another connector has is refused.
    pub(super) async fn put_facts(&self, facts: ChargerFacts) -> Result<(), Refusal> {
        self.working()?;
        let _writing = self.feed.writing.lock().await;
        let mut own = BTreeSet::new();
        for (n, number) in facts.connectors.iter().enumerate().filter_map(|(n, of)| Some((n, of.number.as_ref()?))) {
            let key = crate::domain::platform::equipment::number_key(number);
            let other = self.feed.numbered(&key).is_some_and(|(charger, _)| charger != facts.charger_id);
            if other || !own.insert(key) {
                let field = format!("connectors[{n}].number");
                return Err(Refusal::field(field, "is another connector's", "a number that is printed once"));
            }
        }
        let asked = self.platform.ask(PARTITION, Platform, Command::PutFacts(facts.clone())).await;
        asked.map_err(|refusal| super::refused(refusal, super::admin::tariffs::rejected))?;
        self.feed.number(&facts);
        Ok(())
    }

    /// A charger as equipment.
    pub(super) async fn facts(&self, id: &ChargerId) -> Result<Option<ChargerFacts>, Refusal> {
        let row = self.journal.row(FACTS, id.as_str()).await?;
        row.map(|row| serde_json::from_slice(&row).map_err(|error| corrupt(FACTS, id.as_str(), &error))).transpose()
    }

    /// What partners are shown of a site in the catalogue, without when it was listed.
    async fn listed_site(&self, id: &SiteId) -> Result<Option<ListedSite>, Refusal> {
        let Some(row) = self.journal.row(super::catalogue::SITE, id.as_str()).await? else { return Ok(None) };
        let site: Site = serde_json::from_slice(&row).map_err(|error| corrupt("site", id.as_str(), &error))?;
        let mut chargers = Vec::new();
        for charger_id in self.register.at_site(id) {
            let Some(registration) = self.register.registration(&charger_id) else { continue };
            let mut facts =
                self.facts(&charger_id).await?.map(|facts| facts.connectors).unwrap_or_default().into_iter();
            let connectors = (1..=registration.connectors)
                .map(|n| ListedConnector { connector_id: ConnectorId(n), facts: facts.next() })
                .collect();
            chargers.push(ListedCharger { charger_id, connectors });
        }
        let tariff = self.tariffs.tariff_at(id, self.clock.now());
        Ok(Some(ListedSite {
            site_id: site.site_id,
            name: site.name,
            address: site.address,
            time_zone: site.time_zone,
            position: site.position.map(degrees),
            hours: site.hours,
            facilities: site.facilities,
            tariff: tariff.as_deref().map(|tariff| tariff_ref(id, tariff)),
            chargers,
            updated_at: None,
        }))
    }

    /// A page of the catalogue.
    pub(super) async fn catalogue_page(
        &self,
        partner: &PartnerId,
        from: PullFrom,
        limit: usize,
    ) -> Result<CataloguePage, Refusal> {
        self.working()?;
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let begin = self.begin(&known, from)?;
        let visible = |site: &SiteId| sees(&known.partner, site);
        let (found, up_to, more) = self.feed.after(begin.place, limit, visible);
        let mut items = Vec::with_capacity(found.len());
        for (site, at) in found {
            if let Some(listed) = self.listed_site(&site).await? {
                items.push(ListedSite { updated_at: Some(Moment(at)), ..listed });
            }
        }
        let next = cursor(up_to, known.partner.grants.number);
        Ok(CataloguePage { items, removed: begin.removed, reset: begin.reset, next, more })
    }

    fn begin(&self, known: &Known, from: PullFrom) -> Result<Begin, Refusal> {
        let grants = &known.partner.grants;
        let (place, number) = match from {
            PullFrom::Beginning => return Ok(Begin { reset: false, ..ANEW }),
            PullFrom::Cursor(text) => read_cursor(&text)?,
            PullFrom::Since(at) => match grants.at(at.0) {
                None => return Ok(ANEW),
                Some(number) => (self.feed.before(at.0), number),
            },
        };
        // A cursor of another store, or of one that was put back to an earlier state.
        if place > self.feed.last() || number > grants.number {
            return Ok(ANEW);
        }
        if number == grants.number {
            return Ok(Begin { place, removed: Vec::new(), reset: false });
        }
        let Some(before) = grants.before(number) else { return Ok(ANEW) };
        let removed = self.feed.sites(|site| granted(before, site) && !sees(&known.partner, site));
        // What has become visible may stand anywhere in the feed.
        let gained = !self.feed.sites(|site| !granted(before, site) && sees(&known.partner, site)).is_empty();
        Ok(Begin { place: if gained { 0 } else { place }, removed, reset: false })
    }
}

fn version(tariff: Option<&Tariff>) -> Option<TariffVersion> {
    tariff.map(|tariff| (tariff.id.clone(), tariff.version))
}
