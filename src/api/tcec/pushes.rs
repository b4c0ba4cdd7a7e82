//! Native events as the calls that T/CEC 102 makes of them (102.2, 102.3 §6.5 to §6.11). Owns which event is which call; pure.
//! The members that an event lacks come from the session's row.

use super::mapping::{self, bill_of};
use super::reasons;
use crate::api::port::{ConnectorStatus, LockView, Moment, SessionStatus, SessionView};
use crate::clock::Timestamp;
use crate::domain::delivery::{StatusForm, Tcec};
use crate::domain::pricing::Bill;
use crate::ids::{ChargerId, ConnectorId, SessionId};
use crate::protocol::tcec::Interface;
use crate::protocol::tcec::charging::{StartResult, StopResult};
use crate::protocol::tcec::envelope::to_value;
use crate::protocol::tcec::order::{CheckOrders, CheckedOrder};
use crate::protocol::tcec::values::{ChinaTime, kwh, yuan};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The type of the event by which a running session's status is pushed. Never sequenced, so only the newest of a session is sent.
pub(crate) const STATUS_KIND: &str = "session.status";
/// The type of the event by which a day's orders are reconciled.
pub(crate) const CHECK_KIND: &str = "orders.check";

/// Event types that T/CEC 102 has a call for.
pub(crate) const KINDS: [&str; 8] = [
    "connector.status",
    "session.started",
    "session.failed",
    "session.stop_result",
    "session.ended",
    "order.paid",
    STATUS_KIND,
    CHECK_KIND,
];

/// A call of the partner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Push {
    /// Which.
    pub(crate) interface: Interface,
    /// The members of `Data`.
    pub(crate) data: Value,
}

/// Orders of a day, as the reconciliation's event has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Day {
    /// Its midnight.
    pub(crate) from: Moment,
    /// The next.
    pub(crate) to: Moment,
    /// `StartChargeSeq`, Wh, fen.
    pub(crate) orders: Vec<(String, i64, i64)>,
}

/// The session whose row is needed to make the call.
pub(crate) fn row_needed(kind: &str, data: &Value) -> Option<SessionId> {
    let needs = matches!(kind, "order.paid" | "session.stop_result");
    needs.then(|| data["session_id"].as_str()?.parse().ok()).flatten()
}

/// The order key within which a push keeps its order: an order goes after the results of its session (its id is the session's).
pub(crate) fn lane(order_key: &str) -> Option<String> {
    order_key.strip_prefix("order/").map(|id| format!("session/{id}"))
}

/// The call that an event is, or `None` where the standard has none: a session that no `StartChargeSeq` began, an occupancy
/// order, a stop that waits for its end. `row`: the session's, where [`row_needed`] asks for it.
///
/// # Errors
/// What cannot be read of the event or the row: a defect, so the try fails and is seen.
pub(crate) fn push(
    kind: &str,
    data: &Value,
    row: Option<&Value>,
    tcec: &Tcec,
    now: Timestamp,
) -> Result<Option<Push>, String> {
    if row_needed(kind, data).is_some() && row.is_none() {
        return Err("the session's row is missing".to_owned());
    }
    let session = || whole(row.unwrap_or(data));
    let (interface, data) = match kind {
        "connector.status" => (Interface::NotificationStationStatus, connector(data, tcec)),
        "session.started" | "session.failed" => (Interface::NotificationStartChargeResult, start(&session()?)),
        "session.stop_result" => (Interface::NotificationStopChargeResult, row.and_then(|row| stop_refused(data, row))),
        "session.ended" => (Interface::NotificationStopChargeResult, stopped(&session()?, tcec)),
        "order.paid" => (Interface::NotificationChargeOrderInfo, order(data, &session()?, tcec)),
        STATUS_KIND => (Interface::NotificationEquipChargeStatus, status(&session()?, tcec, now)),
        CHECK_KIND => (Interface::CheckChargeOrders, check(data, tcec)),
        _ => return Ok(None),
    };
    Ok(data.map(|data| Push { interface, data }))
}

/// A session's view. Its readings stay out: a row has them by the rules' names, and no call tells them.
fn whole(view: &Value) -> Result<SessionView, String> {
    let mut view = view.clone();
    if let Some(members) = view.as_object_mut() {
        members.remove("readings");
    }
    serde_json::from_value(view).map_err(|error| format!("the session cannot be read: {error}"))
}

fn seq(session: &SessionView) -> Option<&str> {
    session.request_id.as_ref().map(crate::ids::RequestId::as_str)
}

fn connector(data: &Value, tcec: &Tcec) -> Option<Value> {
    let charger = ChargerId::deserialize(&data["charger_id"]).ok()?;
    let connector = ConnectorId::deserialize(&data["connector_id"]).ok()?;
    let status = ConnectorStatus::deserialize(&data["status"]).ok()?;
    let lock = data.get("lock").and_then(|lock| LockView::deserialize(lock).ok());
    // An offline charger's connectors are `Unknown` in events.
    let info = to_value(&mapping::status_info(&charger, connector, status, lock.as_ref(), true));
    Some(match tcec.dialect.status_form {
        StatusForm::Object => json!({"ConnectorStatusInfo": info}),
        StatusForm::Array => json!({"ConnectorStatusInfo": [info]}),
        StatusForm::PluralArray => json!({"ConnectorStatusInfos": [info]}),
    })
}

fn start(session: &SessionView) -> Option<Value> {
    let failed = session.status == SessionStatus::Failed;
    let reason = session.failure.as_ref().map_or(0, |failure| reasons::failure_reason(&failure.code));
    Some(to_value(&StartResult {
        start_charge_seq: seq(session)?.to_owned(),
        start_charge_seq_stat: if failed { 4 } else { 2 },
        connector_id: mapping::connector_name(&session.charger_id, session.connector_id),
        start_time: ChinaTime(session.started_at.unwrap_or(session.created_at).0),
        ident_code: String::new(),
        fail_reason: if failed { reason } else { 0 },
    }))
}

/// The row of a session that still runs says where it is, and no more.
fn stop_refused(data: &Value, row: &Value) -> Option<Value> {
    if data["accepted"].as_bool()? {
        return None;
    }
    let charger = ChargerId::deserialize(&row["charger_id"]).ok()?;
    let connector = ConnectorId::deserialize(&row["connector_id"]).ok()?;
    Some(to_value(&StopResult {
        start_charge_seq: row["request_id"].as_str()?.to_owned(),
        // It goes on.
        start_charge_seq_stat: 2,
        connector_id: mapping::connector_name(&charger, connector),
        succ_stat: 1,
        fail_reason: if data["code"].as_str() == Some("charger_offline") { 2 } else { 5 },
    }))
}

fn stopped(session: &SessionView, tcec: &Tcec) -> Option<Value> {
    let own = session.end_reason.as_deref() == Some("user_stop");
    if !own && !tcec.dialect.stop_result_always {
        return None;
    }
    Some(to_value(&StopResult {
        start_charge_seq: seq(session)?.to_owned(),
        start_charge_seq_stat: 4,
        connector_id: mapping::connector_name(&session.charger_id, session.connector_id),
        succ_stat: 0,
        fail_reason: 0,
    }))
}

/// The bill of an order's event, at what was settled: a person may have settled it otherwise.
pub(crate) fn settled(data: &Value) -> Option<Bill> {
    if data["kind"].as_str() != Some("charging") {
        return None;
    }
    let mut bill = bill_of(data.get("bill"))?;
    if let Some(minor) = data["total"]["minor"].as_i64() {
        bill.total.minor = minor;
    }
    Some(bill)
}

fn order(data: &Value, session: &SessionView, tcec: &Tcec) -> Option<Value> {
    let bill = settled(data)?;
    let decimals = u32::from(tcec.dialect.energy_decimals);
    Some(to_value(&mapping::order_info(seq(session)?, session, &bill, decimals)))
}

fn status(session: &SessionView, tcec: &Tcec, now: Timestamp) -> Option<Value> {
    let decimals = u32::from(tcec.dialect.energy_decimals);
    Some(to_value(&mapping::charge_status(seq(session)?, session, None, now, decimals)))
}

/// `CheckOrderSeq`: our code, zeros, the day; so a repeat has the same.
fn check_seq(own_id: &str, from: Timestamp) -> String {
    let day: String = ChinaTime(from).to_compact().chars().take(8).collect();
    format!("{own_id}{day:0>18}")
}

fn check(data: &Value, tcec: &Tcec) -> Option<Value> {
    let Day { from, to, orders } = Day::deserialize(data).ok()?;
    let checked = |(seq, wh, minor): &(String, i64, i64)| CheckedOrder {
        start_charge_seq: seq.clone(),
        total_power: kwh(*wh),
        total_money: yuan(*minor),
    };
    let decimals = u32::from(tcec.dialect.energy_decimals);
    // As they were told one by one, so that the sum is the sum of what the partner has.
    let power: Decimal =
        orders.iter().map(|(_, wh, _)| crate::protocol::tcec::dialect::rounded(kwh(*wh), decimals)).sum();
    Some(to_value(&CheckOrders {
        check_order_seq: check_seq(&tcec.own_id, from.0),
        start_time: ChinaTime(from.0),
        end_time: ChinaTime(Timestamp(to.0.0 - 1000)),
        order_count: i64::try_from(orders.len()).unwrap_or(i64::MAX),
        total_order_power: power,
        total_order_money: yuan(orders.iter().map(|(.., minor)| minor).sum()),
        charge_orders: orders.iter().map(checked).collect(),
    }))
}
