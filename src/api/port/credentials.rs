//! Partners' keys behind HTTP, for operators and for partners themselves (EM-2). Owns the trait and its views.

use super::{Moment, Refusal};
use crate::domain::access::{Grant, Scope};
use crate::ids::PartnerId;
use async_trait::async_trait;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// A key that HTTP has made: its public name, and the secret that signs.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// `ck_…`.
    pub key_id: String,
    /// `cs_…`.
    pub secret: SecretString,
}

/// A key of a partner, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// `ck_…`.
    pub key_id: String,
    /// What it may do: `query`, `control`, `settlement`, `accounts`, `push`, `credentials`.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// From where it may be used; empty: from everywhere.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created_at: Moment,
    /// Until when it counts, once another has taken its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Moment>,
    /// When it was last used; after a restart of ours to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Moment>,
}

/// What is done with keys. Every change counts for the next request.
#[async_trait]
pub trait CredentialPort: Send + Sync + 'static {
    /// All keys that are remembered, those too that are over; by id.
    async fn api_keys(&self, partner: &PartnerId) -> Result<Vec<KeyView>, Refusal>;

    /// Stores a key; from now on it signs. Repeated with the same id it is the same key.
    async fn add_api_key(&self, partner: &PartnerId, key: NewKey, grant: Grant) -> Result<(), Refusal>;

    /// Puts `key` in the place of `old`, which signs on for `overlap`; `not_found` if that is over. Repeated with the same
    /// id it is the same key.
    async fn rotate_api_key(
        &self,
        partner: &PartnerId,
        old: &str,
        key: NewKey,
        overlap: Duration,
    ) -> Result<(), Refusal>;

    /// Revokes a key, at once, or `not_found`.
    async fn revoke_api_key(&self, partner: &PartnerId, key_id: &str) -> Result<(), Refusal>;

    /// Says from where a key may be used, at once, or `not_found`.
    async fn set_api_key_networks(
        &self,
        partner: &PartnerId,
        key_id: &str,
        networks: Vec<IpNet>,
    ) -> Result<(), Refusal>;
}
