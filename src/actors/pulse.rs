//! How late the chargers' arbiters are, and the threads that answer partners. Owns the measuring: a beat on each thread, whose
//! lateness is the time that a ready task waits there; never what follows from it (CH-5, OP-10: who is turned away while it is
//! high).

use crate::telemetry::metrics::Metric;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// From one beat to the next. Short against the latency that is to be kept, long against the cost of a timer.
const BEAT: Duration = Duration::from_millis(20);

/// The lateness of all beats.
#[derive(Debug)]
pub struct Pulse {
    begun: Instant,
    hearts: Box<[Heart]>,
}

/// One thread's. Microseconds.
#[derive(Debug, Default)]
struct Heart {
    /// When it beat last, from `begun`.
    beat: AtomicU64,
    /// How late that beat was.
    late: AtomicU64,
}

impl Pulse {
    /// Of `n` threads, none of which is late yet.
    pub fn new(n: usize) -> Arc<Self> {
        Arc::new(Pulse { begun: Instant::now(), hearts: (0..n).map(|_| Heart::default()).collect() })
    }

    /// Beats on the thread that polls it, as the `index`-th, for as long as the thread runs; `told` counts how late.
    pub async fn beat(self: Arc<Self>, index: usize, told: &'static Metric<0>) {
        let Some(heart) = self.hearts.get(index) else { return };
        loop {
            let due = Instant::now() + BEAT;
            tokio::time::sleep_until(due).await;
            let woke = Instant::now();
            back_of_the_line().await;
            let now = Instant::now();
            let late = woke.saturating_duration_since(due).max(now.saturating_duration_since(woke));
            heart.late.store(micros(late), Ordering::Relaxed);
            heart.beat.store(micros(now.saturating_duration_since(self.begun)), Ordering::Relaxed);
            told.record(late.as_secs_f64(), []);
        }
    }

    /// How late the latest thread is: by its last beat, or by the one that does not come.
    pub fn late(&self) -> Duration {
        let now = micros(self.begun.elapsed());
        let of = |heart: &Heart| match heart.beat.load(Ordering::Relaxed) {
            // It has not begun.
            0 => 0,
            beat => now.saturating_sub(beat).saturating_sub(micros(BEAT)).max(heart.late.load(Ordering::Relaxed)),
        };
        Duration::from_micros(self.hearts.iter().map(of).max().unwrap_or(0))
    }
}

/// Ready again at once, behind all that is ready now. A task that a timer has woken runs before them on a thread of several.
async fn back_of_the_line() {
    let mut there = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut there, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::engine::ARBITER_LATE;
    use std::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn a_beat_that_does_not_come_is_late_at_once_and_is_forgiven_once_it_comes() {
        let pulse = Pulse::new(2);
        assert_eq!(pulse.late(), Duration::ZERO, "before the first beat");
        let beating = tokio::spawn(pulse.clone().beat(0, &ARBITER_LATE));
        tokio::time::sleep(BEAT * 2).await;
        assert!(pulse.late() < Duration::from_millis(2), "{:?}", pulse.late());
        // The thread does something else: time passes and nobody is polled.
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(pulse.late() >= Duration::from_millis(450), "{:?}", pulse.late());
        tokio::time::sleep(BEAT * 3).await;
        assert!(pulse.late() < Duration::from_millis(2), "{:?}", pulse.late());
        beating.abort();
    }

    #[test]
    fn who_goes_to_the_back_of_the_line_is_served_after_all_that_is_ready() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let seen = served.clone();
        let last = runtime.spawn(async move {
            for n in 0..10 {
                let served = served.clone();
                drop(tokio::spawn(async move { served.lock().unwrap().push(n) }));
            }
            back_of_the_line().await;
            served.lock().unwrap().push(10);
        });
        runtime.block_on(last).unwrap();
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), seen.last()), (11, Some(&10)));
    }
}
