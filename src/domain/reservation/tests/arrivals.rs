//! Who is let in at a held connector, and who is not (RS-3).

use super::*;
use crate::domain::charging::testkit::{accepted, refused, start_fact, time};

#[test]
fn a_start_at_a_held_connector_is_the_holders_alone() {
    // Who, at which connector, naming which reservation.
    type Case = (&'static str, u16, Option<u128>, Result<(), Rejection>);
    let cases: &[Case] = &[
        ("u1", 1, Some(1), Ok(())),
        ("u1", 1, None, Ok(())),
        ("u2", 1, None, Err(Rejection::ConnectorReserved)),
        ("u2", 1, Some(1), Err(Rejection::ReservationOfAnother)),
        ("u1", 2, Some(1), Err(Rejection::WrongConnector)),
        ("u1", 2, None, Err(Rejection::WrongConnector)),
        ("u2", 2, None, Ok(())),
        ("u1", 1, Some(7), Err(Rejection::ReservationUnknown)),
    ];
    for (user, connector, named, expected) in cases {
        let mut world = World::held();
        let asked = world.open_for(5, *connector, user, *named).map(drop);
        assert_eq!(asked, *expected, "{user} at {connector} with {named:?}");
        assert_eq!(world.reservation(1).unwrap().status, Some(Status::Reserved), "it stands");
    }
}

#[test]
fn arrival_by_the_partner_closes_the_reservation_in_the_record_of_the_start() {
    let mut world = World::held();
    world.status(1, ConnectorStatus::Reserved);
    world.clear();
    let tag = world.hold(1).id_tag.clone();
    let session = world.open_for(5, 1, "u1", Some(1)).unwrap();
    assert!(matches!(world.outstanding().unwrap().1, Call::RemoteStart { id_tag, .. } if id_tag == tag));
    world.answer(accepted());
    let before = world.journal.len();
    world.start(1, Tag::Remote(tag), 1000, "m1");
    assert_eq!(world.journal.len(), before + 1, "one record");
    let row = world.ended(1);
    assert_eq!((&row["status"], &row["session_id"]), (&"Fulfilled".into(), &session.to_string().into()));
    assert_eq!((&row["arrival"], row["fee"]["minor"].as_i64()), (&"partner".into(), Some(0)));
    assert_eq!(world.session(session).reservation, Some(id(1)), "two orders, linked");
    assert_eq!(world.last("session.started")["reservation_id"], id(1).to_string());
    assert_eq!(world.last("reservation.fulfilled")["session_id"], session.to_string());
    assert!(world.charger().holds.is_empty());
    assert_eq!(world.reserve_calls(), Vec::<&str>::new(), "the device has used it up itself");
}

#[test]
fn a_start_that_fails_leaves_the_reservation_standing() {
    let mut world = World::held();
    world.open_for(5, 1, "u1", Some(1)).unwrap();
    assert_eq!(world.cancel(1, CancelBy::Partner), Err(Rejection::ReservationArriving));
    assert_eq!(world.open_for(6, 1, "u1", Some(1)), Err(Rejection::ConnectorOccupied));
    world.answer(refused());
    assert_eq!(world.reservation(1).unwrap().arriving, None);
    // Again, and this time it works.
    let session = world.open_for(7, 1, "u1", Some(1)).unwrap();
    world.answer(accepted());
    let tag = world.tag(session);
    world.start(1, tag, 1000, "m1");
    assert_eq!(world.ended(1)["session_id"], session.to_string());
}

#[test]
fn a_reservation_does_not_expire_while_its_user_is_being_started() {
    let mut world = World::held();
    world.pass(1790);
    world.open_for(5, 1, "u1", Some(1)).unwrap();
    world.answer(accepted());
    world.pass(30);
    assert_eq!(world.reservation(1).unwrap().status, Some(Status::Reserved));
    assert_eq!(world.shown(1), ConnectorStatus::Reserved);
    // No plug: the start fails 60 s after it was asked for, and only then nobody came.
    world.pass(30);
    assert_eq!(world.ended(1)["status"], "NoShow");
}

#[test]
fn the_edge_of_the_window_has_one_outcome_never_both() {
    for (wait_ms, arrives) in [(-1, true), (0, true), (1, false)] {
        let mut world = World::held();
        let until = world.reservation(1).unwrap().until;
        // The timer of that very moment has not fired yet.
        world.now = crate::clock::Timestamp(until.0 + wait_ms);
        let asked = world.open_for(5, 1, "u1", Some(1)).map(drop);
        let expected = if arrives { Ok(()) } else { Err(Rejection::ReservationOver) };
        assert_eq!(asked, expected, "{wait_ms} ms");
        world.pass(120);
        assert_eq!(world.ended(1)["status"], "NoShow", "no transaction came of it");
    }
}

#[test]
fn early_is_too_early() {
    let mut world = World::ready();
    world.reserve(Booking { ahead: Duration::from_secs(600), ..booking(1, 1) }).unwrap();
    assert_eq!(world.open_for(5, 1, "u1", Some(1)), Err(Rejection::ReservationEarly));
    world.pass(600);
    assert!(world.open_for(6, 1, "u1", Some(1)).is_ok());
}

#[test]
fn arrival_by_card_closes_the_reservation_and_strangers_are_refused_and_stopped() {
    // Whose card, the reservation that the device names, the verdict, how it came to be.
    type Case = (&'static str, bool, Verdict, Option<&'static str>);
    let cases: &[Case] = &[
        ("u1", false, Verdict::Accepted, Some("card")),
        ("u1", true, Verdict::Accepted, Some("charger")),
        ("u2", false, Verdict::Invalid, None),
        ("u2", true, Verdict::Invalid, None),
    ];
    for (user, named, expected, arrival) in cases {
        let mut world = World::held();
        let reservation = named.then(|| world.hold(1).number);
        let fact = start_fact(1, card(user), 1000, time(world.now), "m1");
        let (transaction, verdict) = world.begin(charger::StartFact { reservation, ..fact });
        assert_eq!(verdict, *expected, "{user} {named}");
        match arrival {
            Some(arrival) => assert_eq!(world.ended(1)["arrival"], *arrival),
            None => {
                assert_eq!(world.reservation(1).unwrap().status, Some(Status::Reserved), "it stands");
                world.pass(5);
                let stop = Call::RemoteStop { transaction };
                assert!(world.calls().contains(&&stop), "the stranger is stopped");
                assert!(world.cases().contains(&"stranger_at_reserved_connector"));
            }
        }
    }
}

#[test]
fn the_devices_own_tag_of_the_hold_is_an_arrival_too() {
    let mut world = World::held();
    let (tag, number) = (world.hold(1).id_tag.clone(), world.hold(1).number);
    let fact = start_fact(1, Tag::Remote(tag), 1000, time(world.now), "m1");
    let (_, verdict) = world.begin(charger::StartFact { reservation: Some(number), ..fact });
    assert_eq!(verdict, Verdict::Accepted);
    assert_eq!(
        (world.ended(1)["arrival"].as_str(), world.ended(1)["status"].as_str()),
        (Some("charger"), Some("Fulfilled"))
    );
    assert_eq!(world.last("session.started")["user"], "u1");
}

#[test]
fn a_card_at_another_connector_is_told_which_is_its_own() {
    let mut world = World::held();
    let (_, verdict) = world.begin(start_fact(2, card("u1"), 1000, time(world.now), "m1"));
    assert_eq!(verdict, Verdict::Invalid);
    let notice = world.last("user.notice");
    assert_eq!((&notice["code"], &notice["tried_connector_id"]), (&"wrong_connector".into(), &2.into()));
    assert!(notice["zh"].as_str().unwrap().contains("1 号枪"));
    assert_eq!(world.reservation(1).unwrap().status, Some(Status::Reserved));
}

#[test]
fn authorize_refuses_a_stranger_only_where_all_that_is_left_is_held() {
    let authorize = |world: &mut World, user: &str| match world.tell(charger::Command::Authorize(card(user))) {
        Reply::Authorized { verdict, parent } => (verdict, parent),
        other => panic!("{other:?}"),
    };
    let mut world = World::held();
    assert_eq!(authorize(&mut world, "u2"), (Verdict::Accepted, None), "connector 2 is free");
    world.reserve(Booking { user: "u3".into(), ..booking(2, 2) }).unwrap();
    assert_eq!(authorize(&mut world, "u2"), (Verdict::Invalid, None));
    let (verdict, parent) = authorize(&mut world, "u1");
    assert_eq!((verdict, parent.as_ref()), (Verdict::Accepted, Some(&world.hold(1).id_tag)), "the device lets it in");
}

#[test]
fn what_a_stranger_began_while_the_charger_was_away_cannot_be_refused_any_more() {
    let mut world = World::held();
    world.pass(1700);
    let long_ago = crate::clock::Timestamp(world.now.0 - 1_600_000);
    let (_, verdict) = world.begin(start_fact(1, card("u2"), 1000, time(long_ago), "m1"));
    assert_eq!(verdict, Verdict::Accepted);
    let row = world.ended(1);
    assert_eq!((&row["status"], &row["end_cause"]), (&"Cancelled".into(), &"connector_occupied".into()));
    assert_eq!(world.last("reservation.cancelled")["alternatives"][0]["connector_id"], 2);
}

#[test]
fn a_backlog_of_before_the_reservation_does_not_disturb_it() {
    let mut world = World::held();
    world.pass(600);
    let before = crate::clock::Timestamp(world.now.0 - 7_200_000);
    for (user, message) in [("u2", "m1"), ("u1", "m2")] {
        let (transaction, verdict) = world.begin(start_fact(1, card(user), 1000, time(before), message));
        assert_eq!(verdict, Verdict::Accepted, "it was so, whatever is now");
        let (at, reason) = (time(before + Duration::from_secs(600)), None);
        let stop =
            crate::domain::charging::testkit::stop_fact(transaction, Some(2000), at, reason, &format!("{message}s"));
        world.tell(charger::Command::TransactionStop(stop));
        assert_eq!(world.reservation(1).unwrap().status, Some(Status::Reserved), "{user}");
    }
    assert!(world.open_for(5, 1, "u1", Some(1)).is_ok());
}

#[test]
fn after_the_window_the_connector_is_anybodys() {
    let mut world = World::held();
    world.pass(1800);
    world.answer_all();
    let (_, verdict) = world.begin(start_fact(1, card("u2"), 1000, time(world.now), "m1"));
    assert_eq!(verdict, Verdict::Accepted);
}

#[test]
fn a_crash_between_reservation_and_arrival_changes_nothing() {
    let mut world = World::held();
    world.restart(Duration::from_secs(20));
    world.link_up();
    world.answer_all();
    assert_eq!(world.open_for(4, 1, "u2", None), Err(Rejection::ConnectorReserved));
    let session = world.open_for(5, 1, "u1", Some(1)).unwrap();
    // Again, with the start on its way.
    world.restart(Duration::from_secs(2));
    world.link_up();
    let tag = world.tag(session);
    world.start(1, tag, 1000, "m1");
    assert_eq!(world.ended(1)["session_id"], session.to_string());
}
