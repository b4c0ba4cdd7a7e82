//! Freezing, extending, capturing and releasing (MO-4, SE-3, SE-4, SE-11). Owns where the money of a bill comes from: the hold,
//! then the balance down to the credit limit, then debt.

use super::coupon_use;
use super::draft::Draft;
use super::event::Event;
use super::memo::{Memo, MemoKey};
use super::request::{CouponPick, Keep, Line, Outcome, Rejection};
use super::state::Hold;
use crate::domain::ledger::{Cause, HoldId, LedgerAccount, OrderId};
use crate::domain::money::Money;
use serde_json::json;

/// What is to be paid, and where it goes.
pub(super) struct Bill<'a> {
    pub(super) amount: Money,
    pub(super) lines: &'a [Line],
    pub(super) coupon: Option<&'a CouponPick>,
}

/// Lines of one bill: more than any tariff has slices and fees, and a record stays small.
const LINES_MAX: usize = 64;

fn is_closed(draft: &Draft<'_>, hold: &HoldId) -> bool {
    matches!(draft.memo(&MemoKey::hold(hold)), Some(Memo::HoldClosed))
}

/// An open hold.
fn open(draft: &Draft<'_>, hold: &HoldId) -> Result<Hold, Rejection> {
    match draft.account.holds.get(hold) {
        Some(known) => Ok(known.clone()),
        None if is_closed(draft, hold) => Err(Rejection::HoldClosed(hold.clone())),
        None => Err(Rejection::UnknownHold(hold.clone())),
    }
}

/// A name that no hold has had.
fn fresh(draft: &Draft<'_>, hold: &HoldId) -> Result<(), Rejection> {
    if draft.account.holds.contains_key(hold) {
        return Err(Rejection::HoldExists(hold.clone()));
    }
    if is_closed(draft, hold) {
        return Err(Rejection::HoldClosed(hold.clone()));
    }
    Ok(())
}

fn short(draft: &Draft<'_>, needed: i64) -> Option<Outcome> {
    let available = draft.account.spendable();
    (needed > available)
        .then(|| Outcome::InsufficientFunds { available: draft.money(available), needed: draft.money(needed) })
}

pub(super) fn freeze(
    draft: &mut Draft<'_>,
    cause: &Cause,
    hold: &HoldId,
    order: &OrderId,
    amount: Money,
) -> Result<Outcome, Rejection> {
    let minor = draft.amount(amount, 1)?;
    fresh(draft, hold)?;
    if let Some((rule, _)) = draft.account.block() {
        return Ok(Outcome::Blocked { rule, told: rule.told() });
    }
    if let Some((order, debt)) = draft.account.oldest_debt() {
        return Ok(Outcome::UnpaidOrder { order: order.clone(), debt: draft.money(debt.minor) });
    }
    let max = draft.policy().holds_max;
    if draft.account.holds.len() >= max {
        return Err(Rejection::Limit { what: "open holds", max });
    }
    if let Some(refusal) = short(draft, minor) {
        return Ok(refusal);
    }
    draft.book(cause, Some(order), &[(LedgerAccount::UserAvailable, -minor), (LedgerAccount::UserFrozen, minor)])?;
    let to = Hold { order: order.clone(), minor, at: draft.now };
    draft.happened(Event::HoldSet { hold: hold.clone(), to });
    Ok(Outcome::Frozen { frozen: amount })
}

pub(super) fn extend(draft: &mut Draft<'_>, cause: &Cause, hold: &HoldId, amount: Money) -> Result<Outcome, Rejection> {
    let minor = draft.amount(amount, 1)?;
    let mut known = open(draft, hold)?;
    if let Some(refusal) = short(draft, minor) {
        return Ok(refusal);
    }
    let legs = [(LedgerAccount::UserAvailable, -minor), (LedgerAccount::UserFrozen, minor)];
    draft.book(cause, Some(&known.order), &legs)?;
    known.minor = known.minor.saturating_add(minor);
    let frozen = draft.money(known.minor);
    draft.happened(Event::HoldSet { hold: hold.clone(), to: known });
    Ok(Outcome::Frozen { frozen })
}

pub(super) fn release(draft: &mut Draft<'_>, cause: &Cause, hold: &HoldId) -> Result<Outcome, Rejection> {
    let Some(known) = draft.account.holds.get(hold).cloned() else {
        // It may be a freeze that is still on its way: closing its name keeps that from standing for ever.
        if !is_closed(draft, hold) {
            draft.remember(MemoKey::hold(hold), Memo::HoldClosed);
        }
        return Ok(Outcome::Released { amount: draft.money(0) });
    };
    let legs = [(LedgerAccount::UserFrozen, -known.minor), (LedgerAccount::UserAvailable, known.minor)];
    draft.book(cause, Some(&known.order), &legs)?;
    close(draft, hold);
    Ok(Outcome::Released { amount: draft.money(known.minor) })
}

fn close(draft: &mut Draft<'_>, hold: &HoldId) {
    draft.happened(Event::HoldClosed { hold: hold.clone() });
    draft.remember(MemoKey::hold(hold), Memo::HoldClosed);
}

/// The bill in minor units, with its lines as legs.
fn checked(draft: &Draft<'_>, bill: &Bill<'_>, least: i64) -> Result<(i64, Vec<(LedgerAccount, i64)>), Rejection> {
    let minor = draft.owed(bill.amount, least)?;
    if bill.lines.len() > LINES_MAX {
        return Err(Rejection::Lines(format!("{} of them, at most {LINES_MAX} are allowed", bill.lines.len())));
    }
    let mut legs = Vec::with_capacity(bill.lines.len() + 4);
    let mut sum = 0_i64;
    for line in bill.lines {
        if !line.account.is_income() {
            return Err(Rejection::Lines(format!(
                "{} is no income: revenue-… and partner-receivable/… are allowed",
                line.account
            )));
        }
        let part = draft.owed(line.amount, 0)?;
        sum = sum.saturating_add(part);
        legs.push((line.account.clone(), part));
    }
    if sum != minor {
        return Err(Rejection::Lines(format!("they sum to {}, the amount is {}", draft.money(sum), bill.amount)));
    }
    Ok((minor, legs))
}

pub(super) fn capture(
    draft: &mut Draft<'_>,
    cause: &Cause,
    hold: &HoldId,
    bill: &Bill<'_>,
    keep: Option<&Keep>,
) -> Result<Outcome, Rejection> {
    let (minor, mut legs) = checked(draft, bill, 0)?;
    let known = open(draft, hold)?;
    let wanted = match keep {
        Some(keep) => {
            fresh(draft, &keep.hold)?;
            draft.amount(keep.amount, 0)?
        }
        None => 0,
    };
    let coupon_use::Applied { off: discount, outcome: coupon, used } =
        coupon_use::apply(draft, bill.coupon, bill.amount, known.at);
    let due = minor - discount;
    let from_hold = due.min(known.minor);
    let rest = known.minor - from_hold;
    let kept = wanted.min(rest);
    let released = rest - kept;
    let from_balance = (due - from_hold).min(draft.account.spendable());
    let debt = due - from_hold - from_balance;
    legs.extend([
        (LedgerAccount::UserFrozen, -(from_hold + released)),
        (LedgerAccount::UserAvailable, released - from_balance),
        (LedgerAccount::UserDebt, -debt),
        (LedgerAccount::Coupons, -discount),
    ]);
    draft.book(cause, Some(&known.order), &legs)?;
    close(draft, hold);
    if let (Some(keep), true) = (keep, kept > 0) {
        let to = Hold { order: keep.order.clone(), minor: kept, at: draft.now };
        draft.happened(Event::HoldSet { hold: keep.hold.clone(), to });
    }
    settle(draft, &known.order, due, debt);
    let taken = draft.money(from_hold + from_balance);
    let [debt, discount, released, kept] = [debt, discount, released, kept].map(|minor| draft.money(minor));
    Ok(Outcome::Captured { taken, debt, discount, released, kept, coupon, used })
}

pub(super) fn charge(
    draft: &mut Draft<'_>,
    cause: &Cause,
    order: &OrderId,
    bill: &Bill<'_>,
) -> Result<Outcome, Rejection> {
    let (minor, mut legs) = checked(draft, bill, 1)?;
    let coupon_use::Applied { off: discount, outcome: coupon, used } =
        coupon_use::apply(draft, bill.coupon, bill.amount, draft.now);
    let due = minor - discount;
    let from_balance = due.min(draft.account.spendable());
    let debt = due - from_balance;
    legs.extend([
        (LedgerAccount::UserAvailable, -from_balance),
        (LedgerAccount::UserDebt, -debt),
        (LedgerAccount::Coupons, -discount),
    ]);
    draft.book(cause, Some(order), &legs)?;
    settle(draft, order, due, debt);
    let none = draft.money(0);
    let [taken, debt, discount] = [from_balance, debt, discount].map(|minor| draft.money(minor));
    Ok(Outcome::Captured { taken, debt, discount, released: none, kept: none, coupon, used })
}

/// What an order has cost is remembered for refunds; what is owed for it becomes its debt.
fn settle(draft: &mut Draft<'_>, order: &OrderId, due: i64, debt: i64) {
    if due > 0 {
        draft.moved(order, due, 0);
    }
    if debt > 0 {
        draft.owe(order, debt);
        draft.tell("account.debt", json!({"order": order, "debt": draft.money(debt)}));
    }
}
