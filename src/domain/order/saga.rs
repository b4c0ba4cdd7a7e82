//! The way of an order's money through its user's account, one request at a time (SE-3, MO-4, MO-5). Owns what is asked next
//! and what an answer leads to; never a balance.
//!
//! What is asked next follows from the state alone, its name from the order and the step. So a crash at any moment loses
//! nothing: what is outstanding is asked again under the same name until it is answered, and an answer to what is no longer
//! outstanding changes nothing.

use super::state::{Ask, Hold, Kind, Order, Outstanding, Status};
use super::{Event, OrderStep, ending, notices, stated};
use crate::domain::charger;
use crate::domain::charging::purse::{AccountOutcome, AccountRef, AccountRequest, Income, Keep};
use crate::domain::charging::{Case, Effect, Key, Level};
use crate::domain::pricing::LineKind;
use crate::domain::session::{self, Failure};
use crate::ids::OrderId;
use std::time::Duration;

/// The name of an order's freeze, and of what an answer to it names.
pub fn freeze_name(id: OrderId) -> Box<str> {
    format!("order/{id}/freeze").into()
}

/// The name of a request: the same for each repeat.
pub fn cause(id: OrderId, ask: Ask) -> Box<str> {
    match ask {
        Ask::Freeze => freeze_name(id),
        Ask::Extend { n, .. } => format!("order/{id}/extend/{n}").into(),
        Ask::Release => format!("order/{id}/release").into(),
        Ask::Capture => format!("order/{id}/capture").into(),
        Ask::Charge => format!("order/{id}/charge").into(),
        Ask::Pay { n } => format!("order/{id}/pay/{n}").into(),
        Ask::Refund { n, .. } => format!("order/{id}/refund/{n}").into(),
        Ask::NoteFailure => format!("order/{id}/failed_start").into(),
    }
}

/// What the account is to be asked next. Nothing while it has not answered.
pub fn next(order: &Order) -> Option<Ask> {
    if order.outstanding.is_some() || !order.has_account() {
        return None;
    }
    match order.status? {
        Status::Failed => match order.hold {
            Hold::Asked | Hold::Open => Some(Ask::Release),
            Hold::None | Hold::Awaited | Hold::Closed => order.note_failure.then_some(Ask::NoteFailure),
        },
        Status::Placed | Status::Open | Status::UnderReview => match (order.charge, order.hold) {
            (None, Hold::None) if order.kind() == Kind::Charging && order.status != Some(Status::UnderReview) => {
                order.placed.as_ref().filter(|placed| placed.freeze > 0).map(|_| Ask::Freeze)
            }
            (None, Hold::Open) => order.extend.map(|minor| Ask::Extend { n: order.extended.saturating_add(1), minor }),
            (None, Hold::None | Hold::Awaited | Hold::Asked | Hold::Closed) => None,
            (Some(_), Hold::Open) => Some(Ask::Capture),
            // It was refused: what of it may still be on its way must not come to be.
            (Some(_), Hold::Asked) => Some(Ask::Release),
            (Some(_), Hold::Awaited) => None,
            (Some(minor), Hold::None | Hold::Closed) => (minor > 0).then_some(Ask::Charge),
        },
        Status::AwaitingPayment | Status::Unpaid => {
            (order.paying && order.debt > 0).then_some(Ask::Pay { n: order.payments.saturating_add(1) })
        }
        Status::Paid => order.refund.map(|minor| Ask::Refund { n: order.refunds.saturating_add(1), minor }),
    }
}

/// Asks what is to be asked next, if anything.
pub(super) fn drive(step: &mut OrderStep<'_>) {
    if let Some(ask) = next(&step.state) {
        send(step, ask, 1, step.context.now);
    }
}

/// No answer yet.
pub(super) fn again(step: &mut OrderStep<'_>) {
    let Some(Outstanding { ask, since, tries, told, .. }) = step.state.outstanding else { return };
    send(step, ask, tries.saturating_add(1), since);
    let silent = step.context.now.since(since);
    if !told && silent >= step.context.ambient.policy.order.account_silent {
        step.emit(Event::AskedLong);
        let text = format!("the account has not answered {:?} for {} s; it is asked again", ask, silent.as_secs());
        let case = Case::alert(Level::Critical, "account_silent", step.subject(), text);
        step.raise(case.ticket("find out why the account cannot be reached; the order goes on by itself when it can"));
    }
}

/// Asks at once, whatever is outstanding: the answer to that will change nothing.
pub(super) fn send(step: &mut OrderStep<'_>, ask: Ask, tries: u32, since: crate::clock::Timestamp) {
    let Some(placed) = step.state.placed.clone() else { return };
    let Some(request) = request(step, ask) else { return };
    let policy = &step.context.ambient.policy.order;
    let wait = policy.account_retry.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(policy.account_retry_max);
    let due = step.context.now + wait.max(Duration::from_secs(1));
    step.emit(Event::Asked(Outstanding { ask, since, tries, due, told: false }));
    let account = AccountRef { partner: placed.partner, user: placed.user, sealed: placed.sealed };
    step.effect(Effect::AskAccount { account, request });
}

fn request(step: &OrderStep<'_>, ask: Ask) -> Option<AccountRequest> {
    let order = &*step.state;
    let (cause, freeze) = (cause(step.id, ask), freeze_name(step.id));
    Some(match ask {
        Ask::Freeze => AccountRequest::Freeze { cause, amount: order.amount(order.placed.as_ref()?.freeze) },
        Ask::Extend { minor, .. } => AccountRequest::Extend { cause, freeze, amount: order.amount(minor) },
        Ask::Release => AccountRequest::Release { cause, freeze },
        Ask::Capture => {
            let (amount, lines) = (order.amount(order.charge?), lines(order));
            let linked = order.linked.filter(|_| order.keep > 0);
            let keep = linked.map(|linked| Keep { freeze: freeze_name(linked), amount: order.amount(order.keep) });
            AccountRequest::Capture { cause, freeze, amount, lines, keep, coupon: takes_coupons(order) }
        }
        Ask::Charge => {
            let (amount, lines) = (order.amount(order.charge?), lines(order));
            AccountRequest::Charge { cause, freeze, amount, lines, coupon: takes_coupons(order) }
        }
        Ask::Pay { .. } => AccountRequest::PayDebt { cause, freeze, amount: order.amount(order.debt) },
        Ask::Refund { minor, .. } => AccountRequest::Refund { cause, freeze, amount: order.amount(minor) },
        Ask::NoteFailure => AccountRequest::NoteFailedStart { cause, freeze },
    })
}

/// Coupons are for charging; what staying costs is a fee (SE-13).
fn takes_coupons(order: &Order) -> bool {
    order.kind() == Kind::Charging
}

/// Where what is taken goes in the books: electricity as billed, the rest as what else the order is for. What a person has
/// settled below the bill goes to electricity first.
fn lines(order: &Order) -> Vec<(Income, crate::domain::money::Money)> {
    let charge = order.charge.unwrap_or(0);
    let (first, rest) = match order.kind() {
        Kind::Charging => (Income::Electricity, Income::Service),
        Kind::Occupancy => (Income::Occupancy, Income::Occupancy),
    };
    let electricity =
        order.bill.as_ref().map_or(0, |bill| bill.sum(LineKind::Electricity).minor).clamp(0, charge.max(0));
    let parts = [(first, electricity), (rest, charge.saturating_sub(electricity))];
    parts.into_iter().filter(|(_, minor)| *minor > 0).map(|(income, minor)| (income, order.amount(minor))).collect()
}

/// The account has answered.
pub(super) fn answered(step: &mut OrderStep<'_>, named: &str, outcome: AccountOutcome) {
    let Some(Outstanding { ask, .. }) = step.state.outstanding else { return };
    if *named != *cause(step.id, ask) {
        return;
    }
    match outcome {
        // Asked again when its time comes.
        AccountOutcome::Unavailable => return,
        AccountOutcome::Done => done(step, ask),
        AccountOutcome::Captured { taken, debt, kept, discount, coupon } => {
            let (taken, debt, kept, discount) = (taken.minor, debt.minor, kept.minor, discount.minor);
            captured(step, Event::Captured { taken, debt, kept, discount, coupon }, kept);
        }
        AccountOutcome::DebtPaid { left } => debt_paid(step, left.minor),
        AccountOutcome::Refused(code) => refused(step, ask, code),
    }
    drive(step);
}

fn done(step: &mut OrderStep<'_>, ask: Ask) {
    match ask {
        Ask::Freeze => {
            let minor = step.state.placed.as_ref().map_or(0, |placed| placed.freeze);
            funded(step, minor);
        }
        Ask::Extend { minor, .. } => funded(step, step.state.frozen.saturating_add(minor)),
        Ask::Release => {
            step.emit(Event::Released);
            tell_linked(step, 0);
            ending::nothing_to_take(step);
        }
        Ask::Refund { minor, .. } => {
            step.emit(Event::Refunded { minor });
            stated::note(step);
            step.tell("order.refunded");
            ending::rest(step);
        }
        // These have answers of their own; a bare yes is as good as all of it.
        Ask::Capture | Ask::Charge => {
            let taken = step.state.charge.unwrap_or(0);
            captured(step, Event::Captured { taken, debt: 0, kept: 0, discount: 0, coupon: None }, 0);
        }
        Ask::Pay { .. } => debt_paid(step, 0),
        Ask::NoteFailure => {
            step.emit(Event::FailureNoted);
            ending::rest(step);
        }
    }
}

/// An amount is set aside: the start may go on, or the session may run longer.
fn funded(step: &mut OrderStep<'_>, minor: i64) {
    let first = step.state.hold == Hold::Asked;
    step.emit(Event::Froze { minor });
    let Some(session) = step.session() else { return };
    step.tell_session(session, session::Command::Funded { minor });
    match (step.state.status, first) {
        (Some(Status::Placed), true) => step.also(Key::Charger, charger::Command::FundsReady(session)),
        (_, true) => {}
        (_, false) => step.tell("order.updated"),
    }
}

fn captured(step: &mut OrderStep<'_>, event: Event, kept: i64) {
    step.emit(event);
    tell_linked(step, kept);
    ending::taken(step);
}

fn debt_paid(step: &mut OrderStep<'_>, left: i64) {
    step.emit(Event::DebtPaid { left });
    if left <= 0 {
        ending::become_(step, Status::Paid);
    }
}

/// The linked order learns what was kept for it, or that nothing will come.
fn tell_linked(step: &mut OrderStep<'_>, minor: i64) {
    if let (Kind::Charging, Some(linked)) = (step.state.kind(), step.state.linked) {
        step.tell_order(linked, super::Command::Kept { minor });
    }
}

fn refused(step: &mut OrderStep<'_>, ask: Ask, code: Box<str>) {
    step.emit(Event::Refused { ask, code: code.clone() });
    match ask {
        Ask::Freeze => {
            let Some(session) = step.session() else { return };
            match step.state.status {
                Some(Status::Placed) => {
                    ending::fail(step, &code);
                    step.tell_session(session, session::Command::StartRefused(Failure::funds(&code)));
                }
                // Begun at the charger with a card: it cannot be paid, so it is stopped.
                _ => step.tell_session(session, session::Command::Unfunded),
            }
        }
        Ask::Extend { .. } => step.notify(&notices::EXTENSION_REFUSED),
        Ask::Pay { .. } => step.notify(&notices::PAYMENT_REFUSED),
        // A figure of the risk rules is worth no person's time.
        Ask::NoteFailure => ending::rest(step),
        Ask::Release | Ask::Capture | Ask::Charge | Ask::Refund { .. } => {
            let text = format!("the account refused {ask:?}: {code}");
            let case = Case::alert(Level::Critical, "account_refused", step.subject(), text);
            step.raise(case.ticket("compare the order with the account's entries and settle it by hand"));
            if matches!(ask, Ask::Capture | Ask::Charge) {
                ending::review(step, &[]);
            }
        }
    }
}
