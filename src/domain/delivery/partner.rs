//! The partner itself: profile, API keys, webhook endpoints (EM-2, EM-9). Owns who may call and where webhooks go; never an
//! open secret: secrets come in sealed and stay so.

mod decide;
mod past;
#[cfg(test)]
mod tests;

use super::endpoint::{Endpoint, Removed, Subscriptions, Wants, WebhookSecret};
use super::family::QueueId;
use super::tcec::Tcec;
use crate::clock::Timestamp;
use crate::domain::access::Grant;
use crate::ids::{EndpointName, SiteId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub(super) use decide::decide;
pub use past::{Grants, Past};

/// A secret as ciphertext, in a text form that the shell chose. Only the shell opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

/// Which sites a partner sees and may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sites {
    /// Every site.
    #[default]
    All,
    /// These.
    Only(BTreeSet<SiteId>),
}

/// What is known of a partner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name, for people.
    pub name: String,
    /// Sites visible to it.
    #[serde(default)]
    pub sites: Sites,
    /// What those of its endpoints take that have no subscription of their own: they are from before there were several.
    #[serde(default)]
    pub events: Subscriptions,
    /// Whether its users have accounts here (MO-3): the first-party app.
    #[serde(default)]
    pub accounts: bool,
}

/// A key that signs the partner's calls (EM-3). Several can live at once, so that keys rotate with overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its public name, `ck_…`.
    pub id: String,
    /// Its secret.
    pub secret: Sealed,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked, if it was.
    pub revoked: Option<Timestamp>,
    /// What it may do and from where (EM-2). Keys of the time before grants may do everything.
    #[serde(default)]
    pub grant: Grant,
    /// Until when it counts, once another has taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was last used, to the hour or so: what is exact is in memory only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it signs at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// Keys that are remembered, those that are over too: a partner that rotates every minute must not grow us.
const KEYS_KEPT: usize = 64;
/// Endpoints that were taken away that are remembered.
const REMOVED_KEPT: usize = 16;

/// A partner: the fold of its facts. Its row in the table `partner` is this, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// Absent until it is defined.
    pub profile: Option<Profile>,
    /// All keys, revoked ones too, by id.
    pub keys: BTreeMap<String, ApiKey>,
    /// Its endpoints.
    pub endpoints: BTreeMap<QueueId, Endpoint>,
    /// The id of the next endpoint's queue: none is ever used again, so that no late word about one that is gone reaches another.
    #[serde(default)]
    pub next_queue: u16,
    /// The last endpoints that were taken away, oldest first: who asks again hears the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// What is agreed where it speaks T/CEC 102 (EM-11): its main endpoint is then the base of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcec: Option<Box<Tcec>>,
    /// Which sites it could see before.
    #[serde(default)]
    pub grants: Grants,
    /// While it is suspended, it begins nothing new (EM-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
}

/// An operator's word that a partner begins nothing new: what runs goes on to its end, is told and settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
    /// Why, for the partner to read.
    pub reason: String,
}

/// What a partner can be asked.
#[derive(Debug, Clone)]
pub enum PartnerOrder {
    /// Create it, or replace its profile.
    Define(Profile),
    /// Add an API key.
    AddKey {
        /// `ck_…`, made by the shell.
        id: String,
        /// Its secret.
        secret: Sealed,
        /// What it may do and from where.
        grant: Grant,
    },
    /// Put a new key of the same grant in the place of one, which counts on until the overlap is over.
    RotateKey {
        /// The one to be replaced.
        id: String,
        /// The new one.
        new_id: String,
        /// Its secret.
        secret: Sealed,
        /// How long the old one still signs.
        overlap: Duration,
    },
    /// Revoke an API key, at once.
    RevokeKey {
        /// Which.
        id: String,
    },
    /// Say from where an API key may be used, at once.
    SetKeyNetworks {
        /// Which.
        id: String,
        /// From where; empty: from everywhere.
        networks: Vec<IpNet>,
    },
    /// An API key was used; said now and then only.
    NoteKeyUse {
        /// Which.
        id: String,
    },
    /// What an endpoint takes.
    Subscribe {
        /// Which.
        queue: QueueId,
        /// Which events.
        wants: Wants,
    },
    /// Make, set or move the endpoint of this name; its queue is enabled. The first secret must come with the first call. A URL
    /// that is new has to prove itself before anything is sent there.
    SetEndpoint {
        /// Which.
        name: EndpointName,
        /// Where to.
        url: String,
        /// A first or new secret; `None` keeps those there are.
        secret: Option<Sealed>,
        /// What it takes; `None`: as it is, all for a new one.
        wants: Option<Wants>,
        /// A new one is sent what comes after this position of the outbox.
        from: u64,
        /// There must be none of this name.
        new: bool,
    },
    /// Take an endpoint away for good, its dead letters and its log too; the events stay in the outbox.
    RemoveEndpoint {
        /// Which.
        queue: QueueId,
        /// Positions of the dead letters that it still has.
        dead: Vec<u64>,
        /// What is remembered of it.
        removed: Removed,
    },
    /// A new secret; those before sign on until the overlap is over.
    RotateSecret {
        /// Which endpoint.
        queue: QueueId,
        /// The new one.
        secret: Sealed,
        /// How long the old ones still sign.
        overlap: Duration,
    },
    /// Stop sending, for a reason that people read.
    DisableEndpoint {
        /// Which.
        queue: QueueId,
        /// Why.
        reason: String,
    },
    /// Send again.
    EnableEndpoint {
        /// Which.
        queue: QueueId,
    },
    /// What is agreed where it speaks T/CEC 102; `None`: the native face again.
    SetTcec(Option<Box<Tcec>>),
    /// It begins nothing new until it is resumed.
    Suspend {
        /// Who says so.
        by: String,
        /// Why, for the partner to read.
        reason: String,
    },
    /// It works on as before.
    Resume,
    /// The queue has disabled itself, or is there again (`None`); asked by the queue only.
    NoteDisabled {
        /// Which.
        queue: QueueId,
        /// Why, and when.
        disabled: Option<super::queue::Disabled>,
    },
}

/// What has happened to a partner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartnerFact {
    /// Created, or its profile replaced.
    Defined(Profile),
    /// It could see these sites until then; told before the profile that says what it may see now.
    SitesChanged(Past),
    /// A key was added.
    KeyAdded(ApiKey),
    /// A key was revoked.
    KeyRevoked {
        /// Which.
        id: String,
        /// When.
        at: Timestamp,
    },
    /// A key was replaced and counts no longer than this.
    KeyReplaced {
        /// Which.
        id: String,
        /// Until when it counts.
        expires: Timestamp,
    },
    /// From where a key may be used.
    KeyNetworksSet {
        /// Which.
        id: String,
        /// From where; empty: from everywhere.
        networks: Vec<IpNet>,
    },
    /// A key was used.
    KeyUsed {
        /// Which.
        id: String,
        /// When.
        at: Timestamp,
    },
    /// An endpoint was set, moved, or its secrets rotated: this is the whole of it.
    EndpointSet {
        /// Which.
        queue: QueueId,
        /// The whole of it.
        endpoint: Endpoint,
    },
    /// An endpoint was taken away.
    EndpointRemoved {
        /// Which.
        queue: QueueId,
        /// What is remembered of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        removed: Option<Removed>,
    },
    /// An endpoint was disabled, or enabled again (`None`).
    EndpointDisabled {
        /// Which.
        queue: QueueId,
        /// Why; `None`: enabled.
        disabled: Option<super::queue::Disabled>,
    },
    /// What is agreed in T/CEC 102 was set: this is the whole of it.
    TcecSet(Option<Box<Tcec>>),
    /// It was suspended, or resumed (`None`).
    Suspended(Option<Suspension>),
}

impl Partner {
    /// Folds a fact.
    pub(super) fn apply(&mut self, fact: &PartnerFact) {
        match fact {
            PartnerFact::Defined(profile) => self.profile = Some(profile.clone()),
            PartnerFact::SitesChanged(past) => self.grants.over(past.sites.clone(), past.until),
            PartnerFact::KeyAdded(key) => {
                self.keys.insert(key.id.clone(), key.clone());
                self.forget_keys(key.created);
            }
            PartnerFact::KeyRevoked { id, at } => self.change_key(id, |key| key.revoked = Some(*at)),
            PartnerFact::KeyReplaced { id, expires } => self.change_key(id, |key| key.expires = Some(*expires)),
            PartnerFact::KeyNetworksSet { id, networks } => {
                self.change_key(id, |key| key.grant.networks.clone_from(networks));
            }
            PartnerFact::KeyUsed { id, at } => self.change_key(id, |key| key.used = Some(*at)),
            PartnerFact::EndpointSet { queue, endpoint } => {
                self.next_queue = self.next_queue.max(queue.0.saturating_add(1));
                self.endpoints.insert(*queue, endpoint.clone());
            }
            PartnerFact::TcecSet(tcec) => self.tcec.clone_from(tcec),
            PartnerFact::Suspended(suspended) => self.suspended.clone_from(suspended),
            PartnerFact::EndpointRemoved { queue, removed } => {
                self.endpoints.remove(queue);
                self.removed.extend(removed.clone());
                let over = self.removed.len().saturating_sub(REMOVED_KEPT);
                self.removed.drain(..over);
            }
            PartnerFact::EndpointDisabled { queue, disabled } => {
                if let Some(endpoint) = self.endpoints.get_mut(queue) {
                    endpoint.disabled.clone_from(disabled);
                }
            }
        }
    }
}

impl Partner {
    /// The endpoint of this name.
    pub fn endpoint(&self, name: &EndpointName) -> Option<(QueueId, &Endpoint)> {
        self.endpoints.iter().find(|(_, endpoint)| endpoint.name == *name).map(|(queue, endpoint)| (*queue, endpoint))
    }

    /// What an endpoint takes.
    pub fn wants(&self, endpoint: &Endpoint) -> Wants {
        let of_old = || self.profile.as_ref().map(|profile| profile.events.clone()).unwrap_or_default();
        endpoint.wants.clone().unwrap_or_else(|| Wants { events: of_old(), sites: Sites::All })
    }

    fn change_key(&mut self, id: &str, change: impl FnOnce(&mut ApiKey)) {
        if let Some(key) = self.keys.get_mut(id) {
            change(key);
        }
    }

    /// Keys that are over are kept so that their holder is told so; of too many the oldest are forgotten.
    fn forget_keys(&mut self, now: Timestamp) {
        while self.keys.len() > KEYS_KEPT {
            let over = self.keys.values().filter(|key| !key.is_live(now));
            let Some(oldest) = over.min_by_key(|key| (key.created, key.id.clone())).map(|key| key.id.clone()) else {
                return;
            };
            self.keys.remove(&oldest);
        }
    }
}
