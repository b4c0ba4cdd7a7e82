//! The list of tokens that a charger accepts by itself (OCPP 1.6 §3.5): versions and sizes. Owns which list may be sent; the
//! tokens themselves the rules never see (OP-9).

use super::check::Flaw;
use super::device::LocalList;
use super::state::Pending;
use super::{Call, Charger, ChargerStep, DeviceEvent, Event, Outcome, Purpose, queue};

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

/// What the end of a SendLocalList says about the list that the charger has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    /// The one that was sent.
    Sent,
    /// What it had before.
    Before,
    /// One of both, or another: only the charger can tell.
    Unknown,
}

/// `status` is the word of the answer.
fn believe(outcome: &Outcome, status: Option<&str>) -> Belief {
    match (outcome, status) {
        (Outcome::Answered { .. }, Some("Accepted")) => Belief::Sent,
        // It has another list than we believe.
        (Outcome::Answered { .. }, Some("VersionMismatch")) => Belief::Unknown,
        // Failed, NotSupported, refused altogether: it keeps what it has.
        (Outcome::Answered { .. } | Outcome::CallError { .. }, _) => Belief::Before,
        (Outcome::TimedOut | Outcome::LinkLost, _) => Belief::Unknown,
        // Never sent.
        (Outcome::Offline | Outcome::Moot, _) => Belief::Before,
    }
}

/// A list is over.
pub(super) fn over(step: &mut ChargerStep<'_>, version: i32, outcome: &Outcome, status: Option<&str>) {
    match believe(outcome, status) {
        Belief::Sent => {
            let list = LocalList { accepted: Some(version), told: Some(version), ..step.state.list() };
            step.emit(Event::Device(DeviceEvent::LocalList(list)));
        }
        Belief::Before => {}
        Belief::Unknown => doubt(step),
    }
}

/// The answer to a list came after its time-out. By then the charger has been asked, and another list may have been sent:
/// which came first there, nobody can tell, so it is asked once more.
pub(super) fn answered_late(step: &mut ChargerStep<'_>) {
    doubt(step);
}

/// The connection went while a list was on its way. It is asked at the next one, unless the list is sent again there.
pub(super) fn lost(step: &mut ChargerStep<'_>, call: &Call) {
    if matches!(call, Call::SendLocalList { .. }) {
        forget(step);
    }
}

fn forget(step: &mut ChargerStep<'_>) {
    let (known, forgotten) = (step.state.list(), LocalList { accepted: None, told: None, ..step.state.list() });
    if known != forgotten {
        step.emit(Event::Device(DeviceEvent::LocalList(forgotten)));
    }
}

/// Nobody knows which list the charger has: it is asked, by a question that is sent after this.
fn doubt(step: &mut ChargerStep<'_>) {
    forget(step);
    let waits = |pending: &Pending| pending.call == Call::GetLocalListVersion && pending.sent.is_none();
    if !step.state.queue.iter().any(waits) {
        queue::push(step, Call::GetLocalListVersion, Purpose::System, step.context.now);
    }
}

/// The charger is back and may be asked: it is, where a list was sent and nobody knows what became of it.
pub(super) fn ask_again(step: &mut ChargerStep<'_>) {
    let list = step.state.list();
    let settles = |pending: &Pending| matches!(pending.call, Call::GetLocalListVersion | Call::SendLocalList { .. });
    if list.sent != 0 && list.current().is_none() && !step.state.queue.iter().any(settles) {
        queue::push(step, Call::GetLocalListVersion, Purpose::System, step.context.now);
    }
}

/// The charger has said which version it has.
pub(super) fn told(step: &mut ChargerStep<'_>, version: i32) {
    let list = LocalList { told: Some(version), ..step.state.list() };
    if list != step.state.list() {
        step.emit(Event::Device(DeviceEvent::LocalList(list)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_list_ended_says_which_one_the_charger_has() {
        let answered = || Outcome::Answered { accepted: true, payload: "{}".into() };
        let error = || Outcome::CallError { code: "InternalError".into(), description: "".into() };
        for (outcome, status, belief) in [
            (answered(), Some("Accepted"), Belief::Sent),
            (answered(), Some("Failed"), Belief::Before),
            (answered(), Some("NotSupported"), Belief::Before),
            (answered(), Some("VersionMismatch"), Belief::Unknown),
            (answered(), None, Belief::Before),
            (error(), None, Belief::Before),
            (Outcome::TimedOut, None, Belief::Unknown),
            (Outcome::LinkLost, None, Belief::Unknown),
            (Outcome::Offline, None, Belief::Before),
            (Outcome::Moot, None, Belief::Before),
        ] {
            assert_eq!(believe(&outcome, status), belief, "{outcome:?} {status:?}");
        }
    }
}
