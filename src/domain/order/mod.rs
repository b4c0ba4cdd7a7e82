//! The rules of one order: the money side of a session, or of staying after one (SE-3, SE-11, SE-13 … SE-15, MO-4, MO-5,
//! MO-7). Owns the states, the way through the user's account, the bill that counts and what the partner is told of it;
//! never energy, a price or a balance.
//!
//! Invariants: the states of SE-15 and no others; at most one request to the account is outstanding, and it is asked again
//! until it is answered; what is to be taken is taken once; notices are numbered from 1 without gaps.
//!
//! Reading order: [`state`], [`event`], `saga` (what the account is asked), `ending` (bill, review, payment), `occupancy`.

mod ending;
mod event;
pub mod notices;
mod occupancy;
pub mod recheck;
mod rows;
mod saga;
mod state;
mod stated;
mod stay;
mod view;

#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
pub(crate) mod tests;

pub use event::Event;
pub use rows::{REVIEWS, project};
pub use saga::{cause, freeze_name, next};
pub use state::{Ask, Doubt, Hold, Kind, Order, Outstanding, Placed, Proposed, Status};
pub use stated::Stated;
pub use stay::{Presence, Stay};
pub use view::View;

use crate::clock::Timestamp;
use crate::domain::charger;
use crate::domain::charging::purse::AccountOutcome;
use crate::domain::charging::step::Step;
use crate::domain::charging::{ChargingFamily, Key, Rejection, Reply, StepContext, Timer};
use crate::domain::entity::{Deadline, Decision, Notice, Standing};
use crate::domain::pricing::Bill;
use crate::domain::tariff::Tariff;
use crate::ids::{OrderId, RequestId, SessionId};
use smallvec::SmallVec;
use std::time::Duration;

/// A session's bill, with what is odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// `None`: it could not be priced.
    pub bill: Option<Box<Bill>>,
    /// What is odd about the readings.
    pub doubts: Vec<Doubt>,
    /// What proves it, for a person.
    pub evidence: Box<str>,
}

/// What an order can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// From its session: it was asked for.
    Place(Box<Placed>),
    /// From its session: it began.
    Began,
    /// From its session: it will not begin.
    StartFailed {
        /// Why.
        code: Box<str>,
    },
    /// From its session: it is over, or what came late changes its bill.
    Charged(Charge),
    /// From its session: a vehicle may stay (SE-13).
    Stays(Box<Tariff>),
    /// From the session's order: the order of staying.
    PlaceStay(Box<Placed>, Box<Stay>),
    /// From the session's order: what its capture has left.
    Kept {
        /// Minor units; 0: nothing.
        minor: i64,
    },
    /// From its charger: who is at the connector.
    Seen(Presence),
    /// The account has answered.
    AccountAnswered {
        /// What it was asked.
        cause: Box<str>,
        /// How.
        outcome: AccountOutcome,
    },
    /// The account says that what was owed is paid.
    DebtSettled,
    /// The user wants more to be set aside, minor units (SE-11).
    Extend {
        /// Minor units.
        minor: i64,
        /// The request's name: the same one again changes nothing.
        request: RequestId,
    },
    /// The user pays what is owed (MO-5).
    Pay,
    /// The user contests the bill (MO-9).
    Contest {
        /// In the user's words.
        text: Box<str>,
    },
    /// A person settles what is under review: `None` at the bill's total, 0 closes it.
    Settle {
        /// Minor units.
        minor: Option<i64>,
        /// Who.
        by: Box<str>,
    },
    /// A person gives back what was taken.
    Refund {
        /// Minor units.
        minor: i64,
        /// Who.
        by: Box<str>,
    },
    /// Another person agrees to a refund (MO-6).
    ApproveRefund {
        /// Who.
        by: Box<str>,
    },
    /// A refund that waits for another person is dropped.
    WithdrawRefund {
        /// By whom.
        by: Box<str>,
    },
    /// It is needed again: as its row has it.
    Recall(Box<Order>),
    /// We have restarted after `downtime` (RT-3).
    Restarted {
        /// How long we were away.
        downtime: Duration,
    },
}

impl Command {
    /// Whether a person or partner wants it: an order that is not in memory must then be recalled first.
    fn is_a_wish(&self) -> bool {
        match self {
            Command::Extend { .. }
            | Command::Pay
            | Command::Contest { .. }
            | Command::Settle { .. }
            | Command::Refund { .. }
            | Command::ApproveRefund { .. }
            | Command::WithdrawRefund { .. } => true,
            Command::Place(_)
            | Command::Began
            | Command::StartFailed { .. }
            | Command::Charged(_)
            | Command::Stays(_)
            | Command::PlaceStay(..)
            | Command::Kept { .. }
            | Command::Seen(_)
            | Command::AccountAnswered { .. }
            | Command::DebtSettled
            | Command::Recall(_)
            | Command::Restarted { .. } => false,
        }
    }
}

/// An order's decision while it is made.
#[derive(Debug)]
pub(super) struct OrderStep<'a> {
    pub(super) id: OrderId,
    pub(super) step: Step<'a, Order>,
}

impl<'a> std::ops::Deref for OrderStep<'a> {
    type Target = Step<'a, Order>;
    fn deref(&self) -> &Self::Target {
        &self.step
    }
}

impl std::ops::DerefMut for OrderStep<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.step
    }
}

impl<'a> OrderStep<'a> {
    fn new(id: OrderId, order: &'a Order, context: &'a StepContext<'a>) -> Self {
        let tag = format!("o{:08x}-", id.0.as_u128() as u32);
        OrderStep { id, step: Step::new(order, context, tag) }
    }

    fn subject(&self) -> String {
        format!("order/{}", self.id)
    }

    fn session(&self) -> Option<SessionId> {
        self.state.placed.as_ref().map(|placed| placed.session)
    }

    /// Puts a command to its session, unless that is left alone by order: then its own row tells.
    fn tell_session(&mut self, session: SessionId, command: crate::domain::session::Command) {
        if !self.context.ambient.quarantined.contains(&session) {
            self.also(Key::Session(session), command);
        }
    }

    fn tell_order(&mut self, order: OrderId, command: Command) {
        if !self.context.ambient.quarantined_orders.contains(&order) {
            self.also(Key::Order(order), command);
        }
    }

    /// Tells the partner the whole order.
    fn tell(&mut self, kind: &str) {
        if !self.state.is_public() {
            return;
        }
        let view = self.state.view(self.id, self.context.partition);
        // Texts and numbers: always JSON.
        self.tell_with(kind, serde_json::to_value(view).unwrap_or_default());
    }

    /// Tells the user.
    fn notify(&mut self, text: &notices::Text) {
        let data = serde_json::json!({"code": text.code, "order_id": self.id, "session_id": self.session(),
            "user": self.state.placed.as_ref().map(|placed| &placed.user),
            "sealed": self.state.placed.as_ref().and_then(|placed| placed.sealed.as_ref()),
            "zh": text.zh, "en": text.en});
        self.tell_with("user.notice", data);
    }

    fn tell_with(&mut self, kind: &str, data: serde_json::Value) {
        let Some(partner) = self.state.placed.as_ref().map(|placed| placed.partner.clone()) else { return };
        let (at, sequence) = (self.context.now, self.state.sequence + 1);
        self.emit(Event::Told { sequence });
        let (kind, order_key) = (kind.to_owned(), format!("order/{}", self.id));
        self.notice(Notice { partner, kind, order_key, sequence: Some(sequence), at, data });
    }
}

/// Decides a command.
///
/// # Errors
/// What a person or partner wants can be rejected; what the session, the charger or the account tells never is.
pub fn decide(
    id: OrderId,
    order: &Order,
    command: Command,
    context: &StepContext<'_>,
) -> Result<Decision<ChargingFamily>, Rejection> {
    let mut step = OrderStep::new(id, order, context);
    if order.status.is_none() && command.is_a_wish() {
        return Err(Rejection::OrderUnknown);
    }
    match command {
        Command::Place(placed) => place(&mut step, placed),
        Command::Began => began(&mut step),
        Command::StartFailed { code } => ending::fail(&mut step, &code),
        Command::Charged(charge) => ending::charged(&mut step, charge),
        Command::Stays(tariff) => stays(&mut step, &tariff),
        Command::PlaceStay(placed, stay) => place_stay(&mut step, placed, stay),
        Command::Kept { minor } => kept(&mut step, minor),
        Command::Seen(presence) => occupancy::seen(&mut step, presence),
        Command::AccountAnswered { cause, outcome } => saga::answered(&mut step, &cause, outcome),
        Command::DebtSettled => debt_settled(&mut step),
        Command::Extend { minor, request } => ending::extend(&mut step, minor, request)?,
        Command::Pay => ending::pay(&mut step)?,
        Command::Contest { text } => ending::contest(&mut step, &text)?,
        Command::Settle { minor, by } => ending::settle(&mut step, minor, by)?,
        Command::Refund { minor, by } => ending::refund(&mut step, minor, by)?,
        Command::ApproveRefund { by } => ending::approve_refund(&mut step, by)?,
        Command::WithdrawRefund { by } => ending::withdraw_refund(&mut step, by)?,
        Command::Recall(order) => recall(&mut step, order),
        Command::Restarted { downtime } => restarted(&mut step, downtime),
    }
    let reply = step.state.status.map_or(Reply::Done, Reply::OrderNow);
    Ok(step.step.done(reply))
}

/// A deadline has passed.
pub fn fired(id: OrderId, order: &Order, timer: Timer, context: &StepContext<'_>) -> Decision<ChargingFamily> {
    let mut step = OrderStep::new(id, order, context);
    match timer {
        Timer::AskAccount => saga::again(&mut step),
        Timer::Remind => ending::remind(&mut step),
        Timer::PaymentDeadline => ending::expired(&mut step),
        Timer::StayWarn => occupancy::warn(&mut step),
        Timer::StayGrace => occupancy::grace_over(&mut step),
        Timer::StayEnd => occupancy::over(&mut step),
        Timer::Forget => step.emit(Event::Forgotten),
        // Another entity's: a defect of the engine, without harm.
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
        | Timer::HoldUntil => {}
    }
    step.step.done(Reply::Done)
}

/// Its session was asked for: with an account, money is set aside before the charger is told (SE-3).
fn place(step: &mut OrderStep<'_>, placed: Box<Placed>) {
    if step.state.status.is_none() {
        step.emit(Event::Placed(placed));
        saga::drive(step);
    }
}

/// The charger has begun.
fn began(step: &mut OrderStep<'_>) {
    if step.state.status == Some(Status::Placed) {
        ending::become_(step, Status::Open);
    }
}

/// A vehicle may stay: an order of its own watches it.
fn stays(step: &mut OrderStep<'_>, tariff: &Tariff) {
    let Some(placed) = step.state.placed.clone().filter(|_| step.state.linked.is_none()) else { return };
    let now = step.context.now;
    let policy = &step.context.ambient.policy.order;
    let Some(stay) = Stay::begin(tariff, now, policy.occupancy_warn, policy.occupancy_max) else { return };
    let keep = match placed.account {
        true => crate::domain::pricing::stay::occupancy_cap(tariff).map_or(0, |cap| cap.minor),
        false => 0,
    };
    let order = OrderId(step.context.uuid(stay_number(step.id)));
    step.emit(Event::Linked { order, keep });
    let (own, connector) = (step.id, placed.connector);
    let linked = Placed { kind: Kind::Occupancy, linked: Some(own), reservation: None, freeze: 0, at: now, ..*placed };
    step.tell_order(order, Command::PlaceStay(Box::new(linked), Box::new(stay)));
    step.also(Key::Charger, charger::Command::Watch { order, connector });
}

/// Several sessions may end in one step: their orders' numbers differ.
fn stay_number(id: OrderId) -> u16 {
    u16::try_from(id.0.as_u128() & 0x7fff).unwrap_or(0) | 0x8000
}

fn place_stay(step: &mut OrderStep<'_>, placed: Box<Placed>, stay: Box<Stay>) {
    if step.state.status.is_none() {
        step.emit(Event::Placed(placed));
        step.emit(Event::StayBegan(stay));
    }
}

fn kept(step: &mut OrderStep<'_>, minor: i64) {
    if step.state.awaits_kept() {
        step.emit(Event::Kept { minor });
        ending::nothing_to_take(step);
        saga::drive(step);
        ending::rest(step);
    }
}

/// Paid by a top-up: the account has taken it by itself.
fn debt_settled(step: &mut OrderStep<'_>) {
    if step.state.debt > 0 && matches!(step.state.status, Some(Status::AwaitingPayment | Status::Unpaid)) {
        step.emit(Event::DebtPaid { left: 0 });
        ending::become_(step, Status::Paid);
    }
}

fn recall(step: &mut OrderStep<'_>, order: Box<Order>) {
    if step.state.status.is_none() && order.status.is_some() {
        let forget_due = step.context.now + step.context.ambient.policy.order.linger;
        step.emit(Event::Recalled(order));
        step.emit(Event::Done { forget_due });
    }
}

/// Promised times stay; what nobody saw is free; what was asked is asked again at once.
fn restarted(step: &mut OrderStep<'_>, downtime: Duration) {
    let from: Timestamp = step.context.now - downtime;
    occupancy::was_down(step, from);
    saga::again(step);
}

/// The deadlines that follow from an order's state.
pub fn timers(order: &Order) -> SmallVec<[Deadline<Timer>; 4]> {
    let staying = order.bill.is_none() && matches!(order.status, Some(Status::Placed | Status::Open));
    let stay = order.stay.as_ref().filter(|_| staying);
    let all = [
        (Timer::AskAccount, order.outstanding.map(|outstanding| outstanding.due)),
        (Timer::Remind, order.remind_due),
        (Timer::PaymentDeadline, order.payment_due),
        (Timer::StayWarn, stay.and_then(|stay| stay.warn_due)),
        (Timer::StayGrace, stay.and_then(|stay| stay.grace_due)),
        (Timer::StayEnd, stay.filter(|stay| stay.grace_due.is_none()).map(|stay| stay.ends_at())),
        (Timer::Forget, order.forget_due.filter(|_| order.outstanding.is_none())),
    ];
    all.into_iter().filter_map(|(timer, due)| due.map(|due| Deadline { timer, due })).collect()
}

/// Open as long as something may happen by itself. Debt waits for the user, and comes back when touched.
pub fn standing(order: &Order) -> Standing {
    match order.status {
        None => Standing::Ended,
        Some(_) if order.outstanding.is_some() || order.awaits_kept() => Standing::Open,
        Some(Status::Placed | Status::Open | Status::UnderReview | Status::AwaitingPayment) => Standing::Open,
        Some(Status::Unpaid | Status::Paid | Status::Failed) => Standing::Idle,
    }
}

/// What tells an order of our downtime.
pub fn give_back(order: &Order, downtime: Duration) -> Option<Command> {
    let stays = order.stay.is_some() && order.bill.is_none() && order.is_open();
    (order.outstanding.is_some() || stays).then_some(Command::Restarted { downtime })
}
