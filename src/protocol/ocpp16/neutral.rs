//! Between OCPP 1.6's words and the rules' own: requests to facts, calls to commands, answers to outcomes. Owns the
//! mapping, one function a message; never a decision.

use super::id_tag_info::{AuthorizationStatus, IdTagInfo};
use super::status_notification::{ChargePointErrorCode, ChargePointStatus};
use super::stop_transaction::Reason;
use super::{
    Answer, Command, Flag, Text, boot_notification, change_availability, change_configuration, clear_cache,
    data_transfer, get_configuration, meter_values, remote_start_transaction, remote_stop_transaction, reset,
    start_transaction, status_notification, stop_transaction, trigger_message, unlock_connector,
};
use crate::domain::charger::{
    BootFact, Call, ErrorCode, Fault, MeterFact, Outcome, Sample, StartFact, Status, StatusFact, StopFact, StopReason,
    Tag, Verdict, WireTime,
};
use crate::protocol::metering::{MeterReading, Value};
use crate::protocol::wire_time;

fn boxed(text: String) -> Box<str> {
    text.into_boxed_str()
}

fn time(at: wire_time::WireTime) -> WireTime {
    WireTime { raw: boxed(at.raw), at: at.parsed }
}

/// What was let pass in reading a transaction message, as one text; `None`: nothing.
fn flaw(flags: &[Flag]) -> Option<Box<str>> {
    let each = flags.iter().map(|flag| format!("{}: {:?}", flag.path, flag.kind));
    (!flags.is_empty()).then(|| boxed(each.collect::<Vec<_>>().join("; ")))
}

/// BootNotification.req.
pub fn boot(request: boot_notification::Request) -> BootFact {
    let joined = |first: Option<String>, second: Option<String>| match (first, second) {
        (Some(first), Some(second)) => Some(boxed(format!("{first} {second}"))),
        (first, second) => first.or(second).map(boxed),
    };
    BootFact {
        vendor: boxed(request.charge_point_vendor),
        model: boxed(request.charge_point_model),
        serial: request.charge_point_serial_number.or(request.charge_box_serial_number).map(boxed),
        firmware: request.firmware_version.map(boxed),
        meter: joined(request.meter_type, request.meter_serial_number),
        modem: joined(request.iccid, request.imsi),
    }
}

/// StatusNotification.req. A status that no edition has counts as not known.
pub fn status(request: status_notification::Request) -> StatusFact {
    let status = match request.status {
        ChargePointStatus::Available => Status::Available,
        ChargePointStatus::Preparing => Status::Preparing,
        ChargePointStatus::Charging => Status::Charging,
        ChargePointStatus::SuspendedEVSE => Status::SuspendedEvse,
        ChargePointStatus::SuspendedEV => Status::SuspendedEv,
        ChargePointStatus::Finishing => Status::Finishing,
        ChargePointStatus::Reserved => Status::Reserved,
        ChargePointStatus::Unavailable => Status::Unavailable,
        ChargePointStatus::Faulted => Status::Faulted,
        ChargePointStatus::Unlisted(_) => Status::Unknown,
    };
    let (code, unlisted) = error_code(request.error_code);
    let vendor = request.vendor_error_code.filter(|code| !code.is_empty()).or(unlisted);
    let fault = code.map(|code| Fault {
        code,
        vendor: vendor.map(boxed),
        info: request.info.filter(|info| !info.is_empty()).map(boxed),
    });
    StatusFact { connector: request.connector_id, status, fault, at: request.timestamp.map(time) }
}

/// The code, and its text where the specification does not have it.
fn error_code(code: ChargePointErrorCode) -> (Option<ErrorCode>, Option<String>) {
    use ChargePointErrorCode as Wire;
    let known = match code {
        Wire::NoError => return (None, None),
        Wire::Unlisted(text) => return (Some(ErrorCode::OtherError), Some(text)),
        Wire::ConnectorLockFailure => ErrorCode::ConnectorLockFailure,
        Wire::EVCommunicationError => ErrorCode::EVCommunicationError,
        Wire::GroundFailure => ErrorCode::GroundFailure,
        Wire::HighTemperature => ErrorCode::HighTemperature,
        Wire::InternalError => ErrorCode::InternalError,
        Wire::LocalListConflict => ErrorCode::LocalListConflict,
        Wire::OtherError => ErrorCode::OtherError,
        Wire::OverCurrentFailure => ErrorCode::OverCurrentFailure,
        Wire::OverVoltage => ErrorCode::OverVoltage,
        Wire::PowerMeterFailure => ErrorCode::PowerMeterFailure,
        Wire::PowerSwitchFailure => ErrorCode::PowerSwitchFailure,
        Wire::ReaderFailure => ErrorCode::ReaderFailure,
        Wire::ResetFailure => ErrorCode::ResetFailure,
        Wire::UnderVoltage => ErrorCode::UnderVoltage,
        Wire::WeakSignal => ErrorCode::WeakSignal,
    };
    (Some(known), None)
}

/// StartTransaction.req.
pub fn start(request: start_transaction::Request, tag: Tag, message_id: &str, flags: &[Flag]) -> StartFact {
    StartFact {
        connector: request.connector_id,
        tag,
        meter_start_wh: request.meter_start,
        at: time(request.timestamp),
        message_id: message_id.into(),
        flaw: flaw(flags),
    }
}

/// MeterValues.req.
pub fn meter(request: meter_values::Request) -> MeterFact {
    MeterFact {
        connector: request.connector_id,
        transaction: request.transaction_id,
        samples: request.meter_value.into_iter().map(sample).collect(),
    }
}

/// StopTransaction.req.
pub fn stop(request: stop_transaction::Request, tag: Option<Tag>, message_id: &str, flags: &[Flag]) -> StopFact {
    StopFact {
        transaction: request.transaction_id,
        tag,
        meter_stop_wh: Some(request.meter_stop),
        at: time(request.timestamp),
        reason: request.reason.map(reason),
        data: request.transaction_data.into_iter().map(sample).collect(),
        message_id: message_id.into(),
        flaw: flaw(flags),
    }
}

fn reason(reason: Reason) -> StopReason {
    match reason {
        Reason::DeAuthorized => StopReason::DeAuthorized,
        Reason::EmergencyStop => StopReason::EmergencyStop,
        Reason::EVDisconnected => StopReason::EVDisconnected,
        Reason::HardReset => StopReason::HardReset,
        Reason::Local => StopReason::Local,
        Reason::Other | Reason::Unlisted(_) => StopReason::Other,
        Reason::PowerLoss => StopReason::PowerLoss,
        Reason::Reboot => StopReason::Reboot,
        Reason::Remote => StopReason::Remote,
        Reason::SoftReset => StopReason::SoftReset,
        Reason::UnlockCommand => StopReason::UnlockCommand,
    }
}

fn sample(reading: MeterReading) -> Sample {
    Sample {
        energy_wh: reading.energy_import_wh(),
        power_w: reading.power_import_w(),
        soc_percent: reading.soc_percent().and_then(|soc| u8::try_from(soc).ok()).filter(|soc| *soc <= 100),
        unreadable: reading.samples.iter().any(|sample| matches!(sample.value, Value::Unreadable(_))),
        at: time(reading.at),
    }
}

/// What a token's verdict is on the wire.
pub fn id_tag_info(verdict: Verdict) -> IdTagInfo {
    IdTagInfo::only(match verdict {
        Verdict::Accepted => AuthorizationStatus::Accepted,
        Verdict::Blocked => AuthorizationStatus::Blocked,
        Verdict::Expired => AuthorizationStatus::Expired,
        Verdict::Invalid | Verdict::Unknown => AuthorizationStatus::Invalid,
    })
}

/// A call of the rules as a request of this version.
pub fn command(call: &Call) -> Command {
    match call {
        Call::RemoteStart { connector, id_tag } => Command::RemoteStartTransaction(remote_start_transaction::Request {
            connector_id: *connector,
            id_tag: Text::cut(id_tag),
            charging_profile: None,
        }),
        Call::RemoteStop { transaction } => {
            Command::RemoteStopTransaction(remote_stop_transaction::Request { transaction_id: *transaction })
        }
        Call::Trigger { message, connector } => Command::TriggerMessage(trigger_message::Request {
            requested_message: trigger_message::MessageTrigger::read(message),
            connector_id: *connector,
        }),
        Call::Reset { hard } => {
            Command::Reset(reset::Request { kind: if *hard { reset::ResetType::Hard } else { reset::ResetType::Soft } })
        }
        Call::GetConfiguration { keys } => Command::GetConfiguration(get_configuration::Request {
            key: (!keys.is_empty()).then(|| keys.iter().map(|key| Text::cut(key)).collect()),
        }),
        Call::ChangeConfiguration { key, value } => {
            Command::ChangeConfiguration(change_configuration::Request { key: Text::cut(key), value: Text::cut(value) })
        }
        // The shell puts the password in its place, see `authorization_key`.
        Call::SetAuthorizationKey { .. } => authorization_key(""),
        Call::ChangeAvailability { connector, operative } => {
            use change_availability::AvailabilityType;
            Command::ChangeAvailability(change_availability::Request {
                connector_id: *connector,
                kind: if *operative { AvailabilityType::Operative } else { AvailabilityType::Inoperative },
            })
        }
        Call::UnlockConnector { connector } => {
            Command::UnlockConnector(unlock_connector::Request { connector_id: *connector })
        }
        Call::ClearCache => Command::ClearCache(clear_cache::Request {}),
        Call::DataTransfer { vendor, message, data } => Command::DataTransfer(data_transfer::Request {
            vendor_id: Text::cut(vendor),
            message_id: message.as_deref().map(Text::cut),
            data: data.as_deref().map(str::to_owned),
        }),
    }
}

/// A new password as a request of this version: its bytes as hex digits (security white paper A01).
pub fn authorization_key(hex: &str) -> Command {
    Command::ChangeConfiguration(change_configuration::Request {
        key: Text::cut("AuthorizationKey"),
        value: Text::cut(hex),
    })
}

/// A request that an operator gives, as a call of the rules; `None`: one that they do not know yet.
pub fn call(command: Command) -> Option<Call> {
    let owned = |text: &str| Box::<str>::from(text);
    Some(match command {
        Command::RemoteStartTransaction(request) => {
            Call::RemoteStart { connector: request.connector_id, id_tag: owned(request.id_tag.as_str()) }
        }
        Command::RemoteStopTransaction(request) => Call::RemoteStop { transaction: request.transaction_id },
        Command::TriggerMessage(request) => {
            Call::Trigger { message: owned(request.requested_message.as_str()), connector: request.connector_id }
        }
        Command::Reset(request) => Call::Reset { hard: request.kind == reset::ResetType::Hard },
        Command::GetConfiguration(request) => Call::GetConfiguration {
            keys: request.key.unwrap_or_default().iter().map(|key| owned(key.as_str())).collect(),
        },
        Command::ChangeConfiguration(request) => {
            Call::ChangeConfiguration { key: owned(request.key.as_str()), value: owned(request.value.as_str()) }
        }
        Command::ChangeAvailability(request) => Call::ChangeAvailability {
            connector: request.connector_id,
            operative: request.kind == change_availability::AvailabilityType::Operative,
        },
        Command::UnlockConnector(request) => Call::UnlockConnector { connector: request.connector_id },
        Command::ClearCache(clear_cache::Request {}) => Call::ClearCache,
        Command::DataTransfer(request) => Call::DataTransfer {
            vendor: owned(request.vendor_id.as_str()),
            message: request.message_id.map(|id| owned(id.as_str())),
            data: request.data.map(boxed),
        },
        Command::CancelReservation(_)
        | Command::ClearChargingProfile(_)
        | Command::GetCompositeSchedule(_)
        | Command::GetDiagnostics(_)
        | Command::GetLocalListVersion(_)
        | Command::ReserveNow(_)
        | Command::SendLocalList(_)
        | Command::SetChargingProfile(_)
        | Command::UpdateFirmware(_) => return None,
    })
}

/// What a charger's confirmation of `action` comes to.
pub fn outcome(action: &str, payload: &str) -> Outcome {
    match Answer::read(action, payload) {
        Ok(answered) => Outcome::Answered { accepted: accepted(&answered.answer), payload: payload.into() },
        Err(error) => Outcome::CallError {
            code: error.code.as_1_6().into(),
            description: format!("the charger's answer cannot be read: {}", error.description).into(),
        },
    }
}

fn accepted(answer: &Answer) -> bool {
    use change_availability::AvailabilityStatus;
    use change_configuration::ConfigurationStatus;
    match answer {
        Answer::ChangeAvailability(c) => {
            matches!(c.status, AvailabilityStatus::Accepted | AvailabilityStatus::Scheduled)
        }
        Answer::ChangeConfiguration(c) => {
            matches!(c.status, ConfigurationStatus::Accepted | ConfigurationStatus::RebootRequired)
        }
        Answer::ClearCache(c) => c.status == clear_cache::ClearCacheStatus::Accepted,
        Answer::DataTransfer(c) => c.status == data_transfer::DataTransferStatus::Accepted,
        Answer::GetConfiguration(_) => true,
        Answer::RemoteStartTransaction(c) => c.status == remote_start_transaction::RemoteStartStopStatus::Accepted,
        Answer::RemoteStopTransaction(c) => c.status == remote_start_transaction::RemoteStartStopStatus::Accepted,
        Answer::Reset(c) => c.status == reset::ResetStatus::Accepted,
        Answer::TriggerMessage(c) => c.status == trigger_message::TriggerMessageStatus::Accepted,
        Answer::UnlockConnector(c) => c.status == unlock_connector::UnlockStatus::Unlocked,
        // Never asked: `command` makes none of these.
        Answer::CancelReservation(_)
        | Answer::ClearChargingProfile(_)
        | Answer::GetCompositeSchedule(_)
        | Answer::GetDiagnostics(_)
        | Answer::GetLocalListVersion(_)
        | Answer::ReserveNow(_)
        | Answer::SendLocalList(_)
        | Answer::SetChargingProfile(_)
        | Answer::UpdateFirmware(_) => false,
    }
}
