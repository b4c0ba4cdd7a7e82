//! Between OCPP 1.6's words and the rules' own: requests to facts, calls to commands, answers to outcomes. Owns the
//! mapping, one function a message; never a decision.

use super::id_tag_info::{AuthorizationStatus, IdTagInfo};
use super::status_notification::{ChargePointErrorCode, ChargePointStatus};
use super::stop_transaction::Reason;
use super::{
    Flag, boot_notification, data_transfer, meter_values, security_event_notification, start_transaction,
    status_notification, stop_transaction,
};
use crate::domain::charger::{
    self, BootFact, ErrorCode, Fault, MeterFact, Sample, SecurityFact, StartFact, Status, StatusFact, StopFact,
    StopReason, Tag, TransferStatus, Verdict, WireTime,
};
use crate::protocol::metering::{MeterReading, Value};
use crate::protocol::wire_time;

mod answers;
mod calls;
mod profiles;

pub use answers::outcome;
pub use calls::{authorization_key, call, command, list_entries};

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
    let vendor = request.vendor_error_code.filter(|code| !code.is_empty()).or(unlisted).map(boxed);
    let info = request.info.filter(|info| !info.is_empty()).map(boxed);
    let (fault, remark) = match code {
        Some(code) => (Some(Fault::told(code, vendor, info)), None),
        None => (None, vendor),
    };
    StatusFact { connector: request.connector_id, status, fault, remark, at: request.timestamp.map(time) }
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

/// DataTransfer.req.
pub fn data_transfer(request: data_transfer::Request) -> charger::Command {
    charger::Command::DataTransfer {
        vendor: request.vendor_id.as_str().into(),
        message: request.message_id.map(|message| message.as_str().into()),
        data: request.data.map(boxed),
    }
}

/// DataTransfer.conf where nobody here knows the vendor.
pub fn unknown_vendor() -> data_transfer::Confirmation {
    data_transfer::Confirmation { status: data_transfer::DataTransferStatus::UnknownVendorId, data: None }
}

/// DataTransfer.conf of a profile that is known.
pub fn transferred(status: TransferStatus, data: Option<Box<str>>) -> data_transfer::Confirmation {
    use data_transfer::DataTransferStatus;
    let status = match status {
        TransferStatus::Accepted => DataTransferStatus::Accepted,
        TransferStatus::Rejected => DataTransferStatus::Rejected,
        TransferStatus::UnknownMessage => DataTransferStatus::UnknownMessageId,
    };
    data_transfer::Confirmation { status, data: data.map(String::from) }
}

/// StartTransaction.req.
pub fn start(request: start_transaction::Request, tag: Tag, message_id: &str, flags: &[Flag]) -> StartFact {
    StartFact {
        connector: request.connector_id,
        tag,
        meter_start_wh: request.meter_start,
        reservation: request.reservation_id,
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

/// Bytes of a signed record that are kept: those of known makes have 1 to 4 KiB.
const SIGNED_MAX: usize = 8192;

/// Signed records of one reading that are kept: one a register, at most two of them.
const SIGNED_RECORDS_MAX: usize = 4;

fn sample(reading: MeterReading) -> Sample {
    let fits = |record: &&str| record.len() <= SIGNED_MAX;
    let signed: Vec<Box<str>> = reading.signed().filter(fits).take(SIGNED_RECORDS_MAX).map(Into::into).collect();
    let lost = reading.signed().count() > signed.len();
    Sample {
        signed,
        energy_wh: reading.energy_import_wh(),
        power_w: reading.power_import_w(),
        soc_percent: reading.soc_percent().and_then(|soc| u8::try_from(soc).ok()).filter(|soc| *soc <= 100),
        unreadable: lost || reading.samples.iter().any(|sample| matches!(sample.value, Value::Unreadable(_))),
        at: time(reading.at),
    }
}

/// SecurityEventNotification.req.
pub fn security_event(request: security_event_notification::Request) -> SecurityFact {
    let info = request.tech_info.filter(|info| !info.is_empty()).map(boxed);
    SecurityFact { kind: boxed(request.kind), at: time(request.timestamp), info }
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
