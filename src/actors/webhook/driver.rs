//! The task of one webhook queue (EM-8). Owns the order read outbox → pick → send → report, its timers and its bounds; the
//! scheduler picks, the queue's entity decides, the sender sends.
//!
//! Invariants: a success is reported within the settle delay, a failure at once, and its lane goes on only once the verdict
//! is journaled; at most one question to the entity is under way; while the journal takes no report, a bounded number of
//! tries is made and then none. Times are measured on a clock that does not jump (RT-3). Dropping the future at any point is
//! a crash: what was in flight or not yet reported is sent again.

mod run;
#[cfg(test)]
mod tests;

use super::board::QueueBoard;
use super::sender::Deliver;
use crate::actors::engine::turn::panic_text;
use crate::clock::{SharedClock, Timestamp};
use crate::config::webhook::Webhook;
use crate::domain::delivery::{Answer, Pace, PartnerRejection, QueueCommand, QueueId, QueueReply, Wants};
use crate::ids::{EndpointName, PartnerId};
use crate::persistence::{JournalError, SharedJournal};
use crate::protocol::webhook::SigningSecret;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Asks the queue's entity; the engine stands behind it.
#[async_trait(?Send)]
pub trait QueueFacts {
    /// Decides a command on the queue's entity; answers once the step is durable.
    ///
    /// # Errors
    /// See [`FactsError`].
    async fn ask(&self, command: QueueCommand) -> Result<QueueReply, FactsError>;
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// Nothing was changed: ask again after this time.
    #[error("the queue cannot be asked now, retry after {0:?}")]
    Unavailable(Duration),
    /// The rules refused it.
    #[error("the queue refused: {0}")]
    Rejected(#[from] PartnerRejection),
    /// The entity is gone for good: this driver ends, another is started from the journal.
    #[error("the queue is no longer there: {0}")]
    Stopped(String),
}

/// Where a queue's webhooks go, from the in-memory directory of partners, secrets opened.
#[derive(Debug)]
pub struct Target {
    /// The URL.
    pub url: String,
    /// Secrets with the moment they expire, newest first.
    pub secrets: Vec<(SigningSecret, Option<Timestamp>)>,
    /// The partner's name of the endpoint.
    pub name: EndpointName,
    /// Events that are sent.
    pub wants: Wants,
    /// Among how many endpoints the partner's share of memory and sockets is divided.
    pub share: usize,
    /// Set where the partner speaks T/CEC 102: events go out in that face (EM-11).
    pub face: Option<Arc<super::tcec::TcecFace>>,
}

impl Target {
    /// The secrets that sign at `now`. Without any, nothing is sent.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let live = self.secrets.iter().filter(move |(_, expires)| expires.is_none_or(|at| now < at));
        live.map(|(secret, _)| secret)
    }
}

/// Asked before each try, so that a moved endpoint or rotated secret counts at once.
pub trait EndpointSource {
    /// Where to send; `None`: nowhere, everything stays in the outbox.
    fn target(&self) -> Option<Arc<Target>>;
}

/// What a driver takes from the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tuning {
    /// Of the scheduler.
    pace: Pace,
    /// Payloads held ready.
    read_ahead: usize,
    /// How long a success may wait for its record.
    settle_delay: Duration,
    /// Tries that are reported without that wait.
    settle_batch: usize,
}

impl Tuning {
    /// The share of one of so many endpoints: what is set is what a partner may use in all.
    fn of(config: &Webhook, share: usize) -> Self {
        let share = share.max(1);
        let part = |whole: usize| (whole / share).max(1);
        let rate = |whole: u32| whole.checked_div(u32::try_from(share).unwrap_or(u32::MAX)).unwrap_or(0);
        let whole = config.pace();
        let pace = Pace {
            window: part(whole.window),
            in_flight: part(whole.in_flight),
            // 0 is no limit, so a part of a limit never is.
            rate_per_s: rate(whole.rate_per_s).max(whole.rate_per_s.min(1)),
            burst: rate(whole.burst).max(1),
            ..whole
        };
        Tuning {
            pace,
            read_ahead: part(config.read_ahead),
            settle_delay: config.settle_delay,
            settle_batch: config.settle_batch,
        }
    }
}

/// Why a driver ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The entity is gone, or refused what it must take.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The outbox cannot be read, and waiting does not help.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The entity answered another question: a bug.
    #[error("the queue answered {0} to another question")]
    Reply(String),
    /// A bug in the driver; it ends alone (RT-2).
    #[error("the queue's driver failed: {0}")]
    Panicked(String),
}

#[derive(Debug, Default)]
struct Signals {
    notify: Notify,
    arrived: AtomicBool,
    changed: AtomicBool,
    stop: AtomicBool,
}

/// How others reach a running driver. Never blocks, never fails.
#[derive(Debug, Clone, Default)]
pub struct QueueHandle(Arc<Signals>);

impl QueueHandle {
    fn signal(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        self.0.notify.notify_one();
    }

    /// The outbox has something new for this partner.
    pub fn nudge(&self) {
        self.signal(&self.0.arrived);
    }

    /// The queue or its endpoint was changed from outside (effect `QueueChanged`).
    pub fn look_again(&self) {
        self.signal(&self.0.changed);
    }

    /// Begin no try any more, wait for those under way, report, and end.
    pub fn stop(&self) {
        self.signal(&self.0.stop);
    }

    fn take(flag: &AtomicBool) -> bool {
        flag.swap(false, Ordering::AcqRel)
    }
}

/// Turns a stored payload into what partners see: opens personal data that is stored sealed (OP-9), drops what is ours
/// alone. `GET /events` shows the same.
#[async_trait]
pub trait Dress: Send + Sync + 'static {
    /// Changes the `data` member of an event in place.
    ///
    /// # Errors
    /// Why that cannot be done now: nothing is sent, and the try counts as failed.
    async fn dress(&self, data: &mut serde_json::Value) -> Result<(), String>;
}

/// Payloads that are sent as they are stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsStored;

#[async_trait]
impl Dress for AsStored {
    async fn dress(&self, _: &mut serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

/// The task of one queue.
pub struct QueueDriver {
    /// Whose.
    pub partner: PartnerId,
    /// Which endpoint.
    pub queue: QueueId,
    /// For the outbox and dead letters.
    pub journal: SharedJournal,
    /// The queue's entity.
    pub facts: Rc<dyn QueueFacts>,
    /// Sends.
    pub deliver: Arc<dyn Deliver>,
    /// Where to.
    pub endpoint: Rc<dyn EndpointSource>,
    /// What partners see of a payload.
    pub dress: Arc<dyn Dress>,
    /// The wall clock: for the signature's time and the first reading of the driver's own clock.
    pub clock: SharedClock,
    /// Shown to operators.
    pub board: Arc<QueueBoard>,
    /// The present settings: looked at whenever the driver wakes.
    pub settings: Arc<ArcSwap<Webhook>>,
    /// How others reach it.
    pub handle: QueueHandle,
}

impl QueueDriver {
    /// Runs until it is told to stop, or cannot go on. Spawn it on the partner's arbiter.
    ///
    /// # Errors
    /// See [`DriverError`]; start another one: nothing is lost.
    pub async fn run(self) -> Result<(), DriverError> {
        let (board, partner, queue) = (self.board.clone(), self.partner.clone(), self.queue);
        let running = async { run::Run::start(self).await?.until_stopped().await };
        // Nothing of what it breaks off is seen again, so nothing half-done is.
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        board.remove(&partner, queue);
        ended.unwrap_or_else(|panic| Err(DriverError::Panicked(panic_text(&*panic))))
    }
}

/// The value of the metric's label.
fn outcome_label(answer: &Answer) -> &'static str {
    match answer {
        Answer::Status { code: 410, .. } => "gone",
        Answer::Status { code: 429, .. } | Answer::Status { code: 503, retry_after_ms: Some(_), .. } => "slow_down",
        Answer::Status { code: 200..=299, .. } => "delivered",
        Answer::Status { code: 300..=399, .. } => "redirect",
        Answer::Status { code: 400..=499, .. } => "client_error",
        Answer::Status { code: 500..=599, .. } => "server_error",
        Answer::Status { .. } => "other_status",
        Answer::TimedOut => "timed_out",
        Answer::NameFailed(_) => "name_failed",
        Answer::Refused(_) => "refused",
        Answer::ConnectFailed(_) => "connect_failed",
        Answer::TlsFailed(_) => "tls_failed",
        Answer::Broken(_) => "broken",
        Answer::Declined { .. } => "declined",
        Answer::NotEchoed { .. } => "not_echoed",
        Answer::Missing => "missing",
    }
}
