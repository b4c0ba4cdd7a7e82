//! One table: what the charger says, what we asked, what was seen, and the reason that follows (SE-6).

use crate::domain::charger::{ErrorCode, Fault, Status as ConnectorStatus, StopReason};
use crate::domain::session::reasons::{TABLE, end_of};
use crate::domain::session::{EndReason, Failure, Flag, Session, StopCause, Stopping};

fn session(cause: Option<StopCause>, seen: Option<ConnectorStatus>, soc: u8, code: Option<ErrorCode>) -> Session {
    let stop = cause.map(|cause| Box::new(Stopping { cause, attempts: 1, next_due: None, requests: Vec::new() }));
    let fault = code.map(|code| Box::new(Fault::told(code, None, None)));
    Session { stop, seen, soc_percent: Some(soc), fault, ..Session::default() }
}

#[test]
fn every_reason_of_ocpp_has_its_end() {
    use ConnectorStatus::{Charging, Faulted, SuspendedEv};
    use EndReason as E;
    use StopCause as C;
    use StopReason as R;
    let plain = || session(None, Some(Charging), 50, None);
    let asked = |cause| session(Some(cause), Some(Charging), 50, None);
    let faulted = |code| session(None, Some(Faulted), 50, Some(code));
    let suspended = |soc| session(None, Some(SuspendedEv), soc, None);
    let cases: Vec<(Session, Option<R>, E, bool)> = vec![
        (asked(C::Partner), Some(R::Remote), E::UserStop, false),
        (asked(C::Operator), Some(R::Remote), E::OperatorStop, false),
        (asked(C::EnergyLimit), Some(R::Remote), E::EnergyLimit, false),
        (asked(C::SocLimit), Some(R::Remote), E::SocLimit, false),
        (asked(C::DurationLimit), Some(R::Remote), E::DurationLimit, false),
        (asked(C::TooLong), Some(R::Remote), E::MaxDuration, false),
        (asked(C::DeAuthorized), Some(R::Remote), E::DeAuthorized, false),
        (asked(C::LateStart), Some(R::Remote), E::LateStart, false),
        (asked(C::LateStart), Some(R::DeAuthorized), E::LateStart, false),
        (plain(), Some(R::Remote), E::Other, true),
        (plain(), Some(R::DeAuthorized), E::DeAuthorized, false),
        (plain(), Some(R::EmergencyStop), E::EmergencyStop, false),
        (faulted(ErrorCode::OtherError), Some(R::EmergencyStop), E::EmergencyStop, false),
        (plain(), Some(R::EVDisconnected), E::PlugPulled, false),
        (plain(), Some(R::HardReset), E::Reset, false),
        (plain(), Some(R::SoftReset), E::Reset, false),
        (plain(), Some(R::Reboot), E::Reboot, false),
        (plain(), Some(R::PowerLoss), E::PowerLoss, false),
        (plain(), Some(R::UnlockCommand), E::Unlock, false),
        (plain(), Some(R::Local), E::LocalStop, false),
        (suspended(100), Some(R::Local), E::LocalStop, false),
        (plain(), None, E::LocalStop, false),
        (plain(), Some(R::Other), E::Other, false),
        (asked(C::Partner), Some(R::Other), E::UserStop, true),
        (asked(C::Partner), None, E::UserStop, true),
        (suspended(99), Some(R::Other), E::Full, true),
        (suspended(100), None, E::Full, true),
        (suspended(60), Some(R::Other), E::Vehicle, true),
        (suspended(60), None, E::LocalStop, false),
        (faulted(ErrorCode::GroundFailure), Some(R::Other), E::Fault, true),
        (faulted(ErrorCode::HighTemperature), Some(R::Local), E::Fault, true),
        (faulted(ErrorCode::OverVoltage), None, E::Fault, true),
        (faulted(ErrorCode::EVCommunicationError), Some(R::Other), E::Vehicle, true),
    ];
    for (session, told, reason, inferred) in cases {
        let end = end_of(&session, told);
        let what = (told, session.stop.map(|stop| stop.cause), session.seen);
        assert_eq!((end.reason, end.inferred), (reason, inferred), "{what:?}");
    }
}

fn name(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn the_document_shows_every_reason_failure_and_flag() {
    let document = include_str!("../../../../docs/end-reasons.md");
    for (reason, meaning, from) in TABLE {
        let line = format!("| `{}` | {meaning} | {from} |", name(reason));
        assert!(document.lines().any(|l| l == line), "docs/end-reasons.md lacks: {line}");
    }
    for code in Failure::CODES {
        assert!(document.contains(&format!("| `{code}` |")), "docs/end-reasons.md lacks failure {code}");
    }
    for flag in Flag::ALL {
        assert!(document.contains(&format!("| `{}` |", name(flag))), "docs/end-reasons.md lacks flag {flag:?}");
    }
}

#[test]
fn the_table_has_every_reason_once() {
    let names: std::collections::BTreeSet<String> = TABLE.iter().map(|(reason, _, _)| name(reason)).collect();
    assert_eq!(names.len(), TABLE.len());
}
