//! FirmwareStatusNotification (OCPP 1.6 §4.5): how a firmware update goes.

use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;

words!(
    /// FirmwareStatus (OCPP 1.6 §7.25).
    FirmwareStatus { Downloaded, DownloadFailed, Downloading, Idle, InstallationFailed, Installing, Installed }
);

/// FirmwareStatusNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the update stands.
    pub status: FirmwareStatus,
}

pub(crate) const FIELDS: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { status: f.open_choice("status", FirmwareStatus::ALLOWED, FirmwareStatus::read)? })
}
