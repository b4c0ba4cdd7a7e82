//! Fires what fell due while we were away, in due order and without a burst (RT-3). Owns the waiting line of overdue
//! timers of one arbiter; never a timer itself.

use crate::clock::Timestamp;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How late a timer must be to wait in line: an ordinary timer is never this late on a healthy thread.
pub const OVERDUE: Duration = Duration::from_millis(1500);

/// The line of one arbiter. Closed at first: recovery opens it when all its partitions are loaded.
#[derive(Debug)]
pub struct Pacer {
    inner: RefCell<Inner>,
    gap: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    line: BinaryHeap<Reverse<Waiting>>,
    arrivals: u64,
    open: bool,
    running: bool,
}

#[derive(Debug)]
struct Waiting {
    due: Timestamp,
    arrival: u64,
    go: oneshot::Sender<()>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.arrival) == (other.due, other.arrival)
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.arrival).cmp(&(other.due, other.arrival))
    }
}

impl Pacer {
    /// A closed line that lets at most `per_second` go.
    pub fn new(per_second: u32) -> Rc<Self> {
        Rc::new(Pacer { inner: RefCell::default(), gap: Duration::from_secs(1) / per_second.max(1) })
    }

    /// Lets the line move.
    pub fn open(self: &Rc<Self>) {
        self.inner.borrow_mut().open = true;
        self.run();
    }

    /// Waits for the turn of a timer that was due at `due`.
    pub async fn turn(self: &Rc<Self>, due: Timestamp) {
        let (go, gone) = oneshot::channel();
        {
            let mut inner = self.inner.borrow_mut();
            inner.arrivals += 1;
            let arrival = inner.arrivals;
            inner.line.push(Reverse(Waiting { due, arrival, go }));
        }
        self.run();
        // The line lives as long as the arbiter; if it is gone, so is the timer's actor.
        let _ = gone.await;
    }

    fn run(self: &Rc<Self>) {
        let mut inner = self.inner.borrow_mut();
        if !inner.open || inner.running || inner.line.is_empty() {
            return;
        }
        inner.running = true;
        drop(inner);
        let pacer = Rc::clone(self);
        actix_rt::spawn(async move {
            loop {
                // One gap first, so that all that fell due together is in line before the first goes.
                tokio::time::sleep(pacer.gap).await;
                let mut inner = pacer.inner.borrow_mut();
                match inner.line.pop() {
                    // A timer whose actor has gone in the meantime gives its place to the next.
                    Some(Reverse(waiting)) => drop(waiting.go.send(())),
                    None => {
                        inner.running = false;
                        return;
                    }
                }
            }
        });
    }
}
