//! What was changed in sled (`vendor/sled/PATCHES.md`), shown on sled itself. Small segments, so that a short test passes
//! through many of them where nothing else is said; a page of more than a quarter of one would lie in a file of its own, which the
//! journal never lets happen.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use sled::{Batch, Config, Db};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{fs, io};

mod lists;

const SEGMENT: usize = 256 << 10;

/// When a segment becomes free depends on what other threads look at; where that matters a test runs alone.
static ALONE: RwLock<()> = RwLock::new(());

fn open(directory: &Path) -> sled::Result<Db> {
    Config::new().path(directory).segment_size(SEGMENT).flush_every_ms(None).cache_capacity(1 << 20).open()
}

/// What the store holds, beside what it should hold.
struct Model {
    store: Db,
    content: BTreeMap<Vec<u8>, Vec<u8>>,
    random: SmallRng,
    next: u64,
}

impl Model {
    fn new(directory: &Path, seed: u64) -> Model {
        let random = SmallRng::seed_from_u64(seed);
        Model { store: open(directory).unwrap(), content: BTreeMap::new(), random, next: 0 }
    }

    /// A commit as the journal makes them: appended log, rows written again and again, history that goes, all at once.
    fn commit(&mut self) {
        self.write();
        self.synced();
    }

    /// Tells the store of a sync. None is made: a test has what the disk would have.
    fn synced(&self) {
        let written = self.store.written();
        self.store.synced(written).unwrap();
    }

    /// A commit without its sync.
    fn write(&mut self) {
        let mut batch = Batch::default();
        for _ in 0..self.random.random_range(1..8) {
            let value = vec![self.random.random(); self.random.random_range(1..5_000)];
            self.put(&mut batch, [&b"l"[..], &self.next.to_be_bytes()].concat(), value);
            self.next += 1;
        }
        for _ in 0..self.random.random_range(0..4) {
            let key = format!("row{}", self.random.random_range(0..300));
            let value = vec![self.random.random(); self.random.random_range(0..500)];
            self.put(&mut batch, key.into_bytes(), value);
        }
        if self.next > 400 {
            for number in self.next - 400..self.next - 390 {
                // One in seven stays for ever.
                if number % 7 != 0 {
                    let key = [&b"l"[..], &number.to_be_bytes()].concat();
                    self.content.remove(&key);
                    batch.remove(key);
                }
            }
        }
        self.store.apply_batch(batch).unwrap();
        self.store.relocate(8 << 10).unwrap();
        self.store.flush().unwrap();
        if self.random.random_bool(0.2) {
            self.store.grow().unwrap();
        }
    }

    fn put(&mut self, batch: &mut Batch, key: Vec<u8>, value: Vec<u8>) {
        batch.insert(key.clone(), value.clone());
        self.content.insert(key, value);
    }

    fn assert_holds(&self, store: &Db, when: &str) {
        let found = content(store);
        assert!(found == self.content, "{when}: {} found, {} expected", found.len(), self.content.len());
    }
}

fn content(store: &Db) -> BTreeMap<Vec<u8>, Vec<u8>> {
    store.iter().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

/// As a process that was killed leaves it.
fn copy(from: &Path, to: &Path) {
    try_copy(from, to).unwrap();
}

fn try_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.join("blobs"))?;
    for entry in fs::read_dir(from)?.map(Result::unwrap) {
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[test]
fn what_was_flushed_is_there_however_pages_are_split_moved_and_merged() {
    let _alone = ALONE.read();
    for seed in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("store");
        let mut model = Model::new(&place, seed);
        for round in 0..12 {
            for _ in 0..60 {
                model.commit();
            }
            let killed = directory.path().join(format!("killed-{round}"));
            copy(&place, &killed);
            model.assert_holds(&open(&killed).unwrap(), &format!("seed {seed}, killed in round {round}"));
            if round % 3 == 2 {
                drop(model.store);
                model.store = open(&place).unwrap();
            }
            model.assert_holds(&model.store, &format!("seed {seed}, round {round}"));
        }
    }
}

/// What a disk may hold that loses its power: of what was written since the last sync any block, or none.
fn cut(synced: &[u8], written: &[u8], random: &mut SmallRng) -> Vec<u8> {
    const BLOCK: usize = 4 << 10;
    let mut left = synced.to_vec();
    left.resize(synced.len().max(written.len()), 0);
    // Mostly nearly all: that is what leaves holes.
    let kept = 1.0 - random.random_range(0.0_f64..=1.0).powi(4);
    for (left, written) in left.chunks_mut(BLOCK).zip(written.chunks(BLOCK)) {
        if random.random_bool(kept) {
            left[..written.len()].copy_from_slice(written);
        }
    }
    left
}

#[test]
fn a_power_cut_leaves_what_was_synced_and_whole_commits_of_the_rest() {
    let _alone = ALONE.read();
    let (mut torn, mut whole, mut used) = (0, 0, 0);
    for seed in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("store");
        let mut model = Model::new(&place, seed);
        for round in 0..25 {
            for _ in 0..model.random.random_range(1..30) {
                model.commit();
            }
            model.write();
            // What the store writes once it is told of the sync may be lost, too; it is told when others have been written.
            let mut told = Some(model.store.written());
            let mut synced = fs::read(place.join("db")).unwrap();
            let (late, more) = (model.random.random_range(0..4), model.random.random_range(1..30));
            let (list_at, use_at) = (model.random.random_range(0..30), model.random.random_range(0..30));
            let mut list = None;
            let mut states = vec![model.content.clone()];
            // Up to a few segments, and fewer than the store would sync by itself.
            for n in 0..more {
                if let Some(told) = told.take_if(|_| n == late) {
                    model.store.synced(told).unwrap();
                }
                model.write();
                states.push(model.content.clone());
                if n == list_at {
                    list = Some(model.store.list_pages().unwrap());
                }
                if n == use_at
                    && let Some(list) = list.take()
                {
                    model.store.use_list(list).unwrap();
                    used += 1;
                    // It is used once all that has been written so far is durable.
                    synced = fs::read(place.join("db")).unwrap();
                    states = vec![model.content.clone()];
                }
            }
            let written = fs::read(place.join("db")).unwrap();
            told.map_or(Ok(()), |told| model.store.synced(told)).unwrap();
            for cut_at in 0..3 {
                let lost = directory.path().join(format!("lost-{round}-{cut_at}"));
                copy(&place, &lost);
                fs::write(lost.join("db"), cut(&synced, &written, &mut model.random)).unwrap();
                let when = format!("seed {seed}, round {round}, cut {cut_at}");
                let store = open(&lost).unwrap_or_else(|error| panic!("{when}: {error}"));
                let found = content(&store);
                let at = states.iter().position(|state| *state == found);
                assert!(at.is_some(), "{when}: {} found, {} synced", found.len(), states[0].len());
                torn += usize::from(at == Some(0));
                whole += usize::from(at > Some(0));
            }
            model.synced();
        }
    }
    assert!(torn > 50 && whole > 50, "{torn} left what was synced, {whole} left more");
    assert!(used > 10, "only {used} lists of pages");
}

#[test]
fn the_file_stays_in_proportion_to_what_it_holds() {
    let _alone = ALONE.write();
    let size = |moved: u64| {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        for n in 0_u64..40_000 {
            // A log of which one entry in twelve stays for ever.
            let mut batch = Batch::default();
            batch.insert(&n.to_be_bytes(), vec![7; 1_500]);
            if let Some(old) = n.checked_sub(100).filter(|old| old % 12 != 0) {
                batch.remove(&old.to_be_bytes());
            }
            store.apply_batch(batch).unwrap();
            store.relocate(moved).unwrap();
            store.flush().unwrap();
            let written = store.written();
            store.synced(written).unwrap();
        }
        // Before anything is read: who reads merges small leaves, which is written too.
        let file = fs::metadata(directory.path().join("db")).unwrap().len();
        let held: usize = store.iter().map(|entry| entry.unwrap().1.len()).sum();
        file as f64 / held as f64
    };
    let (with, without) = (size(12 << 10), size(0));
    assert!(with < 2.5, "{with:.1} times what is held, {without:.1} without moving");
    assert!(without > with * 2.5, "{without:.1} times without moving, {with:.1} with");
}

#[test]
fn what_was_split_is_not_merged_at_once() {
    let _alone = ALONE.read();
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    // Around the size below which few values are merged into their neighbours.
    let sizes = 2_020..2_060_usize;
    for size in sizes.clone() {
        for n in 0..20 {
            store.insert(format!("{size}-{n:02}"), vec![7; size]).unwrap();
        }
    }
    store.flush().unwrap();
    let (held, file) = (sizes.sum::<usize>() as u64 * 20, fs::metadata(directory.path().join("db")).unwrap().len());
    assert!(file < 6 * held, "{file} bytes for {held}");
}

/// A leaf that is split into what is merged at once is split again, without end.
#[test]
fn leaves_of_any_mixture_of_sizes_come_to_rest() {
    let _alone = ALONE.read();
    for seed in 0..40 {
        let directory = tempfile::tempdir().unwrap();
        // The journal's segments.
        let store = Config::new().path(directory.path()).flush_every_ms(None).open().unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut content = BTreeMap::new();
        // Blocks of large commits among those of small ones.
        let largest = [[4_100, 16_384][random.random_range(0..2)], [60, 600, 1_900, 2_200][random.random_range(0..4)]];
        for n in 0..500_u64 {
            let number = if seed % 2 == 0 { n } else { random.random_range(0..2_000) };
            let key = [&b"log"[..], &number.to_be_bytes()].concat();
            let largest = largest[random.random_range(0..2)];
            let value = vec![7; random.random_range(largest / 2..=largest)];
            store.insert(key.clone(), value.clone()).unwrap();
            content.insert(key, value);
        }
        assert!(self::content(&store) == content, "seed {seed}");
        let blobs = fs::read_dir(directory.path().join("blobs")).unwrap().count();
        assert_eq!(blobs, 0, "seed {seed}: a leaf in a file of its own");
    }
}

#[test]
fn what_is_appended_is_written_once_however_leaves_are_split() {
    let _alone = ALONE.read();
    let directory = tempfile::tempdir().unwrap();
    // The journal's segments.
    let store = Config::new().path(directory.path()).flush_every_ms(None).open().unwrap();
    let mut appended = 0;
    for commit in 0..200_u64 {
        let mut batch = Batch::default();
        for n in 0..6 {
            // The blocks of a large commit, the last one smaller.
            let value = vec![7; if n < 5 { 16_000 } else { 3_000 }];
            appended += value.len() as u64;
            batch.insert(&(commit * 10 + n).to_be_bytes(), value);
        }
        store.apply_batch(batch).unwrap();
        store.relocate(64 << 10).unwrap();
        store.flush().unwrap();
        store.synced(store.written()).unwrap();
    }
    let file = fs::metadata(directory.path().join("db")).unwrap().len();
    assert!(file * 10 < appended * 16, "{file} bytes for {appended}");
    let blobs = fs::read_dir(directory.path().join("blobs")).unwrap().count();
    assert_eq!(blobs, 0, "leaves of their own file");
}

/// As the log of a journal grows: a commit of so many blocks.
fn append(store: &Db, commit: u64, blocks: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let value = vec![1 + (commit % 250) as u8; 4_000];
    let key = |block: u64| (commit * 100 + block).to_be_bytes().to_vec();
    let content: BTreeMap<_, _> = (0..blocks).map(|block| (key(block), value.clone())).collect();
    let mut batch = Batch::default();
    content.iter().for_each(|(key, value)| batch.insert(key.clone(), value.clone()));
    store.apply_batch(batch).unwrap();
    store.flush().unwrap();
    store.synced(store.written()).unwrap();
    content
}

#[test]
fn a_commit_lies_within_the_file_where_it_has_grown_before() {
    let _alone = ALONE.read();
    let directory = tempfile::tempdir().unwrap();
    let store = Config::new().path(directory.path()).flush_every_ms(None).open().unwrap();
    let length = || fs::metadata(directory.path().join("db")).unwrap().len();
    let (mut grown, mut furthest) = (0, 0);
    for commit in 0..1_000 {
        while store.is_short() && store.grow().unwrap() {
            grown += 1;
        }
        let before = length();
        append(&store, commit, 5);
        assert_eq!(length(), before, "commit {commit}");
        furthest = furthest.max(before);
    }
    assert!(grown > 30, "{grown} segments of zeros");
    let held = 1_000 * 20_000;
    assert!(furthest < held * 2, "{furthest} bytes for {held}");
}

#[test]
fn who_makes_the_file_grow_never_writes_over_what_is_written_meanwhile() {
    let _alone = ALONE.read();
    let mut grown = 0;
    // A small store is a segment ahead at most, so that its end is reached again and again.
    for round in 0..60 {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("store");
        let store = open(&place).unwrap();
        let done = AtomicBool::new(false);
        let content = std::thread::scope(|scope| {
            let grow = || {
                let mut grown = 0;
                while !done.load(Relaxed) {
                    grown += u32::from(store.grow().unwrap());
                }
                grown
            };
            // More than there are cores: one or the other has to pause in the middle.
            let growing: Vec<_> = (0..4).map(|_| scope.spawn(grow)).collect();
            let content: BTreeMap<_, _> = (0..20).flat_map(|commit| append(&store, commit, 60)).collect();
            done.store(true, Relaxed);
            grown += growing.into_iter().map(|growing| growing.join().unwrap()).sum::<u32>();
            content
        });
        let killed = directory.path().join("killed");
        copy(&place, &killed);
        assert!(self::content(&open(&killed).unwrap()) == content, "round {round}");
    }
    assert!(grown > 600, "{grown} segments of zeros");
}

/// The two in which the log ends, by the number in the header of each.
fn newest_segments(file: &[u8]) -> Vec<usize> {
    let number = |raw: &[u8]| i64::from_le_bytes(raw[4..12].try_into().unwrap()) ^ i64::MAX;
    // What was freed has no number: its header is erased.
    let live =
        file.chunks(SEGMENT).map(number).enumerate().filter(|(_, number)| *number >= 0 && number % SEGMENT as i64 == 0);
    let mut segments: Vec<(i64, usize)> = live.map(|(index, number)| (number, index)).collect();
    segments.sort_unstable();
    segments.iter().rev().take(2).map(|(_, index)| *index).collect()
}

#[test]
fn a_flipped_bit_in_what_was_written_since_the_store_was_opened_is_never_silent() {
    let _alone = ALONE.read();
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("store");
    let mut model = Model::new(&place, 5);
    for _ in 0..400 {
        model.commit();
    }
    let whole = fs::read(place.join("db")).unwrap();
    // Not in the newest segments: there it may be a commit that a crash cut off, which is for those who know of commits to tell.
    let newest = newest_segments(&whole);
    let (mut told, mut harmless) = (0, 0);
    // How much of the file is of use depends on which segments were free when: on, until many have been told.
    while told < 40 {
        assert!(harmless < 400, "{told} told, {harmless} harmless");
        let at = model.random.random_range(0..whole.len());
        if newest.contains(&(at / SEGMENT)) {
            continue;
        }
        let flipped = directory.path().join("flipped");
        copy(&place, &flipped);
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << model.random.random_range(0..8);
        fs::write(flipped.join("db"), bytes).unwrap();
        let content = std::panic::catch_unwind(|| -> sled::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
            open(&flipped)?.iter().map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        });
        match content {
            Ok(Ok(content)) => {
                assert!(content == model.content, "byte {at}: {} of {} there", content.len(), model.content.len());
                harmless += 1;
            }
            Ok(Err(_)) | Err(_) => told += 1,
        }
        fs::remove_dir_all(&flipped).unwrap();
    }
}
