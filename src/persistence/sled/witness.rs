//! The witness: how far the log had come, told by a file that sled does not write (RT-6).
//!
//! sled ends its recovery at the first thing that it cannot read, and takes everything before it for the whole store: one
//! flipped bit in the middle of its file silently takes back every commit after that place (measured, ADR 2). So every
//! commit writes at least one log block, and once it is durable notes the next block's number here. A store whose log
//! ends before that number is refused.
//!
//! Written without a sync of its own: after a kill it is exact, after a power cut it may be older or unreadable, but it
//! is never ahead of what is durable, so it never accuses wrongly.

use super::{disk, values};
use crate::persistence::JournalError;
use crate::persistence::envelope::Reader;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

pub(super) const NAME: &str = "witness";

/// Whether the store has one. An operator who removes it goes on without what is lost.
pub(super) fn is_there(store: &Path) -> bool {
    store.join(NAME).exists()
}

pub(super) struct Witness(File);

impl Witness {
    pub(super) fn open(store: &Path) -> Result<Self, JournalError> {
        let place = store.join(NAME);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&place);
        file.map(Witness).map_err(|error| disk::unavailable("opening", &place, &error))
    }

    /// Everything before block `next` is durable.
    pub(super) fn note(&self, next: u64) {
        let number = next.to_be_bytes();
        let crc = crc32fast::hash(&number).to_be_bytes();
        if let Err(error) = self.0.write_all_at(&[&number[..], &crc].concat(), 0) {
            // The commit itself is durable; only this proof of it is weaker.
            tracing::warn!(%error, "the witness cannot be written");
        }
    }

    /// The number last noted; 0 if there is none that can be read.
    pub(super) fn noted(&self) -> u64 {
        let mut bytes = [0; 12];
        if self.0.read_exact_at(&mut bytes, 0).is_err() {
            return 0;
        }
        let mut reader = Reader(&bytes);
        match (reader.u64(), reader.u32()) {
            (Ok(number), Ok(crc)) if crc32fast::hash(&number.to_be_bytes()) == crc => number,
            _ => 0,
        }
    }

    /// Refuses a store whose log ends before what was noted.
    pub(super) fn check(&self, next_block: u64) -> Result<(), JournalError> {
        let noted = self.noted();
        if next_block >= noted {
            return Ok(());
        }
        let why = format!(
            "the log ends before block {next_block}, but blocks up to {noted} were committed: the store's file is \
             damaged and commits are lost. Restore a backup; or, to go on without them, remove the file `{NAME}` \
             beside the store"
        );
        Err(values::corrupt(&super::keys::log(next_block), why))
    }
}
