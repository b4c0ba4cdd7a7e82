//! The journal room. Owns order and durability: what is appended, when it is on stable storage, how it is read back.
//! Never decides anything about charging. Beside it, with weaker promises: [`messages`], the log of OCPP frames.
//!
//! Invariants: an `Ok` from [`Journal::append`] means that the records, rows and notices of that append are all on stable
//! storage (RT-4); reads never show what is not durable yet; one writer a stream, fenced by its sequence.

pub mod cli;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod envelope;
pub mod journal;
pub mod memory;
pub mod messages;
pub mod private;
pub mod sled;
pub mod tools;
pub mod vault;

pub use journal::{
    Append, AppendError, Appended, Claimed, CreateOnce, Journal, JournalError, NewRecord, OutboxEntry, Record,
    SharedJournal, Snapshot, StoredRow, StreamName, StreamSummary, Token,
};
pub use memory::MemoryJournal;
pub use messages::MessageLog;
pub use sled::SledJournal;
pub use vault::{Sealed, UserRef, Vault, VaultError};
