//! The rules of one reservation: its deposit, its end in each way there is, what is taken and given back, what its partner
//! is told (RS-1 … RS-6). Owns the state, the terms and the notices; never which connector is held: its charger does.
//!
//! Invariants: the states of SE-15 and no others; the terms are those that were shown; an account that was asked is asked
//! again until it has answered; notices are numbered from 1 without gaps.

mod deposit;
mod ending;
mod event;
mod rows;
mod state;
pub mod terms;
mod view;

#[cfg(test)]
pub(crate) mod tests;

pub use event::{Event, Over, Placed};
pub use rows::{HELD, project};
pub use state::{Arrival, Deposit, EndCause, Reservation, Status, Terms};
pub use terms::Rule;
pub use view::{TermsView, View};

use crate::domain::charger::{self, UserRef};
use crate::domain::charging::purse::AccountOutcome;
use crate::domain::charging::step::Step;
use crate::domain::charging::{ChargingFamily, Key, Rejection, Reply, StepContext, Timer};
use crate::domain::entity::{Deadline, Decision, Notice, Standing};
use crate::ids::{ConnectorId, PartnerId, RequestId, ReservationId, SessionId};
use smallvec::SmallVec;
use std::time::Duration;

/// What a partner asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Booking {
    /// Fresh.
    pub reservation: ReservationId,
    /// The partner's name of this request.
    pub request: RequestId,
    /// Who.
    pub partner: PartnerId,
    /// Where.
    pub connector: ConnectorId,
    /// For whom: a pseudonym.
    pub user: UserRef,
    /// The user's personal data, encrypted; opaque here (OP-9).
    pub sealed: Option<Box<str>>,
    /// How long from now until the user may come; zero: at once.
    pub ahead: Duration,
    /// How long it is held from then; `None`: as configured.
    pub length: Option<Duration>,
    /// The user has an account with us: the deposit is set aside there. Otherwise the partner's contract stands in.
    pub account: bool,
    /// What it costs here.
    pub rule: Rule,
}

/// What the user says is wrong (RS-5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grievance {
    /// Somebody else is there.
    Occupied,
    /// The charger or connector is not where it should be.
    NotFound,
    /// It does not work.
    Defect,
    /// Something else.
    Other,
}

/// A complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What kind.
    pub grievance: Grievance,
    /// In the user's words.
    pub text: Option<Box<str>>,
}

/// Who gives it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelBy {
    /// The user, through the partner.
    Partner,
    /// An operator.
    Operator(Box<str>),
}

/// What a reservation can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// From its charger: a partner has asked for it, and the connector is held.
    Place(Box<Booking>),
    /// The account has answered.
    AccountAnswered {
        /// What it was asked.
        cause: Box<str>,
        /// How.
        outcome: AccountOutcome,
    },
    /// Gives it up.
    Cancel(CancelBy),
    /// The user complains.
    Complain(Complaint),
    /// From its charger: a start of its user's is under way, or has failed.
    Arriving(Option<SessionId>),
    /// From its charger: its user's transaction has begun.
    Arrived {
        /// The session.
        session: SessionId,
        /// How.
        arrival: Arrival,
    },
    /// From its charger: it cannot be kept (RS-6).
    Trouble {
        /// Why.
        cause: EndCause,
        /// Another free connector of the same charger.
        alternative: Option<ConnectorId>,
    },
    /// From its charger: its user tried another connector (RS-3).
    WrongConnector {
        /// Which.
        tried: ConnectorId,
    },
    /// We have restarted after `downtime` (RT-3).
    Restarted {
        /// How long we were away.
        downtime: Duration,
    },
}

/// A reservation's decision while it is made.
#[derive(Debug)]
pub(super) struct ReservationStep<'a> {
    pub(super) id: ReservationId,
    pub(super) step: Step<'a, Reservation>,
}

impl<'a> std::ops::Deref for ReservationStep<'a> {
    type Target = Step<'a, Reservation>;
    fn deref(&self) -> &Self::Target {
        &self.step
    }
}

impl std::ops::DerefMut for ReservationStep<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.step
    }
}

impl<'a> ReservationStep<'a> {
    fn new(id: ReservationId, reservation: &'a Reservation, context: &'a StepContext<'a>) -> Self {
        let tag = format!("r{:08x}-", id.0.as_u128() as u32);
        ReservationStep { id, step: Step::new(reservation, context, tag) }
    }

    fn tell_charger(&mut self, command: charger::Command) {
        self.also(Key::Charger, command);
    }

    /// Tells the partner the whole reservation, with what else is to be said.
    fn tell(&mut self, kind: &str, extra: serde_json::Value) {
        // Texts and numbers: always JSON.
        let view = self.state.view(self.id, self.context.partition);
        let mut data = serde_json::to_value(view).unwrap_or_default();
        if let (Some(members), serde_json::Value::Object(extra)) = (data.as_object_mut(), extra) {
            members.extend(extra);
        }
        let Some(partner) = self.state.partner.clone() else { return };
        let (at, sequence) = (self.context.now, self.state.sequence + 1);
        self.emit(Event::Told { sequence });
        let (kind, order_key) = (kind.to_owned(), format!("reservation/{}", self.id));
        self.notice(Notice { partner, kind, order_key, sequence: Some(sequence), at, data });
    }
}

/// Decides a command.
///
/// # Errors
/// What a person or partner wants can be rejected; what the charger or the account tells never is.
pub fn decide(
    id: ReservationId,
    reservation: &Reservation,
    command: Command,
    context: &StepContext<'_>,
) -> Result<Decision<ChargingFamily>, Rejection> {
    let mut step = ReservationStep::new(id, reservation, context);
    let mut reply = Reply::Done;
    match command {
        Command::Place(booking) => place(&mut step, *booking)?,
        Command::AccountAnswered { cause, outcome } => deposit::answered(&mut step, &cause, outcome),
        Command::Cancel(by) => {
            ending::cancelled(&mut step, &by)?;
            reply = Reply::ReservationNow(step.state.status.unwrap_or(Status::Failed));
        }
        Command::Complain(complaint) => {
            ending::disputed(&mut step, complaint)?;
            reply = Reply::ReservationNow(step.state.status.unwrap_or(Status::Failed));
        }
        Command::Arriving(session) => step.emit(Event::Arriving { session }),
        Command::Arrived { session, arrival } => ending::arrived(&mut step, session, arrival),
        Command::Trouble { cause, alternative } => ending::troubled(&mut step, cause, alternative),
        Command::WrongConnector { tried } => wrong_connector(&mut step, tried),
        Command::Restarted { downtime } => {
            if step.state.is_open() && !downtime.is_zero() {
                let by_ms = u64::try_from(downtime.as_millis()).unwrap_or(u64::MAX);
                step.emit(Event::WasDown { by_ms });
            }
            deposit::ask_again(&mut step);
        }
    }
    Ok(step.step.done(reply))
}

/// A deadline has passed.
pub fn fired(
    id: ReservationId,
    reservation: &Reservation,
    timer: Timer,
    context: &StepContext<'_>,
) -> Decision<ChargingFamily> {
    let mut step = ReservationStep::new(id, reservation, context);
    match timer {
        Timer::HoldUntil => ending::missed(&mut step),
        Timer::PaymentDeadline => ending::unpaid(&mut step, EndCause::DepositLate),
        Timer::AskAccount => deposit::ask_again(&mut step),
        // A charger's or a session's: a defect of the engine, without harm.
        Timer::Offline
        | Timer::CallTimeout(_)
        | Timer::Pump
        | Timer::StatusFallback
        | Timer::Release
        | Timer::LockMove
        | Timer::StartDeadline
        | Timer::StopRetry
        | Timer::MaxDuration
        | Timer::DurationLimit
        | Timer::MissedSamples
        | Timer::Settle
        | Timer::Forget
        | Timer::Remind
        | Timer::StayWarn
        | Timer::StayGrace
        | Timer::StayEnd => {}
    }
    step.step.done(Reply::Done)
}

/// The connector is held; the deposit comes next, if there is one.
fn place(step: &mut ReservationStep<'_>, booking: Booking) -> Result<(), Rejection> {
    if step.state.status.is_some() {
        return Err(Rejection::ReservationExists);
    }
    let (at, policy) = (step.context.now, step.context.ambient.policy.reservation.clone());
    let (from, until) = terms::window(&policy, at, booking.ahead, booking.length);
    let terms = booking.rule.terms(at, from, booking.account);
    let wanted = booking.account && terms.deposit.minor > 0;
    let payment_due = wanted.then(|| at + policy.payment_deadline);
    let Booking { request, partner, connector, user, sealed, .. } = booking;
    step.emit(Event::Placed(Placed { partner, request, user, sealed, connector, at, from, until, terms, payment_due }));
    match wanted {
        true => deposit::freeze(step),
        false => confirm(step),
    }
    Ok(())
}

/// It stands.
fn confirm(step: &mut ReservationStep<'_>) {
    let (at, reservation) = (step.context.now, step.id);
    step.emit(Event::Confirmed { at });
    step.tell("reservation.reserved", serde_json::Value::Null);
    step.tell_charger(charger::Command::HoldConfirmed(reservation));
}

/// "Not your reserved connector": the reservation stands, the user is told.
fn wrong_connector(step: &mut ReservationStep<'_>, tried: ConnectorId) {
    let own = step.state.connector;
    step.tell(
        "user.notice",
        serde_json::json!({"code": "wrong_connector", "tried_connector_id": tried,
            "zh": format!("这不是您预约的充电枪，请使用 {own} 号枪。"),
            "en": format!("This is not your reserved connector. Please use connector {own}.")}),
    );
}

/// The deadlines that follow from a reservation's state.
pub fn timers(reservation: &Reservation) -> SmallVec<[Deadline<Timer>; 4]> {
    let reserved = reservation.status == Some(Status::Reserved) && reservation.arriving.is_none();
    let all = [
        (Timer::HoldUntil, reserved.then_some(reservation.until)),
        (Timer::PaymentDeadline, reservation.payment_due),
        (Timer::AskAccount, reservation.ask_due),
    ];
    all.into_iter().filter_map(|(timer, due)| due.map(|due| Deadline { timer, due })).collect()
}

/// Live, or with an account that has not answered: it stays. Over: its row tells the rest.
pub fn standing(reservation: &Reservation) -> Standing {
    match (reservation.is_open(), reservation.deposit) {
        (true, _) | (false, Deposit::Asked | Deposit::Frozen | Deposit::Settling) => Standing::Open,
        (false, Deposit::None) => Standing::Ended,
    }
}

/// What tells a reservation of our downtime: promised to people, its times stay, but nobody pays for it (RT-3). What the account
/// had not answered is asked again at once.
pub fn give_back(reservation: &Reservation, downtime: Duration) -> Option<Command> {
    let unanswered = matches!(reservation.deposit, Deposit::Asked | Deposit::Settling);
    let held = reservation.is_open() && !downtime.is_zero();
    (held || unanswered).then_some(Command::Restarted { downtime })
}
