//! The connection as rules see it: attached, gone, offline, alternating, flapping (CH-3, CH-4, CH-9, RT-3).

use super::state::{BootPolicy, Link, Maintenance, TEXT_MAX};
use super::{
    Call, ChargerStep, Event, Outcome, Purpose, care, holds, local_list, queue, spread, status, subject, to_session,
};
use crate::clock::Timestamp;
use crate::domain::charging::case::clip;
use crate::domain::charging::{Case, Level};
use crate::domain::session;
use std::time::Duration;

/// So many living connections replaced within [`ALTERNATION_WINDOW`] raise an alarm: two devices fight for one
/// identity, or somebody poses as the charger (CH-3).
const ALTERNATIONS: usize = 3;
/// See [`ALTERNATIONS`].
const ALTERNATION_WINDOW: Duration = Duration::from_secs(600);

/// A socket is attached.
pub(super) fn up(step: &mut ChargerStep<'_>, generation: u64, remote: &str, subprotocol: &str) {
    // A newer socket has come since this was sent: its own message follows.
    let stale = generation < step.context.ambient.generation;
    if stale || step.state.generation() == Some(generation) {
        return;
    }
    let now = step.context.now;
    let limits = step.context.ambient.policy.charger.clone();
    let takeover = step.state.generation().is_some();
    let unknown = status::any_to_return(&step.state);
    step.emit(Event::LinkUp {
        generation,
        at: now,
        ready_at: now + limits.first_call_delay,
        fallback_due: unknown.then(|| now + limits.status_fallback),
        takeover,
        remote: clip(remote, TEXT_MAX),
        subprotocol: clip(subprotocol, TEXT_MAX),
    });
    queue::lose_in_flight(step);
    if takeover {
        watch_alternation(step);
    }
    match step.state.boot.as_ref().map(|boot| boot.status) {
        None => {
            let call = Call::Trigger { message: "BootNotification".into(), connector: None };
            let from = now + spread::wait(limits.first_call_spread, step.context.fraction());
            queue::push(step, call, Purpose::System, from);
        }
        Some(BootPolicy::Accepted) => {
            status::ask_again(step);
            local_list::ask_again(step);
            holds::tell_again(step, false);
        }
        Some(BootPolicy::Pending | BootPolicy::Rejected) => {}
    }
    tell_running(step, &session::Command::Reconnected);
    care::begin_quiet(step);
}

fn watch_alternation(step: &mut ChargerStep<'_>) {
    let recent = count_since(&step.state.takeovers, step.context.now - ALTERNATION_WINDOW);
    if recent >= ALTERNATIONS && recent.is_multiple_of(ALTERNATIONS) {
        let text =
            format!("living connections were replaced {recent} times in 10 minutes: two devices use one identity");
        let case = Case::alert(Level::Critical, "connection_alternates", subject(step), text);
        step.raise(case.ticket("find out which device is the charger and change its password"));
    }
}

fn count_since(times: &[Timestamp], since: Timestamp) -> usize {
    times.iter().filter(|time| **time >= since).count()
}

/// A socket is gone. The end of an old one harms nothing.
pub(super) fn down(step: &mut ChargerStep<'_>, generation: u64, reason: &str, silent: bool) {
    if step.state.generation() != Some(generation) {
        return;
    }
    let now = step.context.now;
    let offline_due = Some(now + step.context.ambient.policy.charger.offline_after);
    step.emit(Event::LinkDown { at: now, offline_due, reason: clip(reason, TEXT_MAX) });
    queue::lose_in_flight(step);
    queue::flush(step, &Outcome::Offline);
    if silent {
        offline(step);
    }
}

/// We have restarted: the connection is gone, and the silence since was ours.
pub(super) fn restarted(step: &mut ChargerStep<'_>, downtime: Duration) {
    let now = step.context.now;
    let after = step.context.ambient.policy.charger.offline_after;
    match step.state.link {
        Link::Up { .. } => {
            step.emit(Event::LinkDown { at: now, offline_due: Some(now + after), reason: "restart".into() });
            // What was never sent still can be; what was sent may have arrived.
            queue::lose_in_flight(step);
        }
        Link::Down { offline_due: Some(due), .. } => step.emit(Event::OfflineMoved { due: due + downtime }),
        Link::Down { offline_due: None, .. } => {}
    }
}

/// The socket has been closed for too long.
pub(super) fn offline(step: &mut ChargerStep<'_>) {
    if !matches!(step.state.link, Link::Down { offline_due: Some(_), .. }) {
        return;
    }
    let now = step.context.now;
    let changed = status::known(&step.state);
    step.emit(Event::WentOffline { at: now });
    queue::flush(step, &Outcome::Offline);
    changed.into_iter().for_each(|connector| status::tell(step, connector));
    let running = step.state.live.len();
    let text = format!("the charger is offline; {running} sessions are open there");
    let level = if running > 0 { Level::Critical } else { Level::Warning };
    step.raise(Case::alert(level, "charger_offline", subject(step), text));
    troubled(step, Trouble::Offline);
}

/// What a charger did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A connector is faulted.
    Fault,
    /// It went offline.
    Offline,
}

/// It faulted or went offline: often, and it goes into maintenance by itself, after a reset has been tried where that is
/// allowed (CH-9). Its absence while it restarts on our order is no trouble.
pub(super) fn troubled(step: &mut ChargerStep<'_>, trouble: Trouble) {
    if trouble == Trouble::Offline && care::is_rebooting(step) {
        return;
    }
    let now = step.context.now;
    step.emit(Event::Troubled { at: now });
    let limits = &step.context.ambient.policy.charger;
    let recent = count_since(&step.state.troubles, now - limits.flapping_window);
    let often = recent >= usize::from(limits.flapping_count);
    if step.state.maintenance.is_some() {
        return care::begin_quiet(step);
    }
    if !often || care::reset_before_maintenance(step) {
        return;
    }
    let limits = &step.context.ambient.policy.charger;
    let hours = limits.flapping_window.as_secs() / 3600;
    let note = Some(format!("{recent} faults or losses of connection in {hours} h").into());
    step.emit(Event::MaintenanceSet(Some(Maintenance {
        since: now,
        by: care::SYSTEM.into(),
        note,
        release_due: care::release_due(step),
    })));
    let text = format!("{recent} faults or losses of connection in {hours} h: no new orders until released");
    let case = Case::alert(Level::Critical, "charger_flapping", subject(step), text);
    step.raise(case.ticket("have the charger looked at, then release it from maintenance"));
}

/// Tells every session whose transaction runs.
pub(super) fn tell_running(step: &mut ChargerStep<'_>, command: &session::Command) {
    let running: Vec<_> = step.state.live.iter().filter(|l| l.transaction.is_some()).map(|l| l.session).collect();
    running.into_iter().for_each(|session| to_session(step, session, command.clone()));
}
