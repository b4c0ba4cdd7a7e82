//! The loop of one socket. Owns the order in which orders, answers, timers and frames are taken, and the writing; never
//! what a frame means.
//!
//! Invariants: one call of the charger is worked on at a time, in order; at most `read_ahead` wait; while that many wait, or
//! the charger is throttled, nothing is read.

use super::super::link::Order;
use super::super::ports::{CallOutcome, CloseReason, Outcome, Passed};
use super::inbound::AtOnce;
use super::{Socket, Waiting, Ws, ws_config};
use crate::protocol::ocppj::{NotYet, write_error, write_result};
use crate::telemetry::metrics::gateway as metric;
use futures_util::future::LocalBoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use std::future::{pending, poll_fn};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, error::ProtocolError};

/// Bytes by which a message that is under way must grow in a ping interval. The slowest mobile link brings a hundred
/// times as much.
const PROGRESS_MIN: u64 = 1024;

/// The call that is being worked on.
struct Current {
    id: String,
    outcome: LocalBoxFuture<'static, CallOutcome>,
}

/// What happens next.
enum Event {
    Order(Order),
    Done(CallOutcome),
    Timer,
    Frame(Option<Result<Message, WsError>>),
}

impl Socket {
    /// Serves the socket until it ends.
    pub(super) async fn pump(&mut self, mut ws: Ws) -> (Ws, CloseReason) {
        let mut current = None;
        let mut armed = self.ping_due;
        let timer = sleep_until(armed);
        tokio::pin!(timer);
        loop {
            if let Err(reason) = self.advance(&mut ws, &mut current).await {
                return (ws, reason);
            }
            if self.swollen && current.is_none() {
                ws = match Box::pin(self.shrink(ws)).await {
                    Ok(ws) => ws,
                    Err(end) => return end,
                };
            }
            let due = self.next_due();
            if due != armed {
                armed = due;
                timer.as_mut().reset(due);
            }
            let event = self.next_event(&mut ws, &mut current, timer.as_mut()).await;
            let step = match event {
                Event::Order(Order::Close(reason)) => {
                    Box::pin(self.finish(&mut ws, current.take(), reason)).await;
                    Err(reason)
                }
                Event::Order(Order::Call(call)) => {
                    // `next_event` asks for calls only when one may be sent.
                    let begun = self.calls.begin(call.id, self.began.elapsed());
                    debug_assert!(begun.is_ok());
                    self.write(&mut ws, call.frame).await
                }
                Event::Done(outcome) => self.answer(&mut ws, current.take(), outcome).await,
                Event::Timer => {
                    // A timer that has fired must be armed anew even for the same moment.
                    armed = self.began;
                    self.on_timer(&mut ws).await
                }
                Event::Frame(frame) => self.on_frame(&mut ws, frame, current.is_none()).await,
            };
            if let Err(reason) = step {
                return (ws, reason);
            }
        }
    }

    /// Begins the next waiting call, if none is being worked on.
    async fn advance(&mut self, ws: &mut Ws, current: &mut Option<Current>) -> Result<(), CloseReason> {
        while current.is_none() {
            match self.waiting.pop_front() {
                None => break,
                Some(Waiting::Ready(text)) => {
                    self.calls.answered_one();
                    self.write(ws, text).await?;
                }
                Some(Waiting::Call(call)) => {
                    *current = Some(Current { id: call.id.clone(), outcome: self.port.call(*call) });
                }
            }
        }
        Ok(())
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
        let mut due = self.ping_due;
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

    async fn on_timer(&mut self, ws: &mut Ws) -> Result<(), CloseReason> {
        let now = Instant::now();
        if self.throttled_until.take_if(|until| *until <= now).is_some() {
            // The message that was too many is paid for now.
            self.throttle();
        }
        if let Some(id) = self.calls.expire(now.duration_since(self.began)) {
            self.tell(id, false, Outcome::TimedOut);
        }
        if self.ping_due <= now {
            self.ping(ws, now).await?;
        }
        Ok(())
    }

    /// Counts silence and pings (CH-4). While we do not read, nobody is silent. A message under way counts as life as long
    /// as it comes nearer its end: a slow link must get a large one through, but nobody may hold the budget by stalling.
    async fn ping(&mut self, ws: &mut Ws, now: Instant) -> Result<(), CloseReason> {
        let before = std::mem::replace(&mut self.progress, ws.get_ref().progress());
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
        self.send(ws, Message::Ping(Default::default())).await
    }

    async fn on_frame(
        &mut self,
        ws: &mut Ws,
        frame: Option<Result<Message, WsError>>,
        idle: bool,
    ) -> Result<(), CloseReason> {
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
                self.swollen |= text.len() > self.shared.settings().read_buffer_bytes;
                let idle = idle && self.waiting.is_empty();
                match self.on_text(&text, idle) {
                    Some(AtOnce::Beat(answer)) => self.put(ws, answer).await,
                    Some(AtOnce::Text(answer)) => self.write(ws, answer).await,
                    None => Ok(()),
                }
            }
            Message::Binary(bytes) => {
                self.throttle();
                self.swollen |= bytes.len() > self.shared.settings().read_buffer_bytes;
                metric::IGNORED.add(1, ["binary"]);
                Ok(())
            }
            Message::Close(_) => Err(CloseReason::PeerClosed),
            // tungstenite answers pings at the next read.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                self.link.note_heard(self.shared.ports.clock.now());
                Ok(())
            }
        }
    }

    /// A charger that sends too fast is read more slowly; nothing is dropped (control 17).
    fn throttle(&mut self) {
        if let Err(not_until) = self.limiter.check() {
            use governor::clock::{Clock as _, DefaultClock};
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            self.throttled_until = Some(Instant::now() + wait);
            metric::THROTTLED.add(1, []);
        }
    }

    async fn answer(&mut self, ws: &mut Ws, current: Option<Current>, outcome: CallOutcome) -> Result<(), CloseReason> {
        let Some(Current { id, .. }) = current else { return Ok(()) };
        let text = match outcome {
            CallOutcome::Result(payload) => write_result(&id, &payload),
            CallOutcome::Error(error) => {
                metric::CALL_ERRORS.add(1, [error.code.as_1_6()]);
                write_error(&id, &error)
            }
            CallOutcome::NoAnswer => return Err(CloseReason::NotDurable),
        };
        self.calls.answered_one();
        self.write(ws, text).await
    }

    /// On shutdown, what is in flight is finished (RT-9); otherwise nobody waits for an answer here any more.
    async fn finish(&mut self, ws: &mut Ws, current: Option<Current>, reason: CloseReason) {
        let Some(mut current) = current.filter(|_| matches!(reason, CloseReason::Shutdown | CloseReason::Restart))
        else {
            return;
        };
        let limit = self.shared.settings().close_timeout;
        if let Ok(outcome) = timeout(limit, current.outcome.as_mut()).await {
            // The socket closes in any case.
            let _ = self.answer(ws, Some(current), outcome).await;
        }
    }

    /// Writes an OCPP message and lets the frame log keep it.
    async fn write(&mut self, ws: &mut Ws, text: String) -> Result<(), CloseReason> {
        self.seen(self.shared.ports.clock.now(), Passed::Out(&text));
        self.put(ws, text).await
    }

    async fn put(&mut self, ws: &mut Ws, text: String) -> Result<(), CloseReason> {
        self.shared.hot.messages_out.increment(1);
        self.shared.hot.bytes_out.increment(text.len() as u64);
        self.send(ws, Message::text(text)).await
    }

    async fn send(&self, ws: &mut Ws, message: Message) -> Result<(), CloseReason> {
        let limit = self.shared.settings().write_timeout;
        match timeout(limit, ws.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ws.get_ref().broken().unwrap_or_else(|| reason_of(&error))),
            Err(_) => Err(CloseReason::Stuck),
        }
    }

    /// Gives back the buffers that a large message left behind, once nothing of it is left in them.
    async fn shrink(&mut self, mut ws: Ws) -> Result<Ws, (Ws, CloseReason)> {
        if !ws.get_ref().is_drained(self.items) {
            return Ok(ws);
        }
        let limit = self.shared.settings().write_timeout;
        match timeout(limit, ws.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err((ws, reason_of(&error))),
            Err(_) => return Err((ws, CloseReason::Stuck)),
        }
        self.swollen = false;
        let mut guarded = ws.into_inner();
        guarded.give_back();
        let config = ws_config(&self.shared.settings());
        Ok(Box::new(WebSocketStream::from_raw_socket(guarded, Role::Server, Some(config)).await))
    }
}

/// What an error of tungstenite says about the end.
fn reason_of(error: &WsError) -> CloseReason {
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
