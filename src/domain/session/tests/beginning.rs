//! Deadlines, cancellation, late starts (SE-4, SE-5).

use crate::domain::charger::{Call, StopReason, Verdict};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection, Reply};
use crate::domain::session::{EndReason, Flag, Limits, Status};
use std::time::Duration;

#[test]
fn no_confirmation_in_time_fails_the_session() {
    let seconds = |s| Some(Duration::from_secs(s));
    for (asked, due) in [(None, 60), (seconds(50), 50), (seconds(600), 60), (seconds(0), 5)] {
        let mut world = World::ready();
        let session = world.open_with(1, 1, Limits::default(), asked).unwrap();
        world.answer(accepted());
        world.pass(due - 1);
        assert_eq!(world.session(session).status, Some(Status::Starting), "{asked:?}");
        world.pass(1);
        assert_eq!(world.session(session).status, Some(Status::Failed), "{asked:?}");
        let failed = world.last("session.failed");
        assert_eq!(failed["failure"]["code"], "no_confirmation");
        assert_eq!((&failed["status"], &failed["request_id"]), (&"Failed".into(), &"r1".into()));
        assert!(world.charger().live.is_empty(), "the connector is free again");
    }
}

#[test]
fn our_downtime_does_not_count_against_the_start() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    world.pass(10);
    world.restart(Duration::from_secs(120));
    world.link_up();
    world.pass(49);
    assert_eq!(world.session(session).status, Some(Status::Starting));
    world.pass(1);
    assert_eq!(world.session(session).status, Some(Status::Failed));
}

#[test]
fn a_start_is_found_again_after_our_restart() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    world.restart(Duration::from_secs(5));
    world.link_up();
    let transaction = world.start(1, tag, 1000, "m1");
    assert_eq!(world.session(session).transaction, Some(transaction));
    assert_eq!(world.session(session).status, Some(Status::Charging));
}

#[test]
fn a_late_start_of_a_failed_session_becomes_neither_ghost_nor_second_order() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    world.pass(60);
    world.clear();
    let (transaction, verdict) = world.begin(start_fact(1, tag, 1000, time(world.now), "m1"));
    assert_eq!(verdict, Verdict::Invalid);
    assert_eq!(world.session(session).status, Some(Status::Failed));
    assert_eq!(world.cases(), ["late_start"]);
    assert_eq!(world.told(), ["session.updated"]);
    assert_eq!(world.open(2, 1), Err(Rejection::ConnectorOccupied), "a vehicle draws power there");
    world.pass(1);
    assert_eq!(world.answer(accepted()), Call::RemoteStop { transaction });
    world.pass(60);
    world.meter(transaction, 1040);
    world.stop(transaction, 1050, Some(StopReason::Remote), "m2");
    let ended = world.session(session);
    assert_eq!((ended.status, ended.energy_wh()), (Some(Status::Failed), 50));
    assert_eq!(ended.end.unwrap().reason, EndReason::LateStart);
    assert!(!world.told().iter().any(|kind| matches!(*kind, "session.started" | "session.ended" | "session.progress")));
    let updated = world.last("session.updated");
    assert_eq!((&updated["energy_wh"], &updated["status"]), (&50.into(), &"Failed".into()));
    assert_eq!(world.row("session", &session.to_string())["energy_wh"], 50);
    assert!(world.open(3, 1).is_ok());
}

#[test]
fn a_late_start_that_does_not_stop_is_stopped_again_and_stays_failed() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    world.pass(60);
    world.start(1, tag, 1000, "m1");
    world.clear();
    for _ in 0..2000 {
        world.pass(60);
        if world.outstanding().is_some() {
            world.answer(accepted());
        }
    }
    let stops = world.calls().into_iter().filter(|call| matches!(call, Call::RemoteStop { .. })).count();
    assert!(stops > 3, "{stops}");
    assert_eq!(world.session(session).status, Some(Status::Failed));
    assert!(world.cases().contains(&"stop_not_confirmed"));
}

#[test]
fn a_failed_start_is_forgotten_after_its_window() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    let tag = world.tag(session);
    world.answer(refused());
    assert_eq!(world.charger().failed.len(), 1);
    world.pass(7 * 86_400 + 1);
    assert!(world.charger().failed.is_empty());
    assert!(!world.states.contains_key(&Key::Session(session)));
    let (transaction, verdict) = world.begin(start_fact(1, tag, 1000, time(world.now), "m1"));
    assert_eq!(verdict, Verdict::Invalid);
    assert_ne!(world.transactions[&transaction], session, "a session of its own");
}

#[test]
fn failed_starts_in_memory_are_bounded() {
    let mut world = World::ready();
    for n in 0..30 {
        world.open(n, 1).unwrap();
        world.answer(refused());
    }
    assert_eq!(world.states.len(), 1 + 8, "the charger and eight failed sessions");
}

#[test]
fn a_stop_before_the_command_was_sent_cancels_the_start() {
    let mut world = World::ready();
    world.open(9, 2).unwrap();
    let session = world.open(1, 1).unwrap();
    assert!(world.ask_stop(session, "s1").is_ok());
    assert_eq!(&*world.session(session).failure.as_ref().unwrap().code, "cancelled");
    world.answer(accepted());
    assert_eq!(world.calls().len(), 1, "nothing was sent for it");
    assert_eq!(world.told(), ["session.stop_result", "session.failed"]);
}

#[test]
fn a_stop_after_the_command_was_sent_is_carried_out_when_it_begins() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    world.answer(accepted());
    let status = Status::Starting;
    assert_eq!(world.ask_stop(session, "s1"), Ok(Reply::StopTaken { status, online: true }));
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1000, "m1");
    world.pass(1);
    assert_eq!(world.answer(accepted()), Call::RemoteStop { transaction });
    world.stop(transaction, 1000, Some(StopReason::Remote), "m2");
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::UserStop);
    let expected = ["session.started", "session.stop_result", "session.ended"];
    assert_eq!(world.told(), expected);
}

#[test]
fn a_broken_but_readable_message_is_flagged() {
    let mut world = World::ready();
    let mut fact = start_fact(1, token(Verdict::Accepted), -5, time(world.now), "m1");
    fact.flaw = Some("meterStart is a text".into());
    let (transaction, _) = world.begin(fact);
    let flags = world.session(world.transactions[&transaction]).flags.list();
    assert_eq!(flags, [Flag::EnergyImplausible, Flag::SchemaBroken]);
}
