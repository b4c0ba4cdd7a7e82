//! The end of the store's file, looked at before sled opens it (RT-6, RT-7; faults J9, J10). Owns what is read of sled's
//! format; never writes.
//!
//! What cannot be read in the newest segments sled takes for the end of the log, and wipes what follows without a word (before that it
//! is damage to it as well, `vendor/sled/PATCHES.md`). Two things can be there: commits that a crash cut off, of which nobody was told and which have to go; or damage, behind which lie commits that
//! were acknowledged. They can be told apart: a commit begins with a manifest, and that names up to which lsn the log was synced when the commit was written. So
//! where a manifest behind the unreadable place names that place, it had been there before.
//!
//! sled 0.34: the file is a sequence of segments of 512 KiB, used again in any order. A segment begins with a header (checksum,
//! the log sequence number `lsn` of its first byte, and up to which lsn all was stable), then come messages: checksum, kind, the
//! varints length, segment number and page, then the body.

use super::{disk, witness};
use crate::persistence::JournalError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// sled's default, which [`super::open::open_sled`] keeps.
const SEGMENT: usize = 512 << 10;
const SEGMENT_HEADER: usize = 20;
/// Room that sled leaves at the end of a segment.
const MESSAGE_HEADER_MAX: usize = 32;

/// How the name of a list of pages begins, before its lsn.
const LIST: &str = "snap.";

const CAP: u8 = 2;
const MANIFEST: u8 = 3;
const KINDS: std::ops::RangeInclusive<u8> = 1..=11;

/// What lies at the end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Whole commits.
    Clean,
    /// A commit of which a part is missing, from its first byte to where it cannot be read, and what was written after it.
    CutOff { from: u64, to: u64 },
    /// Something unreadable that had been synced before another commit was written, which begins behind it.
    Damaged { at: u64, behind: u64 },
}

/// Looks at the store before it is opened: refuses one whose log is damaged before its end, and says where a crash has cut a
/// commit off.
pub(super) fn check(store: &Path) -> Result<(), JournalError> {
    if !witness::is_there(store) {
        return Ok(());
    }
    let file = disk::db_file(store)?;
    let end = listed(store).and_then(|listed| look(&file, listed));
    match end.map_err(|error| disk::unavailable("reading", store, &error))? {
        End::Clean => Ok(()),
        End::CutOff { from, to } => {
            let store = store.display();
            tracing::warn!(%store, from, to, "commits were cut off by a crash and are dropped: nobody had been told of them");
            Ok(())
        }
        End::Damaged { at, behind } => {
            let why = format!(
                "byte {at} cannot be read, and the commit that begins at byte {behind} was made after it: the store's file is \
                 damaged and acknowledged commits are lost from there on. Restore a backup; or, to go on without them, \
                 remove the file `{}` beside it",
                witness::NAME
            );
            Err(JournalError::Corrupt { key: disk::file_key(store), why })
        }
    }
}

/// A segment as its header tells.
struct Segment {
    offset: u64,
    number: u64,
    bytes: Vec<u8>,
}

/// A message that is whole and sound.
struct Message {
    kind: u8,
    /// With its header.
    len: usize,
    /// The last lsn of the batch, and up to where all was synced before it, for a manifest.
    last: i64,
    synced: i64,
}

/// `listed`: from where a start reads the log.
fn look(file: &File, listed: i64) -> io::Result<End> {
    let Log { segments, headless, stable } = survey(file)?;
    let size = SEGMENT as i64;
    let listed = listed / size * size;
    // sled reads all of it once this is over.
    segments.range(listed..).for_each(|(_, offset)| disk::will_read(file, *offset, SEGMENT as u64));
    // One that is free has no header, so what has half of one was needed.
    for (&lsn, &at) in headless.range(listed..) {
        let place = lsn + SEGMENT_HEADER as i64;
        let within = later(&read(file, at, lsn)?, SEGMENT_HEADER, place);
        if let Some(behind) = within.map_or_else(|| later_segments(file, &segments, lsn, place), |at| Ok(Some(at)))? {
            return Ok(End::Damaged { at, behind });
        }
    }
    // No segment behind both was freed: while the journal is open none is that a header does not tell of, and a start frees those before its list.
    let mut lsn = (stable / size * size).max(listed);
    let mut batch: Option<(u64, i64)> = None;
    let (mut end, mut place) = (lsn, 0);
    while let Some(offset) = segments.get(&lsn) {
        let segment = read(file, *offset, lsn)?;
        let (at, sound) = walk(&segment, |at, message| {
            if message.kind == MANIFEST {
                batch = Some((segment.offset + at as u64, message.last));
            }
        });
        (end, place) = (lsn + at as i64, segment.offset + at as u64);
        if !sound {
            return unreadable(file, &segments, &segment, (lsn, at), batch);
        }
        lsn += size;
    }
    // A segment that is not there, and of which more than its header was synced before another commit was written.
    if let Some(behind) = later_segments(file, &segments, lsn, lsn + SEGMENT_HEADER as i64)? {
        return Ok(End::Damaged { at: file.metadata()?.len(), behind });
    }
    Ok(match batch {
        Some((from, last)) if last >= end => End::CutOff { from, to: place },
        _ => End::Clean,
    })
}

/// The lsn from which a start reads the log: where the newest list of pages was begun, which names it. Asks for that list, too.
fn listed(store: &Path) -> io::Result<i64> {
    let mut newest = (0, None);
    for entry in std::fs::read_dir(store)? {
        let entry = entry?;
        let name = entry.file_name();
        let lsn = name.to_str().and_then(|name| name.strip_prefix(LIST)).map(|lsn| i64::from_str_radix(lsn, 16));
        // What is not finished yet has a longer name, and is no list.
        if let Some(Ok(lsn)) = lsn {
            newest = newest.max((lsn, Some(entry.path())));
        }
    }
    if let Some(list) = &newest.1 {
        let list = File::open(list)?;
        disk::will_read(&list, 0, list.metadata()?.len());
    }
    Ok(newest.0)
}

/// The first commit behind the segment of an lsn that was written after `place` had been synced.
fn later_segments(file: &File, segments: &BTreeMap<i64, u64>, lsn: i64, place: i64) -> io::Result<Option<u64>> {
    for (next, offset) in segments.range(lsn + 1..) {
        if let Some(behind) = later(&read(file, *offset, *next)?, SEGMENT_HEADER, place) {
            return Ok(Some(behind));
        }
    }
    Ok(None)
}

/// What a place says that cannot be read: the end of the log, a commit that was cut off, or damage.
fn unreadable(
    file: &File,
    segments: &BTreeMap<i64, u64>,
    segment: &Segment,
    (lsn, at): (i64, usize),
    batch: Option<(u64, i64)>,
) -> io::Result<End> {
    let place = segment.offset + at as u64;
    let damaged = |behind| Ok(End::Damaged { at: place, behind });
    if let Some(behind) = later(segment, at + 1, lsn + at as i64) {
        return damaged(behind);
    }
    if let Some(behind) = later_segments(file, segments, lsn, lsn + at as i64)? {
        return damaged(behind);
    }
    let torn = header(&segment.bytes[at..]).is_some_and(|found| found.1 == segment.number && KINDS.contains(&found.0));
    Ok(match batch {
        Some((from, last)) if last >= lsn + at as i64 => End::CutOff { from, to: place },
        _ if torn => End::CutOff { from: place, to: place },
        _ => End::Clean,
    })
}

/// What the segments' headers tell.
#[derive(Default)]
struct Log {
    /// Where each lsn begins.
    segments: BTreeMap<i64, u64>,
    /// Where those begin whose header cannot be read; their first message names them, too.
    headless: BTreeMap<i64, u64>,
    /// Up to which lsn all was stable when a header was written.
    stable: i64,
}

/// Asks for all headers before it reads the first: thousands of places, one after another, are slow on a disk whose file is not in memory.
fn survey(file: &File) -> io::Result<Log> {
    let mut log = Log::default();
    let length = file.metadata()?.len();
    let headers = || (0..length).step_by(SEGMENT).filter(|offset| offset + SEGMENT_HEADER as u64 <= length);
    headers().for_each(|offset| disk::will_read(file, offset, SEGMENT_HEADER as u64));
    for offset in headers() {
        let mut raw = [0; SEGMENT_HEADER];
        file.read_exact_at(&mut raw, offset)?;
        let (crc, rest) = raw.split_at(4);
        let number = |raw: &[u8]| raw.try_into().map_or(0, i64::from_le_bytes) ^ i64::MAX;
        if le_u32(crc) ^ u32::MAX == crc32fast::hash(rest) {
            log.segments.insert(number(&rest[..8]), offset);
            log.stable = log.stable.max(number(&rest[8..]));
        } else if raw != [0; SEGMENT_HEADER]
            && let Some(lsn) = named(file, offset)?
        {
            log.headless.insert(lsn, offset);
        }
    }
    Ok(log)
}

/// The lsn of the segment that begins there, from its first message.
fn named(file: &File, offset: u64) -> io::Result<Option<i64>> {
    let mut segment = read(file, offset, 0)?;
    let first = segment.bytes.get(SEGMENT_HEADER..).and_then(header);
    segment.number = first.map_or(0, |found| found.1);
    Ok(message(&segment, SEGMENT_HEADER).map(|_| segment.number as i64 * SEGMENT as i64))
}

fn read(file: &File, offset: u64, lsn: i64) -> io::Result<Segment> {
    let length = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; SEGMENT.min(usize::try_from(length).unwrap_or(SEGMENT))];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(Segment { offset, number: lsn as u64 / SEGMENT as u64, bytes })
}

/// Shows all messages of a segment up to the first that cannot be read. Gives where that is, or that there is none.
fn walk(segment: &Segment, mut see: impl FnMut(usize, &Message)) -> (usize, bool) {
    let mut at = SEGMENT_HEADER;
    while at + MESSAGE_HEADER_MAX <= SEGMENT {
        let Some(message) = message(segment, at) else { return (at, false) };
        if message.kind == CAP {
            return (SEGMENT, true);
        }
        see(at, &message);
        at += message.len;
    }
    (SEGMENT, true)
}

/// The first commit from a place of a segment on that was written after `lsn` had been synced.
fn later(segment: &Segment, from: usize, lsn: i64) -> Option<u64> {
    let is_later = |at: &usize| {
        segment.bytes.get(at + 4) == Some(&MANIFEST) && message(segment, *at).is_some_and(|found| found.synced >= lsn)
    };
    (from..segment.bytes.len()).find(is_later).map(|at| segment.offset + at as u64)
}

fn message(segment: &Segment, at: usize) -> Option<Message> {
    let rest = segment.bytes.get(at..)?;
    let (kind, number, body, len) = header(rest)?;
    if number != segment.number || !KINDS.contains(&kind) {
        return None;
    }
    let (head, body) = (&rest[..body], rest.get(body..)?.get(..usize::try_from(len).ok()?)?);
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    crc.update(&head[4..]);
    if crc.finalize() ^ u32::MAX != le_u32(&head[..4]) {
        return None;
    }
    let lsn = |raw: &[u8]| raw.try_into().map_or(0, i64::from_le_bytes);
    let (last, synced) = match (kind, body.len()) {
        // Of a store that was written when all before a commit was synced first.
        (MANIFEST, 8) => (lsn(body), segment.number as i64 * SEGMENT as i64 + at as i64 - 1),
        (MANIFEST, 16) => (lsn(&body[..8]), lsn(&body[8..])),
        _ => (0, 0),
    };
    Some(Message { kind, len: head.len() + body.len(), last, synced })
}

/// Kind, segment number, where the body begins, and its length.
fn header(bytes: &[u8]) -> Option<(u8, u64, usize, u64)> {
    let kind = *bytes.get(4)?;
    let mut at = 5;
    let len = varint(bytes, &mut at)?;
    let number = varint(bytes, &mut at)?;
    varint(bytes, &mut at)?;
    Some((kind, number, at, len))
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let first = *bytes.get(*at)?;
    let byte = |n: usize| bytes.get(*at + n).copied().map(u64::from);
    let (value, len) = match first {
        0..=240 => (u64::from(first), 1),
        241..=248 => (240 + 256 * (u64::from(first) - 241) + byte(1)?, 2),
        249 => (2288 + 256 * byte(1)? + byte(2)?, 3),
        250..=255 => {
            let size = usize::from(first) - 247;
            let mut raw = [0; 8];
            raw[..size].copy_from_slice(bytes.get(*at + 1..=*at + size)?);
            (u64::from_le_bytes(raw), size + 1)
        }
    };
    *at += len;
    Some(value)
}

fn le_u32(raw: &[u8]) -> u32 {
    raw.try_into().map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests;
