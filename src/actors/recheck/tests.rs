//! Due once a day on virtual time, told when something is wrong, done again after a restart only if it was not done.

use super::*;
use crate::actors::alerts::{self, Waiting};
use crate::clock::Clock;
use crate::domain::charging::testkit::World;
use crate::domain::entity::Row;
use crate::domain::order::tests::{bank::Bank, book, order_of, tariff};
use crate::persistence::contract::record;
use crate::persistence::{Append, MemoryJournal, StreamName};
use serde_json::Value;
use tokio::time::Instant;

/// A wall clock that goes with tokio's.
#[derive(Debug)]
struct Virtual {
    begun: Instant,
    base: Timestamp,
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        self.base + self.begun.elapsed()
    }
}

/// A house in which an order came to its end a little after midnight UTC, on the next day's first minutes.
async fn house(change: impl FnOnce(&mut Value)) -> (Recheck, Waiting) {
    let mut bank = Bank::with(10_000);
    let (mut world, session, transaction) = World::flowing(&mut bank);
    world.pass(600);
    world.ends_at(&mut bank, transaction, 21_000);
    let (id, session_id) = (order_of(session).to_string(), session.to_string());
    let (mut order, session) = (world.row("order", &id), world.row("session", &session_id));
    change(&mut order);
    let clock: SharedClock = Arc::new(Virtual { begun: Instant::now(), base: world.now });
    let journal: SharedJournal = MemoryJournal::new(&clock);
    let token = journal.claim(&StreamName::new("charger", "A")).await.unwrap().token;
    let row = |table, key: String, value: Value| Row { table, key, value: Some(value.to_string().into_bytes()) };
    let rows = vec![row("order", id, order), row("session", session_id, session)];
    journal.append(&token, Append { after: 0, records: vec![record(b"one")], rows }).await.unwrap();
    let tariffs = Arc::<Tariffs>::default();
    tariffs.put(&book(tariff()));
    let mut policy = Policy::default();
    (policy.order.check_share, policy.order.check_after) = (recheck::PARTS, Duration::from_secs(3 * 3600));
    let (alerts, waiting) = alerts::channel();
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    (Recheck { journal, tariffs, policy, alerts, clock }, waiting)
}

const NOTHING: Option<Tally> = Some(Tally { same: 0, differs: 0 });
const ONE: Option<Tally> = Some(Tally { same: 1, differs: 0 });

#[tokio::test(start_paused = true)]
async fn each_day_is_looked_at_once_when_it_is_due() {
    let (recheck, _waiting) = house(|_| {}).await;
    assert_eq!(recheck.once().await.unwrap(), NOTHING, "the day before: nothing was settled in it");
    tokio::time::advance(Duration::from_secs(3 * 3600)).await;
    assert_eq!(recheck.once().await.unwrap(), ONE);
    assert_eq!(recheck.clone().once().await.unwrap(), None, "done, and known to be");
    tokio::time::advance(DAY).await;
    assert_eq!(recheck.once().await.unwrap(), NOTHING, "it is of another day");
}

#[tokio::test(start_paused = true)]
async fn with_a_share_of_zero_nothing_is_looked_at() {
    let (recheck, _waiting) = house(|_| {}).await;
    let mut policy = Policy::clone(&recheck.policy.load());
    policy.order.check_share = 0;
    recheck.policy.store(Arc::new(policy));
    tokio::time::advance(DAY).await;
    assert_eq!(recheck.once().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_bill_that_differs_is_a_ticket_in_the_night() {
    let (recheck, mut waiting) = house(|order| order["bill"]["lines"][0]["amount"]["minor"] = 1.into()).await;
    let running = tokio::spawn(recheck.run(|| async {}));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(waiting.next_now().is_none(), "not before it is due");
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    let alert = waiting.next_now().unwrap();
    assert_eq!((alert.code.as_str(), alert.ticket), ("bill_differs", true));
    assert!(alert.text.contains("lines sum to"), "{}", alert.text);
    tokio::time::sleep(DAY * 3).await;
    assert!(waiting.next_now().is_none(), "once");
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_row_cannot_be_read_is_told_too() {
    let (recheck, mut waiting) = house(|order| order["status"] = "Strange".into()).await;
    tokio::time::advance(DAY).await;
    assert_eq!(recheck.once().await.unwrap(), Some(Tally { same: 0, differs: 1 }));
    assert!(waiting.next_now().unwrap().text.contains("cannot be read"));
}
