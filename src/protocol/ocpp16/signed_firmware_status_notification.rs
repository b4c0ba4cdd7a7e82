//! SignedFirmwareStatusNotification (OCPP 1.6 security white paper §6.1): how a signed firmware update goes.

use super::charging_profile::opt_i32;
use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;

words!(
    /// FirmwareStatusEnumType.
    FirmwareStatus {
        Downloaded,
        DownloadFailed,
        Downloading,
        DownloadScheduled,
        DownloadPaused,
        Idle,
        InstallationFailed,
        Installing,
        Installed,
        InstallRebooting,
        InstallScheduled,
        InstallVerificationFailed,
        InvalidSignature,
        SignatureVerified
    }
);

/// SignedFirmwareStatusNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the update stands.
    pub status: FirmwareStatus,
    /// Of which SignedUpdateFirmware; none: triggered while none is under way.
    pub request_id: Option<i32>,
}

pub(crate) const FIELDS: &[&str] = &["status", "requestId"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let status = f.open_choice("status", FirmwareStatus::ALLOWED, FirmwareStatus::read)?;
    Ok(Request { status, request_id: opt_i32(f, "requestId")? })
}
