//! The `Journal` trait: the narrow waist behind which stores stand (architecture §6). Owns its vocabulary; never an
//! implementation.
//!
//! Invariants that every implementation keeps, and the contract test suite checks: durable on `Ok`; whole or not at
//! all; idempotent by record id; sequences contiguous from 1; a token that is not the newest is `Fenced`; rows, outbox
//! entries and records of one append appear together, and only once durable.

use crate::clock::Timestamp;
use crate::domain::entity::{Notice, Row};
use crate::ids::PartnerId;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of a partition's stream: `<family>/<id>`, both of the alphabet of [`crate::ids`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// The stream of partition `id` of `family`. Both come from checked identifiers.
    pub fn new(family: &str, id: &str) -> Self {
        StreamName(Arc::from(format!("{family}/{id}")))
    }

    /// Reads a whole name back, as it is stored. `None` without a slash.
    pub fn parse(name: &str) -> Option<Self> {
        name.contains('/').then(|| StreamName(Arc::from(name)))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The family's name.
    pub fn family(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(family, _)| family)
    }

    /// The partition's own identity.
    pub fn partition(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }
}

/// Maps keyed by streams are asked by plain text; the derived `Hash` and `Ord` are those of the text.
impl std::borrow::Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to write one stream. A later claim of the same stream fences every earlier token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The stream.
    pub stream: StreamName,
    /// Which claim this is; only the newest may append.
    pub claim: u64,
}

/// One step as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in its stream, from 1, without gaps.
    pub sequence: u64,
    /// When the step was decided.
    pub at: Timestamp,
    /// Given by the writer; appending the same id twice writes once.
    pub id: u128,
    /// The step's events, encoded by the engine.
    pub body: Vec<u8>,
}

/// One step to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// When the step was decided.
    pub at: Timestamp,
    /// Unique for ever; the key of [`Journal::resolve`].
    pub id: u128,
    /// The step's events.
    pub body: Vec<u8>,
    /// What partners are told of it; entry `i` gets the event id of (epoch, stream, sequence, `i`).
    pub notices: Vec<Notice>,
}

/// All that one turn of a partition's writer stores: whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The sequence of the last record that the writer knows; 0 for an empty stream. The fence.
    pub after: u64,
    /// At least one.
    pub records: Vec<NewRecord>,
    /// Read-model changes, in order.
    pub rows: Vec<Row>,
}

/// An append is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The sequence of its last record.
    pub sequence: u64,
    /// The store wants this stream snapshotted soon: its tail keeps old history from being folded away.
    pub snapshot_advised: bool,
}

/// Why an append has no `Ok`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else owns the stream, or `after` is not its last sequence: the writer stops.
    #[error("another writer owns the stream")]
    Fenced,
    /// It may or may not be stored: ask [`Journal::resolve`] before anything else.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
    /// Not stored; try again after the given time.
    #[error("the journal is unavailable, retry after {0:?}")]
    Unavailable(Duration),
    /// Not stored: no room. Refuse new work, keep running work (RT-7).
    #[error("the journal is full")]
    Full,
}

/// Why a call other than append failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A stored value fails its checksum or cannot be read; named by its key (RT-6).
    #[error("corrupt value at {key}: {why}")]
    Corrupt {
        /// Where it is.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another claim has fenced this token.
    #[error("another writer owns the stream")]
    Fenced,
    /// No room (RT-7).
    #[error("the journal is full")]
    Full,
    /// The store has stopped or failed.
    #[error("the journal is unavailable: {0}")]
    Unavailable(String),
}

/// The folded state of a partition up to a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last sequence that is folded in.
    pub sequence: u64,
    /// The engine's encoding of all entities' states.
    pub state: Vec<u8>,
}

/// What a claim brings: everything needed to rebuild the partition.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The right to append.
    pub token: Token,
    /// The newest snapshot, if any.
    pub snapshot: Option<Snapshot>,
    /// All records after the snapshot, in order.
    pub records: Vec<Record>,
    /// The sequence of the stream's last record; 0 if it has none.
    pub sequence: u64,
}

/// A stream that recovery may have to rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// Its name.
    pub stream: StreamName,
    /// The last snapshot said that something is open, or there are records after it.
    pub live: bool,
}

/// What became of a [`Journal::create_once`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateOnce {
    /// The value is stored, durably.
    Created,
    /// Another value was first; here it is.
    Exists(Vec<u8>),
}

/// A row of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Its key within the table.
    pub key: String,
    /// Its content.
    pub value: Vec<u8>,
}

/// A notice in a partner's outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its place among all notices of the store, rising in commit order; not contiguous for one partner.
    pub position: u64,
    /// The event id: unique for ever, also after a restore from backup; `[A-Za-z0-9_-]` only.
    pub id: String,
    /// What to tell.
    pub notice: Notice,
}

/// Where facts become durable.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Makes the caller the only writer of the stream and reads what it needs to rebuild the partition.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] names the record that cannot be read; it is never skipped.
    async fn claim(&self, stream: &StreamName) -> Result<Claimed, JournalError>;

    /// Claims each of these streams, in their order, as [`Journal::claim`] does, for less than one after the other: recovery
    /// claims a fleet.
    ///
    /// # Errors
    /// When nothing can be read at all; each stream has an outcome of its own besides.
    async fn claim_all(&self, streams: &[StreamName]) -> Result<Vec<Result<Claimed, JournalError>>, JournalError> {
        let mut claimed = Vec::with_capacity(streams.len());
        for stream in streams {
            claimed.push(self.claim(stream).await);
        }
        Ok(claimed)
    }

    /// Stores a turn's records, rows and notices. Durable on `Ok`.
    ///
    /// # Errors
    /// See [`AppendError`]; after `Unknown` the writer calls [`Journal::resolve`] with the last record's id.
    async fn append(&self, token: &Token, append: Append) -> Result<Appended, AppendError>;

    /// Whether the record with this id got in.
    ///
    /// # Errors
    /// When that cannot be told now.
    async fn resolve(&self, token: &Token, record_id: u128) -> Result<bool, JournalError>;

    /// Stores the partition's folded state, so that records up to `sequence` need not be read again. `live` says
    /// whether anything is open in it ([`StreamSummary::live`]).
    ///
    /// # Errors
    /// A failed snapshot loses nothing; the records stay.
    async fn snapshot(&self, token: &Token, snapshot: Snapshot, live: bool) -> Result<(), JournalError>;

    /// All streams of a family, for recovery.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn streams(&self, family: &str) -> Result<Vec<StreamSummary>, JournalError>;

    /// First value wins, durably, until `ttl` has passed (idempotency keys, EM-5).
    ///
    /// # Errors
    /// When nothing could be stored.
    async fn create_once(&self, key: &str, value: &[u8], ttl: Duration) -> Result<CreateOnce, JournalError>;

    /// The value of a [`Journal::create_once`] key, if there is one and it has not expired.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// Removes a [`Journal::create_once`] key, durably (an answer of 503 binds nothing, EM-5).
    ///
    /// # Errors
    /// When nothing could be stored.
    async fn remove_once(&self, key: &str) -> Result<(), JournalError>;

    /// One row.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn row(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// Rows whose key starts with `prefix`, after key `after`, in key order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn rows(
        &self,
        table: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError>;

    /// Rows whose key starts with `prefix`, before key `before`, the last key first, at most `limit`: newest first where
    /// keys rise with time.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn rows_back(
        &self,
        table: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError>;

    /// Durable notices to a partner after `position`, in order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn outbox(&self, partner: &PartnerId, position: u64, limit: usize) -> Result<Vec<OutboxEntry>, JournalError>;

    /// Which journal this is: another number after each creation and each restore from backup, the same over restarts
    /// and compaction. What is numbered outside must not count on where an older journal stood (CH-7).
    fn epoch(&self) -> u64;

    /// Streams whose tails keep history from being folded away, the farthest behind first: the engine snapshots them
    /// even if they are idle (RT-5).
    fn lagging(&self, limit: usize) -> Vec<StreamName> {
        let _ = limit;
        Vec::new()
    }

    /// No queue of the partner needs a notice below `position` any more, until it is told otherwise; such may go once they are
    /// old enough. Not remembered over a restart.
    fn trim_outbox(&self, partner: &PartnerId, below_position: u64) {
        let _ = (partner, below_position);
    }

    /// Whether new work should be refused for want of room (RT-7).
    fn is_full(&self) -> bool;

    /// How long the store had been without a living process when this one opened it (RT-3).
    fn downtime(&self) -> Duration;
}

/// A shared journal.
pub type SharedJournal = Arc<dyn Journal>;
