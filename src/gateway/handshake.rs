//! From an accepted TCP connection to an authenticated charger. Owns the order of the checks and their answers; never
//! what happens on the socket afterwards.
//!
//! Invariants: nothing that depends on whether the charger exists is decided before its login; a stranger gets the same
//! bytes for an unknown id and a wrong password (control 7); no secret is logged.

use super::admission::{ConnectionPermit, HandshakePermit};
use super::attempts::Trial;
use super::head::{self, Head, HeadError};
use super::listener::Shared;
use super::profile::{Channel, Denied, Proof, judge};
use super::socket::{SocketStart, Start};
use super::stream::{Line, Stream};
use super::tls::{self, Door, Identity};
use crate::telemetry::metrics::gateway as metric;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a stranger who is turned away may take to hang up.
const LINGER: Duration = Duration::from_millis(500);

/// Bytes that are read from one who is turned away, so that the answer is not lost in a reset.
const LINGER_BYTES: u64 = 65_536;

/// The close frame (1002) for one who offers no sub-protocol of ours: OCPP-J 1.6 §3.2 wants the handshake completed
/// without a sub-protocol and the connection closed at once.
const NO_SUBPROTOCOL: &[u8] = b"\x88\x18\x03\xeano common sub-protocol";

/// How a handshake ended without a charger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Bad,
    TooLarge,
    NotFound,
    Timeout,
    Gone,
    Unauthorized,
    Throttled,
    NotReady,
}

impl Refusal {
    fn label(self) -> &'static str {
        match self {
            Refusal::Bad => "bad_request",
            Refusal::TooLarge => "head_too_large",
            Refusal::NotFound => "not_found",
            Refusal::Timeout => "timeout",
            Refusal::Gone => "gone",
            Refusal::Unauthorized => "unauthorized",
            Refusal::Throttled => "throttled",
            Refusal::NotReady => "not_ready",
        }
    }

    fn answer(self, shared: &Shared) -> Option<Vec<u8>> {
        Some(match self {
            Refusal::Bad => head::refusal("400 Bad Request", ""),
            Refusal::TooLarge => head::refusal("431 Request Header Fields Too Large", ""),
            Refusal::NotFound => head::refusal("404 Not Found", ""),
            Refusal::Timeout => head::refusal("408 Request Timeout", ""),
            Refusal::Gone => return None,
            Refusal::Unauthorized => head::refusal("401 Unauthorized", "WWW-Authenticate: Basic realm=\"ocpp\"\r\n"),
            Refusal::Throttled => head::refusal("429 Too Many Requests", &shared.retry_after()),
            Refusal::NotReady => head::refusal("503 Service Unavailable", &shared.retry_after()),
        })
    }
}

/// What the other side has shown before its first request.
enum Shown {
    Nothing,
    Tls(Arc<Door>, Option<Identity>),
}

impl Shown {
    fn channel(&self, head: &Head) -> Channel {
        match self {
            Shown::Nothing => Channel::Plain,
            Shown::Tls(_, None) => Channel::Tls,
            Shown::Tls(door, Some(identity)) => Channel::Certified { own: door.is_own(identity, &head.charger) },
        }
    }
}

/// Shakes hands with one stranger; through the door, if TLS is spoken there.
pub(crate) async fn shake(
    shared: Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    door: Option<Arc<Door>>,
    permits: (HandshakePermit, ConnectionPermit),
) {
    let began = tokio::time::Instant::now();
    let settings = shared.settings_kept();
    let deadline = began + settings.handshake_timeout;
    let (mut stream, shown) = match door {
        None => (Stream::Plain(Line::Live(stream)), Shown::Nothing),
        Some(door) => match tokio::time::timeout_at(deadline, secure(&shared, door, stream, remote)).await {
            Ok(Some(secured)) => secured,
            Ok(None) => return metric::HANDSHAKES.add(1, ["tls_failed"]),
            Err(_) => return metric::HANDSHAKES.add(1, [Refusal::Timeout.label()]),
        },
    };
    let mut bytes = Vec::with_capacity(1024);
    let reading = read_head(&mut stream, &mut bytes, settings.head_bytes_max, settings.headers_max);
    let read = tokio::time::timeout_at(deadline, reading).await.unwrap_or(Err(Refusal::Timeout));
    let outcome = read.and_then(|head| Ok((authenticate(&shared, &head, shown.channel(&head), remote)?, head)));
    metric::HANDSHAKE_SECONDS.record(began.elapsed().as_secs_f64(), []);
    match outcome {
        Ok((proof, head)) => hand_over(&shared, stream, remote, (head, proof), &bytes, permits).await,
        Err(refusal) => {
            metric::HANDSHAKES.add(1, [refusal.label()]);
            // Lingering with one who is turned away is no handshake any more; there is a socket until it is over (J13).
            let (handshake, _connection) = permits;
            drop(handshake);
            if let Some(answer) = refusal.answer(&shared) {
                turn_away(stream, &answer).await;
            }
        }
    }
}

/// Speaks TLS. `None`: it came to nothing, and the other side has been told.
async fn secure(shared: &Shared, door: Arc<Door>, stream: TcpStream, remote: SocketAddr) -> Option<(Stream, Shown)> {
    let failed = |cause: &'static str| {
        metric::TLS_FAILURES.add(1, [cause]);
        if tls::counts(cause) {
            shared.attempts.failed_tls(remote.ip());
        }
    };
    match door.acceptor().accept(Line::Live(stream)).into_fallible().await {
        Ok(mut stream) => match door.identity(stream.get_mut().1) {
            Ok(identity) => Some((Stream::Tls(Box::new(stream)), Shown::Tls(door, identity))),
            Err(error) => {
                failed(tls::label(&error));
                tracing::info!(%remote, %error, "a resumed session is refused");
                turn_away(stream, &[]).await;
                None
            }
        },
        Err((error, line)) => {
            failed(tls::cause(&error));
            tracing::debug!(%remote, %error, "no TLS session");
            // The alert that says why has been written.
            turn_away(line, &[]).await;
            None
        }
    }
}

async fn read_head(
    stream: &mut Stream,
    bytes: &mut Vec<u8>,
    bytes_max: usize,
    headers_max: usize,
) -> Result<Head, Refusal> {
    loop {
        // One byte more than allowed tells a head that is too large from one that just fits.
        let room = (bytes_max + 1).saturating_sub(bytes.len()) as u64;
        let n = (&mut *stream).take(room).read_buf(bytes).await.map_err(|_| Refusal::Gone)?;
        if n == 0 {
            return Err(Refusal::Gone);
        }
        match head::read(bytes, bytes_max, headers_max) {
            Ok(Some(head)) => return Ok(head),
            Ok(None) => {}
            Err(HeadError::Bad) => return Err(Refusal::Bad),
            Err(HeadError::TooLarge) => return Err(Refusal::TooLarge),
            Err(HeadError::NotFound) => return Err(Refusal::NotFound),
        }
    }
}

fn authenticate(shared: &Shared, head: &Head, channel: Channel, remote: SocketAddr) -> Result<Proof, Refusal> {
    if !shared.ports.placement.is_open() {
        return Err(Refusal::NotReady);
    }
    let (id, from) = (&head.charger, remote.ip());
    let trial = shared.attempts.judge(id, from);
    let standing = shared.ports.register.standing(id);
    // Compared in every case, so that a refusal takes the same time for all.
    let matched = shared.ports.pepper.verify(id, standing.as_ref().map(|s| &s.access), head.login.as_ref());
    match (trial, judge(standing.as_ref(), channel, matched)) {
        (Trial::Open | Trial::Strict(_), Ok(proof)) => {
            shared.attempts.succeeded(id, from);
            Ok(proof)
        }
        (Trial::Open, Err(denied)) => {
            shared.attempts.failed(id, from);
            metric::AUTH_FAILURES.add(1, [denied.label()]);
            tracing::info!(charger = %id, %remote, cause = denied.label(), "login refused");
            match denied {
                Denied::Downgrade | Denied::Foreign => shared.ports.register.denied(id, from, denied),
                Denied::Wrong | Denied::NoCertificate => {}
            }
            Err(Refusal::Unauthorized)
        }
        (Trial::Strict(limited), Err(_)) | (Trial::Barred(limited), _) => {
            metric::AUTH_FAILURES.add(1, [limited.label()]);
            Err(Refusal::Throttled)
        }
    }
}

/// Carries the connection to its charger's arbiter, where the upgrade is completed.
async fn hand_over(
    shared: &Arc<Shared>,
    mut stream: Stream,
    remote: SocketAddr,
    (head, proof): (Head, Proof),
    bytes: &[u8],
    permits: (HandshakePermit, ConnectionPermit),
) {
    let response = head.response();
    let Some(subprotocol) = head.subprotocol else {
        metric::HANDSHAKES.add(1, ["no_subprotocol"]);
        let (handshake, _connection) = permits;
        drop(handshake);
        return turn_away(stream, &[&response, NO_SUBPROTOCOL].concat()).await;
    };
    let generation = shared.connections.next_generation();
    let rest = bytes[head.length..].to_vec();
    if stream.park().is_err() {
        return metric::HANDSHAKES.add(1, ["gone"]);
    }
    let (handshake, connection) = permits;
    let start = SocketStart(Box::new(Start {
        shared: shared.clone(),
        charger: head.charger,
        generation,
        remote,
        subprotocol,
        proof,
        stream,
        response,
        rest,
        handshake,
        connection,
    }));
    if let Err(SocketStart(start)) = shared.ports.placement.place(start) {
        metric::HANDSHAKES.add(1, ["not_ready"]);
        let Start { mut stream, handshake, connection: _connection, .. } = *start;
        drop(handshake);
        if stream.wake().is_ok() {
            turn_away(stream, &head::refusal("503 Service Unavailable", &shared.retry_after())).await;
        }
    }
}

/// Answers and hangs up. What the other side still sends is read for a moment, lest a reset overtakes the answer.
pub(crate) async fn turn_away(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
    let farewell = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // Whatever comes of it, the connection is over.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}
