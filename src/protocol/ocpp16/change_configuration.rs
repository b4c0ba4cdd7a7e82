//! ChangeConfiguration (OCPP 1.6 §5.3): a setting of the charger is changed.

use super::reader::Fields;
use super::words::{Text, words};
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ConfigurationStatus (OCPP 1.6 §7.17).
    ConfigurationStatus { Accepted, Rejected, RebootRequired, NotSupported }
);

/// ChangeConfiguration.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Which setting.
    pub key: Text<50>,
    /// Its new value.
    pub value: Text<500>,
}

/// ChangeConfiguration.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it holds now.
    pub status: ConfigurationStatus,
}

pub(crate) const FIELDS: &[&str] = &["key", "value"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { key: Text::cut(&f.text("key", 50)?), value: Text::cut(&f.text("value", 500)?) })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", ConfigurationStatus::ALLOWED, ConfigurationStatus::read)? })
}
