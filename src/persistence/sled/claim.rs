//! What claimed streams consist of: head, snapshot and tail. Owns how they are read together, so that a block of the log is
//! decoded once however many of them have records in it (recovery claims a whole fleet); never decides who may write.

use super::commit::ClaimStart;
use super::index::Run;
use super::keys;
use super::read::with_records;
use super::shared::Shared;
use super::values::{self, Head};
use crate::persistence::{Claimed, JournalError, Record, Snapshot, Token};
use std::collections::{BTreeMap, HashMap};

/// What a stream consists of.
struct Parts {
    head: Option<Head>,
    snapshot: Option<Snapshot>,
    /// After the snapshot, in order.
    records: Vec<Record>,
}

impl Parts {
    /// The last sequence that the snapshot covers.
    fn covered(&self) -> u64 {
        self.head.map_or(0, |head| head.sequence)
    }
}

/// Reads what each of the claimed streams consists of, and tells the index of those that it did not know. In their order.
pub(super) fn claim(shared: &Shared, starts: Vec<ClaimStart>) -> Vec<Result<Claimed, JournalError>> {
    let read = read(shared, &starts);
    starts.into_iter().zip(read).map(|(start, parts)| settle(shared, start.token, parts)).collect()
}

fn settle(shared: &Shared, token: Token, read: Result<Parts, JournalError>) -> Result<Claimed, JournalError> {
    let mut index = shared.index();
    let stream = index.streams.get_mut(token.stream.as_str()).filter(|stream| stream.claim == token.claim);
    // A later claim may have folded away what this one was reading: that is no corruption.
    let stream = stream.ok_or(JournalError::Fenced)?;
    let Parts { head, snapshot, records } = read?;
    let covered = head.map_or(0, |head| head.sequence);
    let sequence = records.last().map_or(covered, |record| record.sequence);
    if !stream.loaded {
        stream.last = sequence;
        stream.snapshot = covered;
        stream.snapshot_pieces = head.map_or(0, |head| head.pieces);
        stream.loaded = true;
    }
    Ok(Claimed { token, snapshot, records, sequence })
}

fn read(shared: &Shared, starts: &[ClaimStart]) -> Vec<Result<Parts, JournalError>> {
    let mut read: Vec<_> = starts.iter().map(|start| folded(shared, start.token.stream.as_str())).collect();
    let mut blocks = BTreeMap::<u64, Vec<usize>>::new();
    for (place, start) in starts.iter().enumerate() {
        start.tail.iter().for_each(|run| blocks.entry(run.block).or_default().push(place));
    }
    // Of a stream that is claimed twice, the first claim is fenced: what it would read says nothing.
    let names: HashMap<&str, usize> =
        starts.iter().zip(0..).map(|(start, place)| (start.token.stream.as_str(), place)).collect();
    for (block, places) in blocks {
        let seen = with_records(&shared.tree, block, |envelope| {
            if let Some(place) = names.get(envelope.stream)
                && let Ok(parts) = &mut read[*place]
                && envelope.sequence > parts.covered()
            {
                parts.records.push(envelope.record());
            }
        });
        if let Err(error) = seen {
            places.into_iter().for_each(|place| read[place] = Err(error.clone()));
        }
    }
    let whole = |(parts, start): (Result<Parts, _>, &ClaimStart)| {
        parts.and_then(|parts| whole(parts, start.token.stream.as_str(), &start.tail))
    };
    read.into_iter().zip(starts).map(whole).collect()
}

/// Head and snapshot.
fn folded(shared: &Shared, name: &str) -> Result<Parts, JournalError> {
    let head_key = keys::head(name);
    let head = shared.raw(&head_key)?.map(|raw| Head::decode(&head_key, &raw)).transpose()?;
    let snapshot = match head {
        Some(head) => {
            let key = keys::state(name);
            let state = values::get(&shared.tree, &key)?.ok_or_else(|| values::corrupt(&key, "missing"))?;
            Some(Snapshot { sequence: head.sequence, state })
        }
        None => None,
    };
    Ok(Parts { head, snapshot, records: Vec::new() })
}

/// That no record of the tail is missing.
fn whole(parts: Parts, name: &str, tail: &[Run]) -> Result<Parts, JournalError> {
    for run in tail {
        let expected = run.first_sequence.max(parts.covered() + 1);
        if parts.records.binary_search_by_key(&expected, |record| record.sequence).is_err() {
            let why = format!("record {expected} of {name} is missing");
            return Err(values::corrupt(&keys::log(run.block), why));
        }
    }
    let gap = parts.records.windows(2).find(|pair| pair[0].sequence + 1 != pair[1].sequence);
    match gap {
        Some(pair) => Err(JournalError::Corrupt {
            key: name.to_owned(),
            why: format!("record {} is followed by {}", pair[0].sequence, pair[1].sequence),
        }),
        None => Ok(parts),
    }
}
