//! What a text from a charger leads to. Owns the choice between answering at once, passing on, and ignoring; never an
//! answer's meaning, but for the heartbeat of an accepted charger.

use super::super::ports::{InboundCall, Outcome, Passed};
use super::{Socket, Waiting};
use crate::clock::Timestamp;
use crate::protocol::ocpp16::{Decoded, Request, decode, unreadable};
use crate::protocol::ocppj::{CallError, Frame, Ignored, Repeat, Reply, write_error, write_result};
use crate::telemetry::metrics::gateway as metric;
use std::sync::Arc;

/// Characters of a CALLERROR's texts that are kept.
const ERROR_TEXT_MAX: usize = 255;

/// What is to be written at once.
pub(super) enum AtOnce {
    /// The answer to a heartbeat: counted, not kept.
    Beat(String),
    /// Any other.
    Text(String),
}

impl Socket {
    /// Takes a text. `idle`: no call is being worked on and none waits. Gives back what is to be written at once.
    pub(super) fn on_text(&mut self, text: &str, idle: bool) -> Option<AtOnce> {
        self.shared.hot.messages_in.increment(1);
        self.shared.hot.bytes_in.increment(text.len() as u64);
        let now = self.shared.ports.clock.now();
        self.link.note_heard(now);
        let frame = Frame::read(text);
        if let Frame::Call { id, action, payload } = &frame {
            let plain = *action == "Heartbeat" && payload[1..].trim_start() == "}";
            if idle && plain && self.link.is_accepted() {
                return Some(AtOnce::Beat(self.heartbeat(id, now)));
            }
        }
        self.seen(now, Passed::In(text));
        let refusal = match frame {
            Frame::Call { id, action, payload } => self.on_call(&id, &action, payload, now, idle),
            Frame::Result { id, payload } => self.on_answer(&id, || Outcome::Result(payload.to_owned())),
            Frame::Error { id, code, description, .. } => {
                let cut = |text: &str| text.chars().take(ERROR_TEXT_MAX).collect();
                self.on_answer(&id, || Outcome::Error { code: cut(&code), description: cut(&description) })
            }
            Frame::Bad { id, action, error } => {
                match action.and_then(|action| unreadable(&action, text.as_bytes(), &error.description)) {
                    Some(decoded) => {
                        let call = self.inbound(&id, decoded, text, Repeat::New, now);
                        self.waiting.push(Waiting::Call(call));
                        None
                    }
                    None => self.refuse(&id, &error, idle),
                }
            }
            Frame::Ignored(why) => self.ignore(why),
        };
        refusal.map(AtOnce::Text)
    }

    /// The answer to the heartbeat of an accepted charger, without its actor: it changes nothing but the time of the last
    /// sign of life, which is noted already.
    fn heartbeat(&mut self, id: &str, now: Timestamp) -> String {
        self.shared.hot.heartbeats.increment(1);
        self.calls.answered_one();
        if let Some((first, run)) = self.beats.add(now) {
            self.shared.ports.frames.keep(self.link.charger(), first, run);
        }
        write_result(id, &format!("{{\"currentTime\":\"{now}\"}}"))
    }

    fn on_call(&mut self, id: &str, action: &str, payload: &str, now: Timestamp, idle: bool) -> Option<String> {
        let repeat = self.calls.inbound(id, action, payload);
        match decode(id, action, payload) {
            Ok(decoded) => {
                let call = self.inbound(id, decoded, payload, repeat, now);
                self.waiting.push(Waiting::Call(call));
                None
            }
            Err(error) => self.refuse(id, &error, idle),
        }
    }

    fn inbound(
        &self,
        id: &str,
        decoded: Decoded,
        payload: &str,
        repeat: Repeat,
        received: Timestamp,
    ) -> Box<InboundCall> {
        if matches!(decoded.request, Request::Unreadable(_)) {
            metric::FLAGGED.add(1, ["unreadable"]);
        } else if !decoded.flags.is_empty() {
            metric::FLAGGED.add(1, ["flagged"]);
        }
        match repeat {
            Repeat::New => {}
            Repeat::Same => metric::FLAGGED.add(1, ["repeated"]),
            Repeat::Reused => metric::FLAGGED.add(1, ["reused_id"]),
        }
        Box::new(InboundCall {
            generation: self.link.generation(),
            id: id.to_owned(),
            decoded,
            payload: payload.to_owned(),
            repeat,
            received,
        })
    }

    /// A CALLERROR, at once or in its turn.
    fn refuse(&mut self, id: &str, error: &CallError, idle: bool) -> Option<String> {
        metric::CALL_ERRORS.add(1, [error.code.as_1_6()]);
        tracing::debug!(charger = %self.link.charger(), code = error.code.as_1_6(), why = %error.description, "call refused");
        let text = write_error(id, error);
        if idle {
            self.calls.answered_one();
            return Some(text);
        }
        self.waiting.push(Waiting::Ready(text));
        None
    }

    fn on_answer(&mut self, id: &str, outcome: impl FnOnce() -> Outcome) -> Option<String> {
        match self.calls.reply(id) {
            Reply::Expected => self.tell(Arc::from(id), false, outcome()),
            Reply::Late => self.tell(Arc::from(id), true, outcome()),
            Reply::Unknown => metric::IGNORED.add(1, ["unknown_answer"]),
        }
        None
    }

    fn ignore(&self, why: Ignored) -> Option<String> {
        metric::IGNORED.add(1, [why.label()]);
        None
    }
}
