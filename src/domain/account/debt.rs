//! Debts and refunds (MO-4, MO-5). Owns which of an order's money goes where, and that an order's owner hears that it is paid.

use super::draft::Draft;
use super::event::Event;
use super::family::{AccountFamily, Effect};
use super::request::{Outcome, Rejection};
use super::state::Settled;
use crate::domain::entity::Decision;
use crate::domain::ledger::{Cause, LedgerAccount, OrderId};
use crate::domain::money::Money;
use serde_json::json;

pub(super) fn refund(
    draft: &mut Draft<'_>,
    cause: &Cause,
    order: &OrderId,
    amount: Money,
) -> Result<Outcome, Rejection> {
    let minor = draft.owed(amount, 1)?;
    let (taken, refunded) = draft.sums(order);
    let left = taken - refunded;
    if minor > left {
        let (order, left) = (order.clone(), draft.money(left));
        return Err(Rejection::RefundTooLarge { order, left, asked: amount });
    }
    let owed = draft.account.debts.get(order).map_or(0, |debt| debt.minor);
    let off_debt = owed.min(minor);
    let to_balance = minor - off_debt;
    let legs = [
        (LedgerAccount::Refunds, -minor),
        (LedgerAccount::UserDebt, off_debt),
        (LedgerAccount::UserAvailable, to_balance),
    ];
    draft.book(cause, Some(order), &legs)?;
    draft.moved(order, 0, minor);
    if off_debt > 0 {
        draft.owe(order, -off_debt);
    }
    let [to_balance, off_debt] = [to_balance, off_debt].map(|minor| draft.money(minor));
    draft.tell("account.refunded", json!({"order": order, "to_balance": to_balance, "off_debt": off_debt}));
    Ok(Outcome::Refunded { to_balance, off_debt })
}

pub(super) fn pay(draft: &mut Draft<'_>, cause: &Cause, order: &OrderId, amount: Money) -> Result<Outcome, Rejection> {
    let asked = draft.amount(amount, 1)?;
    let Some(owed) = draft.account.debts.get(order).map(|debt| debt.minor) else {
        return Err(Rejection::NoDebt(order.clone()));
    };
    let paid = asked.min(owed);
    // Debt is not paid with credit: that would only be another debt.
    let available = draft.account.available().max(0);
    if paid > available {
        return Ok(Outcome::InsufficientFunds { available: draft.money(available), needed: draft.money(paid) });
    }
    move_debt(draft, cause, order, paid)?;
    Ok(Outcome::DebtPaid { paid: draft.money(paid), left: draft.money(owed - paid) })
}

fn move_debt(draft: &mut Draft<'_>, cause: &Cause, order: &OrderId, minor: i64) -> Result<(), Rejection> {
    draft.book(cause, Some(order), &[(LedgerAccount::UserAvailable, -minor), (LedgerAccount::UserDebt, minor)])?;
    draft.owe(order, -minor);
    draft.tell("account.debt_paid", json!({"order": order, "paid": draft.money(minor)}));
    Ok(())
}

/// Money has come in: debts are tried again, the oldest first, as far as it goes (MO-3).
pub(super) fn retry(draft: &mut Draft<'_>, cause: &Cause) -> Result<(), Rejection> {
    if !draft.policy().debts_from_top_ups {
        return Ok(());
    }
    let mut debts: Vec<_> =
        draft.account.debts.iter().map(|(order, debt)| (debt.since, order.clone(), debt.minor)).collect();
    debts.sort();
    for (n, (_, order, owed)) in debts.into_iter().enumerate() {
        let minor = owed.min(draft.account.available());
        if minor <= 0 {
            break;
        }
        move_debt(draft, &cause.step(&format!("debt-{n}"))?, &order, minor)?;
    }
    Ok(())
}

/// It is time to tell the owner of an order.
pub(super) fn settled_due(mut draft: Draft<'_>, order: &OrderId) -> Decision<AccountFamily> {
    if let Some(known) = draft.account.settled.get(order) {
        let to = Settled { due: draft.now + draft.policy().wait(known.tries), tries: known.tries.saturating_add(1) };
        draft.happened(Event::SettledTold { order: order.clone(), to: Some(to) });
        draft.effect(Effect::TellSettled(order.clone()));
    }
    draft.finish(Outcome::Done)
}

/// The owner of an order has heard.
pub(super) fn heard(mut draft: Draft<'_>, order: &OrderId) -> Decision<AccountFamily> {
    // Owed again meanwhile: what was heard is no longer true, and the next settlement is told anew.
    if draft.account.settled.contains_key(order) {
        draft.happened(Event::SettledTold { order: order.clone(), to: None });
    }
    draft.finish(Outcome::Done)
}
