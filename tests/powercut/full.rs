//! A disk that fills up (RT-7; faults J5 and J6), on a small image: appends are refused with `Full` and nothing else,
//! the journal opens on the full disk, and goes on by itself once there is room.

use super::child;
use super::disk::Disk;
use chargeline::clock::{SharedClock, Timestamp, WallClock};
use chargeline::config::journal::Journal as Config;
use chargeline::persistence::{Append, AppendError, Journal, NewRecord, SledJournal, Token};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIZE: u64 = 64 << 20;
const RESERVE: u64 = 8 << 20;
const FLOOR: u64 = 16 << 20;

/// Appends tried before it counts as never full: several times what the disk holds.
const TRIES: u64 = 200_000;

fn config(disk: &Disk) -> Config {
    let mut config = child::config(&disk.data());
    (config.reserve_bytes, config.full_floor_bytes) = (RESERVE, FLOOR);
    config
}

fn open(disk: &Disk) -> Result<Arc<SledJournal>, String> {
    let clock: SharedClock = Arc::new(WallClock);
    SledJournal::open(&config(disk), &clock).map_err(|e| format!("does not open: {e}"))
}

/// Gives what was seen, for the last line.
pub(crate) fn run() -> Result<String, String> {
    let disk = Disk::of(SIZE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let ballast = disk.data().with_file_name("ballast");
    File::create(&ballast).and_then(|file| file.set_len(0)).map_err(|e| e.to_string())?;
    let written = runtime.block_on(fill(&disk))?;
    // J6: the next start, on the full disk.
    let reopened = runtime.block_on(reopen_full(&disk, written))?;
    Ok(format!("a full disk refused new appends after {written} records, opened again and went on ({reopened} more)"))
}

async fn append(journal: &SledJournal, token: &Token, after: u64) -> Result<u64, AppendError> {
    let id = u128::from(after + 1);
    let record = NewRecord { at: Timestamp(0), id, body: child::body(0, after + 1), notices: Vec::new() };
    let append = Append { after, records: vec![record], rows: Vec::new() };
    journal.append(token, append).await.map(|appended| appended.sequence)
}

/// Writes until the journal says that it is full. Gives how many records it acknowledged.
async fn fill(disk: &Disk) -> Result<u64, String> {
    let journal = open(disk)?;
    let token = journal.claim(&child::stream(0)).await.map_err(|e| e.to_string())?.token;
    let reserve = disk.data().join("reserve");
    if journal.is_full() || !reserve.exists() {
        return Err("a fresh disk counts as full, or there is no reserve".into());
    }
    let (mut sequence, mut warned) = (0, None);
    while sequence < TRIES {
        // Others fill the disk, too, and faster than records do.
        if sequence.is_multiple_of(50) {
            grow(&disk.data().with_file_name("ballast"), 1 << 20, FLOOR / 2);
        }
        match append(&journal, &token, sequence).await {
            Ok(next) => sequence = next,
            Err(AppendError::Full) => break,
            Err(other) => return Err(format!("record {}: {other} instead of full", sequence + 1)),
        }
        if journal.is_full() && warned.is_none() {
            warned = Some((sequence, reserve.exists()));
        }
    }
    match warned {
        Some((at, true)) if at < sequence && !reserve.exists() && journal.is_full() => Ok(sequence),
        other => Err(format!("full without warning, or before the reserve was used: {other:?} of {sequence}")),
    }
}

async fn reopen_full(disk: &Disk, written: u64) -> Result<u64, String> {
    let journal = open(disk)?;
    let claimed = journal.claim(&child::stream(0)).await.map_err(|e| e.to_string())?;
    let sound = claimed.records.iter().all(|record| record.body == child::body(0, record.sequence));
    if claimed.sequence != written || !sound {
        return Err(format!("acknowledged {written}, there is {}", claimed.sequence));
    }
    std::fs::remove_file(disk.data().with_file_name("ballast")).map_err(|e| e.to_string())?;
    let begun = Instant::now();
    while journal.is_full() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err("still full though there is room".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut sequence = written;
    for _ in 0..100 {
        sequence = append(&journal, &claimed.token, sequence).await.map_err(|e| format!("with room again: {e}"))?;
    }
    if disk.data().join("reserve").exists() {
        Ok(sequence - written)
    } else {
        Err("the reserve was not taken back".into())
    }
}

/// Lets the ballast take more room, as long as `leave` bytes stay free.
fn grow(ballast: &Path, by: u64, leave: u64) {
    let free = fs4::available_space(ballast).unwrap_or(0);
    if free > leave + by {
        let bytes = vec![0xA5; usize::try_from(by).unwrap_or(0)];
        let opened = File::options().append(true).open(ballast);
        // No room for ballast is just what it is for.
        let _ = opened.and_then(|mut file| std::io::Write::write_all(&mut file, &bytes));
    }
}
