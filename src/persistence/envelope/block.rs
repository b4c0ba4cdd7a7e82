//! Log blocks: how the records of one commit are packed. Owns the block's format and the rule of packing; never a key.
//!
//! Invariants: a block of whole records is at most [`PACKED_MAX`] bytes and any other stored value at most [`BLOCK_MAX`]; a block
//! takes a number for each [`BLOCK_MAX`] bytes that it has begun, so that numbers measure the log; the pieces of a record lie in
//! consecutive blocks of one commit.

use super::{Damage, FORMAT, Reader};
use crate::clock::Timestamp;

/// The largest stored value but for [`PACKED_MAX`]: sled moves pages of more than about 128 KiB into `blobs/` files that it
/// never syncs, and a page is at most 64 KiB and one value.
pub const BLOCK_MAX: usize = 4096;

/// The largest block of whole records. Each value that a commit hands to the store costs it some microseconds, so many records
/// go in few blocks (ADR 19).
pub const PACKED_MAX: usize = 4 * BLOCK_MAX;

const MAGIC: [u8; 2] = *b"CB";
const WHOLE: u8 = 1;
const PIECE: u8 = 2;
const HEADER: usize = 2 + 1 + 1 + 4 + 8;
const PIECE_ROOM: usize = BLOCK_MAX - HEADER - 4;

/// The largest record: 4,096 pieces, about 16 MiB. A charger's message has at most 1 MiB (CH-2), so a step beyond this
/// is a defect of the engine, and one batch should not hold up everyone for seconds.
pub const RECORD_MAX: usize = 4096 * PIECE_ROOM;

/// A block as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    /// When its commit was made.
    pub at: Timestamp,
    /// What it holds.
    pub content: Content<'a>,
}

/// What a block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// Whole records, one behind the other.
    Whole(&'a [u8]),
    /// A piece of one record.
    Piece {
        /// Which piece, from 0.
        index: u16,
        /// How many there are.
        count: u16,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// How many numbers a stored block of so many bytes takes.
pub fn numbers(bytes: usize) -> u64 {
    bytes.div_ceil(BLOCK_MAX).max(1) as u64
}

impl<'a> Block<'a> {
    /// Reads a block and checks it.
    ///
    /// # Errors
    /// When the bytes are no sound block of a format that this build knows.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Damage> {
        let mut reader = Reader(bytes);
        if reader.take(2)? != MAGIC {
            return Err(Damage::Shape("log block"));
        }
        let (format, kind, crc) = (reader.u8()?, reader.u8()?, reader.u32()?);
        if format > FORMAT {
            return Err(Damage::Newer(format));
        }
        if checksum(format, kind, reader.0) != crc {
            return Err(Damage::Checksum);
        }
        let at = Timestamp(reader.i64()?);
        let content = match kind {
            WHOLE => Content::Whole(reader.0),
            PIECE => Content::Piece { index: reader.u16()?, count: reader.u16()?, bytes: reader.0 },
            0 | 3.. => return Err(Damage::Shape("log block")),
        };
        Ok(Block { at, content })
    }
}

/// The checksum covers format and kind too, though they stand before it.
fn checksum(format: u8, kind: u8, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format, kind]);
    hasher.update(rest);
    hasher.finalize()
}

/// Packs the records of one commit into blocks.
#[derive(Debug)]
pub struct Packer {
    next: u64,
    at: Timestamp,
    open: Vec<u8>,
    done: Vec<(u64, Vec<u8>)>,
}

impl Packer {
    /// Begins a commit whose first block has the number `first`.
    pub fn new(first: u64, at: Timestamp) -> Self {
        Packer { next: first, at, open: Vec::new(), done: Vec::new() }
    }

    /// Adds a record as [`super::Envelope::encode`] wrote it; gives the number of the block in which it begins.
    pub fn push(&mut self, envelope: &[u8]) -> u64 {
        if HEADER + envelope.len() > BLOCK_MAX {
            self.seal();
            return self.pieces(envelope);
        }
        if self.open.len() + envelope.len() > PACKED_MAX {
            self.seal();
        }
        if self.open.is_empty() {
            self.open = header(WHOLE, self.at);
        }
        if self.open.len() + envelope.len() > self.open.capacity() {
            // A block that outgrows a small commit's gets its whole room at once.
            self.open.reserve_exact(PACKED_MAX - self.open.len());
        }
        self.open.extend_from_slice(envelope);
        self.next
    }

    /// Adds a block without records, which holds its number's place.
    pub fn place_holder(&mut self) {
        self.seal();
        self.open = header(WHOLE, self.at);
        self.seal();
    }

    /// The blocks of the commit, in order, and the number after the last.
    pub fn finish(mut self) -> (Vec<(u64, Vec<u8>)>, u64) {
        self.seal();
        (self.done, self.next)
    }

    fn pieces(&mut self, envelope: &[u8]) -> u64 {
        let first = self.next;
        let pieces = envelope.chunks(PIECE_ROOM);
        let count = u16::try_from(pieces.len()).unwrap_or(u16::MAX);
        for (index, piece) in (0u16..).zip(pieces) {
            self.open = header(PIECE, self.at);
            self.open.extend_from_slice(&index.to_be_bytes());
            self.open.extend_from_slice(&count.to_be_bytes());
            self.open.extend_from_slice(piece);
            self.seal();
        }
        first
    }

    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut block = std::mem::take(&mut self.open);
        let crc = checksum(block[2], block[3], &block[8..]);
        block[4..8].copy_from_slice(&crc.to_be_bytes());
        let taken = numbers(block.len());
        self.done.push((self.next, block));
        self.next += taken;
    }
}

fn header(kind: u8, at: Timestamp) -> Vec<u8> {
    let mut block = Vec::with_capacity(BLOCK_MAX);
    block.extend_from_slice(&MAGIC);
    block.extend_from_slice(&[FORMAT, kind, 0, 0, 0, 0]);
    block.extend_from_slice(&at.0.to_be_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::super::{Envelope, records};
    use super::*;
    use crate::persistence::{Record, StreamName};
    use proptest::prelude::*;

    fn unpack(blocks: &[(u64, Vec<u8>)]) -> Vec<(u64, Record)> {
        let (mut found, mut pending) = (Vec::new(), (0, Vec::new()));
        for (number, bytes) in blocks {
            assert!(bytes.len() <= PACKED_MAX);
            match Block::decode(bytes).unwrap().content {
                Content::Whole(bytes) => {
                    found.extend(records(bytes).unwrap().iter().map(|e| (*number, e.record())));
                }
                Content::Piece { index, count, bytes } => {
                    if index == 0 {
                        pending = (*number, Vec::new());
                    }
                    pending.1.extend_from_slice(bytes);
                    if index + 1 == count {
                        let (envelope, rest) = Envelope::decode(&pending.1).unwrap();
                        assert!(rest.is_empty());
                        found.push((pending.0, envelope.record()));
                    }
                }
            }
        }
        found
    }

    #[test]
    fn many_records_of_a_commit_go_in_few_blocks() {
        let mut packer = Packer::new(100, Timestamp(5));
        let record = Record { sequence: 1, at: Timestamp(1), id: 1, body: vec![7; 300] };
        let mut bytes = Vec::new();
        Envelope::of(&StreamName::new("charger", "CP-000001"), &record).encode(&mut bytes);
        for _ in 0..256 {
            packer.push(&bytes);
        }
        let (blocks, next) = packer.finish();
        let numbers: Vec<u64> = blocks.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            (numbers, next),
            (vec![100, 104, 108, 112, 116, 120], 123),
            "a number for each 4 KiB of {}",
            bytes.len()
        );
    }

    proptest! {
        #[test]
        fn whatever_the_sizes_every_record_comes_back_in_order(sizes in prop::collection::vec(prop_oneof![0usize..700, 3900usize..4300, 8000usize..20000], 1..40)) {
            let stream = StreamName::new("charger", "A");
            let mut packer = Packer::new(100, Timestamp(5));
            let mut expected = Vec::new();
            for (sequence, size) in (1..).zip(sizes) {
                let body = vec![sequence as u8; size];
                let record = Record { sequence, at: Timestamp(1), id: u128::from(sequence), body };
                let mut bytes = Vec::new();
                Envelope::of(&stream, &record).encode(&mut bytes);
                expected.push((packer.push(&bytes), record));
            }
            let (blocks, next) = packer.finish();
            for (one, after) in blocks.iter().zip(blocks.iter().map(|(number, _)| *number).skip(1).chain([next])) {
                prop_assert_eq!(one.0 + numbers(one.1.len()), after);
            }
            prop_assert_eq!(unpack(&blocks), expected);
        }

        #[test]
        fn no_bit_of_a_block_flips_unseen(size in 0usize..3000, place: prop::sample::Index, bit in 0u8..8) {
            let mut packer = Packer::new(0, Timestamp(5));
            packer.push(&vec![1; size + 1]);
            let (mut blocks, _) = packer.finish();
            let block = &mut blocks[0].1;
            let at = place.index(block.len());
            block[at] ^= 1 << bit;
            prop_assert!(Block::decode(block).is_err());
        }
    }
}
