//! The bounded queue before the commit thread (RT-8). Owns the jobs and how they wait; never what a job does.
//!
//! One lock a push and one a drain; the thread is woken only when it sleeps and enough has come for it.

use super::commit::Job;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
    /// How many jobs wake the sleeping consumer; `usize::MAX` while it works.
    wanted: usize,
}

pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    bound: usize,
}

/// When the next jobs are to be taken.
#[derive(Clone, Copy)]
pub(super) struct Pace<'a> {
    /// How many jobs one drain takes at most.
    pub(super) max: usize,
    /// How many are likely to come again, as they were in the commits that were answered.
    pub(super) expected: usize,
    /// How long they are waited for.
    pub(super) gather: Duration,
    /// Tells when the last ones were answered.
    pub(super) answered: &'a dyn Fn() -> Instant,
    /// Nothing is taken before this moment, unless they came back at once.
    pub(super) not_before: Instant,
}

impl Pace<'_> {
    /// Writers who come back this soon after their answer are in a loop: to hold them back would only slow them. Many take
    /// longer than one, by some microseconds each.
    fn at_once(&self) -> Duration {
        let each = u32::try_from(self.expected).unwrap_or(u32::MAX);
        Duration::from_micros(500) + Duration::from_micros(4).saturating_mul(each)
    }

    /// Everything at once.
    pub(super) fn all() -> Self {
        Pace {
            max: usize::MAX,
            expected: 0,
            gather: Duration::ZERO,
            answered: &Instant::now,
            not_before: Instant::now(),
        }
    }
}

/// Why a job was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

impl Queue {
    pub(super) fn new(bound: usize) -> Self {
        let state = State { jobs: VecDeque::with_capacity(bound.min(1024)), closed: false, wanted: usize::MAX };
        Queue { state: Mutex::new(state), wake: Condvar::new(), bound }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.jobs.len() >= self.bound {
            return Err(Refused::Full);
        }
        state.jobs.push_back(job);
        if state.jobs.len() >= state.wanted {
            state.wanted = usize::MAX;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether all is taken and whoever takes it sleeps.
    #[cfg(test)]
    pub(super) fn is_at_rest(&self) -> bool {
        let state = self.lock();
        state.jobs.is_empty() && state.wanted == 1
    }

    /// No job is taken any more; those that wait are still drained.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Moves what waits to the back of `into`; waits until something does. When fewer than are expected wait, gives the
    /// others a little time; then keeps the distance from the last commit. `None` once closed and empty; otherwise how many
    /// wait besides.
    pub(super) fn drain(&self, into: &mut VecDeque<Job>, pace: Pace<'_>) -> Option<usize> {
        let mut state = self.lock();
        while state.jobs.is_empty() && into.is_empty() {
            if state.closed {
                return None;
            }
            state.wanted = 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let expected = pace.expected.min(pace.max);
        if into.is_empty() && state.jobs.len() < expected && !state.closed {
            state = self.gather(state, expected, pace.gather);
        }
        let back_at_once = state.jobs.len() >= expected && (pace.answered)().elapsed() <= pace.at_once();
        if into.is_empty() && !back_at_once {
            state = self.keep_off(state, pace);
        }
        state.wanted = usize::MAX;
        let room = pace.max.saturating_sub(into.len()).min(state.jobs.len());
        into.extend(state.jobs.drain(..room));
        Some(state.jobs.len())
    }

    /// Waits until the distance from the last commit is kept, or as many jobs as one commit takes are there.
    fn keep_off<'a>(&self, mut state: MutexGuard<'a, State>, pace: Pace<'_>) -> MutexGuard<'a, State> {
        loop {
            let left = pace.not_before.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed || state.jobs.len() >= pace.max {
                return state;
            }
            state.wanted = pace.max;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until `expected` jobs are there, nobody came for a quarter of the time allowed, or it is up.
    fn gather<'a>(&self, mut state: MutexGuard<'a, State>, expected: usize, most: Duration) -> MutexGuard<'a, State> {
        let until = Instant::now() + most;
        loop {
            let seen = state.jobs.len();
            let left = until.saturating_duration_since(Instant::now()).min(most / 4);
            if seen >= expected || state.closed || left.is_zero() {
                return state;
            }
            state.wanted = expected;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            if state.jobs.len() == seen {
                return state;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any machine takes for what does not wait.
    const LONG: Duration = Duration::from_secs(60);

    /// How many are taken with one writer expected, and after how long.
    fn drained(queue: &Queue, answered: Instant, gap: Duration) -> (usize, Duration) {
        let (mut into, begun) = (VecDeque::new(), Instant::now());
        let pace =
            Pace { max: 3, expected: 1, gather: Duration::ZERO, answered: &|| answered, not_before: begun + gap };
        queue.drain(&mut into, pace);
        (into.len(), begun.elapsed())
    }

    #[test]
    fn one_who_comes_by_chance_waits_for_the_gap_and_shares_the_commit() {
        let queue = Queue::new(16);
        let long_ago = Instant::now() - Duration::from_secs(1);
        queue.push(Job::Alive).unwrap();
        std::thread::scope(|scope| {
            let (queue, gap, begun) = (&queue, Duration::from_millis(500), Instant::now());
            let draining = scope.spawn(move || drained(queue, long_ago, gap).0);
            // It waits for a whole commit now, and so is there.
            while queue.lock().wanted != 3 && !draining.is_finished() {
                std::thread::yield_now();
            }
            queue.push(Job::Alive).unwrap();
            let (jobs, took) = (draining.join().unwrap(), begun.elapsed());
            assert!(jobs == 2 && took >= gap, "{jobs} jobs after {took:?}");
        });
    }

    #[test]
    fn whoever_comes_back_at_once_does_not_wait_nor_does_a_full_commit_or_the_end() {
        let queue = Queue::new(16);
        let long_ago = Instant::now() - Duration::from_secs(1);
        queue.push(Job::Alive).unwrap();
        // Begun a little in the future: a slow machine does not make the writer late.
        let just_now = Instant::now() + Duration::from_secs(1);
        assert!(drained(&queue, just_now, LONG).1 < LONG);
        (0..3).for_each(|_| queue.push(Job::Alive).unwrap());
        assert!(drained(&queue, long_ago, LONG).1 < LONG);
        queue.push(Job::Alive).unwrap();
        queue.close();
        assert!(drained(&queue, long_ago, LONG).1 < LONG);
        assert_eq!(queue.drain(&mut VecDeque::new(), Pace::all()), None);
    }
}
