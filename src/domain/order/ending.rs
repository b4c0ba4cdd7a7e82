//! How an order comes to its end: the bill, the doubts about it, what a person decides, what is taken, what comes late
//! (SE-8, SE-14, MO-4, MO-5, MO-7). Owns the changes of state; never a price.

use super::state::{Ask, Doubt, Kind, Proposed, Status};
use super::{Charge, Event, OrderStep, notices, saga, stated};
use crate::domain::charging::{Case, Level, Rejection};
use crate::domain::operator::person;
use crate::domain::pricing::BillFlag;
use crate::ids::RequestId;

/// Goes on to a state that the table allows; anything else would be a defect, and changes nothing.
pub(super) fn become_(step: &mut OrderStep<'_>, status: Status) {
    let Some(now) = step.state.status.filter(|now| now.may_become(status)) else { return };
    debug_assert_ne!(now, status);
    let at = step.context.now;
    step.emit(Event::Became { status, at });
    stated::note(step);
    match status {
        Status::Placed | Status::Failed => {}
        Status::Open => step.tell("order.opened"),
        Status::UnderReview => step.tell("order.under_review"),
        Status::AwaitingPayment => step.tell("order.awaiting_payment"),
        Status::Paid => step.tell("order.paid"),
        Status::Unpaid => step.tell("order.unpaid"),
    }
    rest(step);
}

/// The failed starts that the account counts (OP-1): those that reached a charger which was there. Ours and those for want of
/// money say nothing about a user.
pub(super) const COUNTED: [&str; 3] = ["plug_not_connected", "charger_refused", "no_confirmation"];

/// Who decides what no person has decided.
const SYSTEM: &str = "system";

/// Its session did not begin: everything is given back at once (SE-4).
pub(super) fn fail(step: &mut OrderStep<'_>, code: &str) {
    if step.state.status != Some(Status::Placed) {
        return;
    }
    let (at, note) = (step.context.now, step.state.has_account() && COUNTED.contains(&code));
    step.emit(Event::Failed { code: code.into(), at, note });
    if step.state.is_public_kind() {
        step.tell("order.failed");
    }
    if step.state.outstanding.is_some_and(|outstanding| outstanding.ask == Ask::Freeze) {
        // Not first the answer: a release makes a freeze that is still on its way come to nothing.
        saga::send(step, Ask::Release, 1, step.context.now);
    } else {
        saga::drive(step);
    }
    rest(step);
}

/// Nothing is outstanding any more: it stays a while for what comes late.
pub(super) fn rest(step: &mut OrderStep<'_>) {
    let over = step.state.status.is_some_and(Status::is_final);
    let idle = step.state.outstanding.is_none() && saga::next(&step.state).is_none();
    if over && idle && step.state.forget_due.is_none() && !step.state.awaits_kept() {
        let forget_due = step.context.now + step.context.ambient.policy.order.linger;
        step.emit(Event::Done { forget_due });
    }
}

/// Its session is over and priced.
pub(super) fn charged(step: &mut OrderStep<'_>, charge: Charge) {
    match step.state.status {
        Some(Status::Open) if step.state.bill.is_none() => first_bill(step, charge),
        Some(Status::Open | Status::UnderReview | Status::AwaitingPayment | Status::Paid | Status::Unpaid) => {
            corrected(step, charge);
        }
        // A late start of a failed session: its consumption is recorded there, and nobody is charged (SE-5).
        Some(Status::Placed | Status::Failed) | None => {}
    }
}

fn first_bill(step: &mut OrderStep<'_>, charge: Charge) {
    let Charge { bill, mut doubts, evidence } = charge;
    doubts.extend(bill.as_ref().map_or(vec![Doubt::NoPrice], |bill| of_bill(step, bill)));
    doubts.sort_unstable();
    doubts.dedup();
    if let Some(bill) = bill {
        step.emit(Event::Priced(bill));
    }
    match doubts.is_empty() {
        true => take(step, step.state.bill.as_ref().map_or(0, |bill| bill.total.minor), None),
        false => {
            doubted(step, &doubts, &evidence);
            review(step, &doubts);
        }
    }
}

/// What is odd about a bill itself, and whether it is large.
fn of_bill(step: &OrderStep<'_>, bill: &crate::domain::pricing::Bill) -> Vec<Doubt> {
    let large =
        step.state.has_account() && bill.total.minor > i64::from(step.context.ambient.policy.order.review_above);
    let found = [
        (bill.flags.contains(&BillFlag::EnergyWithoutFee), Doubt::EnergyWithoutFee),
        (bill.flags.contains(&BillFlag::TimeImplausible), Doubt::EndBeforeStart),
        (bill.total.minor < 0, Doubt::NegativeReading),
        (large, Doubt::Large),
    ];
    found.into_iter().filter(|(on, _)| *on).map(|(_, doubt)| doubt).collect()
}

/// The abnormal queue (SE-14): a ticket with what proves it.
fn doubted(step: &mut OrderStep<'_>, doubts: &[Doubt], evidence: &str) {
    let names: Vec<String> = doubts.iter().map(|doubt| format!("{doubt:?}")).collect();
    let total = step.state.bill.as_ref().map_or_else(|| "no bill".to_owned(), |bill| bill.total.to_string());
    let text = format!("to be looked at before it is settled ({}): {total}", names.join(", "));
    let case = Case::alert(Level::Warning, "order_under_review", step.subject(), text);
    step.raise(case.ticket("settle it, settle another amount, or close it without one").with(evidence));
}

/// A person must look before anything is taken.
pub(super) fn review(step: &mut OrderStep<'_>, doubts: &[Doubt]) {
    if !doubts.is_empty() {
        step.emit(Event::Doubted { doubts: doubts.to_vec() });
    }
    become_(step, Status::UnderReview);
}

/// Decides what is taken.
pub(super) fn take(step: &mut OrderStep<'_>, minor: i64, by: Option<Box<str>>) {
    step.emit(Event::ToTake { minor: minor.max(0), by });
    if !step.state.has_account() {
        // The partner settles.
        become_(step, Status::Paid);
        return;
    }
    nothing_to_take(step);
    saga::drive(step);
}

/// Nothing is to be paid and nothing is set aside: it is settled without the account.
pub(super) fn nothing_to_take(step: &mut OrderStep<'_>) {
    let idle = step.state.outstanding.is_none() && saga::next(&step.state).is_none();
    if step.state.charge == Some(0) && idle && !step.state.awaits_kept() && step.state.is_open() {
        become_(step, Status::Paid);
    }
    rest(step);
}

/// The account has taken what there was: all of it, or the rest is debt, which blocks new starts at once. The user gets
/// some time to pay it before the order counts as unpaid (MO-5).
pub(super) fn taken(step: &mut OrderStep<'_>) {
    let window = step.context.ambient.policy.order.payment_window;
    if step.state.debt <= 0 {
        become_(step, Status::Paid);
    } else if window.is_zero() {
        become_(step, Status::Unpaid);
    } else {
        let now = step.context.now;
        let (remind_due, payment_due) = (next_reminder(step), Some(now + window));
        step.emit(Event::Awaited { remind_due, payment_due });
        become_(step, Status::AwaitingPayment);
    }
}

fn next_reminder(step: &OrderStep<'_>) -> Option<crate::clock::Timestamp> {
    Some(step.context.now + step.context.ambient.policy.order.remind_every)
}

/// The user is reminded.
pub(super) fn remind(step: &mut OrderStep<'_>) {
    let (next, payment_due) = (next_reminder(step), step.state.payment_due);
    let remind_due = next.filter(|next| payment_due.is_some_and(|due| *next < due));
    step.emit(Event::Awaited { remind_due, payment_due });
    step.notify(&notices::PAYMENT_REMINDER);
}

/// It was not paid in time.
pub(super) fn expired(step: &mut OrderStep<'_>) {
    become_(step, Status::Unpaid);
}

/// What came late changes the bill (SE-8). Before anything is asked of the account the new bill simply counts. After that
/// less is refunded by itself, and more is for a person to decide: nobody is charged a second time unseen.
fn corrected(step: &mut OrderStep<'_>, charge: Charge) {
    let Some(bill) = charge.bill else { return };
    let by_hand = step.state.settled_by.as_deref().is_some_and(|by| by != SYSTEM);
    let before = step.state.charge.unwrap_or(0).saturating_sub(if by_hand { 0 } else { given_back(step) });
    let same = step.state.bill.as_ref().is_some_and(|known| known.total == bill.total && known.lines == bill.lines);
    if same {
        return;
    }
    let now = bill.total.minor;
    step.emit(Event::Priced(bill));
    if step.state.status == Some(Status::UnderReview) {
        // The person who looks sees the new bill.
        step.tell("order.updated");
        return;
    }
    let difference = before.saturating_sub(now);
    if difference == 0 && charge.doubts.is_empty() {
        stated::note(step);
        step.tell("order.updated");
        return;
    }
    let text = format!(
        "its bill changed after it was settled: {} before, {} now",
        step.state.amount(before),
        step.state.amount(now)
    );
    let case = Case::alert(Level::Warning, "order_changed_afterwards", step.subject(), text).with(&charge.evidence);
    let partner_settles = !step.state.has_account() && step.state.status == Some(Status::Paid);
    if partner_settles && !by_hand && now >= 0 && charge.doubts.is_empty() {
        // Nothing was taken here: the difference is a new line of the partner's next statement (RC-3).
        step.raise(case);
        step.emit(Event::ToTake { minor: now, by: None });
        stated::note(step);
        step.tell("order.updated");
        return;
    }
    let refundable = step.state.has_account() && step.state.status == Some(Status::Paid) && !by_hand;
    if difference > 0 && refundable && difference <= step.state.taken.saturating_sub(given_back(step)) {
        step.raise(case);
        step.emit(Event::RefundWanted { minor: difference, by: SYSTEM.into() });
        saga::drive(step);
    } else {
        step.emit(Event::Doubted { doubts: vec![Doubt::ChangedAfterwards] });
        step.raise(case.ticket("refund the difference, or agree with the user on what is missing"));
        step.tell("order.updated");
    }
}

/// What was given back, what is on its way included.
fn given_back(step: &OrderStep<'_>) -> i64 {
    let on_its_way = match step.state.outstanding.map(|outstanding| outstanding.ask) {
        Some(Ask::Refund { minor, .. }) => minor,
        Some(_) | None => 0,
    };
    step.state.refunded.saturating_add(on_its_way).saturating_add(step.state.refund.unwrap_or(0))
}

/// A person settles what is under review, at the bill's total or at another amount.
pub(super) fn settle(step: &mut OrderStep<'_>, minor: Option<i64>, by: Box<str>) -> Result<(), Rejection> {
    if step.state.status != Some(Status::UnderReview) || step.state.charge.is_some() {
        return Err(Rejection::OrderNotUnderReview);
    }
    let billed = step.state.bill.as_ref().map(|bill| bill.total.minor);
    let minor = minor.or(billed).filter(|minor| *minor >= 0).ok_or(Rejection::OrderAmount)?;
    take(step, minor, Some(by));
    Ok(())
}

/// A person gives back what was taken, all or part of it.
pub(super) fn refund(step: &mut OrderStep<'_>, minor: i64, by: Box<str>) -> Result<(), Rejection> {
    let pending = step.state.refund.is_some() || step.state.outstanding.is_some();
    if step.state.status != Some(Status::Paid) || !step.state.has_account() || pending {
        return Err(Rejection::OrderNotPaid);
    }
    let left = step.state.taken.saturating_sub(step.state.refunded);
    if minor <= 0 || minor > left {
        return Err(Rejection::OrderAmount);
    }
    if minor > i64::from(step.context.ambient.policy.order.refund_alone_max) {
        // MO-6: so much is not given back by one person alone.
        let at = step.context.now;
        let text = format!("{by} wants to give {} back; another person has to agree", step.state.amount(minor));
        step.emit(Event::RefundProposed(Proposed { minor, by, at }));
        let case = Case::alert(Level::Info, "refund_proposed", step.subject(), text);
        step.raise(case.ticket("approve the refund, or withdraw it"));
        return Ok(());
    }
    step.emit(Event::RefundWanted { minor, by });
    saga::drive(step);
    Ok(())
}

/// A second person agrees to a refund (MO-6).
pub(super) fn approve_refund(step: &mut OrderStep<'_>, by: Box<str>) -> Result<(), Rejection> {
    let Some(proposed) = step.state.refund_proposed.clone() else { return Err(Rejection::RefundUnknown) };
    person::another(&proposed.by, &by).map_err(|_| Rejection::SamePerson)?;
    if step.state.outstanding.is_some() {
        return Err(Rejection::OrderBusy);
    }
    if proposed.minor > step.state.taken.saturating_sub(given_back(step)) {
        return Err(Rejection::OrderAmount);
    }
    step.emit(Event::RefundWanted { minor: proposed.minor, by: format!("{}, {by}", proposed.by).into() });
    saga::drive(step);
    Ok(())
}

/// A refund that waits for a second person is dropped.
pub(super) fn withdraw_refund(step: &mut OrderStep<'_>, by: Box<str>) -> Result<(), Rejection> {
    if step.state.refund_proposed.is_none() {
        return Err(Rejection::RefundUnknown);
    }
    step.emit(Event::RefundWithdrawn { by });
    Ok(())
}

/// The user wants to pay what is owed.
pub(super) fn pay(step: &mut OrderStep<'_>) -> Result<(), Rejection> {
    match step.state.status {
        Some(Status::AwaitingPayment | Status::Unpaid) if step.state.debt > 0 => {
            if step.state.outstanding.is_none() {
                step.emit(Event::PayWanted);
                saga::drive(step);
            }
            Ok(())
        }
        // Paid already: twice is harmless.
        Some(Status::Paid) => Ok(()),
        Some(
            Status::Placed
            | Status::Failed
            | Status::Open
            | Status::UnderReview
            | Status::AwaitingPayment
            | Status::Unpaid,
        ) => Err(Rejection::OrderNotOwed),
        None => Err(Rejection::OrderUnknown),
    }
}

/// The user wants more to be set aside while charging (SE-11).
pub(super) fn extend(step: &mut OrderStep<'_>, minor: i64, request: RequestId) -> Result<(), Rejection> {
    if step.state.extend_request.as_ref() == Some(&request) {
        return Ok(());
    }
    let charging = step.state.status == Some(Status::Open) && step.state.bill.is_none();
    if !charging || !step.state.has_account() || step.state.kind() != Kind::Charging {
        return Err(Rejection::OrderNotOpen);
    }
    if minor <= 0 {
        return Err(Rejection::OrderAmount);
    }
    if step.state.extend.is_some() || step.state.outstanding.is_some() {
        return Err(Rejection::OrderBusy);
    }
    step.emit(Event::ExtendWanted { minor, request });
    saga::drive(step);
    Ok(())
}

/// The user contests the bill (MO-9): a ticket with the bill; what was taken stays so until a person decides.
pub(super) fn contest(step: &mut OrderStep<'_>, text: &str) -> Result<(), Rejection> {
    if step.state.bill.is_none() {
        return Err(Rejection::OrderNotBilled);
    }
    if step.state.contested {
        return Ok(());
    }
    step.emit(Event::Contested);
    let evidence = serde_json::json!({"in_the_users_words": text, "bill": step.state.bill, "taken": step.state.taken,
        "doubts": step.state.doubts, "session": step.session().map(|id| format!("session/{id}"))});
    let total = step.state.bill.as_ref().map_or_else(String::new, |bill| bill.total.to_string());
    let said = format!("the user contests the bill of {total}");
    let case = Case::alert(Level::Warning, "order_contested", step.subject(), said);
    step.raise(
        case.ticket("price it again from the readings, then refund or answer the user").with(&evidence.to_string()),
    );
    Ok(())
}
