//! DiagnosticsStatusNotification (OCPP 1.6 §4.4): how the upload of a diagnostics file goes.

use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;

words!(
    /// DiagnosticsStatus (OCPP 1.6 §7.24).
    DiagnosticsStatus { Idle, Uploaded, UploadFailed, Uploading }
);

/// DiagnosticsStatusNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the upload stands.
    pub status: DiagnosticsStatus,
}

pub(crate) const FIELDS: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { status: f.open_choice("status", DiagnosticsStatus::ALLOWED, DiagnosticsStatus::read)? })
}
