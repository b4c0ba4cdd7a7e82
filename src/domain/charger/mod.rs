//! The rules of one charger: registration, boot gate, connection, connector statuses, transactions and their ids, the
//! queue of commands (CH-3 … CH-11). Owns which session is live on which connector; never a session's energy or end.
//!
//! Invariants: at most one live session a connector (I4); transaction ids positive and never used twice (I8); one
//! CALL outstanding, journaled before it is sent (CH-2, law 1); a message of a transaction is always taken.

mod answers;
mod boot;
mod calls;
mod care;
pub mod check;
pub mod configuration;
pub mod device;
mod device_event;
mod event;
mod facts;
mod faults;
mod hold;
mod holds;
mod link;
pub mod local_list;
pub mod lock;
mod meter;
mod profile;
mod queue;
mod registration;
pub mod remote_tag;
mod reports;
mod rows;
mod security;
mod sessions;
pub mod smart_charging;
mod spread;
mod state;
mod status;
mod stays;
mod transaction_start;
mod transaction_stop;
mod view;

#[cfg(test)]
mod tests;

pub use calls::{Call, CertificateHash, Outcome, Purpose, Retry, SealedText, SignedFirmware, Told};
pub use care::{Care, CareEvent, ResetTried};
pub use check::{Flaw, check};
pub use device_event::DeviceEvent;
pub use event::Event;
pub use facts::{
    BootFact, ErrorCode, Fault, MeterFact, Sample, StartFact, Status, StatusFact, StopFact, StopReason, Tag, TokenInfo,
    TokenRef, UserRef, Verdict, WireTime, print,
};
pub use hold::{Device as HoldDevice, Hold, HoldEvent};
pub use lock::{Lock, LockAction, LockEvent, TransferStatus};
pub use profile::SecurityProfile;
pub use reports::{ReportKind, SecurityFact, severity};
pub use rows::project;
pub use security::NewKey;
pub use sessions::Opening;
pub use state::{
    Boot, BootPolicy, CONNECTORS_MAX, Charger, Connector, FailedStart, Finished, Link, Live, Maintenance, OrphanStop,
    Pending, Recent, Registration, Rotation,
};
pub use stays::{Stay, StayEvent};
pub use view::{CommandView, ConnectorView, View};

use crate::domain::charging::step::Step;
use crate::domain::charging::{
    Case, ChargingFamily, Command as FamilyCommand, Level, Rejection, Reply, StepContext, Timer,
};
use crate::domain::entity::{Deadline, Decision, Standing};
use crate::domain::reservation::{Booking, Complaint};
use crate::ids::{CommandId, ConnectorId, OrderId, ReservationId, SessionId};
use smallvec::SmallVec;
use std::time::Duration;

/// What a charger can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Registers or changes it (CH-3).
    Register(Registration),
    /// Puts it in or out of maintenance (CH-9).
    SetMaintenance {
        /// In.
        on: bool,
        /// Who.
        by: Box<str>,
        /// Why.
        note: Option<Box<str>>,
    },
    /// An authenticated socket is attached.
    LinkUp {
        /// Which; a later one is higher.
        generation: u64,
        /// The peer's address.
        remote: Box<str>,
        /// The sub-protocol.
        subprotocol: Box<str>,
    },
    /// What the charger of the present socket has proved of itself (CH-3).
    CameIn {
        /// How its connection is secured.
        profile: SecurityProfile,
        /// The print of the password that it used.
        key: Option<u64>,
    },
    /// An operator wants the password changed (CH-3).
    RotateKey {
        /// The command's id, fresh.
        command_id: CommandId,
        /// To what.
        key: NewKey,
        /// Who.
        by: Box<str>,
    },
    /// A socket is gone.
    LinkDown {
        /// Which; ignored unless it is the present one.
        generation: u64,
        /// Why.
        reason: Box<str>,
        /// Nothing was heard for two intervals: offline at once (CH-4).
        silent: bool,
    },
    /// We have restarted after `downtime`: every connection is gone, silence was ours (RT-3).
    Restarted {
        /// How long we were away.
        downtime: Duration,
    },
    /// BootNotification.
    Boot(BootFact),
    /// StatusNotification.
    Status(StatusFact),
    /// Authorize.
    Authorize(Tag),
    /// StartTransaction.
    TransactionStart(StartFact),
    /// MeterValues.
    MeterValues(MeterFact),
    /// StopTransaction.
    TransactionStop(StopFact),
    /// A transaction message that cannot be read; its bytes are kept by the shell (CH-1).
    UnreadableTransactionMessage {
        /// The action.
        action: Box<str>,
        /// The bytes as text, or where they are.
        bytes: Box<str>,
        /// What is wrong.
        why: Box<str>,
    },
    /// DataTransfer from the charger.
    DataTransfer {
        /// `vendorId`.
        vendor: Box<str>,
        /// `messageId`.
        message: Option<Box<str>>,
        /// `data`.
        data: Option<Box<str>>,
    },
    /// An operator moves a parking lock or barrier (CH-10).
    MoveLock {
        /// The id of its command, fresh.
        command_id: CommandId,
        /// Which: 0 is the charger's own.
        connector: ConnectorId,
        /// Where to.
        action: LockAction,
        /// Who.
        by: Box<str>,
    },
    /// How a transfer of firmware, diagnostics or a log goes.
    Report {
        /// Of which.
        kind: ReportKind,
        /// The charger's word.
        status: Box<str>,
        /// Of which request, if told.
        request: Option<i32>,
    },
    /// SecurityEventNotification.
    SecurityEvent(SecurityFact),
    /// SignCertificate.
    CertificateRequest {
        /// PEM.
        csr: Box<str>,
    },
    /// The certificate authority has answered what [`crate::domain::charging::Effect::SignCertificate`] handed over.
    CertificateAnswered {
        /// The chain in PEM, the charger's first, or why there is none.
        outcome: Result<Box<str>, Box<str>>,
    },
    /// A partner starts a session (SE-1).
    StartSession(Box<Opening>),
    /// A partner reserves a connector (RS-1).
    Reserve(Box<Booking>),
    /// From a reservation: it stands.
    HoldConfirmed(ReservationId),
    /// From a reservation: it is over.
    FreeHold {
        /// Which.
        reservation: ReservationId,
        /// Its user could not charge here (RS-5).
        complaint: Option<Complaint>,
    },
    /// From an order: its money is set aside, the charger may be told to start (SE-3).
    FundsReady(SessionId),
    /// From an order: it wants to know who is at a connector (SE-13).
    Watch {
        /// Which order.
        order: OrderId,
        /// Where.
        connector: ConnectorId,
    },
    /// From an order: it is over.
    Unwatch(OrderId),
    /// An operator's command (CH-6).
    Enqueue {
        /// Its id, fresh.
        command_id: CommandId,
        /// What.
        call: Call,
        /// Who.
        by: Box<str>,
    },
    /// A CALL is over.
    CommandAnswered {
        /// Which.
        command_id: CommandId,
        /// On which connection.
        generation: u64,
        /// How.
        outcome: Outcome,
        /// What the answer says beyond yes and no.
        told: Told,
    },
    /// From a session: stop its transaction.
    StopTransaction(SessionId),
    /// From a session: it is not wanted any more; where its start was not sent yet, it fails at once.
    CancelStart(SessionId),
    /// From a session: it leaves memory, its start need not be recognised any more.
    ForgetStart(SessionId),
    /// From a session: it is over without the charger.
    Release {
        /// Which.
        session: SessionId,
        /// Its start may still happen (SE-5).
        remember: bool,
        /// It never began.
        start_failed: bool,
    },
}

/// A charger's decision while it is made.
pub(super) type ChargerStep<'a> = Step<'a, Charger>;

/// Decides a command.
///
/// # Errors
/// See [`Rejection`]; what a charger says is never rejected.
pub fn decide(
    charger: &Charger,
    command: Command,
    context: &StepContext<'_>,
) -> Result<Decision<ChargingFamily>, Rejection> {
    let mut step = ChargerStep::new(charger, context, "c".to_owned());
    let reply = run(&mut step, command)?;
    holds::watch(&mut step);
    stays::watch(&mut step);
    care::pump(&mut step);
    queue::pump(&mut step);
    Ok(step.done(reply))
}

fn run(step: &mut ChargerStep<'_>, command: Command) -> Result<Reply, Rejection> {
    match command {
        Command::Register(registration) => registration::register(step, registration),
        Command::SetMaintenance { on, by, note } => registration::set_maintenance(step, on, &by, note.as_deref()),
        Command::LinkUp { generation, remote, subprotocol } => link::up(step, generation, &remote, &subprotocol),
        Command::CameIn { profile, key } => security::came_in(step, profile, key),
        Command::RotateKey { command_id, key, by } => return security::rotate(step, command_id, key, &by),
        Command::LinkDown { generation, reason, silent } => link::down(step, generation, &reason, silent),
        Command::Restarted { downtime } => link::restarted(step, downtime),
        Command::Boot(fact) => return boot::booted(step, fact),
        Command::Status(fact) => status::told(step, fact),
        Command::Authorize(tag) => return Ok(transaction_start::authorize(step, &tag)),
        Command::TransactionStart(fact) => return Ok(transaction_start::began(step, fact)),
        Command::MeterValues(fact) => meter::read(step, fact),
        Command::TransactionStop(fact) => return Ok(transaction_stop::ended(step, fact)),
        Command::UnreadableTransactionMessage { action, bytes, why } => {
            transaction_stop::unreadable(step, &action, &bytes, &why);
        }
        Command::DataTransfer { vendor, message, data } => {
            return Ok(lock::transferred(step, &vendor, message.as_deref(), data.as_deref()));
        }
        Command::MoveLock { command_id, connector, action, by } => {
            return lock::order(step, command_id, connector, action, &by);
        }
        Command::Report { kind, status, request } => reports::reported(step, kind, &status, request),
        Command::SecurityEvent(fact) => reports::secured(step, &fact),
        Command::CertificateRequest { csr } => return Ok(reports::certificate_requested(step, &csr)),
        Command::CertificateAnswered { outcome } => reports::certificate_answered(step, outcome),
        Command::StartSession(opening) => return sessions::start(step, *opening),
        Command::Reserve(booking) => return holds::reserve(step, *booking),
        Command::HoldConfirmed(reservation) => holds::confirmed(step, reservation),
        Command::FreeHold { reservation, complaint } => holds::free(step, reservation, complaint),
        Command::FundsReady(session) => sessions::funds_ready(step, session),
        Command::Watch { order, connector } => stays::began(step, order, connector),
        Command::Unwatch(order) => stays::over(step, order),
        Command::Enqueue { command_id, call, by } => return queue::enqueue(step, command_id, call, &by),
        Command::CommandAnswered { command_id, generation, outcome, told } => {
            queue::answered(step, command_id, generation, outcome, told);
        }
        Command::StopTransaction(session) => sessions::stop(step, session),
        Command::CancelStart(session) => sessions::cancel(step, session),
        Command::ForgetStart(session) => sessions::forget_start(step, session),
        Command::Release { session, remember, start_failed } => {
            sessions::release(step, session, remember, start_failed)
        }
    }
    Ok(Reply::Done)
}

/// A deadline has passed.
///
/// # Errors
/// When the timer is a session's: a defect of the engine.
pub fn fired(
    charger: &Charger,
    timer: Timer,
    context: &StepContext<'_>,
) -> Result<Decision<ChargingFamily>, Rejection> {
    let mut step = ChargerStep::new(charger, context, "c".to_owned());
    match timer {
        Timer::Offline => link::offline(&mut step),
        Timer::CallTimeout(id) => queue::timed_out(&mut step, id),
        Timer::Pump => {}
        Timer::StatusFallback => status::fall_back(&mut step),
        Timer::Release => care::released(&mut step),
        Timer::LockMove => lock::late(&mut step),
        Timer::StartDeadline
        | Timer::StopRetry
        | Timer::MaxDuration
        | Timer::DurationLimit
        | Timer::MissedSamples
        | Timer::Settle
        | Timer::Forget
        | Timer::HoldUntil
        | Timer::PaymentDeadline
        | Timer::AskAccount
        | Timer::Remind
        | Timer::StayWarn
        | Timer::StayGrace
        | Timer::StayEnd => return Err(Rejection::Misrouted),
    }
    holds::watch(&mut step);
    stays::watch(&mut step);
    care::pump(&mut step);
    queue::pump(&mut step);
    Ok(step.done(Reply::Done))
}

/// The deadlines that follow from a charger's state.
pub fn timers(charger: &Charger) -> SmallVec<[Deadline<Timer>; 4]> {
    let mut timers = SmallVec::new();
    match charger.link {
        Link::Down { offline_due: Some(due), .. } => timers.push(Deadline { timer: Timer::Offline, due }),
        Link::Down { offline_due: None, .. } => {}
        Link::Up { fallback_due, .. } => {
            timers.extend(fallback_due.map(|due| Deadline { timer: Timer::StatusFallback, due }));
        }
    }
    let release = charger.maintenance.as_ref().and_then(|maintenance| maintenance.release_due);
    timers.extend(release.map(|due| Deadline { timer: Timer::Release, due }));
    timers.extend(charger.lock_due().map(|due| Deadline { timer: Timer::LockMove, due }));
    let in_flight = charger.in_flight().and_then(|pending| Some((pending.id, pending.sent.as_ref()?.due)));
    match in_flight {
        Some((id, due)) => timers.push(Deadline { timer: Timer::CallTimeout(id), due }),
        None => timers.extend(queue::pump_due(charger).map(|due| Deadline { timer: Timer::Pump, due })),
    }
    timers
}

/// A charger is open as long as something may happen by itself (RT-5).
pub fn standing(charger: &Charger) -> Standing {
    let settled = matches!(charger.link, Link::Down { offline_due: None, .. });
    let release = charger.maintenance.as_ref().is_some_and(|maintenance| maintenance.release_due.is_some());
    let quiet = settled && !release && charger.lock_due().is_none();
    match quiet
        && charger.live.is_empty()
        && charger.queue.is_empty()
        && charger.holds.is_empty()
        && charger.stays.is_empty()
    {
        true => Standing::Idle,
        false => Standing::Open,
    }
}

/// What gives a charger our downtime back (RT-3).
pub fn give_back(charger: &Charger, downtime: Duration) -> Option<Command> {
    match charger.link {
        Link::Up { .. } | Link::Down { offline_due: Some(_), .. } => Some(Command::Restarted { downtime }),
        Link::Down { offline_due: None, .. } => None,
    }
}

/// Puts a command to a session of this charger.
fn to_session(step: &mut ChargerStep<'_>, session: SessionId, command: crate::domain::session::Command) {
    if step.context.ambient.quarantined.contains(&session) {
        let subject = format!("session/{session}");
        let text = "it is quarantined, and something happened to it meanwhile".to_owned();
        let case = Case::alert(Level::Critical, "session_quarantined", subject, text);
        step.raise(
            case.ticket("release the session, then settle by hand what it missed").with(&format!("{command:?}")),
        );
        return;
    }
    step.also(crate::domain::charging::Key::Session(session), FamilyCommand::Session(command));
}

/// The name of this charger in cases.
fn subject(step: &ChargerStep<'_>) -> String {
    format!("charger/{}", step.context.partition)
}
