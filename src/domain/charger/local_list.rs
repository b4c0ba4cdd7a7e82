//! The list of tokens that a charger accepts by itself (OCPP 1.6 §3.5): versions and sizes. Owns which list may be sent; the
//! tokens themselves the rules never see (OP-9).

use super::check::Flaw;
use super::device::LocalList;
use super::{Call, Charger, ChargerStep, DeviceEvent, Event, Purpose, queue};

/// A list may be sent: its version is newer where that matters, and it fits the charger.
pub(super) fn check(version: i32, full: bool, count: u32, charger: &Charger, found: &mut Vec<Flaw>) {
    let limits = charger.limits();
    let list = charger.device.as_ref().map_or(LocalList::default(), |device| device.list);
    if version < 1 {
        found.push(Flaw::bad("listVersion", format!("is {version}"), "1 and more"));
    }
    if limits.list_enabled == Some(false) {
        let allowed = "a charger whose LocalAuthListEnabled is true: change that first";
        found.push(Flaw::state("kind", "is SendLocalList, and the charger does not use its list", allowed));
    }
    if list.told == Some(-1) {
        let allowed = "a charger that answers GetLocalListVersion with 0 and more";
        found.push(Flaw::state("kind", "is SendLocalList, and the charger has said that it has no list", allowed));
    }
    if let (false, Some(current)) = (full, list.current().filter(|current| version <= *current)) {
        let problem = format!("is {version}, and the charger has {current}");
        found.push(Flaw::state("listVersion", problem, format!("more than {current} in a Differential list")));
    }
    let fits = |max: Option<i32>| max.and_then(|max| u32::try_from(max).ok()).filter(|max| count > *max);
    let keys = [
        (Some(limits.send_list_max), "SendLocalListMaxLength"),
        (full.then_some(limits.list_max), "LocalAuthListMaxLength"),
    ];
    for (limit, key) in keys {
        if let Some(max) = limit.and_then(fits) {
            let allowed = format!("at most {max} (its {key})");
            found.push(Flaw::state("localAuthorizationList", format!("has {count} entries"), allowed));
        }
    }
}

/// One entry, as far as rules go: a print of the token without regard to case, and whether it says what holds for it.
pub type Entry = (u64, bool);

/// Each token is there once; a full list says of each what holds.
pub fn check_entries(entries: &[Entry], full: bool) -> Vec<Flaw> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for (n, (tag, told)) in entries.iter().enumerate() {
        let field = |name: &str| format!("localAuthorizationList[{n}].{name}");
        if let Some(first) = seen.insert(*tag, n) {
            found.push(Flaw::bad(field("idTag"), format!("is that of entry {first} too"), "each token once"));
        }
        if full && !told {
            found.push(Flaw::bad(field("idTagInfo"), "is missing", "an object with `status` in a Full list"));
        }
    }
    found
}

/// A list is on its way.
pub(super) fn sent(step: &mut ChargerStep<'_>, call: &Call) {
    if let Call::SendLocalList { version, .. } = call {
        let list = LocalList { sent: *version, ..step.state.list() };
        step.emit(Event::Device(DeviceEvent::LocalList(list)));
    }
}

/// The charger has answered a list.
pub(super) fn answered(step: &mut ChargerStep<'_>, version: i32, status: &str) {
    let list = step.state.list();
    match status {
        "Accepted" => {
            step.emit(Event::Device(DeviceEvent::LocalList(LocalList {
                accepted: Some(version),
                told: Some(version),
                ..list
            })));
        }
        // It has another list than we believe: its own word counts.
        "VersionMismatch" => unknown(step),
        // Failed, NotSupported: it keeps what it has.
        _ => {}
    }
}

/// Nobody knows which list the charger has: it is asked.
pub(super) fn unknown(step: &mut ChargerStep<'_>) {
    let list = LocalList { accepted: None, told: None, ..step.state.list() };
    step.emit(Event::Device(DeviceEvent::LocalList(list)));
    queue::push(step, Call::GetLocalListVersion, Purpose::System, step.context.now);
}

/// The charger has said which version it has.
pub(super) fn told(step: &mut ChargerStep<'_>, version: i32) {
    let list = LocalList { told: Some(version), ..step.state.list() };
    if list != step.state.list() {
        step.emit(Event::Device(DeviceEvent::LocalList(list)));
    }
}
