//! Ends of stores: whole, cut off, damaged, and what starts have freed.

use super::*;
use crate::persistence::contract::{ManualClock, row, turn};
use crate::persistence::sled::SledJournal;
use crate::persistence::sled::stable::tests::{self as stable, UnderWay};
use crate::persistence::sled::tests::config;
use crate::persistence::{Append, Journal as _, StreamName};
use futures_util::future::join_all;
use std::path::PathBuf;
use std::sync::Arc;

/// A store as it was after each of its commits, while its journal was open: nothing follows the last one.
struct Grown {
    directory: tempfile::TempDir,
    clock: ManualClock,
    files: Vec<Vec<u8>>,
}

async fn grown(commits: u64) -> Grown {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let config = config(directory.path());
    let journal = SledJournal::open(&config, &clock.shared()).unwrap();
    let db = disk::current(&config.path).unwrap().unwrap().join("db");
    let token = journal.claim(&stream()).await.unwrap().token;
    let mut files = Vec::new();
    for after in 0..commits {
        journal.append(&token, turn(after, &[b'x'; 700])).await.unwrap();
        files.push(std::fs::read(&db).unwrap());
    }
    drop(journal);
    Grown { directory, clock, files }
}

fn stream() -> StreamName {
    StreamName::new("charger", "A")
}

impl Grown {
    fn store(&self) -> PathBuf {
        disk::current(&config(self.directory.path()).path).unwrap().unwrap()
    }

    /// Where a commit begins and ends.
    fn commit(&self, n: usize) -> (usize, usize) {
        let (before, after) = (&self.files[n - 1], &self.files[n]);
        // The file may have grown meanwhile, by zeros.
        let byte = |file: &[u8], at: usize| file.get(at).copied().unwrap_or_default();
        let differs = |at: &usize| byte(before, *at) != byte(after, *at);
        ((0..after.len()).find(differs).unwrap(), (0..after.len()).rfind(differs).unwrap())
    }

    /// With this file and a witness that knows nothing, as after a power cut.
    fn look_at(&self, db: &[u8]) -> End {
        let store = self.store();
        std::fs::write(store.join("db"), db).unwrap();
        std::fs::write(store.join(witness::NAME), [0; 12]).unwrap();
        for entry in std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_name().to_string_lossy().starts_with("snap.") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        look(&disk::db_file(&store).unwrap(), listed(&store).unwrap()).unwrap()
    }

    fn open(&self) -> Result<Arc<SledJournal>, JournalError> {
        SledJournal::open(&config(self.directory.path()), &self.clock.shared())
    }
}

#[tokio::test]
async fn whole_commits_end_clean_and_each_part_of_a_torn_one_is_told_and_dropped() {
    let grown = grown(12).await;
    let whole = grown.files.last().unwrap();
    assert_eq!(grown.look_at(whole), End::Clean);
    let (first, last) = grown.commit(11);
    for kept in [first + 30, (first + last) / 2, last - 8] {
        for rest in [0, 0xA5] {
            let mut torn = whole.clone();
            torn[kept..=last].fill(rest);
            let End::CutOff { from, to } = grown.look_at(&torn) else {
                panic!("{kept} of {first}..{last}: {:?}", grown.look_at(&torn))
            };
            assert!((from..=to).contains(&(first as u64)) || from == first as u64, "{from}..{to}, {first}");
            assert!(to >= from && to <= last as u64, "{from}..{to}");
            let claimed = grown.open().unwrap().claim(&stream()).await.unwrap();
            assert_eq!(claimed.sequence, 11, "all but the torn one");
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_an_acknowledged_commit_is_refused_with_its_place() {
    let grown = grown(12).await;
    let mut noticed = 0;
    for n in 1..11 {
        let (first, last) = grown.commit(n);
        for at in [first + 12, (first + last) / 2, last - 1] {
            let mut flipped = grown.files.last().unwrap().clone();
            flipped[at] ^= 4;
            let End::Damaged { at: place, behind } = grown.look_at(&flipped) else {
                panic!("byte {at} of commit {n}: {:?}", grown.look_at(&flipped))
            };
            assert!(place <= at as u64 && at < behind as usize, "{place} {at} {behind}");
            let Err(JournalError::Corrupt { key, why }) = grown.open() else { panic!("opened") };
            assert!(key.ends_with("/db") && why.contains(&format!("byte {place} ")), "{key}: {why}");
            noticed += 1;
        }
    }
    assert_eq!(noticed, 30);
    std::fs::remove_file(grown.store().join(witness::NAME)).unwrap();
    assert!(grown.open().is_ok(), "an operator may go on without what is lost");
}

/// What the disk may hold of four commits that one sync would have made stable.
#[tokio::test]
async fn what_was_written_before_a_torn_commit_was_synced_is_no_proof_of_damage_and_what_was_written_after_is() {
    let directory = tempfile::tempdir().unwrap();
    let journal = stable::journal(directory.path(), 1);
    let store = disk::current(&journal.shared.config.path).unwrap().unwrap();
    let (mut calls, mut token) = (Vec::new(), None);
    for n in 0..4 {
        let claimed = stable::claim(&journal, &format!("C{n}")).await;
        stable::append(&journal, &claimed, 0).await.unwrap();
        calls.push(stable::append(&journal, &claimed, 1));
        token.get_or_insert(claimed);
    }
    let read = || std::fs::read(store.join("db")).unwrap();
    let before = read();
    let under_way = UnderWay::make(&journal, calls, 4).await;
    let unsynced = read();
    // The file may have been made longer meanwhile, by zeros or by the commits themselves.
    let first = (0..unsynced.len()).find(|at| before.get(*at).copied().unwrap_or(0) != unsynced[*at]).unwrap();
    drop(under_way.gate);
    assert!(join_all(under_way.calls).await.iter().all(Result::is_ok));
    stable::append(&journal, &token.unwrap(), 2).await.unwrap();
    let synced = read();
    drop(journal);
    let look_at = |db: &[u8]| {
        let mut torn = db.to_vec();
        torn[first + 60..first + 90].fill(0);
        std::fs::write(store.join("db"), torn).unwrap();
        look(&disk::db_file(&store).unwrap(), listed(&store).unwrap()).unwrap()
    };
    assert!(matches!(look_at(&synced), End::Damaged { .. }), "{:?}", look_at(&synced));
    assert!(matches!(look_at(&unsynced), End::CutOff { .. }), "{:?}", look_at(&unsynced));
    // As after a power cut: neither witness nor snapshot tells more.
    std::fs::write(store.join(witness::NAME), [0; 12]).unwrap();
    for entry in std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let journal = stable::journal(directory.path(), 1);
    for n in 0..4 {
        let claimed = journal.claim(&StreamName::new("charger", &format!("C{n}"))).await.unwrap();
        assert_eq!(claimed.sequence, 1, "none of the four");
    }
}

/// A store of before commits named what was synced: then all before each was.
#[test]
fn a_manifest_without_what_was_synced_proves_all_before_it() {
    let mut bytes = vec![0; 1_000];
    let body = 700_i64.to_le_bytes();
    // Kind, length, segment, page, each below 241.
    let head = [MANIFEST, 8, 3, 2];
    let mut crc = crc32fast::Hasher::new();
    crc.update(&body);
    crc.update(&head);
    let message = [&(crc.finalize() ^ u32::MAX).to_le_bytes()[..], &head, &body].concat();
    bytes[500..500 + message.len()].copy_from_slice(&message);
    let segment = Segment { offset: 9 << 20, number: 3, bytes };
    let lsn = 3 * SEGMENT as i64 + 500;
    assert_eq!(later(&segment, 20, lsn - 1), Some((9 << 20) + 500));
    assert_eq!(later(&segment, 20, lsn), None, "itself it does not prove");
}

/// A start frees segments of which nothing is needed, also the one in which the log was synced when the newest was begun.
#[tokio::test]
async fn a_store_whose_start_has_freed_segments_is_whole_wherever_it_ends() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let config = config(directory.path());
    let mut freed = 0;
    for start in 0..40 {
        let journal = SledJournal::open(&config, &clock.shared()).unwrap();
        let token = journal.claim(&stream()).await.unwrap().token;
        for n in 0..20 {
            let rows = vec![row(&format!("{}", n % 3), Some(&[start; 3_000]))];
            journal.append(&token, Append { rows, ..turn(u64::from(start) * 20 + n, b"x") }).await.unwrap();
        }
        drop(journal);
        let store = disk::current(&config.path).unwrap().unwrap();
        let Log { segments, stable, .. } = survey(&disk::db_file(&store).unwrap()).unwrap();
        freed += usize::from(!segments.contains_key(&(stable / SEGMENT as i64 * SEGMENT as i64)));
    }
    assert!(freed > 3, "only {freed} stores in which this could be seen");
}

#[tokio::test]
async fn a_flipped_bit_long_before_the_end_is_refused_with_its_place_and_so_is_one_in_any_header() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let config = config(directory.path());
    let journal = SledJournal::open(&config, &clock.shared()).unwrap();
    let token = journal.claim(&stream()).await.unwrap().token;
    for after in 0..600 {
        journal.append(&token, turn(after, &[b'x'; 4_000])).await.unwrap();
    }
    drop(journal);
    let db = disk::current(&config.path).unwrap().unwrap().join("db");
    let bytes = std::fs::read(&db).unwrap();
    let Log { segments, stable, .. } = survey(&File::open(&db).unwrap()).unwrap();
    assert!(stable >= 2 * SEGMENT as i64, "the look at the end does not begin before them");
    let headers = segments.values().map(|offset| *offset as usize + 16);
    for at in headers.chain([200_000]) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 16;
        std::fs::write(&db, bytes).unwrap();
        let Err(JournalError::Corrupt { key, why }) = SledJournal::open(&config, &clock.shared()) else {
            panic!("opened with a bit flipped at {at}")
        };
        assert!(key.ends_with("/db") && why.starts_with("byte ") && why.contains("Restore a backup"), "{key}: {why}");
    }
}
