//! The check before a start, and what becomes of its command (SE-2, SE-4).

use crate::domain::charger::{BootPolicy, Call, Command, Outcome, Status, Verdict};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection};
use crate::domain::session::Status as SessionStatus;
use std::time::Duration;

fn refuse(world: &mut World) {
    world.tell(register(2, BootPolicy::Rejected));
}

fn local(world: &mut World) {
    world.start(1, token(Verdict::Accepted), 0, "m1");
}

#[test]
fn only_a_free_connector_of_a_working_charger_is_started() {
    type Prepare = fn(&mut World);
    let cases: [(&str, Prepare, u16, Option<Rejection>); 19] = [
        ("free", |_| {}, 1, None),
        ("plugged in", |w| w.status(1, Status::Preparing), 1, None),
        ("charging", |w| w.status(1, Status::Charging), 1, Some(Rejection::ConnectorOccupied)),
        ("suspended by the vehicle", |w| w.status(1, Status::SuspendedEv), 1, Some(Rejection::ConnectorOccupied)),
        ("suspended by the charger", |w| w.status(1, Status::SuspendedEvse), 1, Some(Rejection::ConnectorOccupied)),
        ("finishing", |w| w.status(1, Status::Finishing), 1, Some(Rejection::ConnectorOccupied)),
        ("reserved", |w| w.status(1, Status::Reserved), 1, Some(Rejection::ConnectorReserved)),
        ("unavailable", |w| w.status(1, Status::Unavailable), 1, Some(Rejection::ConnectorUnavailable)),
        ("faulted", |w| w.status(1, Status::Faulted), 1, Some(Rejection::ConnectorFaulted)),
        ("the other is faulted", |w| w.status(2, Status::Faulted), 1, None),
        ("the whole is faulted", |w| w.status(0, Status::Faulted), 1, Some(Rejection::ChargerFaulted)),
        ("no such connector", |_| {}, 3, Some(Rejection::ConnectorUnknown)),
        ("connector 0", |_| {}, 0, Some(Rejection::ConnectorUnknown)),
        ("offline", |w| w.link_down(false), 1, Some(Rejection::ChargerOffline)),
        ("socket just gone", |w| w.ambient.online = false, 1, Some(Rejection::ChargerOffline)),
        ("another session", |w| assert!(w.open(9, 1).is_ok()), 1, Some(Rejection::ConnectorOccupied)),
        ("a session at the other", |w| assert!(w.open(9, 2).is_ok()), 1, None),
        ("a local one", local, 1, Some(Rejection::ConnectorOccupied)),
        ("now refused", refuse, 1, Some(Rejection::ChargerNotAccepted)),
    ];
    for (what, prepare, connector, expected) in cases {
        let mut world = World::ready();
        prepare(&mut world);
        assert_eq!(world.open(1, connector).err(), expected, "{what}");
    }
}

#[test]
fn an_unregistered_charger_starts_nothing() {
    assert_eq!(World::empty().open(1, 1), Err(Rejection::ChargerUnknown));
}

#[test]
fn of_two_starts_at_once_exactly_one_is_taken() {
    let mut world = World::ready();
    assert!(world.open(1, 1).is_ok());
    assert_eq!(world.open(2, 1), Err(Rejection::ConnectorOccupied));
    assert_eq!(world.open(1, 2), Err(Rejection::SessionExists));
    assert_eq!(world.calls().len(), 1);
}

#[test]
fn each_remote_start_has_a_tag_of_its_own() {
    let mut world = World::ready();
    let (one, two) = (world.open(1, 1).unwrap(), world.open(2, 2).unwrap());
    assert_ne!(world.tag(one), world.tag(two));
}

#[test]
fn how_the_command_ends_decides_the_start() {
    let error = || Outcome::CallError { code: "InternalError".into(), description: "no".into() };
    let cases = [
        ("accepted", Status::Available, accepted(), None),
        ("refused, not plugged in", Status::Available, refused(), Some("plug_not_connected")),
        ("refused, plugged in", Status::Preparing, refused(), Some("charger_refused")),
        ("an error", Status::Preparing, error(), Some("charger_refused")),
        ("no answer: uncertain", Status::Preparing, Outcome::TimedOut, None),
        ("the link lost: uncertain", Status::Preparing, Outcome::LinkLost, None),
    ];
    for (what, status, outcome, code) in cases {
        let mut world = World::ready();
        world.status(1, status);
        let session = world.open(1, 1).unwrap();
        world.answer(outcome);
        let failure = world.session(session).failure.as_ref().map(|failure| failure.code.to_string());
        assert_eq!(failure.as_deref(), code, "{what}");
        assert_eq!(world.charger().live_session(session).is_none(), code.is_some(), "{what}");
        assert_eq!(world.told().contains(&"session.failed"), code.is_some(), "{what}");
    }
}

#[test]
fn a_start_without_an_answer_is_not_sent_again() {
    let mut world = World::ready();
    world.open(1, 1).unwrap();
    world.pass(31);
    world.link_down(false);
    world.link_up();
    world.pass(20);
    world.answer_all();
    let starts = world.calls().into_iter().filter(|call| matches!(call, Call::RemoteStart { .. })).count();
    assert_eq!(starts, 1);
}

#[test]
fn a_start_that_was_sent_when_we_died_is_not_sent_again() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.clear();
    world.restart(Duration::from_secs(5));
    world.link_up();
    world.pass(30);
    world.answer_all();
    assert!(!world.calls().iter().any(|call| matches!(call, Call::RemoteStart { .. })), "{:?}", world.calls());
    assert_eq!(world.session(session).status, Some(SessionStatus::Starting));
    world.pass(60);
    assert_eq!(world.session(session).status, Some(SessionStatus::Failed));
}

#[test]
fn a_start_that_was_never_sent_when_we_died_is_sent_once() {
    let mut world = World::ready();
    world.open(9, 2).unwrap();
    let session = world.open(1, 1).unwrap();
    world.clear();
    world.restart(Duration::from_secs(5));
    world.link_up();
    world.pass(10);
    world.answer_all();
    let tag = world.charger().live_session(session).unwrap().id_tag.clone().unwrap();
    let sent =
        world.calls().into_iter().filter(|call| matches!(call, Call::RemoteStart { id_tag, .. } if *id_tag == tag));
    assert_eq!(sent.count(), 1);
}

#[test]
fn a_start_that_was_never_sent_fails_when_the_charger_goes() {
    let mut world = World::ready();
    world.open(9, 2).unwrap();
    let session = world.open(1, 1).unwrap();
    world.link_down(false);
    assert_eq!(&*world.session(session).failure.as_ref().unwrap().code, "charger_offline");
}

#[test]
fn a_refusal_that_comes_late_still_fails_the_start() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    let (command_id, _) = world.outstanding().unwrap();
    world.pass(31);
    assert!(world.outstanding().is_none(), "given up");
    let generation = world.ambient.generation;
    world.tell(Command::CommandAnswered {
        command_id,
        generation,
        outcome: refused(),
        told: crate::domain::charger::Told::Nothing,
    });
    assert_eq!(world.session(session).status, Some(SessionStatus::Failed));
}

#[test]
fn a_charger_that_gives_up_waiting_for_the_plug_fails_the_start_at_once() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    world.status(1, Status::Preparing);
    world.pass(20);
    world.status(1, Status::Available);
    assert_eq!(&*world.session(session).failure.as_ref().unwrap().code, "plug_not_connected");
}

#[test]
fn repeated_failures_of_one_charger_alert() {
    let mut world = World::ready();
    for n in 0..3 {
        world.open(n, 1).unwrap();
        world.answer(refused());
    }
    assert_eq!(world.cases(), ["starts_fail"]);
    let session = world.open(7, 1).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    world.start(1, tag, 0, "m1");
    assert_eq!(world.charger().start_failures, 0, "a success clears the count");
}

#[test]
fn a_full_queue_refuses_starts_and_operators_and_not_stops() {
    let (mut world, session, _) = World::charging();
    let mut refusal = None;
    for n in 0..20 {
        let command_id = crate::ids::CommandId(uuid::Uuid::from_u128(n));
        let command = Command::Enqueue { command_id, call: Call::ClearCache, by: "op".into() };
        refusal = refusal.or(world.ask(Key::Charger, command).err());
    }
    assert_eq!(refusal, Some(Rejection::CommandQueueFull));
    assert_eq!(world.open(2, 2), Err(Rejection::CommandQueueFull));
    world.ask_stop(session, "s1").unwrap();
    assert!(world.charger().queue.iter().any(|pending| matches!(pending.call, Call::RemoteStop { .. })));
}
