//! From an accepted TCP connection to an authenticated charger. Owns the order of the checks and their answers; never
//! what happens on the socket afterwards.
//!
//! Invariants: nothing that depends on whether the charger exists is decided before its login; a stranger gets the same
//! bytes for an unknown id and a wrong password (control 7); no secret is logged.

use super::admission::{ConnectionPermit, HandshakePermit};
use super::attempts::Trial;
use super::head::{self, Head, HeadError};
use super::listener::Shared;
use super::socket::{SocketStart, Start};
use crate::telemetry::metrics::gateway as metric;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
        })
    }
}

/// Shakes hands with one stranger.
pub(crate) async fn shake(
    shared: Arc<Shared>,
    mut stream: TcpStream,
    remote: SocketAddr,
    permits: (HandshakePermit, ConnectionPermit),
) {
    let began = tokio::time::Instant::now();
    let settings = shared.settings_kept();
    let mut bytes = Vec::with_capacity(1024);
    let reading = read_head(&mut stream, &mut bytes, settings.head_bytes_max, settings.headers_max);
    let read = tokio::time::timeout(settings.handshake_timeout, reading).await;
    let outcome =
        read.unwrap_or(Err(Refusal::Timeout)).and_then(|head| authenticate(&shared, &head, remote).map(|()| head));
    metric::HANDSHAKE_SECONDS.record(began.elapsed().as_secs_f64(), []);
    match outcome {
        Ok(head) => hand_over(&shared, stream, remote, head, &bytes, permits).await,
        Err(refusal) => {
            metric::HANDSHAKES.add(1, [refusal.label()]);
            // Lingering with one who is turned away is no handshake any more.
            drop(permits);
            if let Some(answer) = refusal.answer(&shared) {
                turn_away(stream, &answer).await;
            }
        }
    }
}

async fn read_head(
    stream: &mut TcpStream,
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

fn authenticate(shared: &Shared, head: &Head, remote: SocketAddr) -> Result<(), Refusal> {
    let (id, from) = (&head.charger, remote.ip());
    let trial = shared.attempts.judge(id, from);
    let access = shared.ports.register.access(id);
    // Compared in every case, so that a refusal takes the same time for all.
    let right = shared.ports.pepper.verify(id, access.as_ref(), head.login.as_ref());
    match (trial, right) {
        (Trial::Open | Trial::Strict(_), true) => {
            shared.attempts.succeeded(id, from);
            Ok(())
        }
        (Trial::Open, false) => {
            shared.attempts.failed(id, from);
            metric::AUTH_FAILURES.add(1, ["wrong"]);
            tracing::info!(charger = %id, %remote, "login refused");
            Err(Refusal::Unauthorized)
        }
        (Trial::Strict(limited), false) | (Trial::Barred(limited), _) => {
            metric::AUTH_FAILURES.add(1, [limited.label()]);
            Err(Refusal::Throttled)
        }
    }
}

/// Carries the connection to its charger's arbiter, where the upgrade is completed.
async fn hand_over(
    shared: &Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    head: Head,
    bytes: &[u8],
    permits: (HandshakePermit, ConnectionPermit),
) {
    let response = head.response();
    let Some(subprotocol) = head.subprotocol else {
        metric::HANDSHAKES.add(1, ["no_subprotocol"]);
        drop(permits);
        return turn_away(stream, &[&response, NO_SUBPROTOCOL].concat()).await;
    };
    let generation = shared.connections.next_generation();
    let rest = bytes[head.length..].to_vec();
    let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else {
        metric::HANDSHAKES.add(1, ["gone"]);
        return;
    };
    let (handshake, connection) = permits;
    let start = SocketStart(Box::new(Start {
        shared: shared.clone(),
        charger: head.charger,
        generation,
        remote,
        subprotocol,
        stream,
        response,
        rest,
        handshake,
        connection,
    }));
    if let Err(SocketStart(start)) = shared.ports.placement.place(start) {
        metric::HANDSHAKES.add(1, ["not_ready"]);
        drop((start.handshake, start.connection));
        if let Ok(stream) = TcpStream::from_std(start.stream) {
            turn_away(stream, &head::refusal("503 Service Unavailable", &shared.retry_after())).await;
        }
    }
}

/// Answers and hangs up. What the other side still sends is read for a moment, lest a reset overtakes the answer.
pub(crate) async fn turn_away(mut stream: TcpStream, answer: &[u8]) {
    let farewell = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // Whatever comes of it, the connection is over.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}
