//! Every decision about an account: once for a cause, then the rule for what is asked. Owns idempotency; the rules are in the
//! modules beside.

use super::draft::Draft;
use super::family::{AccountFamily, Command, Reply, Timer};
use super::memo::{Memo, MemoKey, Recalled};
use super::policy::Policy;
use super::request::{Action, CouponPick, Outcome, Rejection, Request};
use super::risk::{Rule, Sign};
use super::state::{Account, Block};
use super::{adjust, coupon_use, debt, event::Event, hold, top_up};
use crate::domain::entity::{Context, Decision};
use crate::domain::money::Money;
use serde_json::json;

type Decided = Result<Decision<AccountFamily>, Rejection>;

pub(super) fn decide(account: &Account, command: Command, context: &Context<'_, Policy>) -> Decided {
    let nothing = Recalled::new();
    match command {
        Command::Do { request, recalled: None } => {
            let missing = wanted(account, &request).into_iter().filter(|key| account.memos.may_be_folded(key));
            let missing: Vec<MemoKey> = missing.collect();
            if !missing.is_empty() {
                return Ok(Decision::reply(Reply::Recall(missing)));
            }
            once(Draft::new(account, context, &nothing), &request)
        }
        Command::Do { request, recalled: Some(recalled) } => once(Draft::new(account, context, &recalled), &request),
        Command::Due(Timer::TopUp(id)) => Ok(top_up::due(Draft::new(account, context, &nothing), id)),
        Command::Due(Timer::Refund(payment)) => {
            Ok(top_up::refund_due(Draft::new(account, context, &nothing), &payment))
        }
        Command::Due(Timer::Settled(order)) => Ok(debt::settled_due(Draft::new(account, context, &nothing), &order)),
        Command::TopUpAnswered(id, answer) => Ok(top_up::answered(Draft::new(account, context, &nothing), id, &answer)),
        Command::RefundAnswered(payment, answer) => {
            top_up::refund_answered(Draft::new(account, context, &nothing), &payment, answer)
        }
        Command::SettledHeard(order) => Ok(debt::heard(Draft::new(account, context, &nothing), &order)),
    }
}

/// What a request's decision may look up.
fn wanted(account: &Account, request: &Request) -> Vec<MemoKey> {
    let mut keys = vec![MemoKey::cause(&request.cause)];
    match &request.action {
        Action::Freeze { hold, .. } | Action::Extend { hold, .. } | Action::Release { hold } => {
            keys.push(MemoKey::hold(hold));
        }
        Action::Capture { hold, keep, .. } => {
            keys.push(MemoKey::hold(hold));
            keys.extend(keep.iter().map(|keep| MemoKey::hold(&keep.hold)));
            keys.extend(account.holds.get(hold).map(|known| MemoKey::order(&known.order)));
        }
        Action::Charge { order, .. } | Action::Refund { order, .. } => keys.push(MemoKey::order(order)),
        Action::Payment { intent, .. } => keys.push(MemoKey::intent(*intent)),
        Action::Open(_)
        | Action::PayDebt { .. }
        | Action::OpenTopUp { .. }
        | Action::SetCreditLimit { .. }
        | Action::Block { .. }
        | Action::Lift { .. }
        | Action::NoteFailedStart { .. }
        | Action::GrantCoupon { .. }
        | Action::Propose { .. }
        | Action::Approve { .. }
        | Action::Withdraw { .. } => {}
    }
    keys
}

/// What a cause is booked with, so that another wish under it is seen. Two wishes are the same if their words are.
fn words(action: &Action) -> Box<str> {
    let text = format!("{action:?}");
    // A bill's lines are told by their number and sum: the words are kept, and shown to people.
    match action {
        Action::Capture { hold, amount, lines, coupon, keep } => {
            let kept = keep.as_ref().map(|keep| format!(", keep {} as {}", keep.amount, keep.hold)).unwrap_or_default();
            let coupon = of_coupon(coupon.as_ref());
            format!("capture {amount} of {hold}{}{coupon}{kept}", of_lines(lines)).into()
        }
        Action::Charge { order, amount, lines, coupon } => {
            let coupon = of_coupon(coupon.as_ref());
            format!("charge {amount} for {order}{}{coupon}", of_lines(lines)).into()
        }
        Action::Freeze { hold, order, amount } => format!("freeze {amount} as {hold} for {order}").into(),
        Action::Extend { hold, amount } => format!("extend {hold} by {amount}").into(),
        Action::Release { hold } => format!("release {hold}").into(),
        Action::Refund { order, amount } => format!("refund {amount} of {order}").into(),
        Action::PayDebt { order, amount } => format!("pay {amount} of the debt of {order}").into(),
        Action::OpenTopUp { amount } => format!("top up {amount}").into(),
        Action::Payment { payment, intent, amount, succeeded } => {
            let what = if *succeeded { "paid" } else { "failed" };
            format!("{what} {amount} by {payment} for {intent}").into()
        }
        Action::NoteFailedStart { order } => format!("start of {order} failed").into(),
        Action::Open(owner) => format!("open for {}", owner.partner).into(),
        Action::SetCreditLimit { .. }
        | Action::Block { .. }
        | Action::Lift { .. }
        | Action::GrantCoupon { .. }
        | Action::Propose { .. }
        | Action::Approve { .. }
        | Action::Withdraw { .. } => crate::domain::charging::case::clip(&text, WORDS_MAX),
    }
}

/// Characters kept of a wish that people have written a reason into.
const WORDS_MAX: usize = 300;

fn of_lines(lines: &[super::request::Line]) -> String {
    lines.iter().map(|line| format!(", {} {}", line.account, line.amount.minor)).collect()
}

/// That the best one may be used is not said: which one it was is in the outcome.
fn of_coupon(coupon: Option<&CouponPick>) -> String {
    match coupon {
        Some(CouponPick::Named(id)) => format!(", coupon {id}"),
        Some(CouponPick::Best) | None => String::new(),
    }
}

/// What an outcome binds its cause to.
enum Binding {
    /// A refusal: nothing has happened, and the same cause may be tried again when there is money.
    Nothing,
    /// A payment that failed: it has happened, and the same transaction may still succeed.
    Again,
    /// Everything else happens once.
    Once,
}

fn binding(outcome: &Outcome) -> Binding {
    match outcome {
        Outcome::InsufficientFunds { .. } | Outcome::Blocked { .. } | Outcome::UnpaidOrder { .. } => Binding::Nothing,
        Outcome::TopUpFailed => Binding::Again,
        Outcome::Done
        | Outcome::Frozen { .. }
        | Outcome::Captured { .. }
        | Outcome::Released { .. }
        | Outcome::Refunded { .. }
        | Outcome::DebtPaid { .. }
        | Outcome::TopUpOpened { .. }
        | Outcome::Credited { .. }
        | Outcome::DoublePayment { .. }
        | Outcome::Proposed { .. }
        | Outcome::Adjusted { .. } => Binding::Once,
    }
}

fn once(mut draft: Draft<'_>, request: &Request) -> Decided {
    let (key, now) = (MemoKey::cause(&request.cause), words(&request.action));
    if let Some(Memo::Cause { wish, outcome }) = draft.memo(&key) {
        if *wish == now {
            return Ok(Decision::reply(Reply::Done(outcome.clone())));
        }
        let (cause, booked) = (request.cause.clone(), wish.clone());
        return Err(Rejection::CauseReused { cause, booked, now });
    }
    let outcome = act(&mut draft, request)?;
    match binding(&outcome) {
        Binding::Nothing => return Ok(Decision::reply(Reply::Done(outcome))),
        Binding::Again => return Ok(draft.finish(outcome)),
        Binding::Once => {}
    }
    draft.remember(key, Memo::Cause { wish: now, outcome: outcome.clone() });
    Ok(draft.finish(outcome))
}

fn act(draft: &mut Draft<'_>, request: &Request) -> Result<Outcome, Rejection> {
    let cause = &request.cause;
    match &request.action {
        Action::Open(owner) => {
            if draft.account.owner.is_none() {
                let at = draft.now;
                draft.happened(Event::Opened { owner: owner.clone(), at });
            }
            Ok(Outcome::Done)
        }
        Action::Freeze { hold, order, amount } => hold::freeze(draft, cause, hold, order, *amount),
        Action::Extend { hold, amount } => hold::extend(draft, cause, hold, *amount),
        Action::Capture { hold, amount, lines, coupon, keep } => {
            let bill = hold::Bill { amount: *amount, lines, coupon: coupon.as_ref() };
            hold::capture(draft, cause, hold, &bill, keep.as_ref())
        }
        Action::Charge { order, amount, lines, coupon } => {
            let bill = hold::Bill { amount: *amount, lines, coupon: coupon.as_ref() };
            hold::charge(draft, cause, order, &bill)
        }
        Action::Release { hold } => hold::release(draft, cause, hold),
        Action::Refund { order, amount } => debt::refund(draft, cause, order, *amount),
        Action::PayDebt { order, amount } => debt::pay(draft, cause, order, *amount),
        Action::OpenTopUp { amount } => top_up::open(draft, *amount),
        Action::Payment { payment, intent, amount, succeeded } => {
            top_up::payment(draft, cause, &top_up::Paid { payment, intent: *intent, amount: *amount }, *succeeded)
        }
        Action::SetCreditLimit { limit, by } => set_credit_limit(draft, *limit, by),
        Action::Block { reason, by } => {
            let block = Block { reason: reason.clone(), by: by.clone(), at: draft.now };
            draft.happened(Event::BlockSet { rule: Rule::Blacklist, block });
            draft.tell("account.blocked", json!({"rule": Rule::Blacklist, "told": Rule::Blacklist.told()}));
            Ok(Outcome::Done)
        }
        Action::Lift { rule, by } => lift(draft, *rule, by),
        Action::NoteFailedStart { .. } => {
            draft.note(Sign::FailedStart);
            Ok(Outcome::Done)
        }
        Action::GrantCoupon { coupon, by } => coupon_use::grant(draft, coupon, by),
        Action::Propose { amount, order, reason, by } => adjust::propose(draft, *amount, order.as_ref(), reason, by),
        Action::Approve { proposal, by } => adjust::approve(draft, cause, *proposal, by),
        Action::Withdraw { proposal, by } => adjust::withdraw(draft, *proposal, by),
    }
}

fn set_credit_limit(draft: &mut Draft<'_>, limit: Money, by: &str) -> Result<Outcome, Rejection> {
    let minor = draft.amount(limit, 0)?;
    if minor > draft.policy().credit_max {
        return Err(Rejection::Amount { given: limit, allowed: "at most accounts.credit_max is allowed" });
    }
    draft.happened(Event::CreditLimitSet { minor, by: by.into() });
    Ok(Outcome::Done)
}

fn lift(draft: &mut Draft<'_>, rule: Rule, by: &str) -> Result<Outcome, Rejection> {
    let known = draft.account.blocks.contains_key(&rule) || draft.account.reviews.contains_key(&rule);
    if !known {
        return Err(Rejection::NothingToLift(rule));
    }
    let blocked = draft.account.blocks.contains_key(&rule);
    draft.happened(Event::Lifted { rule, by: by.into() });
    if blocked {
        draft.tell("account.unblocked", json!({"rule": rule}));
    }
    Ok(Outcome::Done)
}
