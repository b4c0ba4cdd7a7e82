//! Webhook endpoints of a runtime in memory.

use super::Runtime;
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::ids::{EndpointName, PartnerId, RequestId};
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// One that has nothing to say.
pub(super) fn endpoint(name: EndpointName, url: String) -> WebhookView {
    WebhookView {
        name,
        url,
        enabled: true,
        disabled_reason: None,
        disabled_by: None,
        probe_at: None,
        unverified: None,
        paused: false,
        events: None,
        sites: None,
        failing_percent: 0,
        depth: 0,
        oldest_age_s: None,
        dead_letters: 0,
    }
}

fn chosen(choice: Choice) -> Option<Vec<String>> {
    match choice {
        Choice::All(_) => None,
        Choice::Only(these) => Some(these),
    }
}

impl Runtime {
    fn of_endpoint<T>(
        &self,
        id: &PartnerId,
        name: &EndpointName,
        change: impl FnOnce(&mut WebhookView) -> T,
    ) -> Result<T, Refusal> {
        let mut world = self.world();
        let partner = world.partners.get_mut(id).ok_or(Code::PartnerUnknown)?;
        let found = partner.webhook.iter_mut().chain(&mut partner.webhooks).find(|endpoint| endpoint.name == *name);
        let missing = if name.is_default() { Code::WebhookMissing } else { Code::NotFound };
        Ok(change(found.ok_or(missing)?))
    }
}

#[async_trait]
impl WebhookPort for Runtime {
    async fn webhooks(&self, id: &PartnerId) -> Result<Vec<WebhookView>, Refusal> {
        let partner = self.partner(id).await?;
        Ok(partner.webhook.into_iter().chain(partner.webhooks).collect())
    }

    async fn webhook(&self, id: &PartnerId, name: &EndpointName) -> Result<WebhookView, Refusal> {
        self.of_endpoint(id, name, |endpoint| endpoint.clone())
    }

    async fn make_webhook(
        &self,
        id: &PartnerId,
        name: &EndpointName,
        order: EndpointChange,
        _: SecretString,
    ) -> Result<(), Refusal> {
        if self.of_endpoint(id, name, |_| ()).is_ok() {
            return Err(Code::EndpointExists.into());
        }
        let made = endpoint(name.clone(), order.url.clone().unwrap_or_default());
        self.world().partners.get_mut(id).ok_or(Code::PartnerUnknown)?.webhooks.push(made);
        self.change_webhook(id, name, order, false).await
    }

    async fn change_webhook(
        &self,
        id: &PartnerId,
        name: &EndpointName,
        change: EndpointChange,
        _: bool,
    ) -> Result<(), Refusal> {
        self.of_endpoint(id, name, |endpoint| {
            if let Some(url) = change.url {
                endpoint.url = url;
            }
            if let Some(events) = change.events {
                endpoint.events = chosen(events);
            }
            if let Some(sites) = change.sites {
                endpoint.sites = chosen(sites);
            }
        })
    }

    async fn remove_webhook(&self, id: &PartnerId, name: &EndpointName, _: Moment) -> Result<Dropped, Refusal> {
        self.of_endpoint(id, name, |_| ())?;
        let mut world = self.world();
        let partner = world.partners.get_mut(id).ok_or(Code::PartnerUnknown)?;
        partner.webhooks.retain(|endpoint| endpoint.name != *name);
        partner.webhook = partner.webhook.take().filter(|endpoint| endpoint.name != *name);
        Ok(Dropped { dropped: 0, dead_letters: 0 })
    }

    async fn rotate_webhook_secret(
        &self,
        id: &PartnerId,
        _: &EndpointName,
        _: SecretString,
        _: Duration,
    ) -> Result<(), Refusal> {
        self.partner(id).await.map(drop)
    }

    async fn verify_webhook(&self, id: &PartnerId, name: &EndpointName) -> Result<(), Refusal> {
        self.of_endpoint(id, name, |_| ())
    }

    async fn vouch_webhook(&self, id: &PartnerId, name: &EndpointName) -> Result<(), Refusal> {
        self.of_endpoint(id, name, |endpoint| endpoint.unverified = None)
    }

    async fn enable_webhook(&self, id: &PartnerId, name: &EndpointName, on: bool) -> Result<(), Refusal> {
        self.of_endpoint(id, name, |endpoint| endpoint.enabled = on)
    }

    async fn pause_webhook(&self, id: &PartnerId, name: &EndpointName, paused: bool) -> Result<(), Refusal> {
        self.of_endpoint(id, name, |endpoint| endpoint.paused = paused)
    }

    async fn test_webhook(&self, _: &PartnerId, _: &EndpointName, _: &RequestId) -> Result<(), Refusal> {
        self.fault().await.map(|_| ())
    }

    async fn deliveries(
        &self,
        id: &PartnerId,
        _: &EndpointName,
        _: PageRequest,
    ) -> Result<Page<DeliveryView>, Refusal> {
        self.partner(id).await.map(|_| Page { items: vec![], next: None })
    }

    async fn dead_letters(&self, id: &PartnerId, _: &EndpointName, _: PageRequest) -> Result<Page<DeadView>, Refusal> {
        self.partner(id).await.map(|_| Page { items: vec![], next: None })
    }

    async fn replay(&self, _: &PartnerId, _: &EndpointName, replay: ReplayRequest) -> Result<u64, Refusal> {
        self.replays.fetch_add(1, SeqCst);
        Ok(replay.event_ids.len() as u64)
    }
}
