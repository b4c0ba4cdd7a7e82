//! Which version of which tariff is in force at a site (MO-2). Owns publishing, roll-out to some sites first and then to all,
//! and roll-back, as pure data; never a session: what a session was shown stays with it.
//!
//! Rules: a site's own tariff stands before the one for everywhere, but a version that comes to everywhere later takes the
//! place of one of the same tariff that a site had on trial. A version counts from the later of its roll-out and its `valid_from`.
//! History is kept, so that a session which is told of late is priced by what was shown when it began.

use super::Tariff;
use crate::clock::Timestamp;
use crate::ids::{SiteId, TariffId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most tariffs: the book is in memory and in each snapshot of the platform's partition.
pub const TARIFFS_MAX: usize = 256;
/// Most versions of one: a change a week for five years.
pub const VERSIONS_MAX: usize = 256;
/// Most changes of what is in force at a place that are kept; older ones are forgotten.
pub const CHANGES_MAX: usize = 64;
/// Most sites named in one roll-out.
pub const SITES_MAX: usize = 1_000;

/// Where something holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// At every site that has no other tariff of its own.
    Everywhere,
    /// At these.
    Sites(Vec<SiteId>),
}

/// What has happened to the book. Journaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BookChange {
    /// A version was published; it is in force nowhere yet.
    Published {
        /// All of it.
        tariff: Box<Tariff>,
    },
    /// A version was rolled out.
    RolledOut {
        /// Of which tariff.
        id: TariffId,
        /// Which version.
        version: u32,
        /// Where.
        scope: Scope,
        /// From when on.
        from: Timestamp,
    },
    /// What was in force before is again.
    RolledBack {
        /// Which tariff was taken back.
        id: TariffId,
        /// Where.
        scope: Scope,
        /// From when on.
        from: Timestamp,
    },
}

/// Why the book stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookRefusal {
    /// No such tariff or version.
    #[error("there is no such version of the tariff")]
    Unknown,
    /// Another was published meanwhile.
    #[error("the version is not the one after the newest")]
    Stale,
    /// There are as many as are kept.
    #[error("there are as many tariffs or versions as are kept")]
    Full,
    /// It would begin in the past.
    #[error("a roll-out cannot begin in the past")]
    Past,
    /// It is over by then.
    #[error("the version is no longer valid then")]
    Over,
    /// It is in force at none of the places.
    #[error("the tariff is in force at none of these places")]
    NotThere,
    /// No place is named, or too many.
    #[error("one to 1000 sites are allowed")]
    Sites,
}

/// What is in force at a place from a time on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From when on.
    pub from: Timestamp,
    /// Counts the changes of the book.
    pub number: u64,
    /// Which version of which tariff; `None`: none of its own any more.
    pub what: Option<(TariffId, u32)>,
}

/// All tariffs and where they hold. Cheap to clone: versions are shared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Book {
    tariffs: BTreeMap<TariffId, Vec<Arc<Tariff>>>,
    everywhere: Vec<Entry>,
    sites: BTreeMap<SiteId, Vec<Entry>>,
    changes: u64,
}

impl Book {
    /// The tariff in force at a site then: what a user is shown who starts now, and what a session is billed by to its end.
    pub fn tariff_at(&self, site: &SiteId, at: Timestamp) -> Option<Arc<Tariff>> {
        self.in_force(self.sites.get(site).map_or(&[][..], Vec::as_slice), at)
    }

    fn in_force(&self, own: &[Entry], at: Timestamp) -> Option<Arc<Tariff>> {
        let own = self.newest(own, at);
        let common = self.newest(&self.everywhere, at);
        let (entry, tariff) = match (own, common) {
            (Some(own), Some(common)) if own.1.id == common.1.id && common.0.number > own.0.number => common,
            (Some(own), _) => own,
            (None, common) => common?,
        };
        debug_assert!(entry.from <= at);
        Some(Arc::clone(tariff))
    }

    /// The last entry that counts then; one that says "none of its own" ends the search.
    fn newest<'a>(&'a self, entries: &'a [Entry], at: Timestamp) -> Option<(&'a Entry, &'a Arc<Tariff>)> {
        for entry in entries.iter().rev().filter(|entry| entry.from <= at) {
            let (id, version) = entry.what.as_ref()?;
            if let Some(tariff) = self.version(id, *version).filter(|tariff| tariff.is_valid_at(at)) {
                return Some((entry, tariff));
            }
        }
        None
    }

    /// A version.
    pub fn version(&self, id: &TariffId, version: u32) -> Option<&Arc<Tariff>> {
        let at = usize::try_from(version).ok()?.checked_sub(1)?;
        self.tariffs.get(id)?.get(at)
    }

    /// All versions of a tariff, oldest first.
    pub fn versions(&self, id: &TariffId) -> &[Arc<Tariff>] {
        self.tariffs.get(id).map_or(&[], Vec::as_slice)
    }

    /// All tariffs by name, each with its versions.
    pub fn all(&self) -> impl Iterator<Item = (&TariffId, &[Arc<Tariff>])> {
        self.tariffs.iter().map(|(id, versions)| (id, versions.as_slice()))
    }

    /// Where a tariff stands: `None` is everywhere; the entries kept, oldest first.
    pub fn places<'a>(&'a self, id: &'a TariffId) -> impl Iterator<Item = (Option<&'a SiteId>, &'a Entry)> {
        let of = move |entry: &&Entry| entry.what.as_ref().is_some_and(|(tariff, _)| tariff == id);
        let sites =
            self.sites.iter().flat_map(move |(site, entries)| entries.iter().map(move |entry| (Some(site), entry)));
        self.everywhere.iter().map(|entry| (None, entry)).chain(sites).filter(move |(_, entry)| of(entry))
    }

    /// Publishes the next version of a tariff, and its number; a version of 0 means whichever is next.
    ///
    /// # Errors
    /// See [`BookRefusal`].
    pub fn publish(&self, checked: super::Checked) -> Result<(BookChange, u32), BookRefusal> {
        let mut tariff = checked.into_inner();
        let known = self.versions(&tariff.id).len();
        if known >= VERSIONS_MAX || (known == 0 && self.tariffs.len() >= TARIFFS_MAX) {
            return Err(BookRefusal::Full);
        }
        let next = u32::try_from(known).map_err(|_| BookRefusal::Full)?.saturating_add(1);
        if tariff.version != 0 && tariff.version != next {
            return Err(BookRefusal::Stale);
        }
        tariff.version = next;
        Ok((BookChange::Published { tariff: Box::new(tariff) }, next))
    }

    /// Rolls a version out.
    ///
    /// # Errors
    /// See [`BookRefusal`].
    pub fn roll_out(
        &self,
        id: TariffId,
        version: u32,
        scope: Scope,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<BookChange, BookRefusal> {
        let tariff = self.version(&id, version).ok_or(BookRefusal::Unknown)?;
        sane(&scope)?;
        if from < now {
            return Err(BookRefusal::Past);
        }
        if tariff.valid_to.is_some_and(|to| to <= from) {
            return Err(BookRefusal::Over);
        }
        Ok(BookChange::RolledOut { id, version, scope, from })
    }

    /// Takes the newest roll-out of a tariff back, at once.
    ///
    /// # Errors
    /// See [`BookRefusal`].
    pub fn roll_back(&self, id: TariffId, scope: Scope, now: Timestamp) -> Result<BookChange, BookRefusal> {
        sane(&scope)?;
        let there = |entries: &[Entry]| {
            entries.last().and_then(|entry| entry.what.as_ref()).is_some_and(|(tariff, _)| *tariff == id)
        };
        let good = match &scope {
            Scope::Everywhere => there(&self.everywhere),
            Scope::Sites(sites) => sites.iter().all(|site| self.sites.get(site).is_some_and(|own| there(own))),
        };
        if good { Ok(BookChange::RolledBack { id, scope, from: now }) } else { Err(BookRefusal::NotThere) }
    }

    /// Folds a change.
    pub fn apply(&mut self, change: &BookChange) {
        self.changes += 1;
        let number = self.changes;
        match change {
            BookChange::Published { tariff } => {
                self.tariffs.entry(tariff.id.clone()).or_default().push(Arc::new((**tariff).clone()));
            }
            BookChange::RolledOut { id, version, scope, from } => {
                let entry = Entry { from: *from, number, what: Some((id.clone(), *version)) };
                self.each(scope, |entries| put(entries, entry.clone()));
            }
            BookChange::RolledBack { id, scope, from } => {
                self.each(scope, |entries| {
                    let what = before(entries, id, *from);
                    // What was to come of it does not come.
                    put(entries, Entry { from: *from, number, what });
                });
            }
        }
    }

    fn each(&mut self, scope: &Scope, mut change: impl FnMut(&mut Vec<Entry>)) {
        match scope {
            Scope::Everywhere => change(&mut self.everywhere),
            Scope::Sites(sites) => {
                sites.iter().for_each(|site| change(self.sites.entry(site.clone()).or_default()));
            }
        }
    }
}

fn sane(scope: &Scope) -> Result<(), BookRefusal> {
    match scope {
        Scope::Everywhere => Ok(()),
        Scope::Sites(sites) if (1..=SITES_MAX).contains(&sites.len()) => Ok(()),
        Scope::Sites(_) => Err(BookRefusal::Sites),
    }
}

/// What stood before the newest roll-out: if that one is still to come, what stands now.
fn before(entries: &[Entry], id: &TariffId, now: Timestamp) -> Option<(TariffId, u32)> {
    let mut past = entries.iter().rev();
    let newest = past.next()?;
    if newest.from > now {
        return entries.iter().rev().find(|entry| entry.from <= now)?.what.clone();
    }
    let taken = newest.what.as_ref().filter(|(tariff, _)| tariff == id)?;
    past.map(|entry| &entry.what).find(|what| what.as_ref() != Some(taken))?.clone()
}

/// Adds an entry in order of time; what was planned for later than it is dropped.
fn put(entries: &mut Vec<Entry>, entry: Entry) {
    entries.retain(|old| old.from < entry.from || (old.from == entry.from && old.number < entry.number));
    entries.push(entry);
    let over = entries.len().saturating_sub(CHANGES_MAX);
    entries.drain(..over);
}
