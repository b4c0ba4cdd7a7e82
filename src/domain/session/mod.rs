//! The rules of one session: how it begins, what it measures, how it stops and why, what its partner is told (SE-1 …
//! SE-16). Owns energy, times, end and notices; never which connector is free, nor the charger's commands.
//!
//! Invariants: the states of SE-15 and no others; energy never decreases while it runs (I8); notices are numbered
//! from 1 without gaps; the charger's facts are always taken.

mod beginning;
mod ending;
mod event;
mod pricing;
mod progress;
pub mod reasons;
mod rows;
pub mod signed;
mod state;
mod stopping;
mod view;

#[cfg(test)]
mod tests;

pub use event::{Began, Ended, Event, Placed};
pub use pricing::Shown;
pub use reasons::{End, EndReason};
pub use rows::project;
pub use signed::SignedRecord;
pub use state::{
    Beginning, Ending, Failure, Flag, Flags, Limits, Owner, Patience, Reading, Session, Status, StopCause, Stopping,
};
pub use view::View;

use crate::domain::charger::{self, Fault, Opening, Outcome, Sample, Status as ConnectorStatus};
use crate::domain::charging::step::Step;
use crate::domain::charging::{Case, ChargingFamily, Key, Level, Rejection, Reply, StepContext, Timer};
use crate::domain::entity::{Deadline, Decision, Notice, Standing};
use crate::ids::{OrderId, RequestId, SessionId};
use smallvec::SmallVec;
use std::time::Duration;

/// Who wants it stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopBy {
    /// The partner, by that request.
    Partner(RequestId),
    /// An operator.
    Operator(Box<str>),
}

/// What a session can be asked. All but `Stop` come from its charger.
#[derive(Debug, Clone)]
pub enum Command {
    /// A partner has asked for it.
    Place(Box<Opening>, Option<Shown>),
    /// From its order: so much is set aside (SE-11).
    Funded {
        /// In all, minor units.
        minor: i64,
    },
    /// From its order: nothing could be set aside.
    Unfunded,
    /// It will not begin.
    StartRefused(Failure),
    /// Its transaction has begun.
    Began {
        /// How.
        beginning: Box<Beginning>,
        /// Its token may not charge.
        deauthorised: bool,
    },
    /// Its transaction has begun though it had failed (SE-5).
    BeganLate(Box<Beginning>),
    /// Readings of its transaction.
    Read(Vec<Sample>),
    /// The charger tells its start again, at another register: the first one stands (CH-7).
    StartContradicted {
        /// The register now told.
        meter_start_wh: i64,
    },
    /// Its transaction has ended.
    EndedByCharger(Box<Ending>),
    /// Its connector has another status.
    StatusSeen {
        /// Which.
        status: ConnectorStatus,
        /// With what fault.
        fault: Option<Box<Fault>>,
    },
    /// The charger is back.
    Reconnected,
    /// Another transaction began at its connector.
    Superseded,
    /// Its stop command is over.
    StopAnswered(Outcome),
    /// Stop it.
    Stop(StopBy),
    /// We have restarted after `downtime` (RT-3).
    Restarted {
        /// How long we were away.
        downtime: Duration,
    },
    /// Nobody can tell its late start apart any more: it need not stay in memory.
    Forget,
}

/// A session's decision while it is made.
#[derive(Debug)]
pub(super) struct SessionStep<'a> {
    pub(super) id: SessionId,
    pub(super) step: Step<'a, Session>,
}

impl<'a> std::ops::Deref for SessionStep<'a> {
    type Target = Step<'a, Session>;
    fn deref(&self) -> &Self::Target {
        &self.step
    }
}

impl std::ops::DerefMut for SessionStep<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.step
    }
}

impl<'a> SessionStep<'a> {
    fn new(id: SessionId, session: &'a Session, context: &'a StepContext<'a>) -> Self {
        // The random tail tells apart the few sessions that raise a case in one step.
        let tag = format!("s{:08x}-", id.0.as_u128() as u32);
        SessionStep { id, step: Step::new(session, context, tag) }
    }

    fn subject(&self) -> String {
        format!("session/{}", self.id)
    }

    fn flag(&mut self, flag: Flag) {
        self.set_flag(flag, true);
    }

    fn set_flag(&mut self, flag: Flag, on: bool) {
        if self.state.flags.has(flag) != on {
            self.emit(Event::Flagged { flag, on });
        }
    }

    /// Puts a command to its order, if it has one.
    fn to_order(&mut self, command: crate::domain::order::Command) {
        let order = OrderId(self.id.0);
        if self.state.shown.is_none() {
            return;
        }
        if self.context.ambient.quarantined_orders.contains(&order) {
            let text = "it is quarantined, and something happened to its session meanwhile".to_owned();
            let case = Case::alert(Level::Critical, "order_quarantined", format!("order/{order}"), text);
            let case = case.ticket("release the order, then settle by hand what it missed");
            self.raise(case.with(&format!("{command:?}")));
            return;
        }
        self.also(Key::Order(order), command);
    }

    fn tell_charger(&mut self, command: charger::Command) {
        self.also(Key::Charger, command);
    }

    /// Tells the partner, if it has one, the whole session.
    fn tell(&mut self, kind: &str) {
        let readings = kind == "session.ended";
        let context = self.context;
        let mut view = self.state.view(self.id, context.partition, context.now);
        if !readings {
            view.readings = Vec::new();
        }
        // Texts, numbers and lists: always JSON.
        let data = serde_json::to_value(&view).unwrap_or_default();
        self.tell_with(kind, data);
    }

    /// Tells the partner, if it has one.
    fn tell_with(&mut self, kind: &str, data: serde_json::Value) {
        let Some(partner) = self.state.partner.clone() else { return };
        let at = self.context.now;
        let sequence = self.state.sequence + 1;
        let progress_at = matches!(kind, "session.progress" | "session.started").then_some(at);
        self.emit(Event::Told { sequence, progress_at });
        let (kind, order_key) = (kind.to_owned(), format!("session/{}", self.id));
        self.notice(Notice { partner, kind, order_key, sequence: Some(sequence), at, data });
    }
}

/// Decides a command.
///
/// # Errors
/// Only a person's or partner's stop can be rejected; facts never are.
pub fn decide(
    id: SessionId,
    session: &Session,
    command: Command,
    context: &StepContext<'_>,
) -> Result<Decision<ChargingFamily>, Rejection> {
    let mut step = SessionStep::new(id, session, context);
    let mut reply = Reply::Done;
    match command {
        Command::Place(opening, shown) => beginning::place(&mut step, *opening, shown)?,
        Command::Funded { minor } => step.emit(Event::Funded { minor }),
        Command::Unfunded => pricing::unfunded(&mut step),
        Command::StartRefused(failure) => beginning::refused(&mut step, failure),
        Command::Began { beginning, deauthorised } => beginning::began(&mut step, *beginning, deauthorised),
        Command::BeganLate(beginning) => beginning::began_late(&mut step, *beginning),
        Command::StartContradicted { meter_start_wh } => beginning::contradicted(&mut step, meter_start_wh),
        Command::Read(samples) => progress::read(&mut step, &samples),
        Command::EndedByCharger(ending) => ending::by_charger(&mut step, *ending),
        Command::StatusSeen { status, fault } => progress::status_seen(&mut step, status, fault),
        Command::Reconnected => stopping::reconnected(&mut step),
        Command::Superseded => ending::superseded(&mut step),
        Command::StopAnswered(outcome) => stopping::answered(&mut step, &outcome),
        Command::Stop(by) => reply = stopping::asked(&mut step, by)?,
        Command::Restarted { downtime } => {
            let by_ms = u64::try_from(downtime.as_millis()).unwrap_or(u64::MAX);
            step.emit(Event::DeadlinesMoved { by_ms });
        }
        Command::Forget => forget(&mut step),
    }
    Ok(step.step.done(reply))
}

/// A deadline has passed.
pub fn fired(id: SessionId, session: &Session, timer: Timer, context: &StepContext<'_>) -> Decision<ChargingFamily> {
    let mut step = SessionStep::new(id, session, context);
    match timer {
        Timer::StartDeadline => beginning::deadline(&mut step),
        Timer::StopRetry => stopping::retry(&mut step),
        Timer::MaxDuration => stopping::too_long(&mut step),
        Timer::DurationLimit => stopping::stop_for(&mut step, StopCause::DurationLimit, None),
        Timer::MissedSamples => progress::missed(&mut step),
        Timer::Settle => ending::settle(&mut step),
        Timer::Forget => forget(&mut step),
        // A charger's: a defect of the engine, without harm.
        Timer::Offline
        | Timer::CallTimeout(_)
        | Timer::Pump
        | Timer::StatusFallback
        | Timer::Release
        | Timer::LockMove
        | Timer::HoldUntil
        | Timer::PaymentDeadline
        | Timer::AskAccount
        | Timer::Remind
        | Timer::StayWarn
        | Timer::StayGrace
        | Timer::StayEnd => {}
    }
    step.step.done(Reply::Done)
}

fn forget(step: &mut SessionStep<'_>) {
    if !step.state.is_open() && !step.state.is_running() && step.state.status.is_some() {
        let (session, failed) = (step.id, step.state.status == Some(Status::Failed));
        step.emit(Event::Forgotten);
        if failed {
            step.tell_charger(charger::Command::ForgetStart(session));
        }
    }
}

/// The deadlines that follow from a session's state.
pub fn timers(session: &Session) -> SmallVec<[Deadline<Timer>; 4]> {
    let settle = match (session.settle_due, session.vanished_due) {
        (Some(settle), Some(vanished)) => Some(settle.min(vanished)),
        (one, other) => one.or(other),
    };
    let all = [
        (Timer::StartDeadline, session.start_due),
        (Timer::StopRetry, session.stop.as_ref().filter(|_| session.is_running()).and_then(|stop| stop.next_due)),
        (Timer::MaxDuration, session.max_due),
        (Timer::DurationLimit, session.duration_due),
        (Timer::MissedSamples, session.missed_due),
        (Timer::Settle, settle),
        (Timer::Forget, session.forget_due),
    ];
    all.into_iter().filter_map(|(timer, due)| due.map(|due| Deadline { timer, due })).collect()
}

/// An open session stays in memory; one that is over lingers for what comes late, then goes (RT-5).
pub fn standing(session: &Session) -> Standing {
    if session.is_running() {
        return Standing::Open;
    }
    match session.status {
        Some(Status::Starting | Status::Charging | Status::StopPending | Status::Abnormal) => Standing::Open,
        Some(Status::Ended | Status::Failed) => Standing::Idle,
        None => Standing::Ended,
    }
}

/// What gives a session our downtime back (RT-3). How long it may last, and the time asked for, are promises to
/// people and stay.
pub fn give_back(session: &Session, downtime: Duration) -> Option<Command> {
    let silence = [session.start_due, session.missed_due, session.settle_due, session.vanished_due];
    let stop = session.stop.as_ref().and_then(|stop| stop.next_due);
    let any = silence.into_iter().chain([stop]).any(|due| due.is_some());
    (any && !downtime.is_zero()).then_some(Command::Restarted { downtime })
}
