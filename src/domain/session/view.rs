//! How a session is shown to its partner and to operators, as `docs/partner-api.md` describes it. Owns no fact.
//!
//! The user's own name with the partner is personal: the view carries the pseudonym `user` and the sealed text; who
//! shows it to somebody allowed opens the seal and puts `user_id` in their place (OP-9).

use super::reasons::EndReason;
use super::state::{Flag, Session, Status};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::domain::pricing::Bill;
use crate::ids::{ConnectorId, OrderId, PartnerId, RequestId, ReservationId, SessionId, TransactionId};
use serde::Serialize;

/// Why it failed, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureView {
    /// Stable code.
    pub code: Box<str>,
    /// One sentence.
    pub message: Box<str>,
}

/// A reading as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadingView {
    /// When.
    pub at: String,
    /// The register, Wh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_wh: Option<i64>,
    /// W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<i32>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
}

/// A session as shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Which.
    pub session_id: SessionId,
    /// The partner's name of its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Where.
    pub charger_id: String,
    /// Where.
    pub connector_id: ConnectorId,
    /// Whose; for rows and operators, not for the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerId>,
    /// Pseudonym of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// Personal data, sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<str>>,
    /// SE-15.
    pub status: Status,
    /// The reservation that it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
    /// When it was asked for, or began.
    pub created_at: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Its transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<TransactionId>,
    /// So far.
    pub energy_wh: u64,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<i32>,
    /// Now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<u8>,
    /// So far.
    pub duration_s: u64,
    /// The register at its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter_start_wh: Option<i64>,
    /// The register at its end, as told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter_stop_wh: Option<i64>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
    /// OCPP 1.6 cannot say it: it was inferred.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub end_reason_inferred: bool,
    /// The connector's fault, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// What is odd about it.
    pub flags: Vec<Flag>,
    /// Its order: its number is the session's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What it comes to so far (SE-12).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_so_far: Option<Money>,
    /// What is set aside for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Money>,
    /// The bill, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bill: Option<Bill>,
    /// What is kept of the readings, at most 96.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<ReadingView>,
}

impl Session {
    /// The session as shown at `now`.
    pub fn view(&self, session_id: SessionId, charger_id: &str, now: Timestamp) -> View {
        let until = self.ended_at.unwrap_or(now);
        let readings = self.readings.iter().map(|reading| ReadingView {
            at: reading.at.to_rfc3339(),
            energy_wh: reading.energy_wh,
            power_w: reading.power_w,
            soc_percent: reading.soc_percent,
        });
        View {
            session_id,
            request_id: self.request.clone(),
            charger_id: charger_id.to_owned(),
            connector_id: self.connector,
            partner: self.partner.clone(),
            user: self.user.clone(),
            sealed: self.sealed.clone(),
            status: self.status.unwrap_or(Status::Ended),
            reservation_id: self.reservation,
            created_at: self.created_at.to_rfc3339(),
            started_at: self.started_at.map(Timestamp::to_rfc3339),
            ended_at: self.ended_at.map(Timestamp::to_rfc3339),
            transaction_id: self.transaction,
            energy_wh: self.energy_wh(),
            power_w: self.power_w,
            soc_percent: self.soc_percent,
            duration_s: self.started_at.map_or(0, |started| until.since(started).as_secs()),
            meter_start_wh: self.transaction.map(|_| self.meter_start_wh),
            meter_stop_wh: self.meter_stop_wh,
            end_reason: self.end.map(|end| end.reason),
            end_reason_inferred: self.end.is_some_and(|end| end.inferred),
            error: self.fault.as_ref().map(|fault| fault.view()),
            failure: self.failure.as_ref().map(|f| FailureView { code: f.code.clone(), message: f.message.clone() }),
            flags: self.flags.list(),
            order_id: self.shown.as_ref().map(|_| OrderId(session_id.0)),
            amount_so_far: self.so_far(),
            frozen: self.set_aside(),
            bill: self.ended_at.and_then(|_| self.bill()?.ok()),
            readings: readings.collect(),
        }
    }
}
