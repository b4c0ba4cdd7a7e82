//! How a running session is stopped: tried, tried again, pending, tried on reconnect; whoever asked is told once
//! (SE-4, SE-7, SE-10).

use super::state::{Flag, Status, StopCause};
use super::{Event, SessionStep, StopBy};
use crate::clock::Timestamp;
use crate::domain::charger::{self, Outcome};
use crate::domain::charging::{Case, Level, Rejection, Reply};

/// A person or partner wants it stopped.
pub(super) fn asked(step: &mut SessionStep<'_>, by: StopBy) -> Result<Reply, Rejection> {
    let (cause, request, by) = match by {
        StopBy::Partner(request) => (StopCause::Partner, Some(request), None),
        StopBy::Operator(name) => (StopCause::Operator, None, Some(name)),
    };
    match step.state.status {
        None => return Err(Rejection::SessionUnknown),
        Some(Status::Ended | Status::Failed) if !step.state.is_running() => return Err(Rejection::SessionOver),
        Some(
            Status::Starting
            | Status::Charging
            | Status::StopPending
            | Status::Abnormal
            | Status::Ended
            | Status::Failed,
        ) => {}
    }
    let online = step.context.ambient.online;
    let first = step.state.stop.is_none();
    step.emit(Event::StopRequested { cause, by, request, next_due: None });
    if step.state.status == Some(Status::Starting) {
        let session = step.id;
        step.tell_charger(charger::Command::CancelStart(session));
    } else if !online {
        wait_for_charger(step);
    } else if first || step.state.stop.as_ref().is_some_and(|stop| stop.next_due.is_none()) {
        attempt(step);
    } else if step.state.status == Some(Status::StopPending) {
        // Somebody asks again: that is worth more than the slow retry.
        step.emit(Event::StopDeferred { next_due: None });
        attempt(step);
    }
    let status = step.state.status.unwrap_or(Status::Ended);
    Ok(Reply::StopTaken { status, online })
}

/// The rules want it stopped: now, or at a time.
pub(super) fn stop_for(step: &mut SessionStep<'_>, cause: StopCause, at: Option<Timestamp>) {
    let first = step.state.stop.is_none();
    step.emit(Event::StopRequested { cause, by: None, request: None, next_due: at });
    if first && at.is_none() {
        carry_out(step);
    }
}

/// Carries out a stop that is wanted.
pub(super) fn carry_out(step: &mut SessionStep<'_>) {
    match step.context.ambient.online {
        true => attempt(step),
        false => wait_for_charger(step),
    }
}

fn attempt(step: &mut SessionStep<'_>) {
    let Some(stop) = &step.state.stop else { return };
    let attempt = stop.attempts.saturating_add(1);
    let limits = &step.context.ambient.policy.session;
    let slowly = stop.attempts > limits.stop_attempts;
    let next_due = step.context.now + if slowly { limits.stop_pending_retry } else { limits.stop_retry };
    step.emit(Event::StopTried { attempt, next_due });
    let session = step.id;
    step.tell_charger(charger::Command::StopTransaction(session));
}

/// The charger cannot be told now: it is stopped when it is back, and whoever asked knows at once (SE-7).
fn wait_for_charger(step: &mut SessionStep<'_>) {
    step.emit(Event::StopDeferred { next_due: None });
    tell_result(step, false, Some("charger_offline"));
    pend(step);
}

fn pend(step: &mut SessionStep<'_>) {
    match step.state.status {
        Some(Status::Charging) => {
            step.emit(Event::StopPended);
            step.tell("session.updated");
        }
        Some(Status::Starting | Status::StopPending | Status::Ended | Status::Failed | Status::Abnormal) | None => {}
    }
}

/// The stop has not ended the transaction in time.
pub(super) fn retry(step: &mut SessionStep<'_>) {
    let Some(stop) = step.state.stop.clone() else { return };
    if !step.context.ambient.online {
        wait_for_charger(step);
        return;
    }
    let limits = &step.context.ambient.policy.session;
    if stop.attempts != limits.stop_attempts {
        attempt(step);
        return;
    }
    let next_due = Some(step.context.now + limits.stop_pending_retry);
    step.emit(Event::StopDeferred { next_due });
    tell_result(step, false, Some("not_confirmed"));
    let text = format!("{} stops were sent and the transaction still runs", stop.attempts);
    let subject = step.subject();
    step.raise(Case::alert(Level::Critical, "stop_not_confirmed", subject, text));
    pend(step);
}

/// The charger is back: what should not run is stopped again (SE-7).
pub(super) fn reconnected(step: &mut SessionStep<'_>) {
    if step.state.is_running() && step.state.stop.is_some() {
        step.emit(Event::StopDeferred { next_due: None });
        attempt(step);
    }
}

/// The stop command is over. Accepted is not ended: the retry stays armed.
pub(super) fn answered(step: &mut SessionStep<'_>, outcome: &Outcome) {
    if !step.state.is_running() {
        return;
    }
    match outcome {
        Outcome::Answered { accepted: true, .. } => tell_result(step, true, None),
        Outcome::Answered { accepted: false, .. } | Outcome::CallError { .. } => {
            tell_result(step, false, Some("charger_refused"));
        }
        Outcome::Offline => wait_for_charger(step),
        Outcome::TimedOut | Outcome::LinkLost | Outcome::Moot => {}
    }
}

/// Tells whoever awaits the stop's result, once.
pub(super) fn tell_result(step: &mut SessionStep<'_>, accepted: bool, code: Option<&str>) {
    let requests = step.state.stop.as_ref().map(|stop| stop.requests.clone()).unwrap_or_default();
    if requests.is_empty() {
        return;
    }
    let session_id = step.id;
    for request in requests {
        let mut data = serde_json::json!({"session_id": session_id, "request_id": request, "accepted": accepted});
        if let (Some(code), Some(members)) = (code, data.as_object_mut()) {
            members.insert("code".to_owned(), code.into());
        }
        step.tell_with("session.stop_result", data);
    }
    step.emit(Event::StopResultTold);
}

/// It has lasted too long (SE-10).
pub(super) fn too_long(step: &mut SessionStep<'_>) {
    let hours = step.context.ambient.policy.session.max_duration.as_secs() / 3600;
    abnormal(step, "session_too_long", &format!("it has lasted longer than {hours} h"));
    step.flag(Flag::TooLong);
    stop_for(step, StopCause::TooLong, None);
}

/// Something is wrong with it: a person must look, its partner knows.
pub(super) fn abnormal(step: &mut SessionStep<'_>, code: &str, text: &str) {
    step.emit(Event::BecameAbnormal);
    let case = Case::alert(Level::Critical, code, step.subject(), text.to_owned());
    step.raise(case.ticket("find out whether the vehicle still charges; stop it or settle by hand"));
    step.tell("session.updated");
}
