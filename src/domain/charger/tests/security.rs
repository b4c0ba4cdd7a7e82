//! Changing a password and raising a profile, with everything lost that can be (CH-3).

use crate::domain::charger::{Call, Command, NewKey, Outcome, SecurityProfile};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection, Reply};
use crate::ids::CommandId;
use std::time::Duration;

const OLD: u64 = 1;
const NEW: u64 = 2;

fn id(n: u128) -> CommandId {
    CommandId(uuid::Uuid::from_u128(n))
}

fn rotate(world: &mut World, n: u128) -> Result<Reply, Rejection> {
    let before = world.charger().registration.as_ref().unwrap().auth.clone();
    let key = NewKey { sealed: "sealed".into(), print: NEW, before, both: "both".into(), after: "after".into() };
    world.ask(Key::Charger, Command::RotateKey { command_id: id(n), key, by: "op".into() })
}

fn call() -> Call {
    Call::SetAuthorizationKey { sealed: "sealed".into() }
}

/// The charger's socket goes, and it comes in with this password.
fn comes_in(world: &mut World, key: u64) {
    world.link_down(false);
    world.link_up();
    world.tell(Command::CameIn { profile: SecurityProfile::Basic, key: Some(key) });
    world.pass(30);
}

fn auth(world: &World) -> &str {
    &world.charger().registration.as_ref().unwrap().auth
}

fn under_way(world: &World) -> bool {
    world.charger().registration.as_ref().unwrap().rotation.is_some()
}

fn error(code: &str) -> Outcome {
    Outcome::CallError { code: code.into(), description: "".into() }
}

/// What happens to the first command, with which password the charger then comes, and how it is registered then.
#[test]
fn the_old_password_counts_until_the_new_one_was_used() {
    let cases = [
        (accepted(), NEW, "after"),
        (accepted(), OLD, "both"),
        (refused(), OLD, "{}"),
        (error("NotSupported"), OLD, "{}"),
        (error("InternalError"), OLD, "both"),
        (error("InternalError"), NEW, "after"),
        (Outcome::TimedOut, OLD, "both"),
        (Outcome::TimedOut, NEW, "after"),
        (Outcome::LinkLost, NEW, "after"),
        (Outcome::LinkLost, OLD, "both"),
        (Outcome::Offline, OLD, "both"),
    ];
    for (outcome, key, expected) in cases {
        let mut world = World::ready();
        rotate(&mut world, 1).unwrap();
        assert_eq!(world.calls(), [&call()], "{outcome:?}");
        assert_eq!(auth(&world), "both", "stored before the command goes out");
        world.answer(outcome.clone());
        comes_in(&mut world, key);
        assert_eq!(auth(&world), expected, "{outcome:?} {key}");
        assert_eq!(under_way(&world), expected == "both");
    }
}

#[test]
fn a_charger_that_did_not_say_yes_is_told_again_when_it_comes_with_the_old_one() {
    for (outcome, again) in [(Outcome::TimedOut, true), (Outcome::Offline, true), (accepted(), false)] {
        let mut world = World::ready();
        rotate(&mut world, 1).unwrap();
        world.answer(outcome.clone());
        world.clear();
        comes_in(&mut world, OLD);
        let told = world.charger().queue.iter().any(|pending| pending.call == call());
        assert_eq!(told, again, "{outcome:?}");
    }
}

#[test]
fn a_refusal_after_a_lost_answer_does_not_drop_what_the_charger_may_have_taken() {
    let mut world = World::ready();
    rotate(&mut world, 1).unwrap();
    world.answer(Outcome::TimedOut);
    comes_in(&mut world, OLD);
    while world.outstanding().is_some_and(|(_, outstanding)| outstanding != call()) {
        world.answer(accepted());
    }
    assert_eq!(world.answer(refused()), call());
    assert_eq!(auth(&world), "both");
    comes_in(&mut world, NEW);
    assert_eq!(auth(&world), "after");
}

#[test]
fn a_restart_at_any_moment_loses_nothing() {
    for answered in [false, true] {
        for key in [OLD, NEW] {
            let mut world = World::ready();
            rotate(&mut world, 1).unwrap();
            if answered {
                world.answer(accepted());
            }
            world.restart(Duration::from_secs(5));
            assert_eq!(auth(&world), "both");
            world.link_up();
            world.tell(Command::CameIn { profile: SecurityProfile::Basic, key: Some(key) });
            assert_eq!(auth(&world), if key == NEW { "after" } else { "both" });
        }
    }
}

#[test]
fn one_change_at_a_time_and_none_upon_what_has_changed_meanwhile() {
    let mut world = World::ready();
    let key = NewKey { sealed: "s".into(), print: NEW, before: "other".into(), both: "b".into(), after: "a".into() };
    let stale = Command::RotateKey { command_id: id(9), key, by: "op".into() };
    assert_eq!(world.ask(Key::Charger, stale), Err(Rejection::RotationUnderWay));
    rotate(&mut world, 1).unwrap();
    assert_eq!(rotate(&mut world, 2), Err(Rejection::RotationUnderWay));
    world.answer(accepted());
    comes_in(&mut world, NEW);
    rotate(&mut world, 3).unwrap();
}

fn raise(world: &mut World, n: u128, value: &str) -> Result<Reply, Rejection> {
    let call = Call::ChangeConfiguration { key: "SecurityProfile".into(), value: value.into() };
    world.ask(Key::Charger, Command::Enqueue { command_id: id(n), call, by: "op".into() })
}

fn least(world: &World) -> Option<u8> {
    world.charger().registration.as_ref().unwrap().profile.map(u8::from)
}

fn comes_with(world: &mut World, profile: SecurityProfile) {
    world.link_down(false);
    world.link_up();
    world.tell(Command::CameIn { profile, key: None });
    world.pass(30);
}

#[test]
fn a_profile_is_raised_once_the_charger_has_come_in_with_it_and_never_falls() {
    use SecurityProfile::{Basic, Mutual, Tls};
    let cases = [
        (accepted(), Tls, Some(2)),
        (accepted(), Mutual, Some(2)),
        (accepted(), Basic, None),
        (Outcome::TimedOut, Tls, Some(2)),
        (Outcome::LinkLost, Tls, Some(2)),
        (refused(), Tls, None),
    ];
    for (outcome, profile, expected) in cases {
        let mut world = World::ready();
        raise(&mut world, 1, "2").unwrap();
        assert_eq!(least(&world), None, "not before it has come in");
        world.answer(outcome.clone());
        comes_with(&mut world, profile);
        assert_eq!(least(&world), expected, "{outcome:?} {profile}");
        if expected.is_some() {
            world.answer_all();
            assert_eq!(raise(&mut world, 2, "1"), Err(Rejection::ProfileFalls));
            raise(&mut world, 3, "3").unwrap();
        }
    }
}
