//! Room on the disk (RT-7). Owns the reserve file and the verdict "full"; never writes the store.
//!
//! sled does not survive "no space left": the running store is lost to the process, and it would not open again until
//! there is room. So the journal looks before every commit. Under the floor new work is refused by the engine
//! ([`Space::is_full`]); when not even the next commit is sure to fit, the reserve file is given free, so that stops can
//! go on; only when that is used up, too, appends are answered `Full`. The reserve is taken back when there is room.

use crate::telemetry::metrics::journal as metrics;
use fs4::FileExt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// What sled may write for one byte given to it: measured about 8, as it rewrites pages.
const AMPLIFICATION: u64 = 8;

/// Room that is kept besides: sled extends its file by segments of 512 KiB and rewrites some while it does.
const MARGIN: u64 = 4 << 20;

/// Tells the free bytes of the store's file system.
pub(super) type Probe = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

pub(super) struct Space {
    probe: Probe,
    reserve: PathBuf,
    reserve_bytes: u64,
    floor: u64,
    full: AtomicBool,
    held: AtomicBool,
}

impl Space {
    /// For the store in `directory`.
    pub(super) fn new(directory: &Path, reserve_bytes: u64, floor: u64) -> Self {
        let place = directory.to_owned();
        Self::with_probe(Box::new(move || fs4::available_space(&place)), directory, reserve_bytes, floor)
    }

    pub(super) fn with_probe(probe: Probe, directory: &Path, reserve_bytes: u64, floor: u64) -> Self {
        let reserve = directory.join("reserve");
        let held = fs::metadata(&reserve).is_ok_and(|file| file.len() >= reserve_bytes);
        // Seen from the start, so that an alert can tell "there is room" from "not measured".
        metrics::FULL.set(0.0, []);
        Space { probe, reserve, reserve_bytes, floor, full: AtomicBool::new(false), held: AtomicBool::new(held) }
    }

    fn free(&self) -> u64 {
        // A file system that cannot tell does not stop the journal; a real lack shows at the write.
        (self.probe)().unwrap_or(u64::MAX)
    }

    /// Before opening a store: recovery needs room to write, above all `list` bytes for a new list of its pages.
    pub(super) fn make_room(&self, list: u64) {
        if self.free() < MARGIN * 2 + list {
            self.release();
        }
    }

    /// Whether a commit of `bytes` fits.
    pub(super) fn admit(&self, bytes: u64) -> bool {
        let need = bytes * AMPLIFICATION + MARGIN;
        let mut free = self.free();
        if free < need && self.held.load(Relaxed) {
            self.release();
            free = self.free();
        }
        let full = free < self.floor || (!self.held.load(Relaxed) && self.reserve_bytes > 0);
        if self.full.swap(full, Relaxed) != full {
            metrics::FULL.set(f64::from(u8::from(full)), []);
            tracing::warn!(full, free, floor = self.floor, "room for the journal");
        }
        free >= need
    }

    /// Whether `bytes` may be written that no commit needs yet.
    pub(super) fn spare(&self, bytes: u64) -> bool {
        let kept = self.floor.saturating_add(MARGIN).saturating_add(bytes);
        (self.held.load(Relaxed) || self.reserve_bytes == 0) && self.free() >= kept
    }

    /// Takes the reserve back when there is room for it above the floor, and looks anew.
    pub(super) fn upkeep(&self) {
        let free = self.free();
        if !self.held.load(Relaxed) && free >= self.floor.saturating_add(self.reserve_bytes).saturating_add(MARGIN) {
            match self.take() {
                Ok(()) => self.held.store(true, Relaxed),
                Err(error) => tracing::warn!(%error, "the reserve could not be taken"),
            }
        }
        metrics::FREE_BYTES.set(free as f64, []);
        self.admit(0);
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    fn take(&self) -> io::Result<()> {
        let file = File::create(&self.reserve)?;
        FileExt::allocate(&file, self.reserve_bytes)?;
        file.sync_all()
    }

    fn release(&self) {
        match fs::remove_file(&self.reserve) {
            Ok(()) => tracing::warn!(bytes = self.reserve_bytes, "the reserve is given free, so that stops can go on"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, "the reserve could not be given free"),
        }
        self.held.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn the_reserve_goes_when_commits_no_longer_fit_and_comes_back_with_room() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = directory.path().join("reserve");
        let free = Arc::new(AtomicU64::new(1 << 30));
        // The probe counts the reserve as the file system would.
        let (probe_free, probe_reserve) = (Arc::clone(&free), reserve.clone());
        let probe: Probe = Box::new(move || {
            let held = if probe_reserve.exists() { 16 << 20 } else { 0 };
            Ok(probe_free.load(Relaxed).saturating_sub(held))
        });
        let space = Space::with_probe(probe, directory.path(), 16 << 20, 64 << 20);
        space.upkeep();
        assert!(reserve.exists() && !space.is_full());

        free.store(60 << 20, Relaxed);
        assert!(space.admit(1000) && space.is_full(), "under the floor commits go on");
        assert!(reserve.exists());

        free.store(19 << 20, Relaxed);
        assert!(space.admit(1000) && !reserve.exists(), "the reserve is given free");

        free.store(3 << 20, Relaxed);
        assert!(!space.admit(1000) && space.is_full(), "nothing fits any more");

        free.store(1 << 30, Relaxed);
        space.upkeep();
        assert!(space.admit(1000) && reserve.exists() && !space.is_full(), "it resumes by itself");

        free.store(32 << 20, Relaxed);
        space.make_room(0);
        assert!(reserve.exists(), "there is room for a small store to be opened");
        space.make_room(10 << 20);
        assert!(!reserve.exists(), "and not for a large one");
    }
}
