//! SecurityEventNotification (OCPP 1.6 security white paper §6.1): something happened that concerns security.

use super::reader::Fields;
use crate::protocol::ocppj::CallError;
use crate::protocol::wire_time::WireTime;

/// SecurityEventNotification.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What: of the white paper's list, or the vendor's own.
    pub kind: String,
    /// When.
    pub timestamp: WireTime,
    /// More of it.
    pub tech_info: Option<String>,
}

pub(crate) const FIELDS: &[&str] = &["type", "timestamp", "techInfo"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { kind: f.text("type", 50)?, timestamp: f.time("timestamp")?, tech_info: f.opt_text("techInfo", 255)? })
}
