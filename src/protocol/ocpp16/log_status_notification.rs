//! LogStatusNotification (OCPP 1.6 security white paper §6.1): how the upload of a log goes.

use super::charging_profile::opt_i32;
use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;

words!(
    /// UploadLogStatusEnumType.
    UploadLogStatus { BadMessage, Idle, NotSupportedOperation, PermissionDenied, Uploaded, UploadFailure, Uploading }
);

/// LogStatusNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where the upload stands.
    pub status: UploadLogStatus,
    /// Of which GetLog; none: triggered while none is under way.
    pub request_id: Option<i32>,
}

pub(crate) const FIELDS: &[&str] = &["status", "requestId"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let status = f.open_choice("status", UploadLogStatus::ALLOWED, UploadLogStatus::read)?;
    Ok(Request { status, request_id: opt_i32(f, "requestId")? })
}
