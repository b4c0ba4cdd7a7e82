//! What chargers' answers come to. Owns the mapping; never a decision.

use crate::domain::charger::configuration::{self, Key};
use crate::domain::charger::{Outcome, Told};
use crate::protocol::ocpp16::{
    Answer, cancel_reservation, certificate_signed, change_availability, change_configuration, clear_cache,
    clear_charging_profile, data_transfer, delete_certificate, extended_trigger_message, get_composite_schedule,
    get_configuration, get_installed_certificate_ids, get_log, install_certificate, remote_start_transaction,
    reserve_now, reset, send_local_list, set_charging_profile, signed_update_firmware, trigger_message,
    unlock_connector,
};

/// What a charger's confirmation of `action` comes to.
pub fn outcome(action: &str, payload: &str) -> (Outcome, Told) {
    match Answer::read(action, payload) {
        Ok(answered) => {
            let accepted = accepted(&answered.answer);
            (Outcome::Answered { accepted, payload: payload.into() }, told(answered.answer))
        }
        Err(error) => {
            let description = format!("the charger's answer cannot be read: {}", error.description).into();
            (Outcome::CallError { code: error.code.as_1_6().into(), description }, Told::Nothing)
        }
    }
}

/// What of it rules act on.
fn told(answer: Answer) -> Told {
    match answer {
        Answer::ChangeConfiguration(c) => Told::Status(c.status.as_str().into()),
        Answer::SendLocalList(c) => Told::Status(c.status.as_str().into()),
        Answer::ReserveNow(c) => Told::Status(c.status.as_str().into()),
        Answer::GetLocalListVersion(c) => Told::ListVersion(c.list_version),
        Answer::GetConfiguration(c) => Told::Configuration(Box::new(configuration(c))),
        Answer::CancelReservation(_)
        | Answer::CertificateSigned(_)
        | Answer::ChangeAvailability(_)
        | Answer::ClearCache(_)
        | Answer::ClearChargingProfile(_)
        | Answer::DataTransfer(_)
        | Answer::DeleteCertificate(_)
        | Answer::ExtendedTriggerMessage(_)
        | Answer::GetCompositeSchedule(_)
        | Answer::GetDiagnostics(_)
        | Answer::GetInstalledCertificateIds(_)
        | Answer::GetLog(_)
        | Answer::InstallCertificate(_)
        | Answer::RemoteStartTransaction(_)
        | Answer::RemoteStopTransaction(_)
        | Answer::Reset(_)
        | Answer::SetChargingProfile(_)
        | Answer::SignedUpdateFirmware(_)
        | Answer::TriggerMessage(_)
        | Answer::UnlockConnector(_)
        | Answer::UpdateFirmware(_) => Told::Nothing,
    }
}

fn configuration(answer: get_configuration::Confirmation) -> configuration::Told {
    let boxed = String::into_boxed_str;
    let keys = answer.configuration_key.into_iter();
    let keys = keys.map(|key| Key { key: boxed(key.key), value: key.value.map(boxed), readonly: key.readonly });
    configuration::Told { keys: keys.collect(), unknown: answer.unknown_key.into_iter().map(boxed).collect() }
}

/// Whether the charger does what was asked.
fn accepted(answer: &Answer) -> bool {
    use change_availability::AvailabilityStatus as Availability;
    use change_configuration::ConfigurationStatus as Configuration;
    use get_log::LogStatus;
    use remote_start_transaction::RemoteStartStopStatus as StartStop;
    use signed_update_firmware::UpdateFirmwareStatus as Update;
    match answer {
        Answer::CancelReservation(c) => c.status == cancel_reservation::CancelReservationStatus::Accepted,
        Answer::CertificateSigned(c) => c.status == certificate_signed::CertificateSignedStatus::Accepted,
        Answer::ChangeAvailability(c) => matches!(c.status, Availability::Accepted | Availability::Scheduled),
        Answer::ChangeConfiguration(c) => matches!(c.status, Configuration::Accepted | Configuration::RebootRequired),
        Answer::ClearCache(c) => c.status == clear_cache::ClearCacheStatus::Accepted,
        // Unknown: there was none to clear, and there is none now.
        Answer::ClearChargingProfile(c) => c.status == clear_charging_profile::ClearChargingProfileStatus::Accepted,
        Answer::DataTransfer(c) => c.status == data_transfer::DataTransferStatus::Accepted,
        Answer::DeleteCertificate(c) => c.status == delete_certificate::DeleteCertificateStatus::Accepted,
        Answer::ExtendedTriggerMessage(c) => c.status == extended_trigger_message::TriggerMessageStatus::Accepted,
        Answer::GetCompositeSchedule(c) => c.status == get_composite_schedule::GetCompositeScheduleStatus::Accepted,
        Answer::GetInstalledCertificateIds(c) => {
            c.status == get_installed_certificate_ids::GetInstalledCertificateStatus::Accepted
        }
        Answer::GetLog(c) => matches!(c.status, LogStatus::Accepted | LogStatus::AcceptedCanceled),
        Answer::InstallCertificate(c) => c.status == install_certificate::InstallCertificateStatus::Accepted,
        Answer::RemoteStartTransaction(c) => c.status == StartStop::Accepted,
        Answer::RemoteStopTransaction(c) => c.status == StartStop::Accepted,
        Answer::ReserveNow(c) => c.status == reserve_now::ReservationStatus::Accepted,
        Answer::Reset(c) => c.status == reset::ResetStatus::Accepted,
        Answer::SendLocalList(c) => c.status == send_local_list::UpdateStatus::Accepted,
        Answer::SetChargingProfile(c) => c.status == set_charging_profile::ChargingProfileStatus::Accepted,
        Answer::SignedUpdateFirmware(c) => matches!(c.status, Update::Accepted | Update::AcceptedCanceled),
        Answer::TriggerMessage(c) => c.status == trigger_message::TriggerMessageStatus::Accepted,
        Answer::UnlockConnector(c) => c.status == unlock_connector::UnlockStatus::Unlocked,
        // These only tell.
        Answer::GetConfiguration(_)
        | Answer::GetDiagnostics(_)
        | Answer::GetLocalListVersion(_)
        | Answer::UpdateFirmware(_) => true,
    }
}
