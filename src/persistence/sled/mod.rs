//! The journal on sled 0.34. Owns everything that knows sled; never a rule of charging.
//!
//! Invariants: only the commit thread writes ([`commit`]); a commit is one batch in one tree, flushed and then synced by
//! `fdatasync`, before anyone is answered; stored values are at most 16 KiB, so that `blobs/` stays empty; reads happen
//! on blocking threads or from what is held ready ([`recent`]), and never show what is not durable ([`shared`]).
//!
//! Reading order: [`keys`] (layout), [`commit`] and [`draft`] (writing), [`stable`], [`answers`], [`read`], [`recent`], [`open`],
//! [`upkeep`], [`copy`].

mod answers;
mod claim;
mod commit;
mod copy;
mod disk;
mod draft;
mod freeze;
mod grow;
mod index;
mod keys;
mod once;
mod open;
mod pages;
mod places;
mod queue;
mod read;
mod recent;
mod shared;
mod space;
mod stable;
mod tail;
mod tools;
mod upkeep;
mod values;
mod verify;
mod witness;

pub use shared::FatalHook;
pub use tools::{Findings, Stats, StoredRecord, Tool};
#[cfg(any(test, feature = "testing"))]
pub use tools::{load_raw, store_raw};

use super::envelope::{Envelope, RECORD_MAX};
use super::journal::{
    Append, AppendError, Appended, Claimed, CreateOnce, Journal, JournalError, OutboxEntry, Snapshot, StoredRow,
    StreamName, StreamSummary, Token,
};
use crate::clock::SharedClock;
use crate::config::journal::Journal as Config;
use crate::ids::PartnerId;
use crate::telemetry::metrics::journal as metrics;
use answers::Home;
use async_trait::async_trait;
use commit::{AppendJob, BATCH_NOTICES, Job, OutboxPut};
use queue::Refused;
use recent::Recent;
use shared::Shared;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use values::Put;

/// When to try again after the queue was full: a few commits later.
pub(in crate::persistence) const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The journal on sled. Dropping it finishes what waits, then closes the store.
pub struct SledJournal {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for SledJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledJournal").field("path", &self.shared.config.path).finish_non_exhaustive()
    }
}

impl SledJournal {
    /// Opens the store of the section `[journal]`, creating it if there is none. Blocks while it reads the log from the
    /// horizon on.
    ///
    /// # Errors
    /// When another process has it open, the disk fails, or a stored value is corrupt (named by its key, RT-6).
    pub fn open(config: &Config, clock: &SharedClock) -> Result<Arc<Self>, JournalError> {
        #[cfg(feature = "testing")]
        if crate::testing::points::hit("journal.sync", "") {
            return Self::open_with(config, clock, false);
        }
        Self::open_with(config, clock, true)
    }

    /// For the power-cut rig alone: a journal that trusts sled's flush, to show that the rig catches what that loses.
    ///
    /// # Errors
    /// As [`SledJournal::open`].
    #[cfg(any(test, feature = "testing"))]
    pub fn open_without_sync(config: &Config, clock: &SharedClock) -> Result<Arc<Self>, JournalError> {
        Self::open_with(config, clock, false)
    }

    fn open_with(config: &Config, clock: &SharedClock, sync: bool) -> Result<Arc<Self>, JournalError> {
        let opened = open::open(config, clock)?;
        let shared = Arc::new(Shared::new(config, clock, sync, opened));
        let mut threads = Vec::new();
        let bodies = [
            ("journal-commit", commit::run as fn(Arc<Shared>)),
            ("journal-sync", stable::run),
            ("journal-upkeep", upkeep::run),
            ("journal-grow", grow::run),
        ];
        for (name, body) in bodies {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || body(shared));
            threads.push(thread.map_err(|e| JournalError::Unavailable(format!("starting {name}: {e}")))?);
        }
        Ok(Arc::new(SledJournal { shared, threads }))
    }

    /// Sets what is called, once and from a thread of the journal, when a write, flush or sync has failed: the process must
    /// stop and recover from what the disk holds (RT-7). Called at once if that has happened already.
    pub fn on_fatal(&self, hook: FatalHook) {
        self.shared.set_hook(hook);
    }

    /// Why the journal has failed, if it has.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure()
    }

    /// Writes a consistent, verified copy into `directory`, which must be empty or missing, while work goes on. The
    /// copy is a journal of its own; [`super::tools`] restores it.
    ///
    /// # Errors
    /// When the copy cannot be made or does not verify; what was begun is left there for a look.
    pub async fn backup(&self, directory: &Path) -> Result<Findings, JournalError> {
        let (shared, directory) = (Arc::clone(&self.shared), directory.to_owned());
        read::blocking(move || copy::backup(&shared, &directory)).await
    }

    /// Figures of the store, for operators.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn stats(&self) -> Result<Stats, JournalError> {
        let shared = Arc::clone(&self.shared);
        read::blocking(move || tools::stats(&shared.store, &shared.config.path)).await
    }

    /// Removes what is past its retention now instead of bit by bit. Gives the number of entries asked to go.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn compact(&self) -> Result<usize, JournalError> {
        let shared = Arc::clone(&self.shared);
        read::blocking(move || upkeep::prune_all(&shared)).await
    }

    fn push(&self, job: Job) -> Result<(), Refused> {
        let reason = match (self.shared.failure(), self.shared.queue.push(job)) {
            (None, Ok(())) => return Ok(()),
            (None, Err(Refused::Full)) => {
                metrics::REFUSED.add(1, ["queue_full"]);
                return Err(Refused::Full);
            }
            (Some(_), _) | (None, Err(Refused::Closed)) => "failed",
        };
        metrics::REFUSED.add(1, [reason]);
        Err(Refused::Closed)
    }

    /// Hands a job to the commit thread and waits for its answer.
    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Job,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        self.push(job(reply)).map_err(|refused| self.refused(&refused))?;
        answer.await.unwrap_or_else(|_| Err(self.refused(&Refused::Closed)))
    }

    fn refused(&self, refused: &Refused) -> JournalError {
        JournalError::Unavailable(match refused {
            Refused::Full => "the queue is full".into(),
            Refused::Closed => self.failure().unwrap_or("the journal is closed").to_owned(),
        })
    }

    /// Encodes an append on the caller's thread, so that the commit thread only copies bytes.
    fn encode(
        &self,
        token: &Token,
        append: Append,
        reply: oneshot::Sender<Result<Appended, AppendError>>,
    ) -> AppendJob {
        let stream = token.stream.as_str();
        let mut notices = Vec::new();
        let records = (append.after + 1..).zip(&append.records).map(|(sequence, record)| {
            for (index, notice) in record.notices.iter().enumerate() {
                let id = event_id(self.shared.epoch, stream, sequence, index);
                notices.push(OutboxPut { partner: notice.partner.clone(), content: read::encode_notice(&id, notice) });
            }
            let mut bytes = Vec::new();
            Envelope { stream, sequence, at: record.at, id: record.id, body: &record.body }.encode(&mut bytes);
            (record.id, bytes)
        });
        let records = records.collect();
        let rows = append.rows.iter().map(|row| match (keys::row(row.table, &row.key), &row.value) {
            (key, Some(value)) => Put::new(key, value),
            (key, None) => Put::remove(key),
        });
        let home = Home::here();
        AppendJob { token: token.clone(), after: append.after, records, rows: rows.collect(), notices, reply, home }
    }
}

/// Event id of a notice: unique for ever, as the epoch is new at each creation and restore; no dots (architecture §6).
pub(in crate::persistence) fn event_id(epoch: u64, stream: &str, sequence: u64, index: usize) -> String {
    format!("evt_{epoch:016x}-{}-{sequence}-{index}", stream.replace('/', "-"))
}

/// Whether an append keeps the limits; a defect of the writer if not.
fn too_large(append: &Append) -> Option<String> {
    let largest = append.records.iter().map(|record| record.body.len()).max();
    let notices: usize = append.records.iter().map(|record| record.notices.len()).sum();
    let row = append.rows.iter().filter_map(|row| row.value.as_ref()).map(Vec::len).max().unwrap_or(0);
    match largest {
        None => Some("no record".into()),
        Some(size) if size + 1024 > RECORD_MAX => Some(format!("a record of {size} bytes")),
        Some(_) if notices > BATCH_NOTICES => Some(format!("{notices} notices")),
        Some(_) if row > values::VALUE_MAX => Some(format!("a row of {row} bytes")),
        Some(_) => None,
    }
}

#[async_trait]
impl Journal for SledJournal {
    async fn claim(&self, stream: &StreamName) -> Result<Claimed, JournalError> {
        let mut claimed = self.claim_all(std::slice::from_ref(stream)).await?;
        claimed.pop().unwrap_or(Err(JournalError::Fenced))
    }

    async fn claim_all(&self, streams: &[StreamName]) -> Result<Vec<Result<Claimed, JournalError>>, JournalError> {
        let starts = self.ask(|reply| Job::Claim { streams: streams.to_vec(), reply }).await?;
        let shared = Arc::clone(&self.shared);
        read::blocking(move || Ok(claim::claim(&shared, starts))).await
    }

    async fn append(&self, token: &Token, append: Append) -> Result<Appended, AppendError> {
        if let Some(what) = too_large(&append) {
            metrics::REFUSED.add(1, ["too_large"]);
            tracing::error!(stream = %token.stream, what, "an append beyond the journal's limits: a defect of its writer");
            return Err(AppendError::Full);
        }
        let (reply, answer) = oneshot::channel();
        let job = self.encode(token, append, reply);
        self.push(Job::Append(Box::new(job))).map_err(|_| AppendError::Unavailable(RETRY_AFTER))?;
        answer.await.unwrap_or_else(|_| Err(AppendError::Unknown("the journal stopped".into())))
    }

    async fn resolve(&self, token: &Token, record_id: u128) -> Result<bool, JournalError> {
        self.ask(|reply| Job::Resolve { token: token.clone(), id: record_id, reply }).await
    }

    async fn snapshot(&self, token: &Token, snapshot: Snapshot, live: bool) -> Result<(), JournalError> {
        let Snapshot { sequence, state } = snapshot;
        if state.len() > values::VALUE_MAX {
            metrics::REFUSED.add(1, ["too_large"]);
            return Err(JournalError::Unavailable(format!("a snapshot of {} bytes is too large", state.len())));
        }
        let state = Put::new(keys::state(token.stream.as_str()), &state);
        self.ask(|reply| Job::Snapshot { token: token.clone(), sequence, live, state, reply }).await
    }

    async fn streams(&self, family: &str) -> Result<Vec<StreamSummary>, JournalError> {
        let (shared, family) = (Arc::clone(&self.shared), family.to_owned());
        self.read(move || read::streams(&shared, &family)).await
    }

    async fn create_once(&self, key: &str, value: &[u8], ttl: Duration) -> Result<CreateOnce, JournalError> {
        let place = keys::once(key);
        // A look beforehand brings the page into the cache, so that the commit thread does not wait for the disk; it
        // decides by itself.
        let (shared, looked) = (Arc::clone(&self.shared), place.clone());
        let seen = read::blocking(move || once::read(&shared.tree, &looked, shared.clock.now())).await?;
        if let Some(first) = seen {
            self.shared.settled().await?;
            return Ok(CreateOnce::Exists(first));
        }
        let put = Put::new(place, &once::encode(self.shared.clock.now() + ttl, value));
        self.ask(|reply| Job::Create { put, value: value.to_vec(), reply }).await
    }

    async fn lookup_once(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let (shared, key) = (Arc::clone(&self.shared), keys::once(key));
        self.read(move || once::read(&shared.tree, &key, shared.clock.now())).await
    }

    async fn remove_once(&self, key: &str) -> Result<(), JournalError> {
        self.ask(|reply| Job::Remove { key: keys::once(key), reply }).await
    }

    async fn row(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let (shared, key) = (Arc::clone(&self.shared), keys::row(table, key));
        let stamp = match self.known(|recent| recent.row(&key))? {
            Ok(row) => return Ok(row),
            Err(stamp) => stamp,
        };
        let place = key.clone();
        let row = self.read(move || values::get(&shared.tree, &place)).await?;
        self.shared.recent.note(key, stamp, row.as_ref());
        Ok(row)
    }

    async fn rows(
        &self,
        table: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        let (shared, base) = (Arc::clone(&self.shared), keys::row(table, ""));
        let (prefix, after) = (keys::row(table, prefix), after.map(|after| keys::row(table, after)));
        self.read(move || read::rows(&shared, base.len(), &prefix, after.as_deref(), limit)).await
    }

    async fn rows_back(
        &self,
        table: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredRow>, JournalError> {
        let (shared, base) = (Arc::clone(&self.shared), keys::row(table, ""));
        let (prefix, before) = (keys::row(table, prefix), before.map(|before| keys::row(table, before)));
        self.read(move || read::rows_back(&shared, base.len(), &prefix, before.as_deref(), limit)).await
    }

    async fn outbox(&self, partner: &PartnerId, position: u64, limit: usize) -> Result<Vec<OutboxEntry>, JournalError> {
        if let Some(found) = self.known(|recent| recent.notices(partner, position, limit))? {
            return found.into_iter().map(|(position, content)| read::decode_notice(position, &content)).collect();
        }
        let (shared, partner) = (Arc::clone(&self.shared), partner.clone());
        self.read(move || read::outbox(&shared, &partner, position, limit)).await
    }

    fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    fn lagging(&self, limit: usize) -> Vec<StreamName> {
        let next = self.shared.next_block.load(Relaxed);
        self.shared.index().behind(next.saturating_sub(self.shared.config.snapshot_blocks), limit)
    }

    /// Older than `journal.outbox_retention` is old enough.
    fn trim_outbox(&self, partner: &PartnerId, below_position: u64) {
        let mut trim = self.shared.trim.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        trim.insert(partner.clone(), below_position);
    }

    fn is_full(&self) -> bool {
        self.shared.space.is_full()
    }

    fn downtime(&self) -> Duration {
        self.shared.downtime
    }
}

impl SledJournal {
    /// What is held ready, unless the journal has failed.
    fn known<T>(&self, look: impl FnOnce(&Recent) -> T) -> Result<T, JournalError> {
        match self.failure() {
            Some(why) => Err(JournalError::Unavailable(why.to_owned())),
            None => Ok(look(&self.shared.recent)),
        }
    }

    /// Reads on a blocking thread, then waits until what may have been seen is durable.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let read = read::blocking(work).await?;
        self.shared.settled().await?;
        Ok(read)
    }
}

impl Drop for SledJournal {
    fn drop(&mut self) {
        self.shared.stop();
        self.shared.queue.close();
        // The fatal hook runs on a thread of the journal: should it drop the last handle, that thread cannot await itself.
        let other = |thread: &JoinHandle<()>| thread.thread().id() != std::thread::current().id();
        for thread in self.threads.drain(..).filter(other) {
            // A thread that panicked has failed the journal already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
pub(in crate::persistence) use tests::{config as test_config, damage};

#[cfg(test)]
pub(in crate::persistence) mod tests;
