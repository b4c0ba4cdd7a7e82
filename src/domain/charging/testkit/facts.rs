//! Ready-made facts: what a charger says and how it answers.

use crate::clock::Timestamp;
use crate::domain::charger::{
    self, BootFact, BootPolicy, Outcome, Registration, Sample, StartFact, StopFact, StopReason, Tag, TokenInfo,
    Verdict, WireTime,
};
use crate::ids::{ConnectorId, TransactionId};

pub(crate) fn register(connectors: u16, boot: BootPolicy) -> charger::Command {
    let site = "S1".parse().unwrap();
    charger::Command::Register(Registration {
        site,
        connectors,
        boot,
        auth: "{}".into(),
        profile: None,
        raising: None,
        rotation: None,
    })
}

pub(crate) fn boot() -> BootFact {
    BootFact { vendor: "V".into(), model: "M".into(), firmware: Some("1.0".into()), ..BootFact::default() }
}

pub(crate) fn time(at: Timestamp) -> WireTime {
    WireTime { raw: at.to_rfc3339().into(), at: Some(at) }
}

pub(crate) fn accepted() -> Outcome {
    Outcome::Answered { accepted: true, payload: "{\"status\":\"Accepted\"}".into() }
}

pub(crate) fn refused() -> Outcome {
    Outcome::Answered { accepted: false, payload: "{\"status\":\"Rejected\"}".into() }
}

pub(crate) fn token(verdict: Verdict) -> Tag {
    let owner = (verdict == Verdict::Accepted).then(|| ("acme".parse().unwrap(), "u9".into()));
    Tag::Token(TokenInfo { reference: "t1".into(), verdict, owner })
}

pub(crate) fn start_fact(connector: u16, tag: Tag, meter: i64, at: WireTime, message: &str) -> StartFact {
    let (connector, message_id) = (ConnectorId(connector), message.into());
    StartFact { connector, tag, meter_start_wh: meter, reservation: None, at, message_id, flaw: None }
}

pub(crate) fn stop_fact(
    transaction: TransactionId,
    meter: Option<i64>,
    at: WireTime,
    reason: Option<StopReason>,
    message: &str,
) -> StopFact {
    let message_id = message.into();
    StopFact { transaction, tag: None, meter_stop_wh: meter, at, reason, data: Vec::new(), message_id, flaw: None }
}

pub(crate) fn sample(at: Timestamp, energy_wh: i64) -> Sample {
    let (power_w, soc_percent) = (Some(7000), Some(50));
    Sample { at: time(at), energy_wh: Some(energy_wh), power_w, soc_percent, unreadable: false, signed: Vec::new() }
}

/// The reply to Authorize of a token that belongs to no reservation.
pub(crate) fn authorized(verdict: Verdict) -> crate::domain::charging::Reply {
    crate::domain::charging::Reply::Authorized { verdict, parent: None }
}
