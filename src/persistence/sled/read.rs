//! Reading the store. Owns how records, rows and notices are found; never writes, never runs on an actor's thread.

use super::keys;
use super::shared::Shared;
use super::values::{self, Head};
use crate::clock::Timestamp;
use crate::domain::entity::Notice;
use crate::ids::PartnerId;
use crate::persistence::envelope::{Block, Content, Damage, Envelope, Reader};
use crate::persistence::{JournalError, OutboxEntry, StoredRow, StreamName, StreamSummary};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Runs blocking work on a thread made for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(JournalError::Unavailable(format!("a read was cut off: {error}"))))
}

/// Shows all records that begin in a block; nothing for a later piece of one. Gives the block's time.
pub(super) fn with_records(
    tree: &sled::Tree,
    number: u64,
    see: impl FnMut(&Envelope<'_>),
) -> Result<Timestamp, JournalError> {
    let key = keys::log(number);
    let raw = tree.get(key).map_err(|e| values::failed(&e))?.ok_or_else(|| values::corrupt(&key, "missing"))?;
    with_records_of(tree, (number, &raw), see)
}

/// As [`with_records`], of a block that has been read.
pub(super) fn with_records_of(
    tree: &sled::Tree,
    (number, raw): (u64, &[u8]),
    mut see: impl FnMut(&Envelope<'_>),
) -> Result<Timestamp, JournalError> {
    let key = keys::log(number);
    let block = Block::decode(raw).map_err(|why| values::corrupt(&key, why))?;
    match block.content {
        Content::Whole(mut bytes) => {
            while !bytes.is_empty() {
                let (envelope, rest) = Envelope::decode(bytes).map_err(|why| values::corrupt(&key, why))?;
                see(&envelope);
                bytes = rest;
            }
        }
        Content::Piece { index: 0, count, .. } => {
            let whole = gather(tree, number, count)?;
            let (envelope, _) = Envelope::decode(&whole).map_err(|why| values::corrupt(&key, why))?;
            see(&envelope);
        }
        Content::Piece { .. } => {}
    }
    Ok(block.at)
}

fn gather(tree: &sled::Tree, first: u64, expected: u16) -> Result<Vec<u8>, JournalError> {
    let mut whole = Vec::new();
    for wanted in 0..expected {
        let key = keys::log(first + u64::from(wanted));
        let raw = tree.get(key).map_err(|e| values::failed(&e))?.ok_or_else(|| values::corrupt(&key, "missing"))?;
        match Block::decode(&raw).map_err(|why| values::corrupt(&key, why))?.content {
            Content::Piece { index, count, bytes } if index == wanted && count == expected => {
                whole.extend_from_slice(bytes);
            }
            Content::Piece { .. } | Content::Whole(_) => {
                return Err(values::corrupt(&key, Damage::Shape("piece of the record before it")));
            }
        }
    }
    Ok(whole)
}

/// All streams of a family: those with a snapshot and those with a tail.
pub(super) fn streams(shared: &Shared, family: &str) -> Result<Vec<StreamSummary>, JournalError> {
    let mut found = BTreeMap::new();
    let base = format!("{family}/");
    for entry in shared.tree.scan_prefix(keys::head(&base)) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        let head = Head::decode(&key, &raw)?;
        let name = std::str::from_utf8(&key[1..]).ok().and_then(StreamName::parse);
        let name = name.ok_or_else(|| values::corrupt(&key, Damage::Shape("stream's name")))?;
        found.insert(name, head.live);
    }
    for (name, stream) in &shared.index().streams {
        if name.family() == family && stream.first_block().is_some() {
            found.insert(name.clone(), true);
        }
    }
    Ok(found.into_iter().map(|(stream, live)| StreamSummary { stream, live }).collect())
}

/// Rows by prefix. `table` is the length of the part of the key that names the table.
pub(super) fn rows(
    shared: &Shared,
    table: usize,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<StoredRow>, JournalError> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        Some(_) | None => Bound::Included(prefix),
    };
    let mut found = Vec::new();
    for entry in shared.tree.range::<&[u8], _>((from, Bound::Unbounded)).take(limit) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        if !key.starts_with(prefix) {
            break;
        }
        let name = std::str::from_utf8(&key[table..]).map_err(|why| values::corrupt(&key, why))?;
        found.push(StoredRow { key: name.to_owned(), value: values::open(&shared.tree, &key, &raw)? });
    }
    Ok(found)
}

/// Rows of a table by descending key.
pub(super) fn rows_back(
    shared: &Shared,
    table: usize,
    prefix: &[u8],
    before: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<StoredRow>, JournalError> {
    // No key has 0xff bytes: the prefix with one behind it is beyond all keys that start with it.
    let end = [prefix, &[0xff]].concat();
    let to = before.filter(|before| *before < end.as_slice()).unwrap_or(&end);
    let mut found = Vec::new();
    if to <= prefix {
        return Ok(found);
    }
    for entry in shared.tree.range::<&[u8], _>((Bound::Included(prefix), Bound::Excluded(to))).rev().take(limit) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        let name = std::str::from_utf8(&key[table..]).map_err(|why| values::corrupt(&key, why))?;
        found.push(StoredRow { key: name.to_owned(), value: values::open(&shared.tree, &key, &raw)? });
    }
    Ok(found)
}

/// Event id and notice, each with its length before it.
pub(super) fn encode_notice(id: &str, notice: &Notice) -> Vec<u8> {
    // A notice is plain data: its serializer has no way to fail.
    let json = serde_json::to_vec(notice).unwrap_or_default();
    let mut content = Vec::with_capacity(id.len() + json.len() + 8);
    for part in [id.as_bytes(), &json] {
        content.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        content.extend_from_slice(part);
    }
    content
}

/// Reads back what [`encode_notice`] wrote.
fn entry(position: u64, reader: &mut Reader<'_>) -> Result<OutboxEntry, Damage> {
    let mut part = || reader.u32().and_then(|length| reader.take(length as usize));
    let (id, json) = (part()?, part()?);
    let id = String::from_utf8(id.to_vec()).map_err(|_| Damage::Shape("event id"))?;
    let notice = serde_json::from_slice(json).map_err(|_| Damage::Shape("notice"))?;
    Ok(OutboxEntry { position, id, notice })
}

/// A notice as it is held ready.
pub(super) fn decode_notice(position: u64, content: &[u8]) -> Result<OutboxEntry, JournalError> {
    entry(position, &mut Reader(content)).map_err(|why| values::corrupt(&keys::outbox("", position), why))
}

/// The entries of a chunk, and when it was committed.
pub(super) fn decode_chunk(key: &[u8], content: &[u8]) -> Result<(Timestamp, Vec<OutboxEntry>), JournalError> {
    let read = || {
        let mut reader = Reader(content);
        let at = Timestamp(reader.i64()?);
        let mut entries = Vec::new();
        while !reader.0.is_empty() {
            let position = reader.u64()?;
            entries.push(entry(position, &mut reader)?);
        }
        Ok::<_, Damage>((at, entries))
    };
    read().map_err(|why| values::corrupt(key, why))
}

/// Notices to a partner after a position. A chunk is named by its last position, so the first one at or after the next
/// position is where to begin.
pub(super) fn outbox(
    shared: &Shared,
    partner: &PartnerId,
    position: u64,
    limit: usize,
) -> Result<Vec<OutboxEntry>, JournalError> {
    let prefix = keys::outbox_prefix(partner.as_str());
    let mut found = Vec::new();
    for entry in shared.tree.range(keys::outbox(partner.as_str(), position.saturating_add(1))..) {
        let (key, raw) = entry.map_err(|e| values::failed(&e))?;
        if !key.starts_with(&prefix) || found.len() >= limit {
            break;
        }
        let content = values::open(&shared.tree, &key, &raw)?;
        let (_, entries) = decode_chunk(&key, &content)?;
        found.extend(entries.into_iter().filter(|entry| entry.position > position));
    }
    found.truncate(limit);
    Ok(found)
}
