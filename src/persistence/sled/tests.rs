//! The contract on sled, and what only a store on disk can show.

use super::{SledJournal, disk, keys};
use crate::config::journal::Journal as Config;
use crate::persistence::contract::{ManualClock, Subject, notice, record, turn};
use crate::persistence::{Append, AppendError, Journal, JournalError, SharedJournal, Snapshot, StreamName};
use async_trait::async_trait;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tempfile::TempDir;

pub(in crate::persistence) fn config(path: &Path) -> Config {
    #[derive(serde::Deserialize)]
    struct File {
        journal: Config,
    }
    let mut config = toml::from_str::<File>(crate::config::DEFAULTS).unwrap().journal;
    config.path = path.join("data");
    config.reserve_bytes = 1 << 20;
    config.full_floor_bytes = 1 << 20;
    config.cache_bytes = 8 << 20;
    config.upkeep_interval = Duration::from_millis(100);
    config
}

/// Flips a bit of a value in a store that nobody has open.
pub(in crate::persistence) fn damage(path: &Path, key: &[u8]) {
    let store = super::open::open_sled(&disk::current(path).unwrap().unwrap(), 8 << 20).unwrap();
    let mut raw = store.get(key).unwrap().unwrap().to_vec();
    *raw.last_mut().unwrap() ^= 1;
    store.insert(key, raw).unwrap();
    store.flush().unwrap();
}

struct Sled {
    directory: TempDir,
    journal: Option<Arc<SledJournal>>,
    clock: ManualClock,
}

fn sled() -> Sled {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let journal = SledJournal::open(&config(directory.path()), &clock.shared()).unwrap();
    Sled { directory, journal: Some(journal), clock }
}

impl Sled {
    fn open(&self) -> &Arc<SledJournal> {
        self.journal.as_ref().unwrap()
    }

    /// Opens what a journal of this very process has left. sled's own threads let go of its lock a little later than the last
    /// of ours.
    fn open_again(&self) -> Result<Arc<SledJournal>, JournalError> {
        let begun = std::time::Instant::now();
        loop {
            match SledJournal::open(&config(self.directory.path()), &self.clock.shared()) {
                Err(JournalError::Unavailable(why))
                    if why.contains("could not acquire lock") && begun.elapsed() < Duration::from_secs(10) =>
                {
                    std::thread::yield_now();
                }
                opened => return opened,
            }
        }
    }

    /// Flips a byte of the block in which a record begins.
    fn flip(&self, stream: &StreamName, sequence: u64) -> u64 {
        let shared = &self.open().shared;
        let block = {
            let index = shared.index();
            index.streams[stream].runs().rev().find(|run| run.first_sequence <= sequence).unwrap().block
        };
        let mut raw = shared.raw(&keys::log(block)).unwrap().unwrap().to_vec();
        let last = raw.len() - 6;
        raw[last] ^= 0x10;
        shared.tree.insert(keys::log(block), raw).unwrap();
        block
    }
}

#[async_trait]
impl Subject for Sled {
    fn journal(&self) -> SharedJournal {
        self.open().clone()
    }

    fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    async fn reopen_after(&mut self, time: Duration) {
        self.journal = None;
        self.clock.advance(time);
        self.journal = Some(self.open_again().unwrap());
    }

    async fn corrupt(&mut self, stream: &StreamName, sequence: u64) {
        self.flip(stream, sequence);
    }
}

crate::contract_suite!(sled());

#[tokio::test]
async fn a_second_opener_is_refused_clearly() {
    let first = sled();
    let second = SledJournal::open(&config(first.directory.path()), &first.clock.shared());
    assert!(matches!(second, Err(JournalError::Unavailable(why)) if why.contains("another process has the journal")));
}

#[tokio::test]
async fn a_corrupt_block_in_the_tail_refuses_the_start_by_name() {
    let mut subject = sled();
    let name = StreamName::new("charger", "A");
    let token = subject.open().claim(&name).await.unwrap().token;
    subject.open().append(&token, turn(0, b"a")).await.unwrap();
    let block = subject.flip(&name, 1);
    subject.journal = None;
    match subject.open_again() {
        Err(JournalError::Corrupt { key, why }) => {
            assert_eq!((key, why.as_str()), (format!("log/{block}"), "checksum mismatch"));
        }
        other => panic!("opened with a corrupt block: {other:?}"),
    }
}

#[tokio::test]
async fn what_was_left_of_a_store_in_the_making_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path());
    // A power cut during creation: files are there, CURRENT is not.
    let litter = config.path.join("store-1");
    std::fs::create_dir_all(&litter).unwrap();
    std::fs::write(litter.join("conf"), b"half").unwrap();
    let clock = ManualClock::default();
    let journal = SledJournal::open(&config, &clock.shared()).unwrap();
    journal.claim(&StreamName::new("charger", "A")).await.unwrap();
    assert_ne!(std::fs::read(litter.join("conf")).unwrap(), b"half");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_reaches_the_blobs_directory() {
    let subject = sled();
    let journal = subject.open();
    let name = StreamName::new("charger", "A");
    let token = journal.claim(&name).await.unwrap().token;
    for after in 0..40 {
        let mut append = turn(after, &vec![1; 60_000]);
        let row = crate::persistence::contract::row(&format!("r{}", after % 7), Some(&vec![2; 30_000]));
        append.rows = vec![row];
        let mut large = notice("p1", after);
        large.data = serde_json::json!("x".repeat(10_000));
        append.records[0].notices = vec![large; 20];
        journal.append(&token, append).await.unwrap();
        let snapshot = Snapshot { sequence: after + 1, state: vec![3; 200_000] };
        journal.snapshot(&token, snapshot, true).await.unwrap();
        journal.create_once(&format!("k{after}"), &vec![4; 50_000], Duration::from_secs(9)).await.unwrap();
    }
    let store = disk::current(&journal.shared.config.path).unwrap().unwrap();
    assert_eq!(disk::blobs(&store).unwrap(), 0);
    assert!(store.join("blobs").exists(), "sled has moved its blobs: this test looks in the wrong place");
}

#[tokio::test]
async fn a_full_queue_answers_retry() {
    let subject = sled();
    let journal = subject.open();
    let name = StreamName::new("charger", "A");
    let token = journal.claim(&name).await.unwrap().token;
    // Hold the commit thread between two commits, then fill the queue.
    let (reply, held) = std::sync::mpsc::sync_channel(1);
    let (release, released) = std::sync::mpsc::sync_channel(1);
    journal.shared.queue.push(super::commit::Job::Freeze(super::freeze::Freeze::Hold(reply, released))).unwrap();
    held.recv().unwrap();
    while journal.shared.queue.push(super::commit::Job::Alive).is_ok() {}
    let refused = journal.append(&token, turn(0, b"a")).await;
    assert_eq!(refused, Err(AppendError::Unavailable(super::RETRY_AFTER)));
    release.send(()).unwrap();
    loop {
        match journal.append(&token, turn(0, b"a")).await {
            Ok(appended) => break assert_eq!(appended.sequence, 1),
            Err(error) => assert_eq!(error, AppendError::Unavailable(super::RETRY_AFTER)),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_ends_the_journal_and_tells_the_process() {
    let subject = sled();
    let journal = subject.open();
    let name = StreamName::new("charger", "A");
    let token = journal.claim(&name).await.unwrap().token;
    journal.append(&token, turn(0, b"a")).await.unwrap();
    let (tell, told) = std::sync::mpsc::sync_channel(4);
    journal.on_fatal(Box::new(move |why| drop(tell.try_send(why.to_owned()))));
    journal.shared.broken.store(journal.shared.file.as_raw_fd(), SeqCst);
    assert!(matches!(journal.append(&token, turn(1, b"b")).await, Err(AppendError::Unknown(_))));
    assert!(told.recv().unwrap().contains("sync"));
    journal.shared.broken.store(-1, SeqCst);
    assert!(matches!(journal.append(&token, turn(1, b"b")).await, Err(AppendError::Unavailable(_))), "never retried");
    assert!(matches!(journal.row("session", "x").await, Err(JournalError::Unavailable(_))));
    assert!(matches!(journal.resolve(&token, 1).await, Err(JournalError::Unavailable(_))));
    assert!(journal.failure().is_some());
    assert!(told.try_recv().is_err(), "told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_wait_for_what_they_may_have_seen() {
    let subject = sled();
    let journal = subject.open();
    let shared = &journal.shared;
    let applied = shared.applied.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
    let read = tokio::time::timeout(Duration::from_millis(100), journal.row("session", "x")).await;
    assert!(read.is_err(), "a read ended while a batch was applied but not durable");
    shared.durable.send_replace(applied);
    assert_eq!(journal.row("session", "x").await, Ok(None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_behind_the_horizon_goes_after_its_retention() {
    let mut subject = sled();
    let (a, b) = (StreamName::new("charger", "A"), StreamName::new("charger", "B"));
    let journal = subject.open().clone();
    let token_a = journal.claim(&a).await.unwrap().token;
    let token_b = journal.claim(&b).await.unwrap().token;
    for after in 0..50 {
        journal.append(&token_a, turn(after, &[1; 3000])).await.unwrap();
    }
    let mut with_notice = Append { after: 0, records: vec![record(b"b")], rows: vec![] };
    with_notice.records[0].notices.push(notice("p1", 1));
    journal.append(&token_b, with_notice).await.unwrap();
    journal.create_once("old", b"v", Duration::from_secs(5)).await.unwrap();
    journal.snapshot(&token_a, Snapshot { sequence: 50, state: vec![9] }, false).await.unwrap();
    let before = journal.stats().await.unwrap().log_blocks;
    assert!(before >= 50, "{before}");
    subject.clock.advance(Duration::from_secs(8 * 86_400));
    journal.trim_outbox(&"p1".parse().unwrap(), u64::MAX);
    // The mark of life brings the horizon up to date; then all goes that is old enough.
    journal.create_once("fresh", b"v", Duration::from_secs(5)).await.unwrap();
    journal.compact().await.unwrap();
    journal.create_once("barrier", b"v", Duration::from_secs(5)).await.unwrap();
    let stats = journal.stats().await.unwrap();
    assert!(stats.log_blocks < 10, "{stats:?}");
    assert_eq!(journal.outbox(&"p1".parse().unwrap(), 0, 9).await, Ok(vec![]));
    drop(journal);
    subject.reopen().await;
    assert_eq!(subject.open().claim(&b).await.unwrap().records.len(), 1, "a tail is never history");
    assert_eq!(subject.open().claim(&a).await.unwrap().sequence, 50);
}

#[tokio::test]
async fn idle_streams_that_hold_the_horizon_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    (config.snapshot_blocks, config.snapshot_records) = (10, 100);
    let journal = SledJournal::open(&config, &ManualClock::default().shared()).unwrap();
    let (idle, busy) = (StreamName::new("charger", "idle"), StreamName::new("charger", "busy"));
    let token = journal.claim(&idle).await.unwrap().token;
    journal.append(&token, turn(0, b"x")).await.unwrap();
    let busy_token = journal.claim(&busy).await.unwrap().token;
    let mut advised = false;
    for after in 0..20 {
        advised = journal.append(&busy_token, turn(after, &[0; 3000])).await.unwrap().snapshot_advised;
    }
    assert!(advised);
    assert_eq!(journal.lagging(9), [idle.clone(), busy]);
    journal.snapshot(&token, Snapshot { sequence: 1, state: vec![] }, true).await.unwrap();
    assert_eq!(journal.lagging(1).len(), 1);
    assert!(!journal.lagging(9).contains(&idle));
}

/// What a journal says when a bit of sled's file is flipped at `at`.
enum Told {
    /// All records are there: the place was not in use.
    Whole,
    Refused,
    Reported,
    /// Records are gone and nobody said so.
    Silent,
}

async fn open_flipped(config: &Config, clock: &ManualClock, pristine: &Path, at: u64) -> Told {
    use std::os::unix::fs::FileExt;
    let store = disk::current(&config.path).unwrap().unwrap();
    for entry in std::fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        std::fs::remove_file(entry).unwrap();
    }
    for file in ["db", "conf", "witness"] {
        std::fs::copy(pristine.join(file), store.join(file)).unwrap();
    }
    let file = std::fs::OpenOptions::new().read(true).write(true).open(store.join("db")).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
    let Ok(journal) = SledJournal::open(config, &clock.shared()) else { return Told::Refused };
    let mut told = Told::Whole;
    for n in 0..20 {
        match journal.claim(&StreamName::new("charger", &format!("C{n}"))).await {
            Ok(claimed) if claimed.records.len() == 25 => {}
            Ok(_) => return Told::Silent,
            Err(_) => told = Told::Reported,
        }
    }
    told
}

/// J9. sled itself takes the log for ended at a flipped bit and says nothing: the witness does.
#[tokio::test]
async fn a_flipped_bit_in_the_store_is_never_silent() {
    let Sled { directory, journal, clock } = sled();
    let journal = journal.unwrap();
    for n in 0..20 {
        let token = journal.claim(&StreamName::new("charger", &format!("C{n}"))).await.unwrap().token;
        for after in 0..25 {
            journal.append(&token, turn(after, &[b'x'; 300])).await.unwrap();
        }
    }
    drop(journal);
    let config = config(directory.path());
    let store = disk::current(&config.path).unwrap().unwrap();
    let pristine = directory.path().join("pristine");
    std::fs::create_dir(&pristine).unwrap();
    for file in ["db", "conf", "witness"] {
        std::fs::copy(store.join(file), pristine.join(file)).unwrap();
    }
    let length = std::fs::metadata(store.join("db")).unwrap().len();
    let mut noticed = 0;
    for round in 0..40 {
        let at = length * round / 40 + 100;
        match open_flipped(&config, &clock, &pristine, at).await {
            Told::Whole => {}
            Told::Refused | Told::Reported => noticed += 1,
            Told::Silent => panic!("a bit flipped at {at} took records away and nobody said so"),
        }
    }
    assert!(noticed >= 5, "only {noticed} of 40 flips hit anything: this test looks in the wrong places");
}
