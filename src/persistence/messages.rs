//! The message log: every OCPP frame of every charger, kept for a stated time in bounded room, for people to look at
//! (OP-4). Owns those files; never a fact: what counts is in the journal, and nothing here is ever read to decide.
//!
//! So it has the opposite promises. The gateway never waits for it: past a bound frames are dropped and counted. It is not
//! synced with each frame: a `kill -9` costs the last second. When disk is short it gives way to the journal. Secrets
//! and the texts of tokens are struck out before anything is written ([`redact`]).
//!
//! Frames are gathered for a second and written charger by charger, so that what belongs together lies together, into
//! SQLite files of a span of time each: what is too old, or too much, goes by deleting a file.

pub mod redact;
mod search;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

pub use search::{Found, Order, Search};

use crate::clock::Timestamp;
use crate::config::message_log::MessageLog as Settings;
use crate::ids::ChargerId;
use crate::telemetry::metrics::messages as metrics;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Thread;
use tokio::sync::Semaphore;

/// Frames that may wait for the writer: what 15,000 chargers send while a disk hesitates for some seconds.
const QUEUE: usize = 65_536;

/// Searches at once. Each takes a thread and reads whole files; a third helps nobody.
const SEARCHES: usize = 2;

/// Whence a frame came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The charger sent it.
    In,
    /// We sent it.
    Out,
    /// No frame: the connection itself began or ended.
    Link,
}

/// What is kept of one frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// When it was read or written, ms since 1970.
    pub at: i64,
    /// Whence.
    pub direction: Direction,
    /// The frame as it was, but for what was struck out; of a run of heartbeats nothing.
    pub text: Box<str>,
    /// A run of heartbeats that nothing else came between: how many, and when the last one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeats: Option<(u32, i64)>,
    /// Secrets or tokens were struck out; members may stand in another order than they came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// It was longer than `message_log.frame_bytes_max`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

impl Frame {
    /// A frame as it passed the socket.
    pub fn new(at: Timestamp, direction: Direction, text: &str) -> Self {
        Frame { at: at.0, direction, text: text.into(), heartbeats: None, redacted: false, cut: false }
    }

    /// A run of heartbeats.
    pub fn heartbeats(first: Timestamp, last: Timestamp, count: u32) -> Self {
        Frame { heartbeats: Some((count, last.0)), ..Frame::new(first, Direction::In, "") }
    }
}

/// Why the log cannot be opened or searched.
#[derive(Debug, thiserror::Error)]
pub enum MessageLogError {
    /// The directory.
    #[error("message_log.path {path}: {source}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of it.
    #[error("the message log: {0}")]
    Store(#[from] rusqlite::Error),
    /// What an earlier page gave as `next` is not that.
    #[error("the cursor is not one that an earlier page gave")]
    Cursor,
    /// It panicked, or the process is ending.
    #[error("the search of the message log was cut off")]
    CutOff,
}

enum Job {
    Frame(ChargerId, Frame),
    /// Everything before it has been written when this is answered.
    Flush(SyncSender<()>),
    /// The same, and it was the last.
    Stop(SyncSender<()>),
}

/// The way into the log, and to searching it. Cheap to clone.
#[derive(Clone)]
pub struct MessageLog(Option<Arc<Inner>>);

struct Inner {
    settings: Settings,
    jobs: SyncSender<Job>,
    /// Bytes of the frames that wait.
    waiting: Arc<AtomicUsize>,
    /// The thread that writes.
    writer: Thread,
    /// Searches under way.
    searches: Semaphore,
}

impl std::fmt::Debug for MessageLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MessageLog").field(&self.0.as_ref().map(|inner| &inner.settings)).finish()
    }
}

impl MessageLog {
    /// A log that keeps nothing.
    pub fn off() -> Self {
        MessageLog(None)
    }

    /// Opens the log and starts its writer; one that keeps nothing if the settings say so. `floor` free bytes are left to
    /// the journal.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or the system gives no thread.
    pub fn open(settings: &Settings, floor: u64) -> Result<Self, MessageLogError> {
        if !settings.enabled {
            return Ok(MessageLog::off());
        }
        let failed = |source| MessageLogError::Directory { path: settings.path.clone(), source };
        std::fs::create_dir_all(&settings.path).map_err(failed)?;
        let (jobs, queue) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let segments = segments::Segments::open(settings, floor).map_err(failed)?;
        let writer = writer::Writer::new(settings.clone(), segments, Arc::clone(&waiting));
        let thread = std::thread::Builder::new().name("messages".to_owned());
        let writer = thread.spawn(move || writer.run(&queue)).map_err(failed)?.thread().clone();
        let searches = Semaphore::new(SEARCHES);
        Ok(MessageLog(Some(Arc::new(Inner { settings: settings.clone(), jobs, waiting, writer, searches }))))
    }

    /// Keeps a frame of a charger. Never waits: what does not fit any more is dropped and counted.
    pub fn keep(&self, charger: &ChargerId, frame: Frame) {
        let Some(inner) = &self.0 else { return };
        let bytes = writer::weight(&frame);
        if inner.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > inner.settings.queue_bytes {
            inner.waiting.fetch_sub(bytes, Ordering::Relaxed);
            metrics::DROPPED.add(1, ["queue"]);
            return;
        }
        if inner.jobs.try_send(Job::Frame(charger.clone(), frame)).is_err() {
            inner.waiting.fetch_sub(bytes, Ordering::Relaxed);
            metrics::DROPPED.add(1, ["queue"]);
        }
    }

    /// Writes what waits. Blocks; for searches, tests and the end.
    pub fn flush(&self) {
        self.ask(Job::Flush);
    }

    /// Writes what waits, and ends the writer. Frames that come later are dropped.
    pub fn close(&self) {
        self.ask(Job::Stop);
    }

    fn ask(&self, job: fn(SyncSender<()>) -> Job) {
        let Some(inner) = &self.0 else { return };
        let (done, wait) = sync_channel(1);
        if inner.jobs.send(job(done)).is_ok() {
            inner.writer.unpark();
            // An error: the writer has ended, and with it all that waited is written or lost.
            let _ = wait.recv();
        }
    }

    /// Finds frames of one charger. Reads files: not for the threads of actors.
    ///
    /// # Errors
    /// When a file cannot be read, or the cursor is not one.
    pub fn search(&self, search: &Search) -> Result<Found, MessageLogError> {
        let Some(inner) = &self.0 else { return Ok(Found::default()) };
        // What has just been said is part of the answer.
        self.flush();
        search::run(&inner.settings.path, search)
    }

    /// [`MessageLog::search`] on a thread made for it, in its turn: few at a time, so that long ones of impatient people leave
    /// threads to those who read the journal.
    ///
    /// # Errors
    /// As [`MessageLog::search`], or when it was cut off.
    pub async fn find(&self, search: Search) -> Result<Found, MessageLogError> {
        let Some(inner) = &self.0 else { return Ok(Found::default()) };
        let Ok(_turn) = inner.searches.acquire().await else { return Err(MessageLogError::CutOff) };
        let log = self.clone();
        let found = tokio::task::spawn_blocking(move || log.search(&search)).await;
        found.unwrap_or(Err(MessageLogError::CutOff))
    }
}
