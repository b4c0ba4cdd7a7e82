//! Stops: retried, pending, offline, on reconnect, limits, too long (SE-4, SE-7, SE-10).

use crate::domain::charger::{Call, Outcome, StopReason};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection, Reply};
use crate::domain::session::{Command, EndReason, Flag, Limits, Status, StopBy};
use crate::ids::SessionId;
use std::time::Duration;

fn stops(world: &World) -> usize {
    world.calls().into_iter().filter(|call| matches!(call, Call::RemoteStop { .. })).count()
}

/// Lets a minute pass with every call answered.
fn minute(world: &mut World, outcome: &Outcome) {
    for _ in 0..60 {
        world.pass(1);
        if world.outstanding().is_some() {
            world.answer(outcome.clone());
        }
    }
}

#[test]
fn an_accepted_stop_that_stops_nothing_is_sent_three_times_and_then_pends() {
    let (mut world, session, transaction) = World::charging();
    world.ask_stop(session, "s1").unwrap();
    for _ in 0..104 {
        world.pass(1);
        if world.outstanding().is_some() {
            world.answer(accepted());
        }
    }
    assert_eq!(stops(&world), 3);
    assert_eq!(world.session(session).status, Some(Status::Charging));
    world.pass(1);
    assert_eq!(world.session(session).status, Some(Status::StopPending));
    assert!(world.cases().contains(&"stop_not_confirmed"));
    assert_eq!(world.last("session.stop_result")["accepted"], true, "the charger had accepted");
    for _ in 0..16 {
        minute(&mut world, &accepted());
    }
    assert_eq!(stops(&world), 6, "and slowly on");
    world.stop(transaction, 1100, Some(StopReason::Remote), "m2");
    assert_eq!(world.session(session).status, Some(Status::Ended));
}

#[test]
fn what_a_stop_came_to_is_told_once() {
    let cases = [
        (accepted(), true, None),
        (refused(), false, Some("charger_refused")),
        (Outcome::CallError { code: "x".into(), description: "y".into() }, false, Some("charger_refused")),
        (Outcome::TimedOut, false, Some("not_confirmed")),
    ];
    for (outcome, expected, code) in cases {
        let (mut world, session, _) = World::charging();
        world.ask_stop(session, "s1").unwrap();
        for _ in 0..4 {
            minute(&mut world, &outcome);
        }
        let results: Vec<_> = world.notices.iter().filter(|notice| notice.kind == "session.stop_result").collect();
        assert_eq!(results.len(), 1, "{outcome:?}");
        assert_eq!(results[0].data["accepted"], expected, "{outcome:?}");
        assert_eq!(results[0].data.get("code").and_then(|code| code.as_str()), code, "{outcome:?}");
        assert_eq!(results[0].data["request_id"], "s1");
    }
}

#[test]
fn stopping_an_offline_charger_says_so_at_once_and_stops_it_when_it_is_back() {
    let (mut world, session, transaction) = World::charging();
    world.link_down(false);
    let status = Status::StopPending;
    assert_eq!(world.ask_stop(session, "s1"), Ok(Reply::StopTaken { status, online: false }));
    assert_eq!(world.last("session.stop_result")["code"], "charger_offline");
    world.pass(600);
    assert_eq!(stops(&world), 0);
    world.link_up();
    minute(&mut world, &accepted());
    assert!(stops(&world) >= 1);
    world.stop(transaction, 1100, Some(StopReason::Remote), "m2");
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::UserStop);
}

#[test]
fn a_charger_that_goes_while_it_is_stopped_is_stopped_when_it_is_back() {
    for outstanding in [false, true] {
        let (mut world, session, _) = World::charging();
        world.ask_stop(session, "s1").unwrap();
        world.pass(if outstanding { 1 } else { 0 });
        world.link_down(false);
        assert_eq!(world.session(session).status, Some(Status::StopPending));
        world.clear();
        world.link_up();
        minute(&mut world, &accepted());
        assert!(stops(&world) >= 1, "{outstanding}");
    }
}

#[test]
fn a_stop_survives_our_restart() {
    let (mut world, session, _) = World::charging();
    world.ask_stop(session, "s1").unwrap();
    world.pass(1);
    world.clear();
    world.restart(Duration::from_secs(30));
    world.link_up();
    minute(&mut world, &accepted());
    assert!(stops(&world) >= 1);
}

#[test]
fn a_second_request_is_answered_too_and_not_sent_twice() {
    let (mut world, session, _) = World::charging();
    world.ask_stop(session, "s1").unwrap();
    world.ask_stop(session, "s2").unwrap();
    world.pass(1);
    world.answer(accepted());
    assert_eq!(stops(&world), 1);
    let results = world.notices.iter().filter(|notice| notice.kind == "session.stop_result");
    let requests: Vec<_> = results.map(|notice| notice.data["request_id"].as_str().unwrap()).collect();
    assert_eq!(requests, ["s1", "s2"]);
}

#[test]
fn asking_again_while_it_pends_sends_at_once() {
    let (mut world, session, _) = World::charging();
    world.ask_stop(session, "s1").unwrap();
    minute(&mut world, &accepted());
    minute(&mut world, &accepted());
    assert_eq!(world.session(session).status, Some(Status::StopPending));
    world.clear();
    world.ask_stop(session, "s2").unwrap();
    world.pass(1);
    assert_eq!(stops(&world), 1);
}

#[test]
fn what_is_over_or_never_was_cannot_be_stopped() {
    let (mut world, session, transaction) = World::charging();
    world.stop(transaction, 1100, None, "m2");
    assert_eq!(world.ask_stop(session, "s1"), Err(Rejection::SessionOver));
    let unknown = SessionId(uuid::Uuid::from_u128(77));
    assert_eq!(world.ask_stop(unknown, "s1"), Err(Rejection::SessionUnknown));
}

#[test]
fn an_operator_stops_with_a_reason_of_its_own() {
    let (mut world, session, transaction) = World::charging();
    world.ask(Key::Session(session), Command::Stop(StopBy::Operator("ann".into()))).unwrap();
    world.stop(transaction, 1100, Some(StopReason::Remote), "m2");
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::OperatorStop);
    assert!(serde_json::to_string(&world.journal).unwrap().contains("ann"));
}

fn limited(limits: Limits) -> (World, SessionId, crate::ids::TransactionId) {
    let mut world = World::ready();
    let session = world.open_with(1, 1, limits, None).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1000, "m1");
    world.clear();
    (world, session, transaction)
}

#[test]
fn the_energy_asked_for_stops_it() {
    let (mut world, session, transaction) = limited(Limits { energy_wh: Some(500), ..Limits::default() });
    world.pass(60);
    world.meter(transaction, 1499);
    world.pass(1);
    assert_eq!(stops(&world), 0);
    world.meter(transaction, 1500);
    world.pass(1);
    assert_eq!(stops(&world), 1);
    world.stop(transaction, 1505, Some(StopReason::Remote), "m2");
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::EnergyLimit);
}

#[test]
fn the_state_of_charge_asked_for_stops_it() {
    // The charger tells 50 %.
    for (limit, expected) in [(51, 0), (50, 1)] {
        let (mut world, session, transaction) = limited(Limits { soc_percent: Some(limit), ..Limits::default() });
        world.meter(transaction, 1100);
        world.pass(1);
        assert_eq!(stops(&world), expected, "{limit}");
        world.stop(transaction, 1105, Some(StopReason::Remote), "m2");
        let reached = world.session(session).end.unwrap().reason == EndReason::SocLimit;
        assert_eq!(reached, expected == 1, "{limit}");
    }
}

#[test]
fn the_time_asked_for_stops_it_also_when_it_passed_while_we_were_down() {
    let (mut world, session, transaction) = limited(Limits { duration_s: Some(300), ..Limits::default() });
    world.pass(100);
    world.restart(Duration::from_secs(1000));
    world.link_up();
    minute(&mut world, &accepted());
    assert!(stops(&world) >= 1);
    world.stop(transaction, 1505, Some(StopReason::Remote), "m2");
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::DurationLimit);
}

#[test]
fn a_day_is_too_long() {
    let (mut world, session, transaction) = World::charging();
    for hour in 1..24 {
        world.pass(3600);
        world.meter(transaction, 1000 + hour);
    }
    assert_eq!(world.session(session).status, Some(Status::Charging));
    world.clear();
    world.pass(3600);
    let abnormal = world.session(session);
    assert_eq!(abnormal.status, Some(Status::Abnormal));
    assert!(abnormal.flags.has(Flag::TooLong));
    assert!(world.cases().contains(&"session_too_long"));
    assert!(world.rows.keys().any(|(table, _)| *table == "ticket"));
    world.pass(1);
    assert_eq!(stops(&world), 1);
    world.stop(transaction, 2000, Some(StopReason::Remote), "m2");
    let ended = world.session(session);
    assert_eq!((ended.status, ended.end.unwrap().reason), (Some(Status::Ended), EndReason::MaxDuration));
}
