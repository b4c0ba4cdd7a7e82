//! What a charger can ask. Owns the choice of reader by action and of strictness; never an answer's content.

use super::reader::{Fields, Flag, FlagKind, Mode, Path, Reading, shown};
use super::{
    authorize, boot_notification, data_transfer, diagnostics_status_notification, firmware_status_notification,
    log_status_notification, meter_values, security_event_notification, sign_certificate,
    signed_firmware_status_notification, start_transaction, status_notification, stop_transaction,
};
use crate::protocol::json::{Limits, read};
use crate::protocol::ocppj::{CallError, ErrorCode, MESSAGE_ID_MAX};
use serde::Serialize;

/// The payload of an empty confirmation: MeterValues, StatusNotification and the status notifications.
pub const EMPTY: &str = "{}";

/// A request from a charger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the specification's own names")]
pub enum Request {
    Authorize(authorize::Request),
    BootNotification(boot_notification::Request),
    DataTransfer(data_transfer::Request),
    DiagnosticsStatusNotification(diagnostics_status_notification::Request),
    FirmwareStatusNotification(firmware_status_notification::Request),
    Heartbeat,
    LogStatusNotification(log_status_notification::Request),
    MeterValues(meter_values::Request),
    SecurityEventNotification(security_event_notification::Request),
    SignCertificate(sign_certificate::Request),
    SignedFirmwareStatusNotification(signed_firmware_status_notification::Request),
    StartTransaction(start_transaction::Request),
    StatusNotification(status_notification::Request),
    StopTransaction(stop_transaction::Request),
    /// A transaction message that cannot be read: kept as bytes, confirmed, with a ticket (CH-1).
    Unreadable(Unreadable),
}

/// A transaction message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which message: `StartTransaction`, `StopTransaction` or `MeterValues`.
    pub action: &'static str,
    /// The payload as received, or the whole frame where that is broken.
    pub bytes: Vec<u8>,
    /// What is wrong with it.
    pub why: String,
}

/// A request and what was let pass in reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The request.
    pub request: Request,
    /// What breaks the schema but was understood (CH-1).
    pub flags: Vec<Flag>,
}

/// A request that is answered with a CALLERROR.
pub type Refusal = CallError;

/// The transaction message of this name: those are never refused for their form (CH-1, RT-8).
pub fn is_transaction(action: &str) -> Option<&'static str> {
    ["MeterValues", "StartTransaction", "StopTransaction"].into_iter().find(|known| *known == action)
}

/// A transaction message that could not even be framed, if `action` is one.
pub fn unreadable(action: &str, bytes: &[u8], why: &str) -> Option<Decoded> {
    let action = is_transaction(action)?;
    let unreadable = Unreadable { action, bytes: bytes.to_vec(), why: why.to_owned() };
    Some(Decoded { request: Request::Unreadable(unreadable), flags: Vec::new() })
}

/// Reads a request. `id` is the unique message id, whose length is checked here.
///
/// # Errors
/// The CALLERROR that says what is wrong, where, and what is allowed. Transaction messages have none.
pub fn decode(id: &str, action: &str, payload: &str) -> Result<Decoded, Refusal> {
    let mode = if is_transaction(action).is_some() { Mode::Lenient } else { Mode::Strict };
    let reading = Reading::new(mode);
    if id.len() > MESSAGE_ID_MAX {
        reading.flag(&Path::Root, FlagKind::LongMessageId);
    }
    match dispatch(action, payload, &reading) {
        Ok(request) => Ok(Decoded { request, flags: reading.into_flags() }),
        Err(error) => unreadable(action, payload.as_bytes(), &error.description).ok_or(error),
    }
}

fn dispatch(action: &str, payload: &str, reading: &Reading) -> Result<Request, CallError> {
    let parse = Parse { payload, reading };
    match action {
        "Authorize" => parse.with(authorize::FIELDS, authorize::read).map(Request::Authorize),
        "BootNotification" => {
            parse.with(boot_notification::FIELDS, boot_notification::read).map(Request::BootNotification)
        }
        "DataTransfer" => parse.with(data_transfer::FIELDS, data_transfer::read).map(Request::DataTransfer),
        "DiagnosticsStatusNotification" => parse
            .with(diagnostics_status_notification::FIELDS, diagnostics_status_notification::read)
            .map(Request::DiagnosticsStatusNotification),
        "FirmwareStatusNotification" => parse
            .with(firmware_status_notification::FIELDS, firmware_status_notification::read)
            .map(Request::FirmwareStatusNotification),
        "Heartbeat" => parse.with(&[], |_| Ok(Request::Heartbeat)),
        "LogStatusNotification" => parse
            .with(log_status_notification::FIELDS, log_status_notification::read)
            .map(Request::LogStatusNotification),
        "MeterValues" => parse.with(meter_values::FIELDS, meter_values::read).map(Request::MeterValues),
        "SecurityEventNotification" => parse
            .with(security_event_notification::FIELDS, security_event_notification::read)
            .map(Request::SecurityEventNotification),
        "SignCertificate" => parse.with(sign_certificate::FIELDS, sign_certificate::read).map(Request::SignCertificate),
        "SignedFirmwareStatusNotification" => parse
            .with(signed_firmware_status_notification::FIELDS, signed_firmware_status_notification::read)
            .map(Request::SignedFirmwareStatusNotification),
        "StartTransaction" => {
            parse.with(start_transaction::FIELDS, start_transaction::read).map(Request::StartTransaction)
        }
        "StatusNotification" => {
            parse.with(status_notification::FIELDS, status_notification::read).map(Request::StatusNotification)
        }
        "StopTransaction" => parse.with(stop_transaction::FIELDS, stop_transaction::read).map(Request::StopTransaction),
        other => Err(unknown(other)),
    }
}

/// Actions of the specification that a charger may not ask: they go the other way.
const NOT_SERVED: &[&str] = &[
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "InstallCertificate",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
];

fn unknown(action: &str) -> CallError {
    if NOT_SERVED.contains(&action) {
        return CallError::new(ErrorCode::NotSupported, format!("`{action}` is not supported in this direction"));
    }
    CallError::new(ErrorCode::NotImplemented, format!("`{}` is no action of OCPP 1.6", shown(action)))
}

/// A payload about to be read.
pub(crate) struct Parse<'p> {
    pub(crate) payload: &'p str,
    pub(crate) reading: &'p Reading,
}

impl Parse<'_> {
    pub(crate) fn with<T>(
        &self,
        known: &[&str],
        read_fields: impl FnOnce(&Fields<'_, '_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let limits = if self.reading.lenient() { &Limits::OCPP_TRANSACTION } else { &Limits::OCPP };
        let json =
            read(self.payload, limits).map_err(|e| CallError::new(ErrorCode::FormationViolation, e.to_string()))?;
        read_fields(&Fields::open(&json, &Path::Root, self.reading, known)?)
    }
}

/// A confirmation as the payload of a CALLRESULT.
pub fn to_payload<T: Serialize>(confirmation: &T) -> String {
    // The types of this module have string keys only and no floats beyond JSON's, so writing them cannot fail.
    serde_json::to_string(confirmation).unwrap_or_else(|_| EMPTY.to_owned())
}
