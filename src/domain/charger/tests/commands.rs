//! The queue: one at a time, every command answered once, late answers recorded (CH-2, CH-6, I12).

use crate::domain::charger::{Call, Command, Outcome, Told};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection, Reply};
use crate::ids::CommandId;
use std::time::Duration;

fn id(n: u128) -> CommandId {
    CommandId(uuid::Uuid::from_u128(n))
}

fn enqueue(world: &mut World, n: u128, call: Call) -> Result<Reply, Rejection> {
    world.ask(Key::Charger, Command::Enqueue { command_id: id(n), call, by: "op".into() })
}

fn result(world: &World, n: u128) -> String {
    world.row("command-result", &format!("CP1/{}", id(n)))["state"].as_str().unwrap().to_owned()
}

#[test]
fn commands_go_one_at_a_time_in_order() {
    let mut world = World::ready();
    enqueue(&mut world, 1, Call::ClearCache).unwrap();
    enqueue(&mut world, 2, Call::Reset { hard: true }).unwrap();
    assert_eq!(world.calls(), [&Call::ClearCache]);
    world.answer(accepted());
    assert_eq!(world.calls(), [&Call::ClearCache, &Call::Reset { hard: true }]);
    assert_eq!(result(&world, 1), "Accepted");
}

/// The reading of the wall clock moves by so many seconds.
fn jump(world: &mut World, seconds: i64) {
    world.now = crate::clock::Timestamp(world.now.0 + seconds * 1_000);
}

#[test]
fn a_clock_that_is_put_back_keeps_no_command_waiting() {
    for seconds in [-3_600, -60, -1, 0, 3_600] {
        let mut world = World::ready();
        jump(&mut world, seconds);
        enqueue(&mut world, 1, Call::ClearCache).unwrap();
        assert_eq!(world.calls(), [&Call::ClearCache], "after {seconds} s");
        enqueue(&mut world, 2, Call::Reset { hard: true }).unwrap();
        jump(&mut world, -3_600);
        world.answer(accepted());
        assert_eq!(world.calls().len(), 2, "one that waited while the clock was put back, after {seconds} s");
    }
}

#[test]
fn every_end_of_a_command_has_a_row() {
    let error = Outcome::CallError { code: "NotSupported".into(), description: String::new().into() };
    let cases =
        [(accepted(), "Accepted"), (refused(), "Rejected"), (error, "CallError"), (Outcome::LinkLost, "LinkLost")];
    for (outcome, expected) in cases {
        let mut world = World::ready();
        enqueue(&mut world, 1, Call::ClearCache).unwrap();
        assert_eq!(world.row("command", &format!("CP1/{}", id(1)))["kind"], "ClearCache");
        world.answer(outcome);
        assert_eq!(result(&world, 1), expected);
    }
}

#[test]
fn a_command_without_an_answer_times_out_and_a_late_answer_is_recorded() {
    let mut world = World::ready();
    enqueue(&mut world, 1, Call::ClearCache).unwrap();
    world.pass(30);
    assert_eq!(result(&world, 1), "TimedOut");
    let generation = world.ambient.generation;
    for outcome in [accepted(), refused()] {
        world.tell(Command::CommandAnswered { command_id: id(1), generation, outcome, told: Told::Nothing });
        assert_eq!(result(&world, 1), "Accepted", "only the first answer counts");
    }
}

#[test]
fn an_answer_of_an_older_connection_or_to_an_unknown_id_changes_nothing() {
    let mut world = World::ready();
    enqueue(&mut world, 1, Call::ClearCache).unwrap();
    let steps = world.journal.len();
    for (command_id, generation) in [(id(1), 99), (id(2), world.ambient.generation)] {
        world.tell(Command::CommandAnswered { command_id, generation, outcome: accepted(), told: Told::Nothing });
    }
    assert_eq!(world.journal.len(), steps);
}

#[test]
fn what_may_be_sent_twice_is_sent_again_after_our_restart_and_what_may_not_is_uncertain() {
    for (call, again) in [(Call::ClearCache, true), (Call::Reset { hard: false }, false)] {
        let mut world = World::ready();
        enqueue(&mut world, 1, call.clone()).unwrap();
        world.clear();
        world.restart(Duration::from_secs(10));
        world.link_up();
        world.pass(5);
        world.answer_all();
        assert_eq!(world.calls().contains(&&call), again, "{call:?}");
        assert_eq!(result(&world, 1), if again { "Accepted" } else { "LinkLost" }, "{call:?}");
    }
}

#[test]
fn what_waits_is_answered_offline_when_the_charger_goes() {
    let mut world = World::ready();
    enqueue(&mut world, 1, Call::Reset { hard: false }).unwrap();
    enqueue(&mut world, 2, Call::ClearCache).unwrap();
    world.link_down(false);
    assert_eq!((result(&world, 1), result(&world, 2)), ("LinkLost".into(), "Offline".into()));
    assert!(world.charger().queue.is_empty());
    assert_eq!(enqueue(&mut world, 3, Call::ClearCache), Err(Rejection::ChargerOffline));
}

#[test]
fn a_command_id_is_used_once() {
    let mut world = World::ready();
    enqueue(&mut world, 1, Call::ClearCache).unwrap();
    assert_eq!(enqueue(&mut world, 1, Call::ClearCache), Err(Rejection::CommandExists));
}

#[test]
fn a_vendor_message_is_unknown() {
    let mut world = World::ready();
    assert_eq!(
        world.tell(Command::DataTransfer { vendor: "x".into(), message: None, data: None }),
        Reply::UnknownVendor
    );
}
