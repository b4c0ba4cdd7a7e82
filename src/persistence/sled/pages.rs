//! The list of the store's pages, with which a start begins (ADR 19). Owns when it is written anew.
//!
//! A start reads the log from the list on. sled writes the list at a start only, so after months a start would read the whole
//! file. So it is written anew whenever the log has grown by `journal.list_after_bytes`, while commits go on; by more
//! where the list itself is long, so that lists are a small part of what is written. Where it cannot be written a start takes
//! longer, and nothing else happens.

use super::shared::Shared;
use crate::telemetry::metrics::journal as metrics;

/// What a page takes in the list, about.
const PAGE_BYTES: u64 = 32;

/// Bytes of log for each byte of a list at least.
const LOG_PER_LIST: u64 = 8;

/// Writes the list anew if that is due.
pub(super) fn upkeep(shared: &Shared) {
    let (unlisted, list) = (shared.store.unlisted(), shared.store.page_count() * PAGE_BYTES);
    metrics::UNLISTED_BYTES.set(unlisted as f64, []);
    if !is_due(unlisted, list, shared.config.list_after_bytes) || !shared.space.spare(list) {
        return;
    }
    if let Err(error) = renew(&shared.store) {
        tracing::warn!(%error, unlisted, "the list of the store's pages cannot be written: a start would take longer");
    }
}

fn is_due(unlisted: u64, list: u64, after: u64) -> bool {
    unlisted >= after.max(list * LOG_PER_LIST)
}

fn renew(store: &sled::Db) -> sled::Result<()> {
    fault_point!("journal.list.begun", "");
    let list = store.list_pages()?;
    fault_point!("journal.list.written", "");
    store.use_list(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::journal::Journal as Config;
    use crate::persistence::contract::{ManualClock, row, turn};
    use crate::persistence::sled::{SledJournal, disk, tests::config};
    use crate::persistence::{Append, Journal as _, StreamName};
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};
    use std::{fs, io};

    const PAUSE: Duration = Duration::from_millis(1);

    #[test]
    fn a_list_is_due_for_much_log_and_more_of_it_the_longer_the_list() {
        let mib = 1 << 20;
        for (unlisted, list, due) in [
            (0, 0, false),
            (64 * mib - 1, 0, false),
            (64 * mib, 0, true),
            (64 * mib, 8 * mib, true),
            (64 * mib, 8 * mib + 1, false),
            (160 * mib - 1, 20 * mib, false),
            (160 * mib, 20 * mib, true),
        ] {
            assert_eq!(is_due(unlisted, list, 64 * mib), due, "{unlisted} behind a list of {list}");
        }
    }

    /// The lists in a store's directory, by the place in the log.
    fn lists(store: &Path) -> Vec<PathBuf> {
        let paths = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some() && path.file_stem() == Some("snap".as_ref())).collect()
    }

    /// As a kill would leave it, while nobody appends. Lists come and go meanwhile.
    fn copy(from: &Path, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry?.file_name()));
            if from.is_dir() { copy(&from, &to)? } else { fs::copy(&from, &to).map(drop)? }
        }
        Ok(())
    }

    /// RT-5. What a start reads does not grow with the time since the last one, and a kill at any moment finds all that was answered.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_start_reads_what_was_written_since_the_last_list() {
        const AFTER: u64 = 256 << 10;
        let directory = tempfile::tempdir().unwrap();
        let (clock, stream) = (ManualClock::default().shared(), StreamName::new("charger", "A"));
        let config = Config { list_after_bytes: AFTER, upkeep_interval: PAUSE, ..config(directory.path()) };
        let journal = SledJournal::open(&config, &clock).unwrap();
        let store = disk::current(&config.path).unwrap().unwrap();
        let token = journal.claim(&stream).await.unwrap().token;
        let mut seen = BTreeSet::new();
        for n in 0..2_000_u64 {
            let rows = vec![row(&format!("{}", n * 7_919 % 300), Some(&[b'r'; 900]))];
            journal.append(&token, Append { rows, ..turn(n, &[b'x'; 700]) }).await.unwrap();
            seen.extend(lists(&store));
            if n % 200 != 199 {
                continue;
            }
            let killed = directory.path().join(format!("killed-{n}"));
            while let Err(error) = copy(&config.path, &killed) {
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
                fs::remove_dir_all(&killed).unwrap();
            }
            let found = SledJournal::open(&Config { path: killed, ..config.clone() }, &clock).unwrap();
            let claimed = found.claim(&stream).await.unwrap();
            assert_eq!((claimed.sequence, claimed.records.len() as u64), (n + 1, n + 1));
            assert_eq!(found.rows("session", "", None, 1_000).await.unwrap().len(), 300.min(n as usize + 1));
        }
        assert!(seen.len() > 5, "{seen:?}");
        let begun = Instant::now();
        while journal.shared.store.unlisted() >= AFTER {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} bytes unlisted", journal.shared.store.unlisted());
            std::thread::yield_now();
        }
    }
}
