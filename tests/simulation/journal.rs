//! The disk of the simulation: a journal that knows *written* from *flushed*. Owns what a crash leaves; never a promise of
//! its own: [`MemoryJournal`] holds what is durable.
//!
//! An append is written at once and durable when the flush that takes it in has ended: one flush at a time, each for all
//! that was written when it began, as one log on one disk does it. A crash keeps a prefix of what was written and not
//! flushed, of any length. A flush that fails ends the process (RT-7). Reads see what is durable only.

use async_trait::async_trait;
use chargeline::ids::PartnerId;
use chargeline::persistence::{
    Append, AppendError, Appended, Claimed, CreateOnce, Journal, JournalError, MemoryJournal, OutboxEntry, Snapshot,
    StoredRow, StreamName, StreamSummary, Token,
};
use futures_util::FutureExt as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A lie that proves the checks: the simulation must see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// An append is acknowledged when it is written, not when it is flushed.
    AcknowledgesBeforeFlush,
    /// What waited in an outbox when the process crashed is forgotten.
    DropsWebhooksOnCrash,
    /// A repeated StartTransaction cannot be told from a new one.
    ForgetsRepeatedStarts,
}

/// What the next append meets instead of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hiccup {
    /// Not stored, try again.
    Unavailable,
    /// Its outcome is not known; it is stored.
    UnknownStored,
    /// Its outcome is not known; it is not stored.
    UnknownLost,
}

/// How full the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// There is room.
    Enough,
    /// New work is to be refused.
    Low,
    /// Not even the reserve is left.
    None,
}

/// What is asked of the disk, and what it has done.
#[derive(Debug)]
struct Disk {
    pending: VecDeque<Written>,
    flushing: bool,
    dead: bool,
    room: Room,
    /// The next flush takes this much longer.
    slow: Duration,
    /// The next flush fails.
    fails: bool,
    /// The process dies in the midst of the so-manieth flush from now.
    dies_in: Option<u32>,
    hiccups: VecDeque<Hiccup>,
    flushes: u64,
    /// Hidden positions of the outbox: a lie.
    hidden: u64,
    /// What was flushed last, where more than that is in the journal: a lie.
    flushed: Option<Arc<MemoryJournal>>,
    /// More has been put into the journal since the flush began: a lie.
    dirty: bool,
}

/// Written, not flushed.
#[derive(Debug)]
struct Written {
    token: Token,
    append: Append,
    tell: oneshot::Sender<Result<Appended, AppendError>>,
}

/// What a handle has met so far, for the counts of a run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Met {
    pub(crate) slow: u64,
    pub(crate) full: u64,
    pub(crate) low: u64,
    pub(crate) unavailable: u64,
    pub(crate) unknown: u64,
}

/// A handle of one life of the process.
#[derive(Debug)]
pub(crate) struct SimJournal {
    inner: Arc<MemoryJournal>,
    disk: Arc<Mutex<Disk>>,
    met: Mutex<Met>,
    /// Told when a flush kills the process.
    pub(crate) died: Arc<Notify>,
    lie: Option<Lie>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimJournal {
    /// A handle on what `inner` holds.
    pub(crate) fn new(inner: Arc<MemoryJournal>, lie: Option<Lie>, hidden: u64) -> Arc<Self> {
        let disk = Disk {
            pending: VecDeque::new(),
            flushing: false,
            dead: false,
            room: Room::Enough,
            slow: Duration::ZERO,
            fails: false,
            dies_in: None,
            hiccups: VecDeque::new(),
            flushes: 0,
            hidden,
            flushed: (lie == Some(Lie::AcknowledgesBeforeFlush)).then(|| inner.fork()),
            dirty: false,
        };
        Arc::new(SimJournal {
            inner,
            disk: Arc::new(Mutex::new(disk)),
            met: Mutex::default(),
            died: Arc::default(),
            lie,
        })
    }

    /// What is durable.
    pub(crate) fn durable(&self) -> &Arc<MemoryJournal> {
        &self.inner
    }

    pub(crate) fn met(&self) -> Met {
        locked(&self.met).clone()
    }

    pub(crate) fn is_full(&self) -> bool {
        locked(&self.disk).room == Room::None
    }

    pub(crate) fn set_room(&self, room: Room) {
        locked(&self.disk).room = room;
    }

    pub(crate) fn slow_down(&self, by: Duration) {
        locked(&self.disk).slow = by;
    }

    pub(crate) fn fail_next_flush(&self) {
        locked(&self.disk).fails = true;
    }

    pub(crate) fn die_in_flush(&self, nth: u32) {
        locked(&self.disk).dies_in = Some(nth);
    }

    pub(crate) fn hiccup(&self, hiccup: Hiccup) {
        locked(&self.disk).hiccups.push_back(hiccup);
    }

    /// Nothing is written that is not flushed.
    pub(crate) fn is_idle(&self) -> bool {
        let disk = locked(&self.disk);
        disk.pending.is_empty() && !disk.flushing
    }

    /// Whether the process has died in a flush.
    pub(crate) fn is_dead(&self) -> bool {
        locked(&self.disk).dead
    }

    /// What the next life finds.
    pub(crate) fn survivor(&self) -> Arc<MemoryJournal> {
        let disk = locked(&self.disk);
        let lost = disk.flushed.as_ref().filter(|_| disk.flushing || disk.dirty);
        Arc::clone(lost.unwrap_or(&self.inner))
    }

    /// Puts an append where everybody sees it, and where a crash takes it away again: a lie.
    fn pretend(self: &Arc<Self>, token: &Token, append: Append) -> Result<Appended, AppendError> {
        let stored = self.store(token, append);
        let mut disk = locked(&self.disk);
        disk.dirty = true;
        if !std::mem::replace(&mut disk.flushing, true) {
            tokio::spawn(Arc::clone(self).flush_pretended());
        }
        stored
    }

    async fn flush_pretended(self: Arc<Self>) {
        loop {
            let flushes = self.inner.fork();
            locked(&self.disk).dirty = false;
            let Some(takes) = self.begin_flush() else { return };
            tokio::time::sleep(takes).await;
            let mut disk = locked(&self.disk);
            if disk.dead {
                return;
            }
            disk.flushed = Some(flushes);
            disk.flushing = disk.dirty;
            if !disk.flushing {
                return;
            }
        }
    }

    /// Ends this handle as a kill does; of what is written and not flushed the first `permille` survive. Says how many were
    /// lost and kept, and up to where the outbox is hidden from now on.
    pub(crate) fn crash(&self, permille: usize) -> (usize, usize, u64) {
        let mut disk = locked(&self.disk);
        disk.dead = true;
        let pending = std::mem::take(&mut disk.pending);
        let keep = pending.len() * permille.min(1000) / 1000;
        let lost = pending.len() - keep;
        for written in pending.into_iter().take(keep) {
            // Told to nobody: the process is gone.
            drop(self.store(&written.token, written.append));
        }
        let hidden = match self.lie {
            Some(Lie::DropsWebhooksOnCrash) => self.last_position(),
            Some(_) | None => disk.hidden,
        };
        self.inner.crash();
        (lost, keep, hidden)
    }

    fn last_position(&self) -> u64 {
        let all = |name: &str| self.inner.outbox(&name.parse().ok()?, 0, usize::MAX).now_or_never()?.ok();
        let last = |name: &str| all(name).and_then(|entries| entries.last().map(|entry| entry.position));
        (0..8).filter_map(|n| last(&format!("partner-{n}"))).max().unwrap_or(0)
    }

    /// Makes an append durable. The journal in memory has no wait in it without a delay.
    fn store(&self, token: &Token, append: Append) -> Result<Appended, AppendError> {
        let stored = self.inner.append(token, append).now_or_never();
        stored.unwrap_or_else(|| Err(AppendError::Unknown("the journal in memory waited".into())))
    }

    fn begin_flush(self: &Arc<Self>) -> Option<Duration> {
        let mut disk = locked(&self.disk);
        disk.flushes += 1;
        let slow = std::mem::take(&mut disk.slow);
        locked(&self.met).slow += u64::from(!slow.is_zero());
        // Between 1 and 8 ms, the same for the same flush of the same life.
        let usual = Duration::from_millis(1 + disk.flushes.wrapping_mul(2_654_435_761) % 8);
        let dies = match &mut disk.dies_in {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if dies || disk.fails {
            disk.dead = true;
            self.died.notify_one();
            return None;
        }
        Some(usual + slow)
    }

    async fn flush(self: Arc<Self>) {
        loop {
            let batch = locked(&self.disk).pending.len();
            let Some(takes) = self.begin_flush() else { return };
            tokio::time::sleep(takes).await;
            for _ in 0..batch {
                let mut disk = locked(&self.disk);
                if disk.dead {
                    return;
                }
                let Some(written) = disk.pending.pop_front() else { break };
                let stored = self.store(&written.token, written.append);
                // Whoever wrote it may have gone.
                let _ = written.tell.send(stored);
            }
            let mut disk = locked(&self.disk);
            if disk.pending.is_empty() {
                disk.flushing = false;
                return;
            }
        }
    }

    fn living(&self) -> Result<&MemoryJournal, JournalError> {
        if self.is_dead() {
            return Err(JournalError::Unavailable("the process is dead".into()));
        }
        Ok(&self.inner)
    }

    /// What happens to a dead process: nothing, ever.
    async fn unless_dead(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn refusal(&self) -> (Option<AppendError>, Option<Hiccup>) {
        let mut disk = locked(&self.disk);
        let mut met = locked(&self.met);
        if disk.room == Room::None {
            met.full += 1;
            return (Some(AppendError::Full), None);
        }
        let hiccup = disk.hiccups.pop_front();
        let refusal = match hiccup {
            Some(Hiccup::Unavailable) => Some(AppendError::Unavailable(Duration::from_secs(1))),
            Some(Hiccup::UnknownLost) => Some(AppendError::Unknown("lost".into())),
            Some(Hiccup::UnknownStored) | None => None,
        };
        met.unavailable += u64::from(hiccup == Some(Hiccup::Unavailable));
        met.unknown += u64::from(matches!(hiccup, Some(Hiccup::UnknownLost | Hiccup::UnknownStored)));
        (refusal, hiccup)
    }
}

/// The journal as the product holds it.
pub(crate) struct Handle(pub(crate) Arc<SimJournal>);

#[async_trait]
impl Journal for Handle {
    async fn claim(&self, stream: &StreamName) -> Result<Claimed, JournalError> {
        self.0.living()?.claim(stream).await
    }

    async fn append(&self, token: &Token, append: Append) -> Result<Appended, AppendError> {
        let this = &self.0;
        this.unless_dead().await;
        let (refusal, hiccup) = this.refusal();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        if this.lie == Some(Lie::AcknowledgesBeforeFlush) {
            return this.pretend(token, append);
        }
        let (tell, told) = oneshot::channel();
        let begins = {
            let mut disk = locked(&this.disk);
            disk.pending.push_back(Written { token: token.clone(), append, tell });
            !std::mem::replace(&mut disk.flushing, true)
        };
        if begins {
            tokio::spawn(Arc::clone(this).flush());
        }
        let stored = match told.await {
            Ok(stored) => stored,
            Err(_) => std::future::pending().await,
        };
        match (hiccup, stored) {
            (Some(Hiccup::UnknownStored), Ok(_)) => Err(AppendError::Unknown("stored".into())),
            (_, stored) => stored,
        }
    }

    async fn resolve(&self, token: &Token, record_id: u128) -> Result<bool, JournalError> {
        self.0.living()?.resolve(token, record_id).await
    }

    async fn snapshot(&self, token: &Token, snapshot: Snapshot, live: bool) -> Result<(), JournalError> {
        self.0.living()?.snapshot(token, snapshot, live).await
    }

    async fn streams(&self, family: &str) -> Result<Vec<StreamSummary>, JournalError> {
        self.0.living()?.streams(family).await
    }

    async fn create_once(&self, key: &str, value: &[u8], ttl: Duration) -> Result<CreateOnce, JournalError> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.0.unless_dead().await;
        if locked(&self.0.disk).room == Room::None {
            return Err(JournalError::Full);
        }
        self.0.living()?.create_once(key, value, ttl).await
    }

    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.0.living()?.lookup_once(key).await
    }

    async fn remove_once(&self, key: &str) -> Result<(), JournalError> {
        self.0.living()?.remove_once(key).await
    }

    async fn row(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.0.living()?.row(table, key).await
    }

    async fn rows(
        &self,
        table: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        self.0.living()?.rows(table, prefix, after, limit).await
    }

    async fn rows_back(
        &self,
        table: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        self.0.living()?.rows_back(table, prefix, before, limit).await
    }

    async fn outbox(&self, partner: &PartnerId, position: u64, limit: usize) -> Result<Vec<OutboxEntry>, JournalError> {
        let hidden = locked(&self.0.disk).hidden;
        self.0.living()?.outbox(partner, position.max(hidden), limit).await
    }

    fn epoch(&self) -> u64 {
        self.0.inner.epoch()
    }

    fn lagging(&self, limit: usize) -> Vec<StreamName> {
        self.0.inner.lagging(limit)
    }

    fn is_full(&self) -> bool {
        let full = locked(&self.0.disk).room != Room::Enough;
        locked(&self.0.met).low += u64::from(full);
        full
    }

    fn downtime(&self) -> Duration {
        self.0.inner.downtime()
    }
}
