//! How a reservation ends, in one place for all causes: arrival, cancelling, no-show, complaint, trouble, no deposit
//! (RS-2 … RS-6). Owns the fee of each; the charger frees the connector in the same record.

use super::state::{Arrival, EndCause, Status, Terms};
use super::{CancelBy, Complaint, Event, Over, ReservationStep, deposit};
use crate::domain::charger;
use crate::domain::charging::{Case, Level, Rejection};
use crate::domain::money::{Currency, Money};
use crate::ids::{ConnectorId, SessionId};
use serde_json::{Value, json};
use std::time::Duration;

/// So much downtime of ours during a reservation, and nobody pays for not having come: less cannot have kept anybody from
/// starting (RT-3).
const DOWNTIME_WAIVES: Duration = Duration::from_secs(60);

/// The user came: a session begins in the same record (RS-3). The charger has freed the connector for it.
pub(super) fn arrived(step: &mut ReservationStep<'_>, session: SessionId, arrival: Arrival) {
    if step.state.status == Some(Status::Reserved) {
        end(step, Status::Fulfilled, EndCause::Arrived, Some((session, arrival)), Value::Null);
    }
}

/// Somebody gives it up.
pub(super) fn cancelled(step: &mut ReservationStep<'_>, by: &CancelBy) -> Result<(), Rejection> {
    let now = step.context.now;
    let in_time = step.state.terms.is_none_or(|terms| now <= terms.free_until);
    match (step.state.status, by) {
        (None, _) => return Err(Rejection::ReservationUnknown),
        (Some(Status::Cancelled), _) => return Ok(()),
        (Some(Status::Failed | Status::Fulfilled | Status::NoShow | Status::Disputed), _) => {
            return Err(Rejection::ReservationOver);
        }
        // The vehicle is being started: it is too late to give up, and there is nothing to gain.
        (Some(Status::Reserved), CancelBy::Partner) if step.state.arriving.is_some() => {
            return Err(Rejection::ReservationArriving);
        }
        (Some(Status::PendingPayment), _) => unpaid(step, EndCause::GivenUpUnpaid),
        (Some(Status::Reserved), CancelBy::Operator(who)) => {
            let text = format!("operator {who} gave it up");
            let case = Case::alert(Level::Info, "reservation_cancelled", subject(step), text);
            step.raise(case);
            end(step, Status::Cancelled, EndCause::CancelledByOperator, None, Value::Null);
            free(step, None);
        }
        (Some(Status::Reserved), CancelBy::Partner) => {
            let cause = if in_time { EndCause::CancelledInTime } else { EndCause::CancelledLate };
            end(step, Status::Cancelled, cause, None, Value::Null);
            free(step, None);
        }
    }
    Ok(())
}

/// The user did not come (RS-4).
pub(super) fn missed(step: &mut ReservationStep<'_>) {
    if step.state.status == Some(Status::Reserved) && step.state.arriving.is_none() {
        end(step, Status::NoShow, EndCause::NoShow, None, Value::Null);
        free(step, None);
    }
}

/// The user complains: cancelled, all of it returned, a ticket with what the charger knows (RS-5).
pub(super) fn disputed(step: &mut ReservationStep<'_>, complaint: Complaint) -> Result<(), Rejection> {
    match step.state.status {
        None => Err(Rejection::ReservationUnknown),
        Some(Status::Disputed) => Ok(()),
        Some(Status::PendingPayment) => Err(Rejection::ReservationUnpaid),
        Some(Status::Failed | Status::Fulfilled | Status::Cancelled | Status::NoShow) => {
            Err(Rejection::ReservationOver)
        }
        Some(Status::Reserved) => {
            end(step, Status::Disputed, EndCause::Complaint, None, json!({"complaint": complaint.grievance}));
            free(step, Some(complaint));
            Ok(())
        }
    }
}

/// The charger or connector failed the user (RS-6).
pub(super) fn troubled(step: &mut ReservationStep<'_>, cause: EndCause, alternative: Option<ConnectorId>) {
    let charger = step.context.partition;
    let offer = alternative.map(|at| json!({"alternatives": [{"charger_id": charger, "connector_id": at}]}));
    match step.state.status {
        Some(Status::PendingPayment) => unpaid(step, cause),
        Some(Status::Reserved) => {
            end(step, Status::Cancelled, cause, None, offer.unwrap_or_default());
            free(step, None);
        }
        Some(Status::Failed | Status::Fulfilled | Status::Cancelled | Status::NoShow | Status::Disputed) | None => {}
    }
}

/// The deposit is not there, and will not be waited for.
pub(super) fn unpaid(step: &mut ReservationStep<'_>, cause: EndCause) {
    if step.state.status == Some(Status::PendingPayment) {
        end(step, Status::Failed, cause, None, Value::Null);
        free(step, None);
    }
}

/// The account refused to take the fee or to give the rest back: a person must see why. It is asked again all the same.
pub(super) fn unsettled(step: &mut ReservationStep<'_>, code: &str) {
    let text = format!("the account refused to settle the deposit: {}", code.escape_debug());
    let case = Case::alert(Level::Critical, "deposit_unsettled", subject(step), text);
    step.raise(case.ticket("settle the deposit by hand: take the fee, give the rest back"));
    step.emit(Event::AccountAnswered { deposit: super::Deposit::None });
}

fn subject(step: &ReservationStep<'_>) -> String {
    format!("reservation/{}", step.id)
}

/// The kind of the notice that tells a state.
pub(super) const fn kind_of(status: Status) -> &'static str {
    match status {
        Status::PendingPayment => "reservation.pending",
        Status::Reserved => "reservation.reserved",
        Status::Failed => "reservation.failed",
        Status::Fulfilled => "reservation.fulfilled",
        Status::Cancelled => "reservation.cancelled",
        Status::NoShow => "reservation.no_show",
        Status::Disputed => "reservation.disputed",
    }
}

fn end(
    step: &mut ReservationStep<'_>,
    status: Status,
    cause: EndCause,
    arrival: Option<(SessionId, Arrival)>,
    extra: Value,
) {
    let at = step.context.now;
    let fee = deposit::bounded(step, fee_of(step, cause));
    let (session, arrival) = (arrival.map(|(session, _)| session), arrival.map(|(_, how)| how));
    step.emit(Event::Over(Over { status, cause, at, fee, session, arrival }));
    step.tell(kind_of(status), extra);
    deposit::settle(step);
}

/// What an end costs, by the terms that were shown.
fn fee_of(step: &ReservationStep<'_>, cause: EndCause) -> Money {
    let Some(terms) = step.state.terms else { return Money::zero(Currency::CNY) };
    match cause {
        EndCause::CancelledLate => terms.late_cancel_fee,
        EndCause::NoShow if was_up(step) => terms.no_show_fee,
        EndCause::NoShow
        | EndCause::Arrived
        | EndCause::CancelledInTime
        | EndCause::CancelledByOperator
        | EndCause::Complaint
        | EndCause::DepositRefused
        | EndCause::DepositLate
        | EndCause::GivenUpUnpaid
        | EndCause::ChargerOffline
        | EndCause::ChargerFaulted
        | EndCause::ChargerUnavailable
        | EndCause::ConnectorFaulted
        | EndCause::ConnectorUnavailable
        | EndCause::ConnectorOccupied => free_of(terms),
    }
}

fn free_of(terms: Terms) -> Money {
    Money::zero(terms.deposit.currency)
}

/// Nobody pays a no-show for time in which we were down (RT-3).
fn was_up(step: &ReservationStep<'_>) -> bool {
    Duration::from_millis(step.state.down_ms) < DOWNTIME_WAIVES
}

/// The connector is free again, in the same record.
fn free(step: &mut ReservationStep<'_>, complaint: Option<Complaint>) {
    let reservation = step.id;
    step.tell_charger(charger::Command::FreeHold { reservation, complaint });
}
