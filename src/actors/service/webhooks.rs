//! Webhooks as HTTP asks about them: events, state, attempts, replay, test.

use super::admin::partners::{order, seal};
use super::catalogue::SITE;
use super::{Service, bad_cursor, partner_rejected, refused};
use crate::actors::partner::EngineFacts;
use crate::actors::partners::{Known, sees};
use crate::actors::webhook::{self, FactsError, ServiceError};
use crate::api::catalogue::Code;
use crate::api::port::{
    Choice, DeadView, DeliveryView, Dropped, EndpointChange, Moment, Page, PageRequest, Refusal, ReplayRequest,
    UnverifiedView, WebhookPort, WebhookView,
};
use crate::domain::delivery::{
    Answer, Dead, Endpoint, Logged, Outcome, PartnerCommand, PartnerKey, PartnerOrder, PartnerReply, Queue,
    QueueCommand, QueueId, QueueReply, Removed, Sites, Stopped, Subscriptions, Wants,
};
use crate::ids::{EndpointName, PartnerId, RequestId, SiteId};
use crate::persistence::OutboxEntry;
use crate::protocol::webhook::SigningSecret;
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Dead letters thrown away in one step.
const PAGE_MAX: usize = 256;

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

    /// An endpoint of this name, and who has it.
    fn endpoint(&self, partner: &PartnerId, name: &EndpointName) -> Result<(Arc<Known>, QueueId), Refusal> {
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let (queue, _) = known.partner.endpoint(name).ok_or_else(|| missing(name))?;
        Ok((known, queue))
    }

    /// All endpoints of a partner as shown, oldest first.
    pub(super) fn webhooks_of(&self, known: &Known) -> Vec<WebhookView> {
        known.partner.endpoints.iter().map(|(queue, endpoint)| self.shown(known, *queue, endpoint)).collect()
    }

    fn shown(&self, known: &Known, number: QueueId, endpoint: &Endpoint) -> WebhookView {
        let queue = self.webhooks.queue(&known.id, number).unwrap_or_default();
        let Wants { events, sites } = known.partner.wants(endpoint);
        let disabled = queue.disabled.as_ref().or(endpoint.disabled.as_ref());
        WebhookView {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            enabled: disabled.is_none(),
            disabled_reason: disabled.map(|disabled| disabled.reason.clone()),
            disabled_by: disabled.map(|disabled| disabled.by.as_str().to_owned()),
            probe_at: queue.disabled.as_ref().and_then(|disabled| disabled.probe).map(Moment),
            unverified: queue.unverified.map(|unverified| UnverifiedView {
                since: Moment(unverified.since),
                failures: unverified.failures,
                next_at: unverified.due.map(Moment),
                last_error: unverified.last_error,
            }),
            paused: queue.paused,
            events: match events {
                Subscriptions::All => None,
                Subscriptions::Only(kinds) => Some(kinds.into_iter().collect()),
            },
            sites: match sites {
                Sites::All => None,
                Sites::Only(sites) => Some(sites.iter().map(ToString::to_string).collect()),
            },
            failing_percent: queue.failing_percent,
            depth: queue.depth as u64,
            oldest_age_s: queue.oldest.map(|oldest| self.clock.now().since(oldest).as_secs()),
            dead_letters: queue.dead,
        }
    }

    /// Asks the queue of an endpoint.
    async fn ask_queue(
        &self,
        partner: &PartnerId,
        queue: QueueId,
        command: QueueCommand,
    ) -> Result<PartnerReply, Refusal> {
        self.working()?;
        let asked = self.partners.ask(partner.as_str(), PartnerKey::Queue(queue), PartnerCommand::Queue(command)).await;
        asked.map_err(|refusal| refused(refusal, partner_rejected))
    }

    /// Refuses a URL that may not be gone to.
    pub(super) fn check_target(&self, field: &str, url: &str) -> Result<(), Refusal> {
        self.sender.policy().check_url(url).map(drop).map_err(|error| {
            let refusal = Refusal::field(field, error.to_string(), "https, a public address, an open port");
            Refusal { code: Code::EndpointRefused, ..refusal }
        })
    }

    /// What an endpoint is to take, on top of what it takes.
    async fn wanted(&self, known: &Known, before: Wants, change: &EndpointChange) -> Result<Wants, Refusal> {
        let events = match &change.events {
            None => before.events,
            Some(Choice::All(_)) => Subscriptions::All,
            Some(Choice::Only(kinds)) => Subscriptions::Only(kinds.iter().cloned().collect()),
        };
        let sites = match &change.sites {
            None => before.sites,
            Some(Choice::All(_)) => Sites::All,
            Some(Choice::Only(ids)) => {
                let mut sites = BTreeSet::new();
                for (n, id) in ids.iter().enumerate() {
                    let unknown = || Refusal::field(format!("sites[{n}]"), "is unknown", "ids of your sites");
                    let site: SiteId = id.parse().map_err(|_| unknown())?;
                    let there = sees(&known.partner, &site) && self.journal.row(SITE, id).await?.is_some();
                    sites.insert(Some(site).filter(|_| there).ok_or_else(unknown)?);
                }
                Sites::Only(sites)
            }
        };
        Ok(Wants { events, sites })
    }

    /// Where the outbox of a partner ends: a new endpoint begins there, but for the very first, which is sent all that is kept.
    async fn beginning(&self, known: &Known) -> Result<u64, Refusal> {
        let mut from = 0;
        for queue in known.partner.endpoints.keys() {
            from = from.max(self.queue_state(&known.id, *queue).await?.low_water);
        }
        if known.partner.next_queue == 0 {
            return Ok(0);
        }
        let (_, newest) = self.webhooks.ahead(&known.id, from, &|_| false).await.map_err(service_error)?;
        Ok(newest)
    }

    async fn queue_state(&self, partner: &PartnerId, queue: QueueId) -> Result<Box<Queue>, Refusal> {
        match self.ask_queue(partner, queue, QueueCommand::Observe).await? {
            PartnerReply::Queue(QueueReply::State(state)) => Ok(state),
            PartnerReply::Queue(_) | PartnerReply::Done => Err(Code::Internal.into()),
        }
    }

    /// Sets an endpoint up, or moves it.
    pub(super) async fn aim(&self, partner: &PartnerId, name: &EndpointName, aim: Aim) -> Result<(), Refusal> {
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let from = match known.partner.endpoint(name) {
            Some(_) => 0,
            None => self.beginning(&known).await?,
        };
        let Aim { url, secret, wants, new } = aim;
        let secret = secret.map(|secret| seal(self, &secret));
        order(self, partner, PartnerOrder::SetEndpoint { name: name.clone(), url, secret, wants, from, new }).await
    }

    fn has_secret(&self, partner: &PartnerId, name: &EndpointName, secret: &SecretString) -> bool {
        let Ok((known, queue)) = self.endpoint(partner, name) else { return false };
        let Some(target) = known.targets.get(&queue) else { return false };
        let Ok(secret) = SigningSecret::parse(secret.expose_secret()) else { return false };
        // Two secrets that sign alike are one.
        target.secrets.iter().any(|(known, _)| known.sign("", 0, b"") == secret.sign("", 0, b""))
    }

    /// Throws the dead letters of an endpoint away, page by page; those of the last page, and how many there were.
    async fn clear_dead(&self, partner: &PartnerId, queue: QueueId) -> Result<(Vec<u64>, u64), Refusal> {
        let mut count = 0;
        loop {
            let page = self.webhooks.dead_letters(partner, queue, None, PAGE_MAX).await.map_err(service_error)?;
            let positions: Vec<u64> = page.items.iter().map(|dead| dead.entry.position).collect();
            count += positions.len() as u64;
            if page.next.is_none() {
                return Ok((positions, count));
            }
            self.ask_queue(partner, queue, QueueCommand::Discard(positions)).await?;
        }
    }
}

/// How an endpoint is to be set.
pub(super) struct Aim {
    pub(super) url: String,
    pub(super) secret: Option<SecretString>,
    pub(super) wants: Option<Wants>,
    /// There must be none of this name.
    pub(super) new: bool,
}

fn missing(name: &EndpointName) -> Refusal {
    if name.is_default() { Code::WebhookMissing.into() } else { Code::NotFound.into() }
}

#[async_trait]
impl WebhookPort for Service {
    async fn webhooks(&self, partner: &PartnerId) -> Result<Vec<WebhookView>, Refusal> {
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        Ok(self.webhooks_of(&known))
    }

    async fn webhook(&self, partner: &PartnerId, name: &EndpointName) -> Result<WebhookView, Refusal> {
        let (known, queue) = self.endpoint(partner, name)?;
        let endpoint = known.partner.endpoints.get(&queue).ok_or_else(|| missing(name))?;
        Ok(self.shown(&known, queue, endpoint))
    }

    async fn make_webhook(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        order: EndpointChange,
        secret: SecretString,
    ) -> Result<(), Refusal> {
        self.working()?;
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        if self.has_secret(partner, name, &secret) {
            return Ok(());
        }
        let wants = self.wanted(&known, Wants::default(), &order).await?;
        let url = order.url.ok_or_else(|| Refusal::field("url", "is missing", "where the events are to go"))?;
        self.check_target("url", &url)?;
        self.aim(partner, name, Aim { url, secret: Some(secret), wants: Some(wants), new: true }).await
    }

    async fn change_webhook(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        change: EndpointChange,
        by_operator: bool,
    ) -> Result<(), Refusal> {
        self.working()?;
        let (known, queue) = self.endpoint(partner, name)?;
        let endpoint = known.partner.endpoints.get(&queue).ok_or_else(|| missing(name))?;
        let wants = self.wanted(&known, known.partner.wants(endpoint), &change).await?;
        let Some(url) = change.url else {
            return order(self, partner, PartnerOrder::Subscribe { queue, wants }).await;
        };
        if known.partner.tcec.is_some() && name.is_default() && !by_operator {
            // It proves itself by no challenge, so it is not moved by its partner alone.
            return Err(Refusal::field("url", "is the base of T/CEC 102", "what an operator sets"));
        }
        let held = endpoint.disabled.as_ref().is_some_and(|disabled| disabled.by == Stopped::Operator);
        if held && !by_operator {
            return Err(Code::WebhookDisabled.into());
        }
        self.check_target("url", &url)?;
        self.aim(partner, name, Aim { url, secret: None, wants: Some(wants), new: false }).await
    }

    async fn remove_webhook(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        since: Moment,
    ) -> Result<Dropped, Refusal> {
        self.working()?;
        let known = self.directory.get(partner).ok_or(Code::PartnerUnknown)?;
        let Some((queue, endpoint)) = known.partner.endpoint(name) else {
            let same = known.partner.removed.iter().rev().find(|gone| gone.name == *name && gone.at >= since.0);
            let said = |gone: &Removed| Dropped { dropped: gone.dropped, dead_letters: gone.dead };
            return same.map(said).ok_or_else(|| missing(name));
        };
        if known.partner.tcec.is_some() && name.is_default() {
            return Err(Refusal::field("name", "is the base of T/CEC 102", "another endpoint"));
        }
        let wants = known.partner.wants(endpoint);
        let (dead, dead_letters) = self.clear_dead(partner, queue).await?;
        let state = self.queue_state(partner, queue).await?;
        let waits = |row: &OutboxEntry| {
            let open = state.open.contains_key(&row.position);
            open || !state.ahead.contains(&row.position) && wants.take(name, &row.notice.kind, &row.notice.data)
        };
        let (ahead, _) = self.webhooks.ahead(partner, state.low_water, &waits).await.map_err(service_error)?;
        let known_by_name = state.open.range(..=state.low_water).count() as u64;
        let dropped = known_by_name + ahead;
        let removed = Removed { name: name.clone(), at: self.clock.now(), dropped, dead: dead_letters };
        order(self, partner, PartnerOrder::RemoveEndpoint { queue, dead, removed }).await?;
        Ok(Dropped { dropped, dead_letters })
    }

    async fn rotate_webhook_secret(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        secret: SecretString,
        overlap: Duration,
    ) -> Result<(), Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        if self.has_secret(partner, name, &secret) {
            return Ok(());
        }
        order(self, partner, PartnerOrder::RotateSecret { queue, secret: seal(self, &secret), overlap }).await
    }

    async fn verify_webhook(&self, partner: &PartnerId, name: &EndpointName) -> Result<(), Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        self.ask_queue(partner, queue, QueueCommand::Verify).await.map(drop)
    }

    async fn vouch_webhook(&self, partner: &PartnerId, name: &EndpointName) -> Result<(), Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        self.ask_queue(partner, queue, QueueCommand::Vouch).await.map(drop)
    }

    async fn enable_webhook(&self, partner: &PartnerId, name: &EndpointName, on: bool) -> Result<(), Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        let command = match on {
            true => PartnerOrder::EnableEndpoint { queue },
            false => PartnerOrder::DisableEndpoint { queue, reason: "by an operator".to_owned() },
        };
        order(self, partner, command).await
    }

    async fn pause_webhook(&self, partner: &PartnerId, name: &EndpointName, paused: bool) -> Result<(), Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        let command = if paused { QueueCommand::Pause } else { QueueCommand::Resume };
        self.ask_queue(partner, queue, command).await.map(drop)
    }

    async fn test_webhook(&self, partner: &PartnerId, name: &EndpointName, _: &RequestId) -> Result<(), Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        self.ask_queue(partner, queue, QueueCommand::Test(name.clone())).await.map(drop)
    }

    async fn deliveries(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        page: PageRequest,
    ) -> Result<Page<DeliveryView>, Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        let found = self.webhooks.deliveries(partner, queue, page.cursor.as_deref(), page.limit).await;
        let found = found.map_err(service_error)?;
        Ok(Page { items: found.items.into_iter().map(delivery).collect(), next: found.next })
    }

    async fn dead_letters(
        &self,
        partner: &PartnerId,
        name: &EndpointName,
        page: PageRequest,
    ) -> Result<Page<DeadView>, Refusal> {
        let (_, queue) = self.endpoint(partner, name)?;
        let found = self.webhooks.dead_letters(partner, queue, page.cursor.as_deref(), page.limit).await;
        let found = found.map_err(service_error)?;
        Ok(Page { items: found.items.into_iter().map(dead_letter).collect(), next: found.next })
    }

    async fn replay(&self, partner: &PartnerId, name: &EndpointName, replay: ReplayRequest) -> Result<u64, Refusal> {
        self.working()?;
        let (known, queue) = self.endpoint(partner, name)?;
        let wants = known.targets.get(&queue).map(|target| target.wants.clone()).unwrap_or_default();
        let (webhooks, partner, name) = (self.webhooks.clone(), partner.clone(), name.clone());
        let request = webhook::ReplayRequest {
            event_ids: replay.event_ids,
            from: replay.from.map(|at| at.0),
            to: replay.to.map(|at| at.0),
            all_dead: replay.all_dead,
            dry_run: false,
        };
        // The replay's facts are not `Send`: it runs where the partner lives.
        let answer = self.partners.run_on(0, move |core| async move {
            let facts = EngineFacts { host: core, partner: partner.clone(), queue };
            let taken = |row: &OutboxEntry| wants.take(&name, &row.notice.kind, &row.notice.data);
            webhooks.replay(&facts, &partner, queue, &request, &taken).await
        });
        let answer = answer.await.ok_or(Code::Busy)?.map_err(service_error)?;
        Ok(answer.selected)
    }
}

fn dead_letter(dead: Dead) -> DeadView {
    let Dead { entry, attempts, answer, at } = dead;
    DeadView {
        event_id: entry.event_id.to_string(),
        kind: entry.kind.to_string(),
        order_key: entry.order_key.to_string(),
        at: Moment(entry.at),
        attempts,
        last_outcome: answer.told(),
        dead_at: Moment(at),
    }
}

fn delivery(logged: Logged) -> DeliveryView {
    let outcome = logged.answer.told();
    let (outcome, http_status) = match logged.answer {
        Answer::Status { code, .. } if (200..300).contains(&code) => (outcome, Some(code)),
        Answer::Status { code, .. } => ("status".to_owned(), Some(code)),
        Answer::NotEchoed { code } => (outcome, Some(code)),
        _ => (outcome, None),
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
