//! One batch in the making. Owns what a job becomes in the store; never writes it.

use super::answers::{Answer, Answers};
use super::commit::{AppendJob, ClaimStart, Job, OutboxPut};
use super::freeze::Freeze;
use super::index::{Index, Verdict};
use super::recent::Told;
use super::shared::{Mutable, Shared};
use super::values::{Head, Put};
use super::{keys, once};
use crate::clock::Timestamp;
use crate::ids::PartnerId;
use crate::persistence::envelope::{BLOCK_MAX, Packer};
use crate::persistence::{AppendError, Appended, CreateOnce, JournalError, Token};
use crate::telemetry::metrics::journal as metrics;
use std::collections::{BTreeMap, HashMap};
use std::sync::MutexGuard;

/// Room for entries in a chunk of the outbox: a block less frame and time.
const CHUNK_ROOM: usize = BLOCK_MAX - 64;

/// A batch ready to be applied.
pub(super) struct Sealed {
    pub(super) batch: sled::Batch,
    pub(super) next_block: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// The rows that it changes.
    pub(super) rows: Vec<Vec<u8>>,
    pub(super) told: Vec<Told>,
    /// The lowest position that a notice of this commit can have.
    pub(super) first_position: u64,
}

#[derive(Default)]
struct Chunks {
    done: Vec<(u64, Vec<u8>)>,
    open: Vec<u8>,
    last: u64,
}

/// What an append turned out to be, with its answer.
enum Judged {
    /// Its records lie in this batch; what goes with them is to follow.
    New(Appended),
    /// Its records were written before.
    Repeated(Appended),
}

pub(super) struct Draft<'a> {
    shared: &'a Shared,
    index: MutexGuard<'a, Index>,
    mutable: MutexGuard<'a, Mutable>,
    now: Timestamp,
    /// Whether the disk has room for what is to be written.
    room: bool,
    batch: sled::Batch,
    packer: Packer,
    first_block: u64,
    outbox: BTreeMap<PartnerId, Chunks>,
    told: Vec<Told>,
    rows: Vec<Vec<u8>>,
    records: u64,
    puts: u64,
    bytes: u64,
    must_write: bool,
    /// Values of the keys created or removed in this very batch.
    once: HashMap<Vec<u8>, Option<Vec<u8>>>,
    answers: Answers,
    freezes: Vec<Freeze>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(shared: &'a Shared, first_block: u64, now: Timestamp, room: bool) -> Self {
        Draft {
            index: shared.index(),
            mutable: shared.mutable(),
            shared,
            now,
            room,
            batch: sled::Batch::default(),
            packer: Packer::new(first_block, now),
            first_block,
            outbox: BTreeMap::new(),
            told: Vec::new(),
            rows: Vec::new(),
            records: 0,
            puts: 0,
            bytes: 0,
            must_write: false,
            once: HashMap::new(),
            answers: Answers::default(),
            freezes: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn notices(&self) -> usize {
        self.told.len()
    }

    pub(super) fn writes(&self) -> bool {
        self.records > 0 || self.puts > 0
    }

    pub(super) fn must_write(&self) -> bool {
        self.must_write
    }

    /// Takes a job in.
    ///
    /// # Errors
    /// When the store cannot be read: the journal fails.
    pub(super) fn take(&mut self, job: Job) -> Result<(), String> {
        match job {
            Job::Append(job) => self.append(job),
            Job::Snapshot { token, sequence, live, state, reply } => {
                let outcome = self.snapshot(&token, sequence, live, state);
                self.answers.push(Answer::Done(reply, outcome));
            }
            Job::Create { put, value, reply } => {
                let outcome = self.create(put, value).map_err(|e| e.to_string())?;
                self.answers.push(Answer::Create(reply, outcome));
            }
            Job::Remove { key, reply } => {
                let outcome = if self.room { Ok(()) } else { Err(JournalError::Full) };
                if self.room {
                    self.once.insert(key.clone(), None);
                    self.put(Put::remove(key));
                }
                self.answers.push(Answer::Done(reply, outcome));
            }
            Job::Claim { streams, reply } => {
                let claim = |stream| {
                    let (token, known) = self.index.claim(stream);
                    ClaimStart { token, tail: known.runs().collect() }
                };
                let starts = streams.iter().map(claim).collect();
                self.answers.push(Answer::Claim(reply, starts));
            }
            Job::Resolve { token, id, reply } => {
                let outcome = match self.index.streams.get(token.stream.as_str()) {
                    Some(stream) if stream.claim == token.claim => Ok(stream.find(id).is_some()),
                    Some(_) | None => Err(JournalError::Fenced),
                };
                self.answers.push(Answer::Resolve(reply, outcome));
            }
            Job::Prune(keys) => self.prune(keys).map_err(|e| e.to_string())?,
            Job::Alive => self.must_write = true,
            Job::Freeze(freeze) => self.freezes.push(freeze),
        }
        Ok(())
    }

    fn append(&mut self, mut job: Box<AppendJob>) {
        let outcome = match self.judged(&job) {
            Ok(Judged::New(appended)) => {
                std::mem::take(&mut job.notices).into_iter().for_each(|notice| self.notice(notice));
                std::mem::take(&mut job.rows).into_iter().for_each(|row| self.put(row));
                Ok(appended)
            }
            Ok(Judged::Repeated(appended)) => Ok(appended),
            Err(error) => Err(error),
        };
        self.answers.push(Answer::Append(job, outcome));
    }

    /// Takes the records in if they are new.
    fn judged(&mut self, job: &AppendJob) -> Result<Judged, AppendError> {
        let AppendJob { token, after, records, .. } = job;
        // One look-up for all: it is what an append costs most here.
        let Some(stream) = self.index.streams.get_mut(token.stream.as_str()) else { return Err(fenced()) };
        match stream.judge(token.claim, *after, records.last().map_or(0, |(id, _)| *id)) {
            Verdict::New if self.room => {}
            Verdict::New => {
                metrics::REFUSED.add(1, ["no_room"]);
                return Err(AppendError::Full);
            }
            Verdict::Duplicate(sequence) => {
                return Ok(Judged::Repeated(Appended { sequence, snapshot_advised: false }));
            }
            Verdict::Fenced => return Err(fenced()),
        }
        for (id, envelope) in records {
            let block = self.packer.push(envelope);
            stream.push(*id, block);
            self.bytes += envelope.len() as u64;
            self.records += 1;
        }
        let config = &self.shared.config;
        let behind = stream.first_block().map_or(0, |first| self.first_block.saturating_sub(first));
        let snapshot_advised = stream.tail_records() >= config.snapshot_records || behind >= config.snapshot_blocks;
        Ok(Judged::New(Appended { sequence: stream.last, snapshot_advised }))
    }

    /// Notices of one commit to one partner lie together, in chunks named by their last position.
    fn notice(&mut self, notice: OutboxPut) {
        let OutboxPut { partner, content } = notice;
        let position = (self.first_block << 16) | (self.told.len() as u64 & 0xFFFF);
        let chunks = self.outbox.entry(partner.clone()).or_default();
        if !chunks.open.is_empty() && chunks.open.len() + 8 + content.len() > CHUNK_ROOM {
            chunks.done.push((chunks.last, std::mem::take(&mut chunks.open)));
        }
        if chunks.open.is_empty() {
            chunks.open.extend_from_slice(&self.now.0.to_be_bytes());
        }
        chunks.open.extend_from_slice(&position.to_be_bytes());
        chunks.open.extend_from_slice(&content);
        chunks.last = position;
        self.told.push(Told { partner, position, content });
    }

    fn snapshot(&mut self, token: &Token, sequence: u64, live: bool, state: Put) -> Result<(), JournalError> {
        let Some(stream) = self.index.streams.get_mut(token.stream.as_str()) else { return Err(JournalError::Fenced) };
        // A snapshot beyond the last record, or older than the one there, is not of this stream's history.
        if stream.claim != token.claim || !stream.loaded || sequence > stream.last || sequence < stream.snapshot {
            return Err(JournalError::Fenced);
        }
        if !self.room {
            return Err(JournalError::Full);
        }
        let pieces = u16::try_from(state.pieces.len()).unwrap_or(u16::MAX);
        let before = stream.snapshot_pieces;
        stream.cover(sequence, pieces);
        let head = Head { sequence, live, pieces };
        self.put_over(state, before);
        self.put(Put::new(keys::head(token.stream.as_str()), &head.encode()));
        Ok(())
    }

    fn create(&mut self, put: Put, value: Vec<u8>) -> Result<Result<CreateOnce, JournalError>, JournalError> {
        let there = match self.once.get(&put.key) {
            Some(value) => value.clone(),
            None => once::read(&self.shared.tree, &put.key, self.now)?,
        };
        if let Some(first) = there {
            return Ok(Ok(CreateOnce::Exists(first)));
        }
        if !self.room {
            return Ok(Err(JournalError::Full));
        }
        self.once.insert(put.key.clone(), Some(value));
        self.put(put);
        Ok(Ok(CreateOnce::Created))
    }

    fn prune(&mut self, found: Vec<Vec<u8>>) -> Result<(), JournalError> {
        if !self.room {
            return Ok(());
        }
        let horizon = self.index.horizon(self.first_block);
        for key in found {
            let (kind, goes) = match key.first() {
                Some(&keys::LOG) => ("log_block", keys::log_number(&key).is_some_and(|number| number < horizon)),
                Some(&keys::OUTBOX) => ("outbox", true),
                Some(&keys::ONCE) => {
                    let there =
                        self.once.contains_key(&key) || once::read(&self.shared.tree, &key, self.now)?.is_some();
                    ("once_key", !there)
                }
                Some(_) | None => continue,
            };
            if goes {
                metrics::REMOVED.add(1, [kind]);
                self.put(Put::remove(key));
            }
        }
        Ok(())
    }

    /// The mark of life and the horizon as of this batch.
    pub(super) fn mark_alive(&mut self) {
        let alive = u64::try_from(self.now.0).unwrap_or(0);
        let horizon = self.index.horizon(self.first_block);
        self.put(Put::new(keys::META_ALIVE.to_vec(), &alive.to_be_bytes()));
        self.put(Put::new(keys::META_HORIZON.to_vec(), &horizon.to_be_bytes()));
        self.shared.horizon.store(horizon, std::sync::atomic::Ordering::Relaxed);
    }

    fn put(&mut self, put: Put) {
        if put.key.first() == Some(&keys::ROW) {
            self.rows.push(put.key.clone());
        }
        // Few rows are larger than a page; those are remembered, so that nothing needs to be read before a write.
        let before = if put.pieces.is_empty() && self.mutable.large.is_empty() {
            0
        } else if put.pieces.is_empty() {
            self.mutable.large.remove(&put.key).unwrap_or(0)
        } else {
            let pieces = u16::try_from(put.pieces.len()).unwrap_or(u16::MAX);
            self.mutable.large.insert(put.key.clone(), pieces).unwrap_or(0)
        };
        self.put_over(put, before);
    }

    fn put_over(&mut self, put: Put, pieces_before: u16) {
        let Put { key, value, pieces } = put;
        for index in u16::try_from(pieces.len()).unwrap_or(u16::MAX)..pieces_before {
            let piece = keys::piece(&key, index);
            self.touched(&piece);
            self.batch.remove(piece);
        }
        for (index, piece) in (0u16..).zip(pieces) {
            self.insert(keys::piece(&key, index), piece);
        }
        match value {
            Some(value) => self.insert(key, value),
            None => {
                self.touched(&key);
                self.batch.remove(key);
                self.puts += 1;
            }
        }
    }

    fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.touched(&key);
        self.bytes += (key.len() + value.len()) as u64;
        self.puts += 1;
        self.batch.insert(key, value);
    }

    /// A running backup copies again what changed since it began.
    fn touched(&mut self, key: &[u8]) {
        if let Some(dirty) = &mut self.mutable.dirty {
            dirty.insert(key.to_vec());
        }
    }

    /// The batch, if there is anything to write, and the answers that wait for it.
    pub(super) fn seal(mut self) -> (Option<Sealed>, Answers, Vec<Freeze>) {
        for (partner, chunks) in std::mem::take(&mut self.outbox) {
            let Chunks { done, open, last } = chunks;
            for (position, chunk) in done.into_iter().chain((!open.is_empty()).then_some((last, open))) {
                self.put(Put::new(keys::outbox(partner.as_str(), position), &chunk));
            }
        }
        let mut packer = std::mem::replace(&mut self.packer, Packer::new(0, self.now));
        if self.puts > 0 && self.records == 0 {
            // Every commit is one block further in the log, so that the witness counts them all.
            packer.place_holder();
        }
        let (blocks, next_block) = packer.finish();
        for (number, block) in blocks {
            let key = keys::log(number);
            self.touched(&key);
            self.puts += 1;
            self.batch.insert(&key, block);
        }
        let sealed = (self.puts > 0).then_some(Sealed {
            batch: self.batch,
            next_block,
            records: self.records,
            bytes: self.bytes,
            rows: self.rows,
            told: self.told,
            first_position: self.first_block << 16,
        });
        (sealed, self.answers, self.freezes)
    }
}

fn fenced() -> AppendError {
    metrics::REFUSED.add(1, ["fenced"]);
    AppendError::Fenced
}

impl Put {
    pub(super) fn weight(&self) -> u64 {
        let pieces: usize = self.pieces.iter().map(Vec::len).sum();
        (self.key.len() + self.value.as_ref().map_or(0, Vec::len) + pieces) as u64
    }
}
