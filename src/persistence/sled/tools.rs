//! Looking at a store that no process runs on (RT-11): history, export, figures, copies. Owns how a store is opened for
//! that; what is checked is in [`super::verify`], the command line in [`crate::persistence::cli`].

use super::values::{self, Head};
use super::{copy, disk, keys, open, read, tail, verify};
use crate::clock::SharedClock;
use crate::persistence::{JournalError, Record, Snapshot, StoredRow, StreamName};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Page cache of a tool: it reads everything once.
const CACHE: u64 = 64 << 20;

/// Problems listed; the rest is counted.
const PROBLEMS_SHOWN: usize = 100;

/// A record and its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its stream.
    pub stream: StreamName,
    /// The log block that it begins in.
    pub block: u64,
    /// The record.
    pub record: Record,
}

/// What verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Log blocks.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Streams with records or a snapshot.
    pub streams: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Read-model rows.
    pub rows: u64,
    /// Notices in the outbox.
    pub notices: u64,
    /// Create-once keys.
    pub once_keys: u64,
    /// How many things are wrong.
    pub faults: u64,
    /// What is wrong, by key; the first hundred.
    pub problems: Vec<String>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn sound(&self) -> bool {
        self.faults == 0
    }

    pub(super) fn problem(&mut self, what: String) {
        self.faults += 1;
        if self.problems.len() < PROBLEMS_SHOWN {
            self.problems.push(what);
        }
    }

    pub(super) fn note<T>(&mut self, outcome: Result<T, JournalError>) -> Option<T> {
        outcome.map_err(|error| self.problem(error.to_string())).ok()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records of {} streams in {} blocks, {} snapshots, {} rows, {} notices, {} once keys: {} faults",
            self.records,
            self.streams,
            self.blocks,
            self.snapshots,
            self.rows,
            self.notices,
            self.once_keys,
            self.faults
        )
    }
}

/// Figures of a store.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Bytes of the journal's directory on disk.
    pub disk_bytes: u64,
    /// Log blocks kept, history included.
    pub log_blocks: u64,
    /// The block before which no start reads.
    pub horizon: u64,
    /// The number of the next block.
    pub next_block: u64,
    /// Streams with a snapshot.
    pub snapshots: u64,
    /// The store's epoch, in hex as in event ids.
    pub epoch: String,
    /// Files in `blobs/`; must be 0.
    pub blobs: usize,
}

pub(super) fn stats(store: &sled::Db, path: &Path) -> Result<Stats, JournalError> {
    let next_block = open::after_last(store)?;
    let blobs = match disk::current(path)? {
        Some(store) => disk::blobs(&store).map_err(|e| disk::unavailable("listing", &store, &e))?,
        None => 0,
    };
    Ok(Stats {
        disk_bytes: disk::size(path).map_err(|e| disk::unavailable("measuring", path, &e))?,
        log_blocks: store.scan_prefix([keys::LOG]).keys().count() as u64,
        horizon: values::get_u64(store, keys::META_HORIZON)?.unwrap_or(0),
        next_block,
        snapshots: store.scan_prefix([keys::HEAD]).keys().count() as u64,
        epoch: format!("{:016x}", open::check_format(store)?),
        blobs,
    })
}

/// A store opened by a tool.
pub struct Tool {
    store: sled::Db,
    path: PathBuf,
    directory: PathBuf,
    _lock: File,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Tool {
    /// Opens the journal in `path`, which must exist and not be in use.
    ///
    /// # Errors
    /// When there is none, a process has it open, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        if !path.join("CURRENT").exists() {
            return Err(JournalError::Unavailable(format!("there is no journal in {}", path.display())));
        }
        let lock = disk::lock(path)?;
        let directory = disk::current(path)?.unwrap_or_default();
        // Before sled looks: what it cannot read it wipes.
        tail::check(&directory)?;
        let store = open::guarded(|| open::open_sled(&directory, CACHE))?;
        open::check_format(&store)?;
        Ok(Tool { store, path: path.to_owned(), directory, _lock: lock })
    }

    /// Everything that can be checked: checksums of all values, contiguous sequences, readable snapshots, unique event
    /// ids, no blobs.
    pub fn verify(&self) -> Findings {
        verify::verify(&self.store, &self.directory)
    }

    /// Figures.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stats(&self) -> Result<Stats, JournalError> {
        stats(&self.store, &self.path)
    }

    /// Shows every stored record in order, of one stream or of all. Gives how many there were.
    ///
    /// # Errors
    /// At the first block that cannot be read, or what `see` says.
    pub fn records(
        &self,
        stream: Option<&str>,
        mut see: impl FnMut(StoredRecord) -> Result<(), JournalError>,
    ) -> Result<u64, JournalError> {
        let mut count = 0;
        for entry in self.store.scan_prefix([keys::LOG]).keys() {
            let key = entry.map_err(|e| values::failed(&e))?;
            let Some(block) = keys::log_number(&key) else { continue };
            let mut found = Vec::new();
            read::with_records(&self.store, block, |envelope| {
                if stream.is_none_or(|stream| stream == envelope.stream)
                    && let Some(name) = StreamName::parse(envelope.stream)
                {
                    found.push(StoredRecord { stream: name, block, record: envelope.record() });
                }
            })?;
            count += found.len() as u64;
            found.into_iter().try_for_each(&mut see)?;
        }
        Ok(count)
    }

    /// A stream's snapshot and whether it is live.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn snapshot(&self, stream: &str) -> Result<Option<(Snapshot, bool)>, JournalError> {
        let key = keys::head(stream);
        let Some(raw) = self.store.get(&key).map_err(|e| values::failed(&e))? else { return Ok(None) };
        let head = Head::decode(&key, &raw)?;
        let state = values::get(&self.store, &keys::state(stream))?;
        let state = state.ok_or_else(|| values::corrupt(&keys::state(stream), "missing"))?;
        Ok(Some((Snapshot { sequence: head.sequence, state }, head.live)))
    }

    /// Shows every row of a table whose key begins with `prefix`, in order of the keys.
    ///
    /// # Errors
    /// At the first row that cannot be read, or what `see` says.
    pub fn rows(
        &self,
        table: &str,
        prefix: &str,
        mut see: impl FnMut(StoredRow) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let begin = keys::row(table, "").len();
        for entry in self.store.scan_prefix(keys::row(table, prefix)) {
            let (key, raw) = entry.map_err(|e| values::failed(&e))?;
            let name = std::str::from_utf8(&key[begin..]).map_err(|why| values::corrupt(&key, why))?;
            see(StoredRow { key: name.to_owned(), value: values::open(&self.store, &key, &raw)? })?;
        }
        Ok(())
    }

    /// Copies the store into `directory`, a journal of its own.
    ///
    /// # Errors
    /// When that fails or the copy does not verify.
    pub fn backup(&self, directory: &Path) -> Result<Findings, JournalError> {
        copy::copy_into(&self.store, directory, None, &copy::Keep::All)
    }

    /// Copies what is live into a fresh store, verifies it and puts it in place of this one, atomically. The epoch
    /// stays. Gives what is there now and the bytes on disk before and after.
    ///
    /// # Errors
    /// When that fails; the old store stays in place.
    pub fn compact(
        self,
        clock: &SharedClock,
        retention: std::time::Duration,
    ) -> Result<(Findings, u64, u64), JournalError> {
        let measure = |path: &Path| disk::size(path).map_err(|e| disk::unavailable("measuring", path, &e));
        let before = measure(&self.directory)?;
        disk::sweep(&self.path)?;
        let fresh = disk::fresh(&self.path)?;
        let now = clock.now();
        let keep = copy::Keep::Live { horizon: copy::horizon(&self.store)?, now, blocks_from: now - retention };
        let findings = copy::copy_store(&self.store, &fresh, None, &keep)?;
        disk::install(&self.path, &fresh)?;
        let after = measure(&fresh)?;
        drop(self.store);
        disk::sweep(&self.path)?;
        Ok((findings, before, after))
    }

    /// Copies the backup in `from` to `path`, with a new epoch and positions beyond all old ones, so that no event id
    /// and no cursor is used twice. An existing journal in `path` is kept aside if `replace`, else it refuses.
    ///
    /// # Errors
    /// When that fails; an existing journal stays as it was.
    pub fn restore(from: &Path, path: &Path, replace: bool) -> Result<Findings, JournalError> {
        let backup = Tool::open(from)?;
        let findings = backup.verify();
        if !findings.sound() {
            let why = findings.problems.join("; ");
            return Err(JournalError::Corrupt { key: from.display().to_string(), why });
        }
        let _lock = disk::lock(path)?;
        let old = disk::current(path)?;
        if old.is_some() && !replace {
            let path = path.display();
            return Err(JournalError::Unavailable(format!("{path} holds a journal: say --replace to put it aside")));
        }
        let fresh = disk::fresh(path)?;
        let findings = copy::copy_store(&backup.store, &fresh, Some(open::new_epoch()), &copy::Keep::All)?;
        disk::install(path, &fresh)?;
        if let Some(old) = old {
            let aside =
                old.with_file_name(format!("before-restore-{}", old.file_name().unwrap_or_default().to_string_lossy()));
            std::fs::rename(&old, &aside).map_err(|e| disk::unavailable("putting aside", &old, &e))?;
        }
        Ok(findings)
    }
}

/// Writes all keys and values of the journal in `path` as lines of hexadecimal: how journals are recorded for the
/// compatibility tests.
///
/// # Errors
/// When the store cannot be read.
#[cfg(any(test, feature = "testing"))]
pub fn store_raw(path: &Path, out: &mut String) -> Result<(), JournalError> {
    for entry in Tool::open(path)?.store.iter() {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        out.push_str(&format!("{} {}\n", hex::encode(key), hex::encode(raw)));
    }
    Ok(())
}

/// Makes a journal in `path` of what [`store_raw`] wrote.
///
/// # Errors
/// When a line cannot be read or the store not be written.
#[cfg(any(test, feature = "testing"))]
pub fn load_raw(text: &str, path: &Path) -> Result<(), JournalError> {
    let _lock = disk::lock(path)?;
    let directory = disk::fresh(path)?;
    let store = open::open_sled(&directory, CACHE)?;
    for line in text.lines() {
        let bad =
            || JournalError::Corrupt { key: line.chars().take(40).collect(), why: "not two hexadecimal texts".into() };
        let (key, raw) = line.split_once(' ').ok_or_else(bad)?;
        let (key, raw) = (hex::decode(key).map_err(|_| bad())?, hex::decode(raw).map_err(|_| bad())?);
        store.insert(key, raw).map_err(|e| values::failed(&e))?;
    }
    store.flush().map_err(|e| values::failed(&e))?;
    disk::install(path, &directory)
}
