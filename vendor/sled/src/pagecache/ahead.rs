// Chargeline: new, see PATCHES.md, 8.

use std::cmp::{max, min};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::{pwrite_all, LogOffset};
use crate::{Mutex, Result, RunningConfig};

/// How far ahead of the segments in use the file reaches at most, and how
/// small a part of them that is.
const MOST: u64 = 8 << 20;
const PART: u64 = 8;

/// What is written at once, a part of every segment: whoever commits waits for
/// no more. In one place for ever, because a kernel that has to fetch what it
/// copies from clears the page first.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The end of the file, which grows in zeros before it is written to: what
/// overwrites leaves the file's length and its blocks as they are, so that a
/// sync has no metadata to write.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// Up to where the file reaches. Held by whoever writes zeros.
    end: Mutex<LogOffset>,
    /// The same, for a look.
    seen_end: AtomicU64,
    /// The end of the segments in use.
    tip: AtomicU64,
}

impl Ahead {
    pub(super) fn new(tip: LogOffset, end: LogOffset) -> Ahead {
        Ahead {
            end: Mutex::new(end),
            seen_end: AtomicU64::new(end),
            tip: AtomicU64::new(tip),
        }
    }

    /// How far ahead the file is meant to reach, in whole segments.
    fn wanted(&self, segment_size: u64) -> u64 {
        let part = min(self.tip.load(SeqCst) / PART, MOST);
        max(part / segment_size, 1) * segment_size
    }

    /// The segments in use end here now. Nothing writes zeros before it
    /// afterwards: what is beyond the end waits for a write of zeros there.
    pub(super) fn tip_moved(&self, tip: LogOffset) {
        self.tip.store(tip, SeqCst);
        if tip > self.seen_end.load(SeqCst) {
            let mut end = self.end.lock();
            *end = max(*end, tip);
            self.seen_end.store(*end, SeqCst);
        }
    }

    /// The segments in use end here now, and were more: what is far beyond is
    /// cut off.
    pub(super) fn cut(
        &self,
        tip: LogOffset,
        config: &RunningConfig,
    ) -> Result<()> {
        let mut end = self.end.lock();
        self.tip.store(tip, SeqCst);
        let kept = tip + self.wanted(config.segment_size as u64);
        if kept < *end {
            config.file.set_len(kept)?;
            *end = kept;
            self.seen_end.store(kept, SeqCst);
        }
        Ok(())
    }

    /// Whether less than half of what is wanted is there.
    pub(crate) fn is_short(&self, config: &RunningConfig) -> bool {
        let reached =
            self.seen_end.load(SeqCst).saturating_sub(self.tip.load(SeqCst));
        reached < max(self.wanted(config.segment_size as u64) / 2, 1)
    }

    /// Writes a segment of zeros at the end, unless all that is wanted is
    /// there. Returns whether it did.
    pub(crate) fn grow(&self, config: &RunningConfig) -> Result<bool> {
        let size = config.segment_size as u64;
        let mut end = self.end.lock();
        let wanted = self.tip.load(SeqCst) + self.wanted(size);
        if *end >= wanted {
            return Ok(false);
        }
        let zeros = &ZEROS[..min(ZEROS.len(), config.segment_size)];
        for at in (*end..*end + size).step_by(zeros.len()) {
            pwrite_all(&config.file, zeros, at)?;
        }
        *end += size;
        self.seen_end.store(*end, SeqCst);
        Ok(true)
    }
}
