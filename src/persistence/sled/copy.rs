//! Copies of a store: backup while running, compaction into a fresh store, restore. Owns what is taken along.
//!
//! A backup while running copies everything once, notes which keys are written meanwhile, copies those again, and the
//! last few while the commit thread pauses between two commits: the copy is the store as of that moment.

use super::commit::Job;
use super::freeze::Freeze;
use super::shared::Shared;
use super::tools::Findings;
use super::values::{self, Put};
use super::witness::Witness;
use super::{disk, keys, once, open, verify};
use crate::clock::Timestamp;
use crate::persistence::JournalError;
use crate::persistence::envelope::{Block, Content};
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, sync_channel};

/// Page cache of a copy in the making.
const CACHE: u64 = 64 << 20;

/// Bytes of one batch of a copy.
const BATCH_BYTES: usize = 1 << 20;

/// Changed keys few enough to copy while commits pause: some 20 ms.
const LAST_KEYS: usize = 1000;

/// Rounds of copying what changed, before the pause is taken anyway.
const ROUNDS: usize = 8;

/// What a copy takes along.
pub(super) enum Keep {
    /// All of it.
    All,
    /// No log block that is both before the horizon and older than the retention; no expired create-once key.
    Live { horizon: u64, now: Timestamp, blocks_from: Timestamp },
}

impl Keep {
    fn keeps(&self, source: &sled::Tree, last: u64, key: &[u8], raw: &[u8]) -> Result<bool, JournalError> {
        let Keep::Live { horizon, now, blocks_from } = self else { return Ok(true) };
        let once_lives = |owner: &[u8]| once::read(source, owner, *now).map(|value| value.is_some());
        match (key.first(), keys::log_number(key), keys::piece_owner(key)) {
            (Some(&keys::LOG), Some(number), _) => {
                let block = Block::decode(raw).map_err(|why| values::corrupt(key, why))?;
                // The newest block tells the next number.
                Ok(number >= *horizon || number == last || block.at >= *blocks_from)
            }
            (Some(&keys::ONCE), ..) => once_lives(key),
            (Some(&keys::PIECE), _, Some((owner, _))) if owner.first() == Some(&keys::ONCE) => once_lives(owner),
            _ => Ok(true),
        }
    }
}

/// A target store being filled.
struct Target {
    store: sled::Db,
    batch: sled::Batch,
    bytes: usize,
}

impl Target {
    fn new(directory: &Path) -> Result<Self, JournalError> {
        Ok(Target { store: open::open_sled(directory, CACHE)?, batch: sled::Batch::default(), bytes: 0 })
    }

    fn set(&mut self, key: &[u8], raw: Option<sled::IVec>) -> Result<(), JournalError> {
        self.bytes += key.len() + raw.as_ref().map_or(0, |raw| raw.len());
        match raw {
            Some(raw) => self.batch.insert(key, raw),
            None => self.batch.remove(key),
        }
        if self.bytes >= BATCH_BYTES { self.apply() } else { Ok(()) }
    }

    fn apply(&mut self) -> Result<(), JournalError> {
        self.bytes = 0;
        self.store.apply_batch(std::mem::take(&mut self.batch)).map_err(|e| values::failed(&e))
    }

    /// Flushes, seals, verifies and closes it.
    fn finish(mut self, directory: &Path, epoch: Option<u64>) -> Result<Findings, JournalError> {
        if let Some(epoch) = epoch {
            self.rebirth(epoch)?;
        }
        self.apply()?;
        self.seal(directory)?;
        let findings = verify::verify(&self.store, directory);
        if findings.sound() {
            return Ok(findings);
        }
        let why = findings.problems.join("; ");
        Err(JournalError::Corrupt { key: directory.display().to_string(), why })
    }

    /// Whatever cannot be read in it later is damage, not what a crash cut off: a last commit says that all before it was there
    /// ([`super::tail`]), which holds because a copy counts only once all of it is synced ([`disk::install`]).
    fn seal(&mut self, directory: &Path) -> Result<(), JournalError> {
        self.flush()?;
        self.store.synced(self.store.written()).map_err(|e| values::failed(&e))?;
        let format = self.store.get(keys::META_FORMAT).map_err(|e| values::failed(&e))?;
        self.set(keys::META_FORMAT, format)?;
        self.apply()?;
        self.flush()?;
        Witness::open(directory)?.note(open::after_last(&self.store)?);
        Ok(())
    }

    fn flush(&self) -> Result<(), JournalError> {
        self.store.flush().map(drop).map_err(|e| values::failed(&e))
    }

    /// A store restored from backup is another one: new epoch, and block numbers far beyond the old ones.
    fn rebirth(&mut self, epoch: u64) -> Result<(), JournalError> {
        self.apply()?;
        let next = open::after_last(&self.store)?;
        let put = Put::new(keys::META_EPOCH.to_vec(), &epoch.to_be_bytes());
        self.set(&put.key, put.value.map(sled::IVec::from))?;
        // An empty block holds the place.
        let mut packer = crate::persistence::envelope::Packer::new(next + open::RESTORE_JUMP, Timestamp(0));
        packer.place_holder();
        packer.finish().0.into_iter().try_for_each(|(number, block)| self.set(&keys::log(number), Some(block.into())))
    }
}

/// The horizon as stored.
pub(super) fn horizon(store: &sled::Tree) -> Result<u64, JournalError> {
    Ok(values::get_u64(store, keys::META_HORIZON)?.unwrap_or(0))
}

/// Copies a store that does not change into the new directory of a store.
pub(super) fn copy_store(
    source: &sled::Tree,
    directory: &Path,
    epoch: Option<u64>,
    keep: &Keep,
) -> Result<Findings, JournalError> {
    let mut target = Target::new(directory)?;
    copy_all(source, &mut target, keep)?;
    target.finish(directory, epoch)
}

/// Copies a store that does not change into a journal directory of its own.
pub(super) fn copy_into(
    source: &sled::Tree,
    path: &Path,
    epoch: Option<u64>,
    keep: &Keep,
) -> Result<Findings, JournalError> {
    let (_lock, fresh) = claim_directory(path)?;
    let findings = copy_store(source, &fresh, epoch, keep)?;
    disk::install(path, &fresh)?;
    Ok(findings)
}

fn claim_directory(path: &Path) -> Result<(std::fs::File, std::path::PathBuf), JournalError> {
    let lock = disk::lock(path)?;
    if disk::current(path)?.is_some() {
        return Err(JournalError::Unavailable(format!("{} holds a journal already", path.display())));
    }
    disk::sweep(path)?;
    Ok((lock, disk::fresh(path)?))
}

fn copy_all(source: &sled::Tree, target: &mut Target, keep: &Keep) -> Result<(), JournalError> {
    let last = open::after_last(source)?.saturating_sub(1);
    let mut kept_before = false;
    for entry in source.iter() {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        let keeps = keep.keeps(source, last, &key, &raw)?;
        // A later piece whose first one is gone would only be litter.
        let orphan = key.first() == Some(&keys::LOG)
            && !kept_before
            && later_piece(&raw)
            && keys::log_number(&key) != Some(last);
        kept_before = keeps && !orphan;
        if kept_before {
            target.set(&key, Some(raw))?;
        }
    }
    target.apply()
}

fn later_piece(raw: &[u8]) -> bool {
    matches!(Block::decode(raw), Ok(Block { content: Content::Piece { index, .. }, .. }) if index > 0)
}

/// Copies a store while its commit thread works.
pub(super) fn backup(shared: &Shared, path: &Path) -> Result<Findings, JournalError> {
    if shared.backing_up.swap(true, SeqCst) {
        return Err(JournalError::Unavailable("another backup is under way".into()));
    }
    let outcome = claim_directory(path).and_then(|(lock, fresh)| {
        let findings = backup_into(shared, &fresh);
        shared.mutable().dirty = None;
        let installed = findings.and_then(|findings| disk::install(path, &fresh).map(|()| findings));
        drop(lock);
        installed
    });
    shared.backing_up.store(false, SeqCst);
    outcome
}

fn backup_into(shared: &Shared, directory: &Path) -> Result<Findings, JournalError> {
    let mut target = Target::new(directory)?;
    step(shared, Freeze::Begin)?;
    copy_all(&shared.tree, &mut target, &Keep::All)?;
    for _ in 0..ROUNDS {
        let keys = step(shared, Freeze::Take)?;
        copy_keys(shared, &mut target, &keys)?;
        if keys.len() <= LAST_KEYS {
            break;
        }
    }
    let (release, released) = sync_channel(1);
    let keys = step(shared, |reply| Freeze::Hold(reply, released))?;
    let copied = copy_keys(shared, &mut target, &keys);
    // The commit thread goes on by itself if it has waited too long; then the copy is not of one moment.
    let in_time = release.try_send(()).is_ok();
    copied?;
    if !in_time {
        return Err(JournalError::Unavailable("the backup held up commits for too long".into()));
    }
    target.finish(directory, None)
}

/// Has the commit thread take a step between two commits.
fn step(
    shared: &Shared,
    freeze: impl FnOnce(std::sync::mpsc::SyncSender<HashSet<Vec<u8>>>) -> Freeze,
) -> Result<HashSet<Vec<u8>>, JournalError> {
    let (reply, answer): (_, Receiver<HashSet<Vec<u8>>>) = sync_channel(1);
    let refused = |_| JournalError::Unavailable("the journal takes no backup now: its queue is full or closed".into());
    shared.queue.push(Job::Freeze(freeze(reply))).map_err(refused)?;
    answer.recv().map_err(|_| JournalError::Unavailable("the journal stopped during the backup".into()))
}

fn copy_keys(shared: &Shared, target: &mut Target, keys: &HashSet<Vec<u8>>) -> Result<(), JournalError> {
    for key in keys {
        target.set(key, shared.raw(key)?)?;
    }
    target.apply()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::contract::{ManualClock, row, turn};
    use crate::persistence::sled::{SledJournal, Tool, tests::config};
    use crate::persistence::{Append, Journal, StreamName};
    use std::path::PathBuf;

    /// What a store's directory holds.
    fn files(store: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let paths = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    fn put_back(store: &Path, pristine: &[(PathBuf, Vec<u8>)]) {
        files(store).iter().for_each(|(path, _)| std::fs::remove_file(path).unwrap());
        pristine.iter().for_each(|(path, content)| std::fs::write(path, content).unwrap());
    }

    /// J9. Nobody looks at a backup until it is needed: what has rotted in it must be told then.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flipped_bit_in_a_backup_is_never_silent() {
        let directory = tempfile::tempdir().unwrap();
        let journal = SledJournal::open(&config(directory.path()), &ManualClock::default().shared()).unwrap();
        let token = journal.claim(&StreamName::new("charger", "A")).await.unwrap().token;
        for after in 0..60 {
            let rows = (0..10).map(|n| row(&format!("{after}-{n}"), Some(&[b'r'; 5_000]))).collect();
            journal.append(&token, Append { rows, ..turn(after, &[b'x'; 300]) }).await.unwrap();
        }
        let backup = directory.path().join("backup");
        let whole = journal.backup(&backup).await.unwrap();
        assert_eq!((whole.records, whole.rows), (60, 600));
        let store = disk::current(&backup).unwrap().unwrap();
        let (pristine, db) = (files(&store), store.join("db"));
        let length = std::fs::metadata(&db).unwrap().len() as usize;
        let mut told = 0;
        // Anywhere, and within the header of each segment.
        let segments = (0..length / (512 << 10)).map(|n| n * (512 << 10) + 16);
        for at in (0..120).map(|round| length * round / 120 + 100).chain(segments) {
            put_back(&store, &pristine);
            let mut content = std::fs::read(&db).unwrap();
            content[at] ^= 8;
            std::fs::write(&db, content).unwrap();
            match Tool::open(&backup).map(|tool| tool.verify()) {
                // By its place, and with all else still there.
                Err(JournalError::Corrupt { why, .. }) => {
                    assert!(why.contains(" cannot be read"), "a bit flipped at {at}: {why}");
                    told += 1;
                }
                Err(error) => panic!("a bit flipped at {at}: {error}"),
                Ok(found) => assert_eq!(found, whole, "a bit flipped at {at} went unnoticed"),
            }
        }
        assert!(told >= 30, "only {told} flips hit anything: this test looks in the wrong places");
    }
}
