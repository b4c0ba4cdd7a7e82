//! How a session begins, or does not: placed, begun, refused, given up, begun late (SE-1, SE-4, SE-5).

use super::event::{Began, Placed};
use super::state::{Beginning, Failure, Flag, Patience, Status, StopCause};
use super::{Event, SessionStep, Shown, pricing, stopping};
use crate::domain::charger::{self, Opening};
use crate::domain::charging::{Case, Level, Rejection};
use crate::domain::order;
use std::time::Duration;

/// The least time that a start is given: less cannot reach a charger and come back.
const DEADLINE_MIN: Duration = Duration::from_secs(5);

/// A partner has asked for it.
pub(super) fn place(step: &mut SessionStep<'_>, opening: Opening, shown: Option<Shown>) -> Result<(), Rejection> {
    if step.state.status.is_some() {
        return Err(Rejection::SessionExists);
    }
    let at = step.context.now;
    let ours = step.context.ambient.policy.session.start_deadline;
    let deadline = opening.deadline.map_or(ours, |asked| asked.clamp(DEADLINE_MIN.min(ours), ours));
    let Opening { request, partner, connector, user, sealed, limits, reservation, .. } = opening;
    let start_due = at + deadline;
    step.emit(Event::Placed(Placed {
        partner,
        request,
        user,
        sealed,
        connector,
        limits,
        at,
        start_due,
        reservation,
        shown,
    }));
    pricing::placed(step);
    Ok(())
}

/// It will not begin: the charger said so, or is gone, or somebody else was first.
pub(super) fn refused(step: &mut SessionStep<'_>, failure: Failure) {
    if step.state.status == Some(Status::Starting) {
        fail(step, failure);
    }
}

/// No transaction began in time.
pub(super) fn deadline(step: &mut SessionStep<'_>) {
    if step.state.status == Some(Status::Starting) {
        fail(step, Failure::no_confirmation());
    }
}

fn fail(step: &mut SessionStep<'_>, failure: Failure) {
    let limits = &step.context.ambient.policy.session;
    let (remember, cancelled) = (!failure.unsent, failure.unsent);
    let forget_due = step.context.now + if remember { limits.late_window } else { limits.linger };
    let code = failure.code.clone();
    step.emit(Event::Failed { failure, forget_due });
    step.tell_order(order::Command::StartFailed { code });
    stopping::tell_result(step, true, None);
    step.tell("session.failed");
    let session = step.id;
    step.tell_charger(charger::Command::Release { session, remember, start_failed: !cancelled });
}

/// Its transaction has begun.
pub(super) fn began(step: &mut SessionStep<'_>, beginning: Beginning, deauthorised: bool) {
    if step.state.transaction.is_some() {
        return;
    }
    let backlog = beginning.at.is_backlog(step.context.now, &step.context.ambient.policy.charger);
    let local = step.state.status.is_none();
    begin(step, beginning, false);
    if local {
        pricing::placed(step);
    }
    step.tell_order(order::Command::Began);
    if deauthorised {
        step.flag(Flag::DeAuthorized);
    }
    step.tell("session.started");
    let wanted = step.state.stop.is_some();
    if deauthorised {
        stop_begun(step, StopCause::DeAuthorized, backlog);
    } else if wanted {
        stopping::carry_out(step);
    }
}

/// Its transaction has begun though it had failed: no ghost, no second order (SE-5).
pub(super) fn began_late(step: &mut SessionStep<'_>, beginning: Beginning) {
    if step.state.transaction.is_some() {
        return;
    }
    let backlog = beginning.at.is_backlog(step.context.now, &step.context.ambient.policy.charger);
    let transaction = beginning.transaction;
    let known = step.state.status.is_some();
    begin(step, beginning, known);
    step.flag(Flag::LateStart);
    let text = format!("transaction {transaction} began after its session had failed; it is being stopped");
    let case = Case::alert(Level::Warning, "late_start", step.subject(), text);
    step.raise(
        case.ticket("see that it stopped; its consumption is recorded and must not be charged to the user twice"),
    );
    step.tell("session.updated");
    stop_begun(step, StopCause::LateStart, backlog);
}

/// The charger tells its start again, at another register. The first stands: it is what the partner was told; a person
/// sees both.
pub(super) fn contradicted(step: &mut SessionStep<'_>, meter_start_wh: i64) {
    // One that is put away has been settled; its start is recognised all the same.
    if step.state.status.is_none() || step.state.flags.has(Flag::StartContradicted) {
        return;
    }
    step.flag(Flag::StartContradicted);
    let first = step.state.meter_start_wh;
    let text = format!("its start was told twice: at register {first} Wh, which counts, and at {meter_start_wh} Wh");
    let case = Case::alert(Level::Warning, "start_contradicted", step.subject(), text);
    step.raise(case.ticket("compare with the charger's meter and settle by hand if the second was right"));
}

/// Stops what should not have begun. Where it began long ago its stop is probably on the way behind it (CH-7).
fn stop_begun(step: &mut SessionStep<'_>, cause: StopCause, backlog: bool) {
    let grace = step.context.now + step.context.ambient.policy.charger.backlog_grace;
    stopping::stop_for(step, cause, backlog.then_some(grace));
}

fn begin(step: &mut SessionStep<'_>, beginning: Beginning, late: bool) {
    let received = step.context.now;
    let policy = step.context.ambient.policy.clone();
    let plausible = beginning.at.plausible(received, &policy.charger);
    let started_at = plausible.unwrap_or(received);
    let duration = step.state.limits.duration_s.map(|s| Duration::from_secs(u64::from(s)));
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let patience = Patience {
        missed_ms: millis(policy.missed_after()),
        settle_ms: millis(policy.session.settle_after),
        vanished_ms: millis(policy.session.vanished_after),
    };
    let backlog = beginning.at.is_backlog(received, &policy.charger);
    step.emit(Event::Began(Began {
        transaction: beginning.transaction,
        connector: beginning.connector,
        meter_start_wh: beginning.meter_start_wh,
        started_at,
        received,
        raw_at: plausible.is_none().then_some(beginning.at.raw),
        told_at: beginning.at.at.filter(|_| plausible.is_none()),
        owner: beginning.owner,
        late,
        patience,
        // A backlog's times are over already; what counts is how long it runs from now.
        max_due: received + policy.session.max_duration,
        duration_due: duration.map(|duration| received + duration),
        reservation: beginning.reservation,
        shown: beginning.shown,
    }));
    if plausible.is_none() {
        step.flag(Flag::ClockImplausible);
    }
    if beginning.meter_start_wh < 0 {
        step.flag(Flag::EnergyImplausible);
    }
    if backlog {
        step.flag(Flag::Backlog);
    }
    beginning.flags.into_iter().for_each(|flag| step.flag(flag));
}
