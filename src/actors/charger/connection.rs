//! One socket's messages: OCPP 1.6 requests to commands of the charger, replies to confirmations, answers to outcomes. Owns the
//! order link-up before the first message; never a rule.
//!
//! Invariants: a transaction message that cannot be made durable is not answered at all and the connection ends, so that the
//! charger keeps it (RT-8); a connection that is not the newest changes nothing (CH-3).

use super::journey;
use super::register::Register;
use super::tokens::Tokens;
use crate::actors::alerts::Alerts;
use crate::actors::engine::{HostCore, Partition, Refusal};
use crate::clock::SharedClock;
use crate::domain::charger::{BootPolicy, Command, Outcome, ReportKind, Told, Verdict};
use crate::domain::charging::{ChargingFamily, Key, Rejection, Reply};
use crate::domain::platform::Alert;
use crate::gateway::{self, CallAnswer, CallOutcome, ChargerPort, CloseReason, Generation, InboundCall, LinkHandle};
use crate::ids::{ChargerId, CommandId};
use crate::protocol::ocpp16::{self, EMPTY, Flag, Request, neutral, to_payload};
use crate::protocol::ocppj::{CallError, ErrorCode};
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// How often news of a socket is tried to be stored before the rules' own time-outs have to tell.
const TRIES: u32 = 6;

/// The first wait between two tries; doubles.
const WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Beginnings and ends of connections that become known to the rules at once. A fleet that comes back or is lost all together
/// has that many steps in flight: what they need in passing does not grow with it, nor lie between what stays (ADR 0011), and the
/// journal's queue keeps room for what other chargers tell.
pub const LINK_CHANGES: usize = 256;

/// How long news of a socket is tried to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// [`TRIES`]: then the rules' own time-outs tell.
    Some,
    /// For ever: nothing else would tell that a charger has gone.
    Endless,
}

/// What connections work with.
pub struct ConnectionParts {
    /// Chargers and their connections.
    pub register: Arc<Register>,
    /// Whose an idTag is.
    pub tokens: Arc<Tokens>,
    /// Operators.
    pub alerts: Alerts,
    /// For `currentTime`.
    pub clock: SharedClock,
    /// [`LINK_CHANGES`] turns.
    pub link_changes: Semaphore,
}

/// One connection. Cloned for every message that is under way, so it is one pointer.
#[derive(Clone)]
pub struct Connection(Rc<Inner>);

struct Inner {
    core: Rc<HostCore<ChargingFamily>>,
    parts: Arc<ConnectionParts>,
    charger: ChargerId,
    link: RefCell<Option<LinkHandle>>,
    /// Set once the rules know of the connection: messages wait for that.
    up: OnceCell<bool>,
}

type Asked = Result<Reply, Refusal<Rejection>>;

impl Connection {
    /// The port of a connection that is about to begin.
    pub fn new(core: Rc<HostCore<ChargingFamily>>, parts: Arc<ConnectionParts>, charger: ChargerId) -> Self {
        Connection(Rc::new(Inner { core, parts, charger, link: RefCell::default(), up: OnceCell::new() }))
    }

    async fn ask(&self, command: Command) -> Asked {
        self.0.core.ask(self.0.charger.as_str(), Key::Charger, command.into()).await
    }

    /// Stores news of the socket, again if need be.
    async fn tell(&self, command: Command, turn: Option<SemaphorePermit<'_>>, patience: Patience) -> bool {
        stored(async || self.ask(command.clone()).await, turn, patience).await
    }

    /// Makes the connection known to the rules, once.
    async fn is_up(&self) -> bool {
        *self.0.up.get_or_init(|| self.link_up()).await
    }

    async fn link_up(&self) -> bool {
        let Some(link) = self.0.link.borrow().clone() else { return false };
        // Never closed.
        let Ok(turn) = self.0.parts.link_changes.acquire().await else { return false };
        let Some(partition) = self.0.core.partition(self.0.charger.as_str()).await else {
            link.close(CloseReason::NotDurable);
            return false;
        };
        let generation = link.generation().0;
        partition.ambient(|ambient| {
            ambient.online = true;
            ambient.generation = ambient.generation.max(generation);
        });
        let remote = link.remote().to_string().into_boxed_str();
        let command = Command::LinkUp { generation, remote, subprotocol: link.subprotocol().into() };
        let known = self.tell(command, Some(turn), Patience::Some).await;
        if !known {
            link.close(CloseReason::NotDurable);
        } else if let Some(state) = partition.state(&Key::Charger) {
            link.set_accepted(state.charger().is_some_and(crate::domain::charger::Charger::is_accepted));
        }
        if known && registration_waits(&partition) {
            let proof = link.proof();
            self.tell(Command::CameIn { profile: proof.profile, key: proof.key }, None, Patience::Some).await;
        }
        known
    }

    async fn serve(&self, call: InboundCall) -> CallOutcome {
        if !self.is_up().await {
            return CallOutcome::NoAnswer;
        }
        let flags = call.decoded.flags;
        fault_point!("gateway.call", self.0.charger.as_str());
        match call.decoded.request {
            Request::StartTransaction(request) => self.start(request, &call.id, &flags).await,
            Request::StopTransaction(request) => self.stop(request, &call.id, &flags).await,
            Request::MeterValues(request) => self.fact(Command::MeterValues(neutral::meter(request))).await,
            Request::Unreadable(unreadable) => {
                let bytes = String::from_utf8_lossy(&unreadable.bytes).into_owned().into_boxed_str();
                let (action, why) = (unreadable.action.into(), unreadable.why.into_boxed_str());
                self.unreadable(unreadable.action, Command::UnreadableTransactionMessage { action, bytes, why }).await
            }
            Request::Authorize(request) => self.authorize(&request.id_tag).await,
            Request::BootNotification(request) => self.boot(request).await,
            Request::StatusNotification(request) => self.note(Command::Status(neutral::status(request))).await,
            Request::DiagnosticsStatusNotification(request) => {
                self.report(ReportKind::Diagnostics, request.status.as_str(), None).await
            }
            Request::FirmwareStatusNotification(request) => {
                self.report(ReportKind::Firmware, request.status.as_str(), None).await
            }
            Request::LogStatusNotification(request) => {
                self.report(ReportKind::Log, request.status.as_str(), request.request_id).await
            }
            Request::SignedFirmwareStatusNotification(request) => {
                self.report(ReportKind::SignedFirmware, request.status.as_str(), request.request_id).await
            }
            Request::SecurityEventNotification(request) => {
                self.note(Command::SecurityEvent(neutral::security_event(request))).await
            }
            Request::SignCertificate(request) => self.sign_certificate(request.csr).await,
            Request::DataTransfer(request) => self.data_transfer(request).await,
            Request::Heartbeat => {
                let current_time = self.0.parts.clock.now();
                CallOutcome::Result(to_payload(&ocpp16::heartbeat::Confirmation { current_time }))
            }
        }
    }

    async fn start(&self, request: ocpp16::start_transaction::Request, id: &str, flags: &[Flag]) -> CallOutcome {
        let Ok(tag) = self.0.parts.tokens.tag(&request.id_tag).await else { return CallOutcome::NoAnswer };
        match self.ask(Command::TransactionStart(neutral::start(request, tag, id, flags))).await {
            Ok(Reply::TransactionStarted { transaction, verdict }) => {
                CallOutcome::Result(to_payload(&ocpp16::start_transaction::Confirmation {
                    id_tag_info: neutral::id_tag_info(verdict),
                    transaction_id: transaction,
                }))
            }
            other => not_durable(&other),
        }
    }

    async fn stop(&self, request: ocpp16::stop_transaction::Request, id: &str, flags: &[Flag]) -> CallOutcome {
        let tag = match &request.id_tag {
            Some(id_tag) => match self.0.parts.tokens.tag(id_tag).await {
                Ok(tag) => Some(tag),
                Err(_) => return CallOutcome::NoAnswer,
            },
            None => None,
        };
        match self.ask(Command::TransactionStop(neutral::stop(request, tag, id, flags))).await {
            Ok(Reply::TransactionStopped(verdict)) => {
                let id_tag_info = verdict.map(neutral::id_tag_info);
                CallOutcome::Result(to_payload(&ocpp16::stop_transaction::Confirmation { id_tag_info }))
            }
            other => not_durable(&other),
        }
    }

    /// A transaction fact whose confirmation is empty.
    async fn fact(&self, command: Command) -> CallOutcome {
        match self.ask(command).await {
            Ok(_) => CallOutcome::Result(EMPTY.to_owned()),
            Err(refusal) => not_durable(&Err(refusal)),
        }
    }

    /// A transaction message that cannot be read is confirmed all the same, so that the charger does not send it for ever:
    /// its bytes are in a ticket (CH-1).
    async fn unreadable(&self, action: &str, command: Command) -> CallOutcome {
        match (self.ask(command).await, action) {
            (Ok(_), "StartTransaction") => {
                CallOutcome::Error(CallError::new(ErrorCode::FormationViolation, "unreadable; kept for a person"))
            }
            (Ok(_), _) => CallOutcome::Result(EMPTY.to_owned()),
            (Err(refusal), _) => not_durable(&Err(refusal)),
        }
    }

    async fn authorize(&self, id_tag: &str) -> CallOutcome {
        let tag = match self.0.parts.tokens.tag(id_tag).await {
            Ok(tag) => tag,
            Err(error) => return internal(&error),
        };
        match self.ask(Command::Authorize(tag)).await {
            Ok(Reply::Authorized { verdict, parent }) => authorized(verdict, parent.as_deref()),
            other => unexpected(&other),
        }
    }

    async fn boot(&self, request: ocpp16::boot_notification::Request) -> CallOutcome {
        use ocpp16::boot_notification::{Confirmation, RegistrationStatus};
        match self.ask(Command::Boot(neutral::boot(request))).await {
            Ok(Reply::Boot { status, interval, now }) => {
                let status = match status {
                    BootPolicy::Accepted => RegistrationStatus::Accepted,
                    BootPolicy::Pending => RegistrationStatus::Pending,
                    BootPolicy::Rejected => RegistrationStatus::Rejected,
                };
                let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
                CallOutcome::Result(to_payload(&Confirmation { status, current_time: now, interval }))
            }
            other => unexpected(&other),
        }
    }

    async fn data_transfer(&self, request: ocpp16::data_transfer::Request) -> CallOutcome {
        match self.ask(neutral::data_transfer(request)).await {
            Ok(Reply::UnknownVendor) => CallOutcome::Result(to_payload(&neutral::unknown_vendor())),
            Ok(Reply::Transferred { status, data }) => {
                CallOutcome::Result(to_payload(&neutral::transferred(status, data)))
            }
            other => unexpected(&other),
        }
    }

    async fn report(&self, kind: ReportKind, status: &str, request: Option<i32>) -> CallOutcome {
        self.note(Command::Report { kind, status: status.into(), request }).await
    }

    async fn sign_certificate(&self, csr: String) -> CallOutcome {
        use ocpp16::sign_certificate::{Confirmation, GenericStatus};
        match self.ask(Command::CertificateRequest { csr: csr.into() }).await {
            Ok(Reply::Certificate { accepted }) => {
                let status = if accepted { GenericStatus::Accepted } else { GenericStatus::Rejected };
                CallOutcome::Result(to_payload(&Confirmation { status }))
            }
            other => unexpected(&other),
        }
    }

    /// Something told whose confirmation is empty.
    async fn note(&self, command: Command) -> CallOutcome {
        match self.ask(command).await {
            Ok(_) => CallOutcome::Result(EMPTY.to_owned()),
            other => unexpected(&other),
        }
    }
}

/// Asks until it is stored, refused for good, or was tried often enough. Only the first try takes up its turn: where the journal
/// refuses, others do not wait behind who tries again.
async fn stored(ask: impl AsyncFn() -> Asked, mut turn: Option<SemaphorePermit<'_>>, patience: Patience) -> bool {
    let (mut wait, mut tries) = (WAIT, 0_u32);
    loop {
        tries = tries.saturating_add(1);
        let asked = ask().await;
        drop(turn.take());
        match (asked, patience) {
            (Ok(_), _) => return true,
            (Err(Refusal::Rejected(_)), _) | (Err(Refusal::Quarantined), Patience::Some) => return false,
            (Err(_), Patience::Some) if tries == TRIES => return false,
            // In quarantine: until a person has released it.
            (Err(_), Patience::Some | Patience::Endless) => tokio::time::sleep(wait).await,
        }
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// Whether a change of password or profile waits for the charger to come in (CH-3).
fn registration_waits(partition: &Partition<ChargingFamily>) -> bool {
    let Some(state) = partition.state(&Key::Charger) else { return false };
    let registration = state.charger().and_then(|charger| charger.registration.as_deref());
    registration.is_some_and(|known| known.rotation.is_some() || known.raising.is_some())
}

fn authorized(verdict: Verdict, parent: Option<&str>) -> CallOutcome {
    let mut id_tag_info = neutral::id_tag_info(verdict);
    id_tag_info.parent_id_tag = parent.map(ocpp16::Text::cut);
    CallOutcome::Result(to_payload(&ocpp16::authorize::Confirmation { id_tag_info }))
}

/// The fate of a transaction message whose step did not become durable.
fn not_durable(asked: &Asked) -> CallOutcome {
    match asked {
        // The rules never reject what a charger says, and answer in kind: a defect. The charger must keep the fact.
        Ok(reply) => tracing::error!(?reply, "a transaction message got another message's reply"),
        Err(refusal) => tracing::warn!(%refusal, "a transaction message could not be made durable"),
    }
    CallOutcome::NoAnswer
}

fn unexpected(asked: &Asked) -> CallOutcome {
    match asked {
        Ok(reply) => internal(&format!("{reply:?}")),
        Err(refusal) => internal(refusal),
    }
}

fn internal(why: &impl std::fmt::Display) -> CallOutcome {
    tracing::warn!(%why, "a message could not be served");
    CallOutcome::Error(CallError::new(ErrorCode::InternalError, "not served now; please send it again"))
}

fn outcome(answer: CallAnswer, action: Option<&str>) -> (Outcome, Told) {
    let outcome = match answer.outcome {
        gateway::Outcome::Result(payload) => match action {
            Some(action) => return neutral::outcome(action, &payload),
            // Over for so long that nobody remembers what was asked.
            None => Outcome::Answered { accepted: false, payload: payload.into() },
        },
        gateway::Outcome::Error { code, description } => {
            Outcome::CallError { code: code.into(), description: description.into() }
        }
        gateway::Outcome::TimedOut => Outcome::TimedOut,
        gateway::Outcome::NotSent => Outcome::Offline,
        gateway::Outcome::Uncertain => Outcome::LinkLost,
    };
    (outcome, Told::Nothing)
}

impl ChargerPort for Connection {
    fn attached(&self, link: LinkHandle) {
        if !self.0.parts.register.attach(&link) {
            // A newer connection has come in while this one was being upgraded.
            link.close(CloseReason::Replaced);
            return;
        }
        *self.0.link.borrow_mut() = Some(link);
        let this = self.clone();
        actix_rt::spawn(async move { this.is_up().await });
    }

    fn call(&self, call: InboundCall) -> LocalBoxFuture<'static, CallOutcome> {
        let this = self.clone();
        let span = tracing::info_span!("ocpp", charger = %this.0.charger, message = call.id);
        Box::pin(tracing::Instrument::instrument(async move { this.serve(call).await }, span))
    }

    fn answered(&self, answer: CallAnswer) {
        let Ok(command_id) = answer.id.parse::<CommandId>() else { return };
        let this = self.clone();
        actix_rt::spawn(async move {
            let generation = answer.generation.0;
            let partition = this.0.core.loaded(this.0.charger.as_str());
            let action = partition.as_ref().and_then(|partition| {
                let state = partition.state(&Key::Charger)?;
                state.charger()?.action_of(command_id).map(str::to_owned)
            });
            let (outcome, told) = outcome(answer, action.as_deref());
            if let Some(partition) = &partition {
                journey::answered(partition, command_id, &outcome);
            }
            let answered = Command::CommandAnswered { command_id, generation, outcome, told };
            this.tell(answered, None, Patience::Some).await;
        });
    }

    fn detached(&self, generation: Generation, reason: CloseReason) {
        if !self.0.parts.register.detach(&self.0.charger, generation) {
            return;
        }
        let this = self.clone();
        actix_rt::spawn(async move {
            // A link-up that is under way comes first, or the rules would believe in it for ever.
            let known = this.is_up().await;
            if let Some(partition) = this.0.core.partition(this.0.charger.as_str()).await {
                partition.ambient(|ambient| {
                    if ambient.generation == generation.0 {
                        ambient.online = false;
                    }
                });
            }
            let silent = reason == CloseReason::Silent;
            if known {
                let turn = this.0.parts.link_changes.acquire().await.ok(); // never closed
                let down = Command::LinkDown { generation: generation.0, reason: reason.label().into(), silent };
                this.tell(down, turn, Patience::Endless).await;
            }
        });
    }

    fn alternating(&self, generation: Generation) {
        self.0.parts.alerts.raise(Alert {
            code: "connection_alternates".to_owned(),
            level: "critical".to_owned(),
            subject: format!("charger/{}", self.0.charger),
            text: format!("two devices seem to use this identity (connection {})", generation.0),
            ticket: true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn who_tries_again_does_not_keep_others_waiting_for_a_turn() {
        let (turns, asked, began) = (Semaphore::new(1), Cell::new(0), Instant::now());
        let comes_up = async || {
            let turn = turns.acquire().await.unwrap();
            let full = async || {
                asked.set(asked.get() + 1);
                Err(Refusal::Full)
            };
            stored(full, Some(turn), Patience::Some).await
        };
        let known = futures_util::future::join_all((0..50).map(|_| comes_up())).await;
        assert!(!known.contains(&true));
        assert_eq!(asked.get(), 50 * TRIES);
        // As long as one alone: 0.1 + 0.2 + … + 1.6 s.
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_is_not_tried_again() {
        let asked = Cell::new(0);
        let refuse = async || {
            asked.set(asked.get() + 1);
            Err(Refusal::Quarantined)
        };
        assert!(!stored(refuse, None, Patience::Some).await);
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn that_a_charger_has_gone_is_told_however_long_nothing_can_be_stored() {
        let began = Instant::now();
        let (full_for, kept_apart_for) = (Duration::from_secs(3_600), Duration::from_secs(7_200));
        let gone = async || match began.elapsed() {
            passed if passed < full_for => Err(Refusal::Full),
            passed if passed < kept_apart_for => Err(Refusal::Quarantined),
            _ => Ok(Reply::Done),
        };
        assert!(stored(gone, None, Patience::Endless).await);
        assert!(began.elapsed() < kept_apart_for + WAIT_MAX, "{:?}", began.elapsed());
    }
}
