//! StopTransaction (OCPP 1.6 §4.10): a transaction has ended at the charger.

use super::id_tag_info::IdTagInfo;
use super::meter_values;
use super::reader::Fields;
use super::start_transaction::I32;
use super::words::words;
use crate::ids::TransactionId;
use crate::protocol::metering::MeterReading;
use crate::protocol::ocppj::CallError;
use crate::protocol::wire_time::WireTime;
use serde::Serialize;

words!(
    /// Reason (OCPP 1.6 §7.36), SE-6.
    Reason {
        EmergencyStop, EVDisconnected, HardReset, Local, Other, PowerLoss, Reboot, Remote, SoftReset, UnlockCommand,
        DeAuthorized
    }
);

/// StopTransaction.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The token that ended it, if one did.
    pub id_tag: Option<String>,
    /// The register at the end, in Wh.
    pub meter_stop: i64,
    /// When, by the charger's clock.
    pub timestamp: WireTime,
    /// Which. Zero and −1 occur: chargers that were offline at the start (CH-7).
    pub transaction_id: TransactionId,
    /// Why; none means `Local` (OCPP 1.6 §6.45).
    pub reason: Option<Reason>,
    /// Samples of the transaction.
    pub transaction_data: Vec<MeterReading>,
}

/// StopTransaction.conf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// What holds for the token that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_tag_info: Option<IdTagInfo>,
}

pub(crate) const FIELDS: &[&str] = &["idTag", "meterStop", "timestamp", "transactionId", "reason", "transactionData"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let transaction = f.integer("transactionId", I32)?;
    Ok(Request {
        id_tag: f.spare("idTag", |f| f.opt_text("idTag", 20))?,
        meter_stop: f.integer("meterStop", i64::MIN..=i64::MAX)?,
        timestamp: f.time("timestamp")?,
        // Within 32 bits by the range above.
        transaction_id: TransactionId(i32::try_from(transaction).unwrap_or(-1)),
        reason: f.spare("reason", |f| f.opt_choice("reason", Reason::ALLOWED, Reason::read))?,
        transaction_data: f
            .opt_list("transactionData", 0, |value, at| meter_values::reading(f, value, at))?
            .unwrap_or_default(),
    })
}
