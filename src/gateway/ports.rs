//! What the gateway needs from the rest: who may connect, where a connection lives, and who takes its messages. Owns
//! only the shapes.

use super::link::LinkHandle;
use super::profile::{Denied, Standing};
use super::socket::SocketStart;
use crate::clock::Timestamp;
use crate::ids::ChargerId;
use crate::protocol::ocpp16::Decoded;
use crate::protocol::ocppj::{CallError, Repeat};
use futures_util::future::LocalBoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Numbers the authenticated connections of this process, ascending in the order of their authentication. The higher one
/// of an identity is the newer one (CH-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Who may connect. Asked for every handshake, also of strangers: in memory, without waiting.
pub trait ChargerRegister: Send + Sync + 'static {
    /// How the charger proves who it is; `None` if there is no such charger. An unknown charger gets the same answer as
    /// a wrong password and leaves no trace (CH-3).
    fn standing(&self, id: &ChargerId) -> Option<Standing>;

    /// A known charger was refused although it knew its password, or showed another's certificate: an alarm is due. Called
    /// for every refusal; repeats are the register's to hold back.
    fn denied(&self, id: &ChargerId, from: std::net::IpAddr, why: Denied);
}

/// Where a connection lives.
pub trait Placement: Send + Sync + 'static {
    /// Runs [`SocketStart::run`] as a local task on the arbiter of `start.charger()`, with that charger's port. Must not
    /// wait.
    ///
    /// # Errors
    /// Gives the start back if no connection can be taken now (not recovered yet, journal full, shutting down): the
    /// charger is told 503 and comes again (RT-8).
    fn place(&self, start: SocketStart) -> Result<(), SocketStart>;

    /// Whether connections are taken at all now. Asked before a login is judged: before recovery is over nobody is known, and a
    /// right password would count as a wrong one.
    fn is_open(&self) -> bool;

    /// How long what is ready waits for its turn where connections live, at worst. Asked for every stranger (CH-5).
    fn late(&self) -> Duration;
}

/// Who keeps the frames for people to look at (OP-4). Must not wait, and nothing depends on it.
pub trait FrameLog: Send + Sync + 'static {
    /// One frame or event of a charger's connection.
    fn keep(&self, charger: &ChargerId, at: Timestamp, seen: Passed<'_>);
}

/// What passed a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed<'a> {
    /// A text of the charger's.
    In(&'a str),
    /// A text of ours.
    Out(&'a str),
    /// So many heartbeats that the socket answered itself and nothing else came between; the last one at this moment.
    Heartbeats(u32, Timestamp),
    /// It began, from this address.
    Connected(std::net::SocketAddr),
    /// It ended.
    Closed(CloseReason),
}

/// Who takes the messages of one connection. Local to the charger's arbiter; one per connection.
pub trait ChargerPort: 'static {
    /// The upgrade is complete. Called once, first. A port that sees a lower generation than it has seen before for its
    /// charger ignores this connection.
    fn attached(&self, link: LinkHandle);

    /// A call of the charger. The next one is passed on when this one's future is done. The future is dropped when the
    /// socket ends: what must be finished all the same is the actor's own business.
    fn call(&self, call: InboundCall) -> LocalBoxFuture<'static, CallOutcome>;

    /// What became of a call of ours. For every call that was queued there is one answer, and after a time-out perhaps a
    /// late one.
    fn answered(&self, answer: CallAnswer);

    /// The socket has ended. Called once, last. When a newer connection has taken over, this may come after the newer
    /// one's `attached`: it must change nothing if `generation` is not the current one.
    fn detached(&self, generation: Generation, reason: CloseReason);

    /// Two devices seem to share this identity: an alarm is due (CH-3).
    fn alternating(&self, generation: Generation);
}

/// A call of a charger.
#[derive(Debug)]
pub struct InboundCall {
    /// The connection that it came by.
    pub generation: Generation,
    /// Its unique message id, as received.
    pub id: String,
    /// What is asked, with what was let pass.
    pub decoded: Decoded,
    /// The payload as received, for the journal of facts and for tickets.
    pub payload: String,
    /// Whether the id was seen before on this connection, and with which content (CH-7).
    pub repeat: Repeat,
    /// When its last byte was read.
    pub received: Timestamp,
}

/// How a call is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// With a CALLRESULT of this payload (a JSON object).
    Result(String),
    /// With a CALLERROR.
    Error(CallError),
    /// Not at all, and the connection ends: the message could not be made durable, so the charger must keep it and send
    /// it again (RT-8).
    NoAnswer,
}

/// What became of a call of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// The connection that it went by.
    pub generation: Generation,
    /// The call's unique message id.
    pub id: Arc<str>,
    /// It had been given up before.
    pub late: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// The outcome of a call of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The charger confirmed; the payload is unread JSON: see `ocpp16::Answer::read`.
    Result(String),
    /// The charger answered with a CALLERROR, its texts as received, cut to 255 characters.
    Error {
        /// The code as the charger spelled it.
        code: String,
        /// For people.
        description: String,
    },
    /// No answer in time. The charger may have acted; a late answer may follow.
    TimedOut,
    /// The connection ended before it was sent: surely not acted on.
    NotSent,
    /// The connection ended after it was sent and before an answer.
    Uncertain,
}

/// Why a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The charger closed in good order.
    PeerClosed,
    /// The connection broke.
    PeerGone,
    /// Nothing was heard for two ping intervals (CH-4).
    Silent,
    /// The charger reads nothing.
    Stuck,
    /// A newer connection of the same identity came in (CH-3).
    Replaced,
    /// We stop.
    Shutdown,
    /// We restart and will be back.
    Restart,
    /// The charger's actor wanted it.
    Ordered,
    /// A message could not be made durable (RT-8).
    NotDurable,
    /// A message is beyond the limit.
    TooBig,
    /// A large message found the budget of the process used up.
    NoBudget,
    /// A message came in too many fragments.
    Fragments,
    /// Too many pings or pongs.
    ControlFlood,
    /// The WebSocket protocol was broken: unmasked, compressed, malformed frames.
    Protocol,
    /// A text was not UTF-8.
    BadUtf8,
    /// Its task was dropped: a panic in it, or its arbiter stopped.
    Aborted,
}

impl CloseReason {
    /// The WebSocket close code that says so, if the peer is told.
    pub const fn code(self) -> Option<u16> {
        match self {
            CloseReason::PeerClosed | CloseReason::PeerGone | CloseReason::Stuck | CloseReason::Aborted => None,
            CloseReason::Shutdown => Some(1001),
            CloseReason::Protocol => Some(1002),
            CloseReason::BadUtf8 => Some(1007),
            CloseReason::Silent | CloseReason::Replaced | CloseReason::Fragments | CloseReason::ControlFlood => {
                Some(1008)
            }
            CloseReason::TooBig => Some(1009),
            CloseReason::Restart => Some(1012),
            CloseReason::NotDurable | CloseReason::NoBudget => Some(1013),
            CloseReason::Ordered => Some(1000),
        }
    }

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            CloseReason::PeerClosed => "peer_closed",
            CloseReason::PeerGone => "peer_gone",
            CloseReason::Silent => "silent",
            CloseReason::Stuck => "stuck",
            CloseReason::Replaced => "replaced",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Restart => "restart",
            CloseReason::Ordered => "ordered",
            CloseReason::NotDurable => "not_durable",
            CloseReason::TooBig => "too_big",
            CloseReason::NoBudget => "no_budget",
            CloseReason::Fragments => "fragments",
            CloseReason::ControlFlood => "control_flood",
            CloseReason::Protocol => "protocol",
            CloseReason::BadUtf8 => "bad_utf8",
            CloseReason::Aborted => "aborted",
        }
    }
}
