//! StartTransaction: repeats, strangers, two on one connector, connector 0 (CH-7, SE-16).

use crate::clock::Timestamp;
use crate::domain::charger::{Call, Command, MeterFact, StartFact, Status, StopReason, Tag, TokenInfo, Verdict};
use crate::domain::charging::Key;
use crate::domain::charging::testkit::*;
use crate::domain::session::{EndReason, Flag, Status as SessionStatus};
use crate::ids::{ConnectorId, SessionId, TransactionId};
use std::time::Duration;

fn session_of(world: &World, transaction: TransactionId) -> SessionId {
    world.transactions[&transaction]
}

#[test]
fn the_same_start_is_recognised_by_its_content() {
    type Change = fn(&mut StartFact);
    let cases: [(&str, Change, bool); 8] = [
        ("the same message", |_| {}, true),
        ("another message id", |f| f.message_id = "m2".into(), true),
        ("another time", |f| f.at = time(f.at.at.unwrap() + Duration::from_secs(1)), false),
        ("another meter at the same moment", |f| f.meter_start_wh += 1, true),
        ("another meter at another moment", |f| (f.meter_start_wh, f.at) = (101, time(START)), false),
        ("another connector", |f| f.connector = ConnectorId(2), false),
        ("another token", |f| f.tag = other_token(), false),
        ("other content under a used message id", |f| f.connector = ConnectorId(2), false),
    ];
    for (what, change, same) in cases {
        let mut world = World::ready();
        let fact = start_fact(1, token(Verdict::Accepted), 100, time(world.now), "m1");
        let first = world.begin(fact.clone());
        let mut again = fact;
        change(&mut again);
        let second = world.begin(again);
        assert_eq!(first.0 == second.0, same, "{what}");
    }
}

fn other_token() -> Tag {
    Tag::Token(TokenInfo { reference: "t2".into(), verdict: Verdict::Accepted, owner: None })
}

#[test]
fn a_repeat_is_recognised_across_reconnect_restart_and_its_own_stop() {
    let mut world = World::ready();
    let fact = start_fact(1, token(Verdict::Accepted), 100, time(world.now), "m1");
    let first = world.begin(fact.clone());
    world.link_down(false);
    world.link_up();
    assert_eq!(world.begin(fact.clone()), first, "after reconnect");
    world.restart(Duration::from_secs(60));
    world.link_up();
    assert_eq!(world.begin(fact.clone()), first, "after our restart");
    world.stop(first.0, 200, None, "m2");
    assert_eq!(world.begin(fact), first, "after its stop");
    assert_eq!(world.told().iter().filter(|kind| **kind == "session.started").count(), 1);
}

#[test]
fn with_a_dead_clock_only_the_message_id_tells_a_repeat_from_a_second_start() {
    let mut world = World::ready();
    let fact = |message| start_fact(1, token(Verdict::Accepted), 100, time(Timestamp(0)), message);
    let first = world.begin(fact("m1"));
    assert_eq!(world.begin(fact("m2")), first, "still running: the same");
    world.stop(first.0, 100, None, "m3");
    assert_eq!(world.begin(fact("m1")), first, "the same message");
    assert_ne!(world.begin(fact("m9")).0, first.0, "a new one");
}

#[test]
fn a_message_id_with_other_content_is_a_new_message_and_flagged() {
    let mut world = World::ready();
    let one = world.start(1, token(Verdict::Accepted), 100, "m1");
    world.stop(one, 150, None, "m2");
    world.pass(60);
    let two = world.start(1, token(Verdict::Accepted), 150, "m1");
    assert_ne!(one, two);
    assert!(world.session(session_of(&world, two)).flags.has(Flag::MessageIdReused));
}

#[test]
fn a_local_start_is_always_recorded_and_answered_by_its_token() {
    let verdicts = [Verdict::Accepted, Verdict::Blocked, Verdict::Expired, Verdict::Invalid, Verdict::Unknown];
    for verdict in verdicts {
        let mut world = World::ready();
        let fact = start_fact(1, token(verdict), 100, time(world.now), "m1");
        let (transaction, told) = world.begin(fact);
        assert!(transaction.0 > 0);
        assert_eq!(told, verdict);
        let session = session_of(&world, transaction);
        let good = verdict == Verdict::Accepted;
        assert_eq!(world.session(session).partner.is_some(), good, "{verdict:?}");
        assert_eq!(world.session(session).flags.has(Flag::DeAuthorized), !good, "{verdict:?}");
        world.pass(1);
        assert_eq!(world.calls().contains(&&Call::RemoteStop { transaction }), !good, "{verdict:?}");
        world.stop(transaction, 150, Some(StopReason::DeAuthorized), "m2");
        assert_eq!(world.session(session).end.unwrap().reason, EndReason::DeAuthorized);
    }
}

#[test]
fn the_owner_of_a_token_is_told_of_its_local_session() {
    let mut world = World::ready();
    let transaction = world.start(1, token(Verdict::Accepted), 100, "m1");
    let session = session_of(&world, transaction);
    assert_eq!(world.told(), ["session.started"]);
    let started = world.last("session.started");
    assert_eq!((&started["status"], &started["user"]), (&"Charging".into(), &"u9".into()));
    assert!(started.get("request_id").is_none());
    assert_eq!(world.row("session", &session.to_string())["open"], true);
    assert_eq!(world.row("user-session", &format!("acme/u9/{session}"))["open"], true);
}

#[test]
fn a_forged_remote_tag_starts_nothing() {
    let mut world = World::ready();
    world.open(1, 1).unwrap();
    let forged = Tag::Remote("CL000000000000000000".into());
    assert_eq!(world.tell(Command::Authorize(forged.clone())), authorized(Verdict::Invalid));
    let fact = start_fact(2, forged, 100, time(world.now), "m1");
    assert_eq!(world.begin(fact).1, Verdict::Invalid);
}

#[test]
fn a_remote_tag_is_good_until_its_deadline_in_any_case_of_letters() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    let Tag::Remote(text) = world.tag(session) else { panic!() };
    let lower = Tag::Remote(text.to_lowercase().into());
    assert_eq!(world.tell(Command::Authorize(lower.clone())), authorized(Verdict::Accepted));
    world.pass(61);
    assert_eq!(world.tell(Command::Authorize(lower)), authorized(Verdict::Invalid));
}

#[test]
fn a_card_that_is_quicker_than_a_remote_start_takes_the_connector() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    let transaction = world.start(1, token(Verdict::Accepted), 100, "m1");
    let failed = world.session(session);
    assert_eq!(failed.status, Some(SessionStatus::Failed));
    assert_eq!(&*failed.failure.as_ref().unwrap().code, "connector_occupied");
    assert_eq!(world.charger().live_on(ConnectorId(1)).unwrap().transaction, Some(transaction));
}

#[test]
fn a_second_transaction_on_a_connector_ends_the_first_at_its_last_reading() {
    let (mut world, first, transaction) = World::charging();
    world.pass(60);
    world.meter(transaction, 1400);
    world.pass(60);
    let second = world.start(1, token(Verdict::Accepted), 1500, "m2");
    let old = world.session(first);
    assert_eq!((old.status, old.energy_wh()), (Some(SessionStatus::Ended), 400));
    assert_eq!(old.end.unwrap().reason, EndReason::Superseded);
    assert!(old.flags.has(Flag::Estimated));
    assert!(world.cases().contains(&"settled_without_stop"));
    // The first one's own stop comes after all.
    world.stop(transaction, 1480, Some(StopReason::Local), "m3");
    let old = world.session(first);
    assert_eq!((old.energy_wh(), old.flags.has(Flag::SettledLate), old.flags.has(Flag::Estimated)), (480, true, false));
    assert_eq!(world.charger().live_on(ConnectorId(1)).unwrap().transaction, Some(second));
}

#[test]
fn connector_0_is_the_only_connector_of_a_charger_that_has_one() {
    let mut world = World::ready();
    world.tell(register(1, crate::domain::charger::BootPolicy::Accepted));
    let fact = start_fact(0, token(Verdict::Accepted), 100, time(world.now), "m1");
    let (transaction, verdict) = world.begin(fact);
    assert_eq!(verdict, Verdict::Accepted);
    let session = world.session(session_of(&world, transaction));
    assert_eq!(session.connector, ConnectorId(1));
    assert!(session.flags.has(Flag::ConnectorZero));
}

#[test]
fn a_transaction_at_no_registered_connector_is_recorded_refused_and_a_case() {
    for connector in [0, 3, 9] {
        let mut world = World::ready();
        let fact = start_fact(connector, token(Verdict::Accepted), 100, time(world.now), "m1");
        let (transaction, verdict) = world.begin(fact);
        assert_eq!(verdict, Verdict::Invalid, "{connector}");
        assert_eq!(world.cases(), ["transaction_at_unknown_connector"], "{connector}");
        world.stop(transaction, 150, None, "m2");
        let session = world.session(session_of(&world, transaction));
        assert_eq!(session.energy_wh(), 50);
        assert!(session.flags.has(Flag::ConnectorUnknown));
    }
}

#[test]
fn made_up_connectors_cannot_fill_the_memory() {
    let mut world = World::ready();
    for n in 0..50 {
        world.start(100 + n, token(Verdict::Accepted), 100, &format!("m{n}"));
    }
    assert!(world.charger().live.len() <= 4, "{}", world.charger().live.len());
}

#[test]
fn a_start_at_another_connector_than_asked_for_moves_the_session() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    let tag = world.tag(session);
    world.start(2, tag, 100, "m1");
    assert!(world.session(session).flags.has(Flag::OtherConnector));
    assert!(world.charger().live_on(ConnectorId(1)).is_none());
    assert_eq!(world.charger().live_on(ConnectorId(2)).unwrap().session, session);
}

#[test]
fn a_backlog_of_the_past_settles_by_its_own_times_and_disturbs_nothing() {
    let mut world = World::ready();
    world.link_down(true);
    world.link_up();
    world.status(1, Status::Available);
    world.clear();
    let long_ago = world.now - Duration::from_secs(3 * 86_400);
    for n in 0..20u64 {
        let started = long_ago + Duration::from_secs(n * 3600);
        let fact = start_fact(1, token(Verdict::Blocked), 100 * n as i64, time(started), &format!("a{n}"));
        let (transaction, _) = world.begin(fact);
        let ended = started + Duration::from_secs(1800);
        let fact = stop_fact(transaction, Some(100 * n as i64 + 50), time(ended), None, &format!("b{n}"));
        world.tell(Command::TransactionStop(fact));
        let session = world.session(session_of(&world, transaction));
        assert_eq!((session.started_at, session.ended_at), (Some(started), Some(ended)));
        assert_eq!(session.view(SessionId(uuid::Uuid::nil()), "CP1", world.now).duration_s, 1800);
        assert!(session.flags.has(Flag::Backlog));
    }
    assert_eq!(world.told(), [""; 0], "a blocked token has no partner, and no status changed");
    world.pass(120);
    assert!(!world.calls().iter().any(|call| matches!(call, Call::RemoteStop { .. })), "{:?}", world.calls());
    assert_eq!(world.charger().connectors[0].status, Status::Available);
}

#[test]
fn what_a_backlog_leaves_running_is_stopped_after_a_grace() {
    let mut world = World::ready();
    let started = world.now - Duration::from_secs(7200);
    let (transaction, _) = world.begin(start_fact(1, token(Verdict::Blocked), 100, time(started), "m1"));
    world.pass(29);
    assert!(world.calls().is_empty());
    world.pass(3);
    assert_eq!(world.calls(), [&Call::RemoteStop { transaction }]);
}

#[test]
fn implausible_times_are_kept_as_received_and_used_only_flagged() {
    for at in [Timestamp(0), START + Duration::from_secs(86_400), START - Duration::from_secs(900 * 86_400)] {
        let mut world = World::ready();
        let (transaction, _) = world.begin(start_fact(1, token(Verdict::Accepted), 100, time(at), "m1"));
        let session = world.session(session_of(&world, transaction));
        assert!(session.flags.has(Flag::ClockImplausible));
        assert_eq!(session.started_at, Some(world.now));
        let journal = serde_json::to_string(&world.journal).unwrap();
        assert!(journal.contains(&at.to_rfc3339()), "kept as received");
        assert_eq!(world.cases(), ["clock_implausible"]);
    }
}

#[test]
fn readings_find_their_session_or_are_kept() {
    let (mut world, session, transaction) = World::charging();
    let mut read = |transaction: Option<i32>, connector: u16, energy| {
        let samples = vec![sample(world.now, energy)];
        let transaction = transaction.map(TransactionId);
        world.tell(Command::MeterValues(MeterFact { connector: ConnectorId(connector), transaction, samples }));
        world.session(session).register_wh
    };
    assert_eq!(read(Some(transaction.0), 1, 1100), 1100, "by transaction");
    assert_eq!(read(Some(transaction.0), 2, 1150), 1150, "the transaction counts, not the connector");
    assert_eq!(read(None, 1, 1200), 1200, "by connector");
    assert_eq!(read(None, 2, 1300), 1200, "nobody's");
    assert_eq!(read(Some(99), 1, 1300), 1200, "an unknown transaction's");
    assert_eq!(read(Some(99), 1, 1400), 1200, "again");
    assert_eq!(world.cases(), ["readings_of_unknown_transaction"], "said once");
    assert!(serde_json::to_string(&world.journal).unwrap().contains("ReadingsStrayed"));
    assert!(world.states.contains_key(&Key::Session(session)));
}
