//! Partners who speak T/CEC 102 (EM-11): the part of the port that is theirs, and what operators set. Owns the shapes; never
//! the wire.

use super::{Moment, Refusal};
use crate::clock::Timestamp;
use crate::domain::delivery::{Dialect, Stations, Tcec};
use crate::domain::tariff::Tariff;
use crate::ids::{PartnerId, SiteId};
use crate::protocol::tcec::Secrets;
use crate::protocol::tcec::secrets::SecretTexts;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What is agreed with a partner, secrets opened. In memory only.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Who.
    pub partner: PartnerId,
    /// What was agreed.
    pub tcec: Tcec,
    /// What it calls us with, newest first, and until when each counts.
    pub inbound: Vec<(Secrets, Option<Timestamp>)>,
    /// What we call it with.
    pub outbound: Secrets,
}

impl Relation {
    /// Sets that a caller may use at `now`, newest first.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &Secrets> {
        self.inbound.iter().filter(move |(_, expires)| expires.is_none_or(|at| now < at)).map(|(set, _)| set)
    }
}

/// What an operator sets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcecPut {
    /// The partner's organisation code.
    pub operator_id: String,
    /// Ours towards it.
    pub own_id: String,
    /// Where its interfaces are: a URL to which their names are added.
    pub base_url: String,
    /// What it gave us to call it with; absent: as it is.
    #[serde(default)]
    pub outbound: Option<SecretTexts>,
    /// What we give it; absent: made for a new partner, as it is for a known one.
    #[serde(default)]
    pub inbound: Option<SecretTexts>,
    /// How it speaks; absent: as it is, at first the standard's own way.
    #[serde(default)]
    pub dialect: Option<Dialect>,
    /// What its station list says where the platform knows nothing; absent: as it is.
    #[serde(default)]
    pub stations: Option<Stations>,
}

/// What operators see of it: no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TcecView {
    /// The partner's organisation code.
    pub operator_id: String,
    /// Ours towards it.
    pub own_id: String,
    /// Where its interfaces are.
    pub base_url: String,
    /// How it speaks.
    pub dialect: Dialect,
    /// What its station list says where the platform knows nothing.
    pub stations: Stations,
    /// Its inbound sets, newest first.
    pub inbound: Vec<SetView>,
}

/// A secret set without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetView {
    /// When it was given.
    pub created_at: Moment,
    /// Until when it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
}

/// What the T/CEC face needs beyond the native calls.
#[async_trait]
pub trait TcecPort: Send + Sync + 'static {
    /// Whose organisation code this is.
    fn relation(&self, operator_id: &str) -> Option<Arc<Relation>>;
    /// The tariff in force at a site.
    fn tariff_in_force(&self, site: &SiteId) -> Option<Arc<Tariff>>;
    /// Sets what is agreed with a partner; answers the inbound set if it was made, to be shown once.
    async fn put_tcec(&self, id: &PartnerId, put: TcecPut) -> Result<Option<Secrets>, Refusal>;
    /// What is agreed, or `not_found`.
    async fn tcec(&self, id: &PartnerId) -> Result<TcecView, Refusal>;
    /// A new inbound set, shown once; the old ones count for `overlap` more.
    async fn rotate_tcec(&self, id: &PartnerId, overlap: Duration) -> Result<Secrets, Refusal>;
}
