//! `query_equip_auth` to `query_stop_charge` (102.3 §6.2 to §6.8). Owns reading the names and telling the outcome; the checks
//! and the charging are the native API's. A `StartChargeSeq` is the native `request_id`, so a repeat starts nothing again.

use super::reasons::{self, Told};
use super::{Answered, Call, USER, mapping};
use crate::api::catalogue::Code;
use crate::api::partner::idempotency::{Claim, Write};
use crate::api::port::{
    ChargerView, ConnectorStatus, Limits, OperationKind, Refusal, SessionStatus, SessionView, Start, Stop, UserRef,
};
use crate::clock::Timestamp;
use crate::domain::delivery::SequenceCheck;
use crate::ids::{ChargerId, ConnectorId, RequestId, SessionId};
use crate::protocol::tcec::Refused;
use crate::protocol::tcec::charging::*;
use crate::protocol::tcec::envelope::to_value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::json;
use std::sync::Arc;

/// The greatest amount limit of a start, fen: the native API's own.
const AMOUNT_MAX: u64 = 10_000_000;
/// Characters of a sequence number in the base text.
const SEQ: usize = 27;

/// A sequence number that the caller made, as the dialect wants it.
fn sequence(call: &Call, name: &str, text: &str) -> Result<RequestId, Refused> {
    let tcec = &call.relation.tcec;
    let strict = tcec.dialect.sequences == SequenceCheck::Strict;
    if strict && !(text.len() == SEQ && text.starts_with(&tcec.operator_id)) {
        return Err(Refused::member(name, "is not well formed", "27 characters that begin with your OperatorID"));
    }
    text.parse().map_err(|_| Refused::member(name, "is not well formed", "1 to 64 characters of A-Z a-z 0-9 _ -"))
}

/// The charger and the number of its connector, if the partner sees such a charger.
async fn connector(call: &Call, text: &str) -> Result<Option<(ChargerView, ConnectorId)>, Refused> {
    let Some((charger, connector)) = mapping::connector_of(text) else { return Ok(None) };
    match call.state.port.charger(&call.relation.partner, &charger).await {
        Ok(view) => Ok(Some((view, connector))),
        Err(refusal) if matches!(refusal.code, Code::ChargerUnknown | Code::NotFound) => Ok(None),
        Err(refusal) => Err(reasons::ret(&refusal)),
    }
}

/// `FailReason` of the check before a start: 1 not plugged in, 2 not healthy; ours: 3 in use, 4 reserved, 5 not known.
fn auth_reason(found: Option<&(ChargerView, ConnectorId)>) -> i64 {
    let Some((charger, number)) = found else { return 5 };
    let Some(connector) = charger.connectors.iter().find(|known| known.connector_id == *number) else { return 5 };
    if !charger.online || charger.maintenance {
        return 2;
    }
    match connector.status {
        ConnectorStatus::Preparing | ConnectorStatus::Finishing => 0,
        ConnectorStatus::Available => 1,
        ConnectorStatus::Charging | ConnectorStatus::SuspendedEV | ConnectorStatus::SuspendedEVSE => 3,
        ConnectorStatus::Reserved => 4,
        ConnectorStatus::Unavailable | ConnectorStatus::Faulted | ConnectorStatus::Unknown => 2,
    }
}

/// `query_equip_auth`.
pub(super) async fn auth(call: &Call, query: AuthQuery) -> Answered {
    sequence(call, "EquipAuthSeq", &query.equip_auth_seq)?;
    let fail_reason = auth_reason(connector(call, &query.connector_id).await?.as_ref());
    let AuthQuery { equip_auth_seq, connector_id } = query;
    Ok(to_value(&AuthAnswer { equip_auth_seq, connector_id, succ_stat: i64::from(fail_reason != 0), fail_reason }))
}

/// `query_equip_business_policy`.
pub(super) async fn policy(call: &Call, query: PolicyQuery) -> Answered {
    sequence(call, "EquipBizSeq", &query.equip_biz_seq)?;
    let found = connector(call, &query.connector_id).await?;
    let tariff = found.and_then(|(charger, _)| call.state.port.tariff_in_force(&charger.site_id));
    let policy_infos = tariff.and_then(|tariff| mapping::policy(&tariff, call.now));
    let succ = policy_infos.is_some();
    let policy_infos = policy_infos.unwrap_or_default();
    Ok(to_value(&PolicyAnswer {
        equip_biz_seq: query.equip_biz_seq,
        connector_id: query.connector_id,
        succ_stat: i64::from(!succ),
        fail_reason: i64::from(!succ),
        sum_period: i64::try_from(policy_infos.len()).unwrap_or(0),
        policy_infos,
    }))
}

/// A new session id: UUID v7, so that it sorts by birth.
fn new_session(now: Timestamp) -> SessionId {
    let millis = u64::try_from(now.0).unwrap_or(0);
    SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid())
}

fn limits(balance: Option<Decimal>) -> Result<Limits, Refused> {
    let Some(balance) = balance else { return Ok(Limits::default()) };
    let fen = (balance * Decimal::ONE_HUNDRED).trunc().to_u64().filter(|fen| *fen > 0);
    let fen = fen.ok_or_else(|| Refused::member("Balance", "is not usable", "0.01 yuan and up, or none"))?;
    Ok(Limits { amount: Some(fen.min(AMOUNT_MAX)), ..Limits::default() })
}

/// The user of a start. Phone and plate, which some partners tell besides, are not kept: nothing here needs them (OP-9).
fn user() -> UserRef {
    UserRef { id: USER.to_owned(), name: None, phone: None, plate: None }
}

/// `query_start_charge`.
pub(super) async fn start(call: &Call, start: StartCharge) -> Answered {
    let request_id = sequence(call, "StartChargeSeq", &start.start_charge_seq)?;
    call.note.request(request_id.as_str());
    let limits = limits(start.balance)?;
    let answer = |stat: i64, fail_reason: i64| {
        to_value(&StartAnswer {
            start_charge_seq: start.start_charge_seq.clone(),
            start_charge_seq_stat: stat,
            connector_id: start.connector_id.clone(),
            succ_stat: i64::from(fail_reason != 0),
            fail_reason,
        })
    };
    let Some((charger_id, connector_id)) = mapping::connector_of(&start.connector_id) else {
        return Ok(answer(4, 1));
    };
    call.note.target(format_args!("{charger_id}/{connector_id}"));
    match begin(call, &request_id, (charger_id, connector_id), user(), limits).await {
        Ok(session) => Ok(answer(session.map_or(1, |session| mapping::session_stat(session.status)), 0)),
        Err(refusal) => match reasons::told(&refusal, reasons::start_reason) {
            // 10: this StartChargeSeq was used for something else, so what it stands for is not said here.
            Told::Business(reason) => Ok(answer(if reason == 10 { 5 } else { 4 }, reason)),
            Told::Envelope(refused) => Err(refused),
        },
    }
}

/// Starts by the native mechanism; the session as it is then.
async fn begin(
    call: &Call,
    request_id: &RequestId,
    (charger_id, connector_id): (ChargerId, ConnectorId),
    user: UserRef,
    limits: Limits,
) -> Result<Option<SessionView>, Refusal> {
    let partner = call.relation.partner.clone();
    let write = Write {
        partner: partner.clone(),
        request_id: request_id.clone(),
        kind: OperationKind::Start,
        // Where it is, alone: peers send the same start again with other extras.
        canonical: format!("tcec\n{charger_id}\n{connector_id}").into_bytes(),
        session_id: Some(new_session(call.now)),
        reservation_id: None,
        charger_id: Some(charger_id.clone()),
    };
    let (port, name, trace_id) = (Arc::clone(&call.state.port), request_id.clone(), call.note.trace_id());
    let theirs = partner.clone();
    let drive = move |claim: Claim| async move {
        let session_id = claim.session_id.ok_or(Code::Internal)?;
        let start = Start {
            session_id,
            request_id: name,
            charger_id,
            connector_id,
            user,
            limits,
            reservation_id: None,
            trace_id,
        };
        port.start_session(&theirs, start).await?;
        Ok(json!({"session_id": session_id}))
    };
    let taken = call.state.idempotency.run(write, drive).await.map_err(|error| error.refusal)?;
    let id: Option<SessionId> = taken["session_id"].as_str().and_then(|id| id.parse().ok());
    let Some(id) = id else { return Ok(None) };
    // A repeat is told the present state; one that cannot be read now is starting, as far as we can say.
    Ok(call.state.port.session(&partner, id).await.ok())
}

/// The session of a `StartChargeSeq`.
async fn session(call: &Call, seq: &RequestId) -> Result<SessionView, Refusal> {
    let partner = &call.relation.partner;
    let claim = call.state.idempotency.remembered(partner, seq).await?.map(|(claim, _)| claim);
    let claim = claim.filter(|claim| claim.kind == OperationKind::Start);
    let id = claim.and_then(|claim| claim.session_id).ok_or(Code::SessionUnknown)?;
    call.state.port.session(partner, id).await
}

/// `query_equip_charge_status`.
pub(super) async fn status(call: &Call, query: ChargeStatusQuery) -> Answered {
    let seq = sequence(call, "StartChargeSeq", &query.start_charge_seq)?;
    call.note.request(seq.as_str());
    let session = session(call, &seq).await.map_err(|refusal| match refusal.code {
        Code::SessionUnknown => Refused::member("StartChargeSeq", "is not known", "one that query_start_charge took"),
        _ => reasons::ret(&refusal),
    })?;
    let charger = call.state.port.charger(&call.relation.partner, &session.charger_id).await.ok();
    let own = charger.and_then(|charger| {
        let of = charger.connectors.iter().find(|of| of.connector_id == session.connector_id)?;
        charger.online.then(|| mapping::connector_status(of.status))
    });
    let decimals = u32::from(call.relation.tcec.dialect.energy_decimals);
    let own = own.filter(|status| *status != 0);
    Ok(to_value(&mapping::charge_status(seq.as_str(), &session, own, call.now, decimals)))
}

/// `query_stop_charge`.
pub(super) async fn stop(call: &Call, asked: StopCharge) -> Answered {
    let seq = sequence(call, "StartChargeSeq", &asked.start_charge_seq)?;
    call.note.request(seq.as_str());
    let answer = |stat: i64, fail_reason: i64| {
        to_value(&StopAnswer {
            start_charge_seq: asked.start_charge_seq.clone(),
            start_charge_seq_stat: stat,
            succ_stat: i64::from(fail_reason != 0),
            fail_reason,
        })
    };
    let refused = |refusal: Refusal, stat: i64| match reasons::told(&refusal, reasons::stop_reason) {
        Told::Business(reason) => Ok(answer(if reason == 3 { 4 } else { stat }, reason)),
        Told::Envelope(refused) => Err(refused),
    };
    let session = match session(call, &seq).await {
        Ok(session) => session,
        Err(refusal) => return refused(refusal, 5),
    };
    let here = (session.charger_id.clone(), session.connector_id);
    if !asked.connector_id.is_empty() && mapping::connector_of(&asked.connector_id) != Some(here) {
        return Ok(answer(mapping::session_stat(session.status), 1));
    }
    match halt(call, session.session_id).await {
        Ok(()) => {
            let now = call.state.port.session(&call.relation.partner, session.session_id).await;
            let status = now.map_or(SessionStatus::StopPending, |session| session.status);
            // Taken, not happened: whoever is still charging is stopping.
            let status = if status == SessionStatus::Charging { SessionStatus::StopPending } else { status };
            Ok(answer(mapping::session_stat(status), 0))
        }
        Err(refusal) => refused(refusal, mapping::session_stat(session.status)),
    }
}

/// Stops by the native mechanism.
async fn halt(call: &Call, session_id: SessionId) -> Result<(), Refusal> {
    let request_id: RequestId = format!("tcec-stop-{session_id}").parse().map_err(|_| Code::Internal)?;
    let partner = call.relation.partner.clone();
    let write = Write {
        partner: partner.clone(),
        request_id: request_id.clone(),
        kind: OperationKind::Stop,
        canonical: b"tcec".to_vec(),
        session_id: Some(session_id),
        reservation_id: None,
        charger_id: None,
    };
    let (port, trace_id) = (Arc::clone(&call.state.port), call.note.trace_id());
    let drive = move |_: Claim| async move {
        let status = port.stop_session(&partner, Stop { session_id, request_id, trace_id }).await?;
        Ok(json!({"status": status}))
    };
    call.state.idempotency.run(write, drive).await.map(drop).map_err(|error| error.refusal)
}
