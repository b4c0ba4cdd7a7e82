//! A silent charger's socket at rest: without its WebSocket, whose buffers, frame reader and wakers are a kilobyte of which
//! nothing is needed until something passes. Owns when a socket rests and how it wakes; never what a message means.
//!
//! Invariants: it rests only between two messages, with everything written and nothing awaited but the next ping; the bytes
//! that end the rest are the first that the new WebSocket sees.

use super::super::guard::Guarded;
use super::super::ports::CloseReason;
use super::super::stream::Stream;
use super::pump::reason_of;
use super::{Socket, Ws, websocket};
use futures_util::SinkExt as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::{Instant, Sleep, timeout};

/// How often a socket is asked whether anything has passed. Long against the pauses within a boot or a burst of readings, so
/// that whoever talks pays for no rest; short against the minutes between heartbeats.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Bytes read at once from one who was silent: an ordinary message whole. More is left to the WebSocket.
const FIRST_BYTES: usize = 512;

/// Whether a socket may rest.
#[derive(Debug)]
pub(super) struct Rest {
    /// When it is asked next.
    pub(super) look_due: Instant,
    /// A message has passed since it was asked.
    passed: bool,
    /// It rests as soon as nothing is under way.
    due: bool,
}

impl Rest {
    /// One that has just begun or woken.
    pub(super) fn new(now: Instant) -> Self {
        Rest { look_due: now + LOOK_EVERY, passed: false, due: false }
    }

    /// A message has passed. `large`: its buffers are to be given back at once.
    pub(super) fn passed(&mut self, large: bool) {
        self.passed = true;
        self.due |= large;
    }

    /// The time has come to ask.
    pub(super) fn look(&mut self, now: Instant) {
        if self.look_due <= now {
            let passed = self.passed;
            *self = Rest { due: self.due || !passed, ..Rest::new(now) };
        }
    }
}

impl Socket {
    /// Whether the socket is to rest now. `idle`: no call is being worked on.
    pub(super) fn rests(&self, ws: &Ws, idle: bool) -> bool {
        self.rest.due
            && idle
            && self.waiting.is_empty()
            && self.throttled_until.is_none()
            && self.calls.may_call(self.began.elapsed()).is_ok()
            && ws.get_ref().is_drained(self.items)
    }

    /// Writes what is still to be written and takes the stream out of its WebSocket.
    pub(super) async fn lie_down(&self, mut ws: Ws) -> Result<Box<Guarded<Stream>>, (Ws, CloseReason)> {
        let limit = self.shared.settings().write_timeout;
        match timeout(limit, ws.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err((ws, reason_of(&error))),
            Err(_) => return Err((ws, CloseReason::Stuck)),
        }
        let mut stream = Box::new(ws.into_inner());
        stream.give_back();
        Ok(stream)
    }

    /// Waits until there is something to do: an order, the timer, or bytes, which are given back. The end of the stream is
    /// none; the WebSocket meets it again.
    pub(super) async fn silence(&self, stream: &mut Guarded<Stream>, mut timer: Pin<&mut Sleep>) -> Vec<u8> {
        poll_fn(|cx| {
            if self.link.poll_waiting(cx).is_ready() || timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Vec::new());
            }
            let mut room = [0; FIRST_BYTES];
            let mut first = ReadBuf::new(&mut room);
            // A stream that is over or broken stays so.
            let _ = ready!(Pin::new(&mut *stream).poll_read(cx, &mut first));
            Poll::Ready(first.filled().to_vec())
        })
        .await
    }

    /// Gives the stream a WebSocket again. `first`: bytes of it that were read.
    pub(super) async fn wake(&mut self, stream: Box<Guarded<Stream>>, first: Vec<u8>) -> Ws {
        self.rest = Rest::new(Instant::now());
        let settings = self.shared.settings_kept();
        websocket(*stream, first, &settings).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_socket_rests_once_nothing_has_passed_between_two_looks_or_after_a_large_message() {
        for (passed, due) in [(&[false][..], false), (&[true, false], true), (&[], true)] {
            let mut rest = Rest::new(Instant::now());
            passed.iter().for_each(|large| rest.passed(*large));
            tokio::time::advance(LOOK_EVERY).await;
            rest.look(Instant::now());
            assert_eq!(rest.due, due, "{passed:?}");
            assert!(rest.look_due > Instant::now(), "asked again later");
            tokio::time::advance(LOOK_EVERY).await;
            rest.look(Instant::now());
            assert!(rest.due, "nothing since");
        }
    }
}
