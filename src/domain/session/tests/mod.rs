//! The life of a session, told through its charger, as the engine runs it.

mod beginning;
mod ending;
mod measuring;
mod reasons;
mod stopping;

use super::*;
use crate::domain::charger::{Call, StopReason};
use crate::domain::charging::testkit::*;

#[test]
fn a_remote_session_lives_from_start_to_stop() {
    let mut world = World::ready();
    let session = world.open(1, 1).unwrap();
    assert!(matches!(world.calls()[..], [Call::RemoteStart { connector: Some(_), .. }]), "{:?}", world.calls());
    world.answer(accepted());
    let tag = world.tag(session);
    let transaction = world.start(1, tag, 1000, "m1");
    assert_eq!(world.session(session).status, Some(Status::Charging));
    for minute in 1..=5 {
        world.pass(60);
        world.meter(transaction, 1000 + minute * 100);
    }
    assert!(matches!(world.ask_stop(session, "stop1"), Ok(Reply::StopTaken { online: true, .. })));
    world.pass(1);
    assert_eq!(world.answer(accepted()), Call::RemoteStop { transaction });
    world.stop(transaction, 1520, Some(StopReason::Remote), "m9");
    let told = world.told().into_iter().filter(|kind| kind.starts_with("session")).collect::<Vec<_>>();
    let progress = ["session.progress"; 5];
    let expected = [&["session.started"], &progress[..], &["session.stop_result", "session.ended"]].concat();
    assert_eq!(told, expected);
    let ended = world.last("session.ended");
    assert_eq!(ended["energy_wh"], 520);
    assert_eq!(ended["end_reason"], "user_stop");
    assert_eq!(ended["duration_s"], 301);
    assert_eq!(ended["readings"].as_array().unwrap().len(), 5);
    assert_eq!(world.row("session", &session.to_string())["status"], "Ended");
    assert_eq!(world.row("user-session", &format!("acme/u1/{session}"))["open"], false);
    world.pass(3600);
    assert!(!world.states.contains_key(&Key::Session(session)), "it leaves memory");
}

#[test]
fn flags_have_a_bit_each() {
    let mut flags = Flags::default();
    for (place, flag) in Flag::ALL.into_iter().enumerate() {
        assert_eq!(flag as usize, place);
        flags.set(flag, true);
    }
    assert_eq!(flags.list(), Flag::ALL);
    flags.set(Flag::Backlog, false);
    assert!(!flags.has(Flag::Backlog) && flags.has(Flag::TooLong));
}
