//! The partner partition's shell: keeps the directory, and runs a driver for each webhook queue. Owns the drivers'
//! supervision; the rules are in `domain::delivery`.

use super::alerts::Alerts;
use super::engine::{HostCore, Partition, Refusal, Shell};
use super::partners::{DirectoryEndpoint, Partners};
use super::webhook::{Deliver, Dress, DriverError, FactsError, QueueBoard, QueueDriver, QueueFacts};
use crate::clock::SharedClock;
use crate::config::webhook::Webhook;
use crate::domain::delivery::{
    Alert, AlertKind, Partner, PartnerCommand, PartnerEffect, PartnerFamily, PartnerKey, PartnerReply, PartnerState,
    QueueCommand, QueueId, QueueReply,
};
use crate::domain::platform;
use crate::ids::PartnerId;
use crate::persistence::vault::Vault;
use crate::persistence::{SharedJournal, StreamName};
use crate::telemetry::metrics::webhook as metrics;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The first wait before a driver that could not go on is started again; doubles up to [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_millis(250);
/// The longest such wait.
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// What queues run with.
#[derive(Clone)]
pub struct QueueParts {
    /// The directory.
    pub partners: Arc<Partners>,
    /// Outboxes.
    pub journal: SharedJournal,
    /// Sends.
    pub deliver: Arc<dyn Deliver>,
    /// Shown to operators.
    pub board: Arc<QueueBoard>,
    /// The time.
    pub clock: SharedClock,
    /// The present settings.
    pub settings: Arc<ArcSwap<Webhook>>,
    /// Operators.
    pub alerts: Alerts,
    /// Opens what is sealed in events, for their own partner.
    pub vault: Arc<Vault>,
}

/// The impure half of [`PartnerFamily`].
pub struct PartnerShell {
    parts: QueueParts,
    running: Rc<RefCell<HashSet<(PartnerId, QueueId)>>>,
}

impl PartnerShell {
    /// The shell of the back office's arbiter.
    pub fn new(parts: QueueParts) -> Self {
        PartnerShell { parts, running: Rc::default() }
    }

    /// Runs the queue of each endpoint from now on, and none of those that are gone.
    fn drive(&self, partition: &Rc<Partition<PartnerFamily>>, id: &PartnerId, partner: &Partner) {
        let Some(host) = partition.host() else { return };
        let mut changed = false;
        for queue in partner.endpoints.keys().copied() {
            if self.running.borrow_mut().insert((id.clone(), queue)) {
                let (parts, running, id) = (self.parts.clone(), Rc::clone(&self.running), id.clone());
                let host = Rc::clone(&host);
                changed = true;
                actix_rt::spawn(async move {
                    keep_driving(host, parts, id.clone(), queue).await;
                    running.borrow_mut().remove(&(id, queue));
                });
            }
        }
        changed |= self.parts.partners.retire(id, |queue| !partner.endpoints.contains_key(queue));
        if changed {
            // Each one's share of what the partner may use is another now.
            self.parts.partners.look_again(id, None);
        }
    }

    /// Tells the journal what no endpoint can ask for any more (EM-8).
    fn trim(&self, partition: &Rc<Partition<PartnerFamily>>, id: &PartnerId) {
        let state = partition.state(&PartnerKey::Partner);
        let Some(PartnerState::Partner(partner)) = state.as_deref() else { return };
        let needed_from = |queue: &QueueId| match partition.state(&PartnerKey::Queue(*queue)).as_deref() {
            Some(PartnerState::Queue(queue)) => queue.needed_from(),
            // Not born yet, or being rebuilt.
            Some(_) | None => 0,
        };
        let below = partner.endpoints.keys().map(needed_from).min().unwrap_or(u64::MAX);
        self.parts.journal.trim_outbox(id, below);
    }

    fn alert(&self, stream: &StreamName, alert: Alert) {
        let (code, level, text, ticket) = match alert.kind {
            AlertKind::EndpointGone => {
                ("webhook_gone", "critical", "the endpoint answered 410 and is disabled".to_owned(), true)
            }
            AlertKind::EndpointDisabled => {
                let text = "every try has failed for too long: the endpoint is disabled and probed";
                ("webhook_disabled", "critical", text.to_owned(), true)
            }
            AlertKind::EndpointBack => {
                ("webhook_back", "warning", "a disabled endpoint answers and is enabled again".to_owned(), false)
            }
            AlertKind::Unverified => {
                let text = "nobody at the URL has answered the challenge, and no more are sent";
                ("webhook_unverified", "warning", text.to_owned(), false)
            }
            AlertKind::DeadLetter { event_id } => {
                // The queue's own ticket row counts its dead letters: no second one here.
                ("webhook_dead_letter", "critical", format!("event {event_id} was given up"), false)
            }
            AlertKind::Failing { percent } => {
                let level = if percent >= 90 { "critical" } else { "warning" };
                ("webhook_failing", level, format!("{percent} % of the newest tries fail"), false)
            }
            AlertKind::Recovered => ("webhook_recovered", "warning", "tries succeed again".to_owned(), false),
        };
        match code {
            "webhook_gone" => metrics::DISABLED.add(1, ["gone"]),
            "webhook_disabled" => metrics::DISABLED.add(1, ["failing"]),
            _ => {}
        }
        let known = stream.partition().parse().ok().and_then(|id: PartnerId| self.parts.partners.get(&id));
        let name = known.and_then(|known| Some(known.partner.endpoints.get(&alert.queue)?.name.clone()));
        self.parts.alerts.raise(platform::Alert {
            code: code.to_owned(),
            level: level.to_owned(),
            subject: match &name {
                // Each endpoint is a case of its own.
                Some(name) if !name.is_default() => format!("{stream}/{name}"),
                Some(_) | None => stream.to_string(),
            },
            text,
            ticket,
        });
    }
}

impl Shell<PartnerFamily> for PartnerShell {
    fn perform(&self, partition: &Rc<Partition<PartnerFamily>>, _: &PartnerKey, effect: PartnerEffect) {
        match effect {
            // `applied` has put the new state there already.
            PartnerEffect::DirectoryChanged => {}
            PartnerEffect::QueueChanged(queue) => {
                if let Ok(partner) = partition.id().parse() {
                    self.parts.partners.look_again(&partner, Some(queue));
                }
            }
            PartnerEffect::Alert(alert) => self.alert(&partition.stream, alert),
        }
    }

    fn refresh(&self, partition: &Partition<PartnerFamily>) {
        let settings = self.parts.settings.load();
        partition.ambient(|policy| {
            let now = settings.policy();
            if *policy != now {
                *policy = now;
            }
        });
    }

    fn applied(&self, partition: &Rc<Partition<PartnerFamily>>, key: &PartnerKey, state: &PartnerState) {
        let Ok(id) = partition.id().parse::<PartnerId>() else { return };
        match state {
            PartnerState::Partner(partner) if partner.profile.is_some() => {
                self.parts.partners.put(&id, partner);
                self.drive(partition, &id, partner);
            }
            PartnerState::Queue(queue) => {
                if let PartnerKey::Queue(number) = key {
                    self.parts.board.note(&id, *number, queue);
                }
            }
            PartnerState::Partner(_) => {}
            PartnerState::Application(application) => self.parts.partners.applications.put(&id, application),
        }
        self.trim(partition, &id);
    }

    fn noticed(&self, partners: &BTreeSet<PartnerId>) {
        self.parts.partners.nudge(partners);
    }

    fn quarantined(&self, stream: &StreamName, key: &PartnerKey, cause: &str) {
        self.parts.alerts.raise(super::alerts::quarantined(stream, key, cause));
    }

    fn pinned(&self, _: &Partition<PartnerFamily>) -> bool {
        // Partners are few, and their queues look into them all the time.
        true
    }
}

/// Runs a queue's driver, and another whenever one cannot go on: nothing is lost between them.
async fn keep_driving(host: Rc<HostCore<PartnerFamily>>, parts: QueueParts, partner: PartnerId, queue: QueueId) {
    let handle = parts.partners.queue(&partner, queue);
    let mut wait = AGAIN;
    loop {
        if parts.partners.get(&partner).is_none_or(|known| !known.partner.endpoints.contains_key(&queue)) {
            return;
        }
        let began = parts.clock.now();
        let driver = QueueDriver {
            partner: partner.clone(),
            queue,
            journal: parts.journal.clone(),
            facts: Rc::new(EngineFacts { host: Rc::clone(&host), partner: partner.clone(), queue }),
            deliver: parts.deliver.clone(),
            dress: Arc::new(VaultDress(parts.vault.clone())),
            endpoint: Rc::new(DirectoryEndpoint { partners: parts.partners.clone(), partner: partner.clone(), queue }),
            clock: parts.clock.clone(),
            board: parts.board.clone(),
            settings: parts.settings.clone(),
            handle: handle.clone(),
        };
        let error: DriverError = match driver.run().await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::warn!(%partner, %error, "a webhook queue could not go on; it is started again from the journal");
        if parts.clock.now().since(began) > AGAIN_MAX {
            wait = AGAIN;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(AGAIN_MAX);
    }
}

/// Opens names with the vault.
struct VaultDress(Arc<Vault>);

#[async_trait]
impl Dress for VaultDress {
    async fn dress(&self, data: &mut serde_json::Value) -> Result<(), String> {
        super::personal::dress(&self.0, data, false).await.map_err(|error| error.to_string())
    }
}

/// A queue's entity, behind the engine.
pub struct EngineFacts {
    /// Where it lives.
    pub host: Rc<HostCore<PartnerFamily>>,
    /// Whose.
    pub partner: PartnerId,
    /// Which endpoint's.
    pub queue: QueueId,
}

#[async_trait(?Send)]
impl QueueFacts for EngineFacts {
    async fn ask(&self, command: QueueCommand) -> Result<QueueReply, FactsError> {
        let key = PartnerKey::Queue(self.queue);
        let asked = self.host.ask(self.partner.as_str(), key, PartnerCommand::Queue(command)).await;
        queue_reply(asked, self.host.env().limits.retry_after)
    }
}

/// What an answer of the engine means to a queue's driver.
pub fn queue_reply(
    asked: Result<PartnerReply, Refusal<crate::domain::delivery::PartnerRejection>>,
    retry_after: Duration,
) -> Result<QueueReply, FactsError> {
    match asked {
        Ok(PartnerReply::Queue(reply)) => Ok(reply),
        Ok(PartnerReply::Done) => Err(FactsError::Stopped("the queue answered as a partner".to_owned())),
        Err(Refusal::Rejected(rejection)) => Err(FactsError::Rejected(rejection)),
        Err(Refusal::Unavailable(after)) => Err(FactsError::Unavailable(after)),
        Err(Refusal::Busy | Refusal::Full | Refusal::Crashed) => Err(FactsError::Unavailable(retry_after)),
        Err(Refusal::Quarantined) => Err(FactsError::Stopped("it is quarantined".to_owned())),
    }
}
