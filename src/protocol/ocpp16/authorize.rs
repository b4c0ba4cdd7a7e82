//! Authorize (OCPP 1.6 §4.1): may this token charge?

use super::id_tag_info::IdTagInfo;
use super::reader::Fields;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

/// Authorize.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The token presented.
    pub id_tag: String,
}

/// Authorize.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// What holds for the token.
    pub id_tag_info: IdTagInfo,
}

pub(crate) const FIELDS: &[&str] = &["idTag"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { id_tag: f.text("idTag", 20)? })
}
