//! The commit thread: the only one that changes the store (another makes its file longer, [`super::grow`]). Owns the order of
//! everything that is written and the moment at which it counts as durable; never reads for others.
//!
//! One turn: take what waits (up to a bound), judge each job against the index, put all that is new into one batch,
//! `apply_batch`, move some pages out of segments that are mostly dead, `flush`, then `fdatasync` of sled's file, because sled's flush
//! does not survive a power cut (architecture §6), and tell sled of it, which frees segments; then note it in the witness, raise the durable watermark, then
//! answer everybody. A write, flush or sync that fails, or a panic, is never retried: the journal fails for good and the process is told to stop (RT-7).

use super::answers::Home;
use super::draft::{Draft, Sealed};
use super::places::Places;
use super::queue::Pace;
use super::shared::Shared;
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
use std::time::Instant;
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
    last_waiters: usize,
    /// Bytes that may be moved; below zero once a page was larger than what was left.
    may_move: i64,
    /// When the last commit was begun, and when it was answered.
    begun: Instant,
    answered: Instant,
    alive_at: Timestamp,
}

/// Runs until the queue is closed and drained, or the journal fails.
pub(super) fn run(shared: Arc<Shared>) {
    let mut committer = Committer {
        next_block: shared.next_block.load(SeqCst),
        waiting: VecDeque::new(),
        last_waiters: 0,
        may_move: 0,
        begun: Instant::now(),
        answered: Instant::now(),
        alive_at: Timestamp(i64::MIN),
        shared: Arc::clone(&shared),
    };
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| committer.serve()));
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
        loop {
            let pace = self.pace();
            let Some(left) = shared.queue.drain(&mut self.waiting, pace) else { break };
            metrics::QUEUE_DEPTH.set((left + self.waiting.len()) as f64, []);
            self.turn()?;
        }
        // A clean end: the mark tells the next start how long nobody was there (RT-3).
        self.alive_at = Timestamp(i64::MIN);
        self.waiting.push_back(Job::Alive);
        self.turn()
    }

    fn pace(&self) -> Pace {
        let config = &self.shared.config;
        Pace {
            max: config.batch_max,
            expected: self.last_waiters,
            gather: config.gather_max,
            answered: self.answered,
            not_before: self.begun + config.commit_gap,
        }
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
        self.last_waiters = waiters;
        let (sealed, answers, freezes) = draft.seal();
        if let Some(mut sealed) = sealed {
            self.begun = Instant::now();
            let more = i64::try_from(sealed.bytes * MOVED_PER_BYTE).unwrap_or(i64::MAX);
            self.may_move = self.may_move.saturating_add(more).min(MOVED_AT_ONCE);
            // A disk that is full is not written more than must be.
            let outcome = commit(&shared, &mut sealed, places, room.then_some(&mut self.may_move));
            if let Err(why) = outcome {
                answers.unknown(&why);
                return Err(why);
            }
            self.next_block = sealed.next_block;
            shared.next_block.store(sealed.next_block, Relaxed);
            shared.recent.told(sealed.told, sealed.first_position);
            answers.give();
            self.answered = Instant::now();
            if shared.store.is_short() {
                shared.growth.ask();
            }
            metrics::COMMIT_RECORDS.record(sealed.records as f64, []);
            metrics::COMMIT_WAITERS.record(waiters as f64, []);
            metrics::BYTES.add(sealed.bytes, []);
        } else {
            answers.give();
        }
        freezes.into_iter().for_each(|freeze| freeze.perform(&shared));
        Ok(())
    }
}

/// Makes a batch durable.
fn commit(shared: &Shared, sealed: &mut Sealed, places: Places, may_move: Option<&mut i64>) -> Result<(), String> {
    let begun = Instant::now();
    places.begun();
    let number = shared.applied.load(Relaxed) + 1;
    // Raised before anything can be seen: a reader that saw part of this batch waits for it.
    shared.applied.store(number, SeqCst);
    shared.tree.apply_batch(std::mem::take(&mut sealed.batch)).map_err(|e| format!("writing a batch: {e}"))?;
    sealed.rows.iter().for_each(|key| shared.recent.changed(key));
    if let Some(may_move) = may_move.filter(|bytes| **bytes > 0) {
        // Within the commit, so that what was moved is durable with it.
        let moved = shared.store.relocate(may_move.unsigned_abs()).map_err(|e| format!("moving pages: {e}"))?;
        *may_move -= i64::try_from(moved).unwrap_or(i64::MAX);
        metrics::MOVED.add(moved, []);
    }
    shared.store.flush().map_err(|e| format!("flushing the store: {e}"))?;
    fault_point!("journal.flushed", "");
    places.written();
    let written = shared.store.written();
    shared.sync(&shared.file).map_err(|e| format!("syncing the store's file: {e}"))?;
    shared.store.synced(written).map_err(|e| format!("freeing segments: {e}"))?;
    shared.witness.note(sealed.next_block);
    shared.durable.send_replace(number);
    metrics::COMMIT_SECONDS.record(begun.elapsed().as_secs_f64(), []);
    Ok(())
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
