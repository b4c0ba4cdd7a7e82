//! Handles of series, kept a thread, so that counting costs nanoseconds. Owns the cache; never a name or a value.
//!
//! Invariant: a handle is kept only once the exporter is installed, so that nothing counts into the void for ever.

use metrics::{Counter, Gauge, Histogram, Label};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

/// Most labels of one metric: more would be more series than anyone reads.
pub(super) const LABELS_MAX: usize = 3;

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Says that the process's recorder is in place: from now on handles are kept.
pub(crate) fn installed() {
    INSTALLED.store(true, Ordering::Release);
}

/// Which series: the addresses of the name and of each label value. Both live as long as the program, and one address
/// with one length is one text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Series([usize; 1 + LABELS_MAX]);

impl Series {
    fn new<const N: usize>(name: &'static str, values: &[&'static str; N]) -> Self {
        let mut parts = [0; 1 + LABELS_MAX];
        parts[0] = name.as_ptr().addr();
        for (part, value) in parts.iter_mut().skip(1).zip(values) {
            // Addresses of a 64-bit process fit 48 bits, so the length has the upper 16 to itself.
            *part = value.as_ptr().addr() ^ value.len().rotate_right(16);
        }
        Series(parts)
    }
}

/// A multiplicative hash of a few words: what is hashed are our own addresses, nobody can choose them.
#[derive(Default)]
struct Words(u64);

impl Hasher for Words {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
    fn write_usize(&mut self, word: usize) {
        self.0 = (self.0.rotate_left(5) ^ word as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Kept<H> = RefCell<HashMap<Series, H, BuildHasherDefault<Words>>>;

thread_local! {
    static COUNTERS: Kept<Counter> = RefCell::default();
    static GAUGES: Kept<Gauge> = RefCell::default();
    static HISTOGRAMS: Kept<Histogram> = RefCell::default();
}

/// Uses the handle of a series: the kept one, or a new one from `make`.
fn with<H, const N: usize>(
    kept: &'static std::thread::LocalKey<Kept<H>>,
    (name, values): (&'static str, &[&'static str; N]),
    make: impl Fn() -> H,
    act: impl Fn(&H),
) {
    const { assert!(N <= LABELS_MAX) };
    if !INSTALLED.load(Ordering::Acquire) {
        return act(&make());
    }
    let done = kept.try_with(|kept| {
        // A recorder never comes back here, so the borrow cannot be taken twice.
        let Ok(mut kept) = kept.try_borrow_mut() else { return false };
        act(kept.entry(Series::new(name, values)).or_insert_with(&make));
        true
    });
    // While a thread ends its cache may be gone already.
    if !done.unwrap_or(false) {
        act(&make());
    }
}

pub(super) fn counter<const N: usize>(
    name: &'static str,
    values: &[&'static str; N],
    labels: impl Fn() -> Vec<Label>,
    act: impl Fn(&Counter),
) {
    with(&COUNTERS, (name, values), || metrics::counter!(name, labels()), act);
}

pub(super) fn gauge<const N: usize>(
    name: &'static str,
    values: &[&'static str; N],
    labels: impl Fn() -> Vec<Label>,
    act: impl Fn(&Gauge),
) {
    with(&GAUGES, (name, values), || metrics::gauge!(name, labels()), act);
}

pub(super) fn histogram<const N: usize>(
    name: &'static str,
    values: &[&'static str; N],
    labels: impl Fn() -> Vec<Label>,
    act: impl Fn(&Histogram),
) {
    with(&HISTOGRAMS, (name, values), || metrics::histogram!(name, labels()), act);
}
