//! StartTransaction (OCPP 1.6 §4.8): a transaction has begun at the charger.

use super::id_tag_info::IdTagInfo;
use super::reader::Fields;
use crate::ids::{ConnectorId, TransactionId};
use crate::protocol::ocppj::CallError;
use crate::protocol::wire_time::WireTime;
use serde::Serialize;

/// StartTransaction.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where.
    pub connector_id: ConnectorId,
    /// By which token. Longer than 20 characters if the charger sent it so (flagged).
    pub id_tag: String,
    /// The register at the start, in Wh.
    pub meter_start: i64,
    /// The reservation that it ends.
    pub reservation_id: Option<i32>,
    /// When, by the charger's clock.
    pub timestamp: WireTime,
}

/// StartTransaction.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// What holds for the token.
    pub id_tag_info: IdTagInfo,
    /// Positive and never used before (CH-7).
    pub transaction_id: TransactionId,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "idTag", "meterStart", "reservationId", "timestamp"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let reservation = f.spare("reservationId", |f| f.opt_integer("reservationId", I32))?;
    Ok(Request {
        connector_id: f.connector("connectorId")?,
        id_tag: f.text("idTag", 20)?,
        meter_start: f.integer("meterStart", i64::MIN..=i64::MAX)?,
        reservation_id: reservation.and_then(|n| i32::try_from(n).ok()),
        timestamp: f.time("timestamp")?,
    })
}

/// What a 32-bit integer can be.
pub(crate) const I32: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;
