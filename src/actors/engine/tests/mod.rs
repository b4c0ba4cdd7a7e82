//! The engine on virtual time with a memory journal: order, durability, timers, restarts, quarantine, passivation.

mod broken;
mod counter;
mod holding;
mod owed;

use super::messages::Refusal;
use super::pacer::Pacer;
use super::partition::{Environment, Partition, Shell};
use super::restarts::RestartBudget;
use super::{Host, HostAddr, HostCore, TooBusy};
use crate::clock::{RuntimeClock, SharedClock, Timestamp};
use crate::config::engine::Engine as Limits;
use crate::ids::PartnerId;
use crate::persistence::memory::{Fault, MemoryJournal};
use crate::persistence::{Append, Journal, NewRecord, StreamName};
use counter::{Command, Counter, Effect, Key};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Records what was performed.
#[derive(Default)]
struct Recorder {
    effects: RefCell<Vec<(Key, Effect)>>,
    noticed: RefCell<Vec<PartnerId>>,
    quarantined: RefCell<Vec<(Key, String)>>,
    pinned: Cell<bool>,
    /// So many performances panic.
    breaks: Cell<u32>,
}

impl Shell<Counter> for Recorder {
    fn perform(&self, _: &Rc<Partition<Counter>>, key: &Key, effect: Effect) {
        if let Some(left) = self.breaks.get().checked_sub(1) {
            self.breaks.set(left);
            panic!("told to");
        }
        self.effects.borrow_mut().push((*key, effect));
    }

    fn refresh(&self, _: &Partition<Counter>) {}

    fn applied(&self, _: &Rc<Partition<Counter>>, _: &Key, _: &counter::State) {}

    fn noticed(&self, partners: &BTreeSet<PartnerId>) {
        self.noticed.borrow_mut().extend(partners.iter().cloned());
    }

    fn quarantined(&self, _: &StreamName, key: &Key, cause: &str) {
        self.quarantined.borrow_mut().push((*key, cause.to_owned()));
    }

    fn pinned(&self, _: &Partition<Counter>) -> bool {
        self.pinned.get()
    }
}

struct World {
    clock: SharedClock,
    journal: Arc<MemoryJournal>,
    shell: Rc<Recorder>,
    core: Rc<HostCore<Counter>>,
}

fn limits() -> Limits {
    crate::config::load::from_text(None, &[]).expect("the documented defaults").config.engine
}

impl World {
    fn new() -> Self {
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(Timestamp(1_000_000_000)));
        let journal = MemoryJournal::new(&clock);
        Self::over(clock, journal, limits())
    }

    fn over(clock: SharedClock, journal: Arc<MemoryJournal>, limits: Limits) -> Self {
        let shell = Rc::new(Recorder::default());
        // Never the same bits twice, over worlds too: record ids are made of them.
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let core = HostCore::new(Environment {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy: Box::new(|| (u128::from(DRAWN.fetch_add(1, Ordering::Relaxed)) << 32) | 1),
            pacer: Pacer::new(limits.overdue_per_second),
            process_restarts: Arc::new(Mutex::new(RestartBudget::new(limits.process_restarts, limits.restart_window))),
            limits,
            shell: shell.clone(),
        });
        core.env().pacer.open();
        World { clock, journal, shell, core }
    }

    /// The same journal, a new process: nothing in memory.
    fn restarted(&self) -> Self {
        Self::over(Arc::clone(&self.clock), self.journal.reopen(), limits())
    }

    async fn ask(&self, key: Key, command: Command) -> Result<u64, Refusal<counter::Refused>> {
        self.core.ask("one", key, command).await
    }

    async fn total(&self, key: Key) -> Option<u64> {
        self.core.partition("one").await?.state(&key).map(|state| state.total)
    }
}

/// Runs a test on an actix system over a paused runtime: hours pass in milliseconds.
fn virtual_time(test: impl Future<Output = ()>) {
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime can be built")
    });
    system.block_on(test);
}

#[test]
fn a_command_is_answered_and_survives_a_restart() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Add(2)).await, Ok(2));
        assert_eq!(world.ask(Key::Root, Command::Add(3)).await, Ok(5));
        let again = world.restarted();
        assert_eq!(again.total(Key::Root).await, Some(5));
        let row = again.journal.row("total", "one/Root").await.expect("a journal that can be read");
        assert_eq!(row.as_deref(), Some(b"5".as_slice()));
    });
}

#[test]
fn steps_that_wait_share_one_append_and_all_see_each_other() {
    virtual_time(async {
        let world = World::new();
        let asks = (0..10).map(|_| world.ask(Key::Root, Command::Add(1)));
        let totals = futures_util::future::join_all(asks).await;
        assert_eq!(totals, (1..=10).map(Ok).collect::<Vec<_>>());
        assert_eq!(world.restarted().total(Key::Root).await, Some(10));
    });
}

#[test]
fn a_step_over_two_entities_is_whole_or_not_at_all() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Both(1, 4)).await, Ok(4));
        assert_eq!(world.ask(Key::Root, Command::BothRefused(1)).await, Err(Refusal::Rejected(counter::Refused)));
        assert_eq!((world.total(Key::Root).await, world.total(Key::Child(1)).await), (Some(4), Some(4)));
        let again = world.restarted();
        assert_eq!((again.total(Key::Root).await, again.total(Key::Child(1)).await), (Some(4), Some(4)));
    });
}

#[test]
fn a_failed_append_changes_nothing_and_performs_nothing() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(1));
        world.journal.fail_next(None, Fault::Unavailable);
        assert!(matches!(world.ask(Key::Root, Command::Add(5)).await, Err(Refusal::Unavailable(_))));
        world.journal.fail_next(None, Fault::Full);
        assert_eq!(world.ask(Key::Root, Command::Add(5)).await, Err(Refusal::Full));
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(2));
        assert_eq!(*world.shell.effects.borrow(), [(Key::Root, Effect::Saw(1)), (Key::Root, Effect::Saw(2))]);
    });
}

#[test]
fn an_append_of_unknown_outcome_is_resolved_to_what_the_journal_holds() {
    virtual_time(async {
        let world = World::new();
        world.journal.fail_next(None, Fault::UnknownStored);
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(1));
        world.journal.fail_next(None, Fault::UnknownLost);
        assert!(matches!(world.ask(Key::Root, Command::Add(5)).await, Err(Refusal::Unavailable(_))));
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(2));
        assert_eq!(world.restarted().total(Key::Root).await, Some(2));
    });
}

#[test]
fn a_fenced_writer_stops_and_the_newer_one_goes_on() {
    virtual_time(async {
        let old = World::new();
        assert_eq!(old.ask(Key::Root, Command::Add(1)).await, Ok(1));
        let new = World::over(Arc::clone(&old.clock), Arc::clone(&old.journal), limits());
        assert_eq!(new.ask(Key::Root, Command::Add(1)).await, Ok(2));
        assert!(matches!(old.ask(Key::Root, Command::Add(1)).await, Err(Refusal::Unavailable(_))));
        assert_eq!(*old.shell.effects.borrow(), [(Key::Root, Effect::Saw(1))]);
        assert!(old.core.loaded("one").is_none());
    });
}

#[test]
fn a_panic_costs_its_entity_one_command_and_the_neighbours_nothing() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Both(1, 7)).await, Ok(7));
        let before = world.core.loaded("one").and_then(|p| p.actor(&Key::Child(1))).expect("an actor");
        assert_eq!(world.ask(Key::Child(1), Command::Panic).await, Err(Refusal::Crashed));
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(8));
        assert_eq!(world.ask(Key::Child(1), Command::Add(1)).await, Ok(8));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!before.connected(), "the actor that failed has ended");
    });
}

#[test]
fn the_fourth_panic_in_a_minute_quarantines_until_released_and_tells() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Both(1, 7)).await, Ok(7));
        let partition = world.core.partition("one").await.expect("in memory");
        for _ in 0..4 {
            assert_eq!(partition.poison(Key::Child(1)).await, Err(Refusal::Crashed));
        }
        assert_eq!(world.ask(Key::Child(1), Command::Add(1)).await, Err(Refusal::Quarantined));
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(8), "its neighbour works on");
        assert_eq!(*world.shell.quarantined.borrow(), [(Key::Child(1), "poison".to_owned())]);
        assert_eq!(partition.release(Key::Child(1)).await, Ok(()));
        assert_eq!(world.ask(Key::Child(1), Command::Add(1)).await, Ok(8));
    });
}

#[test]
fn three_panics_in_a_minute_are_restarts_and_old_ones_are_forgotten() {
    virtual_time(async {
        let world = World::new();
        let partition = world.core.partition("one").await.expect("in memory");
        for _ in 0..3 {
            for _ in 0..3 {
                assert_eq!(partition.poison(Key::Root).await, Err(Refusal::Crashed));
            }
            tokio::time::sleep(Duration::from_secs(61)).await;
        }
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(1));
        assert!(world.shell.quarantined.borrow().is_empty());
    });
}

#[test]
fn a_record_that_panics_at_every_replay_quarantines_its_entity_alone() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Both(1, 7)).await, Ok(7));
        let stream = StreamName::new("counter", "one");
        let claimed = world.journal.claim(&stream).await.expect("readable");
        let body = br#"{"v":1,"b":[[{"Child":1},["Poisoned"]]]}"#.to_vec();
        let record = NewRecord { at: world.clock.now(), id: 99, body, notices: Vec::new() };
        let append = Append { after: claimed.sequence, records: vec![record], rows: Vec::new() };
        world.journal.append(&claimed.token, append).await.expect("stored");
        let again = world.restarted();
        assert_eq!(again.ask(Key::Child(1), Command::Add(1)).await, Err(Refusal::Quarantined));
        assert_eq!(again.ask(Key::Root, Command::Add(1)).await, Ok(8));
        let partition = again.core.partition("one").await.expect("in memory");
        assert!(partition.release(Key::Child(1)).await.is_err(), "the record is still there");
    });
}

#[test]
fn a_rule_whose_event_cannot_be_applied_stores_nothing() {
    virtual_time(async {
        let world = World::new();
        assert_eq!(world.ask(Key::Root, Command::Poison).await, Err(Refusal::Crashed));
        assert_eq!(world.ask(Key::Root, Command::Add(1)).await, Ok(1));
    });
}

#[test]
fn a_timer_fires_once_at_its_deadline_and_a_moved_one_at_the_new() {
    virtual_time(async {
        let world = World::new();
        let start = world.clock.now();
        let due = start + Duration::from_secs(3600);
        world.ask(Key::Root, Command::Arm(due)).await.expect("armed");
        tokio::time::sleep(Duration::from_secs(1800)).await;
        let later = due + Duration::from_secs(600);
        world.ask(Key::Root, Command::Arm(later)).await.expect("moved");
        tokio::time::sleep(Duration::from_secs(1801)).await;
        assert!(world.shell.effects.borrow().is_empty(), "the old deadline is stale");
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(*world.shell.effects.borrow(), [(Key::Root, Effect::Fired(later))]);
    });
}

#[test]
fn a_timer_whose_step_could_not_be_stored_fires_again() {
    virtual_time(async {
        let world = World::new();
        let due = world.clock.now() + Duration::from_secs(60);
        world.ask(Key::Root, Command::Arm(due)).await.expect("armed");
        world.journal.fail_next(None, Fault::Unavailable);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(*world.shell.effects.borrow(), [(Key::Root, Effect::Fired(due))]);
    });
}

#[test]
fn what_fell_due_while_we_were_away_fires_in_due_order_and_paced() {
    virtual_time(async {
        let world = World::new();
        let start = world.clock.now();
        for child in 0..20u8 {
            // Not whole seconds: promises to people, which get no downtime back.
            let due = start + Duration::from_secs(100 + u64::from(child * 7 % 20)) + Duration::from_millis(5);
            let ask = world.core.ask("one", Key::Child(child), Command::Arm(due));
            ask.await.expect("armed");
        }
        let journal = world.journal.reopen();
        drop(world.core);
        let clock = Arc::clone(&world.clock);
        tokio::time::sleep(Duration::from_secs(50)).await;
        let mut limits = limits();
        limits.overdue_per_second = 10;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let again = World::over(clock, journal, limits);
        let began = again.clock.now();
        again.core.recover(vec!["one".into()], Duration::from_secs(3650)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let early = again.shell.effects.borrow().len();
        assert!((1..=11).contains(&early), "{early} in the first second");
        tokio::time::sleep(Duration::from_secs(3)).await;
        let fired: Vec<_> = again
            .shell
            .effects
            .borrow()
            .iter()
            .map(|(_, effect)| match effect {
                Effect::Fired(due) => *due,
                Effect::Saw(_) => began,
            })
            .collect();
        assert_eq!(fired.len(), 20);
        assert!(fired.is_sorted(), "{fired:?}");
    });
}

#[test]
fn a_deadline_that_measures_silence_gets_our_downtime_back() {
    virtual_time(async {
        let world = World::new();
        let due = Timestamp(world.clock.now().0 / 1000 * 1000) + Duration::from_secs(60);
        world.ask(Key::Root, Command::Arm(due)).await.expect("armed");
        let again = world.restarted();
        again.core.recover(vec!["one".into()], Duration::from_secs(300)).await;
        tokio::time::sleep(Duration::from_secs(355)).await;
        assert!(again.shell.effects.borrow().is_empty());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(*again.shell.effects.borrow(), [(Key::Root, Effect::Fired(due + Duration::from_secs(300)))]);
    });
}

#[test]
fn an_ended_entity_leaves_memory_and_an_idle_partition_too() {
    virtual_time(async {
        let world = World::new();
        world.ask(Key::Root, Command::Both(1, 2)).await.expect("born");
        world.ask(Key::Child(1), Command::End).await.expect("ended");
        let partition = world.core.loaded("one").expect("in memory");
        assert_eq!(partition.keys(), [Key::Root]);
        drop(partition);
        tokio::time::sleep(limits().idle_after * 3).await;
        assert!(world.core.loaded("one").is_none());
        assert_eq!(world.total(Key::Root).await, Some(2), "it comes back when touched");
    });
}

#[test]
fn a_quiet_partition_that_is_held_in_memory_leaves_no_tail() {
    virtual_time(async {
        let world = World::new();
        world.shell.pinned.set(true);
        world.ask(Key::Root, Command::Add(2)).await.expect("added");
        tokio::time::sleep(limits().idle_after * 3).await;
        assert!(world.core.loaded("one").is_some(), "a socket holds it");
        let claimed = world.journal.claim(&StreamName::new("counter", "one")).await.expect("readable");
        assert!(claimed.snapshot.is_some() && claimed.records.is_empty());
    });
}

#[test]
fn an_open_partition_stays_in_memory() {
    virtual_time(async {
        let world = World::new();
        let due = world.clock.now() + limits().idle_after * 10;
        world.ask(Key::Root, Command::Arm(due)).await.expect("armed");
        tokio::time::sleep(limits().idle_after * 3).await;
        assert!(world.core.loaded("one").is_some());
    });
}

#[test]
fn snapshots_shorten_what_a_restart_reads() {
    virtual_time(async {
        let world = World::new();
        for _ in 0..=limits().snapshot_every {
            world.ask(Key::Root, Command::Add(1)).await.expect("added");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let claimed = world.journal.claim(&StreamName::new("counter", "one")).await.expect("readable");
        assert!(claimed.snapshot.is_some());
        assert!(claimed.records.len() <= 1, "{} records after the snapshot", claimed.records.len());
        let expected = u64::from(limits().snapshot_every) + 1;
        assert_eq!(world.restarted().total(Key::Root).await, Some(expected));
    });
}

#[test]
fn past_its_bound_the_queue_refuses_and_nothing_is_lost() {
    virtual_time(async {
        let world = World::new();
        world.core.partition("one").await.expect("in memory");
        let asks = (0..5000).map(|_| world.ask(Key::Root, Command::Add(1)));
        let outcomes = futures_util::future::join_all(asks).await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Refusal::Busy))));
        assert!(done < 5000 && done >= limits().mailbox, "{done}");
        assert_eq!(world.total(Key::Root).await, u64::try_from(done).ok());
    });
}

#[test]
fn partners_are_nudged_once_their_notice_is_durable() {
    virtual_time(async {
        let world = World::new();
        world.ask(Key::Root, Command::Tell).await.expect("told");
        let partner: PartnerId = "p1".parse().expect("a valid id");
        assert_eq!(world.shell.noticed.borrow().as_slice(), std::slice::from_ref(&partner));
        let outbox = world.journal.outbox(&partner, 0, 10).await.expect("readable");
        assert_eq!(outbox.len(), 1);
    });
}

#[test]
fn other_threads_reach_an_entity_through_the_door() {
    virtual_time(async {
        let world = World::new();
        let door = HostAddr::new(vec![Host::start_for(Rc::clone(&world.core))], Duration::from_secs(1));
        assert_eq!(door.ask("one", Key::Root, Command::Add(3)).await, Ok(3));
        assert_eq!(door.read("one", Key::Root, |state| state.total).await, Ok(Some(3)));
        assert_eq!(door.read("one", Key::Child(9), |state| state.total).await, Ok(None));
        while door.send_to(0, drop).is_ok() {}
        let nothing_known = door.read("one", Key::Root, |state| state.total).await;
        assert_eq!(nothing_known, Err(TooBusy), "which is not: no such entity");
    });
}
