//! Framed values: format version, checksum, and pieces where a value is too large for one page. Owns the frame; never
//! what is in it.
//!
//! ```text
//! format u8 | kind u8 | crc32 u32 | content          kind 0: the value itself
//!                                                     kind 1: crc32 of the value u32, pieces u16; they lie under `p`
//! ```
//! The crc covers format, kind and content, and the key, so that a value under a wrong key is found too.

use super::keys;
use crate::persistence::JournalError;
use crate::persistence::envelope::{BLOCK_MAX, Damage, FORMAT, Reader};

const WHOLE: u8 = 0;
const LARGE: u8 = 1;
const HEADER: usize = 6;
const ROOM: usize = BLOCK_MAX - HEADER;

/// A change of one value, encoded by the caller so that the commit thread need not.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) key: Vec<u8>,
    /// `None` removes it.
    pub(super) value: Option<Vec<u8>>,
    pub(super) pieces: Vec<Vec<u8>>,
}

impl Put {
    pub(super) fn remove(key: Vec<u8>) -> Self {
        Put { key, value: None, pieces: Vec::new() }
    }

    /// Frames `content` for `key`.
    pub(super) fn new(key: Vec<u8>, content: &[u8]) -> Self {
        if content.len() <= ROOM {
            let value = frame(&key, WHOLE, content);
            return Put { key, value: Some(value), pieces: Vec::new() };
        }
        let pieces: Vec<Vec<u8>> =
            (0u16..).zip(content.chunks(ROOM)).map(|(i, c)| frame(&keys::piece(&key, i), WHOLE, c)).collect();
        let mut rest = crc32fast::hash(content).to_be_bytes().to_vec();
        rest.extend_from_slice(&u16::try_from(pieces.len()).unwrap_or(u16::MAX).to_be_bytes());
        let value = frame(&key, LARGE, &rest);
        Put { key, value: Some(value), pieces }
    }
}

/// The largest framed value, 65,535 pieces: about 255 MiB.
pub(super) const VALUE_MAX: usize = ROOM * u16::MAX as usize;

fn checksum(key: &[u8], format: u8, kind: u8, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&[format, kind]);
    hasher.update(content);
    hasher.finalize()
}

pub(super) fn frame(key: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER + content.len());
    value.extend_from_slice(&[FORMAT, kind]);
    value.extend_from_slice(&checksum(key, FORMAT, kind, content).to_be_bytes());
    value.extend_from_slice(content);
    value
}

fn unframe<'a>(key: &[u8], value: &'a [u8]) -> Result<(u8, &'a [u8]), Damage> {
    let mut reader = Reader(value);
    let (format, kind, crc) = (reader.u8()?, reader.u8()?, reader.u32()?);
    if format > FORMAT {
        return Err(Damage::Newer(format));
    }
    if checksum(key, format, kind, reader.0) != crc {
        return Err(Damage::Checksum);
    }
    Ok((kind, reader.0))
}

pub(super) fn corrupt(key: &[u8], why: impl std::fmt::Display) -> JournalError {
    JournalError::Corrupt { key: keys::shown(key), why: why.to_string() }
}

/// Turns sled's errors into ours.
pub(super) fn failed(error: &sled::Error) -> JournalError {
    match error {
        sled::Error::Corruption { .. } => JournalError::Corrupt { key: "store".into(), why: error.to_string() },
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Io(_) => JournalError::Unavailable(error.to_string()),
    }
}

/// How many pieces a raw value has.
pub(super) fn piece_count(key: &[u8], raw: &[u8]) -> Result<u16, JournalError> {
    match unframe(key, raw).map_err(|why| corrupt(key, why))? {
        (WHOLE, _) => Ok(0),
        (LARGE, content) => {
            let mut reader = Reader(content);
            reader.u32().and_then(|_| reader.u16()).map_err(|why| corrupt(key, why))
        }
        (2.., _) => Err(corrupt(key, Damage::Shape("value"))),
    }
}

/// The content of a raw value, with its pieces.
pub(super) fn open(tree: &sled::Tree, key: &[u8], raw: &[u8]) -> Result<Vec<u8>, JournalError> {
    let (kind, content) = unframe(key, raw).map_err(|why| corrupt(key, why))?;
    match kind {
        WHOLE => Ok(content.to_vec()),
        LARGE => {
            let mut reader = Reader(content);
            let (crc, count) =
                reader.u32().and_then(|crc| Ok((crc, reader.u16()?))).map_err(|why| corrupt(key, why))?;
            let whole = pieces(tree, key, count)?;
            if crc32fast::hash(&whole) == crc { Ok(whole) } else { Err(corrupt(key, Damage::Checksum)) }
        }
        2.. => Err(corrupt(key, Damage::Shape("value"))),
    }
}

fn pieces(tree: &sled::Tree, owner: &[u8], count: u16) -> Result<Vec<u8>, JournalError> {
    let mut whole = Vec::with_capacity(usize::from(count) * ROOM);
    for index in 0..count {
        let key = keys::piece(owner, index);
        let raw = tree.get(&key).map_err(|e| failed(&e))?.ok_or_else(|| corrupt(&key, "missing"))?;
        let (_, content) = unframe(&key, &raw).map_err(|why| corrupt(&key, why))?;
        whole.extend_from_slice(content);
    }
    Ok(whole)
}

/// Reads a value.
pub(super) fn get(tree: &sled::Tree, key: &[u8]) -> Result<Option<Vec<u8>>, JournalError> {
    match tree.get(key).map_err(|e| failed(&e))? {
        Some(raw) => open(tree, key, &raw).map(Some),
        None => Ok(None),
    }
}

/// Checks the frame of a value or piece alone.
pub(super) fn check(key: &[u8], raw: &[u8]) -> Result<(), Damage> {
    unframe(key, raw).map(|_| ())
}

/// Reads a number of eight bytes, as the meta values are.
pub(super) fn get_u64(tree: &sled::Tree, key: &[u8]) -> Result<Option<u64>, JournalError> {
    let Some(content) = get(tree, key)? else { return Ok(None) };
    Reader(&content).u64().map(Some).map_err(|why| corrupt(key, why))
}

/// The head of a stream's snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) live: bool,
    /// Pieces of the state's value, to remove those that a shorter one leaves over.
    pub(super) pieces: u16,
}

impl Head {
    pub(super) fn encode(self) -> [u8; 11] {
        let mut bytes = [0; 11];
        bytes[..8].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[8] = u8::from(self.live);
        bytes[9..].copy_from_slice(&self.pieces.to_be_bytes());
        bytes
    }

    pub(super) fn decode(key: &[u8], raw: &[u8]) -> Result<Self, JournalError> {
        let read = || {
            let (_, content) = unframe(key, raw)?;
            let mut reader = Reader(content);
            Ok::<_, Damage>(Head { sequence: reader.u64()?, live: reader.u8()? != 0, pieces: reader.u16()? })
        };
        read().map_err(|why| corrupt(key, why))
    }
}
