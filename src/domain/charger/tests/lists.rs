//! Local lists: versions per charger, mismatches, sizes (OCPP 1.6 §3.5); profiles that a charger holds.

use crate::domain::charger::device::{Device, Limits, LocalList};
use crate::domain::charger::smart_charging::{
    ChargingProfile, Period, ProfileKind, ProfilePurpose, RateUnit, Schedule,
};
use crate::domain::charger::{Call, Command, Outcome, SealedText, Told, check, local_list};
use crate::domain::charging::Key;
use crate::domain::charging::testkit::*;
use crate::ids::{CommandId, ConnectorId};

fn list(version: i32, full: bool, count: u32) -> Call {
    Call::SendLocalList { version, full, count, entries: SealedText("sealed".into()) }
}

fn send(world: &mut World, n: u128, call: Call) {
    let command_id = CommandId(uuid::Uuid::from_u128(n));
    world.ask(Key::Charger, Command::Enqueue { command_id, call, by: "op".into() }).unwrap();
}

#[test]
fn versions_are_kept_as_sent_accepted_and_told() {
    let mut world = World::ready();
    send(&mut world, 1, list(3, true, 2));
    assert_eq!(world.charger().list(), LocalList { sent: 3, accepted: None, told: None });
    world.answer_with(accepted(), Told::Status("Accepted".into()));
    assert_eq!(world.charger().list(), LocalList { sent: 3, accepted: Some(3), told: Some(3) });
    assert_eq!(world.charger().list().next(), 4);
    send(&mut world, 2, list(4, false, 1));
    world.answer_with(refused(), Told::Status("Failed".into()));
    assert_eq!(world.charger().list(), LocalList { sent: 4, accepted: Some(3), told: Some(3) });
}

#[test]
fn after_a_mismatch_the_charger_is_asked_what_it_has() {
    let mut world = World::ready();
    send(&mut world, 1, list(3, false, 1));
    world.answer_with(refused(), Told::Status("VersionMismatch".into()));
    assert_eq!(world.calls().last(), Some(&&Call::GetLocalListVersion));
    world.answer_with(accepted(), Told::ListVersion(17));
    assert_eq!(world.charger().list(), LocalList { sent: 3, accepted: None, told: Some(17) });
    assert_eq!(world.charger().list().next(), 18);
    let same = world.charger().clone();
    assert_eq!(same, *world.replay()[&Key::Charger].charger().unwrap(), "all of it is journaled");
}

#[test]
fn a_list_without_an_answer_leaves_the_version_unknown_until_the_charger_says_it() {
    let mut world = World::ready();
    send(&mut world, 1, list(3, true, 1));
    world.answer_with(accepted(), Told::Status("Accepted".into()));
    send(&mut world, 2, list(4, false, 1));
    world.pass(31);
    assert_eq!(world.charger().list(), LocalList { sent: 4, accepted: None, told: None });
    assert_eq!(world.calls().last(), Some(&&Call::GetLocalListVersion));
    world.answer_with(accepted(), Told::ListVersion(4));
    assert_eq!(world.charger().list(), LocalList { sent: 4, accepted: None, told: Some(4) });
}

fn asked(world: &World) -> usize {
    world.calls().iter().filter(|call| ***call == Call::GetLocalListVersion).count()
}

/// The answer to the command that `send` gave this number.
fn answer_late(world: &mut World, n: u128, outcome: Outcome, told: Told) {
    let (command_id, generation) = (CommandId(uuid::Uuid::from_u128(n)), world.ambient.generation);
    world.tell(Command::CommandAnswered { command_id, generation, outcome, told });
}

#[test]
fn a_late_answer_to_a_list_has_the_charger_asked_once_more() {
    for (outcome, status) in [(accepted(), "Accepted"), (refused(), "Failed")] {
        let mut world = World::ready();
        send(&mut world, 1, list(3, true, 1));
        world.pass(31);
        // It answers the question with what it had, and takes the list only then.
        world.answer_with(accepted(), Told::ListVersion(0));
        assert_eq!((world.charger().list().told, asked(&world)), (Some(0), 1));
        answer_late(&mut world, 1, outcome.clone(), Told::Status(status.into()));
        assert_eq!(world.charger().list(), LocalList { sent: 3, accepted: None, told: None });
        assert_eq!(asked(&world), 2);
        world.answer_with(accepted(), Told::ListVersion(3));
        assert_eq!(world.charger().list(), LocalList { sent: 3, accepted: None, told: Some(3) });
        answer_late(&mut world, 1, outcome, Told::Status(status.into()));
        assert_eq!(asked(&world), 2, "an answer is late once");
    }
}

#[test]
fn a_question_that_is_under_way_does_not_count_as_asked_after_a_late_answer_and_one_that_waits_does() {
    let mut world = World::ready();
    send(&mut world, 1, list(3, true, 1));
    send(&mut world, 2, list(4, true, 1));
    world.pass(31);
    // List 3 has no answer and its question waits behind list 4.
    answer_late(&mut world, 1, accepted(), Told::Status("Accepted".into()));
    world.answer_with(accepted(), Told::Status("Accepted".into()));
    assert_eq!((world.charger().list().told, asked(&world)), (Some(4), 1));
    world.answer_with(accepted(), Told::ListVersion(4));
    assert_eq!(world.outstanding(), None, "one question settles both");
}

/// The connection goes and comes; answers what else the charger is asked then.
fn reconnect(world: &mut World) {
    world.link_down(false);
    world.link_up();
    for _ in 0..20 {
        world.pass(2);
        match world.outstanding() {
            Some((_, Call::GetLocalListVersion)) => return,
            Some(_) => drop(world.answer(accepted())),
            None => {}
        }
    }
}

#[test]
fn a_list_that_was_on_its_way_when_the_connection_went_is_asked_for_at_the_next() {
    let mut world = World::ready();
    send(&mut world, 1, list(3, true, 1));
    world.answer_with(accepted(), Told::Status("Accepted".into()));
    send(&mut world, 2, list(4, false, 1));
    reconnect(&mut world);
    assert_eq!(world.charger().list(), LocalList { sent: 4, accepted: None, told: None });
    assert_eq!(asked(&world), 1);
    // Without an answer it stays unknown, and the next connection asks again.
    world.pass(40);
    reconnect(&mut world);
    assert_eq!(asked(&world), 2);
    world.answer_with(accepted(), Told::ListVersion(4));
    reconnect(&mut world);
    assert_eq!((world.charger().list().told, asked(&world)), (Some(4), 2));
}

#[test]
fn a_list_that_the_charger_cannot_take_is_not_sent() {
    let mut charger = World::ready().charger().clone();
    let mut try_with = |limits: Limits, known: LocalList, call: Call| {
        charger.device = Some(Box::new(Device { limits, list: known, ..Device::default() }));
        let found = check(&call, &charger, &Default::default(), START);
        found.into_iter().map(|flaw| (flaw.field, flaw.state)).collect::<Vec<_>>()
    };
    let sized = Limits { list_max: Some(10), send_list_max: Some(4), ..Limits::default() };
    let off = Limits { list_enabled: Some(false), ..Limits::default() };
    let has = |told| LocalList { sent: 0, accepted: None, told: Some(told) };
    for (limits, known, call, wrong) in [
        (sized, LocalList::default(), list(1, true, 4), None),
        (sized, LocalList::default(), list(1, true, 5), Some(("localAuthorizationList", true))),
        (
            Limits { send_list_max: None, ..sized },
            LocalList::default(),
            list(1, true, 11),
            Some(("localAuthorizationList", true)),
        ),
        (Limits { send_list_max: None, ..sized }, LocalList::default(), list(1, false, 11), None),
        (off, LocalList::default(), list(1, true, 1), Some(("kind", true))),
        (Limits::default(), has(-1), list(1, true, 1), Some(("kind", true))),
        (Limits::default(), has(5), list(5, false, 1), Some(("listVersion", true))),
        (Limits::default(), has(5), list(6, false, 1), None),
        (Limits::default(), has(5), list(2, true, 1), None),
        (Limits::default(), LocalList::default(), list(0, true, 1), Some(("listVersion", false))),
    ] {
        let wrong: Vec<_> = wrong.into_iter().map(|(field, state)| (field.to_owned(), state)).collect();
        assert_eq!(try_with(limits, known, call.clone()), wrong, "{call:?} {known:?}");
    }
}

#[test]
fn each_token_is_there_once_and_a_full_list_says_what_holds() {
    let wrong = |entries: &[local_list::Entry], full| {
        local_list::check_entries(entries, full).into_iter().map(|flaw| flaw.field).collect::<Vec<_>>()
    };
    assert_eq!(wrong(&[(1, true), (2, true)], true), [""; 0]);
    assert_eq!(wrong(&[(1, true), (2, false)], true), ["localAuthorizationList[1].idTagInfo"]);
    assert_eq!(wrong(&[(1, true), (2, false)], false), [""; 0]);
    assert_eq!(wrong(&[(1, true), (1, true)], false), ["localAuthorizationList[1].idTag"]);
}

fn profile(id: i32, stack_level: i32, purpose: ProfilePurpose) -> Call {
    let periods = vec![Period { start_s: 0, limit_tenths: 160, phases: None }];
    let schedule = Schedule { duration_s: None, start: None, unit: RateUnit::A, periods, min_rate_tenths: None };
    let profile = ChargingProfile {
        id,
        transaction: None,
        stack_level,
        purpose,
        kind: ProfileKind::Relative,
        recurrency: None,
        valid_from: None,
        valid_to: None,
        schedule,
    };
    Call::SetChargingProfile { connector: ConnectorId(1), profile: Box::new(profile) }
}

fn held(world: &World) -> Vec<i32> {
    world.charger().installed().iter().map(|one| one.id).collect()
}

#[test]
fn profiles_are_remembered_as_accepted_and_forgotten_as_cleared() {
    let mut world = World::ready();
    let profile = |id, level| profile(id, level, ProfilePurpose::TxDefaultProfile);
    for (n, call) in [(1, profile(1, 0)), (2, profile(2, 1)), (3, profile(3, 1))] {
        send(&mut world, n, call);
        world.answer(accepted());
    }
    assert_eq!(held(&world), [1, 3], "the same level gives way");
    send(&mut world, 4, profile(4, 2));
    world.answer(refused());
    assert_eq!(held(&world), [1, 3]);
    send(&mut world, 5, Call::ClearChargingProfile { id: Some(1), connector: None, purpose: None, stack_level: None });
    world.answer(accepted());
    assert_eq!(held(&world), [3]);
}

#[test]
fn the_profile_of_a_transaction_goes_with_it() {
    let (mut world, _, transaction) = World::charging();
    for (n, purpose) in [(1, ProfilePurpose::TxProfile), (2, ProfilePurpose::TxDefaultProfile)] {
        send(&mut world, n, profile(i32::try_from(n).unwrap(), 0, purpose));
        world.answer(accepted());
    }
    assert_eq!(held(&world), [1, 2]);
    world.stop(transaction, 1300, None, "m2");
    assert_eq!(held(&world), [2]);
}
