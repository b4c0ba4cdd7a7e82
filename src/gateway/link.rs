//! The handle by which a charger's actor sends through its socket. Owns the bounded queue between them; never pairs
//! answers (that is [`crate::protocol::ocppj::CallLink`] in the socket).
//!
//! Invariants: the queue never holds more than its bound; once the socket has ended every send fails.

use super::ports::{CloseReason, Generation};
use super::profile::Proof;
use crate::clock::Timestamp;
use crate::ids::ChargerId;
use crate::protocol::ocppj::write_call;
use crate::telemetry::metrics::gateway as metric;
use futures_util::task::AtomicWaker;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Why a call could not be queued. Neither says anything about the charger: the command stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The bound is reached: wait for an answer.
    #[error("the connection's queue is full")]
    Full,
    /// The socket has ended.
    #[error("the connection has ended")]
    Closed,
}

/// A call on its way out.
pub(crate) struct OutCall {
    pub(crate) id: Arc<str>,
    pub(crate) frame: String,
    pub(crate) timeout: Duration,
}

/// What the socket is told.
pub(crate) enum Order {
    Call(OutCall),
    Close(CloseReason),
}

#[derive(Default)]
struct Queue {
    calls: VecDeque<OutCall>,
    close: Option<CloseReason>,
    ended: bool,
}

struct Shared {
    charger: ChargerId,
    generation: Generation,
    remote: SocketAddr,
    proof: Proof,
    subprotocol: &'static str,
    bound: usize,
    queue: Mutex<Queue>,
    waker: AtomicWaker,
    accepted: AtomicBool,
    heard: AtomicI64,
}

/// The sending end of one connection. Cheap to clone, may cross threads.
#[derive(Clone)]
pub struct LinkHandle(Arc<Shared>);

/// Without what waits to be sent: a new password may be in it.
impl std::fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkHandle({} {})", self.0.charger, self.0.generation.0)
    }
}

impl LinkHandle {
    pub(crate) fn new(
        charger: ChargerId,
        generation: Generation,
        (remote, proof): (SocketAddr, Proof),
        subprotocol: &'static str,
        bound: usize,
        now: Timestamp,
    ) -> Self {
        LinkHandle(Arc::new(Shared {
            charger,
            generation,
            remote,
            proof,
            subprotocol,
            bound,
            queue: Mutex::default(),
            waker: AtomicWaker::new(),
            accepted: AtomicBool::new(false),
            heard: AtomicI64::new(now.0),
        }))
    }

    /// Whose connection it is.
    pub fn charger(&self) -> &ChargerId {
        &self.0.charger
    }

    /// Which connection it is.
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    /// What the charger has proved of itself.
    pub fn proof(&self) -> Proof {
        self.0.proof
    }

    /// Where the charger calls from.
    pub fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// The sub-protocol agreed on, such as `ocpp1.6`.
    pub fn subprotocol(&self) -> &'static str {
        self.0.subprotocol
    }

    /// When anything was last heard from the charger (CH-4).
    pub fn heard(&self) -> Timestamp {
        Timestamp(self.0.heard.load(Ordering::Relaxed))
    }

    /// Lets the socket answer heartbeats by itself, once the charger's boot is accepted; takes it back otherwise.
    pub fn set_accepted(&self, accepted: bool) {
        self.0.accepted.store(accepted, Ordering::Relaxed);
    }

    /// Queues a call. It is sent when the one before it is answered or given up, and itself given up without an answer
    /// `timeout` after that; its fate comes by [`super::ports::ChargerPort::answered`].
    ///
    /// # Errors
    /// When the queue is full or the socket has ended.
    pub fn call(&self, id: &str, action: &str, payload: &str, timeout: Duration) -> Result<(), LinkError> {
        let mut queue = self.queue();
        if queue.ended || queue.close.is_some() {
            return Err(LinkError::Closed);
        }
        if queue.calls.len() >= self.0.bound {
            metric::CALLS_OUT.add(1, ["queue_full"]);
            return Err(LinkError::Full);
        }
        queue.calls.push_back(OutCall { id: id.into(), frame: write_call(id, action, payload), timeout });
        drop(queue);
        self.0.waker.wake();
        Ok(())
    }

    /// Ends the connection in good order. The first reason given counts.
    pub fn close(&self, reason: CloseReason) {
        self.queue().close.get_or_insert(reason);
        self.0.waker.wake();
    }

    /// Whether the socket has ended.
    pub fn is_closed(&self) -> bool {
        self.queue().ended
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while holding it.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_accepted(&self) -> bool {
        self.0.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn note_heard(&self, now: Timestamp) {
        self.0.heard.store(now.0, Ordering::Relaxed);
    }

    /// Whether an order waits. It stays where it is.
    pub(crate) fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.waker.register(cx.waker());
        let queue = self.queue();
        if queue.close.is_some() || !queue.calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The next order; calls only if `may_call`.
    pub(crate) fn poll_order(&self, cx: &mut Context<'_>, may_call: bool) -> Poll<Order> {
        self.0.waker.register(cx.waker());
        let mut queue = self.queue();
        if let Some(reason) = queue.close {
            return Poll::Ready(Order::Close(reason));
        }
        let call = if may_call { queue.calls.pop_front() } else { None };
        if call.is_some() && queue.calls.is_empty() {
            // Calls are rare; their room would stay for the life of the connection.
            queue.calls = VecDeque::new();
        }
        call.map_or(Poll::Pending, |call| Poll::Ready(Order::Call(call)))
    }

    /// Ends the handle and gives back what was not sent.
    pub(crate) fn end(&self) -> VecDeque<OutCall> {
        let mut queue = self.queue();
        queue.ended = true;
        std::mem::take(&mut queue.calls)
    }
}
