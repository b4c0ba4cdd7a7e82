//! Opening and creating a store. Owns the checks before work begins and the rebuilding of the index.
//!
//! A corrupt block refuses the start and is named: records of many partitions may lie in it, so going on would mean to
//! skip some silently (RT-6). What lies before the horizon is history and is not read here.

use super::grow::Growth;
use super::index::Index;
use super::shared::Opened;
use super::space::Space;
use super::values::{self, Head, Put};
use super::witness::Witness;
use super::{disk, keys, read, tail};
use crate::clock::{SharedClock, Timestamp};
use crate::config::journal::Journal as Config;
use crate::persistence::JournalError;
use crate::persistence::envelope::{FORMAT, numbers};
use crate::telemetry::stages::Stages;
use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

/// Block numbers that a restore jumps ahead: positions and cursors given out after the backup was made stay behind all
/// new ones. A million blocks is about 13 million records lost with the old store.
pub(super) const RESTORE_JUMP: u64 = 1 << 20;

/// Opens the store. sled panics on some kinds of damage: that is reported like any other.
pub(super) fn open(config: &Config, clock: &SharedClock) -> Result<Opened, JournalError> {
    guarded(|| open_unguarded(config, clock))
}

/// Turns a panic of sled into an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
    let panicked = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(JournalError::Corrupt { key: "store".into(), why: format!("sled panicked while reading it: {text}") })
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

fn open_unguarded(config: &Config, clock: &SharedClock) -> Result<Opened, JournalError> {
    let path = &config.path;
    let lock = disk::lock(path)?;
    let space = Space::new(path, config.reserve_bytes, config.full_floor_bytes);
    let current = disk::current(path)?;
    space.make_room(current.as_deref().map_or(Ok(0), disk::list_bytes)?);
    disk::sweep(path)?;
    let (directory, created) = match current {
        Some(directory) => (directory, false),
        None => (disk::fresh(path)?, true),
    };
    let mut stages = Stages::begin();
    if !created {
        tail::check(&directory)?;
    }
    stages.over("tail");
    let store = open_sled(&directory, config.cache_bytes)?;
    stages.over("sled");
    if created {
        initialise(&store, new_epoch(), clock.now())?;
        disk::install(path, &directory)?;
    }
    space.upkeep();
    let epoch = check_format(&store)?;
    let alive = values::get_u64(&store, keys::META_ALIVE)?.and_then(|at| i64::try_from(at).ok());
    let downtime = alive.map_or(Duration::ZERO, |at| clock.now().since(Timestamp(at)));
    let horizon = values::get_u64(&store, keys::META_HORIZON)?.unwrap_or(1).max(1);
    let witness = Witness::open(&directory)?;
    witness.check(after_last(&store)?)?;
    stages.over("witness");
    let (index, next_block) = scan_log(&store, horizon)?;
    stages.over("log");
    let large = scan_pieces(&store)?;
    stages.over("pieces");
    let (file, growth) = (disk::db_file(&directory)?, Growth::new(disk::db_file(&directory)?));
    tracing::info!(
        path = %directory.display(), created, horizon, next_block, streams = index.streams.len(), ?downtime, %stages, "journal open"
    );
    Ok(Opened { store, file, growth, witness, lock, space, epoch, downtime, index, large, next_block, horizon })
}

pub(super) fn open_sled(directory: &Path, cache_bytes: u64) -> Result<sled::Db, JournalError> {
    // Its own flusher is off: only the commit thread decides what is on the disk when, and what is moved (ADR 2).
    let config = sled::Config::new().path(directory).flush_every_ms(None).cache_capacity(cache_bytes);
    config.open().map_err(|error| match error {
        sled::Error::Corruption { at: Some(at), .. } => {
            let why = format!(
                "byte {} cannot be read, and it was written before the end of the log: the store's file is damaged. Restore a backup",
                at.lid()
            );
            JournalError::Corrupt { key: disk::file_key(directory), why }
        }
        error => disk::unavailable("opening the store", directory, &error),
    })
}

/// A store's epoch: part of every event id, so unique among all stores of an operator.
pub(super) fn new_epoch() -> u64 {
    rand::random()
}

/// What every store holds from the start.
pub(super) fn initialise(store: &sled::Db, epoch: u64, now: Timestamp) -> Result<(), JournalError> {
    let alive = u64::try_from(now.0).unwrap_or(0);
    let meta = [
        (keys::META_FORMAT, u64::from(FORMAT)),
        (keys::META_EPOCH, epoch),
        (keys::META_ALIVE, alive),
        // Blocks count from 1: position 0 means the beginning of an outbox.
        (keys::META_HORIZON, 1),
    ];
    let mut batch = sled::Batch::default();
    for (key, number) in meta {
        let put = Put::new(key.to_vec(), &number.to_be_bytes());
        batch.insert(put.key, put.value.unwrap_or_default());
    }
    store.apply_batch(batch).and_then(|()| store.flush()).map(|_| ()).map_err(|e| values::failed(&e))
}

/// Refuses what a newer build wrote; gives the epoch.
pub(super) fn check_format(store: &sled::Db) -> Result<u64, JournalError> {
    let missing = |key: &[u8]| values::corrupt(key, "missing: this is no journal");
    let format = values::get_u64(store, keys::META_FORMAT)?.ok_or_else(|| missing(keys::META_FORMAT))?;
    if format > u64::from(FORMAT) {
        let why = format!("format version {format} is newer than this build reads ({FORMAT})");
        return Err(values::corrupt(keys::META_FORMAT, why));
    }
    values::get_u64(store, keys::META_EPOCH)?.ok_or_else(|| missing(keys::META_EPOCH))
}

/// The heads of all streams, by name.
pub(super) fn heads(store: &sled::Tree) -> Result<HashMap<String, Head>, JournalError> {
    let mut heads = HashMap::new();
    for entry in store.scan_prefix([keys::HEAD]) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        let head = Head::decode(&key, &raw)?;
        let name = String::from_utf8(key[1..].to_vec()).map_err(|why| values::corrupt(&key, why))?;
        heads.insert(name, head);
    }
    Ok(heads)
}

/// The number after the newest block's.
pub(super) fn after_last(store: &sled::Tree) -> Result<u64, JournalError> {
    let last = store.scan_prefix([keys::LOG]).next_back().transpose().map_err(|e| values::failed(&e))?;
    Ok(last.map_or(0, |(key, raw)| keys::log_number(&key).unwrap_or_default() + numbers(raw.len())))
}

/// Blocks that are read before they are handed on, and how many times as many may wait.
const BLOCKS_TOGETHER: usize = 256;
const BLOCKS_AHEAD: usize = 8;

/// Blocks as read, each with its number.
type Blocks = Vec<(u64, sled::IVec)>;

/// Rebuilds the index from the log from the horizon on; gives the number of the next block, too. One thread reads, the other
/// looks at what has been read: every start waits for this.
fn scan_log(store: &sled::Db, horizon: u64) -> Result<(Index, u64), JournalError> {
    let after_last = after_last(store)?;
    let (give, take) = std::sync::mpsc::sync_channel::<Blocks>(BLOCKS_AHEAD);
    let index = std::thread::scope(|scope| {
        let reading = scope.spawn(move || guarded(|| read_log(store, horizon, &give)));
        let index = index_of(store, take);
        // A block that cannot be read ends the looking early, whose own outcome says nothing then.
        let read = reading.join().unwrap_or_else(|_| Err(values::corrupt(b"", "the reading thread panicked")));
        index.and_then(|index| read.map(|()| index))
    })?;
    Ok((index, after_last.max(horizon)))
}

fn read_log(store: &sled::Tree, horizon: u64, give: &SyncSender<Blocks>) -> Result<(), JournalError> {
    let mut blocks = Blocks::new();
    for entry in store.range(keys::log(horizon)..keys::log(u64::MAX)) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        let number = keys::log_number(&key).ok_or_else(|| values::corrupt(&key, "no block number"))?;
        blocks.push((number, raw));
        if blocks.len() == BLOCKS_TOGETHER && give.send(std::mem::take(&mut blocks)).is_err() {
            // Whoever looked at them has found a corrupt one.
            return Ok(());
        }
    }
    // As above.
    let _ = give.send(blocks);
    Ok(())
}

fn index_of(store: &sled::Tree, take: Receiver<Blocks>) -> Result<Index, JournalError> {
    let heads = heads(store)?;
    let mut index = Index::default();
    for (number, raw) in take.into_iter().flatten() {
        let mut problem = None;
        read::with_records_of(store, (number, &raw), |envelope| {
            if let Err(expected) = index.found(envelope, number, || heads.get(envelope.stream)) {
                problem.get_or_insert_with(|| {
                    let (stream, sequence) = (envelope.stream, envelope.sequence);
                    format!("record {sequence} of {stream} where {expected} should be")
                });
            }
        })?;
        if let Some(why) = problem {
            return Err(values::corrupt(&keys::log(number), why));
        }
    }
    Ok(index)
}

/// Which rows, create-once keys and chunks lie in pieces.
fn scan_pieces(store: &sled::Db) -> Result<HashMap<Vec<u8>, u16>, JournalError> {
    let mut large = HashMap::new();
    for kind in [keys::ROW, keys::ONCE, keys::OUTBOX] {
        for entry in store.scan_prefix([keys::PIECE, kind]).keys() {
            let key = entry.map_err(|e| values::failed(&e))?;
            let (owner, index) = keys::piece_owner(&key).ok_or_else(|| values::corrupt(&key, "no piece"))?;
            let count: &mut u16 = large.entry(owner.to_vec()).or_default();
            *count = (*count).max(index + 1);
        }
    }
    Ok(large)
}
