//! The contract on the memory journal, and its faults.

use super::{Fault, MemoryJournal};
use crate::clock::{RuntimeClock, SharedClock, Timestamp};
use crate::persistence::contract::{ManualClock, Subject, turn};
use crate::persistence::{AppendError, Journal, SharedJournal, StreamName};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

struct Memory {
    journal: Arc<MemoryJournal>,
    clock: ManualClock,
}

fn memory() -> Memory {
    let clock = ManualClock::default();
    Memory { journal: MemoryJournal::new(&clock.shared()), clock }
}

#[async_trait]
impl Subject for Memory {
    fn journal(&self) -> SharedJournal {
        self.journal.clone()
    }

    fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    async fn reopen_after(&mut self, time: Duration) {
        self.journal.crash();
        self.clock.advance(time);
        self.journal = self.journal.reopen();
    }

    async fn corrupt(&mut self, stream: &StreamName, sequence: u64) {
        self.journal.corrupt(stream, sequence);
    }
}

crate::contract_suite!(memory());

fn virtual_clock() -> SharedClock {
    Arc::new(RuntimeClock::starting_at(Timestamp(1_800_000_000_000)))
}

#[tokio::test(start_paused = true)]
async fn a_crash_within_the_delay_loses_the_append() {
    let journal = MemoryJournal::new(&virtual_clock());
    let name = StreamName::new("charger", "A");
    let token = journal.claim(&name).await.unwrap().token;
    journal.delay_appends(Duration::from_secs(5));
    let (writer, writers_token) = (journal.clone(), token.clone());
    let append = tokio::spawn(async move { writer.append(&writers_token, turn(0, b"a")).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    journal.crash();
    assert!(matches!(append.await.unwrap(), Err(AppendError::Unknown(_))));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let journal = journal.reopen();
    assert_eq!(journal.claim(&name).await.unwrap().records, []);
    assert_eq!(journal.downtime().as_secs(), 14);
}

#[tokio::test(start_paused = true)]
async fn injected_faults_answer_in_order_and_only_where_they_belong() {
    let journal = MemoryJournal::new(&virtual_clock());
    let (a, b) = (StreamName::new("charger", "A"), StreamName::new("charger", "B"));
    let token = journal.claim(&a).await.unwrap().token;
    journal.fail_next(Some(&b), Fault::Full);
    for fault in [Fault::Fenced, Fault::Full, Fault::Unavailable, Fault::UnknownLost] {
        journal.fail_next(None, fault);
    }
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(journal.append(&token, turn(0, b"x")).await.unwrap_err());
    }
    assert!(matches!(
        outcomes.as_slice(),
        [AppendError::Fenced, AppendError::Full, AppendError::Unavailable(_), AppendError::Unknown(_)]
    ));
    assert_eq!(journal.records(&a), []);
    journal.fail_next(Some(&a), Fault::UnknownStored);
    let stored = turn(0, b"x");
    let id = stored.records[0].id;
    assert!(matches!(journal.append(&token, stored).await, Err(AppendError::Unknown(_))));
    assert_eq!(journal.resolve(&token, id).await, Ok(true));
    assert_eq!(journal.faults_left(), 1, "the one for the other stream still waits");
}
