//! What follows from a charger's answers beyond yes and no: its local list, its profiles, its configuration.

use super::smart_charging::{Installed, with, without};
use super::{Call, ChargerStep, DeviceEvent, Event, Outcome, Pending, Purpose, Told, configuration, holds, local_list};

/// A command that was sent is over.
pub(super) fn over(step: &mut ChargerStep<'_>, pending: &Pending, outcome: &Outcome, told: Told) {
    let accepted = matches!(outcome, Outcome::Answered { accepted: true, .. });
    match (&pending.call, told) {
        (Call::GetConfiguration { keys }, Told::Configuration(told)) if keys.is_empty() => {
            configuration::answered(step, pending, outcome, Some(*told));
        }
        (Call::GetConfiguration { keys }, _) if keys.is_empty() => {
            configuration::answered(step, pending, outcome, None)
        }
        (Call::ChangeConfiguration { .. }, Told::Status(status)) => configuration::changed(step, pending, &status),
        (Call::SendLocalList { version, .. }, told) => {
            let status = if let Told::Status(status) = &told { Some(&**status) } else { None };
            local_list::over(step, *version, outcome, status);
        }
        (Call::ReserveNow { .. }, told) => {
            if let Purpose::Hold(reservation) = pending.purpose {
                holds::told(step, reservation, outcome, &told);
            }
        }
        (Call::GetLocalListVersion, Told::ListVersion(version)) => local_list::told(step, version),
        (Call::SetChargingProfile { connector, profile }, _) if accepted => {
            let (id, stack_level, purpose) = (profile.id, profile.stack_level, profile.purpose);
            let newer = Installed { id, connector: *connector, purpose, stack_level };
            let installed = with(&step.state.installed(), newer);
            step.emit(Event::Device(DeviceEvent::Profiles { installed }));
        }
        (Call::ClearChargingProfile { id, connector, purpose, stack_level }, _) if accepted => {
            let installed = without(&step.state.installed(), *id, *connector, *purpose, *stack_level);
            step.emit(Event::Device(DeviceEvent::Profiles { installed }));
        }
        (_, Told::Nothing | Told::Status(_) | Told::ListVersion(_) | Told::Configuration(_)) => {}
    }
}
