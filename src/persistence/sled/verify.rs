//! Verification (RT-11): everything in a store that can be checked. Owns what counts as a fault.
//!
//! Checked are the checksum of every value and piece, the order of every stream, that every snapshot can be read, that no
//! event id is there twice, that `blobs/` is empty, and that the log has not ended early ([`super::witness`]).

use super::tools::Findings;
use super::values::{self, Head};
use super::witness::Witness;
use super::{disk, keys, open, read};
use crate::persistence::envelope::{Block, Content};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

pub(super) fn verify(store: &sled::Db, directory: &Path) -> Findings {
    let mut findings = Findings::default();
    let heads = sound_heads(store);
    let mut streams: HashMap<String, u64> = HashMap::new();
    let mut ids = HashSet::new();
    for entry in store.iter() {
        let Some((key, raw)) = findings.note(entry.map_err(|e| values::failed(&e))) else { break };
        verify_entry(store, &key, &raw, &mut findings, &mut ids);
        if let Some(number) = keys::log_number(&key) {
            verify_block(store, number, &raw, &heads, &mut streams, &mut findings);
        }
    }
    let next_block = findings.note(open::after_last(store)).unwrap_or_default();
    findings.note(Witness::open(directory).and_then(|witness| witness.check(next_block)));
    findings.streams = heads.keys().chain(streams.keys()).collect::<HashSet<_>>().len() as u64;
    match disk::blobs(directory) {
        Ok(0) => {}
        Ok(count) => findings.problem(format!("{count} files in blobs/, which are never synced")),
        Err(error) => findings.problem(format!("blobs/ cannot be listed: {error}")),
    }
    findings
}

/// The heads that can be read; the others are faults of their own entries.
fn sound_heads(store: &sled::Tree) -> HashMap<String, Head> {
    let read = store.scan_prefix([keys::HEAD]).filter_map(|entry| {
        let (key, raw) = entry.ok()?;
        Some((String::from_utf8(key[1..].to_vec()).ok()?, Head::decode(&key, &raw).ok()?))
    });
    read.collect()
}

fn verify_entry(store: &sled::Db, key: &[u8], raw: &[u8], findings: &mut Findings, ids: &mut HashSet<u64>) {
    let opened = match key.first() {
        Some(&keys::LOG) => return,
        Some(&keys::PIECE) => {
            if let Err(why) = values::check(key, raw) {
                findings.problem(values::corrupt(key, why).to_string());
            }
            let owner = keys::piece_owner(key);
            let owner = owner.and_then(|(owner, index)| Some((owner, index, store.get(owner).ok()??)));
            match owner {
                Some((owner, index, raw)) if values::piece_count(owner, &raw).is_ok_and(|count| index < count) => {}
                Some(_) | None => findings.problem(values::corrupt(key, "belongs to nothing").to_string()),
            }
            return;
        }
        Some(_) | None => findings.note(values::open(store, key, raw)),
    };
    let Some(content) = opened else { return };
    match key.first() {
        Some(&keys::HEAD) => {
            findings.snapshots += 1;
            let state = [&[keys::STATE], &key[1..]].concat();
            if matches!(store.get(&state), Ok(None)) {
                findings.problem(values::corrupt(&state, "missing").to_string());
            }
        }
        Some(&keys::ROW) => findings.rows += 1,
        Some(&keys::ONCE) => findings.once_keys += 1,
        Some(&keys::OUTBOX) => {
            let entries = findings.note(read::decode_chunk(key, &content)).map(|(_, entries)| entries);
            for entry in entries.unwrap_or_default() {
                findings.notices += 1;
                let mut hasher = DefaultHasher::new();
                entry.id.hash(&mut hasher);
                if !ids.insert(hasher.finish()) {
                    findings.problem(format!("event id {} is there twice", entry.id));
                }
            }
        }
        Some(&(keys::META | keys::STATE)) => {}
        Some(_) | None => findings.problem(values::corrupt(key, "unknown kind of key").to_string()),
    }
}

fn verify_block(
    store: &sled::Db,
    number: u64,
    raw: &[u8],
    heads: &HashMap<String, Head>,
    streams: &mut HashMap<String, u64>,
    findings: &mut Findings,
) {
    let first = findings.blocks == 0;
    findings.blocks += 1;
    let mut records = Vec::new();
    let outcome = read::with_records(store, number, |envelope| {
        records.push((envelope.stream.to_owned(), envelope.sequence));
    });
    findings.note(outcome);
    if let Ok(Block { content: Content::Piece { index, .. }, .. }) = Block::decode(raw)
        && index > 0
        && !first
        && !matches!(store.contains_key(keys::log(number - 1)), Ok(true))
    {
        findings.problem(values::corrupt(&keys::log(number), "a piece without the one before it").to_string());
    }
    for (stream, sequence) in records {
        findings.records += 1;
        let covered = heads.get(&stream).map_or(0, |head| head.sequence);
        let expected = streams.get(&stream).map(|last| last + 1);
        let fits = match expected {
            Some(expected) => sequence == expected,
            // Compaction may have taken what lies before, as far as a snapshot covers it.
            None => sequence <= covered + 1,
        };
        if !fits {
            let expected = expected.unwrap_or(covered + 1);
            let why = format!("record {sequence} of {stream} where {expected} should be");
            findings.problem(values::corrupt(&keys::log(number), why).to_string());
        }
        streams.insert(stream, sequence);
    }
}
