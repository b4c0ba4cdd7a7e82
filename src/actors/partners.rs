//! Partners in memory: who they are, their keys with opened secrets, and where their webhooks go. Owns the directory that
//! HTTP and the webhook queues read; never decides: it follows the partner entities' committed states.
//!
//! Invariants: secrets are open here and nowhere else in memory; the directory changes only after the change is durable.

use super::applications::Applications;
use super::last_use::LastUse;
use super::webhook::{EndpointSource, QueueHandle, Target, TcecCaller, TcecFace};
use crate::api::port::Relation;
use crate::api::tcec::pushes;
use crate::clock::Timestamp;
use crate::domain::access::Grant;
use crate::domain::delivery::{ApiKey, Endpoint, Partner, QueueId, Sealed, SealedSet, Sites, Tcec, Wants};
use crate::ids::{PartnerId, SiteId};
use crate::protocol::tcec::Secrets;
use crate::protocol::webhook::SigningSecret;
use dashmap::DashMap;
use secrecy::SecretString;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Opens a sealed secret. `None`: it was sealed under another master key.
pub type Unseal = Arc<dyn Fn(&Sealed) -> Option<SecretString> + Send + Sync>;

/// The purpose under which the vault seals partners' secrets.
pub const PARTNER_SECRETS: &str = "partner";

/// One partner, as callers need it.
pub struct Known {
    /// Who.
    pub id: PartnerId,
    /// The journaled state, secrets sealed.
    pub partner: Arc<Partner>,
    /// Where webhooks go, secrets opened.
    pub targets: BTreeMap<QueueId, Arc<Target>>,
    /// What is agreed where it speaks T/CEC 102, secrets opened (EM-11).
    pub relation: Option<Arc<Relation>>,
}

/// A partner's API key, opened.
#[derive(Clone)]
pub struct Key {
    /// Whose.
    pub partner: PartnerId,
    /// What signs.
    pub secret: SecretString,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Until when it counts, once another has taken its place.
    pub expires: Option<Timestamp>,
    /// What it may do and from where.
    pub grant: Arc<Grant>,
}

/// All partners. One in the process.
pub struct Partners {
    known: DashMap<PartnerId, Arc<Known>>,
    keys: DashMap<String, Key>,
    /// When each key was last used.
    used: LastUse,
    queues: DashMap<PartnerId, BTreeMap<QueueId, QueueHandle>>,
    /// Organisation codes of partners who speak T/CEC 102; one that changed stays until the relation is looked at.
    operators: DashMap<String, PartnerId>,
    /// Who wants to become one (EM-1).
    pub applications: Applications,
    edition: AtomicU64,
    unseal: Unseal,
    caller: Option<Arc<TcecCaller>>,
}

impl fmt::Debug for Partners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partners").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Partners {
    /// An empty directory.
    pub fn new(unseal: Unseal) -> Self {
        Partners {
            known: DashMap::new(),
            keys: DashMap::new(),
            used: LastUse::default(),
            queues: DashMap::new(),
            operators: DashMap::new(),
            applications: Applications::default(),
            edition: AtomicU64::new(1),
            unseal,
            caller: None,
        }
    }

    /// The same, and partners who speak T/CEC 102 are called through this.
    #[must_use]
    pub fn calling(self, caller: Arc<TcecCaller>) -> Self {
        Partners { caller: Some(caller), ..self }
    }

    /// Takes a partner's newest state.
    pub fn put(&self, id: &PartnerId, partner: &Partner) {
        for key in partner.keys.values() {
            if let Some(secret) = (self.unseal)(&key.secret) {
                let (partner, grant) = (id.clone(), Arc::new(key.grant.clone()));
                let known = Key { partner, secret, revoked: key.revoked, expires: key.expires, grant };
                self.keys.insert(key.id.clone(), known);
            } else {
                tracing::error!(partner = %id, key = key.id, "a key's secret cannot be opened with this master key");
            }
        }
        let relation = partner.tcec.as_deref().and_then(|tcec| self.opened(id, tcec)).map(Arc::new);
        let targets = partner.endpoints.iter().filter_map(|(queue, endpoint)| {
            let target = self.target(partner, endpoint, relation.as_ref())?;
            Some((*queue, Arc::new(target)))
        });
        let targets = targets.collect();
        if let Some(relation) = &relation {
            self.operators.insert(relation.tcec.operator_id.clone(), id.clone());
        }
        let known = Known { id: id.clone(), partner: Arc::new(partner.clone()), targets, relation };
        self.known.insert(id.clone(), Arc::new(known));
        self.edition.fetch_add(1, Ordering::Release);
    }

    /// Rises with every change, so that what follows from the directory can be kept as long as it holds.
    pub fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// `None`: the partner speaks T/CEC 102 and its secrets cannot be opened, so nothing can be sent.
    fn target(&self, partner: &Partner, endpoint: &Endpoint, relation: Option<&Arc<Relation>>) -> Option<Target> {
        use secrecy::ExposeSecret as _;
        let secrets = endpoint.secrets.iter().filter_map(|secret| {
            let open = (self.unseal)(&secret.secret)?;
            Some((SigningSecret::parse(open.expose_secret()).ok()?, secret.expires))
        });
        let (face, wants) = match partner.tcec {
            Some(_) if endpoint.name.is_default() => {
                let (relation, caller) = (Arc::clone(relation?), Arc::clone(self.caller.as_ref()?));
                let kinds = pushes::KINDS.into_iter().map(str::to_owned).collect();
                let face = TcecFace { relation, base: endpoint.url.clone(), caller };
                (Some(Arc::new(face)), Wants::kinds(kinds))
            }
            Some(_) | None => (None, partner.wants(endpoint)),
        };
        let (name, url, share) = (endpoint.name.clone(), endpoint.url.clone(), partner.endpoints.len());
        Some(Target { name, url, secrets: secrets.collect(), wants, share, face })
    }

    /// What is agreed with the partner of this organisation code.
    pub fn relation(&self, operator_id: &str) -> Option<Arc<Relation>> {
        let id = self.operators.get(operator_id)?.clone();
        let relation = self.get(&id)?.relation.clone()?;
        (relation.tcec.operator_id == operator_id).then_some(relation)
    }

    fn opened(&self, id: &PartnerId, tcec: &Tcec) -> Option<Relation> {
        use secrecy::ExposeSecret as _;
        let open = |set: &SealedSet| {
            let opened = (self.unseal)(&set.secrets).and_then(|text| Secrets::from_json(text.expose_secret()));
            if opened.is_none() {
                tracing::error!(partner = %id, "a set of T/CEC secrets cannot be opened with this master key");
            }
            opened
        };
        let inbound = tcec.inbound.iter().filter_map(|set| Some((open(set)?, set.expires))).collect();
        Some(Relation { partner: id.clone(), tcec: tcec.clone(), inbound, outbound: open(&tcec.outbound)? })
    }

    /// One partner.
    pub fn get(&self, id: &PartnerId) -> Option<Arc<Known>> {
        self.known.get(id).map(|known| Arc::clone(&known))
    }

    /// All partners, by id.
    pub fn all(&self) -> Vec<Arc<Known>> {
        let mut all: Vec<_> = self.known.iter().map(|known| Arc::clone(&known)).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// A key by its public name, revoked ones too.
    pub fn api_key(&self, key_id: &str) -> Option<Key> {
        self.keys.get(key_id).map(|key| key.clone())
    }

    /// When a key was last used.
    pub fn last_use(&self, key: &ApiKey) -> Option<Timestamp> {
        self.used.of(&key.id).max(key.used)
    }

    /// A key was used by its holder. The partner, when it is time to journal that.
    pub fn used(&self, key_id: &str, now: Timestamp) -> Option<PartnerId> {
        let owner = self.keys.get(key_id)?.partner.clone();
        let kept = self.get(&owner)?.partner.keys.get(key_id)?.used;
        self.used.note(key_id, now, kept).then_some(owner)
    }

    /// Who is told of a site's connectors.
    pub fn audience(&self, site: &SiteId) -> Arc<[PartnerId]> {
        let seeing: BTreeSet<PartnerId> =
            self.known.iter().filter(|known| sees(&known.partner, site)).map(|known| known.id.clone()).collect();
        seeing.into_iter().collect()
    }

    /// Notices to these partners are durable.
    pub fn nudge(&self, partners: &BTreeSet<PartnerId>) {
        for partner in partners {
            if let Some(queues) = self.queues.get(partner) {
                queues.values().for_each(QueueHandle::nudge);
            }
        }
    }

    /// The way to a queue, made if need be.
    pub fn queue(&self, partner: &PartnerId, queue: QueueId) -> QueueHandle {
        self.queues.entry(partner.clone()).or_default().entry(queue).or_default().clone()
    }

    /// A queue looks again at what it is, or all of the partner's do.
    pub fn look_again(&self, partner: &PartnerId, only: Option<QueueId>) {
        if let Some(queues) = self.queues.get(partner) {
            let these = queues.iter().filter(|(queue, _)| only.is_none_or(|only| only == **queue));
            these.for_each(|(_, handle)| handle.look_again());
        }
    }

    /// The endpoints of these queues are gone: what is under way ends, and no more begins. Whether there were any.
    pub fn retire(&self, partner: &PartnerId, gone: impl Fn(&QueueId) -> bool) -> bool {
        let Some(mut queues) = self.queues.get_mut(partner) else { return false };
        let before = queues.len();
        {
            queues.retain(|queue, handle| {
                let gone = gone(queue);
                if gone {
                    handle.stop();
                }
                !gone
            });
        }
        before != queues.len()
    }

    /// Tells every queue to finish what is under way and end.
    pub fn stop_queues(&self) {
        self.queues.iter().for_each(|queues| queues.values().for_each(QueueHandle::stop));
    }
}

/// Whether a partner sees a site (EM-6).
pub fn sees(partner: &Partner, site: &SiteId) -> bool {
    match partner.profile.as_ref().map(|profile| &profile.sites) {
        Some(Sites::All) => true,
        Some(Sites::Only(sites)) => sites.contains(site),
        None => false,
    }
}

/// A partner's endpoint, read anew before each try.
pub struct DirectoryEndpoint {
    /// Where to look.
    pub partners: Arc<Partners>,
    /// Whose.
    pub partner: PartnerId,
    /// Which.
    pub queue: QueueId,
}

impl EndpointSource for DirectoryEndpoint {
    fn target(&self) -> Option<Arc<Target>> {
        self.partners.get(&self.partner)?.targets.get(&self.queue).cloned()
    }
}
