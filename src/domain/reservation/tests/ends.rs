//! Every end of a reservation but arrival: its state, cause, fee, notice, and the connector free again in the same record.

use super::*;
use crate::domain::charger::{BootPolicy, ErrorCode};
use crate::domain::charging::testkit::register;

type Act = fn(&mut World);

/// Title, what happens to a confirmed reservation of connector 1, and the end: state, cause, fee.
const ENDS: &[(&str, Act, (&str, &str, i64))] = &[
    ("given up at once", |w| cancel(w), ("Cancelled", "cancelled_in_time", 0)),
    ("given up at the last free moment", |w| after(w, 300, cancel), ("Cancelled", "cancelled_in_time", 0)),
    ("given up late", |w| after(w, 301, cancel), ("Cancelled", "cancelled_late", 500)),
    ("by an operator, late", |w| after(w, 301, operator), ("Cancelled", "cancelled_by_operator", 0)),
    ("nobody came", |w| w.pass(1800), ("NoShow", "no_show", 1000)),
    ("complained", |w| assert!(w.complain(1).is_ok()), ("Disputed", "complaint", 0)),
    ("went offline", |w| after(w, 0, offline), ("Cancelled", "charger_offline", 0)),
    ("connector broke", |w| w.fault(1, ConnectorStatus::Faulted, ErrorCode::GroundFailure, ""), FAULT),
    ("connector out of service", |w| w.status(1, ConnectorStatus::Unavailable), OUT),
    ("charger broke", |w| w.status(0, ConnectorStatus::Faulted), ("Cancelled", "charger_faulted", 0)),
    ("charger out of service", |w| w.status(0, ConnectorStatus::Unavailable), SERVICE),
    ("in maintenance", maintenance, SERVICE),
];
const FAULT: (&str, &str, i64) = ("Cancelled", "connector_faulted", 0);
const OUT: (&str, &str, i64) = ("Cancelled", "connector_unavailable", 0);
const SERVICE: (&str, &str, i64) = ("Cancelled", "charger_unavailable", 0);

fn after(world: &mut World, seconds: u64, then: Act) {
    world.pass(seconds);
    then(world);
}

fn cancel(world: &mut World) {
    assert_eq!(world.cancel(1, CancelBy::Partner), Ok(Status::Cancelled));
}

fn operator(world: &mut World) {
    assert_eq!(world.cancel(1, CancelBy::Operator("eve".into())), Ok(Status::Cancelled));
}

fn offline(world: &mut World) {
    world.link_down(false);
    world.pass(60);
}

fn maintenance(world: &mut World) {
    world.tell(charger::Command::SetMaintenance { on: true, by: "eve".into(), note: None });
}

#[test]
fn every_end_has_its_state_fee_and_notice_and_frees_the_connector() {
    for (title, act, (status, cause, fee)) in ENDS {
        let mut world = World::held();
        world.clear();
        act(&mut world);
        let row = world.ended(1);
        let told = (row["status"].as_str().unwrap(), row["end_cause"].as_str().unwrap(), row["fee"]["minor"].as_i64());
        assert_eq!(told, (*status, *cause, Some(*fee)), "{title}");
        assert_eq!(row["open"], false, "{title}");
        assert!(world.charger().holds.is_empty() && world.reservation(1).is_none(), "{title}");
        let kind = match *status {
            "NoShow" => "reservation.no_show",
            "Disputed" => "reservation.disputed",
            _ => "reservation.cancelled",
        };
        let notice = world.notices.iter().find(|notice| notice.kind == kind).unwrap();
        assert_eq!((notice.sequence, &*notice.order_key), (Some(2), &*format!("reservation/{}", id(1))), "{title}");
        assert_eq!(notice.data["fee"]["minor"], *fee, "{title}");
        assert!(!world.rows.keys().any(|(table, _)| *table == "user-hold"), "{title}: the user may reserve again");
    }
}

#[test]
fn a_repeated_cancel_or_complaint_is_the_same_and_after_another_end_it_is_refused() {
    let mut world = World::held();
    assert_eq!(world.complain(1), Ok(Status::Disputed));
    // It has left memory: its row tells, and the service asks the row.
    assert_eq!(world.complain(1), Err(Rejection::ReservationUnknown));
    assert_eq!(world.cancel(1, CancelBy::Partner), Err(Rejection::ReservationUnknown));
}

#[test]
fn a_complaint_opens_a_ticket_with_what_the_charger_knows() {
    let mut world = World::held();
    world.complain(1).unwrap();
    let ticket = world.case("ticket", "reservation_disputed");
    assert_eq!(ticket["subject"], format!("reservation/{}", id(1)));
    let evidence = ticket["evidence"].as_str().unwrap();
    for part in ["a van", "occupied", "status_told", "/ops/v1/chargers/CP1/messages", "\"device_holds\":true"] {
        assert!(evidence.contains(part), "{part} is not in {evidence}");
    }
}

#[test]
fn trouble_offers_another_free_connector_of_the_charger() {
    let mut world = World::held();
    world.status(1, ConnectorStatus::Faulted);
    let told = world.last("reservation.cancelled");
    assert_eq!(told["alternatives"], serde_json::json!([{"charger_id": "CP1", "connector_id": 2}]));
    assert!(told["text_zh"].as_str().unwrap().contains("故障"));
    // None is free: none is offered.
    let mut world = World::held();
    world.status(2, ConnectorStatus::Charging);
    world.status(1, ConnectorStatus::Faulted);
    assert_eq!(world.last("reservation.cancelled").get("alternatives"), None);
}

#[test]
fn nobody_pays_for_not_coming_while_we_were_down() {
    for (downtime, fee) in [(0, 1000), (59, 1000), (60, 0), (1700, 0), (4000, 0)] {
        let mut world = World::held();
        world.restart(Duration::from_secs(downtime));
        // It stays connected, or this would be trouble of another kind.
        world.link_up();
        world.pass(1800);
        assert_eq!(world.ended(1)["fee"]["minor"], fee, "{downtime} s");
        assert_eq!(world.ended(1)["status"], "NoShow");
    }
}

#[test]
fn a_promise_to_a_person_keeps_its_wall_clock_time() {
    let mut world = World::held();
    let until = world.reservation(1).unwrap().until;
    world.restart(Duration::from_secs(600));
    assert_eq!(world.reservation(1).unwrap().until, until);
}

#[test]
fn what_is_asked_for_is_bounded_by_the_configuration() {
    let hours = |n: u64| Duration::from_secs(n * 3600);
    for (ahead, length, from_s, until_s) in
        [(0, None, 0, 1800), (0, Some(hours(1)), 0, 3600), (0, Some(hours(9)), 0, 7200), (9, None, 3600, 5400)]
    {
        let mut world = World::ready();
        let now = world.now;
        world.reserve(Booking { ahead: hours(ahead), length, ..booking(1, 1) }).unwrap();
        let held = world.reservation(1).unwrap();
        let seconds = |at: crate::clock::Timestamp| at.since(now).as_secs();
        assert_eq!((seconds(held.from), seconds(held.until)), (from_s, until_s));
        // Whoever comes later has longer to think again.
        assert_eq!(seconds(held.terms.unwrap().free_until), from_s.max(300));
    }
}

#[test]
fn only_a_free_connector_can_be_held_and_only_once() {
    type Arrange = fn(&mut World);
    let cases: &[(&str, Arrange, u16, Result<(), Rejection>)] = &[
        ("free", |_| (), 1, Ok(())),
        ("held", |w| assert!(w.reserve(booking(9, 1)).is_ok()), 1, Err(Rejection::ConnectorReserved)),
        ("the other one is held", |w| assert!(w.reserve(booking(9, 2)).is_ok()), 1, Ok(())),
        ("plugged in", |w| w.status(1, ConnectorStatus::Preparing), 1, Err(Rejection::ConnectorOccupied)),
        ("charging", |w| w.status(1, ConnectorStatus::Charging), 1, Err(Rejection::ConnectorOccupied)),
        ("held by the device alone", |w| w.status(1, ConnectorStatus::Reserved), 1, Err(Rejection::ConnectorReserved)),
        ("faulted", |w| w.status(1, ConnectorStatus::Faulted), 1, Err(Rejection::ConnectorFaulted)),
        ("a start is under way", |w| assert!(w.open(7, 1).is_ok()), 1, Err(Rejection::ConnectorOccupied)),
        ("no socket", |w| w.link_down(false), 1, Err(Rejection::ChargerOffline)),
        ("in maintenance", maintenance, 1, Err(Rejection::ChargerMaintenance)),
        ("no such connector", |_| (), 3, Err(Rejection::ConnectorUnknown)),
        ("connector 0", |_| (), 0, Err(Rejection::ConnectorUnknown)),
    ];
    for (title, arrange, connector, expected) in cases {
        let mut world = World::ready();
        arrange(&mut world);
        assert_eq!(world.reserve(booking(1, *connector)).map(drop), *expected, "{title}");
    }
}

#[test]
fn a_held_connector_is_shown_as_reserved_and_its_partners_are_told() {
    let mut world = World::ready();
    world.reserve(booking(1, 1)).unwrap();
    assert_eq!((world.shown(1), world.shown(2)), (ConnectorStatus::Reserved, ConnectorStatus::Available));
    assert_eq!(world.last("connector.status")["status"], "Reserved");
    let reserved = world.last("reservation.reserved");
    assert_eq!(reserved["terms"]["late_cancel_fee"]["minor"], 500);
    assert_eq!(reserved["terms"]["deposit"]["minor"], 0, "the contract stands in for it");
    world.cancel(1, CancelBy::Partner).unwrap();
    assert_eq!(world.shown(1), ConnectorStatus::Available);
    assert_eq!(world.last("connector.status")["status"], "Available");
}

#[test]
fn a_connector_that_is_taken_away_takes_its_reservation_with_it() {
    let mut world = World::ready();
    world.reserve(booking(1, 2)).unwrap();
    world.tell(register(1, BootPolicy::Accepted));
    assert_eq!(world.ended(1)["end_cause"], "connector_unavailable");
    assert!(world.charger().holds.is_empty());
}

/// Found by simulation (seed 1007): the wall clock jumps, nothing fires early, and the connector is reserved again meanwhile.
#[test]
fn one_whose_time_is_over_before_its_timer_fires_is_over_when_another_takes_its_connector() {
    let mut world = World::held();
    world.now = world.now + Duration::from_secs(3600);
    assert_eq!(world.reserve(booking(2, 1)).map(drop), Ok(()));
    assert_eq!(world.ended(1)["status"], "NoShow");
    assert_eq!(world.reservation(2).and_then(|it| it.status), Some(Status::Reserved));
    assert_eq!(world.hold(2).connector, ConnectorId(1));
}
