//! One charger's socket, on its charger's arbiter. Owns the upgrade, the attachment, and the end; `pump` is what
//! happens between, `inbound` what a message leads to, `rest` what a silent charger costs.
//!
//! Invariants: `attached` comes first and `detached` last, once each; between them every call that was queued has got
//! its answer; the end is told before the closing handshake, so that it delays nobody.

mod beats;
mod inbound;
mod pump;
mod rest;

use super::admission::{ConnectionPermit, HandshakePermit};
use super::connections::Attached;
use super::guard::{FrameLimits, Guarded, Progress, Watch};
use super::link::LinkHandle;
use super::listener::Shared;
use super::ports::{CallAnswer, ChargerPort, CloseReason, Generation, Outcome, Passed};
use super::profile::Proof;
use super::stream::Stream;
use crate::clock::Timestamp;
use crate::config::gateway::Gateway as Settings;
use crate::ids::ChargerId;
use crate::protocol::ocppj::CallLink;
use crate::telemetry::metrics::gateway as metric;
use beats::Beats;
use futures_util::SinkExt as _;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use rest::Rest;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes that are read from one whom we have told to close, so that the telling is not lost in a reset.
const LINGER_BYTES: u64 = 262_144;

/// A socket's WebSocket while it is awake.
type Ws = WebSocketStream<Guarded<Stream>>;

/// A stream without its WebSocket. Boxed, so that the task has no room for it while it has none.
type Bare = Box<Guarded<Stream>>;

/// An authenticated connection on its way to its charger's arbiter.
#[derive(Debug)]
pub struct SocketStart(pub(crate) Box<Start>);

#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) shared: Arc<Shared>,
    pub(crate) charger: ChargerId,
    pub(crate) generation: Generation,
    pub(crate) remote: SocketAddr,
    pub(crate) subprotocol: &'static str,
    pub(crate) proof: Proof,
    pub(crate) stream: Stream,
    pub(crate) response: Vec<u8>,
    pub(crate) rest: Vec<u8>,
    pub(crate) handshake: HandshakePermit,
    pub(crate) connection: ConnectionPermit,
}

/// Messages of one charger. By the system's clock, which takes no room; the crate's own takes forty bytes.
type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock, NoOpMiddleware<<MonotonicClock as Clock>::Instant>>;

/// What the socket keeps while it lives, besides the WebSocket itself.
struct Socket {
    shared: Arc<Shared>,
    port: Rc<dyn ChargerPort>,
    link: LinkHandle,
    calls: CallLink,
    /// Calls read ahead, and errors that wait for their turn; the oldest first.
    waiting: SmallVec<[Waiting; 1]>,
    limiter: Limiter,
    began: Instant,
    ping_due: Instant,
    throttled_until: Option<Instant>,
    /// Anything heard since the last ping.
    heard: bool,
    silent_intervals: u8,
    /// How far the charger had come at the last ping.
    progress: Progress,
    /// Messages and control frames taken from the WebSocket.
    items: u64,
    rest: Rest,
    /// Heartbeats that the frame log has not been told of yet.
    beats: Beats,
    /// The end has been told.
    ended: bool,
}

/// A panic in the socket's task, or the end of its arbiter, is told like any other end: nobody may go on believing that
/// the charger is there.
impl Drop for Socket {
    fn drop(&mut self) {
        if !self.ended {
            self.end(CloseReason::Aborted);
        }
    }
}

/// What waits for its turn.
enum Waiting {
    Call(Box<super::ports::InboundCall>),
    Ready(String),
}

impl SocketStart {
    /// Whose connection it is.
    pub fn charger(&self) -> &ChargerId {
        &self.0.charger
    }

    /// Which connection it is.
    pub fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Completes the upgrade and serves the socket until it ends: awake while something passes, at rest between. Runs as a
    /// local task on the charger's arbiter.
    ///
    /// All but the rest is boxed and gone when it is done: the task of an idle charger holds only what it needs.
    pub fn run(self, port: Rc<dyn ChargerPort>) -> impl Future<Output = ()> {
        let begin = Box::pin(self.begin(port));
        async move {
            let Some((mut socket, connection, mut stream, mut first)) = begin.await else { return };
            while let Some(bare) = Box::pin(socket.awake(stream, first)).await {
                stream = bare;
                first = match socket.silence(&mut stream).await {
                    Ok(first) => first,
                    Err(reason) => {
                        Box::pin(socket.leave(stream, reason)).await;
                        break;
                    }
                };
            }
            drop(connection);
        }
    }

    /// Completes the upgrade and makes the connection the current one.
    async fn begin(self, port: Rc<dyn ChargerPort>) -> Option<(Box<Socket>, ConnectionPermit, Bare, Vec<u8>)> {
        let Start {
            shared,
            charger,
            generation,
            remote,
            subprotocol,
            proof,
            stream,
            response,
            rest,
            handshake,
            connection,
        } = *self.0;
        let Some(stream) = upgrade(&shared, stream, &response, &rest).await else {
            metric::HANDSHAKES.add(1, ["gone"]);
            return None;
        };
        drop(handshake);
        metric::HANDSHAKES.add(1, ["accepted"]);
        let settings = shared.settings();
        let now = shared.ports.clock.now();
        let link = LinkHandle::new(charger, generation, (remote, proof), subprotocol, settings.outgoing_queue, now);
        let attached = shared.connections.attach(&link, settings.alternation_takeovers, settings.alternation_window);
        drop(settings);
        let Attached::Current { took_over, alternating } = attached else {
            metric::CLOSED.add(1, [CloseReason::Replaced.label()]);
            farewell(stream, rest, CloseReason::Replaced, &shared).await;
            return None;
        };
        tracing::info!(charger = %link.charger(), %remote, generation = generation.0, took_over, "charger connected");
        let socket = Box::new(Socket::new(shared, port, link));
        socket.greet(took_over, alternating);
        Some((socket, connection, stream, rest))
    }
}

/// Registers the stream with this thread's runtime and completes the handshake. `rest`: bytes of it that were read before.
async fn upgrade(shared: &Shared, mut stream: Stream, response: &[u8], rest: &[u8]) -> Option<Bare> {
    let settings = shared.settings_kept();
    stream.wake().ok()?;
    let told = async {
        stream.write_all(response).await?;
        stream.flush().await
    };
    timeout(settings.write_timeout, told).await.ok()?.ok()?;
    let limits = FrameLimits {
        message: settings.message_bytes_max,
        small: settings.message_bytes_small,
        fragments: settings.fragments_max,
        control: settings.control_frames_per_minute,
    };
    Guarded::new(stream, Watch::new(limits, shared.budget()), rest).ok().map(Box::new)
}

/// A WebSocket over an upgraded stream. `first`: bytes of it that were read before.
async fn websocket(stream: Bare, first: Vec<u8>, settings: &Settings) -> Ws {
    let config = WebSocketConfig::default()
        .read_buffer_size(settings.read_buffer_bytes)
        // Every message is written at once; nothing is buffered for later.
        .write_buffer_size(0)
        .max_message_size(Some(settings.message_bytes_max))
        .max_frame_size(Some(settings.message_bytes_max));
    // Without any, no part of a second buffer is kept.
    if first.is_empty() {
        WebSocketStream::from_raw_socket(*stream, Role::Server, Some(config)).await
    } else {
        WebSocketStream::from_partially_read(*stream, first, Role::Server, Some(config)).await
    }
}

impl Socket {
    fn new(shared: Arc<Shared>, port: Rc<dyn ChargerPort>, link: LinkHandle) -> Self {
        let settings = shared.settings();
        let rate = NonZeroU32::new(settings.messages_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(settings.messages_burst).unwrap_or(NonZeroU32::MIN);
        let grace = settings.call_grace;
        let began = Instant::now();
        let ping_due = began + settings.ping_interval;
        drop(settings);
        Socket {
            shared,
            port,
            link,
            calls: CallLink::new(grace),
            waiting: SmallVec::new(),
            limiter: RateLimiter::direct_with_clock(Quota::per_second(rate).allow_burst(burst), MonotonicClock),
            began,
            ping_due,
            throttled_until: None,
            heard: false,
            silent_intervals: 0,
            progress: Progress::default(),
            items: 0,
            rest: Rest::new(began),
            beats: Beats::default(),
            ended: false,
        }
    }

    fn greet(&self, took_over: bool, alternating: bool) {
        metric::CONNECTIONS.shift(1.0, []);
        let began = self.shared.ports.clock.now();
        self.shared.ports.frames.keep(self.link.charger(), began, Passed::Connected(self.link.remote()));
        self.port.attached(self.link.clone());
        if took_over {
            metric::TAKEOVERS.add(1, []);
        }
        if alternating {
            metric::ALTERNATIONS.add(1, []);
            tracing::warn!(charger = %self.link.charger(), remote = %self.link.remote(), "two devices seem to share one identity");
            self.port.alternating(self.link.generation());
        }
    }

    /// Tells everyone that it is over.
    fn end(&mut self, reason: CloseReason) {
        self.ended = true;
        self.seen(self.shared.ports.clock.now(), Passed::Closed(reason));
        self.shared.connections.detach(&self.link);
        for call in self.link.end() {
            self.tell(call.id, false, Outcome::NotSent);
        }
        if let Some(id) = self.calls.outstanding().cloned() {
            self.tell(id, false, Outcome::Uncertain);
        }
        metric::CONNECTIONS.shift(-1.0, []);
        metric::CLOSED.add(1, [reason.label()]);
        tracing::info!(charger = %self.link.charger(), generation = self.link.generation().0, reason = reason.label(), "charger disconnected");
        self.port.detached(self.link.generation(), reason);
    }

    /// Tells the frame log, after the heartbeats that came before.
    fn seen(&mut self, at: Timestamp, what: Passed<'_>) {
        let frames = &self.shared.ports.frames;
        if let Some((first, run)) = self.beats.take() {
            frames.keep(self.link.charger(), first, run);
        }
        frames.keep(self.link.charger(), at, what);
    }

    fn tell(&self, id: Arc<str>, late: bool, outcome: Outcome) {
        let label = match (&outcome, late) {
            (Outcome::Result(_) | Outcome::Error { .. }, true) => "late",
            (Outcome::Result(_), false) => "result",
            (Outcome::Error { .. }, false) => "error",
            (Outcome::TimedOut, _) => "timeout",
            (Outcome::NotSent, _) => "not_sent",
            (Outcome::Uncertain, _) => "uncertain",
        };
        metric::CALLS_OUT.add(1, [label]);
        self.port.answered(CallAnswer { generation: self.link.generation(), id, late, outcome });
    }
}

/// Says why, hangs up, and reads for a moment what is still under way. `first`: bytes of the stream that were read before.
async fn farewell(stream: Bare, first: Vec<u8>, reason: CloseReason, shared: &Shared) {
    let settings = shared.settings_kept();
    hang_up(&mut websocket(stream, first, &settings).await, reason, shared).await;
}

/// Says why, hangs up, and reads for a moment what is still under way.
async fn hang_up(ws: &mut Ws, reason: CloseReason, shared: &Shared) {
    let limit = shared.settings().close_timeout;
    let talk = async {
        match reason.code() {
            Some(code) => {
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.label().into() };
                ws.send(Message::Close(Some(frame))).await.ok()?;
            }
            // Its own close frame is answered by tungstenite at the next flush.
            None if reason == CloseReason::PeerClosed => ws.flush().await.ok()?,
            None => return None,
        }
        let stream = ws.get_mut().inner_mut();
        stream.shutdown().await.ok()?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await.ok()
    };
    // Whatever comes of it, the connection is over.
    let _ = timeout(limit, talk).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;

    fn size_of_future<F: Future>(_: impl FnOnce(SocketStart, Rc<dyn ChargerPort>) -> F) -> usize {
        size_of::<F>()
    }

    /// Of the 8 KiB that a charger may cost, its socket takes under 1 at rest, and under 3 awake, buffers included. A task is
    /// allocated in steps of 128 bytes, of which tokio needs some 100.
    #[test]
    fn a_socket_stays_small() {
        let task = size_of_future(|start, port| start.run(port));
        assert!(task <= 280, "{task}");
        let kept = size_of::<Socket>() + size_of::<Guarded<Stream>>();
        assert!(kept <= 384 + 192, "{kept}");
        assert!(size_of::<Ws>() <= 512, "{}", size_of::<Ws>());
    }
}
