//! How a session ends, in one place for all causes: by the charger's word, by another transaction, by silence; and
//! what the charger's late word corrects (SE-6, SE-8, SE-9).

use super::event::Ended;
use super::progress::{Read, Register, take};
use super::reasons::{End, EndReason, end_of};
use super::state::{Ending, Flag, Status, StopCause};
use super::{Event, SessionStep, pricing, stopping};
use crate::clock::Timestamp;
use crate::domain::charger;
use crate::domain::charging::{Case, Level};

/// Its transaction has ended, the charger says.
pub(super) fn by_charger(step: &mut SessionStep<'_>, ending: Ending) {
    if step.state.is_running() {
        end(step, ending);
    } else if step.state.transaction.is_some() {
        correct(step, ending);
    } else {
        forgotten(step, &ending);
    }
}

fn end(step: &mut SessionStep<'_>, ending: Ending) {
    take(step, &ending.data);
    let ended = judge(step, &ending, end_of(&step.state, ending.reason));
    ending.flags.into_iter().for_each(|flag| step.flag(flag));
    stopping::tell_result(step, true, None);
    step.emit(Event::Ended(ended));
    suspect(step);
    pricing::ended(step, true);
    match step.state.status {
        Some(Status::Failed) => step.tell("session.updated"),
        Some(Status::Starting | Status::Charging | Status::StopPending | Status::Ended | Status::Abnormal) | None => {
            step.tell("session.ended");
        }
    }
}

/// The final register and time, with what is odd about them.
fn judge(step: &mut SessionStep<'_>, ending: &Ending, end: End) -> Ended {
    let now = step.context.now;
    let policy = step.context.ambient.policy.clone();
    let plausible = ending.at.plausible(now, &policy.charger);
    let started = step.state.started_at.unwrap_or(now);
    let at = match plausible {
        Some(at) if at >= started => at,
        Some(_) => {
            step.flag(Flag::EndBeforeStart);
            now.max(started)
        }
        None => {
            step.flag(Flag::ClockImplausible);
            now.max(started)
        }
    };
    let mut register = Register::of(&step.state, now);
    match ending.meter_stop_wh {
        Some(meter) => {
            if let Err(flag) = register.advance(meter, Read { at, told: ending.at.at }, now, policy.session.max_power_w)
            {
                step.flag(flag);
                step.flag(Flag::Estimated);
            }
        }
        None => step.flag(Flag::Estimated),
    }
    let believed = plausible.is_some_and(|at| at >= started);
    Ended {
        at,
        raw_at: (!believed).then(|| ending.at.raw.clone()),
        meter_stop_wh: ending.meter_stop_wh,
        register_wh: register.value,
        end,
        forget_due: now + policy.session.linger,
    }
}

/// What is implausible about the energy never passes unseen (SE-14).
fn suspect(step: &mut SessionStep<'_>) {
    let flags = step.state.flags;
    let suspect = [Flag::MeterBackwards, Flag::EnergyImplausible, Flag::Estimated, Flag::EndBeforeStart];
    let seen: Vec<String> =
        suspect.into_iter().filter(|flag| flags.has(*flag)).map(|flag| format!("{flag:?}")).collect();
    if seen.is_empty() {
        return;
    }
    let (start, counted) = (step.state.meter_start_wh, step.state.register_wh);
    let told = step.state.meter_stop_wh.map_or_else(|| "none".to_owned(), |meter| meter.to_string());
    let text =
        format!("readings to be checked ({}): start {start} Wh, counted {counted} Wh, told {told}", seen.join(", "));
    let case = Case::alert(Level::Warning, "readings_implausible", step.subject(), text);
    step.raise(case.ticket("compare with the charger's meter and settle by hand"));
}

/// The charger's account of a session that was settled without it (SE-8); a repeat of one that was not is caught
/// before it comes here.
fn correct(step: &mut SessionStep<'_>, ending: Ending) {
    let end = end_of(&step.state, ending.reason);
    let before = step.state.energy_wh();
    let ended = judge(step, &ending, end);
    ending.flags.into_iter().for_each(|flag| step.flag(flag));
    step.emit(Event::Corrected(ended));
    step.flag(Flag::SettledLate);
    if ending.meter_stop_wh.is_some() && step.state.meter_stop_wh == Some(step.state.register_wh) {
        step.set_flag(Flag::Estimated, false);
    }
    pricing::ended(step, false);
    let after = step.state.energy_wh();
    let text = format!("the charger's own account came after it was settled: {before} Wh then, {after} Wh now");
    let case = Case::alert(Level::Info, "settled_late", step.subject(), text);
    step.raise(case.ticket("correct what was billed, if anything was"));
    step.tell("session.updated");
}

/// The charger's account of a session that is no longer in memory: a person must join the two.
fn forgotten(step: &mut SessionStep<'_>, ending: &Ending) {
    let meter = ending.meter_stop_wh.map_or_else(|| "none".to_owned(), |meter| meter.to_string());
    let at = ending.at.raw.escape_debug().to_string();
    let text = format!("a stop came for a session that is settled and put away: register {meter} Wh at {at}");
    let case = Case::alert(Level::Warning, "stop_of_settled_session", step.subject(), text);
    step.raise(case.ticket("compare with the session's row and correct what was billed"));
}

/// Another transaction began at its connector.
pub(super) fn superseded(step: &mut SessionStep<'_>) {
    if step.state.is_running() {
        settle_as(step, EndReason::Superseded, "another transaction began at its connector without its stop");
    }
}

/// Nothing was heard for too long (SE-9).
pub(super) fn settle(step: &mut SessionStep<'_>) {
    if !step.state.is_running() {
        return;
    }
    let now = step.context.now;
    let vanished = step.state.vanished_due.is_some_and(|due| due <= now);
    let abnormal = step.state.status == Some(Status::Abnormal);
    if step.context.ambient.online && !vanished && !abnormal && step.state.status != Some(Status::Failed) {
        // The charger is there and says nothing of it: a stop may make it speak.
        let due = now + step.context.ambient.policy.session.settle_after;
        step.emit(Event::SettleDeferred { due });
        stopping::abnormal(step, "session_silent", "the charger is connected and sends no readings of it");
        stopping::stop_for(step, StopCause::TooLong, None);
        return;
    }
    let why = match vanished {
        true => "its connector is free, and no stop came",
        false => "nothing was heard of it for too long",
    };
    settle_as(step, EndReason::ConnectionLost, why);
    let session = step.id;
    step.tell_charger(charger::Command::Release { session, remember: false, start_failed: false });
}

/// Ends it by the last reading, flagged, with a ticket. It stays in memory for the charger's own account.
fn settle_as(step: &mut SessionStep<'_>, reason: EndReason, why: &str) {
    let now = step.context.now;
    let at: Timestamp = step.state.read_at.min(now).max(step.state.started_at.unwrap_or(now));
    let forget_due = now + step.context.ambient.policy.session.late_window;
    step.flag(Flag::Estimated);
    stopping::tell_result(step, true, None);
    let (register_wh, end) = (step.state.register_wh, End { reason, inferred: true });
    step.emit(Event::Ended(Ended { at, raw_at: None, meter_stop_wh: None, register_wh, end, forget_due }));
    pricing::ended(step, false);
    let text = format!("settled from the last reading: {why}; {} Wh", step.state.energy_wh());
    let case = Case::alert(Level::Warning, "settled_without_stop", step.subject(), text);
    step.raise(case.ticket("find out what the charger delivered and correct the session if need be"));
    match step.state.status {
        Some(Status::Failed) => step.tell("session.updated"),
        Some(Status::Starting | Status::Charging | Status::StopPending | Status::Ended | Status::Abnormal) | None => {
            step.tell("session.ended");
        }
    }
}
