//! Staying after the end, as an order of its own (SE-13): grace, warning, fee by the minute, cap, end.

use super::state::{Kind, Status};
use super::stay::Presence;
use super::{Charge, Event, OrderStep, ending, notices};
use crate::domain::charger;
use crate::domain::charging::Key;

/// Who is at the connector now.
pub(super) fn seen(step: &mut OrderStep<'_>, presence: Presence) {
    let going = matches!(step.state.status, Some(Status::Placed | Status::Open)) && step.state.bill.is_none();
    if !going || step.state.stay.is_none() {
        return;
    }
    let at = step.context.now;
    step.emit(Event::Seen { presence, at });
    if presence == Presence::Free {
        over(step);
    }
}

/// We were away: nobody pays for that time (RT-3).
pub(super) fn was_down(step: &mut OrderStep<'_>, from: crate::clock::Timestamp) {
    if step.state.stay.is_some() && step.state.bill.is_none() {
        step.emit(Event::Seen { presence: Presence::Unknown, at: from });
    }
}

/// The user is told that it will cost.
pub(super) fn warn(step: &mut OrderStep<'_>) {
    step.emit(Event::StayWarned);
    if step.state.stay.as_ref().is_some_and(|stay| stay.since.is_some()) {
        step.notify(&notices::OCCUPANCY_SOON);
    }
}

/// The grace time is over.
pub(super) fn grace_over(step: &mut OrderStep<'_>) {
    step.emit(Event::GraceOver);
    ending::become_(step, Status::Open);
}

/// The vehicle is gone, the cap is reached, or it has lasted too long.
pub(super) fn over(step: &mut OrderStep<'_>) {
    debug_assert_eq!(step.state.kind(), Kind::Occupancy);
    let now = step.context.now;
    let order = step.id;
    step.also(Key::Charger, charger::Command::Unwatch(order));
    let bill = step.state.stay.as_ref().map(|stay| stay.bill(now));
    match (step.state.status, bill) {
        (Some(Status::Placed), _) => ending::fail(step, "left_in_time"),
        (Some(Status::Open), Some(Ok(Some(bill)))) => {
            let charge = Charge { bill: Some(Box::new(bill)), doubts: Vec::new(), evidence: Box::default() };
            ending::charged(step, charge);
        }
        (_, Some(Ok(None) | Err(_)) | None) => ending::take(step, 0, None),
        (
            Some(Status::Failed | Status::UnderReview | Status::AwaitingPayment | Status::Paid | Status::Unpaid) | None,
            _,
        ) => {}
    }
}
