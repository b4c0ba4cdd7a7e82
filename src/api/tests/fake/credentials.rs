//! Keys of a runtime in memory.

use super::{NOW, Runtime};
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::domain::access::Grant;
use crate::ids::PartnerId;
use async_trait::async_trait;
use ipnet::IpNet;
use std::time::Duration;

impl Runtime {
    fn change_key<T>(
        &self,
        id: &PartnerId,
        key_id: &str,
        change: impl FnOnce(&mut KeyView) -> T,
    ) -> Result<T, Refusal> {
        let mut world = self.world();
        let partner = world.partners.get_mut(id).ok_or(Code::PartnerUnknown)?;
        let key = partner.keys.iter_mut().find(|key| key.key_id == key_id).ok_or(Code::NotFound)?;
        Ok(change(key))
    }
}

#[async_trait]
impl CredentialPort for Runtime {
    async fn api_keys(&self, id: &PartnerId) -> Result<Vec<KeyView>, Refusal> {
        Ok(self.partner(id).await?.keys)
    }

    async fn add_api_key(&self, id: &PartnerId, key: NewKey, grant: Grant) -> Result<(), Refusal> {
        let mut world = self.world();
        let partner = world.partners.get_mut(id).ok_or(Code::PartnerUnknown)?;
        if partner.keys.iter().all(|known| known.key_id != key.key_id) {
            partner.keys.push(KeyView {
                key_id: key.key_id,
                scopes: grant.scopes.into_iter().collect(),
                networks: grant.networks,
                created_at: NOW,
                expires_at: None,
                revoked_at: None,
                last_used_at: None,
            });
        }
        Ok(())
    }

    async fn rotate_api_key(&self, id: &PartnerId, old: &str, key: NewKey, _: Duration) -> Result<(), Refusal> {
        let grant = self.change_key(id, old, |old| {
            old.expires_at = Some(NOW);
            Grant { scopes: old.scopes.iter().copied().collect(), networks: old.networks.clone() }
        })?;
        self.add_api_key(id, key, grant).await
    }

    async fn revoke_api_key(&self, id: &PartnerId, key_id: &str) -> Result<(), Refusal> {
        self.change_key(id, key_id, |key| key.revoked_at = Some(NOW))
    }

    async fn set_api_key_networks(&self, id: &PartnerId, key_id: &str, networks: Vec<IpNet>) -> Result<(), Refusal> {
        self.change_key(id, key_id, |key| key.networks = networks)
    }
}
