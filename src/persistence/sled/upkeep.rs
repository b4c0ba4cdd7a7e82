//! The upkeep thread: what has to be looked at from time to time. Owns when; the commit thread makes every change.
//!
//! Compaction bit by bit (RT-5): log blocks before the horizon and older than the retention, delivered notices older
//! than theirs, expired create-once keys. And the list of pages with which a start begins ([`super::pages`]).

use super::commit::Job;
use super::shared::Shared;
use super::{keys, once, pages, read, values};
use crate::persistence::JournalError;
use crate::telemetry::metrics::journal as metrics;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Entries of one kind that one look may remove: about 20 ms of the commit thread, in portions that let others in.
const PRUNE_LOOK: usize = 2048;
const PRUNE_JOB: usize = 256;

/// Create-once keys that one look examines.
const ONCE_LOOK: usize = 4096;

/// Runs until the journal is closed. A panic of the store ends the journal, as in the commit thread.
pub(super) fn run(shared: Arc<Shared>) {
    let work = std::panic::AssertUnwindSafe(|| serve(&shared));
    if std::panic::catch_unwind(work).is_err() {
        shared.fail("the upkeep thread panicked");
    }
}

fn serve(shared: &Shared) {
    let mut marked = Instant::now();
    let mut cursor = Vec::new();
    while !shared.pause(shared.config.upkeep_interval) {
        if shared.failure().is_some() {
            return;
        }
        shared.space.upkeep();
        if marked.elapsed() >= shared.config.alive_interval {
            marked = Instant::now();
            // A full queue means that commits are being made, and those carry the mark.
            let _ = shared.queue.push(Job::Alive);
        }
        let next = shared.next_block.load(Relaxed);
        metrics::TAIL_LAG_BLOCKS.set(next.saturating_sub(shared.horizon.load(Relaxed)) as f64, []);
        if let Err(error) = prune(shared, &mut cursor, PRUNE_LOOK) {
            tracing::error!(%error, "compaction cannot read the store");
        }
        pages::upkeep(shared);
    }
}

/// One look at everything that has a retention. Gives how many entries were asked to go.
fn prune(shared: &Shared, cursor: &mut Vec<u8>, most: usize) -> Result<usize, JournalError> {
    let mut found = old_blocks(shared, most)?;
    found.extend(old_notices(shared, most)?);
    found.extend(expired_keys(shared, cursor, most.max(ONCE_LOOK))?);
    let count = found.len();
    for portion in found.chunks(PRUNE_JOB) {
        // Refused: the next look finds them again.
        if shared.queue.push(Job::Prune(portion.to_vec())).is_err() {
            break;
        }
    }
    metrics::COMPACTIONS.add(u64::from(count > 0), []);
    Ok(count)
}

/// All that is past its retention, at once.
pub(super) fn prune_all(shared: &Shared) -> Result<usize, JournalError> {
    prune(shared, &mut Vec::new(), usize::MAX)
}

fn old_blocks(shared: &Shared, most: usize) -> Result<Vec<Vec<u8>>, JournalError> {
    let (horizon, next) = (shared.horizon.load(Relaxed), shared.next_block.load(Relaxed));
    let before = shared.clock.now() - shared.config.retention;
    let mut found = Vec::new();
    for entry in shared.tree.scan_prefix([keys::LOG]).take(most) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        let Some(number) = keys::log_number(&key) else { continue };
        if found.is_empty() {
            metrics::LOG_BLOCKS.set(next.saturating_sub(number) as f64, []);
        }
        let block = crate::persistence::envelope::Block::decode(&raw).map_err(|why| values::corrupt(&key, why))?;
        // The newest block stays: it tells the next number.
        if number >= horizon || number + 1 >= next || block.at >= before {
            break;
        }
        found.push(key.to_vec());
    }
    Ok(found)
}

fn old_notices(shared: &Shared, most: usize) -> Result<Vec<Vec<u8>>, JournalError> {
    let marks = shared.trim.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let before = shared.clock.now() - shared.config.outbox_retention;
    let mut found = Vec::new();
    for (partner, below) in marks {
        let from = keys::outbox_prefix(partner.as_str());
        for entry in shared.tree.range(from..keys::outbox(partner.as_str(), below)).take(most) {
            let (key, raw) = entry.map_err(|e| values::failed(&e))?;
            let content = values::open(&shared.tree, &key, &raw)?;
            let (at, _) = read::decode_chunk(&key, &content)?;
            if at >= before {
                break;
            }
            found.push(key.to_vec());
        }
    }
    Ok(found)
}

/// Walks over the create-once keys, a part each time.
fn expired_keys(shared: &Shared, cursor: &mut Vec<u8>, most: usize) -> Result<Vec<Vec<u8>>, JournalError> {
    if cursor.is_empty() {
        cursor.push(keys::ONCE);
    }
    let (now, mut found, mut seen) = (shared.clock.now(), Vec::new(), 0);
    let from = std::mem::take(cursor);
    for entry in shared.tree.range(from..vec![keys::ONCE + 1]) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        if seen == most {
            *cursor = key.to_vec();
            break;
        }
        seen += 1;
        let content = values::open(&shared.tree, &key, &raw)?;
        if once::decode(&key, &content)?.0 <= now {
            found.push(key.to_vec());
        }
    }
    Ok(found)
}
