//! Faults: what they mean, who is told, what leaves the offer (CH-8).

use crate::config::faults::VendorCode;
use crate::domain::charger::{Command, ErrorCode, Status, StatusFact, StopReason};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Level, Rejection};
use crate::domain::fault::{Cause, Remedy, meaning_of};
use crate::ids::ConnectorId;

fn vendor_code(code: &str, cause: Cause, remedy: Remedy) -> VendorCode {
    VendorCode {
        code: code.to_owned(),
        vendor: None,
        cause,
        severity: Level::Critical,
        remedy,
        out_of_offer: true,
        zh: "急停按钮被按下。".to_owned(),
        en: "The emergency stop was pressed.".to_owned(),
    }
}

#[test]
fn every_code_is_shown_with_its_cause_and_both_texts_and_does_what_the_table_says() {
    for code in ErrorCode::ALL {
        let mut world = World::ready();
        world.fault(1, Status::Faulted, code, "");
        let meaning = meaning_of(code);
        let error = &world.last("connector.status")["error"];
        assert_eq!(error["cause"], meaning.cause.as_str(), "{code:?}");
        assert_eq!((&error["message_en"], &error["message_zh"]), (&meaning.en.into(), &meaning.zh.into()), "{code:?}");
        assert_eq!(world.cases(), ["connector_faulted"], "{code:?}");
        let ticket = world.rows.keys().any(|(table, _)| *table == "ticket");
        // No reset is allowed unless configured, so that a person has to.
        assert_eq!(ticket, matches!(meaning.remedy, Remedy::Ticket | Remedy::Reset), "{code:?}");
        let text = world.case("alert", "connector_faulted")["text"].as_str().unwrap().to_owned();
        assert!(text.contains(meaning.en) && text.contains(meaning.zh), "{text}");
        assert_eq!(world.open(1, 1), Err(Rejection::ConnectorFaulted), "{code:?}");
    }
}

#[test]
fn a_code_beside_a_free_status_takes_the_connector_out_of_offer_where_the_table_says_so() {
    for code in ErrorCode::ALL {
        let mut world = World::ready();
        world.fault(1, Status::Available, code, "");
        let meaning = meaning_of(code);
        let expected = if meaning.out_of_offer { "Faulted" } else { "Available" };
        assert_eq!(world.last("connector.status")["status"], expected, "{code:?}");
        assert_eq!(world.row("status", "CP1")["connectors"][0]["status"], expected, "{code:?}");
        assert_eq!(world.open(1, 1).is_err(), meaning.out_of_offer, "{code:?}");
        assert_eq!(world.cases().is_empty(), meaning.remedy == Remedy::Nothing, "{code:?}");
        world.status(1, Status::Available);
        assert!(world.last("connector.status")["error"].is_null());
    }
}

#[test]
fn a_known_vendor_code_wins_over_the_general_one_also_beside_no_error() {
    let mut world = World::ready();
    world.policy().faults.vendor_codes.push(vendor_code("E21", Cause::EmergencyStop, Remedy::Ticket));
    world.fault(1, Status::Faulted, ErrorCode::WeakSignal, "e21");
    let error = world.last("connector.status")["error"].clone();
    assert_eq!((&error["code"], &error["cause"]), (&"WeakSignal".into(), &"emergency_stop".into()));
    assert_eq!((&error["severity"], &error["vendor_code"]), (&"critical".into(), &"e21".into()));
    assert_eq!(error["message_zh"], "急停按钮被按下。");
    let ticket = world.case("ticket", "connector_faulted");
    assert!(ticket["text"].as_str().unwrap().contains("急停按钮被按下。"), "{ticket}");
    let (connector, at) = (ConnectorId(2), None);
    for (remark, expected) in [("0", "Available"), ("E21", "Faulted")] {
        let remark = Some(remark.into());
        world.tell(Command::Status(StatusFact { connector, status: Status::Available, fault: None, remark, at: None }));
        assert_eq!(world.row("status", "CP1")["connectors"][1]["status"], expected);
    }
    world.tell(Command::Status(StatusFact { connector, status: Status::Available, fault: None, remark: None, at }));
    assert!(world.open(1, 2).is_ok());
}

#[test]
fn what_a_code_meant_when_it_was_told_stays_until_it_is_told_again() {
    let mut world = World::ready();
    world.policy().faults.vendor_codes.push(vendor_code("E21", Cause::Enclosure, Remedy::Alert));
    world.fault(1, Status::Faulted, ErrorCode::OtherError, "E21");
    world.policy().faults.vendor_codes.clear();
    assert_eq!(world.charger().fault_at(ConnectorId(1)).unwrap().meaning().cause, Cause::Enclosure);
    world.fault(1, Status::Faulted, ErrorCode::OtherError, "E21");
    assert_eq!(world.charger().fault_at(ConnectorId(1)).unwrap().meaning().cause, Cause::Other);
    assert_eq!(world.cases(), ["connector_faulted"], "the same fault is no second case");
}

#[test]
fn another_fault_of_a_faulted_connector_is_another_case_and_no_second_trouble() {
    let mut world = World::ready();
    world.fault(1, Status::Faulted, ErrorCode::OverVoltage, "");
    world.fault(1, Status::Faulted, ErrorCode::GroundFailure, "");
    assert_eq!(world.cases(), ["connector_faulted"; 2]);
    assert_eq!(world.charger().troubles.len(), 1);
}

#[test]
fn a_session_shows_the_fault_and_ends_by_the_cause_when_the_charger_ends_it() {
    for (cause, reason) in
        [(Cause::EmergencyStop, "emergency_stop"), (Cause::Vehicle, "vehicle"), (Cause::Enclosure, "fault")]
    {
        let (mut world, session, transaction) = World::charging();
        world.policy().faults.vendor_codes.push(vendor_code("E21", cause, Remedy::Alert));
        world.fault(1, Status::Faulted, ErrorCode::OtherError, "E21");
        assert!(world.session(session).is_running(), "only the charger ends it");
        let view = serde_json::to_value(world.session(session).view(session, "CP1", world.now)).unwrap();
        assert_eq!(view["error"]["message_en"], "The emergency stop was pressed.");
        assert_eq!(view["error"]["cause"], cause.as_str());
        world.stop(transaction, 1200, Some(StopReason::Other), "m9");
        let ended = world.last("session.ended");
        assert_eq!((&ended["end_reason"], &ended["end_reason_inferred"]), (&reason.into(), &true.into()));
        assert_eq!(ended["error"]["vendor_code"], "E21");
    }
}
