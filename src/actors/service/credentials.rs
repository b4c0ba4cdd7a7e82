//! Partners' keys as HTTP asks about them (EM-2). Owns the way to the partner's entity; never a rule.

use super::admin::partners::{order, seal};
use super::{Service, partner_rejected, refused};
use crate::actors::partners::Known;
use crate::api::catalogue::Code;
use crate::api::port::{CredentialPort, KeyView, Moment, NewKey, Refusal};
use crate::domain::access::Grant;
use crate::domain::delivery::{PartnerCommand, PartnerKey, PartnerOrder, PartnerRejection};
use crate::ids::PartnerId;
use async_trait::async_trait;
use ipnet::IpNet;
use std::time::Duration;

/// A partner's keys.
pub(super) fn keys_of(service: &Service, known: &Known) -> Vec<KeyView> {
    let view = |key: &crate::domain::delivery::ApiKey| KeyView {
        key_id: key.id.clone(),
        scopes: key.grant.scopes.iter().copied().collect(),
        networks: key.grant.networks.clone(),
        created_at: Moment(key.created),
        expires_at: key.expires.map(Moment),
        revoked_at: key.revoked.map(Moment),
        last_used_at: service.directory.last_use(key).map(Moment),
    };
    known.partner.keys.values().map(view).collect()
}

impl Service {
    /// Orders that bring a key with an id chosen once: a repeat finds it there, and is done.
    async fn bring_key(&self, id: &PartnerId, order: PartnerOrder) -> Result<(), Refusal> {
        self.working()?;
        let asked = self.partners.ask(id.as_str(), PartnerKey::Partner, PartnerCommand::Partner(order)).await;
        match asked {
            Ok(_) | Err(crate::actors::engine::Refusal::Rejected(PartnerRejection::KeyExists)) => Ok(()),
            Err(refusal) => Err(refused(refusal, partner_rejected)),
        }
    }

    /// Journals a key's last use. Nobody waits for it: what it shows is in memory too.
    pub async fn note_key_use(&self, id: PartnerId, key_id: String) {
        if let Err(refusal) = order(self, &id, PartnerOrder::NoteKeyUse { id: key_id }).await {
            tracing::debug!(partner = %id, code = %refusal.code, "a key's use was not journaled");
        }
    }
}

#[async_trait]
impl CredentialPort for Service {
    async fn api_keys(&self, partner: &PartnerId) -> Result<Vec<KeyView>, Refusal> {
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        Ok(keys_of(self, &known))
    }

    async fn add_api_key(&self, partner: &PartnerId, key: NewKey, grant: Grant) -> Result<(), Refusal> {
        let secret = seal(self, &key.secret);
        self.bring_key(partner, PartnerOrder::AddKey { id: key.key_id, secret, grant }).await
    }

    async fn rotate_api_key(
        &self,
        partner: &PartnerId,
        old: &str,
        key: NewKey,
        overlap: Duration,
    ) -> Result<(), Refusal> {
        let secret = seal(self, &key.secret);
        let order = PartnerOrder::RotateKey { id: old.to_owned(), new_id: key.key_id, secret, overlap };
        self.bring_key(partner, order).await
    }

    async fn revoke_api_key(&self, partner: &PartnerId, key_id: &str) -> Result<(), Refusal> {
        order(self, partner, PartnerOrder::RevokeKey { id: key_id.to_owned() }).await
    }

    async fn set_api_key_networks(
        &self,
        partner: &PartnerId,
        key_id: &str,
        networks: Vec<IpNet>,
    ) -> Result<(), Refusal> {
        order(self, partner, PartnerOrder::SetKeyNetworks { id: key_id.to_owned(), networks }).await
    }
}
