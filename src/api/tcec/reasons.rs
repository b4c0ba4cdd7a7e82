//! What our codes are called in T/CEC 102 (EM-10, EM-11): `Ret`, `FailReason`, `StopReason`. Owns the tables of
//! docs/tcec-102.md; never which code applies.

use crate::api::catalogue::Code;
use crate::api::port::Refusal;
use crate::protocol::tcec::{Refused, Ret};

/// How a refusal is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// `SuccStat` 1 with this `FailReason`.
    Business(i64),
    /// Another `Ret` than 0.
    Envelope(Refused),
}

/// `FailReason` of a start (102.3 §6.4: 0 to 2; 3 to 99 are ours). `None`: it is no reason of the business.
pub(crate) fn start_reason(code: Code) -> Option<i64> {
    Some(match code {
        Code::ChargerUnknown | Code::ConnectorUnknown | Code::NotFound | Code::SiteUnknown => 1,
        Code::ChargerOffline => 2,
        Code::NotPluggedIn => 3,
        Code::ConnectorOccupied | Code::StartInProgress => 4,
        Code::ConnectorFaulted => 5,
        Code::ConnectorUnavailable | Code::ChargerNotAccepted => 6,
        Code::ConnectorReserved => 7,
        Code::ChargerInMaintenance => 8,
        Code::ConnectorStatusUnknown => 9,
        Code::RequestIdConflict => 10,
        Code::TariffMissing => 11,
        Code::StartFunds => 12,
        Code::StartTimeout => 13,
        Code::StartRefused => 14,
        _ => return None,
    })
}

/// The same for a start that was taken and did not happen: the session's own `failure.code` (docs/end-reasons.md).
pub(crate) fn failure_reason(code: &str) -> i64 {
    match code {
        "charger_offline" => 2,
        "plug_not_connected" => 3,
        "connector_occupied" => 4,
        "insufficient_funds" | "unpaid_order" | "user_blocked" | "funds_refused" => 12,
        "no_confirmation" => 13,
        "charger_refused" => 14,
        "cancelled" => 15,
        _ => 99,
    }
}

/// `FailReason` of a stop (102.3 §6.8: 0 to 3; 4 to 99 are ours).
pub(crate) fn stop_reason(code: Code) -> Option<i64> {
    Some(match code {
        Code::ChargerUnknown | Code::ConnectorUnknown => 1,
        Code::ChargerOffline => 2,
        Code::SessionEnded => 3,
        Code::SessionUnknown => 4,
        Code::CommandRefused => 5,
        _ => return None,
    })
}

/// A refusal: a reason of the business if `reason` has one for it, else the `Ret` that fits.
pub(crate) fn told(refusal: &Refusal, reason: impl Fn(Code) -> Option<i64>) -> Told {
    reason(refusal.code).map_or_else(|| Told::Envelope(ret(refusal)), Told::Business)
}

/// The `Ret` of a refusal that is none of the business.
pub(crate) fn ret(refusal: &Refusal) -> Refused {
    let entry = refusal.code.entry();
    let ret = match entry.status {
        429 | 503 => Ret::Busy,
        // A write that may have been done: the same StartChargeSeq finds out.
        _ if refusal.code == Code::OutcomeUnknown => Ret::Busy,
        500..=599 => Ret::SystemError,
        _ => Ret::Parameter,
    };
    let details: Vec<String> =
        refusal.details.iter().map(|d| format!("{} {}: {}", d.field, d.problem, d.allowed)).collect();
    let msg = if details.is_empty() { entry.message.to_owned() } else { details.join("; ") };
    Refused::new(ret, format!("{} ({})", msg, refusal.code.as_str()))
}

/// `StopReason` of an order (102.3 §6.10: 0 to 4; 5 to 99 are ours) from a session's `end_reason`.
pub(crate) fn end_reason(reason: &str) -> i64 {
    match reason {
        "local_stop" => 0,
        "user_stop" => 1,
        "full" | "vehicle" => 2,
        "fault" => 3,
        "plug_pulled" => 4,
        "energy_limit" | "soc_limit" => 5,
        "amount_limit" => 6,
        "duration_limit" | "max_duration" => 7,
        "operator_stop" => 8,
        "emergency_stop" => 9,
        "power_loss" => 10,
        "de_authorized" => 11,
        "reset" | "reboot" => 12,
        "unlock" => 13,
        "connection_lost" => 14,
        "superseded" => 15,
        "late_start" => 16,
        _ => 99,
    }
}
