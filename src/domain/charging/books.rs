//! Between what a charger's partition asks and what an account understands. Owns the translation, both ways; no rule.

use super::purse::{AccountOutcome, AccountRequest, Income, Keep};
use crate::domain::account::{self, Action, CouponPick, Outcome, Request};
use crate::domain::ledger::{Cause, InvalidName, LedgerAccount, OrderId};
use crate::domain::money::Money;

/// The order's name in the books: the first two parts of its freeze's.
fn order(freeze: &str) -> Result<OrderId, InvalidName> {
    let end = freeze.match_indices('/').nth(1).map_or(freeze.len(), |(place, _)| place);
    freeze.get(..end).unwrap_or(freeze).parse()
}

fn lines(lines: Vec<(Income, Money)>) -> Vec<account::Line> {
    let line = |(income, amount)| {
        let account = match income {
            Income::Electricity => LedgerAccount::RevenueEnergy,
            Income::Service => LedgerAccount::RevenueService,
            Income::Occupancy => LedgerAccount::RevenueOccupancy,
            Income::Reservation => LedgerAccount::RevenueReservation,
        };
        account::Line { account, amount }
    };
    lines.into_iter().map(line).collect()
}

fn keep(keep: Keep) -> Result<account::Keep, InvalidName> {
    Ok(account::Keep { hold: keep.freeze.parse()?, order: order(&keep.freeze)?, amount: keep.amount })
}

/// What an account is asked.
///
/// # Errors
/// When a name is none: a defect of who asks.
pub fn request(asked: AccountRequest) -> Result<Request, InvalidName> {
    let cause: Cause = asked.cause().parse()?;
    let action = match asked {
        AccountRequest::Freeze { cause, amount } => {
            Action::Freeze { hold: cause.parse()?, order: order(&cause)?, amount }
        }
        AccountRequest::Extend { freeze, amount, .. } => Action::Extend { hold: freeze.parse()?, amount },
        AccountRequest::Capture { freeze, amount, lines: parts, keep: kept, coupon, .. } => Action::Capture {
            hold: freeze.parse()?,
            amount,
            lines: lines(parts),
            coupon: coupon.then_some(CouponPick::Best),
            keep: kept.map(keep).transpose()?,
        },
        AccountRequest::Charge { freeze, amount, lines: parts, coupon, .. } => {
            let coupon = coupon.then_some(CouponPick::Best);
            Action::Charge { order: order(&freeze)?, amount, lines: lines(parts), coupon }
        }
        AccountRequest::Release { freeze, .. } => Action::Release { hold: freeze.parse()? },
        AccountRequest::PayDebt { freeze, amount, .. } => Action::PayDebt { order: order(&freeze)?, amount },
        AccountRequest::Refund { freeze, amount, .. } => Action::Refund { order: order(&freeze)?, amount },
        AccountRequest::NoteFailedStart { freeze, .. } => Action::NoteFailedStart { order: order(&freeze)? },
    };
    Ok(Request::new(cause, action))
}

/// What it answered.
pub fn outcome(outcome: &Outcome) -> AccountOutcome {
    match outcome {
        Outcome::Captured { taken, debt, kept, discount, used, .. } => AccountOutcome::Captured {
            taken: *taken,
            debt: *debt,
            kept: *kept,
            discount: *discount,
            coupon: used.as_ref().map(|id| id.as_str().into()),
        },
        Outcome::DebtPaid { left, .. } => AccountOutcome::DebtPaid { left: *left },
        Outcome::InsufficientFunds { .. } => AccountOutcome::Refused("insufficient_funds".into()),
        Outcome::Blocked { .. } => AccountOutcome::Refused("user_blocked".into()),
        Outcome::UnpaidOrder { .. } => AccountOutcome::Refused("unpaid_order".into()),
        Outcome::Done
        | Outcome::Frozen { .. }
        | Outcome::Released { .. }
        | Outcome::Refunded { .. }
        | Outcome::TopUpOpened { .. }
        | Outcome::Credited { .. }
        | Outcome::DoublePayment { .. }
        | Outcome::TopUpFailed
        | Outcome::Proposed { .. }
        | Outcome::Adjusted { .. } => AccountOutcome::Done,
    }
}

/// What a request that can never be done is called.
pub fn refusal(rejection: &account::Rejection) -> AccountOutcome {
    let code = match rejection {
        account::Rejection::NoDebt(_) => "no_debt",
        account::Rejection::HoldClosed(_) => "hold_closed",
        account::Rejection::UnknownHold(_) => "hold_unknown",
        account::Rejection::RefundTooLarge { .. } => "refund_too_large",
        account::Rejection::WrongCurrency { .. } => "wrong_currency",
        account::Rejection::Amount { .. } => "amount",
        account::Rejection::Limit { .. } => "account_limit",
        account::Rejection::CauseReused { .. }
        | account::Rejection::Lines(_)
        | account::Rejection::HoldExists(_)
        | account::Rejection::UnknownIntent(_)
        | account::Rejection::PaymentCause
        | account::Rejection::CouponExists(_)
        | account::Rejection::Coupon(_)
        | account::Rejection::UnknownProposal(_)
        | account::Rejection::SamePerson(_)
        | account::Rejection::AdjustmentTooLarge { .. }
        | account::Rejection::NothingToLift(_)
        | account::Rejection::Posting(_)
        | account::Rejection::Name(_) => "account_defect",
    };
    AccountOutcome::Refused(code.into())
}
