//! The second half of a commit: what was written becomes stable, and is answered. Owns the moment at which a batch counts as durable, and
//! the order of all answers; never what is in a batch, nor a write to the store.
//!
//! `fdatasync` of sled's file, because sled's flush does not survive a power cut (architecture §6); sled is told of it, which frees
//! segments; then it is noted in the witness, the durable watermark is raised, and everybody is answered.
//!
//! Where many write, a thread of its own does this while the commit thread makes and writes the next batches, which share the next sync; a
//! batch that is alone is settled by the commit thread itself, which saves waking another. So several batches may lie in the file
//! unsynced; each names what was synced before it, by which damage is told from what a crash cut off ([`super::tail`]).
//!
//! Answers are given in the order of the batches, also those for which nothing is written: they may tell of a batch before. A
//! sync that fails, or a panic, is never retried, and nothing is settled after it: all that waits has an unknown outcome (RT-7).

use super::answers::Answers;
use super::recent::Told;
use super::shared::Shared;
use crate::telemetry::metrics::journal as metrics;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Batches that wait for the next sync at most.
const WAITING: usize = 16;

/// A batch that the store has handed to the kernel, or answers alone if nothing was to be written.
pub(super) struct Written {
    pub(super) bytes: Option<Bytes>,
    pub(super) answers: Answers,
}

/// What was written.
pub(super) struct Bytes {
    /// The batch's number.
    pub(super) number: u64,
    pub(super) begun: Instant,
    /// What the store frees once this is synced.
    pub(super) mark: sled::Written,
    pub(super) next_block: u64,
    pub(super) told: Vec<Told>,
    /// The lowest position that a notice of this batch can have.
    pub(super) first_position: u64,
}

struct State {
    waiting: Vec<Written>,
    settling: bool,
    closed: bool,
    failed: Option<String>,
    answered: Instant,
}

impl State {
    fn idle(&self) -> bool {
        self.waiting.is_empty() && !self.settling
    }

    fn result(&self) -> Result<(), String> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

pub(super) struct Stable {
    state: Mutex<State>,
    /// The thread waits for a batch.
    handed: Condvar,
    /// The commit thread waits for room, or for the end of what it handed over.
    done: Condvar,
}

impl Default for Stable {
    fn default() -> Self {
        let state =
            State { waiting: Vec::new(), settling: false, closed: false, failed: None, answered: Instant::now() };
        Stable { state: Mutex::new(state), handed: Condvar::new(), done: Condvar::new() }
    }
}

impl Stable {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When somebody was answered last.
    pub(super) fn answered(&self) -> Instant {
        self.lock().answered
    }

    /// Settles a batch: here and now if nothing is under way and it is `alone` or has nothing to be synced, else on the other thread.
    ///
    /// # Errors
    /// When the journal has failed: the outcome of the batch is unknown, as its callers are told.
    pub(super) fn take(&self, shared: &Shared, written: Written, alone: bool) -> Result<(), String> {
        let full = |state: &mut State| state.waiting.len() >= WAITING && state.failed.is_none();
        let mut state = self.done.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if let Err(why) = state.result() {
            drop(state);
            written.answers.unknown(&why);
            return Err(why);
        }
        if state.idle() && (alone || written.bytes.is_none()) {
            drop(state);
            settle(shared, vec![written])?;
            self.lock().answered = Instant::now();
            return Ok(());
        }
        state.waiting.push(written);
        let sleeps = !state.settling;
        drop(state);
        if sleeps {
            self.handed.notify_one();
        }
        Ok(())
    }

    /// Waits until nothing is under way.
    ///
    /// # Errors
    /// When the journal has failed.
    pub(super) fn settled(&self) -> Result<(), String> {
        let under_way = |state: &mut State| !state.idle() && state.failed.is_none();
        self.done.wait_while(self.lock(), under_way).unwrap_or_else(PoisonError::into_inner).result()
    }

    /// Nothing more is handed over; what was is still settled.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.handed.notify_one();
    }

    /// All that waits; `None` once closed and empty.
    fn next(&self) -> Option<Vec<Written>> {
        let mut state = self.lock();
        if state.settling {
            (state.settling, state.answered) = (false, Instant::now());
            self.done.notify_one();
        }
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.closed;
        state = self.handed.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut state.waiting);
        state.settling = !waiting.is_empty();
        self.done.notify_one();
        state.settling.then_some(waiting)
    }

    /// Nothing is settled any more.
    fn fail(&self, why: &str) {
        let mut state = self.lock();
        state.failed = Some(why.to_owned());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.done.notify_one();
        waiting.into_iter().for_each(|written| written.answers.unknown(why));
    }
}

/// Makes batches durable and answers them.
fn settle(shared: &Shared, mut group: Vec<Written>) -> Result<(), String> {
    let outcome = sync(shared, group.iter_mut().filter_map(|written| written.bytes.take()).collect());
    for Written { answers, .. } in group {
        match &outcome {
            Ok(()) => answers.give(),
            Err(why) => answers.unknown(why),
        }
    }
    outcome
}

fn sync(shared: &Shared, batches: Vec<Bytes>) -> Result<(), String> {
    if batches.is_empty() {
        return Ok(());
    }
    shared.sync(&shared.file).map_err(|e| format!("syncing the store's file: {e}"))?;
    metrics::SYNC_COMMITS.record(batches.len() as f64, []);
    for Bytes { number, begun, mark, next_block, told, first_position } in batches {
        shared.store.synced(mark).map_err(|e| format!("freeing segments: {e}"))?;
        shared.witness.note(next_block);
        shared.next_block.store(next_block, Relaxed);
        shared.durable.send_replace(number);
        shared.recent.told(told, first_position);
        metrics::COMMIT_SECONDS.record(begun.elapsed().as_secs_f64(), []);
    }
    Ok(())
}

/// Runs until the commit thread has ended, or the journal fails.
pub(super) fn run(shared: Arc<Shared>) {
    let stable = &shared.stable;
    let serve = || -> Result<(), String> {
        while let Some(group) = stable.next() {
            settle(&shared, group)?;
        }
        Ok(())
    };
    let why = match std::panic::catch_unwind(AssertUnwindSafe(serve)) {
        Ok(Ok(())) => return,
        Ok(Err(why)) => why,
        Err(_) => "the sync thread panicked".to_owned(),
    };
    // In this order: the fatal hook may wait for the commit thread, and that for room here or for work.
    stable.fail(&why);
    shared.queue.close();
    shared.fail(&why);
}

#[cfg(test)]
pub(super) mod tests {
    use crate::clock::Timestamp;
    use crate::config::journal::Journal as Config;
    use crate::persistence::contract::{ManualClock, turn};
    use crate::persistence::sled::commit::Job;
    use crate::persistence::sled::freeze::Freeze;
    use crate::persistence::sled::values::Put;
    use crate::persistence::sled::{SledJournal, keys, once, tests::config};
    use crate::persistence::{AppendError, Appended, CreateOnce, Journal, StreamName, Token};
    use futures_util::{future::join_all, poll};
    use std::os::fd::AsRawFd;
    use std::path::Path;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::Ordering::SeqCst;
    use std::sync::mpsc::{Sender, channel, sync_channel};
    use std::time::Duration;

    type Answer = Result<Appended, AppendError>;

    /// Calls that wait for commits of which none is stable.
    pub(in crate::persistence::sled) struct UnderWay<T> {
        pub(in crate::persistence::sled) calls: Vec<Pin<Box<dyn Future<Output = T>>>>,
        /// Lets one sync through; all, once dropped.
        pub(in crate::persistence::sled) gate: Sender<()>,
    }

    /// A journal that takes so many jobs a commit.
    pub(in crate::persistence::sled) fn journal(directory: &Path, batch_max: usize) -> Arc<SledJournal> {
        let config = Config { batch_max, alive_interval: Duration::from_secs(3_600), ..config(directory) };
        SledJournal::open(&config, &ManualClock::default().shared()).unwrap()
    }

    pub(in crate::persistence::sled) async fn claim(journal: &SledJournal, stream: &str) -> Token {
        journal.claim(&StreamName::new("charger", stream)).await.unwrap().token
    }

    pub(in crate::persistence::sled) fn append(
        journal: &Arc<SledJournal>,
        token: &Token,
        after: u64,
    ) -> Pin<Box<dyn Future<Output = Answer>>> {
        let (journal, token) = (Arc::clone(journal), token.clone());
        Box::pin(async move { journal.append(&token, turn(after, &[b'x'; 700])).await })
    }

    impl<T> UnderWay<T> {
        /// Makes the calls all at once, and waits until they are so many commits in the store.
        pub(in crate::persistence::sled) async fn make(
            journal: &SledJournal,
            mut calls: Vec<Pin<Box<dyn Future<Output = T>>>>,
            commits: u64,
        ) -> Self {
            let shared = &journal.shared;
            let ((reply, held), (release, released)) = (sync_channel(1), sync_channel(1));
            shared.queue.push(Job::Freeze(Freeze::Hold(reply, released))).unwrap();
            held.recv().unwrap();
            let (gate, words) = channel();
            *shared.gate.lock().unwrap() = Some(words);
            for call in &mut calls {
                assert!(poll!(call).is_pending());
            }
            let applied = shared.applied.load(SeqCst);
            release.send(()).unwrap();
            while !shared.queue.is_at_rest() {
                std::thread::yield_now();
            }
            assert_eq!(shared.applied.load(SeqCst), applied + commits);
            UnderWay { calls, gate }
        }

        async fn none_is_answered(&mut self) {
            for call in &mut self.calls {
                assert!(poll!(call).is_pending(), "answered before it was stable");
            }
        }
    }

    async fn eight(journal: &Arc<SledJournal>) -> UnderWay<Answer> {
        let mut calls = Vec::new();
        for n in 0..8 {
            calls.push(append(journal, &claim(journal, &format!("C{n}")).await, 0));
        }
        UnderWay::make(journal, calls, 4).await
    }

    #[tokio::test]
    async fn commits_are_written_while_others_are_synced_and_share_the_next_sync() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path(), 2);
        let mut under_way = eight(&journal).await;
        under_way.none_is_answered().await;
        // One for what came before the other thread woke, and one for all the rest.
        (0..2).for_each(|_| under_way.gate.send(()).unwrap());
        let answers = join_all(under_way.calls).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(Appended { sequence: 1, .. }))), "{answers:?}");
    }

    #[tokio::test]
    async fn a_sync_that_fails_leaves_all_that_is_under_way_unknown() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path(), 2);
        let (tell, told) = sync_channel(4);
        journal.on_fatal(Box::new(move |why| drop(tell.try_send(why.to_owned()))));
        let mut under_way = eight(&journal).await;
        under_way.none_is_answered().await;
        journal.shared.broken.store(journal.shared.file.as_raw_fd(), SeqCst);
        under_way.gate.send(()).unwrap();
        let answers = join_all(under_way.calls).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(AppendError::Unknown(_)))), "{answers:?}");
        assert!(told.recv().unwrap().contains("sync"));
        assert!(told.try_recv().is_err(), "told once");
        let token = Token { stream: StreamName::new("charger", "C0"), claim: 1 };
        assert!(matches!(append(&journal, &token, 1).await, Err(AppendError::Unavailable(_))), "never retried");
    }

    /// Also where nothing is written for it.
    #[tokio::test]
    async fn an_answer_that_tells_of_a_commit_under_way_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path(), 1);
        let create = |value: &'static [u8]| -> Pin<Box<dyn Future<Output = _>>> {
            // As `create_once` does after its look beforehand, which here would see the first already.
            let (journal, place) = (Arc::clone(&journal), keys::once("key"));
            let put = Put::new(place, &once::encode(Timestamp(i64::MAX), value));
            Box::pin(
                async move { journal.ask(|reply| Job::Create { put, value: value.to_vec(), reply }).await.unwrap() },
            )
        };
        let mut under_way = UnderWay::make(&journal, vec![create(b"first"), create(b"second")], 1).await;
        under_way.none_is_answered().await;
        under_way.gate.send(()).unwrap();
        assert_eq!(join_all(under_way.calls).await, [CreateOnce::Created, CreateOnce::Exists(b"first".to_vec())]);
    }

    #[tokio::test]
    async fn a_step_of_a_backup_waits_until_all_before_it_is_stable() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(directory.path(), 2);
        let under_way = eight(&journal).await;
        let (reply, begun) = sync_channel(1);
        journal.shared.queue.push(Job::Freeze(Freeze::Begin(reply))).unwrap();
        assert!(
            begun.recv_timeout(Duration::from_millis(100)).is_err(),
            "a step was taken while commits were under way"
        );
        (0..2).for_each(|_| under_way.gate.send(()).unwrap());
        begun.recv().unwrap();
        assert_eq!(*journal.shared.durable.borrow(), journal.shared.applied.load(SeqCst));
        join_all(under_way.calls).await;
    }
}
