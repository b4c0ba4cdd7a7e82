//! The stored formats, format version 1 (RT-6). Owns how a record and a block of records look as bytes; never reads
//! or writes a store.
//!
//! Invariants: what is written is read back equal or reported as [`Damage`], never skipped; a newer build reads every
//! older format version; a block is at most [`PACKED_MAX`] bytes (sled puts larger pages into files that it never syncs).
//!
//! ```text
//! record   length u32 | format u8 | stream length u16 | stream | sequence u64 | at i64 | id u128 | body | crc32 u32
//! block    "CB" | format u8 | kind u8 | crc32 u32 | at i64 | [index u16 | count u16, kind 2 only] | content
//! ```
//! Numbers are big-endian. A record's length counts what follows it; its crc covers everything between length and crc.
//! A block's crc covers everything after it. Kind 1 holds whole records, kind 2 one piece of a record too large for that.

mod block;

pub use block::{BLOCK_MAX, Block, Content, PACKED_MAX, Packer, RECORD_MAX, numbers};

use super::journal::{Record, StreamName};
use crate::clock::Timestamp;

/// The format that this build writes.
pub const FORMAT: u8 = 1;

/// What is wrong with stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Fewer bytes than the format needs.
    #[error("cut short")]
    Short,
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// Not what the key promises.
    #[error("not a {0}")]
    Shape(&'static str),
    /// Written by a newer build.
    #[error("format version {0} is newer than this build reads ({FORMAT})")]
    Newer(u8),
}

/// A record as it lies in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Its stream.
    pub stream: &'a str,
    /// Its place in the stream.
    pub sequence: u64,
    /// When the step was decided.
    pub at: Timestamp,
    /// The writer's id of it.
    pub id: u128,
    /// The engine's encoding of the step.
    pub body: &'a [u8],
}

/// Bytes of a record besides stream and body, without the length: format, stream length, sequence, at, id, crc.
const FIXED: usize = 1 + 2 + 8 + 8 + 16 + 4;

impl<'a> Envelope<'a> {
    /// The envelope of a record.
    pub fn of(stream: &'a StreamName, record: &'a Record) -> Self {
        let Record { sequence, at, id, body } = record;
        Envelope { stream: stream.as_str(), sequence: *sequence, at: *at, id: *id, body }
    }

    /// The record as the engine sees it.
    pub fn record(&self) -> Record {
        Record { sequence: self.sequence, at: self.at, id: self.id, body: self.body.to_vec() }
    }

    /// Its size as bytes.
    pub fn size(&self) -> usize {
        4 + FIXED + self.stream.len() + self.body.len()
    }

    /// Writes it behind `out`. Stream names are checked identifiers, far below 64 KiB, and bodies below [`RECORD_MAX`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.size());
        let length = u32::try_from(self.size() - 4).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        let start = out.len();
        out.push(FORMAT);
        out.extend_from_slice(&u16::try_from(self.stream.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(self.stream.as_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.at.0.to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(self.body);
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_be_bytes());
    }

    /// Reads one record from the front of `bytes` and gives what follows it.
    ///
    /// # Errors
    /// When the bytes are no whole, sound record.
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Damage> {
        let mut reader = Reader(bytes);
        let length = usize::try_from(reader.u32()?).map_err(|_| Damage::Short)?;
        let whole = reader.take(length)?;
        let rest = reader.0;
        let (covered, crc) = whole.split_at_checked(length.saturating_sub(4)).ok_or(Damage::Short)?;
        if crc32fast::hash(covered).to_be_bytes() != crc {
            return Err(Damage::Checksum);
        }
        let mut reader = Reader(covered);
        let format = reader.u8()?;
        if format > FORMAT {
            return Err(Damage::Newer(format));
        }
        let stream_length = usize::from(reader.u16()?);
        let stream = std::str::from_utf8(reader.take(stream_length)?).map_err(|_| Damage::Shape("record"))?;
        let (sequence, at, id) = (reader.u64()?, Timestamp(reader.i64()?), reader.u128()?);
        Ok((Envelope { stream, sequence, at, id, body: reader.0 }, rest))
    }
}

/// All records of a run of bytes that holds nothing else, in order.
///
/// # Errors
/// At the first that is not sound.
pub fn records(mut bytes: &[u8]) -> Result<Vec<Envelope<'_>>, Damage> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (envelope, rest) = Envelope::decode(bytes)?;
        found.push(envelope);
        bytes = rest;
    }
    Ok(found)
}

/// Reads fields from the front of a slice.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        self.take(N)?.try_into().map_err(|_| Damage::Short)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Damage> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Damage> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Damage> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, Damage> {
        self.array().map(u128::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(body: Vec<u8>) -> Record {
        Record { sequence: 7, at: Timestamp(1_700_000_000_000), id: u128::MAX - 3, body }
    }

    #[test]
    fn a_record_reads_back_as_written_and_leaves_the_rest() {
        let stream = StreamName::new("charger", "CP_1");
        let record = sample(b"step".to_vec());
        let mut bytes = Vec::new();
        Envelope::of(&stream, &record).encode(&mut bytes);
        assert_eq!(bytes.len(), Envelope::of(&stream, &record).size());
        bytes.extend_from_slice(b"rest");
        let (read, rest) = Envelope::decode(&bytes).unwrap();
        assert_eq!((read.stream, read.record(), rest), ("charger/CP_1", record, b"rest".as_slice()));
    }

    #[test]
    fn a_record_of_a_newer_format_is_refused_by_name() {
        let mut bytes = Vec::new();
        Envelope::of(&StreamName::new("a", "b"), &sample(vec![])).encode(&mut bytes);
        bytes[4] = FORMAT + 1;
        let end = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[4..end]).to_be_bytes();
        bytes[end..].copy_from_slice(&crc);
        assert_eq!(Envelope::decode(&bytes), Err(Damage::Newer(FORMAT + 1)));
    }

    proptest! {
        #[test]
        fn no_bit_of_a_record_flips_unseen(body in prop::collection::vec(any::<u8>(), 0..200), place: prop::sample::Index, bit in 0u8..8) {
            let stream = StreamName::new("charger", "CP_1");
            let record = sample(body);
            let mut bytes = Vec::new();
            Envelope::of(&stream, &record).encode(&mut bytes);
            let at = place.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(records(&bytes).is_err());
        }
    }
}
