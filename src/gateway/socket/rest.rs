//! A silent charger's socket at rest: without its WebSocket and its loop, whose buffers, frame reader, wakers and timers are
//! a kilobyte and a half of which nothing is needed until something passes. Owns when a socket rests, its pings meanwhile, and
//! how it wakes; never what a message means.
//!
//! Invariants: it rests only between two messages, with everything written and nothing awaited but the next ping; the bytes
//! that end the rest are the first that the new WebSocket sees.

use super::super::ports::CloseReason;
use super::pump::reason_of;
use super::{Bare, Socket, Ws, farewell, hang_up, websocket};
use futures_util::SinkExt as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How often a socket is asked whether anything has passed. Long against the pauses within a boot or a burst of readings, and against the
/// seconds between messages of a busy charger, so that whoever talks pays for no rest; short against the minutes between heartbeats.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Whoever talks and talks is asked less and less often, each time after twice as long, so many times: a question wakes the socket's task
/// and costs nearly as much as a heartbeat.
const DOUBLED_MAX: u8 = 3;

/// Bytes read at once from one who was silent: an ordinary message whole. More is left to the WebSocket.
const FIRST_BYTES: usize = 512;

/// A ping of ours, whole: final, without a payload and, as all of a server's frames, without a mask (RFC 6455, 5.5.2).
const PING: [u8; 2] = [0x89, 0];

/// What the answer to one begins with: final, no payload, a mask. The four bytes of the mask follow.
const PONG: [u8; 2] = [0x8a, 0x80];
const PONG_BYTES: usize = PONG.len() + 4;

/// Whether a socket may rest.
#[derive(Debug)]
pub(super) struct Rest {
    /// When it is asked next.
    pub(super) look_due: Instant,
    /// A message has passed since it was asked.
    passed: bool,
    /// How often in a row one had.
    talked: u8,
    /// It rests as soon as nothing is under way.
    due: bool,
}

impl Rest {
    /// One that has just begun or woken.
    pub(super) fn new(now: Instant) -> Self {
        Rest { look_due: now + LOOK_EVERY, passed: false, talked: 0, due: false }
    }

    /// A message has passed. `large`: its buffers are to be given back at once.
    pub(super) fn passed(&mut self, large: bool) {
        self.passed = true;
        self.due |= large;
    }

    /// The time has come to ask.
    pub(super) fn look(&mut self, now: Instant) {
        if self.look_due > now {
            return;
        }
        self.due |= !self.passed;
        self.talked = if self.passed { self.talked.saturating_add(1) } else { 0 };
        self.passed = false;
        self.look_due = now + LOOK_EVERY * (1 << self.talked.saturating_sub(1).min(DOUBLED_MAX));
    }
}

impl Socket {
    /// A time awake: the WebSocket and its loop, until the charger is silent. `None`: the connection is over. `first`: bytes of
    /// the stream that were read before.
    ///
    /// Boxed by its caller: what only an awake socket needs is one allocation, of a size that nothing at rest has, so that a fleet
    /// that falls silent leaves whole pages and no holes among what stays.
    pub(super) async fn awake(&mut self, stream: Bare, first: Vec<u8>) -> Option<Bare> {
        self.rest = Rest::new(Instant::now());
        let mut ws = Box::pin(websocket(stream, first, &self.shared.settings_kept())).await;
        let over = match self.pump(&mut ws).await {
            Ok(()) => self.write_out(&mut ws).await,
            over => over,
        };
        let Err(reason) = over else {
            let mut stream = Box::new(ws.into_inner());
            stream.give_back();
            return Some(stream);
        };
        self.end(reason);
        Box::pin(hang_up(&mut ws, reason, &self.shared)).await;
        None
    }

    /// The connection ends while it is at rest.
    pub(super) async fn leave(&mut self, stream: Bare, reason: CloseReason) {
        self.end(reason);
        farewell(stream, Vec::new(), reason, &self.shared).await;
    }

    /// Whether the socket is to rest now. `idle`: no call is being worked on.
    pub(super) fn rests(&self, ws: &Ws, idle: bool) -> bool {
        self.rest.due
            && idle
            && self.waiting.is_empty()
            && self.throttled_until.is_none()
            && self.calls.may_call(self.began.elapsed()).is_ok()
            && ws.get_ref().is_drained(self.items)
    }

    /// Writes what is still to be written.
    async fn write_out(&self, ws: &mut Ws) -> Result<(), CloseReason> {
        let limit = self.shared.settings().write_timeout;
        Box::pin(timeout(limit, ws.flush())).await.map_err(|_| CloseReason::Stuck)?.map_err(|error| reason_of(&error))
    }

    /// Waits until there is something to do but pings and their answers; gives back what was read then. Nothing: an order
    /// waits, or the stream is over or broken, which the WebSocket will meet again.
    ///
    /// # Errors
    /// Why the connection is to end: nothing has been heard for too long, or a ping could not be written.
    pub(super) async fn silence(&mut self, stream: &mut Bare) -> Result<Vec<u8>, CloseReason> {
        let mut timer = pin!(sleep_until(self.ping_due));
        loop {
            match poll_fn(|cx| self.poll_stir(cx, stream, timer.as_mut())).await {
                Some(first) => return Ok(first),
                None => self.ping(stream.progress(), Instant::now())?,
            }
            Box::pin(self.write_ping(stream)).await?;
            timer.as_mut().reset(self.ping_due);
        }
    }

    /// What ends the silence; `None`: the time of the next ping.
    fn poll_stir(&mut self, cx: &mut Context<'_>, stream: &mut Bare, timer: Pin<&mut Sleep>) -> Poll<Option<Vec<u8>>> {
        if self.link.poll_waiting(cx).is_ready() {
            return Poll::Ready(Some(Vec::new()));
        }
        if timer.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.poll_first(cx, stream).map(Some)
    }

    /// The first bytes that are no answer to a ping.
    fn poll_first(&mut self, cx: &mut Context<'_>, stream: &mut Bare) -> Poll<Vec<u8>> {
        loop {
            let mut room = [0; FIRST_BYTES];
            let mut first = ReadBuf::new(&mut room);
            // A stream that is over or broken stays so.
            let _ = ready!(Pin::new(&mut **stream).poll_read(cx, &mut first));
            if !is_pong(first.filled()) {
                return Poll::Ready(first.filled().to_vec());
            }
            self.items += 1;
            self.note_control();
        }
    }

    /// Nearly always the system takes a ping at once. Boxed by its caller for those from whom it does not.
    async fn write_ping(&self, stream: &mut Bare) -> Result<(), CloseReason> {
        let limit = self.shared.settings().write_timeout;
        let written = async {
            stream.write_all(&PING).await?;
            stream.flush().await
        };
        timeout(limit, written).await.map_err(|_| CloseReason::Stuck)?.map_err(|_| CloseReason::PeerGone)
    }
}

/// Whether these bytes, which begin a frame, are the answer to one of our pings, and nothing else.
fn is_pong(bytes: &[u8]) -> bool {
    bytes.len() == PONG_BYTES && bytes.starts_with(&PONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_answer_to_our_ping_is_one() {
        let pong = [0x8a, 0x80, 1, 2, 3, 4];
        assert!(is_pong(&pong));
        for other in
            [&[][..], &pong[..5], &[pong, pong].concat(), &[0x8a, 0x81, 1, 2, 3, 4, 5], &[0x89, 0x80, 1, 2, 3, 4]]
        {
            assert!(!is_pong(other), "{other:?}");
        }
    }

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

    /// Once is a boot, so the second question comes as soon as the first.
    #[tokio::test(start_paused = true)]
    async fn whoever_talks_and_talks_is_asked_less_often_until_nothing_passes() {
        let mut rest = Rest::new(Instant::now());
        for seconds in [10, 10, 20, 40, 80, 80, 80] {
            let due = Instant::now() + Duration::from_secs(seconds);
            assert_eq!(rest.look_due, due);
            rest.passed(false);
            rest.look(due - Duration::from_millis(1));
            assert_eq!(rest.look_due, due, "not before");
            tokio::time::advance(Duration::from_secs(seconds)).await;
            rest.look(Instant::now());
            assert!(!rest.due, "it talks");
        }
        tokio::time::advance(Duration::from_secs(80)).await;
        rest.look(Instant::now());
        assert!(rest.due, "silent since");
        assert_eq!(rest.look_due, Instant::now() + LOOK_EVERY, "as at first");
    }
}
