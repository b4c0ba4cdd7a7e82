//! ReserveNow (OCPP 1.6 §5.13): a connector is held for a token.

use super::charging_profile::i32;
use super::reader::Fields;
use super::words::{IdTag, Text, time, words};
use crate::clock::Timestamp;
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ReservationStatus (OCPP 1.6 §7.40).
    ReservationStatus { Accepted, Faulted, Occupied, Rejected, Unavailable }
);

/// ReserveNow.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// 0: any connector.
    pub connector_id: ConnectorId,
    /// Until when.
    #[serde(serialize_with = "time")]
    pub expiry_date: Timestamp,
    /// For whom.
    pub id_tag: IdTag,
    /// Or for any token of this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id_tag: Option<IdTag>,
    /// Its number; a known one is replaced.
    pub reservation_id: i32,
}

/// ReserveNow.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it is held.
    pub status: ReservationStatus,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "expiryDate", "idTag", "parentIdTag", "reservationId"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        expiry_date: f.required("expiryDate", f.time("expiryDate")?.parsed)?,
        id_tag: Text::cut(&f.text("idTag", 20)?),
        parent_id_tag: f.opt_text("parentIdTag", 20)?.as_deref().map(Text::cut),
        reservation_id: i32(f, "reservationId")?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", ReservationStatus::ALLOWED, ReservationStatus::read)? })
}
