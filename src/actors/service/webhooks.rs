//! Webhooks as HTTP asks about them: events, state, attempts, replay, test.

use super::{Service, bad_cursor, corrupt, partner_rejected, refused};
use crate::actors::webhook::{self, FactsError, ServiceError};
use crate::api::catalogue::Code;
use crate::api::port::{DeliveryView, Moment, Page, PageRequest, Refusal, ReplayRequest, WebhookView};
use crate::domain::delivery::{
    Answer, Logged, Outcome, PartnerCommand, PartnerKey, QueueCommand, QueueId, Subscriptions,
};
use crate::ids::PartnerId;

fn service_error(error: ServiceError) -> Refusal {
    match error {
        ServiceError::Cursor(_) => bad_cursor(),
        ServiceError::Journal(error) => error.into(),
        ServiceError::Facts(FactsError::Unavailable(after)) => Refusal::from(Code::Unavailable).after(after),
        ServiceError::Facts(FactsError::Rejected(rejection)) => partner_rejected(rejection),
        ServiceError::Facts(FactsError::Stopped(_)) => Code::Quarantined.into(),
        ServiceError::Selection => {
            Refusal::field("event_ids", "not exactly one choice", "one of `event_ids`, `from` and `to`, `all_dead`")
        }
        ServiceError::TooManyIds => Refusal::field("event_ids", "too many", "at most 100 ids"),
        ServiceError::UnknownEvent(id) => {
            Refusal::field("event_ids", format!("`{id}` is unknown"), "ids of kept events")
        }
    }
}

impl Service {
    pub(super) async fn events_of(
        &self,
        partner: &PartnerId,
        page: &PageRequest,
    ) -> Result<Page<serde_json::Value>, Refusal> {
        let found = self.webhooks.events(partner, page.cursor.as_deref(), page.limit).await.map_err(service_error)?;
        let mut items = found.items;
        for event in &mut items {
            if let Some(data) = event.get_mut("data") {
                self.dress(data, false).await?;
            }
        }
        Ok(Page { items, next: found.next })
    }

    pub(super) fn webhook_of(&self, partner: &PartnerId) -> Result<WebhookView, Refusal> {
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let endpoint = known.partner.endpoints.get(&QueueId::MAIN).ok_or(Code::WebhookMissing)?;
        let queue = self.webhooks.queue(partner, QueueId::MAIN).unwrap_or_default();
        let events = known.partner.profile.as_ref().and_then(|profile| match &profile.events {
            Subscriptions::All => None,
            Subscriptions::Only(kinds) => Some(kinds.iter().cloned().collect()),
        });
        Ok(WebhookView {
            url: endpoint.url.clone(),
            enabled: endpoint.disabled.is_none(),
            disabled_reason: endpoint.disabled.as_ref().map(|disabled| disabled.reason.clone()),
            paused: queue.paused,
            events,
            failing_percent: queue.failing_percent,
            depth: queue.depth as u64,
            oldest_age_s: queue.oldest.map(|oldest| self.clock.now().since(oldest).as_secs()),
            dead_letters: queue.dead,
        })
    }

    pub(super) async fn deliveries_page(
        &self,
        partner: &PartnerId,
        page: &PageRequest,
    ) -> Result<Page<DeliveryView>, Refusal> {
        let found = self.webhooks.deliveries(partner, QueueId::MAIN, page.cursor.as_deref(), page.limit).await;
        let found = found.map_err(service_error)?;
        Ok(Page { items: found.items.into_iter().map(delivery).collect(), next: found.next })
    }

    pub(super) async fn dead_page(
        &self,
        partner: &PartnerId,
        page: &PageRequest,
    ) -> Result<Page<serde_json::Value>, Refusal> {
        let found = self.webhooks.dead_letters(partner, QueueId::MAIN, page.cursor.as_deref(), page.limit).await;
        let found = found.map_err(service_error)?;
        let items = found.items.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
        Ok(Page { items: items.map_err(|error| corrupt("webhook-dead", partner.as_str(), &error))?, next: found.next })
    }

    pub(super) async fn replay_events(&self, partner: &PartnerId, replay: ReplayRequest) -> Result<u64, Refusal> {
        self.working()?;
        let (webhooks, partner) = (self.webhooks.clone(), partner.clone());
        let request = webhook::ReplayRequest {
            event_ids: replay.event_ids,
            from: replay.from.map(|at| at.0),
            to: replay.to.map(|at| at.0),
            all_dead: replay.all_dead,
            dry_run: false,
        };
        // The replay's facts are not `Send`: it runs where the partner lives.
        let answer = self.partners.run_on(0, move |core| async move {
            let facts = crate::actors::partner::EngineFacts { host: core, partner: partner.clone() };
            webhooks.replay(&facts, &partner, QueueId::MAIN, &request).await
        });
        let answer = answer.await.ok_or(Code::Busy)?.map_err(service_error)?;
        Ok(answer.selected)
    }

    pub(super) async fn hold_webhook(&self, partner: &PartnerId, paused: bool) -> Result<(), Refusal> {
        self.working()?;
        self.webhook_of(partner)?;
        let command = if paused { QueueCommand::Pause } else { QueueCommand::Resume };
        let key = PartnerKey::Queue(QueueId::MAIN);
        let asked = self.partners.ask(partner.as_str(), key, PartnerCommand::Queue(command)).await;
        asked.map(drop).map_err(|refusal| refused(refusal, partner_rejected))
    }

    pub(super) async fn test_event(&self, partner: &PartnerId) -> Result<(), Refusal> {
        self.working()?;
        self.webhook_of(partner)?;
        let key = PartnerKey::Queue(QueueId::MAIN);
        let asked = self.partners.ask(partner.as_str(), key, PartnerCommand::Queue(QueueCommand::Test)).await;
        asked.map(drop).map_err(|refusal| refused(refusal, partner_rejected))
    }
}

fn delivery(logged: Logged) -> DeliveryView {
    let (outcome, http_status) = match logged.answer {
        Answer::Status { code, .. } => {
            (if (200..300).contains(&code) { "delivered" } else { "status" }.to_owned(), Some(code))
        }
        Answer::TimedOut => ("timed_out".to_owned(), None),
        Answer::NameFailed(why) => (format!("name_failed: {why}"), None),
        Answer::Refused(why) => (format!("refused: {why}"), None),
        Answer::ConnectFailed(why) => (format!("connect_failed: {why}"), None),
        Answer::TlsFailed(why) => (format!("tls_failed: {why}"), None),
        Answer::Broken(why) => (format!("broken: {why}"), None),
        Answer::Declined { ret, excerpt } => (format!("declined: Ret {ret} {excerpt}"), None),
        Answer::Missing => ("missing".to_owned(), None),
    };
    let next_at = match logged.outcome {
        Outcome::Retry(at) => Some(Moment(at)),
        Outcome::Delivered | Outcome::Dead | Outcome::Held => None,
    };
    DeliveryView {
        event_id: logged.event_id.to_string(),
        kind: logged.kind.to_string(),
        at: Moment(logged.started),
        attempt: u32::from(logged.attempt),
        outcome,
        http_status,
        took_ms: Some(logged.took_ms),
        next_at,
    }
}
