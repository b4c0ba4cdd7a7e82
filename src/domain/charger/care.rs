//! What is done for a charger that is in trouble (CH-9): a remote reset as the first remedy, maintenance by itself, its
//! end after a quiet time. Owns when a reset may be tried; never whether a fault deserves one.
//!
//! Invariants: a reset of ours never goes out while a session is open at the charger; at most `faults.resets_a_day` in 24
//! hours; each is a command with a row, journaled before it is sent.

use super::calls::Outcome;
use super::lock::Lock;
use super::state::{Done, Link, Maintenance, Pending, TEXT_MAX};
use super::{Call, Charger, ChargerStep, Event, Fault, Purpose, Status, queue, subject};
use crate::clock::Timestamp;
use crate::config::faults::ResetKind;
use crate::domain::charging::case::clip;
use crate::domain::charging::{Case, Level};
use crate::domain::fault::Remedy;
use crate::ids::CommandId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who asks for what the rules themselves do, in rows and views.
pub(super) const SYSTEM: &str = "system";

/// A charger that is reset is away for so long at most; until then its absence is no trouble, and what it still reports is
/// not a fault that came back.
const REBOOT_MAX: Duration = Duration::from_secs(600);

/// The time in which resets are counted.
const DAY: Duration = Duration::from_secs(86_400);

/// Resets remembered: the most that a day may have.
const RESETS_MAX: usize = 10;

/// What is known of a charger in trouble; most have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// Why a reset is wanted as soon as it may be sent.
    pub wanted: Option<Box<str>>,
    /// When it was reset by us, newest last.
    pub resets: Vec<Timestamp>,
    /// The last reset of ours.
    pub last: Option<ResetTried>,
    /// Its parking locks and barriers (CH-10).
    pub locks: Vec<Lock>,
}

/// A reset as the first remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetTried {
    /// Its command; the row `command/<charger>/<id>` has the answer.
    pub command_id: CommandId,
    /// When it was asked for.
    pub at: Timestamp,
    /// Why.
    pub why: Box<str>,
    /// What it came to; `None`: not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<str>>,
}

/// What happens to a charger in trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CareEvent {
    /// A reset is to be tried as soon as it may be.
    ResetWanted {
        /// Why.
        why: Box<str>,
    },
    /// It is not wanted any more: the fault is gone.
    ResetDropped,
    /// It was asked for.
    ResetTried(ResetTried),
    /// It is over.
    ResetOver {
        /// Which.
        command: CommandId,
        /// How.
        result: Box<str>,
        /// It never left us, and is wanted again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unsent: bool,
    },
}

impl Charger {
    /// Folds an event in.
    pub(super) fn fold_care(&mut self, event: &CareEvent) {
        let care = self.care.get_or_insert_default();
        match event {
            CareEvent::ResetWanted { why } => care.wanted = Some(why.clone()),
            CareEvent::ResetDropped => care.wanted = None,
            CareEvent::ResetTried(tried) => {
                care.wanted = None;
                while care.resets.len() >= RESETS_MAX {
                    care.resets.remove(0);
                }
                care.resets.push(tried.at);
                care.last = Some(tried.clone());
            }
            CareEvent::ResetOver { command, result, unsent } => {
                let Some(last) = care.last.as_mut().filter(|last| last.command_id == *command) else { return };
                last.result = Some(result.clone());
                if *unsent {
                    care.wanted = Some(last.why.clone());
                    care.resets.pop();
                }
            }
        }
    }

    fn resets_since(&self, since: Timestamp) -> usize {
        self.care.as_ref().map_or(0, |care| care.resets.iter().filter(|at| **at >= since).count())
    }

    fn reset_wanted(&self) -> Option<&str> {
        self.care.as_ref().and_then(|care| care.wanted.as_deref())
    }

    /// A reset is on its way: what is begun now would be torn down.
    pub(super) fn is_resetting(&self) -> bool {
        self.in_flight().is_some_and(|pending| matches!(pending.call, Call::Reset { .. }))
    }
}

/// Whether the rules may reset this charger at all, today.
fn may_reset(step: &ChargerStep<'_>) -> bool {
    let faults = &step.context.ambient.policy.faults;
    let site = step.state.registration.as_ref().map(|registration| &registration.site);
    let here = faults.reset_sites.is_empty() || site.is_some_and(|site| faults.reset_sites.contains(site));
    let today = step.state.resets_since(step.context.now - DAY);
    faults.reset != ResetKind::Off && here && today < usize::from(faults.resets_a_day)
}

/// Wants a reset as the first remedy of a fault; whether it will be tried. Not, if one has just been: the fault is back.
pub(super) fn want_reset(step: &mut ChargerStep<'_>, why: &str) -> bool {
    if step.state.reset_wanted().is_some() {
        return true;
    }
    let again = step.state.resets_since(step.context.now - REBOOT_MAX) > 0;
    if again || !may_reset(step) {
        return false;
    }
    step.emit(Event::Care(CareEvent::ResetWanted { why: clip(why, TEXT_MAX * 2) }));
    true
}

/// Before a charger that fails often goes into maintenance: a reset, if none was tried in that window and nobody charges
/// there; whether one is tried or wanted (CH-9).
pub(super) fn reset_before_maintenance(step: &mut ChargerStep<'_>) -> bool {
    let window = step.context.ambient.policy.charger.flapping_window;
    let tried = step.state.resets_since(step.context.now - window) > 0;
    !tried && step.state.live.is_empty() && want_reset(step, "faults or losses of connection again and again")
}

/// It went offline because we reset it.
pub(super) fn is_rebooting(step: &ChargerStep<'_>) -> bool {
    step.state.resets_since(step.context.now - REBOOT_MAX) > 0
}

/// A reset that waits only for a fault is not wanted any more once nothing is faulted.
pub(super) fn drop_if_mended(step: &mut ChargerStep<'_>) {
    if step.state.reset_wanted().is_some() && !any_faulted(&step.state) {
        step.emit(Event::Care(CareEvent::ResetDropped));
    }
}

fn any_faulted(charger: &Charger) -> bool {
    let broken = |fault: &Fault| fault.meaning().out_of_offer || fault.meaning().remedy == Remedy::Reset;
    let mut all = charger.connectors.iter().chain([&charger.whole]);
    all.any(|connector| connector.status == Status::Faulted || connector.fault.as_deref().is_some_and(broken))
}

/// Sends a reset that is wanted as soon as nobody charges, and takes one back that has not left when somebody begins.
pub(super) fn pump(step: &mut ChargerStep<'_>) {
    if step.state.care.is_none() {
        return;
    }
    let charger = &step.state;
    let idle = charger.live.is_empty();
    if !idle {
        return take_back(step);
    }
    let connected = step.context.ambient.online && charger.generation().is_some() && charger.is_accepted();
    let Some(why) = charger.reset_wanted().filter(|_| connected) else { return };
    let (now, why) = (step.context.now, Box::<str>::from(why));
    if !may_reset(step) {
        step.emit(Event::Care(CareEvent::ResetDropped));
        return;
    }
    let policy = &step.context.ambient.policy;
    let (hard, lead) = (policy.faults.reset == ResetKind::Hard, policy.charger.answer_lead);
    let id = CommandId(step.context.uuid(queue::mint(step)));
    step.emit(Event::Care(CareEvent::ResetTried(ResetTried { command_id: id, at: now, why, result: None })));
    let (call, purpose) = (Call::Reset { hard }, Purpose::Operator(SYSTEM.into()));
    step.emit(Event::CommandQueued(Pending { id, call, purpose, queued_at: now, not_before: now + lead, sent: None }));
}

fn take_back(step: &mut ChargerStep<'_>) {
    let last = step.state.care.as_ref().and_then(|care| care.last.as_ref());
    let Some(id) = last.filter(|last| last.result.is_none()).map(|last| last.command_id) else { return };
    let waits = step.state.queue.iter().find(|pending| pending.id == id && pending.sent.is_none()).cloned();
    if let Some(pending) = waits {
        let (at, outcome) = (step.context.now, Outcome::Moot);
        step.emit(Event::CommandDone(Done { id: pending.id, at, outcome: outcome.clone(), operator: true }));
        command_over(step, id, &outcome);
    }
}

/// A command is over: if it was our reset, people are told what it came to.
pub(super) fn command_over(step: &mut ChargerStep<'_>, id: CommandId, outcome: &Outcome) {
    let last = step.state.care.as_ref().and_then(|care| care.last.clone());
    let Some(last) = last.filter(|last| last.command_id == id && last.result.is_none()) else { return };
    let unsent = matches!(outcome, Outcome::Offline | Outcome::Moot);
    let result = outcome.name().into();
    step.emit(Event::Care(CareEvent::ResetOver { command: id, result, unsent }));
    if unsent {
        return;
    }
    let text = format!("reset as the first remedy ({}): {}", last.why, outcome.name());
    let done = match outcome {
        // Many chargers are gone before they answer.
        Outcome::Answered { accepted: true, .. } | Outcome::LinkLost => true,
        Outcome::Answered { accepted: false, .. } | Outcome::CallError { .. } | Outcome::TimedOut => false,
        Outcome::Offline | Outcome::Moot => return,
    };
    step.raise(match done {
        true => Case::alert(Level::Info, "charger_reset", subject(step), text),
        false => Case::alert(Level::Warning, "charger_reset_failed", subject(step), text)
            .ticket("have the charger looked at: it did not let itself be reset"),
    });
}

/// When a charger that is put in maintenance by itself may come back.
pub(super) fn release_due(step: &ChargerStep<'_>) -> Option<Timestamp> {
    let quiet = step.context.ambient.policy.faults.release_after;
    (!quiet.is_zero()).then(|| step.context.now + quiet)
}

fn own_maintenance(step: &ChargerStep<'_>) -> Option<Maintenance> {
    step.state.maintenance.as_deref().filter(|maintenance| *maintenance.by == *SYSTEM).cloned()
}

/// The quiet time begins anew: a trouble, a reconnect.
pub(super) fn begin_quiet(step: &mut ChargerStep<'_>) {
    let due = release_due(step);
    if let Some(maintenance) = own_maintenance(step).filter(|maintenance| maintenance.release_due != due) {
        step.emit(Event::MaintenanceSet(Some(Maintenance { release_due: due, ..maintenance })));
    }
}

/// The quiet time is over: back into offer, unless something is faulted still, or it is offline; then it waits to return.
pub(super) fn released(step: &mut ChargerStep<'_>) {
    let Some(maintenance) = own_maintenance(step).filter(|maintenance| maintenance.release_due.is_some()) else {
        return;
    };
    if matches!(step.state.link, Link::Down { .. }) {
        step.emit(Event::MaintenanceSet(Some(Maintenance { release_due: None, ..maintenance })));
        return;
    }
    let due = release_due(step);
    if any_faulted(&step.state) || due.is_none() {
        step.emit(Event::MaintenanceSet(Some(Maintenance { release_due: due, ..maintenance })));
        return;
    }
    let since = maintenance.since;
    step.emit(Event::MaintenanceSet(None));
    let text = format!("in offer again after a quiet time; in maintenance since {}", since.to_rfc3339());
    step.raise(Case::alert(Level::Info, "charger_released", subject(step), text));
}
