//! The charger's own settings (CH-6): read after a boot, kept, compared with what they should be, corrected where that is
//! possible. Owns the wanted set and the comparison; what was read is in rows, only what limits commands stays in memory.
//!
//! A charger is read at its first boot, when its firmware or the wanted set has changed, and at a boot a day after the last
//! time; the latter at a random moment of some minutes, so that a fleet that comes back at once is not read at once (CH-5).

use super::device::Limits;
use super::facts::print;
use super::{Call, ChargerStep, DeviceEvent, Event, Outcome, Pending, Purpose, queue};
use crate::domain::charging::Policy;
use crate::domain::charging::case::clip;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A configuration that was read longer ago than this is read again at the next boot.
const STALE: Duration = Duration::from_secs(86_400);

/// One that is only read again waits up to so long.
const SPREAD: Duration = Duration::from_secs(300);

/// Keys kept of one charger. Real ones have 40 to 200.
const KEYS_MAX: usize = 512;

/// What stands for a secret.
pub(super) const HIDDEN: &str = "[secret]";

/// Parts of a key's name, in lower case, whose value is a secret; the message log strikes out the same.
const SECRETS: [&str; 6] = ["authorizationkey", "password", "passwd", "secret", "psk", "token"];

/// Whether a key's value is a secret: neither shown nor kept in rows (control 39).
pub fn is_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    SECRETS.iter().any(|word| lower.contains(word))
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name.
    pub key: Box<str>,
    /// Its value, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<str>>,
    /// ChangeConfiguration cannot set it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub readonly: bool,
}

/// A charger's answer to GetConfiguration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it has.
    pub keys: Vec<Key>,
    /// What it does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Box<str>>,
}

/// What a charger's settings should be: those that our rules rely on, and the operator's own.
pub fn wanted(policy: &Policy) -> Vec<(Box<str>, Box<str>)> {
    let own = [
        ("ConnectionTimeOut", policy.connection_timeout().as_secs().to_string()),
        ("StopTransactionOnInvalidId", "true".to_owned()),
        ("MeterValueSampleInterval", policy.session.sample_interval.as_secs().to_string()),
    ];
    let own: Vec<(Box<str>, Box<str>)> = own.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    let further = policy.charger.configuration.iter().filter_map(|entry| entry.split_once('='));
    let further = further.map(|(key, value)| (key.trim().into(), value.trim().into()));
    let further = further.filter(|(key, _): &(Box<str>, Box<str>)| own.iter().all(|(known, _)| known != key));
    own.iter().cloned().chain(further.collect::<Vec<_>>()).collect()
}

/// How a setting differs from what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Another value, which can be changed.
    Other,
    /// Another value, which cannot be changed.
    ReadOnly,
    /// The charger did not name it; it may know it all the same.
    Absent,
}

/// How the settings differ from what they should be.
pub fn differences(told: &Told, wanted: &[(Box<str>, Box<str>)]) -> Vec<(Box<str>, Difference)> {
    let differs = |key: &str, value: &str| {
        let Some(known) = told.keys.iter().find(|known| *known.key == *key) else { return Some(Difference::Absent) };
        let same = known.value.as_deref().is_some_and(|has| same(has, value));
        match (same, known.readonly) {
            (true, _) => None,
            (false, true) => Some(Difference::ReadOnly),
            (false, false) => Some(Difference::Other),
        }
    };
    wanted.iter().filter_map(|(key, value)| Some((key.clone(), differs(key, value)?))).collect()
}

/// Lists may have spaces, flags capitals: chargers write them as they like (OCPP 1.6 §9).
fn same(has: &str, wanted: &str) -> bool {
    let plain = |text: &str| text.split(',').map(|part| part.trim().to_ascii_lowercase()).collect::<Vec<_>>();
    plain(has) == plain(wanted)
}

/// A charger that may work has booted.
pub(super) fn booted(step: &mut ChargerStep<'_>) {
    if !step.context.ambient.policy.charger.configure {
        return;
    }
    let wanted = wanted(&step.context.ambient.policy);
    let firmware = step.state.boot.as_ref().and_then(|boot| boot.fact.firmware.clone()).unwrap_or_default();
    let parts: Vec<&str> = wanted.iter().flat_map(|(key, value)| [&**key, &**value]).chain([&*firmware]).collect();
    let print = print(&parts);
    let read_at = step.state.device.as_ref().map(|device| device.read_at);
    let stale = read_at.is_none_or(|at| at < step.context.now - STALE);
    if print == step.state.configured && !stale {
        return;
    }
    let call = Call::GetConfiguration { keys: Vec::new() };
    let waits = step.state.queue.iter().any(|pending| pending.call == call && pending.purpose == Purpose::System);
    let wait = if print == step.state.configured { SPREAD.mul_f64(step.context.fraction()) } else { Duration::ZERO };
    if !waits {
        queue::push(step, call, Purpose::System, step.context.now + wait);
    }
    if print != step.state.configured {
        step.emit(Event::Configured { print });
    }
}

/// GetConfiguration of everything is over.
pub(super) fn answered(step: &mut ChargerStep<'_>, pending: &Pending, outcome: &Outcome, told: Option<Told>) {
    let system = pending.purpose == Purpose::System;
    match told {
        Some(told) => read(step, bounded(told)),
        // One that cannot tell what it has is told what it should have.
        None if system
            && matches!(outcome, Outcome::Answered { .. } | Outcome::CallError { .. } | Outcome::TimedOut) =>
        {
            correct(step, &Told::default());
        }
        None => {}
    }
}

fn bounded(mut told: Told) -> Told {
    told.keys.truncate(KEYS_MAX);
    told.unknown.truncate(KEYS_MAX);
    for key in &mut told.keys {
        key.key = clip(&key.key, 50);
        key.value = match &key.value {
            Some(_) if is_secret(&key.key) => Some(HIDDEN.into()),
            value => value.as_ref().map(|value| clip(value, 500)),
        };
    }
    told
}

fn read(step: &mut ChargerStep<'_>, told: Told) {
    let parts = told.keys.iter().flat_map(|key| [&*key.key, key.value.as_deref().unwrap_or("\u{0}")]);
    let print = print(&parts.collect::<Vec<_>>()).max(1);
    let at = step.context.now;
    if step.state.device.as_ref().is_some_and(|device| device.configuration == print) {
        step.emit(Event::Device(DeviceEvent::ConfigurationSame { at }));
    } else {
        let mut limits = Limits::default();
        told.keys.iter().for_each(|key| limits.take(&key.key, key.value.as_deref().unwrap_or_default()));
        step.emit(Event::Device(DeviceEvent::ConfigurationRead { at, print, limits, told: told.clone() }));
    }
    if step.context.ambient.policy.charger.configure {
        correct(step, &told);
    }
}

/// Changes what differs and may be changed.
fn correct(step: &mut ChargerStep<'_>, told: &Told) {
    let wanted = wanted(&step.context.ambient.policy);
    for (key, difference) in differences(told, &wanted) {
        let value = wanted.iter().find(|(wanted, _)| *wanted == key).map(|(_, value)| value.clone());
        match (difference, value) {
            (Difference::Other | Difference::Absent, Some(value)) => {
                let call = Call::ChangeConfiguration { key, value };
                queue::push(step, call, Purpose::System, step.context.now);
            }
            (Difference::Other | Difference::Absent, None) | (Difference::ReadOnly, _) => {}
        }
    }
}

/// ChangeConfiguration has been answered.
pub(super) fn changed(step: &mut ChargerStep<'_>, pending: &Pending, status: &str) {
    let Call::ChangeConfiguration { key, value } = &pending.call else { return };
    let value = if is_secret(key) { HIDDEN.into() } else { value.clone() };
    let by = if pending.purpose.is_operator() { "operator" } else { "system" };
    let (at, status) = (step.context.now, clip(status, super::state::TEXT_MAX));
    step.emit(Event::Device(DeviceEvent::ConfigurationChanged { key: key.clone(), value, status, by: by.into(), at }));
}
