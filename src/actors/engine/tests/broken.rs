//! A panic after the append and before the answer: the step stands, its entity is rebuilt, and nobody is held up.

use super::counter::{Command, Key};
use super::{Refusal, World, virtual_time};
use std::time::Duration;

#[test]
fn a_step_that_was_stored_and_then_panicked_stands_and_the_next_one_goes_on() {
    virtual_time(async {
        let world = World::new();
        world.ask(Key::Root, Command::Add(1)).await.expect("taken");
        world.shell.breaks.set(1);
        assert_eq!(world.ask(Key::Root, Command::Add(2)).await, Ok(3), "it is durable, so it is not refused");
        assert_eq!(world.ask(Key::Root, Command::Add(4)).await, Ok(7), "what was stored counts, once");
        world.shell.breaks.set(1);
        world.ask(Key::Root, Command::Tell).await.expect("taken");
        assert_eq!(world.shell.breaks.get(), 0, "it panicked");
        assert_eq!(world.shell.noticed.borrow().len(), 1, "its partner's queue is woken all the same");
        assert_eq!(world.restarted().total(Key::Root).await, Some(7));
    });
}

#[test]
fn an_entity_that_panics_after_every_step_is_quarantined_and_others_go_on() {
    virtual_time(async {
        let world = World::new();
        world.shell.breaks.set(4);
        for n in 1..=4 {
            let asked = tokio::time::timeout(Duration::from_secs(5), world.ask(Key::Child(1), Command::Add(1))).await;
            assert_eq!(asked, Ok(Ok(n)));
        }
        assert_eq!(world.ask(Key::Child(1), Command::Add(1)).await, Err(Refusal::Quarantined));
        assert_eq!(world.shell.quarantined.borrow().len(), 1);
        assert_eq!(world.ask(Key::Child(2), Command::Add(5)).await, Ok(5));
    });
}
