//! The contract test suite of [`Journal`]: what every implementation must keep (feature `testing`). Owns the cases;
//! an implementation's tests bring a [`Subject`] and say `contract_suite!(make)`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "this is a test suite")]

mod cases;
mod keyed;

pub use cases::*;
pub use keyed::*;

use super::journal::{Append, Claimed, NewRecord, SharedJournal, StreamName, Token};
use crate::clock::{Clock, SharedClock, Timestamp};
use crate::domain::entity::{Notice, Row};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A clock that stands until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock(Arc::new(AtomicI64::new(1_800_000_000_000)))
    }
}

impl ManualClock {
    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// As the product takes it.
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A journal under test, with the power to restart and to damage it.
#[async_trait]
pub trait Subject: Send {
    /// The journal as it is open now.
    fn journal(&self) -> SharedJournal;
    /// Its clock.
    fn clock(&self) -> ManualClock;
    /// Ends it, lets this much time pass, and opens what it left.
    async fn reopen_after(&mut self, time: Duration);
    /// The same at once.
    async fn reopen(&mut self) {
        self.reopen_after(Duration::ZERO).await;
    }
    /// Damages the stored form of a record; the journal stays open.
    async fn corrupt(&mut self, stream: &StreamName, sequence: u64);
}

/// The tests of the contract, for one implementation: `$make` is an expression that gives a new, empty [`Subject`].
#[macro_export]
macro_rules! contract_suite {
    ($make:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::persistence::contract::$case(&mut $make).await;
            }
        )*
    };
    ($make:expr) => {
        $crate::contract_suite! { $make;
            what_is_acknowledged_is_there_after_a_restart,
            sequences_are_contiguous_from_one,
            a_newer_claim_fences_the_older,
            a_writer_that_is_behind_is_fenced,
            appending_the_same_records_again_writes_once,
            resolve_tells_what_got_in,
            a_turn_is_stored_whole,
            a_refused_turn_leaves_nothing,
            snapshot_and_tail_make_the_claim,
            a_fleet_is_claimed_as_each_alone,
            a_later_snapshot_replaces_the_earlier,
            a_snapshot_by_a_fenced_writer_is_refused,
            streams_tell_the_live_ones,
            a_large_record_survives,
            a_corrupt_record_is_reported_by_key,
            many_writers_at_once_all_get_in,
            the_time_without_a_process_is_told,
            the_first_value_wins,
            one_of_many_at_once_creates,
            a_value_expires_and_makes_room,
            a_removed_value_makes_room,
            rows_are_found_by_prefix_after_and_limit,
            large_rows_grow_and_shrink,
            the_outbox_keeps_commit_order,
            event_ids_are_unique_and_plain,
        }
    };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A record with a fresh id.
pub fn record(body: &[u8]) -> NewRecord {
    let id = u128::from(NEXT_ID.fetch_add(1, Ordering::Relaxed)) | 0xC0FF_EE00 << 64;
    NewRecord { at: Timestamp(1_800_000_000_000), id, body: body.to_vec(), notices: Vec::new() }
}

/// A turn of one record.
pub fn turn(after: u64, body: &[u8]) -> Append {
    Append { after, records: vec![record(body)], rows: Vec::new() }
}

/// A notice to a partner.
pub fn notice(partner: &str, sequence: u64) -> Notice {
    Notice {
        partner: partner.parse().expect("a test's partner id"),
        kind: "session.ended".into(),
        order_key: "session/1".into(),
        sequence: Some(sequence),
        at: Timestamp(5),
        data: serde_json::json!({ "n": sequence }),
    }
}

/// A row to write, or to remove.
pub fn row(key: &str, value: Option<&[u8]>) -> Row {
    Row { table: "session", key: key.into(), value: value.map(<[u8]>::to_vec) }
}

fn stream(id: &str) -> StreamName {
    StreamName::new("charger", id)
}

async fn claim(subject: &dyn Subject, stream: &StreamName) -> Claimed {
    subject.journal().claim(stream).await.expect("a claim")
}

/// Appends one-record turns with these bodies.
async fn write(subject: &dyn Subject, token: &Token, after: u64, bodies: &[&[u8]]) {
    for (after, body) in (after..).zip(bodies) {
        let appended = subject.journal().append(token, turn(after, body)).await.expect("an append");
        assert_eq!(appended.sequence, after + 1);
    }
}

fn bodies(claimed: &Claimed) -> Vec<&[u8]> {
    claimed.records.iter().map(|record| record.body.as_slice()).collect()
}
