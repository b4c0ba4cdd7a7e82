//! RemoteStartTransaction (OCPP 1.6 §5.11): the charger is asked to start a transaction.

use super::charging_profile::{self, ChargingProfile};
use super::reader::Fields;
use super::words::{IdTag, Text, words};
use crate::ids::ConnectorId;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// RemoteStartStopStatus (OCPP 1.6 §7.39).
    RemoteStartStopStatus { Accepted, Rejected }
);

/// RemoteStartTransaction.req.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Where; none: the charger chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector_id: Option<ConnectorId>,
    /// By which token: one of its own for each start (SE-16).
    pub id_tag: IdTag,
    /// Limits for this transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charging_profile: Option<ChargingProfile>,
}

/// RemoteStartTransaction.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether the charger will try.
    pub status: RemoteStartStopStatus,
}

pub(crate) const FIELDS: &[&str] = &["connectorId", "idTag", "chargingProfile"];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(f: &Fields<'_, '_>) -> Result<Request, CallError> {
    let connector = f.opt_integer("connectorId", 1..=i64::from(u16::MAX))?;
    Ok(Request {
        connector_id: connector.and_then(|n| u16::try_from(n).ok()).map(ConnectorId),
        id_tag: Text::cut(&f.text("idTag", 20)?),
        charging_profile: f.opt_object("chargingProfile", charging_profile::FIELDS, charging_profile::read)?,
    })
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", RemoteStartStopStatus::ALLOWED, RemoteStartStopStatus::read)? })
}
