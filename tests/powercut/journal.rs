//! Rounds of the journal alone: a child process writes through it, the power goes, and everything that it acknowledged must be
//! there (RT-4; J2, J3). Owns these rounds and the proof that the rig sees what sled's flush alone loses.

use super::child::{self, Acknowledged, Child};
use super::disk::Disk;
use chargeline::clock::{SharedClock, WallClock};
use chargeline::persistence::sled::Tool;
use chargeline::persistence::{Journal, SledJournal};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Rounds within which a journal without fdatasync must be caught.
const PROOF_ROUNDS: u32 = 15;

/// Every so many rounds a new disk, cut within the first 200 ms: the creation of the store (J3).
const FRESH_EVERY: u32 = 5;

/// So many rounds. Gives what was seen, for people.
pub(crate) fn rounds(rounds: u32) -> Result<String, String> {
    let (mut acknowledged, mut slowest) = (0, Duration::ZERO);
    let mut disk = Disk::new()?;
    let mut known = Acknowledged::default();
    for round in 0..rounds {
        let creation = round % FRESH_EVERY == 0;
        if creation {
            acknowledged += known.count();
            known = Acknowledged::default();
            disk = Disk::new()?;
        }
        cut(&mut disk, &mut known, creation, true)?;
        let opened = check(&disk, &known).map_err(|why| format!("round {round}: {why}"))?;
        slowest = slowest.max(opened);
    }
    acknowledged += known.count();
    let caught = prove()?;
    Ok(format!(
        "journal alone: {rounds} cuts, {acknowledged} records acknowledged, 0 lost, slowest reopening {} ms; \
         with sled's flush alone the loss was seen in cut {caught}",
        slowest.as_millis()
    ))
}

/// One round: write, cut, kill, mount again.
fn cut(disk: &mut Disk, known: &mut Acknowledged, creation: bool, sync: bool) -> Result<(), String> {
    let child = Child::start(&disk.data(), sync)?;
    if creation && sync {
        std::thread::sleep(Duration::from_millis(rand::random_range(0..200)));
    } else {
        child.wait_for_first(Duration::from_secs(30))?;
        std::thread::sleep(Duration::from_millis(rand::random_range(20..600)));
    }
    disk.cut()?;
    child.kill(known)?;
    disk.remount()
}

/// What must hold after a cut. Gives how long the journal took to open.
fn check(disk: &Disk, known: &Acknowledged) -> Result<Duration, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let clock: SharedClock = Arc::new(WallClock);
    let begun = std::time::Instant::now();
    let journal = SledJournal::open(&child::config(&disk.data()), &clock).map_err(|e| format!("does not open: {e}"))?;
    let took = begun.elapsed();
    runtime.block_on(check_records(&journal, known))?;
    drop(journal);
    let findings = Tool::open(&disk.data()).map_err(|e| e.to_string())?.verify();
    if findings.sound() { Ok(took) } else { Err(format!("does not verify: {}", findings.problems.join("; "))) }
}

async fn check_records(journal: &SledJournal, known: &Acknowledged) -> Result<(), String> {
    let mut told = HashSet::new();
    let mut position = 0;
    loop {
        let page = journal.outbox(&child::partner(), position, 500).await.map_err(|e| e.to_string())?;
        let Some(last) = page.last() else { break };
        position = last.position;
        told.extend(page.into_iter().map(|entry| (entry.notice.order_key, entry.notice.sequence.unwrap_or(0))));
    }
    for writer in 0..child::WRITERS {
        let name = child::stream(writer);
        let claimed = journal.claim(&name).await.map_err(|e| e.to_string())?;
        let acknowledged = known.of(writer);
        if claimed.sequence < acknowledged {
            return Err(format!("{name}: acknowledged up to {acknowledged}, there is {}", claimed.sequence));
        }
        for record in &claimed.records {
            if record.body != child::body(writer, record.sequence) {
                return Err(format!("{name}: record {} has another content", record.sequence));
            }
        }
        let row = journal.row("powercut", name.as_str()).await.map_err(|e| e.to_string())?;
        let row = row.and_then(|row| String::from_utf8(row).ok()).and_then(|row| row.parse().ok()).unwrap_or(0u64);
        if row != claimed.sequence {
            return Err(format!("{name}: the row says {row}, the stream {}: half a commit", claimed.sequence));
        }
        let missing = (1..=claimed.sequence).find(|sequence| !told.contains(&(name.to_string(), *sequence)));
        if let Some(sequence) = missing {
            return Err(format!("{name}: the notice of record {sequence} is not in the outbox"));
        }
    }
    Ok(())
}

/// The rig must see what sled's flush alone loses. Gives the round in which it did.
fn prove() -> Result<u32, String> {
    // sled may panic on what is left: that is a loss, too, and no news.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = prove_loudly();
    std::panic::set_hook(hook);
    caught
}

fn prove_loudly() -> Result<u32, String> {
    for round in 1..=PROOF_ROUNDS {
        let mut disk = Disk::new()?;
        let mut known = Acknowledged::default();
        cut(&mut disk, &mut known, false, false)?;
        let seen = std::panic::catch_unwind(|| check(&disk, &known));
        if !matches!(seen, Ok(Ok(_))) {
            return Ok(round);
        }
    }
    Err(format!("a journal without fdatasync lost nothing in {PROOF_ROUNDS} cuts: the rig proves nothing here"))
}
