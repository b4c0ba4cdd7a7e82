//! The queue of commands to one charger: bounded, one outstanding, journaled as intended before it is sent, never
//! silently dropped (CH-2, CH-6, I12).

use super::calls::Outcome;
use super::state::{BootPolicy, Charger, Done, Link, Pending, Sent};
use super::{Call, ChargerStep, Event, Purpose, Told, answers, care, check, local_list, lock, security, sessions};
use crate::clock::Timestamp;
use crate::domain::charging::case::clip;
use crate::domain::charging::{Effect, Rejection, Reply};
use crate::ids::CommandId;
use std::time::Duration;

/// Places of the queue that only the rules' own commands may take, so that operators cannot keep a stop out (OP-10).
const KEPT_FREE: usize = 4;

/// Characters of an answer that are kept. Most are below 100; a configuration of 200 keys or a composite schedule of a
/// day needs some 20,000, which the store keeps in pieces.
const PAYLOAD_MAX: usize = 65_536;

/// The same of an answer to the rules' own commands, which nobody asks for: what matters of it is in events of its own.
const OWN_PAYLOAD_MAX: usize = 512;

/// An operator's command.
pub(super) fn enqueue(step: &mut ChargerStep<'_>, id: CommandId, call: Call, by: &str) -> Result<Reply, Rejection> {
    let charger = &step.state;
    let Some(registration) = &charger.registration else { return Err(Rejection::ChargerUnknown) };
    if !step.context.ambient.online || charger.generation().is_none() {
        return Err(Rejection::ChargerOffline);
    }
    // A pending charger may be configured, and not more (OCPP 1.6 4.2).
    let starts = matches!(call, Call::RemoteStart { .. });
    if registration.boot == BootPolicy::Rejected || (starts && !charger.is_accepted()) {
        return Err(Rejection::ChargerNotAccepted);
    }
    if !check(&call, charger, &step.context.ambient.policy.charger, step.context.now).is_empty() {
        return Err(Rejection::CommandRefused);
    }
    if charger.queue.iter().any(|pending| pending.id == id) || charger.finished.iter().any(|f| f.id == id) {
        return Err(Rejection::CommandExists);
    }
    if !has_room(step) {
        return Err(Rejection::CommandQueueFull);
    }
    security::asked(step, &call)?;
    let (now, purpose) = (step.context.now, Purpose::Operator(clip(by, super::state::TEXT_MAX)));
    let pending = Pending { id, call, purpose, queued_at: now, not_before: now, sent: None };
    step.emit(Event::CommandQueued(pending));
    Ok(Reply::Queued(id))
}

/// Whether a command that somebody asked for still has room.
pub(super) fn has_room(step: &ChargerStep<'_>) -> bool {
    let limit = usize::from(step.context.ambient.policy.charger.command_queue);
    step.state.queue.len() + KEPT_FREE < limit.max(KEPT_FREE + 1)
}

/// A command of the rules themselves. Past the bound, or without a connection, a system command is not queued: the next boot or reconnect asks
/// again; stops and starts are bounded by the number of live sessions.
pub(super) fn push(step: &mut ChargerStep<'_>, call: Call, purpose: Purpose, not_before: Timestamp) {
    let limit = usize::from(step.context.ambient.policy.charger.command_queue);
    let pointless = step.state.queue.len() >= limit || step.state.generation().is_none();
    if purpose == Purpose::System && pointless {
        return;
    }
    let id = CommandId(step.context.uuid(mint(step)));
    let queued_at = step.context.now;
    step.emit(Event::CommandQueued(Pending { id, call, purpose, queued_at, not_before, sent: None }));
}

/// A number that is fresh within this step.
pub(super) fn mint(step: &mut ChargerStep<'_>) -> u16 {
    let count = step.state.minted.wrapping_add(1);
    step.emit(Event::Minted { count });
    count
}

/// When the next command may be sent, if one waits and none is outstanding.
pub(super) fn pump_due(charger: &Charger) -> Option<Timestamp> {
    let Link::Up { ready_at, .. } = charger.link else { return None };
    let earliest = charger.queue.iter().map(|pending| pending.not_before).min()?;
    charger.in_flight().is_none().then(|| earliest.max(ready_at))
}

/// Whether a fresh connection may be called at `now`. A wait that is longer than such waits can be (`longest`) has been made so
/// by a clock that was put back: it is over.
fn is_ready(ready_at: Timestamp, now: Timestamp, longest: Duration) -> bool {
    ready_at <= now || ready_at > now + longest
}

/// Whether a command's time has come. One that was queued later than now waits for nothing: the clock was put back.
fn has_come(pending: &Pending, now: Timestamp) -> bool {
    pending.not_before <= now || pending.queued_at > now
}

/// Sends the next command if it may be sent: the first in line whose time has come.
pub(super) fn pump(step: &mut ChargerStep<'_>) {
    let (now, limits) = (step.context.now, &step.context.ambient.policy.charger);
    let longest = limits.first_call_delay.max(limits.answer_lead);
    let Link::Up { generation, ready_at, .. } = step.state.link else { return };
    if step.state.in_flight().is_some() || !is_ready(ready_at, now, longest) {
        return;
    }
    let Some(next) = step.state.queue.iter().find(|pending| has_come(pending, now)) else { return };
    let (id, call) = (next.id, next.call.clone());
    let timeout = step.context.ambient.policy.charger.call_timeout;
    let due = now + timeout;
    step.emit(Event::CommandSent { id, sent: Sent { generation, due } });
    local_list::sent(step, &call);
    step.effect(Effect::SendCall { command_id: id, generation, call, timeout });
}

/// A CALL is over: by an answer, or because the shell could not deliver it.
pub(super) fn answered(step: &mut ChargerStep<'_>, id: CommandId, generation: u64, outcome: Outcome, told: Told) {
    let outstanding = step.state.queue.iter().find(|pending| pending.id == id).cloned();
    match outstanding {
        Some(pending) if pending.sent.as_ref().is_some_and(|sent| sent.generation == generation) => {
            let outcome = bounded(outcome, &pending.purpose);
            finish(step, &pending, outcome.clone());
            answers::over(step, &pending, &outcome, told);
        }
        // Of a connection that is gone: that command waits again or is over.
        Some(_) => {}
        None => late(step, id, outcome),
    }
}

fn late(step: &mut ChargerStep<'_>, id: CommandId, outcome: Outcome) {
    let Some(finished) = step.state.finished.iter().find(|f| f.id == id && !f.answered).cloned() else { return };
    match outcome {
        Outcome::Answered { .. } | Outcome::CallError { .. } => {}
        Outcome::TimedOut | Outcome::LinkLost | Outcome::Offline | Outcome::Moot => return,
    }
    let (at, outcome) = (step.context.now, bounded(outcome, &finished.purpose));
    step.emit(Event::CommandAnsweredLate(Done {
        id,
        at,
        outcome: outcome.clone(),
        operator: finished.purpose.is_operator(),
    }));
    sessions::command_over(step, &finished.purpose, &outcome);
    if *finished.action == *"SendLocalList" {
        local_list::answered_late(step);
    }
}

fn bounded(outcome: Outcome, purpose: &Purpose) -> Outcome {
    let max = if purpose.is_operator() { PAYLOAD_MAX } else { OWN_PAYLOAD_MAX };
    match outcome {
        Outcome::Answered { accepted, payload } => Outcome::Answered { accepted, payload: clip(&payload, max) },
        Outcome::CallError { code, description } => {
            Outcome::CallError { code: clip(&code, super::state::TEXT_MAX), description: clip(&description, 255) }
        }
        Outcome::TimedOut => Outcome::TimedOut,
        Outcome::LinkLost => Outcome::LinkLost,
        Outcome::Offline => Outcome::Offline,
        Outcome::Moot => Outcome::Moot,
    }
}

/// Ends a command and tells whom it was for.
pub(super) fn finish(step: &mut ChargerStep<'_>, pending: &Pending, outcome: Outcome) {
    let at = step.context.now;
    step.emit(Event::CommandDone(Done {
        id: pending.id,
        at,
        outcome: outcome.clone(),
        operator: pending.purpose.is_operator(),
    }));
    security::command_over(step, pending, &outcome);
    sessions::command_over(step, &pending.purpose, &outcome);
    care::command_over(step, pending.id, &outcome);
    lock::command_over(step, pending.id, &outcome);
}

/// The outstanding CALL has no answer.
pub(super) fn timed_out(step: &mut ChargerStep<'_>, id: CommandId) {
    let Some(pending) = step.state.in_flight().filter(|pending| pending.id == id).cloned() else { return };
    finish(step, &pending, Outcome::TimedOut);
    answers::over(step, &pending, &Outcome::TimedOut, Told::Nothing);
}

/// The socket went while a CALL was outstanding: what may be sent twice waits again, what may not is uncertain.
pub(super) fn lose_in_flight(step: &mut ChargerStep<'_>) {
    let Some(pending) = step.state.in_flight().cloned() else { return };
    local_list::lost(step, &pending.call);
    match pending.call.repeatable() {
        true => step.emit(Event::CommandRequeued { id: pending.id }),
        false => finish(step, &pending, Outcome::LinkLost),
    }
}

/// The charger is gone: nothing that waits will be sent. A session that wants to stop says so again when it is back.
pub(super) fn flush(step: &mut ChargerStep<'_>, outcome: &Outcome) {
    let waiting = step.state.queue.to_vec();
    for pending in &waiting {
        finish(step, pending, outcome.clone());
    }
}

/// Drops what waits for a purpose and is no longer needed; what is outstanding is left to its answer.
pub(super) fn drop_waiting(step: &mut ChargerStep<'_>, purpose: &Purpose) {
    let waiting = step.state.queue.iter().filter(|p| p.sent.is_none() && p.purpose == *purpose).cloned();
    for pending in waiting.collect::<Vec<_>>() {
        let at = step.context.now;
        step.emit(Event::CommandDone(Done { id: pending.id, at, outcome: Outcome::Moot, operator: false }));
    }
}

/// Drops waiting triggers of a message that has come by itself.
pub(super) fn drop_triggers(step: &mut ChargerStep<'_>, wanted: &str) {
    let waiting = step.state.queue.iter().filter(|pending| {
        let same = matches!(&pending.call, Call::Trigger { message, .. } if **message == *wanted);
        same && pending.sent.is_none() && pending.purpose == Purpose::System
    });
    for id in waiting.map(|pending| pending.id).collect::<Vec<_>>() {
        let at = step.context.now;
        step.emit(Event::CommandDone(Done { id, at, outcome: Outcome::Moot, operator: false }));
    }
}
