//! The loop of one socket. Owns the order in which orders, answers, timers and frames are taken, and the writing; never
//! what a frame means.
//!
//! Invariants: one call of the charger is worked on at a time, in order; at most `read_ahead` wait; while that many wait, or
//! the charger is throttled, nothing is read.

use super::super::guard::Progress;
use super::super::link::Order;
use super::super::ports::{CallOutcome, CloseReason, Outcome, Passed};
use super::inbound::AtOnce;
use super::{Socket, Waiting, Ws};
use crate::protocol::ocppj::{NotYet, write_error, write_result};
use crate::telemetry::metrics::gateway as metric;
use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt as _, StreamExt as _, poll};
use std::future::{pending, poll_fn};
use std::task::Poll;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, error::ProtocolError};

/// Bytes by which a message that is under way must grow in a ping interval. The slowest mobile link brings a hundred
/// times as much.
const PROGRESS_MIN: u64 = 1024;

/// The call that is being worked on.
struct Current {
    id: String,
    outcome: LocalBoxFuture<'static, CallOutcome>,
}

/// What a step leads to: a message to be written, or the end.
type Step = Result<Option<Message>, CloseReason>;

/// What happens next.
enum Event {
    Order(Order),
    Done(CallOutcome),
    Timer,
    Frame(Option<Result<Message, WsError>>),
}

impl Socket {
    /// Serves the socket until it may rest.
    ///
    /// # Errors
    /// Why the connection is to end.
    pub(super) async fn pump(&mut self, ws: &mut Ws) -> Result<(), CloseReason> {
        let mut current = None;
        let mut armed = self.next_due();
        let timer = sleep_until(armed);
        tokio::pin!(timer);
        loop {
            if self.rests(ws, current.is_none()) {
                return Ok(());
            }
            let due = self.next_due();
            if due != armed {
                armed = due;
                timer.as_mut().reset(due);
            }
            let step = match self.next_event(ws, &mut current, timer.as_mut()).await {
                Event::Order(Order::Close(reason)) => {
                    Box::pin(self.finish(ws, current.take(), reason)).await;
                    Err(reason)
                }
                Event::Order(Order::Call(call)) => {
                    // `next_event` asks for calls only when one may be sent.
                    let begun = self.calls.begin(call.id, self.began.elapsed(), call.timeout);
                    debug_assert!(begun.is_ok());
                    Ok(Some(self.outgoing(call.frame)))
                }
                Event::Done(outcome) => self.answer(current.take(), outcome),
                Event::Timer => {
                    // A timer that has fired must be armed anew even for the same moment.
                    armed = self.began;
                    self.on_timer(ws)
                }
                Event::Frame(frame) => self.on_frame(ws, frame, current.is_none()),
            };
            let mut next = step?.or_else(|| self.advance(&mut current));
            // The one place that writes: room for writing is in the task once.
            while let Some(message) = next {
                self.send(ws, message).await?;
                next = self.advance(&mut current);
            }
        }
    }

    /// Begins the next waiting call, if none is being worked on, or gives the error that comes before it.
    fn advance(&mut self, current: &mut Option<Current>) -> Option<Message> {
        if current.is_some() || self.waiting.is_empty() {
            return None;
        }
        match self.waiting.remove(0) {
            Waiting::Ready(text) => {
                self.calls.answered_one();
                Some(self.outgoing(text))
            }
            Waiting::Call(call) => {
                *current = Some(Current { id: call.id.clone(), outcome: self.port.call(*call) });
                None
            }
        }
    }

    async fn next_event(
        &mut self,
        ws: &mut Ws,
        current: &mut Option<Current>,
        timer: std::pin::Pin<&mut tokio::time::Sleep>,
    ) -> Event {
        let may_call = self.calls.may_call(self.began.elapsed()).is_ok();
        let may_read = self.may_read();
        let link = &self.link;
        let done = async {
            match current.as_mut() {
                Some(current) => current.outcome.as_mut().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            order = poll_fn(|cx| link.poll_order(cx, may_call)) => Event::Order(order),
            outcome = done => Event::Done(outcome),
            () = timer => Event::Timer,
            frame = ws.next(), if may_read => Event::Frame(frame),
        }
    }

    fn may_read(&self) -> bool {
        self.throttled_until.is_none() && self.waiting.len() < self.shared.settings().read_ahead
    }

    /// The earliest thing that time alone will bring.
    fn next_due(&self) -> Instant {
        let mut due = self.ping_due.min(self.rest.look_due);
        if let Some(deadline) = self.calls.deadline() {
            due = due.min(self.began + deadline);
        }
        if let Some(until) = self.throttled_until {
            due = due.min(until);
        }
        match self.calls.may_call(self.began.elapsed()) {
            Err(NotYet::Grace(until)) => due.min(self.began + until),
            Err(NotYet::Outstanding) | Ok(()) => due,
        }
    }

    fn on_timer(&mut self, ws: &Ws) -> Step {
        let now = Instant::now();
        self.rest.look(now);
        if self.throttled_until.take_if(|until| *until <= now).is_some() {
            // The message that was too many is paid for now.
            self.throttle();
        }
        if let Some(id) = self.calls.expire(now.duration_since(self.began)) {
            self.tell(id, false, Outcome::TimedOut);
        }
        if self.ping_due > now {
            return Ok(None);
        }
        self.ping(ws.get_ref().progress(), now)?;
        Ok(Some(Message::Ping(Default::default())))
    }

    /// Counts silence and says whether to ping (CH-4). While we do not read, nobody is silent. A message under way counts as life as long
    /// as it comes nearer its end: a slow link must get a large one through, but nobody may hold the budget by stalling.
    pub(super) fn ping(&mut self, progress: Progress, now: Instant) -> Result<(), CloseReason> {
        let before = std::mem::replace(&mut self.progress, progress);
        let bytes = self.progress.bytes - before.bytes;
        let same_message = before.unfinished && self.progress.unfinished && before.messages == self.progress.messages;
        let reading = self.may_read();
        self.silent_intervals =
            if self.heard || bytes > 0 || !reading { 0 } else { self.silent_intervals.saturating_add(1) };
        self.heard = false;
        if self.silent_intervals >= 2 || (reading && same_message && bytes < PROGRESS_MIN) {
            return Err(CloseReason::Silent);
        }
        self.ping_due = now + self.shared.settings().ping_interval;
        metric::PINGS.add(1, []);
        Ok(())
    }

    fn on_frame(&mut self, ws: &Ws, frame: Option<Result<Message, WsError>>, idle: bool) -> Step {
        let message = match frame {
            None => return Err(CloseReason::PeerClosed),
            Some(Err(error)) => return Err(ws.get_ref().broken().unwrap_or_else(|| reason_of(&error))),
            Some(Ok(message)) => message,
        };
        self.items += 1;
        self.heard = true;
        match message {
            Message::Text(text) => {
                self.throttle();
                self.rest.passed(text.len() > self.shared.settings().read_buffer_bytes);
                let idle = idle && self.waiting.is_empty();
                Ok(self.on_text(&text, idle).map(|answer| match answer {
                    AtOnce::Beat(answer) => self.counted(answer),
                    AtOnce::Text(answer) => self.outgoing(answer),
                }))
            }
            Message::Binary(bytes) => {
                self.throttle();
                self.rest.passed(bytes.len() > self.shared.settings().read_buffer_bytes);
                metric::IGNORED.add(1, ["binary"]);
                Ok(None)
            }
            Message::Close(_) => Err(CloseReason::PeerClosed),
            // tungstenite answers pings at the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                self.note_control();
                Ok(None)
            }
        }
    }

    /// A ping or pong of the charger: it lives.
    pub(super) fn note_control(&mut self) {
        self.heard = true;
        self.link.note_heard(self.shared.ports.clock.now());
    }

    /// A charger that sends too fast is read more slowly; nothing is dropped (control 17).
    fn throttle(&mut self) {
        if let Err(not_until) = self.limiter.check() {
            use governor::clock::{Clock as _, MonotonicClock};
            let wait = not_until.wait_time_from(MonotonicClock.now());
            self.throttled_until = Some(Instant::now() + wait);
            metric::THROTTLED.add(1, []);
        }
    }

    fn answer(&mut self, current: Option<Current>, outcome: CallOutcome) -> Step {
        let Some(Current { id, .. }) = current else { return Ok(None) };
        let text = match outcome {
            CallOutcome::Result(payload) => write_result(&id, &payload),
            CallOutcome::Error(error) => {
                metric::CALL_ERRORS.add(1, [error.code.as_1_6()]);
                write_error(&id, &error)
            }
            CallOutcome::NoAnswer => return Err(CloseReason::NotDurable),
        };
        self.calls.answered_one();
        Ok(Some(self.outgoing(text)))
    }

    /// On shutdown, what is in flight is finished (RT-9); otherwise nobody waits for an answer here any more.
    async fn finish(&mut self, ws: &mut Ws, current: Option<Current>, reason: CloseReason) {
        let Some(mut current) = current.filter(|_| matches!(reason, CloseReason::Shutdown | CloseReason::Restart))
        else {
            return;
        };
        let limit = self.shared.settings().close_timeout;
        if let Ok(outcome) = timeout(limit, current.outcome.as_mut()).await
            && let Ok(Some(message)) = self.answer(Some(current), outcome)
        {
            // The socket closes in any case.
            let _ = self.send(ws, message).await;
        }
    }

    /// An OCPP message that is about to be written, and that the frame log keeps.
    fn outgoing(&mut self, text: String) -> Message {
        self.seen(self.shared.ports.clock.now(), Passed::Out(&text));
        self.counted(text)
    }

    fn counted(&self, text: String) -> Message {
        self.shared.hot.messages_out.increment(1);
        self.shared.hot.bytes_out.increment(text.len() as u64);
        Message::text(text)
    }

    /// Nearly always the system takes a message at once. The wait for one who does not read is boxed, so that its timer
    /// costs no room in the task of those who do.
    async fn send(&self, ws: &mut Ws, message: Message) -> Result<(), CloseReason> {
        let mut sending = ws.send(message);
        let sent = match poll!(&mut sending) {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                let limit = self.shared.settings().write_timeout;
                Box::pin(timeout(limit, sending)).await.map_err(|_| CloseReason::Stuck)?
            }
        };
        sent.map_err(|error| ws.get_ref().broken().unwrap_or_else(|| reason_of(&error)))
    }
}

/// What an error of tungstenite says about the end.
pub(super) fn reason_of(error: &WsError) -> CloseReason {
    match error {
        WsError::Capacity(_) => CloseReason::TooBig,
        WsError::Utf8(_) => CloseReason::BadUtf8,
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => CloseReason::PeerGone,
        WsError::Protocol(_) | WsError::AttackAttempt => CloseReason::Protocol,
        WsError::ConnectionClosed | WsError::AlreadyClosed => CloseReason::PeerClosed,
        WsError::Io(_)
        | WsError::Tls(_)
        | WsError::WriteBufferFull(_)
        | WsError::Url(_)
        | WsError::Http(_)
        | WsError::HttpFormat(_) => CloseReason::PeerGone,
    }
}
