//! The catalogue's feed in memory (EM-6): where in it each site is, and which number is printed at which connector. Owns this
//! index; it follows rows that the platform's partition has written. What a site looks like is read when it is asked for.
//!
//! Invariants: places are taken in under one lock and in order, so a reader who has read up to a place misses nothing; a
//! number belongs to one connector.

use crate::clock::Timestamp;
use crate::domain::platform::equipment::number_key;
use crate::domain::platform::{ChargerFacts, Listed};
use crate::ids::{ChargerId, ConnectorId, SiteId, TariffId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A version of a tariff.
pub type TariffVersion = (TariffId, u32);

/// Where a site is in the feed.
#[derive(Debug, Clone)]
pub struct Place {
    /// The sequence under which it was listed.
    pub sequence: u64,
    /// Of what was shown then.
    pub digest: String,
    /// The tariff in force when that was last looked at.
    pub tariff: Option<TariffVersion>,
}

#[derive(Debug, Default)]
struct Index {
    by_place: BTreeMap<u64, (SiteId, Timestamp)>,
    by_site: HashMap<SiteId, Place>,
    numbers: HashMap<String, (ChargerId, ConnectorId)>,
    numbers_of: HashMap<ChargerId, Vec<String>>,
}

/// The feed of the catalogue. One in the process.
#[derive(Debug, Default)]
pub struct Feed {
    index: RwLock<Index>,
    /// Held by the one who writes: looks, asks the platform's partition, takes in.
    pub writing: tokio::sync::Mutex<()>,
    /// Sites that could not be listed and must be looked at again.
    dirty: Mutex<BTreeSet<SiteId>>,
}

impl Feed {
    // Maps whose changes are single inserts and removals: a panic in between leaves nothing half done.
    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a committed place in.
    pub fn put(&self, listed: &Listed, tariff: Option<TariffVersion>) {
        let site = listed.listing.site_id.clone();
        let mut index = self.write();
        if let Some(before) = index.by_site.get(&site).map(|place| place.sequence) {
            index.by_place.remove(&before);
        }
        index.by_place.insert(listed.sequence, (site.clone(), listed.at));
        let place = Place { sequence: listed.sequence, digest: listed.listing.digest.clone(), tariff };
        index.by_site.insert(site, place);
    }

    /// Where a site is.
    pub fn place(&self, site: &SiteId) -> Option<Place> {
        self.read().by_site.get(site).cloned()
    }

    /// Notes the tariff that was found in force at a site whose look has not changed.
    pub fn looked(&self, site: &SiteId, tariff: Option<TariffVersion>) {
        if let Some(place) = self.write().by_site.get_mut(site) {
            place.tariff = tariff;
        }
    }

    /// The last place; 0: nothing was ever listed.
    pub fn last(&self) -> u64 {
        self.read().by_place.last_key_value().map_or(0, |(place, _)| *place)
    }

    /// The place before the first site that was listed at `since` or later.
    pub fn before(&self, since: Timestamp) -> u64 {
        let index = self.read();
        let mut before = 0;
        for (place, (_, at)) in &index.by_place {
            if *at >= since {
                break;
            }
            before = *place;
        }
        before
    }

    /// Up to `limit` sites after a place that are `wanted`, and the place up to which that is all; whether there is more.
    pub fn after(
        &self,
        place: u64,
        limit: usize,
        wanted: impl Fn(&SiteId) -> bool,
    ) -> (Vec<(SiteId, Timestamp)>, u64, bool) {
        let index = self.read();
        let mut found = Vec::new();
        let mut up_to = place;
        for (next, (site, at)) in index.by_place.range((Bound::Excluded(place), Bound::Unbounded)) {
            if wanted(site) {
                if found.len() == limit {
                    return (found, up_to, true);
                }
                found.push((site.clone(), *at));
            }
            up_to = *next;
        }
        (found, up_to, false)
    }

    /// All sites that are `wanted`, by id.
    pub fn sites(&self, wanted: impl Fn(&SiteId) -> bool) -> Vec<SiteId> {
        let mut sites: Vec<_> = self.read().by_site.keys().filter(|site| wanted(site)).cloned().collect();
        sites.sort();
        sites
    }

    /// Sites where another tariff is in force than when they were looked at.
    pub fn repriced(&self, tariff: impl Fn(&SiteId) -> Option<TariffVersion>) -> Vec<SiteId> {
        let index = self.read();
        let other = index.by_site.iter().filter(|(site, place)| tariff(site) != place.tariff);
        other.map(|(site, _)| site.clone()).collect()
    }

    /// A site must be looked at again.
    pub fn soil(&self, site: SiteId) {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(site);
    }

    /// The sites that must be looked at again; they count as looked at.
    pub fn soiled(&self) -> BTreeSet<SiteId> {
        std::mem::take(&mut self.dirty.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a charger's committed numbers in.
    pub fn number(&self, facts: &ChargerFacts) {
        let mut index = self.write();
        for old in index.numbers_of.remove(&facts.charger_id).unwrap_or_default() {
            index.numbers.remove(&old);
        }
        let numbered = (1..).zip(&facts.connectors).filter_map(|(n, of)| Some((n, number_key(of.number.as_ref()?))));
        let mut own = Vec::new();
        for (connector, number) in numbered {
            index.numbers.insert(number.clone(), (facts.charger_id.clone(), ConnectorId(connector)));
            own.push(number);
        }
        if !own.is_empty() {
            index.numbers_of.insert(facts.charger_id.clone(), own);
        }
    }

    /// At which connector a number is printed.
    pub fn numbered(&self, number: &str) -> Option<(ChargerId, ConnectorId)> {
        self.read().numbers.get(number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::platform::Listing;

    fn listed(site: &str, sequence: u64) -> Listed {
        let listing = Listing { site_id: site.parse().unwrap(), digest: format!("d{sequence}"), was: None };
        Listed { listing, sequence, at: Timestamp(i64::try_from(sequence).unwrap() * 10) }
    }

    fn after(feed: &Feed, place: u64, limit: usize) -> (Vec<String>, u64, bool) {
        let (found, up_to, more) = feed.after(place, limit, |site| site.as_str() != "hidden");
        (found.iter().map(|(site, _)| site.to_string()).collect(), up_to, more)
    }

    #[test]
    fn a_site_that_changes_moves_to_the_end_and_a_reader_under_way_meets_it_there() {
        let feed = Feed::default();
        for (n, site) in (1..).zip(["a", "b", "hidden", "c"]) {
            feed.put(&listed(site, n), None);
        }
        assert_eq!(after(&feed, 0, 2), (vec!["a".into(), "b".into()], 3, true));
        assert_eq!(after(&feed, 0, 3), (vec!["a".into(), "b".into(), "c".into()], 4, false));
        feed.put(&listed("a", 9), None);
        assert_eq!(after(&feed, 3, 9), (vec!["c".into(), "a".into()], 9, false));
        assert_eq!(after(&feed, 9, 9), (vec![], 9, false));
        assert_eq!((feed.before(Timestamp(20)), feed.before(Timestamp(21)), feed.before(Timestamp(999))), (0, 2, 9));
        assert_eq!(feed.last(), 9);
    }

    #[test]
    fn a_number_belongs_to_one_connector_and_goes_with_it() {
        let facts = |charger: &str, numbers: &[&str]| -> ChargerFacts {
            let of = |number: &&str| {
                serde_json::json!({"standard": "GBT_DC", "format": "CABLE", "power_type": "DC",
                "max_voltage": 750, "max_amperage": 250, "number": number})
            };
            let connectors: Vec<_> = numbers.iter().map(of).collect();
            serde_json::from_value(serde_json::json!({"charger_id": charger, "connectors": connectors})).unwrap()
        };
        let feed = Feed::default();
        feed.number(&facts("CP1", &["abcd", "0002"]));
        assert_eq!(feed.numbered("ABCD"), Some(("CP1".parse().unwrap(), ConnectorId(1))));
        feed.number(&facts("CP1", &["0002"]));
        assert_eq!(
            (feed.numbered("ABCD"), feed.numbered("0002")),
            (None, Some(("CP1".parse().unwrap(), ConnectorId(1))))
        );
    }
}
