//! The tools end to end, on stores made by the journal itself.

use super::{JournalCommand, run};
use crate::config::journal::Journal as Config;
use crate::persistence::contract::{ManualClock, notice, row, turn};
use crate::persistence::{Journal, SledJournal, Snapshot, StreamName};
use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn config(path: &Path) -> Config {
    let mut config = crate::persistence::sled::test_config(path);
    config.retention = Duration::from_secs(60);
    config
}

struct Place {
    directory: tempfile::TempDir,
    clock: ManualClock,
}

impl Place {
    fn new() -> Self {
        Place { directory: tempfile::tempdir().unwrap(), clock: ManualClock::default() }
    }

    fn config(&self) -> Config {
        config(self.directory.path())
    }

    fn open(&self) -> Arc<SledJournal> {
        SledJournal::open(&self.config(), &self.clock.shared()).unwrap()
    }

    /// Runs a command; what it wrote, and whether it succeeded.
    fn run(&self, command: &JournalCommand) -> (String, bool) {
        let mut out = Vec::new();
        let code = run(command, &self.config(), &self.clock.shared(), &mut out);
        let text = String::from_utf8(out).unwrap();
        match code {
            Ok(code) => (text, format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)),
            Err(error) => (format!("{text}{error:#}"), false),
        }
    }
}

async fn fill(journal: &SledJournal, streams: u32, turns: u64) {
    for n in 0..streams {
        let name = StreamName::new("charger", &format!("CP{n}"));
        let claimed = journal.claim(&name).await.unwrap();
        for after in claimed.sequence..claimed.sequence + turns {
            let mut append = turn(after, format!(r#"{{"step":{after},"pad":"{}"}}"#, "x".repeat(600)).as_bytes());
            append.records[0].notices = vec![notice("p1", after)];
            append.rows = vec![row(&format!("{n}/{after}"), Some(b"{}"))];
            journal.append(&claimed.token, append).await.unwrap();
        }
        let snapshot = Snapshot { sequence: claimed.sequence + turns, state: vec![b'1'; 9000] };
        journal.snapshot(&claimed.token, snapshot, n % 2 == 0).await.unwrap();
    }
}

#[tokio::test]
async fn a_sound_store_verifies_and_a_damaged_one_names_the_place() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal, 3, 10).await;
    drop(journal);
    let (text, sound) = place.run(&JournalCommand::Verify);
    assert!(sound, "{text}");
    assert!(text.ends_with("3 snapshots, 30 rows, 30 notices, 0 once keys: 0 faults\n"), "{text}");
    crate::persistence::sled::damage(&place.config().path, b"rsession\x001/3");
    let (text, sound) = place.run(&JournalCommand::Verify);
    assert!(!sound && text.contains("row/session/1/3") && text.contains("1 faults"), "{text}");
}

#[tokio::test]
async fn inspect_and_export_show_history() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal, 2, 3).await;
    drop(journal);
    let (text, found) = place.run(&JournalCommand::Inspect { stream: "charger/CP1".into() });
    assert!(found && text.contains(r#""step":2"#) && text.contains(r#""snapshot""#), "{text}");
    assert!(text.ends_with("inspect: charger/CP1 has 3 records and a snapshot\n"));
    let (text, found) = place.run(&JournalCommand::Inspect { stream: "charger/none".into() });
    assert!(!found && text.contains("0 records and no snapshot"));
    let (text, found) = place.run(&JournalCommand::Export { stream: None });
    assert!(found && text.lines().count() == 6);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["body"]["step"].is_u64() && line["at"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn a_store_in_use_is_left_alone() {
    let place = Place::new();
    let _journal = place.open();
    let (text, done) = place.run(&JournalCommand::Compact);
    assert!(!done && text.contains("another process has the journal"), "{text}");
}

#[tokio::test]
async fn compact_drops_old_history_and_keeps_everything_else() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal, 5, 40).await;
    journal.create_once("short", b"v", Duration::from_secs(10)).await.unwrap();
    let id = journal.outbox(&"p1".parse().unwrap(), 0, 1).await.unwrap().remove(0).id;
    drop(journal);
    place.clock.advance(Duration::from_secs(120));
    let (text, done) = place.run(&JournalCommand::Compact);
    assert!(done && text.contains("5 snapshots, 200 rows, 200 notices, 0 once keys: 0 faults"), "{text}");
    assert!(text.contains("in 1 blocks"), "{text}");
    let journal = place.open();
    assert_eq!(journal.outbox(&"p1".parse().unwrap(), 0, 999).await.unwrap()[0].id, id);
    let claimed = journal.claim(&StreamName::new("charger", "CP4")).await.unwrap();
    assert_eq!((claimed.sequence, claimed.snapshot.unwrap().state.len()), (40, 9000));
    journal.append(&claimed.token, turn(40, b"{}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_is_whole_and_restores_as_another_store() {
    let place = Place::new();
    let journal = place.open();
    fill(&journal, 4, 20).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let (journal, stop) = (journal.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let token = journal.claim(&StreamName::new("charger", &format!("W{n}"))).await.unwrap().token;
                let mut after = 0;
                while !stop.load(Ordering::Relaxed) {
                    let mut append = turn(after, b"{}");
                    append.records[0].notices = vec![notice("p1", after)];
                    append.rows = vec![row(&format!("w/{n}"), Some(format!("{}", after + 1).as_bytes()))];
                    journal.append(&token, append).await.unwrap();
                    after += 1;
                    if after % 50 == 0 {
                        journal
                            .snapshot(&token, Snapshot { sequence: after, state: vec![1; 5000] }, true)
                            .await
                            .unwrap();
                    }
                }
                after
            })
        })
        .collect();
    let backup = place.directory.path().join("backup");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let findings = journal.backup(&backup).await.unwrap();
    assert!(findings.sound() && findings.records > 80, "{findings}");
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    let told = journal.outbox(&"p1".parse().unwrap(), 0, 100_000).await.unwrap();
    let (ids, last): (HashSet<String>, u64) =
        (told.iter().map(|e| e.id.clone()).collect(), told.last().unwrap().position);
    drop(journal);

    let (text, done) = place.run(&JournalCommand::Restore { directory: backup.clone(), replace: false });
    assert!(!done && text.contains("--replace"), "{text}");
    let (text, done) = place.run(&JournalCommand::Restore { directory: backup, replace: true });
    assert!(done, "{text}");
    let journal = place.open();
    for (n, written) in written.iter().enumerate() {
        let claimed = journal.claim(&StreamName::new("charger", &format!("W{n}"))).await.unwrap();
        assert!(claimed.sequence <= *written);
        // One moment: the row that each turn writes agrees with the stream.
        let row = journal.row("session", &format!("w/{n}")).await.unwrap().unwrap_or_else(|| b"0".to_vec());
        assert_eq!(String::from_utf8(row).unwrap(), claimed.sequence.to_string());
        let mut append = turn(claimed.sequence, b"{}");
        append.records[0].notices = vec![notice("p1", 1)];
        journal.append(&claimed.token, append).await.unwrap();
    }
    let fresh = journal.outbox(&"p1".parse().unwrap(), last, 100).await.unwrap();
    assert_eq!(fresh.len(), 4, "new positions lie beyond all that were ever given out");
    assert!(fresh.iter().all(|entry| !ids.contains(&entry.id)), "event ids are never used twice");
}

#[tokio::test]
async fn a_backup_goes_only_into_an_empty_directory() {
    let place = Place::new();
    drop(place.open());
    let (text, done) = place.run(&JournalCommand::Backup { directory: place.directory.path().to_owned() });
    assert!(!done && text.contains("not empty"), "{text}");
    let directory = place.directory.path().join("new");
    let (text, done) = place.run(&JournalCommand::Backup { directory: directory.clone() });
    assert!(done && text.starts_with("backup: 0 records"), "{text}");
    let (text, done) = place.run(&JournalCommand::Stats);
    assert!(done && text.contains(r#""blobs":0"#), "{text}");
}
