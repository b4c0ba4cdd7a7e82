//! RemoteStopTransaction (OCPP 1.6 §5.12): the charger is asked to stop a transaction.

use super::charging_profile::i32;
use super::reader::Fields;
use super::remote_start_transaction::RemoteStartStopStatus;
use crate::ids::TransactionId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

/// RemoteStopTransaction.req.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Which.
    pub transaction_id: TransactionId,
}

/// RemoteStopTransaction.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether the charger will stop it.
    pub status: RemoteStartStopStatus,
}

pub(crate) const FIELDS: &[&str] = &["transactionId"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request { transaction_id: TransactionId(i32(f, "transactionId")?) })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", RemoteStartStopStatus::ALLOWED, RemoteStartStopStatus::read)? })
}
