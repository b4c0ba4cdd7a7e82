//! What happens when a charger tells a fault (CH-8): its meaning is kept with it, operators are told, a ticket is opened or
//! a reset wanted. Owns whether a connector is in offer as far as faults go; the table itself is in `domain::fault`.

use super::state::{Charger, Connector, TEXT_MAX};
use super::{ChargerStep, ErrorCode, Fault, Status, care, link, subject};
use crate::domain::charging::case::clip;
use crate::domain::charging::{Case, Level};
use crate::domain::fault::{Remedy, UNNAMED};
use crate::ids::ConnectorId;

/// The fault that a status tells, bounded, with what its vendor's code is known to mean. Beside `NoError` such a code is a
/// fault only if it has a meaning: many chargers send `0` or a number of the software there.
pub(super) fn explained(step: &ChargerStep<'_>, told: Option<Fault>, remark: Option<Box<str>>) -> Option<Box<Fault>> {
    let cut = |text: Option<Box<str>>| text.filter(|text| !text.is_empty()).map(|text| clip(&text, TEXT_MAX));
    let known = |code: &str| {
        let vendor = step.state.boot.as_ref().map_or("", |boot| &boot.fact.vendor);
        step.context.ambient.policy.faults.meaning(vendor, code).map(Box::new)
    };
    let mut fault = match told {
        Some(fault) => Fault::told(fault.code, cut(fault.vendor), cut(fault.info)),
        None => {
            let code = cut(remark)?;
            known(&code)?;
            Fault::told(ErrorCode::OtherError, Some(code), None)
        }
    };
    fault.meaning = fault.vendor.as_deref().and_then(known);
    Some(Box::new(fault))
}

/// A connector tells another status or fault than before.
pub(super) fn happened(step: &mut ChargerStep<'_>, connector: ConnectorId, before: &Connector, now: &Connector) {
    let broke = now.status == Status::Faulted && before.status != Status::Faulted;
    let fresh = match (&before.fault, &now.fault) {
        (Some(before), Some(now)) => !before.same_code(now),
        (None, Some(_)) => true,
        (Some(_) | None, None) => false,
    };
    if broke || fresh {
        appeared(step, connector, now);
    }
    if broke {
        link::troubled(step, link::Trouble::Fault);
    }
    care::drop_if_mended(step);
}

fn appeared(step: &mut ChargerStep<'_>, connector: ConnectorId, now: &Connector) {
    let meaning = now.fault.as_ref().map_or(UNNAMED, |fault| fault.meaning());
    let faulted = now.status == Status::Faulted;
    if meaning.remedy == Remedy::Nothing && !faulted {
        return;
    }
    let vendor = now.fault.as_ref().and_then(|fault| fault.vendor.as_deref()).unwrap_or("none");
    let code = now.fault.as_ref().map_or_else(|| "no error code".to_owned(), |fault| format!("{:?}", fault.code));
    let state = if faulted { "is faulted" } else { "reports a fault" };
    let vendor = vendor.escape_debug();
    let cause = meaning.cause.as_str();
    let text =
        format!("connector {connector} {state}: {cause} ({code}, vendor code {vendor}). {} {}", meaning.en, meaning.zh);
    let level = if faulted { at_least_warning(meaning.severity) } else { meaning.severity };
    let remedy = meaning.remedy;
    let why = format!("connector {connector}: {cause}, vendor code {vendor}");
    let tried = remedy == Remedy::Reset && care::want_reset(step, &why);
    let case = Case::alert(level, "connector_faulted", subject(step), text);
    step.raise(match (remedy, tried) {
        (Remedy::Ticket, _) => case.ticket("have the connector looked at before it is used again"),
        (Remedy::Reset, false) => case.ticket("reset the charger, or have it looked at"),
        (Remedy::Nothing | Remedy::Alert, _) | (Remedy::Reset, true) => case,
    });
}

fn at_least_warning(level: Level) -> Level {
    match level {
        Level::Info | Level::Warning => Level::Warning,
        Level::Critical => Level::Critical,
    }
}

impl Charger {
    /// The fault that a connector shows: its own, or that of the lock before it (CH-10).
    pub fn fault_at(&self, connector: ConnectorId) -> Option<&Fault> {
        let own = self.connector(connector).and_then(|known| known.fault.as_deref());
        own.or_else(|| self.lock_fault(connector))
    }

    /// Whether a fault keeps a connector out of offer that the charger still calls free (CH-8, CH-10).
    pub fn is_held_back(&self, connector: ConnectorId) -> bool {
        let own = self.connector(connector).and_then(|known| known.fault.as_deref());
        own.is_some_and(|fault| fault.meaning().out_of_offer) || self.lock_fault(connector).is_some()
    }

    /// The status that people are shown: a connector that a reservation holds is not free to them, whether the device
    /// knows of it or not (RS-1).
    pub fn shown_status(&self, connector: ConnectorId) -> Status {
        match self.offered_status(connector) {
            Status::Available if self.held(connector).is_some() => Status::Reserved,
            status => status,
        }
    }

    /// The same whatever is reserved: a connector that is held back by a fault is not free.
    pub fn offered_status(&self, connector: ConnectorId) -> Status {
        let status = self.connector(connector).map_or(Status::Unknown, |known| known.status);
        match status {
            Status::Available | Status::Preparing | Status::Reserved if self.is_held_back(connector) => Status::Faulted,
            Status::Available
            | Status::Preparing
            | Status::Reserved
            | Status::Charging
            | Status::SuspendedEv
            | Status::SuspendedEvse
            | Status::Finishing
            | Status::Unavailable
            | Status::Faulted
            | Status::Unknown => status,
        }
    }
}
