//! The charger register in memory (CH-3): who may connect and where they stand, and the present connection of each. Owns two
//! maps; they follow the charger entities' committed states and the sockets.

use crate::actors::alerts::Alerts;
use crate::domain::charger::{Registration, SecurityProfile};
use crate::domain::platform::Alert;
use crate::gateway::profile::Denied;
use crate::gateway::{Access, ChargerRegister, Generation, LinkHandle, Standing};
use crate::ids::{ChargerId, SiteId};
use dashmap::DashMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Operators are told of the refusals of one charger once in this time: a charger tries every minute.
const DENIED_AGAIN: Duration = Duration::from_secs(3600);

/// All registered chargers. One in the process.
#[derive(Debug, Default)]
pub struct Register {
    /// Shared with the entities' states. How a charger proves itself is read out of them when it connects.
    entries: DashMap<ChargerId, Arc<Registration>>,
    links: DashMap<ChargerId, LinkHandle>,
    /// The chargers of each site.
    sites: DashMap<SiteId, BTreeSet<ChargerId>>,
}

impl Register {
    /// Takes a charger's newest registration.
    pub fn put(&self, id: &ChargerId, registration: &Arc<Registration>) {
        if self.entries.get(id).is_some_and(|known| *known == *registration) {
            return;
        }
        if standing(registration).is_none() {
            tracing::error!(charger = %id, "the stored access of a charger cannot be read; register it again");
        }
        let before = self.entries.insert(id.clone(), Arc::clone(registration));
        if let Some(before) = before.filter(|before| before.site != registration.site)
            && let Some(mut left) = self.sites.get_mut(&before.site)
        {
            left.remove(id);
        }
        self.sites.entry(registration.site.clone()).or_default().insert(id.clone());
    }

    /// Whether there is such a charger. Asked before anything is loaded for an id that a stranger named (control 18).
    pub fn knows(&self, id: &ChargerId) -> bool {
        self.entries.contains_key(id)
    }

    /// Where a charger stands.
    pub fn site(&self, id: &ChargerId) -> Option<SiteId> {
        self.entries.get(id).map(|registration| registration.site.clone())
    }

    /// A charger's registration.
    pub fn registration(&self, id: &ChargerId) -> Option<Arc<Registration>> {
        self.entries.get(id).map(|entry| Arc::clone(entry.value()))
    }

    /// The chargers of a site, by id.
    pub fn at_site(&self, site: &SiteId) -> Vec<ChargerId> {
        self.sites.get(site).map(|chargers| chargers.iter().cloned().collect()).unwrap_or_default()
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

/// What a registration asks of a connection. One from before there were profiles asks what its access says. `None`: what is
/// stored cannot be read; the charger cannot connect until it is registered again.
pub fn standing(registration: &Registration) -> Option<Standing> {
    let access = serde_json::from_str(&registration.auth).ok()?;
    let least = match access {
        Access::Open => SecurityProfile::Open,
        Access::Password(_) => SecurityProfile::Basic,
        Access::Certificate => SecurityProfile::Mutual,
    };
    let least = registration.profile.unwrap_or(least).max(least);
    let certificate = least.max(registration.raising.unwrap_or(least)) == SecurityProfile::Mutual;
    Some(Standing { access, least, certificate })
}

/// The gateway's view of the register.
#[derive(Debug, Clone)]
pub struct GatewayRegister {
    register: Arc<Register>,
    alerts: Alerts,
    /// When operators were last told of a charger's refusals. Known chargers only.
    told: Arc<DashMap<ChargerId, Instant>>,
}

impl GatewayRegister {
    /// A view that tells operators of what is wrong.
    pub fn new(register: Arc<Register>, alerts: Alerts) -> Self {
        GatewayRegister { register, alerts, told: Arc::default() }
    }
}

impl ChargerRegister for GatewayRegister {
    fn standing(&self, id: &ChargerId) -> Option<Standing> {
        self.register.registration(id).and_then(|registration| standing(&registration))
    }

    fn denied(&self, id: &ChargerId, from: IpAddr, why: Denied) {
        let now = Instant::now();
        if !self.register.knows(id) || self.told.get(id).is_some_and(|told| now - *told < DENIED_AGAIN) {
            return;
        }
        self.told.insert(id.clone(), now);
        let text = match why {
            Denied::Downgrade => format!(
                "{from} knew the charger's password and was refused: its connection is secured worse than registered. \
                 Without TLS the password has been readable: rotate it"
            ),
            Denied::Foreign | Denied::Wrong | Denied::NoCertificate => {
                format!("{from} showed another charger's certificate, or another organisation's, and was refused")
            }
        };
        self.alerts.raise(Alert {
            code: format!("connection_{}", why.label()),
            level: "critical".to_owned(),
            subject: format!("charger/{id}"),
            text,
            ticket: true,
        });
    }
}
