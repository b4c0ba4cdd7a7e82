//! The deposit of a reservation: set aside first, settled at the end, asked for again until the account has answered
//! (RS-1, RS-3, MO-4). Owns the steps and their causes; never a balance.

use super::state::{Deposit, EndCause, Status};
use super::{Event, ReservationStep, confirm, ending};
use crate::domain::charging::Effect;
use crate::domain::charging::purse::{AccountOutcome, AccountRef, AccountRequest, Income};
use crate::domain::money::Money;
use crate::ids::ReservationId;
use std::time::Duration;

/// How long an account is given to answer before it is asked again. It is in this process: a second is much already.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// The name of a reservation's freeze.
pub(super) fn freeze_cause(id: ReservationId) -> Box<str> {
    format!("reservation/{id}/deposit").into()
}

/// The name of its settling.
pub(super) fn settle_cause(id: ReservationId) -> Box<str> {
    format!("reservation/{id}/settle").into()
}

/// Asks the account to set the deposit aside.
pub(super) fn freeze(step: &mut ReservationStep<'_>) {
    let Some(terms) = step.state.terms else { return };
    let cause = freeze_cause(step.id);
    ask(step, Deposit::Asked, AccountRequest::Freeze { cause, amount: terms.deposit });
}

/// It is over: takes the fee, gives the rest back. A freeze whose answer never came is given back as well.
pub(super) fn settle(step: &mut ReservationStep<'_>) {
    let (cause, freeze) = (settle_cause(step.id), freeze_cause(step.id));
    let fee = step.state.fee.filter(|fee| fee.minor > 0);
    match (step.state.deposit, fee) {
        (Deposit::None, _) => {}
        (Deposit::Asked | Deposit::Frozen | Deposit::Settling, None) => {
            ask(step, Deposit::Settling, AccountRequest::Release { cause, freeze });
        }
        (Deposit::Asked | Deposit::Frozen | Deposit::Settling, Some(amount)) => {
            let lines = vec![(Income::Reservation, amount)];
            ask(
                step,
                Deposit::Settling,
                AccountRequest::Capture { cause, freeze, amount, lines, keep: None, coupon: false },
            );
        }
    }
}

fn ask(step: &mut ReservationStep<'_>, deposit: Deposit, request: AccountRequest) {
    let (Some(partner), Some(user)) = (step.state.partner.clone(), step.state.user.clone()) else { return };
    let again = step.context.now + ASK_AGAIN;
    let repeat = step.state.deposit == deposit;
    step.emit(Event::AccountAsked { deposit, again, repeat });
    let account = AccountRef { partner, user, sealed: step.state.sealed.clone() };
    step.effect(Effect::AskAccount { account, request });
}

/// No answer yet, or we have restarted.
pub(super) fn ask_again(step: &mut ReservationStep<'_>) {
    match step.state.deposit {
        Deposit::Asked => freeze(step),
        Deposit::Settling => settle(step),
        Deposit::None | Deposit::Frozen => {}
    }
}

/// The account has answered. An answer to what is no longer asked changes nothing.
pub(super) fn answered(step: &mut ReservationStep<'_>, cause: &str, outcome: AccountOutcome) {
    let about_freeze = *cause == *freeze_cause(step.id) && step.state.deposit == Deposit::Asked;
    let about_end = *cause == *settle_cause(step.id) && step.state.deposit == Deposit::Settling;
    match outcome {
        AccountOutcome::Done if about_freeze => {
            step.emit(Event::AccountAnswered { deposit: Deposit::Frozen });
            if step.state.status == Some(Status::PendingPayment) {
                confirm(step);
            }
        }
        // It is released all the same: the same freeze may have been asked twice, and be granted the second time.
        AccountOutcome::Refused(_) if about_freeze => ending::unpaid(step, EndCause::DepositRefused),
        AccountOutcome::Done | AccountOutcome::Captured { .. } if about_end => {
            step.emit(Event::AccountAnswered { deposit: Deposit::None })
        }
        AccountOutcome::Refused(code) if about_end => ending::unsettled(step, &code),
        // Asked again when its time comes.
        AccountOutcome::Unavailable
        | AccountOutcome::Done
        | AccountOutcome::Captured { .. }
        | AccountOutcome::DebtPaid { .. }
        | AccountOutcome::Refused(_) => {}
    }
}

/// What is taken at the most: what was set aside; of a partner that settles itself, the fee that was shown.
pub(super) fn bounded(step: &ReservationStep<'_>, fee: Money) -> Money {
    match (step.state.account, step.state.terms) {
        (true, Some(terms)) => fee.min(terms.deposit).unwrap_or(fee),
        (true, None) | (false, _) => fee,
    }
}
