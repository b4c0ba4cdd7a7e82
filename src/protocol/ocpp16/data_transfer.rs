//! DataTransfer (OCPP 1.6 §4.3 and §5.6): what the specification has no message for, in both directions.

use super::reader::Fields;
use super::words::{Text, words};
use crate::protocol::ocppj::{CallError, ErrorCode};
use serde::Serialize;

words!(
    /// DataTransferStatus (OCPP 1.6 §7.18).
    DataTransferStatus { Accepted, Rejected, UnknownMessageId, UnknownVendorId }
);

/// DataTransfer.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Whose extension: a reversed DNS name by custom.
    pub vendor_id: Text<255>,
    /// Which of its messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Text<50>>,
    /// Anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// DataTransfer.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// Whether it was understood.
    pub status: DataTransferStatus,
    /// Anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

pub(crate) const FIELDS: &[&str] = &["vendorId", "messageId", "data"];
pub(crate) const ANSWER: &[&str] = &["status", "data"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let fits = |e: super::words::TooLong| CallError::new(ErrorCode::PropertyConstraintViolation, e.to_string());
    Ok(Request {
        vendor_id: Text::new(f.text("vendorId", 255)?).map_err(fits)?,
        message_id: f.opt_text("messageId", 50)?.map(Text::new).transpose().map_err(fits)?,
        data: f.opt_text("data", usize::MAX)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation {
        status: f.choice("status", DataTransferStatus::ALLOWED, DataTransferStatus::read)?,
        data: f.opt_text("data", usize::MAX)?,
    })
}
