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

    /// No job is taken any more; those that wait are still drained.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Moves what waits to the back of `into`; waits until something does. When fewer than `expected` wait, gives the
    /// others up to `gather` to come. `None` once closed and empty; otherwise how many wait besides.
    pub(super) fn drain(
        &self,
        into: &mut VecDeque<Job>,
        max: usize,
        expected: usize,
        gather: Duration,
    ) -> Option<usize> {
        let mut state = self.lock();
        while state.jobs.is_empty() && into.is_empty() {
            if state.closed {
                return None;
            }
            state.wanted = 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let expected = expected.min(max);
        if into.is_empty() && state.jobs.len() < expected && !state.closed {
            state = self.gather(state, expected, gather);
        }
        state.wanted = usize::MAX;
        let room = max.saturating_sub(into.len()).min(state.jobs.len());
        into.extend(state.jobs.drain(..room));
        Some(state.jobs.len())
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
