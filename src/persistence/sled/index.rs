//! What is known of streams in memory: who may write, which sequence is next, where the tail lies. Owns the fence;
//! never reads the store.
//!
//! A stream is here if it has a tail (records that no snapshot covers) or was claimed by this process; the others are
//! read from their head when claimed. The index runs ahead of durability by the batch in the making: only the commit
//! thread changes it, and answers are given after the sync; a failed sync stops the whole journal.

use super::values::Head;
use crate::persistence::envelope::Envelope;
use crate::persistence::{StreamName, Token};
use std::collections::{HashMap, VecDeque};

/// Record ids remembered a stream. A writer has one append in flight and asks only about the last record of that one
/// (architecture §2); a few more do not let a retry that was overtaken be taken for a stranger's. Tokens, and with them
/// the questions, do not outlive the process.
const RECENT_IDS: usize = 4;

/// Records of a tail that begin in one block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first_sequence: u64,
    pub(super) block: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) claim: u64,
    /// The last sequence; meaningless until `loaded`.
    pub(super) last: u64,
    pub(super) loaded: bool,
    pub(super) snapshot: u64,
    pub(super) snapshot_pieces: u16,
    tail: Tail,
    /// The halves of the last ids that tell them apart: they are random. The newest first.
    recent: [u64; RECENT_IDS],
    /// How many of them there are.
    known: u8,
}

/// Where the records lie that no snapshot covers. Held for every stream, so the runs are kept as distances from the first.
#[derive(Debug, Default)]
struct Tail {
    base: Run,
    runs: VecDeque<(u32, u32)>,
}

impl Tail {
    fn iter(&self) -> impl DoubleEndedIterator<Item = Run> {
        self.runs.iter().map(|run| self.whole(*run))
    }

    fn whole(&self, (sequences, blocks): (u32, u32)) -> Run {
        Run {
            first_sequence: self.base.first_sequence + u64::from(sequences),
            block: self.base.block + u64::from(blocks),
        }
    }

    fn get(&self, place: usize) -> Option<Run> {
        self.runs.get(place).map(|run| self.whole(*run))
    }

    fn push(&mut self, run: Run) {
        if self.runs.is_empty() {
            self.base = run;
        }
        // A distance that does not fit would be 16 TiB of log behind one stream.
        let far = |to: u64, from: u64| u32::try_from(to - from).unwrap_or(u32::MAX);
        let distance = (far(run.first_sequence, self.base.first_sequence), far(run.block, self.base.block));
        self.runs.push_back(distance);
    }
}

/// What the fence says of an append.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it.
    New,
    /// It is there already; its last record has this sequence.
    Duplicate(u64),
    Fenced,
}

impl Stream {
    /// The verdict on an append by `claim` after sequence `after` whose last record has id `last_id`.
    pub(super) fn judge(&self, claim: u64, after: u64, last_id: u128) -> Verdict {
        if claim != self.claim {
            return Verdict::Fenced;
        }
        if let Some(sequence) = self.find(last_id) {
            return Verdict::Duplicate(sequence);
        }
        if self.loaded && self.last == after { Verdict::New } else { Verdict::Fenced }
    }

    /// The sequence of a remembered record.
    pub(super) fn find(&self, id: u128) -> Option<u64> {
        let back = self.recent[..usize::from(self.known)].iter().position(|known| *known == id as u64)?;
        Some(self.last - back as u64)
    }

    /// Takes note of the record that follows.
    pub(super) fn push(&mut self, id: u128, block: u64) {
        self.last += 1;
        self.recent.rotate_right(1);
        self.recent[0] = id as u64;
        self.known = RECENT_IDS.min(usize::from(self.known) + 1) as u8;
        if self.tail.iter().next_back().is_none_or(|run| run.block != block) {
            self.tail.push(Run { first_sequence: self.last, block });
        }
    }

    /// A snapshot covers everything up to `sequence`.
    pub(super) fn cover(&mut self, sequence: u64, pieces: u16) {
        (self.snapshot, self.snapshot_pieces) = (sequence, pieces);
        while self.tail.get(1).is_some_and(|next| next.first_sequence <= sequence + 1) {
            self.tail.runs.pop_front();
        }
        if self.last <= sequence {
            self.tail = Tail::default();
        }
    }

    pub(super) fn tail_records(&self) -> u64 {
        self.last.saturating_sub(self.snapshot)
    }

    pub(super) fn first_block(&self) -> Option<u64> {
        self.tail.get(0).map(|run| run.block)
    }

    /// The runs of the tail, oldest first.
    pub(super) fn runs(&self) -> impl DoubleEndedIterator<Item = Run> {
        self.tail.iter()
    }
}

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Boxed: the places of a map are half empty.
    pub(super) streams: HashMap<StreamName, Box<Stream>>,
    claims: u64,
}

impl Index {
    /// A new claim fences all earlier ones of the stream.
    pub(super) fn claim(&mut self, name: &StreamName) -> (Token, &mut Stream) {
        self.claims += 1;
        let stream = self.streams.entry(name.clone()).or_default();
        stream.claim = self.claims;
        (Token { stream: name.clone(), claim: self.claims }, stream)
    }

    /// The block before which no tail begins; `next` if there is none.
    pub(super) fn horizon(&self, next: u64) -> u64 {
        self.streams.values().filter_map(|stream| stream.first_block()).min().unwrap_or(next)
    }

    /// Streams whose tail begins before `block`, the farthest behind first.
    pub(super) fn behind(&self, block: u64, limit: usize) -> Vec<StreamName> {
        let mut found: Vec<(u64, &StreamName)> = self
            .streams
            .iter()
            .filter_map(|(name, stream)| Some((stream.first_block().filter(|first| *first < block)?, name)))
            .collect();
        found.sort_unstable();
        found.into_iter().take(limit).map(|(_, name)| name.clone()).collect()
    }

    /// Takes in a record found in block `block` at open, given the snapshot that its stream has, if it has one. The
    /// sequence that was expected instead, if it does not follow.
    pub(super) fn found<'a>(
        &mut self,
        envelope: &Envelope<'_>,
        block: u64,
        head: impl FnOnce() -> Option<&'a Head>,
    ) -> Result<(), u64> {
        let stream = match self.streams.get_mut(envelope.stream) {
            Some(stream) => stream,
            None => {
                let (covered, pieces) = head().map_or((0, 0), |head| (head.sequence, head.pieces));
                if envelope.sequence <= covered {
                    return Ok(());
                }
                let name = StreamName::parse(envelope.stream).ok_or(0u64)?;
                let fresh = Stream {
                    last: covered,
                    snapshot: covered,
                    snapshot_pieces: pieces,
                    loaded: true,
                    ..Stream::default()
                };
                self.streams.entry(name).or_insert_with(|| Box::new(fresh))
            }
        };
        if envelope.sequence <= stream.snapshot {
            return Ok(());
        }
        if envelope.sequence != stream.last + 1 {
            return Err(stream.last + 1);
        }
        stream.push(envelope.id, block);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(ids: std::ops::RangeInclusive<u128>) -> Stream {
        let mut stream = Stream { claim: 3, loaded: true, ..Stream::default() };
        for id in ids {
            stream.push(id, 100 + (id as u64 - 1) / 2);
        }
        stream
    }

    #[test]
    fn the_fence_knows_new_doubled_and_foreign_appends() {
        let stream = stream(1..=4);
        assert_eq!(stream.judge(3, 4, 5), Verdict::New);
        assert_eq!(stream.judge(3, 3, 4), Verdict::Duplicate(4));
        assert_eq!(stream.judge(3, 0, 2), Verdict::Duplicate(2));
        assert_eq!(stream.judge(3, 3, 5), Verdict::Fenced);
        assert_eq!(stream.judge(2, 4, 5), Verdict::Fenced);
    }

    #[test]
    fn a_tail_is_told_as_it_was_noted_and_begins_anew_after_a_snapshot() {
        let mut stream = stream(1..=4);
        stream.push(5, 100 + u64::from(u32::MAX) - 1);
        let far = Run { first_sequence: 5, block: 100 + u64::from(u32::MAX) - 1 };
        let near = [Run { first_sequence: 1, block: 100 }, Run { first_sequence: 3, block: 101 }];
        assert_eq!(stream.runs().collect::<Vec<_>>(), [near[0], near[1], far]);
        stream.cover(2, 0);
        assert_eq!(stream.runs().collect::<Vec<_>>(), [near[1], far]);
        stream.cover(5, 0);
        stream.push(6, far.block + 7);
        assert_eq!(stream.runs().collect::<Vec<_>>(), [Run { first_sequence: 6, block: far.block + 7 }]);
    }

    #[test]
    fn a_snapshot_in_the_middle_of_a_block_keeps_that_block() {
        let mut stream = stream(1..=6);
        stream.cover(3, 0);
        assert_eq!(stream.first_block(), Some(101));
        assert_eq!(stream.tail_records(), 3);
        stream.cover(4, 0);
        assert_eq!(stream.first_block(), Some(102));
        stream.cover(6, 0);
        assert_eq!(stream.first_block(), None);
    }
}
