//! The charger register in memory (CH-3): who may connect and where they stand, and the present connection of each. Owns two
//! maps; they follow the charger entities' committed states and the sockets.

use crate::domain::charger::Registration;
use crate::gateway::{Access, ChargerRegister, Generation, LinkHandle};
use crate::ids::{ChargerId, SiteId};
use dashmap::DashMap;
use std::sync::Arc;

/// One charger, as the gateway needs it. Boxed in the map, whose places are half empty.
#[derive(Debug, Clone)]
struct Entry {
    registration: Arc<Registration>,
    /// `None`: what is stored cannot be read; the charger cannot connect until it is registered again.
    access: Option<Access>,
}

/// All registered chargers. One in the process.
#[derive(Debug, Default)]
pub struct Register {
    entries: DashMap<ChargerId, Box<Entry>>,
    links: DashMap<ChargerId, LinkHandle>,
}

impl Register {
    /// Takes a charger's newest registration.
    pub fn put(&self, id: &ChargerId, registration: &Arc<Registration>) {
        if self.entries.get(id).is_some_and(|entry| entry.registration == *registration) {
            return;
        }
        let access = serde_json::from_str(&registration.auth).ok();
        if access.is_none() {
            tracing::error!(charger = %id, "the stored access of a charger cannot be read; register it again");
        }
        let entry = Entry { registration: Arc::clone(registration), access };
        self.entries.insert(id.clone(), Box::new(entry));
    }

    /// Whether there is such a charger. Asked before anything is loaded for an id that a stranger named (control 18).
    pub fn knows(&self, id: &ChargerId) -> bool {
        self.entries.contains_key(id)
    }

    /// Where a charger stands.
    pub fn site(&self, id: &ChargerId) -> Option<SiteId> {
        self.entries.get(id).map(|entry| entry.registration.site.clone())
    }

    /// A charger's registration.
    pub fn registration(&self, id: &ChargerId) -> Option<Arc<Registration>> {
        self.entries.get(id).map(|entry| Arc::clone(&entry.registration))
    }

    /// The chargers of a site, by id.
    pub fn at_site(&self, site: &SiteId) -> Vec<ChargerId> {
        let at = self.entries.iter().filter(|entry| entry.registration.site == *site);
        let mut ids: Vec<_> = at.map(|entry| entry.key().clone()).collect();
        ids.sort();
        ids
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a connection, if it is newer than the present one.
    pub fn attach(&self, link: &LinkHandle) -> bool {
        let id = link.charger().clone();
        let mut entry = self.links.entry(id).or_insert_with(|| link.clone());
        let newest = entry.generation() <= link.generation();
        if newest {
            *entry = link.clone();
        }
        newest
    }

    /// Forgets a connection; the end of an old one harms nothing (CH-3).
    pub fn detach(&self, id: &ChargerId, generation: Generation) -> bool {
        self.links.remove_if(id, |_, link| link.generation() == generation).is_some()
    }

    /// The present connection.
    pub fn link(&self, id: &ChargerId) -> Option<LinkHandle> {
        self.links.get(id).map(|link| link.clone())
    }

    /// The present connection, if it is this one.
    pub fn link_of(&self, id: &ChargerId, generation: u64) -> Option<LinkHandle> {
        self.link(id).filter(|link| link.generation() == Generation(generation))
    }

    /// Whether a charger has a connection.
    pub fn is_online(&self, id: &ChargerId) -> bool {
        self.links.contains_key(id)
    }
}

/// The gateway's view of the register.
#[derive(Debug, Clone)]
pub struct GatewayRegister(pub Arc<Register>);

impl ChargerRegister for GatewayRegister {
    fn access(&self, id: &ChargerId) -> Option<Access> {
        self.0.entries.get(id).and_then(|entry| entry.access.clone())
    }
}
