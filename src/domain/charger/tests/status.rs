//! Connector statuses: present, past, unbelievable; faults (CH-4, CH-7, CH-8, CH-11).

use crate::clock::Timestamp;
use crate::domain::charger::{Command, ErrorCode, Fault, Status, StatusFact, WireTime};
use crate::domain::charging::Rejection;
use crate::domain::charging::testkit::*;
use crate::ids::ConnectorId;
use std::time::Duration;

fn tell(world: &mut World, status: Status, at: Option<WireTime>) {
    let connector = ConnectorId(1);
    world.tell(Command::Status(StatusFact { connector, status, fault: None, remark: None, at }));
}

fn now_is(world: &World) -> Status {
    world.charger().connectors[0].status
}

#[test]
fn a_status_of_the_present_counts_and_one_of_the_past_does_not() {
    let ago = |seconds| move |now: Timestamp| Some(time(now - Duration::from_secs(seconds)));
    let ahead = |seconds| move |now: Timestamp| Some(time(now + Duration::from_secs(seconds)));
    type At = Box<dyn Fn(Timestamp) -> Option<WireTime>>;
    let cases: [(&str, At, bool); 9] = [
        ("now", Box::new(ago(0)), true),
        ("no time told", Box::new(|_| None), true),
        ("a minute ahead", Box::new(ahead(60)), true),
        ("ten years ahead: a broken clock", Box::new(ahead(10 * 365 * 86_400)), true),
        ("1970: a clock never set", Box::new(|_| Some(time(Timestamp(0)))), true),
        ("unreadable", Box::new(|_| Some(WireTime { raw: "soon".into(), at: None })), true),
        ("an hour old: backlog", Box::new(ago(3600)), false),
        ("three days old: backlog", Box::new(ago(3 * 86_400)), false),
        ("five minutes old, overtaken by a newer one", Box::new(ago(300)), false),
    ];
    for (what, at, counts) in cases {
        let mut world = World::ready();
        world.pass(60);
        let at = at(world.now);
        tell(&mut world, Status::Preparing, at);
        assert_eq!(now_is(&world) == Status::Preparing, counts, "{what}");
    }
}

#[test]
fn a_clock_that_was_ahead_and_is_corrected_still_counts() {
    let mut world = World::ready();
    let ahead = Some(time(world.now + Duration::from_secs(200)));
    tell(&mut world, Status::Preparing, ahead);
    world.pass(10);
    world.status(1, Status::Charging);
    assert_eq!(now_is(&world), Status::Charging);
}

#[test]
fn a_clock_that_cannot_be_believed_is_said_once_a_boot() {
    let mut world = World::ready();
    for status in [Status::Preparing, Status::Available, Status::Preparing] {
        tell(&mut world, status, Some(time(Timestamp(0))));
    }
    assert_eq!(world.cases(), ["clock_implausible"]);
    world.tell(Command::Boot(boot()));
    tell(&mut world, Status::Available, Some(time(Timestamp(0))));
    assert_eq!(world.cases(), ["clock_implausible"; 2]);
}

#[test]
fn a_change_is_told_to_the_audience_and_a_repeat_is_not() {
    let mut world = World::ready();
    world.status(1, Status::Preparing);
    world.pass(10);
    world.status(1, Status::Preparing);
    assert_eq!(world.told(), ["connector.status"]);
    let notice = &world.notices[0];
    assert_eq!((notice.order_key.as_str(), notice.sequence), ("connector/CP1/1", None));
    assert_eq!(notice.data["status"], "Preparing");
    assert_eq!(notice.data["charger_id"], "CP1");
}

#[test]
fn a_fault_is_kept_shown_and_takes_the_connector_out_of_offer() {
    let mut world = World::ready();
    let fault = Fault::told(ErrorCode::GroundFailure, Some("E\u{1b}7".into()), None);
    let (connector, at) = (ConnectorId(1), Some(time(world.now)));
    world.tell(Command::Status(StatusFact {
        connector,
        status: Status::Faulted,
        fault: Some(fault),
        remark: None,
        at,
    }));
    assert_eq!(world.last("connector.status")["error"]["cause"], "insulation");
    assert_eq!(world.cases(), ["connector_faulted"]);
    assert_eq!(world.open(1, 1), Err(Rejection::ConnectorFaulted));
    assert!(world.open(2, 2).is_ok(), "its neighbour is free");
    world.status(1, Status::Available);
    assert!(world.charger().connectors[0].fault.is_none());
    assert!(world.open(3, 1).is_ok());
}

#[test]
fn a_connector_that_is_not_registered_changes_nothing() {
    let mut world = World::ready();
    let steps = world.journal.len();
    world.status(9, Status::Charging);
    assert_eq!(world.journal.len(), steps);
}

#[test]
fn the_charger_as_a_whole_is_no_connector_to_partners() {
    let mut world = World::ready();
    world.status(0, Status::Unavailable);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.open(1, 1), Err(Rejection::ChargerUnavailable));
}
