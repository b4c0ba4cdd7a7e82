//! Rebuilt partitions before our downtime is given back: out of reach, and never in anybody's way (RT-3, RT-5).

use super::counter::{Command, Effect, Key};
use super::{World, virtual_time};
use crate::clock::Timestamp;
use crate::persistence::{Journal, StreamName};
use std::time::Duration;

const DOWNTIME: Duration = Duration::from_secs(300);

/// A deadline that measures silence, a minute from now.
async fn armed(world: &World, key: Key) -> Timestamp {
    let due = Timestamp(world.clock.now().0 / 1000 * 1000) + Duration::from_secs(60);
    world.ask(key, Command::Arm(due)).await.expect("armed");
    due
}

#[test]
fn nothing_fires_before_the_give_back_and_then_at_the_moved_deadline() {
    virtual_time(async {
        let world = World::new();
        let due = armed(&world, Key::Root).await;
        let again = world.restarted();
        assert_eq!(again.core.rebuild(vec!["one".into()], DOWNTIME).await, 1);
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(again.shell.effects.borrow().is_empty(), "its deadline has passed, but is to be moved");
        assert!(again.core.loaded("one").is_none(), "out of reach");
        again.core.give_back().await;
        assert!(again.core.loaded("one").is_some());
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!(*again.shell.effects.borrow(), [(Key::Root, Effect::Fired(due + DOWNTIME))]);
    });
}

#[test]
fn whoever_asks_before_its_turn_finds_it_given_back_and_that_once() {
    virtual_time(async {
        let world = World::new();
        let due = armed(&world, Key::Root).await;
        let again = world.restarted();
        again.core.rebuild(vec!["one".into()], DOWNTIME).await;
        let (first, second) =
            tokio::join!(again.ask(Key::Root, Command::Add(1)), again.ask(Key::Root, Command::Add(2)));
        assert_eq!((first, second), (Ok(1), Ok(3)), "in the order asked");
        again.core.give_back().await;
        let partition = again.core.partition("one").await.expect("in memory");
        let moved = partition.state(&Key::Root).and_then(|state| state.due);
        assert_eq!(moved, Some(due + DOWNTIME));
        let stored = again.journal.reopen().claim(&StreamName::new("counter", "one")).await.expect("readable");
        assert_eq!(stored.records.len(), 4, "armed, moved once, two additions");
    });
}

#[test]
fn whoever_reads_before_its_turn_sees_the_moved_deadline() {
    virtual_time(async {
        let world = World::new();
        let due = armed(&world, Key::Child(1)).await;
        let again = world.restarted();
        again.core.rebuild(vec!["one".into()], DOWNTIME).await;
        let partition = again.core.partition("one").await.expect("in memory");
        assert_eq!(partition.state(&Key::Child(1)).and_then(|state| state.due), Some(due + DOWNTIME));
        assert!(partition.actor(&Key::Child(1)).is_some());
    });
}

#[test]
fn a_partition_that_loses_its_token_while_it_is_given_back_is_read_anew() {
    virtual_time(async {
        let world = World::new();
        armed(&world, Key::Root).await;
        let again = world.restarted();
        again.core.rebuild(vec!["one".into()], DOWNTIME).await;
        again.journal.claim(&StreamName::new("counter", "one")).await.expect("claimed by another");
        assert_eq!(again.ask(Key::Root, Command::Add(2)).await, Ok(2));
    });
}

#[test]
fn a_fleet_of_more_than_one_lot_is_rebuilt_whole() {
    virtual_time(async {
        let world = World::new();
        let ids: Vec<String> = (0..2_100).map(|n| format!("one-{n}")).collect();
        for id in &ids {
            world.core.ask(id, Key::Root, Command::Add(7)).await.expect("added");
        }
        let again = world.restarted();
        assert_eq!(again.core.rebuild(ids.clone(), DOWNTIME).await, ids.len());
        again.core.give_back().await;
        for id in &ids {
            assert_eq!(again.core.ask(id, Key::Root, Command::Add(1)).await, Ok(8), "{id}");
        }
    });
}
