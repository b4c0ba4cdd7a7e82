//! What a running session measures: the cumulative register, power, charge, gaps, missed samples, limits (SE-9, SE-12,
//! SE-14).

use super::state::{Flag, Reading, Session, Status, StopCause};
use super::{Event, SessionStep, pricing, signed, stopping};
use crate::clock::Timestamp;
use crate::domain::charger::{Fault, Sample, Status as ConnectorStatus};
use crate::domain::charging::{Case, Level};
use std::time::Duration;

/// Readings of one message that are taken: a `transactionData` of 20,000 members is thinned to this many, evenly,
/// with its first and last.
const MESSAGE_READINGS_MAX: usize = 256;

/// Energy that may appear between two readings whatever the time between them, Wh: registers are rounded, clocks differ.
const SLACK_WH: i64 = 1000;

/// A register that is lower by so little has been rounded another way, Wh: some messages carry kWh with fewer digits.
const ROUNDING_WH: i64 = 2;

/// A charger's clock that goes on by more than this between two readings has been set: the step says nothing of the time between.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(24 * 3600);

/// Samples of a late message that are kept.
const LATE_SAMPLES_MAX: usize = 8;

/// Power as shown is cut to this, W; beyond it is no vehicle.
const POWER_MAX_W: i64 = 100_000_000;

/// Readings of its transaction.
pub(super) fn read(step: &mut SessionStep<'_>, samples: &[Sample]) {
    if !step.state.is_running() {
        read_late(step, samples);
        return;
    }
    let now = step.context.now;
    let gap_after = step.context.ambient.policy.missed_after();
    let silent = now.since(step.state.heard_at);
    take(step, samples);
    if silent > gap_after {
        step.flag(Flag::ReadingGap);
    }
    let energy = step.state.energy_wh();
    let limits = step.state.limits;
    let reached = [
        (limits.energy_wh.is_some_and(|limit| energy >= u64::from(limit)), StopCause::EnergyLimit),
        (limits.soc_percent.is_some_and(|limit| step.state.soc_percent >= Some(limit)), StopCause::SocLimit),
    ];
    let reached = reached.into_iter().find_map(|(reached, cause)| reached.then_some(cause));
    if let (Some(cause), None) = (reached, &step.state.stop) {
        stopping::stop_for(step, cause, None);
    }
    pricing::watch(step);
    let every = step.context.ambient.policy.session.progress_every;
    let due = step.state.progress_at.is_none_or(|told| now.since(told) >= every);
    if due && step.state.status != Some(Status::Failed) {
        step.tell("session.progress");
    }
}

/// Takes samples into the register and the readings, with what is odd about them.
pub(super) fn take(step: &mut SessionStep<'_>, samples: &[Sample]) {
    let now = step.context.now;
    let taken = thin(samples);
    if taken.is_empty() {
        return;
    }
    let mut register = Register::of(&step.state, now);
    let mut readings = Vec::with_capacity(taken.len());
    let mut odd = Vec::new();
    for sample in taken {
        let plausible = sample.at.plausible(now, &step.context.ambient.policy.charger);
        if plausible.is_none() {
            odd.push(Flag::ClockImplausible);
        }
        if sample.unreadable {
            odd.push(Flag::ReadingUnreadable);
        }
        let at = plausible.unwrap_or(now);
        if let Some(energy) = sample.energy_wh {
            let max_power_w = step.context.ambient.policy.session.max_power_w;
            odd.extend(register.advance(energy, Read { at, told: sample.at.at }, now, max_power_w).err());
        }
        let power_w = sample.power_w.and_then(|power| i32::try_from(power.clamp(-POWER_MAX_W, POWER_MAX_W)).ok());
        let soc_percent = sample.soc_percent.filter(|soc| *soc <= 100);
        readings.push(Reading { at, energy_wh: sample.energy_wh, power_w, soc_percent });
    }
    step.emit(Event::Read { at: now, readings, register_wh: register.value, told_at: register.told_at() });
    signed::keep(step, samples);
    odd.into_iter().for_each(|flag| step.flag(flag));
}

fn thin(samples: &[Sample]) -> Vec<&Sample> {
    let every = samples.len().div_ceil(MESSAGE_READINGS_MAX).max(1);
    let last = samples.len().saturating_sub(1);
    samples.iter().enumerate().filter(|(n, _)| n % every == 0 || *n == last).map(|(_, sample)| sample).collect()
}

/// When a value was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// The charger's time if plausible, else ours.
    pub(super) at: Timestamp,
    /// The charger's own, plausible or not.
    pub(super) told: Option<Timestamp>,
}

/// The register that counts: it never goes back, and never further than power allows (I8, SE-14).
pub(super) struct Register {
    pub(super) value: i64,
    read_at: Timestamp,
    heard_at: Timestamp,
    /// By the charger's own clock.
    told_at: Timestamp,
}

impl Register {
    pub(super) fn of(session: &Session, now: Timestamp) -> Self {
        Register {
            value: session.register_wh,
            read_at: session.read_at,
            heard_at: session.heard_at.min(now),
            told_at: session.told_at.unwrap_or(session.read_at),
        }
    }

    /// When the last that counts was taken by the charger's own clock, where that is another time.
    pub(super) fn told_at(&self) -> Option<Timestamp> {
        Some(self.told_at).filter(|told| *told != self.read_at)
    }

    /// Moves on to a value that was `read` and came at `now`; `Err`: it is odd and does not count.
    pub(super) fn advance(&mut self, to: i64, read: Read, now: Timestamp, max_power_w: u32) -> Result<(), Flag> {
        let at = read.at;
        if to < self.value {
            let history = at < self.read_at || self.value.saturating_sub(to) <= ROUNDING_WH;
            return if history { Ok(()) } else { Err(Flag::MeterBackwards) };
        }
        // The longest of three views: a backlog arrives at once, a broken clock stands still, and where ours has jumped back the
        // charger's own goes on.
        let own = read.told.map_or(Duration::ZERO, |told| told.since(self.told_at));
        let own = if own > CLOCK_STEP_MAX { Duration::ZERO } else { own };
        let time = at.since(self.read_at).max(now.since(self.heard_at)).max(own);
        if to.saturating_sub(self.value) > possible(time, max_power_w) {
            return Err(Flag::EnergyImplausible);
        }
        self.value = to;
        self.read_at = self.read_at.max(at);
        self.told_at = read.told.unwrap_or(at);
        Ok(())
    }
}

fn possible(time: Duration, max_power_w: u32) -> i64 {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    i64::from(max_power_w).saturating_mul(seconds).saturating_div(3600).saturating_add(SLACK_WH)
}

/// What is signed has an event of its own.
fn unsigned(sample: &Sample) -> Sample {
    Sample { signed: Vec::new(), ..sample.clone() }
}

/// Readings after its end: kept, flagged, told once; they change no energy (CH-7).
fn read_late(step: &mut SessionStep<'_>, samples: &[Sample]) {
    let newest = samples.iter().rev().take(LATE_SAMPLES_MAX).rev().map(unsigned).collect();
    let at = step.context.now;
    step.emit(Event::ReadLate { at, samples: newest });
    signed::keep(step, samples);
    let first = !step.state.flags.has(Flag::ReadingsAfterStop);
    if step.state.status.is_some() && first {
        step.flag(Flag::ReadingsAfterStop);
        step.tell("session.updated");
    }
}

/// Its connector has another status.
pub(super) fn status_seen(step: &mut SessionStep<'_>, status: ConnectorStatus, fault: Option<Box<Fault>>) {
    if !step.state.is_running() || (step.state.seen == Some(status) && step.state.fault == fault) {
        return;
    }
    let at = step.context.now;
    step.emit(Event::StatusSeen { status, fault, at });
    let by_vehicle = status == ConnectorStatus::SuspendedEv;
    let by_charger = status == ConnectorStatus::SuspendedEvse;
    let flags = &step.state.flags;
    let changed =
        flags.has(Flag::SuspendedByVehicle) != by_vehicle || flags.has(Flag::SuspendedByCharger) != by_charger;
    step.set_flag(Flag::SuspendedByVehicle, by_vehicle);
    step.set_flag(Flag::SuspendedByCharger, by_charger);
    if (changed || status == ConnectorStatus::Faulted) && step.state.status != Some(Status::Failed) {
        step.tell("session.updated");
    }
}

/// Samples were missed while charging.
pub(super) fn missed(step: &mut SessionStep<'_>) {
    step.emit(Event::SamplesMissed);
    let since = step.context.now.since(step.state.heard_at).as_secs();
    let text = format!("no reading for {since} s while charging");
    let subject = step.subject();
    step.raise(Case::alert(Level::Warning, "samples_missed", subject, text));
    if step.state.status != Some(Status::Failed) {
        step.tell("session.updated");
    }
}
