//! The commit thread: the only one that changes the store (another makes its file longer, [`super::grow`]). Owns the order of
//! everything that is written; never when that counts as durable ([`super::stable`]), nor a read for others.
//!
//! One turn: take what waits (up to a bound), judge each job against the index, put all that is new into one batch,
//! `apply_batch`, move some pages out of segments that are mostly dead, `flush`, and hand the batch on to be synced and answered. A write or flush
//! that fails, or a panic, is never retried: the journal fails for good and the process is told to stop (RT-7).

use super::answers::Home;
use super::draft::{Draft, Sealed};
use super::places::Places;
use super::queue::Pace;
use super::shared::Shared;
use super::stable::{Bytes, Written};
use super::values::Put;
use super::{freeze::Freeze, index::Run};
use crate::clock::Timestamp;
use crate::ids::PartnerId;
use crate::persistence::{AppendError, Appended, CreateOnce, JournalError, StreamName, Token};
use crate::telemetry::metrics::journal as metrics;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Bytes of one batch: beyond this the rest waits for the next, so that one commit stays short.
const BATCH_BYTES: u64 = 8 << 20;

/// How many bytes of the log may be moved out of segments that are mostly dead, for each byte that a commit brings: more than the
/// store writes for it, so that space comes back as fast as it goes (ADR 2, ADR 19).
const MOVED_PER_BYTE: u64 = 4;

/// How much of that is saved up at most: what one commit may move.
const MOVED_AT_ONCE: i64 = 128 << 10;

/// Notices of one batch: a position is the commit's first block number and 16 bits of counting.
pub(super) const BATCH_NOTICES: usize = 32_768;

/// A notice, encoded by the caller.
#[derive(Debug)]
pub(super) struct OutboxPut {
    pub(super) partner: PartnerId,
    /// Event id and notice, each with its length before it.
    pub(super) content: Vec<u8>,
}

/// An append, encoded by the caller.
#[derive(Debug)]
pub(super) struct AppendJob {
    pub(super) token: Token,
    pub(super) after: u64,
    /// Id and envelope of each record.
    pub(super) records: SmallVec<[(u128, Vec<u8>); 1]>,
    pub(super) rows: Vec<Put>,
    pub(super) notices: Vec<OutboxPut>,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// The thread that waits for it.
    pub(super) home: Option<Arc<Home>>,
}

/// What a claim learns from the index.
#[derive(Debug)]
pub(super) struct ClaimStart {
    pub(super) token: Token,
    pub(super) tail: Vec<Run>,
}

pub(super) enum Job {
    Append(Box<AppendJob>),
    Snapshot {
        token: Token,
        sequence: u64,
        live: bool,
        state: Put,
        reply: oneshot::Sender<Result<(), JournalError>>,
    },
    Create {
        put: Put,
        /// The value itself, for those who lose within the same batch.
        value: Vec<u8>,
        reply: oneshot::Sender<Result<CreateOnce, JournalError>>,
    },
    Remove {
        key: Vec<u8>,
        reply: oneshot::Sender<Result<(), JournalError>>,
    },
    Claim {
        streams: Vec<StreamName>,
        reply: oneshot::Sender<Result<Vec<ClaimStart>, JournalError>>,
    },
    Resolve {
        token: Token,
        id: u128,
        reply: oneshot::Sender<Result<bool, JournalError>>,
    },
    /// Compaction: remove these keys; create-once keys only if still expired.
    Prune(Vec<Vec<u8>>),
    /// Write the alive mark and the horizon even if nothing else is to be written.
    Alive,
    /// A step of a backup.
    Freeze(Freeze),
}

pub(super) struct Committer {
    shared: Arc<Shared>,
    next_block: u64,
    waiting: VecDeque<Job>,
    /// Jobs that wait besides: they found no place in the last batch.
    left: usize,
    /// Batches whose writers are still to come again: number, and how many they are.
    out: VecDeque<(u64, usize)>,
    /// Bytes that may be moved; below zero once a page was larger than what was left.
    may_move: i64,
    /// When the last batch was begun.
    begun: Instant,
    alive_at: Timestamp,
}

/// Runs until the queue is closed and drained, or the journal fails.
pub(super) fn run(shared: Arc<Shared>) {
    let mut committer = Committer {
        next_block: shared.next_block.load(SeqCst),
        waiting: VecDeque::new(),
        left: 0,
        out: VecDeque::new(),
        may_move: 0,
        begun: Instant::now(),
        alive_at: Timestamp(i64::MIN),
        shared: Arc::clone(&shared),
    };
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| committer.serve()));
    // Before the fatal hook, which may wait for the sync thread.
    shared.stable.close();
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(why)) => shared.fail(&why),
        Err(_) => shared.fail("the commit thread panicked"),
    }
    shared.queue.close();
    let mut rest = std::mem::take(&mut committer.waiting);
    while shared.queue.drain(&mut rest, Pace::all()).is_some() {
        rest.drain(..).for_each(Job::refuse);
    }
}

impl Committer {
    fn serve(&mut self) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let answered = || shared.stable.answered();
        loop {
            let pace = self.pace(&answered);
            let Some(left) = shared.queue.drain(&mut self.waiting, pace) else { break };
            metrics::QUEUE_DEPTH.set((left + self.waiting.len()) as f64, []);
            self.left = left;
            self.turn()?;
        }
        // A clean end: the mark tells the next start how long nobody was there (RT-3), and that all before it is whole.
        shared.stable.settled()?;
        self.alive_at = Timestamp(i64::MIN);
        self.waiting.push_back(Job::Alive);
        self.turn()
    }

    fn pace<'a>(&mut self, answered: &'a dyn Fn() -> Instant) -> Pace<'a> {
        let expected = self.expected();
        let config = &self.shared.config;
        // Whoever found no place in the last batch has waited already.
        let gap = if self.left > 0 { Duration::ZERO } else { config.commit_gap };
        Pace { max: config.batch_max, expected, gather: config.gather_max, answered, not_before: self.begun + gap }
    }

    /// How many are likely to come again: those of the batches that were answered since, or else of the next to be.
    fn expected(&mut self) -> usize {
        let durable = *self.shared.durable.borrow();
        let mut expected = 0;
        while let Some((number, waiters)) = self.out.front().copied() {
            if number > durable && expected > 0 {
                break;
            }
            self.out.pop_front();
            expected += waiters;
        }
        expected
    }

    fn turn(&mut self) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let now = shared.clock.now();
        let waiting: u64 = self.waiting.iter().map(Job::weight).sum();
        let room = shared.space.admit(waiting.min(BATCH_BYTES));
        let mut draft = Draft::new(&shared, self.next_block, now, room);
        let (mut waiters, mut places) = (0, Places::default());
        while draft.bytes() < BATCH_BYTES && draft.notices() < BATCH_NOTICES {
            let Some(job) = self.waiting.pop_front() else { break };
            waiters += usize::from(job.waits());
            places.see(&job);
            draft.take(job)?;
        }
        if room && (draft.must_write() || draft.writes()) && now.since(self.alive_at) >= shared.config.alive_interval {
            draft.mark_alive();
            self.alive_at = now;
        }
        let (sealed, answers, freezes) = draft.seal();
        let mut bytes = None;
        if let Some(sealed) = sealed {
            // A disk that is full is not written more than must be.
            match self.write(sealed, places, room) {
                Ok(written) => bytes = Some(written),
                Err(why) => {
                    answers.unknown(&why);
                    return Err(why);
                }
            }
            metrics::COMMIT_WAITERS.record(waiters as f64, []);
        }
        // With others behind it, it is handed on: they are written meanwhile.
        let alone = self.left + self.waiting.len() == 0 && self.out.is_empty() && waiters < shared.config.batch_max;
        self.out.push_back((shared.applied.load(Relaxed), waiters));
        shared.stable.take(&shared, Written { bytes, answers }, alone)?;
        if !freezes.is_empty() {
            // Between two commits: all before is durable.
            shared.stable.settled()?;
            freezes.into_iter().for_each(|freeze| freeze.perform(&shared));
        }
        Ok(())
    }

    /// Gives a batch to the store, and that to the kernel.
    fn write(&mut self, sealed: Sealed, places: Places, may_move: bool) -> Result<Bytes, String> {
        let Sealed { batch, next_block, records, bytes, rows, told, first_position } = sealed;
        let (shared, begun) = (&self.shared, Instant::now());
        self.begun = begun;
        places.begun();
        let number = shared.applied.load(Relaxed) + 1;
        // Raised before anything can be seen: a reader that saw part of this batch waits for it.
        shared.applied.store(number, SeqCst);
        shared.tree.apply_batch(batch).map_err(|e| format!("writing a batch: {e}"))?;
        rows.iter().for_each(|key| shared.recent.changed(key));
        let more = i64::try_from(bytes * MOVED_PER_BYTE).unwrap_or(i64::MAX);
        self.may_move = self.may_move.saturating_add(more).min(MOVED_AT_ONCE);
        if may_move && self.may_move > 0 {
            // Within the commit, so that what was moved is durable with it.
            let moved =
                shared.store.relocate(self.may_move.unsigned_abs()).map_err(|e| format!("moving pages: {e}"))?;
            self.may_move -= i64::try_from(moved).unwrap_or(i64::MAX);
            metrics::MOVED.add(moved, []);
        }
        shared.store.flush().map_err(|e| format!("flushing the store: {e}"))?;
        fault_point!("journal.flushed", "");
        places.written();
        if shared.store.is_short() {
            shared.growth.ask();
        }
        self.next_block = next_block;
        metrics::COMMIT_RECORDS.record(records as f64, []);
        metrics::BYTES.add(bytes, []);
        Ok(Bytes { number, begun, mark: shared.store.written(), next_block, told, first_position })
    }
}

impl Job {
    /// Bytes that it will write, about.
    fn weight(&self) -> u64 {
        let puts = |puts: &[Put]| puts.iter().map(Put::weight).sum::<u64>();
        match self {
            Job::Append(job) => {
                let records: u64 = job.records.iter().map(|(_, envelope)| envelope.len() as u64).sum();
                let notices: u64 = job.notices.iter().map(|notice| notice.content.len() as u64).sum();
                records + notices + puts(&job.rows)
            }
            Job::Snapshot { state, .. } => puts(std::slice::from_ref(state)),
            Job::Create { put, .. } => puts(std::slice::from_ref(put)),
            Job::Prune(keys) => keys.len() as u64 * 64,
            Job::Remove { .. } | Job::Alive => 64,
            Job::Claim { .. } | Job::Resolve { .. } | Job::Freeze(_) => 0,
        }
    }

    /// Whether its caller is likely to come again after the answer.
    fn waits(&self) -> bool {
        matches!(self, Job::Append(_) | Job::Create { .. } | Job::Remove { .. })
    }

    /// Answers a job that was never begun.
    pub(super) fn refuse(self) {
        let gone = || JournalError::Unavailable("the journal has stopped".into());
        // An answer that nobody waits for any more is no error.
        match self {
            Job::Append(job) => drop(job.reply.send(Err(AppendError::Unavailable(super::RETRY_AFTER)))),
            Job::Snapshot { reply, .. } | Job::Remove { reply, .. } => drop(reply.send(Err(gone()))),
            Job::Create { reply, .. } => drop(reply.send(Err(gone()))),
            Job::Claim { reply, .. } => drop(reply.send(Err(gone()))),
            Job::Resolve { reply, .. } => drop(reply.send(Err(gone()))),
            Job::Prune(_) | Job::Alive | Job::Freeze(_) => {}
        }
    }
}
