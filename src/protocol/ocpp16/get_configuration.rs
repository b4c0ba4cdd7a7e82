//! GetConfiguration (OCPP 1.6 §5.8): the charger's settings are asked for.

use super::reader::{Fields, text_entry};
use super::words::Text;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

/// GetConfiguration.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Which keys; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Vec<Text<50>>>,
}

/// KeyValue (OCPP 1.6 §7.29).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyValue {
    /// The setting.
    pub key: String,
    /// Whether ChangeConfiguration cannot set it.
    pub readonly: bool,
    /// Its value, if set.
    pub value: Option<String>,
}

/// GetConfiguration.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// What the charger has.
    pub configuration_key: Vec<KeyValue>,
    /// What it does not know.
    pub unknown_key: Vec<String>,
}

pub(crate) const FIELDS: &[&str] = &["key"];
pub(crate) const ANSWER: &[&str] = &["configurationKey", "unknownKey"];
const KEY_VALUE: &[&str] = &["key", "readonly", "value"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let key = f.opt_list("key", 0, |value, at| text_entry(value, at, 50).map(|text| Text::cut(&text)))?;
    Ok(Request { key })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    let keys = f.opt_list("configurationKey", 0, |value, at| {
        let f = Fields::open(value, at, f.reading, KEY_VALUE)?;
        Ok(KeyValue { key: f.text("key", 50)?, readonly: f.boolean("readonly")?, value: f.opt_text("value", 500)? })
    })?;
    let unknown = f.opt_list("unknownKey", 0, |value, at| text_entry(value, at, 50))?;
    Ok(Confirmation { configuration_key: keys.unwrap_or_default(), unknown_key: unknown.unwrap_or_default() })
}
