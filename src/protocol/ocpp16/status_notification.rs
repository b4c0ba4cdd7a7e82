//! StatusNotification (OCPP 1.6 §4.9): a connector's state or a fault.

use super::reader::Fields;
use super::words::words;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use crate::protocol::wire_time::WireTime;

words!(
    /// ChargePointStatus (OCPP 1.6 §7.7).
    ChargePointStatus {
        Available, Preparing, Charging, SuspendedEVSE, SuspendedEV, Finishing, Reserved, Unavailable, Faulted
    }
);

words!(
    /// ChargePointErrorCode (OCPP 1.6 §7.6).
    ChargePointErrorCode {
        ConnectorLockFailure,
        EVCommunicationError,
        GroundFailure,
        HighTemperature,
        InternalError,
        LocalListConflict,
        NoError,
        OtherError,
        OverCurrentFailure,
        PowerMeterFailure,
        PowerSwitchFailure,
        ReaderFailure,
        ResetFailure,
        UnderVoltage,
        OverVoltage,
        WeakSignal
    }
);

/// StatusNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// 0: the charger itself.
    pub connector_id: ConnectorId,
    /// The fault, or `NoError`. Kept when unknown (CH-8).
    pub error_code: ChargePointErrorCode,
    /// For people.
    pub info: Option<String>,
    /// The state. Kept when unknown.
    pub status: ChargePointStatus,
    /// When, by the charger's clock.
    pub timestamp: Option<WireTime>,
    /// Whose vendor code.
    pub vendor_id: Option<String>,
    /// The vendor's own fault code.
    pub vendor_error_code: Option<String>,
}

pub(crate) const FIELDS: &[&str] =
    &["connectorId", "errorCode", "info", "status", "timestamp", "vendorId", "vendorErrorCode"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        error_code: f.open_choice("errorCode", ChargePointErrorCode::ALLOWED, ChargePointErrorCode::read)?,
        info: f.opt_text("info", 50)?,
        status: f.open_choice("status", ChargePointStatus::ALLOWED, ChargePointStatus::read)?,
        timestamp: f.opt_time("timestamp")?,
        vendor_id: f.opt_text("vendorId", 255)?,
        vendor_error_code: f.opt_text("vendorErrorCode", 50)?,
    })
}
