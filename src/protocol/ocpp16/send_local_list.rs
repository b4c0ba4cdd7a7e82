//! SendLocalList (OCPP 1.6 §5.15): tokens that the charger may accept by itself.

use super::charging_profile::{i32, moment};
use super::id_tag_info::{AuthorizationStatus, IdTagInfo};
use super::reader::Fields;
use super::words::{IdTag, Text, words};
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// UpdateType (OCPP 1.6 §7.47).
    UpdateType { Differential, Full }
);
words!(
    /// UpdateStatus (OCPP 1.6 §7.46).
    UpdateStatus { Accepted, Failed, NotSupported, VersionMismatch }
);

/// AuthorizationData (OCPP 1.6 §7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationData {
    /// The token.
    pub id_tag: IdTag,
    /// What holds for it; none in a differential list: it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tag_info: Option<IdTagInfo>,
}

/// SendLocalList.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The list's version once this is applied.
    pub list_version: i32,
    /// The tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_authorization_list: Option<Vec<AuthorizationData>>,
    /// Whether it replaces or changes the list.
    pub update_type: UpdateType,
}

/// SendLocalList.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it is applied.
    pub status: UpdateStatus,
}

pub(crate) const FIELDS: &[&str] = &["listVersion", "localAuthorizationList", "updateType"];
pub(crate) const ANSWER: &[&str] = &["status"];
const DATA: &[&str] = &["idTag", "idTagInfo"];
const INFO: &[&str] = &["expiryDate", "parentIdTag", "status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let list = f.opt_list("localAuthorizationList", 0, |value, at| {
        let f = Fields::open(value, at, f.reading, DATA)?;
        let id_tag_info = f.opt_object("idTagInfo", INFO, |f| {
            Ok(IdTagInfo {
                expiry_date: moment(f, "expiryDate")?,
                parent_id_tag: f.opt_text("parentIdTag", 20)?.as_deref().map(Text::cut),
                status: f.choice("status", AuthorizationStatus::ALLOWED, AuthorizationStatus::read)?,
            })
        })?;
        Ok(AuthorizationData { id_tag: Text::cut(&f.text("idTag", 20)?), id_tag_info })
    })?;
    Ok(Request {
        list_version: i32(f, "listVersion")?,
        local_authorization_list: list,
        update_type: f.choice("updateType", UpdateType::ALLOWED, UpdateType::read)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", UpdateStatus::ALLOWED, UpdateStatus::read)? })
}
