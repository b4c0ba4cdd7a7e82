//! Top-ups (MO-3): intents, payments, what happens when the callback does not come, and double payments. Owns the life of an
//! intent; the gateway is asked by the shell.

use super::debt;
use super::draft::Draft;
use super::event::Event;
use super::family::{AccountFamily, Effect, RefundAnswer, TopUpAnswer};
use super::memo::{Memo, MemoKey};
use super::request::{Outcome, Rejection};
use super::risk::Sign;
use super::state::{PaymentRefund, TopUp, TopUpState};
use crate::domain::charging::case::Level;
use crate::domain::entity::Decision;
use crate::domain::ledger::{Cause, InvalidName, LedgerAccount, PaymentId};
use crate::domain::money::Money;
use crate::ids::TopUpId;
use serde_json::json;

/// The cause of what a payment does: made from the gateway's transaction id, so that it is booked once (MO-3).
///
/// # Errors
/// Never: the longest transaction id fits.
pub fn payment_cause(payment: &PaymentId) -> Result<Cause, InvalidName> {
    format!("payment/{payment}").parse()
}

/// A payment of an intent.
pub(super) struct Paid<'a> {
    pub(super) payment: &'a PaymentId,
    pub(super) intent: TopUpId,
    pub(super) amount: Money,
}

pub(super) fn open(draft: &mut Draft<'_>, amount: Money) -> Result<Outcome, Rejection> {
    let minor = draft.amount(amount, 1)?;
    if minor > draft.policy().top_up_max {
        return Err(Rejection::Amount { given: amount, allowed: "at most accounts.top_up_max is allowed" });
    }
    let max = draft.policy().top_ups_max;
    if draft.account.top_ups.len() >= max {
        return Err(Rejection::Limit { what: "open top-ups", max });
    }
    let (id, at) = (TopUpId(draft.context.uuid(1)), draft.now);
    let expires = at + draft.policy().top_up_expires;
    let due = (at + draft.policy().query_after).min(expires);
    let state = TopUpState::Pending;
    draft.happened(Event::TopUpSet(TopUp { id, amount, at, expires, due, queries: 0, answered: true, state }));
    Ok(Outcome::TopUpOpened { intent: id, expires })
}

/// The intent, open or closed.
fn find(draft: &Draft<'_>, id: TopUpId) -> Result<TopUp, Rejection> {
    if let Some(open) = draft.account.top_ups.get(&id) {
        return Ok(open.clone());
    }
    match draft.memo(&MemoKey::intent(id)) {
        Some(Memo::Intent(closed)) => Ok((**closed).clone()),
        Some(Memo::Cause { .. } | Memo::HoldClosed | Memo::Order { .. }) | None => Err(Rejection::UnknownIntent(id)),
    }
}

/// Closes an intent, or changes how it is closed.
fn close(draft: &mut Draft<'_>, mut top_up: TopUp, state: TopUpState) {
    top_up.state = state;
    draft.remember(MemoKey::intent(top_up.id), Memo::Intent(Box::new(top_up.clone())));
    draft.happened(Event::TopUpSet(top_up));
}

pub(super) fn payment(
    draft: &mut Draft<'_>,
    cause: &Cause,
    paid: &Paid<'_>,
    succeeded: bool,
) -> Result<Outcome, Rejection> {
    if *cause != payment_cause(paid.payment)? {
        return Err(Rejection::PaymentCause);
    }
    // What came is booked, however much it is; of what failed no amount is needed.
    let minor = draft.owed(paid.amount, i64::from(succeeded))?;
    let top_up = find(draft, paid.intent)?;
    if !succeeded {
        if top_up.state.is_open() {
            draft.tell("top_up.failed", json!({"top_up_id": top_up.id, "amount": top_up.amount}));
            close(draft, top_up, TopUpState::Failed);
        }
        return Ok(Outcome::TopUpFailed);
    }
    if let TopUpState::Paid { payment } = &top_up.state {
        let first = payment.clone();
        return double(draft, cause, paid, &first);
    }
    let late = !top_up.state.is_open();
    let legs = [(LedgerAccount::GatewayClearing, -minor), (LedgerAccount::UserAvailable, minor)];
    draft.book(cause, None, &legs)?;
    if top_up.amount != paid.amount {
        let text = format!(
            "payment {} for top-up {}: {} came, {} was asked for; what came is in the balance",
            paid.payment, top_up.id, paid.amount, top_up.amount
        );
        draft.raise(
            Level::Warning,
            "payment_amount",
            text,
            Some("look at the gateway's records; adjust or refund the difference"),
        );
    }
    draft.tell("top_up.paid", json!({"top_up_id": top_up.id, "amount": paid.amount, "late": late}));
    close(draft, top_up, TopUpState::Paid { payment: paid.payment.clone() });
    draft.note(Sign::TopUp);
    debt::retry(draft, cause)?;
    Ok(Outcome::Credited { amount: paid.amount, late })
}

/// The intent was paid before: the payment goes back to where it came from by itself.
fn double(draft: &mut Draft<'_>, cause: &Cause, paid: &Paid<'_>, first: &PaymentId) -> Result<Outcome, Rejection> {
    let minor = paid.amount.minor;
    let legs = [(LedgerAccount::GatewayClearing, -minor), (LedgerAccount::GatewayRefunds, minor)];
    draft.book(cause, None, &legs)?;
    let (payment, due) = (paid.payment.clone(), draft.now);
    let refund = PaymentRefund { payment, intent: paid.intent, amount: paid.amount, due, tries: 0 };
    draft.happened(Event::RefundSet(refund));
    let text =
        format!("top-up {} was paid by {first}, and again by {}: {} goes back", paid.intent, paid.payment, paid.amount);
    draft.raise(Level::Warning, "payment_double", text, None);
    draft.tell("top_up.refunded", json!({"top_up_id": paid.intent, "amount": paid.amount}));
    Ok(Outcome::DoublePayment { refund: paid.amount })
}

/// It is time to ask the gateway about an intent, or to let it expire.
pub(super) fn due(mut draft: Draft<'_>, id: TopUpId) -> Decision<AccountFamily> {
    let Some(mut top_up) = draft.account.top_ups.get(&id).cloned() else { return draft.finish(Outcome::Done) };
    if top_up.state == TopUpState::LastQuery {
        if !top_up.answered {
            let text = format!(
                "top-up {id} of {} has expired, and the gateway did not say whether it was paid",
                top_up.amount
            );
            draft.raise(
                Level::Warning,
                "payment_unknown",
                text,
                Some("look at the gateway's records; a payment that is there comes in by its callback"),
            );
        }
        draft.tell("top_up.expired", json!({"top_up_id": id, "amount": top_up.amount}));
        close(&mut draft, top_up, TopUpState::Expired);
        return draft.finish(Outcome::Done);
    }
    let policy = draft.policy();
    if draft.now >= top_up.expires {
        top_up.state = TopUpState::LastQuery;
        top_up.due = draft.now + policy.query_after;
    } else {
        let wait = policy.query_after.saturating_mul(2u32.saturating_pow(top_up.queries.saturating_add(1).min(16)));
        top_up.due = (draft.now + wait).min(top_up.expires);
    }
    top_up.queries = top_up.queries.saturating_add(1);
    top_up.answered = false;
    draft.happened(Event::TopUpSet(top_up));
    draft.effect(Effect::Query(id));
    draft.finish(Outcome::Done)
}

/// The gateway was asked, and it was not paid.
pub(super) fn answered(mut draft: Draft<'_>, id: TopUpId, answer: &TopUpAnswer) -> Decision<AccountFamily> {
    let Some(mut top_up) = draft.account.top_ups.get(&id).cloned() else { return draft.finish(Outcome::Done) };
    match answer {
        TopUpAnswer::Silent => {}
        TopUpAnswer::Failed => {
            draft.tell("top_up.failed", json!({"top_up_id": id, "amount": top_up.amount}));
            close(&mut draft, top_up, TopUpState::Failed);
        }
        TopUpAnswer::Pending => {
            top_up.answered = true;
            if top_up.state == TopUpState::LastQuery {
                // Nothing more to wait for.
                top_up.due = draft.now;
            }
            draft.happened(Event::TopUpSet(top_up));
        }
    }
    draft.finish(Outcome::Done)
}

/// Tries after which a person is asked about a refund that the gateway does not take.
const REFUND_TRIES: u32 = 8;

/// It is time to ask the gateway to take a payment back.
pub(super) fn refund_due(mut draft: Draft<'_>, payment: &PaymentId) -> Decision<AccountFamily> {
    if let Some(mut refund) = draft.account.refunds.get(payment).cloned() {
        refund.due = draft.now + draft.policy().wait(refund.tries);
        refund.tries = refund.tries.saturating_add(1);
        if refund.tries == REFUND_TRIES {
            let text = format!(
                "the gateway has not taken back {} of payment {payment} in {REFUND_TRIES} tries; it is tried on",
                refund.amount
            );
            draft.raise(Level::Critical, "payment_refund_stuck", text, Some("refund it in the gateway's own console"));
        }
        draft.effect(Effect::Refund { payment: payment.clone(), intent: refund.intent, amount: refund.amount });
        draft.happened(Event::RefundSet(refund));
    }
    draft.finish(Outcome::Done)
}

/// The gateway was asked to take a payment back.
pub(super) fn refund_answered(
    mut draft: Draft<'_>,
    payment: &PaymentId,
    answer: RefundAnswer,
) -> Result<Decision<AccountFamily>, Rejection> {
    if let (RefundAnswer::Done, Some(refund)) = (answer, draft.account.refunds.get(payment).cloned()) {
        let minor = refund.amount.minor;
        let legs = [(LedgerAccount::GatewayRefunds, -minor), (LedgerAccount::GatewayClearing, minor)];
        draft.book(&payment_cause(payment)?.step("refunded")?, None, &legs)?;
        draft.happened(Event::RefundDone { payment: payment.clone() });
    }
    Ok(draft.finish(Outcome::Done))
}
