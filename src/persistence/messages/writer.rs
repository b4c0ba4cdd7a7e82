//! The thread that writes. Owns the gathering: frames of about a second, charger by charger, in one transaction.

use super::segments::Segments;
use super::{Frame, Job, redact};
use crate::config::message_log::MessageLog as Settings;
use crate::ids::ChargerId;
use crate::telemetry::metrics::messages as metrics;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

/// How long frames are gathered: what a `kill -9` may cost, and what lies together in one row.
const GATHER: Duration = Duration::from_secs(1);

/// How long frames pile up before they are taken from the queue: a thread that waits for each would be woken for each, which
/// costs the sender more than all the rest. The queue has room for 2.6 million frames a second.
const PAUSE: Duration = Duration::from_millis(25);

/// Bytes of frames that are gathered at most.
const GATHER_BYTES: usize = 4 << 20;

/// Bytes of one row, about: a search reads whole rows.
const ROW_BYTES: usize = 128 << 10;

/// A failing disk is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What a frame weighs in the queue.
pub(super) fn weight(frame: &Frame) -> usize {
    frame.text.len() + size_of::<Frame>()
}

pub(super) struct Writer {
    settings: Settings,
    segments: Segments,
    waiting: Arc<AtomicUsize>,
    gathered: BTreeMap<ChargerId, Vec<Frame>>,
    bytes: usize,
    count: u64,
    due: Option<Instant>,
    told: Option<Instant>,
}

impl Writer {
    pub(super) fn new(settings: Settings, segments: Segments, waiting: Arc<AtomicUsize>) -> Self {
        let gathered = BTreeMap::new();
        Writer { settings, segments, waiting, gathered, bytes: 0, count: 0, due: None, told: None }
    }

    /// Writes until the last sender has gone or says so.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        loop {
            match self.next(queue) {
                Ok(Job::Frame(charger, frame)) => self.gather(charger, frame),
                Ok(Job::Flush(done)) => {
                    self.write();
                    // Whoever asked may have gone.
                    let _ = done.send(());
                }
                Ok(Job::Stop(done)) => {
                    self.write();
                    // The file is closed before anybody hears of it.
                    drop(self);
                    let _ = done.send(());
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
        }
    }

    /// The next job. While frames are being gathered it looks from time to time; [`MessageLog::ask`] ends such a pause.
    ///
    /// [`MessageLog::ask`]: super::MessageLog::ask
    fn next(&self, queue: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        let Some(due) = self.due else { return queue.recv().map_err(|_| RecvTimeoutError::Disconnected) };
        loop {
            match queue.try_recv() {
                Ok(job) => return Ok(job),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            std::thread::park_timeout(left.min(PAUSE));
        }
    }

    fn gather(&mut self, charger: ChargerId, frame: Frame) {
        self.bytes += weight(&frame);
        self.count += 1;
        self.gathered.entry(charger).or_default().push(frame);
        self.due.get_or_insert_with(|| Instant::now() + GATHER);
        if self.bytes >= GATHER_BYTES {
            self.write();
        }
    }

    fn write(&mut self) {
        self.due = None;
        let (gathered, count) = (std::mem::take(&mut self.gathered), std::mem::take(&mut self.count));
        let rows = gathered.into_iter().flat_map(|(charger, frames)| self.rows(charger, frames)).collect::<Vec<_>>();
        self.waiting.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        if rows.is_empty() {
            return;
        }
        let failed = match self.segments.write(&rows) {
            Ok(true) => {
                metrics::KEPT.add(count, []);
                return;
            }
            Ok(false) => {
                metrics::DROPPED.add(count, ["no_room"]);
                "the disk is short, and the journal comes first".to_owned()
            }
            Err(error) => {
                metrics::DROPPED.add(count, ["failed"]);
                error.to_string()
            }
        };
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(frames = count, why = failed, "the message log does not keep frames");
        }
    }

    fn rows(&self, charger: ChargerId, frames: Vec<Frame>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for frame in frames {
            let frame = self.struck(frame);
            // Texts and numbers can always be written as JSON.
            let Ok(line) = serde_json::to_string(&frame) else { continue };
            let last = frame.heartbeats.map_or(frame.at, |(_, last)| last);
            match rows.last_mut().filter(|row| row.body.len() + line.len() < ROW_BYTES) {
                Some(row) => {
                    row.upto = row.upto.max(last);
                    row.body.push('\n');
                    row.body.push_str(&line);
                }
                None => rows.push(Row { charger: charger.clone(), at: frame.at, upto: last, body: line }),
            }
        }
        rows
    }

    fn struck(&self, mut frame: Frame) -> Frame {
        if let Cow::Owned(text) = redact::frame(&frame.text) {
            (frame.text, frame.redacted) = (text.into(), true);
        }
        let max = self.settings.frame_bytes_max;
        if frame.text.len() > max {
            let end = frame.text.floor_char_boundary(max);
            (frame.text, frame.cut) = (frame.text[..end].into(), true);
        }
        frame
    }
}

/// Frames of one charger that came together, a JSON object a line.
pub(super) struct Row {
    pub(super) charger: ChargerId,
    pub(super) at: i64,
    pub(super) upto: i64,
    pub(super) body: String,
}
