//! Ends: by the charger, by silence, corrected late; times and registers that cannot be (SE-6, SE-8, SE-9, SE-14).

use crate::clock::Timestamp;
use crate::domain::charger::{Call, Command, Status as ConnectorStatus, StopFact, StopReason, Verdict, WireTime};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Policy};
use crate::domain::session::{EndReason, Flag, Status};
use std::time::Duration;

#[test]
fn the_final_register_is_judged() {
    let odd = |flag| vec![flag, Flag::Estimated];
    let cases: [(&str, Option<i64>, u64, Vec<Flag>); 6] = [
        ("good", Some(1600), 600, vec![]),
        ("missing: the last reading stands", None, 400, vec![Flag::Estimated]),
        ("below the last reading", Some(1300), 400, odd(Flag::MeterBackwards)),
        ("zero", Some(0), 400, odd(Flag::MeterBackwards)),
        ("negative", Some(-5), 400, odd(Flag::MeterBackwards)),
        ("beyond any power", Some(99_000_000), 400, odd(Flag::EnergyImplausible)),
    ];
    for (what, meter, energy, flags) in cases {
        let (mut world, session, transaction) = World::charging();
        world.pass(60);
        world.meter(transaction, 1400);
        world.pass(60);
        world.tell(Command::TransactionStop(stop_fact(transaction, meter, time(world.now), None, "m2")));
        let ended = world.session(session);
        assert_eq!((ended.energy_wh(), ended.flags.list()), (energy, flags.clone()), "{what}");
        assert_eq!(ended.meter_stop_wh, meter, "{what}: kept as told");
        assert_eq!(world.cases().contains(&"readings_implausible"), !flags.is_empty(), "{what}");
    }
}

#[test]
fn the_final_readings_of_a_stop_count() {
    let (mut world, session, transaction) = World::charging();
    world.pass(600);
    let data = vec![sample(world.now - Duration::from_secs(300), 1200), sample(world.now, 1500)];
    let fact = StopFact { data, ..stop_fact(transaction, None, time(world.now), None, "m2") };
    world.tell(Command::TransactionStop(fact));
    assert_eq!((world.session(session).energy_wh(), world.session(session).readings.len()), (500, 2));
}

#[test]
fn the_time_of_the_end_is_judged() {
    let (world, _, _) = World::charging();
    let now = world.now + Duration::from_secs(600);
    let cases: [(&str, WireTime, Timestamp, Option<Flag>); 5] = [
        ("an earlier moment", time(now - Duration::from_secs(300)), now - Duration::from_secs(300), None),
        ("before the start", time(now - Duration::from_secs(900)), now, Some(Flag::EndBeforeStart)),
        ("1970", time(Timestamp(0)), now, Some(Flag::ClockImplausible)),
        ("tomorrow", time(now + Duration::from_secs(86_400)), now, Some(Flag::ClockImplausible)),
        ("unreadable", WireTime { raw: "x".into(), at: None }, now, Some(Flag::ClockImplausible)),
    ];
    for (what, at, expected, flag) in cases {
        let (mut world, session, transaction) = World::charging();
        world.pass(600);
        world.tell(Command::TransactionStop(stop_fact(transaction, Some(1100), at.clone(), None, "m2")));
        let ended = world.session(session);
        assert_eq!(ended.ended_at, Some(expected), "{what}");
        let flags: Vec<Flag> = ended.flags.list().into_iter().filter(|flag| *flag != Flag::SamplesMissed).collect();
        assert_eq!(flags, flag.into_iter().collect::<Vec<_>>(), "{what}");
        if flag.is_some() {
            assert!(serde_json::to_string(&world.journal).unwrap().contains(&*at.raw), "{what}: kept as received");
        }
    }
}

#[test]
fn an_offline_session_is_settled_by_its_actual_stop_time() {
    let (mut world, session, transaction) = World::charging();
    world.link_down(false);
    let ended = world.now + Duration::from_secs(1800);
    world.pass(4 * 3600);
    world.link_up();
    world.tell(Command::TransactionStop(stop_fact(
        transaction,
        Some(9000),
        time(ended),
        Some(StopReason::Local),
        "m2",
    )));
    let over = world.session(session);
    assert_eq!((over.ended_at, over.energy_wh()), (Some(ended), 8000));
    assert_eq!(world.last("session.ended")["duration_s"], 1800);
}

#[test]
fn a_charger_that_never_comes_back_is_settled_from_the_last_reading() {
    let (mut world, session, transaction) = World::charging();
    world.pass(60);
    world.meter(transaction, 1400);
    let last = world.now;
    world.link_down(false);
    world.pass(12 * 3600 - 1);
    assert_eq!(world.session(session).status, Some(Status::Charging));
    world.pass(1);
    let ended = world.session(session);
    assert_eq!(ended.end.unwrap().reason, EndReason::ConnectionLost);
    assert!(ended.end.unwrap().inferred && ended.flags.has(Flag::Estimated));
    assert_eq!((ended.ended_at, ended.energy_wh()), (Some(last), 400));
    assert!(world.cases().contains(&"settled_without_stop"));
    assert!(world.charger().live.is_empty());
    // It comes back after all, within the window.
    world.pass(3 * 86_400);
    world.clear();
    world.link_up();
    let stop =
        stop_fact(transaction, Some(5000), time(last + Duration::from_secs(3600)), Some(StopReason::Local), "m2");
    world.tell(Command::TransactionStop(stop.clone()));
    let ended = world.session(session);
    assert_eq!((ended.energy_wh(), ended.end.unwrap().reason), (4000, EndReason::LocalStop));
    assert!(ended.flags.has(Flag::SettledLate) && !ended.flags.has(Flag::Estimated));
    assert!(world.told().contains(&"session.updated") && world.cases().contains(&"settled_late"));
    assert_eq!(world.row("session", &session.to_string())["energy_wh"], 4000);
    let steps = world.journal.len();
    world.tell(Command::TransactionStop(stop));
    assert_eq!(world.journal.len(), steps, "its repeat changes nothing");
}

#[test]
fn a_stop_of_a_session_that_left_memory_is_a_ticket() {
    let (mut world, session, transaction) = World::charging();
    world.link_down(false);
    world.pass(9 * 86_400);
    assert!(!world.states.contains_key(&Key::Session(session)));
    world.link_up();
    world.clear();
    world.stop(transaction, 5000, None, "m2");
    assert_eq!(world.cases(), ["stop_of_settled_session"]);
    assert!(!world.states.contains_key(&Key::Session(session)), "it stays away");
    assert_eq!(world.row("session", &session.to_string())["status"], "Ended", "its row stands");
}

#[test]
fn our_downtime_does_not_settle_a_session() {
    let (mut world, session, _) = World::charging();
    world.pass(3600);
    world.restart(Duration::from_secs(3 * 86_400));
    world.pass(60);
    // How long a session may last is a promise to people: that passed while we were down.
    assert_eq!(world.session(session).status, Some(Status::Abnormal));
    assert!(world.session(session).is_running());
}

#[test]
fn a_connector_that_is_free_without_a_stop_settles_its_session() {
    let (mut world, session, _) = World::charging();
    world.status(1, ConnectorStatus::Charging);
    world.status(1, ConnectorStatus::Available);
    world.pass(599);
    assert!(world.session(session).is_running());
    world.pass(1);
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::ConnectionLost);
    assert!(world.open(2, 1).is_ok());
}

#[test]
fn a_connector_that_is_free_for_a_moment_settles_nothing() {
    let (mut world, session, transaction) = World::charging();
    world.status(1, ConnectorStatus::Charging);
    world.status(1, ConnectorStatus::Available);
    world.pass(300);
    world.meter(transaction, 1100);
    world.pass(3600);
    assert!(world.session(session).is_running());
}

#[test]
fn a_reboot_in_mid_session_keeps_it_open_until_its_stop() {
    let (mut world, session, transaction) = World::charging();
    world.link_down(false);
    world.link_up();
    world.tell(Command::Boot(boot()));
    assert!(world.session(session).is_running());
    world.stop(transaction, 1200, Some(StopReason::PowerLoss), "m2");
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::PowerLoss);
}

#[test]
fn a_connected_charger_that_says_nothing_of_a_session_makes_it_abnormal_first() {
    let mut world = World::ready();
    let mut policy = Policy::default();
    policy.session.max_duration = Duration::from_secs(30 * 86_400);
    world.ambient.policy = policy.into();
    let transaction = world.start(1, token(Verdict::Accepted), 1000, "m1");
    let session = world.transactions[&transaction];
    world.clear();
    world.pass(12 * 3600);
    assert_eq!(world.session(session).status, Some(Status::Abnormal));
    assert!(world.cases().contains(&"session_silent"));
    world.pass(1);
    assert_eq!(world.outstanding().map(|(_, call)| call), Some(Call::RemoteStop { transaction }));
    world.pass(12 * 3600);
    assert_eq!(world.session(session).end.unwrap().reason, EndReason::ConnectionLost);
}
