//! The charger without its socket: frames, moments and commands in; frames, records and cuts out.
//!
//! Owns the durable state and the rules of one outstanding CALL and of the queue's head. Never does IO, never reads a
//! clock. Invariants: transaction messages go out in the order in which they happened, one at a time, each again with the
//! same content until it is answered; [`Out::Save`] precedes the first frame that tells of a new fact.

use super::behaviour::{Behaviour, ChargerSpec, Profile, ResendId};
use super::payload;
use super::people::Firmware;
use super::state::{ChargerState, Queued, Status};
use super::wire::{self, Frame};
use crate::history::{ChargerRecord, FactKind};
use crate::stats::Measure;
use crate::time::millis;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;

/// The heartbeat interval until the server gives one, s (OCPP 1.6 leaves it to the charger).
const HEARTBEAT_DEFAULT_S: i64 = 300;
/// The wait before another BootNotification when the server names none, s.
const BOOT_RETRY_DEFAULT_S: i64 = 10;
/// Message numbers passed over when a saved state is taken up: calls that state nothing new are not saved one by one, and
/// no id may come twice with other content.
const MESSAGE_LEAP: u64 = 100_000;
/// Triggered messages waiting; more are refused.
const TRIGGERED_MAX: usize = 8;

/// What the shell has to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// Keep the durable state before anything that follows.
    Save,
    /// Write this frame; `call` says that an answer is due.
    Frame {
        /// The text.
        text: String,
        /// Whether it is a CALL.
        call: bool,
    },
    /// The outstanding call was answered.
    Answered(Measure),
    /// The outstanding call got a CALLERROR.
    Refused,
    /// The outstanding call got no answer in time.
    TimedOut,
    /// For the history.
    Record(ChargerRecord),
    /// BootNotification was accepted.
    Booted,
    /// The first time on this connection that nothing is left to be told: booted, every status and fact confirmed.
    Whole,
    /// Cut the socket without a close frame.
    Cut,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallKind {
    Boot,
    Heartbeat,
    Status(usize),
    SelfStatus,
    Authorize { connector: usize, id_tag: Box<str> },
    Fact,
    FreeMeter,
    Firmware(Firmware),
}

#[derive(Debug)]
struct Outstanding {
    id: String,
    kind: CallKind,
    deadline_ms: i64,
}

/// What lives as long as the process, not longer.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) online: bool,
    outstanding: Option<Outstanding>,
    boot_due_ms: i64,
    heartbeat_due_ms: i64,
    pub(super) told_self: bool,
    pub(super) cut_at_ms: Option<i64>,
    /// Set when the next cut is a power cycle.
    pub(super) reboots: bool,
    pub(super) offline_until_ms: i64,
    pub(super) triggered: VecDeque<CallKind>,
    pub(super) quiescing: bool,
    /// The next power cycle brings the new firmware.
    pub(super) updating: bool,
    whole: bool,
}

/// A simulated charger.
#[derive(Debug)]
pub struct Device {
    pub(super) spec: ChargerSpec,
    pub(super) profile: Arc<Profile>,
    pub(super) state: ChargerState,
    pub(super) link: Link,
    pub(super) rng: SmallRng,
    pub(super) out: Vec<Out>,
    pub(super) dirty: bool,
}

impl Device {
    /// A charger in the given state.
    pub fn new(spec: ChargerSpec, profile: Arc<Profile>, mut state: ChargerState) -> Self {
        state.connectors.resize_with(spec.scripts.len(), Default::default);
        if state.last_message > 0 {
            state.last_message += MESSAGE_LEAP;
        }
        let rng = SmallRng::seed_from_u64(spec.seed ^ state.last_message);
        Device { spec, profile, state, link: Link::default(), rng, out: Vec::new(), dirty: false }
    }

    /// The durable state.
    pub fn state(&self) -> &ChargerState {
        &self.state
    }

    /// The identity and the rest of what it is.
    pub fn spec(&self) -> &ChargerSpec {
        &self.spec
    }

    /// Whether everything has been told on this connection; see [`Out::Whole`].
    pub fn is_whole(&self) -> bool {
        self.link.whole
    }

    /// Whether a socket may be opened, and from when.
    pub fn connects_from_ms(&self) -> i64 {
        self.link.offline_until_ms
    }

    /// The frames and records due since the last call, in order.
    pub fn take_out(&mut self) -> Vec<Out> {
        let mut out = std::mem::take(&mut self.out);
        if std::mem::take(&mut self.dirty) {
            out.insert(0, Out::Save);
        }
        out
    }

    /// The socket is open.
    pub fn connected(&mut self, now_ms: i64) {
        self.link.online = true;
        self.link.outstanding = None;
        if self.profile.boot_on_reconnect {
            self.state.booted = false;
            self.link.told_self = false;
            self.state.connectors.iter_mut().for_each(|c| c.told = None);
        }
        self.link.boot_due_ms = self.link.boot_due_ms.max(now_ms);
        let spread = self.rng.random_range(0..=self.heartbeat_ms());
        self.link.heartbeat_due_ms = now_ms + spread;
        self.record(ChargerRecord::Connected { charger: self.spec.identity.clone() });
        self.pump(now_ms);
    }

    /// The socket is gone.
    pub fn disconnected(&mut self, why: &str, now_ms: i64) {
        if std::mem::take(&mut self.link.online) {
            let charger = self.spec.identity.clone();
            self.record(ChargerRecord::Disconnected { charger, why: why.to_owned() });
        }
        self.link.cut_at_ms = None;
        self.link.whole = false;
        if let Some(outstanding) = self.link.outstanding.take() {
            self.unsaid(&outstanding.kind);
        }
        if std::mem::take(&mut self.link.reboots) {
            self.power_cycle(now_ms);
        }
    }

    fn power_cycle(&mut self, now_ms: i64) {
        self.firmware_is_in();
        self.state.booted = false;
        self.link.boot_due_ms = now_ms;
        self.link.told_self = false;
        self.state.connectors.iter_mut().for_each(|c| c.told = None);
        self.dirty = true;
    }

    /// A status that was not confirmed has to be told again; facts stay in their queue anyway.
    fn unsaid(&mut self, kind: &CallKind) {
        match kind {
            CallKind::Status(connector) => {
                if let Some(c) = self.state.connectors.get_mut(*connector) {
                    c.told = None;
                }
            }
            CallKind::SelfStatus => self.link.told_self = false,
            CallKind::Boot
            | CallKind::Heartbeat
            | CallKind::Authorize { .. }
            | CallKind::Fact
            | CallKind::FreeMeter
            | CallKind::Firmware(_) => {}
        }
    }

    /// A text frame came.
    pub fn frame(&mut self, text: &str, now_ms: i64) {
        if self.link.cut_at_ms.is_some_and(|at| at <= now_ms || !self.link.reboots) {
            return; // the line is dying: what comes now is lost
        }
        match wire::parse(text) {
            Some(Frame::Call { id, action, payload }) => self.called(&id, &action, &payload, now_ms),
            Some(Frame::Result { id, payload }) => {
                if let Some(kind) = self.answered(&id) {
                    self.result(kind, &payload, now_ms);
                }
            }
            Some(Frame::Error { id, code }) => {
                if let Some(kind) = self.answered(&id) {
                    self.out.push(Out::Refused);
                    self.refusal(&kind, &code, now_ms);
                }
            }
            None => tracing::warn!(charger = self.spec.identity, text, "no OCPP-J frame"),
        }
        self.pump(now_ms);
    }

    fn answered(&mut self, id: &str) -> Option<CallKind> {
        if self.link.outstanding.as_ref().is_some_and(|o| o.id == id) {
            return self.link.outstanding.take().map(|o| o.kind);
        }
        None // a late answer: the message is on its way again
    }

    fn result(&mut self, kind: CallKind, payload: &Value, now_ms: i64) {
        match kind {
            CallKind::Boot => self.boot_answered(payload, now_ms),
            CallKind::Heartbeat => self.out.push(Out::Answered(Measure::Heartbeat)),
            CallKind::Status(_) | CallKind::SelfStatus | CallKind::FreeMeter | CallKind::Firmware(_) => {
                self.out.push(Out::Answered(Measure::OtherCall));
            }
            CallKind::Authorize { connector, id_tag } => {
                self.out.push(Out::Answered(Measure::OtherCall));
                if payload["idTagInfo"]["status"] == "Accepted" {
                    self.expect_car(connector, &id_tag, std::time::Duration::ZERO, now_ms);
                }
            }
            CallKind::Fact => self.fact_confirmed(payload, now_ms),
        }
    }

    fn refusal(&mut self, kind: &CallKind, code: &str, now_ms: i64) {
        match kind {
            CallKind::Fact => self.fact_refused(code, now_ms),
            CallKind::Boot => self.link.boot_due_ms = now_ms + BOOT_RETRY_DEFAULT_S * 1_000,
            CallKind::Status(_)
            | CallKind::SelfStatus
            | CallKind::Heartbeat
            | CallKind::Authorize { .. }
            | CallKind::FreeMeter
            | CallKind::Firmware(_) => {}
        }
    }

    fn boot_answered(&mut self, payload: &Value, now_ms: i64) {
        self.out.push(Out::Answered(Measure::Boot));
        let status = payload["status"].as_str().unwrap_or("Rejected").to_owned();
        let interval_s = payload["interval"].as_i64().unwrap_or(0);
        if status == "Accepted" {
            self.state.booted = true;
            self.state.heartbeat_s = if interval_s > 0 { interval_s } else { HEARTBEAT_DEFAULT_S };
            self.link.heartbeat_due_ms = now_ms + self.heartbeat_ms();
            self.link.told_self = false;
            self.dirty = true;
            self.out.push(Out::Booted);
        } else {
            let wait = if interval_s > 0 { interval_s } else { BOOT_RETRY_DEFAULT_S };
            self.link.boot_due_ms = now_ms + wait * 1_000;
        }
        self.record(ChargerRecord::Boot { charger: self.spec.identity.clone(), status, interval_s });
    }

    pub(super) fn heartbeat_ms(&self) -> i64 {
        let s = self.state.heartbeat_s;
        if s > 0 { s * 1_000 } else { HEARTBEAT_DEFAULT_S * 1_000 }
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: i64) {
        for connector in 0..self.state.connectors.len() {
            self.tick_connector(connector, now_ms);
        }
        if self.link.outstanding.as_ref().is_some_and(|o| o.deadline_ms <= now_ms)
            && let Some(outstanding) = self.link.outstanding.take()
        {
            self.out.push(Out::TimedOut);
            self.unsaid(&outstanding.kind);
            if outstanding.kind == CallKind::Boot {
                self.link.boot_due_ms = now_ms + BOOT_RETRY_DEFAULT_S * 1_000;
            }
        }
        if self.link.cut_at_ms.take_if(|at| *at <= now_ms).is_some() {
            return self.out.push(Out::Cut);
        }
        self.pump(now_ms);
    }

    /// When [`Device::tick`] has something to do next, ms since 1970.
    pub fn next_due_ms(&self, now_ms: i64) -> i64 {
        let link = &self.link;
        let connectors = self.state.connectors.iter().enumerate().filter_map(|(i, c)| self.connector_due(i, c, now_ms));
        let mut due = connectors.chain(link.cut_at_ms).min().unwrap_or(i64::MAX);
        if link.online {
            due = due.min(match (&link.outstanding, self.state.booted) {
                (Some(outstanding), _) => outstanding.deadline_ms,
                (None, false) => link.boot_due_ms,
                (None, true) => {
                    let head = self.state.queue.front().map_or(i64::MAX, |q| q.not_before_ms);
                    link.heartbeat_due_ms.min(head)
                }
            });
        }
        due
    }

    /// Puts the next CALL on the wire if none is outstanding.
    pub(super) fn pump(&mut self, now_ms: i64) {
        if !self.link.online || self.link.outstanding.is_some() || self.link.cut_at_ms.is_some_and(|at| at <= now_ms) {
            return;
        }
        if !self.state.booted {
            let asked = self.link.triggered.iter().position(|k| *k == CallKind::Boot);
            if let Some(i) = asked {
                self.link.triggered.remove(i);
            }
            if asked.is_some() || self.link.boot_due_ms <= now_ms {
                self.call(CallKind::Boot, "BootNotification", &payload::boot(&self.spec), now_ms);
            }
            return;
        }
        if let Some(kind) = self.link.triggered.pop_front() {
            self.call_triggered(kind, now_ms);
        } else if !std::mem::replace(&mut self.link.told_self, true) {
            let body = payload::status(0, Status::Available, None, now_ms);
            self.call(CallKind::SelfStatus, "StatusNotification", &body, now_ms);
        } else if let Some(i) = self.state.connectors.iter().position(|c| c.told != Some(c.status())) {
            self.call_status(i, now_ms);
        } else if self.state.queue.front().is_some_and(|q| q.not_before_ms <= now_ms) {
            self.call_fact(now_ms);
        } else {
            if self.state.queue.is_empty() && !std::mem::replace(&mut self.link.whole, true) {
                self.out.push(Out::Whole);
            }
            if self.link.heartbeat_due_ms <= now_ms {
                self.call_triggered(CallKind::Heartbeat, now_ms);
            }
        }
    }

    fn call_triggered(&mut self, kind: CallKind, now_ms: i64) {
        match kind {
            CallKind::Boot => self.call(CallKind::Boot, "BootNotification", &payload::boot(&self.spec), now_ms),
            CallKind::Heartbeat => {
                self.link.heartbeat_due_ms = now_ms + self.heartbeat_ms();
                self.call(CallKind::Heartbeat, "Heartbeat", &json!({}), now_ms);
            }
            CallKind::Authorize { connector, id_tag } => {
                let body = json!({"idTag": id_tag});
                self.call(CallKind::Authorize { connector, id_tag }, "Authorize", &body, now_ms);
            }
            CallKind::FreeMeter => {
                let reading = self.state.connectors.first().map_or(0, |c| c.power.reading_wh());
                let body = payload::free_meter(1, reading, now_ms);
                self.call(CallKind::FreeMeter, "MeterValues", &body, now_ms);
            }
            CallKind::Status(i) => self.call_status(i, now_ms),
            CallKind::SelfStatus => self.link.told_self = false,
            CallKind::Fact => self.call_fact(now_ms),
            CallKind::Firmware(stage) => self.call_firmware(stage, now_ms),
        }
    }

    /// Queues a call beside the regular ones; `false` when too many wait.
    pub(super) fn trigger(&mut self, kind: CallKind) -> bool {
        let room = self.link.triggered.len() < TRIGGERED_MAX;
        if room {
            self.link.triggered.push_back(kind);
        }
        room
    }

    fn call_status(&mut self, i: usize, now_ms: i64) {
        let Some(connector) = self.state.connectors.get_mut(i) else { return };
        let status = connector.status();
        connector.told = Some(status);
        let body = payload::status(i + 1, status, connector.fault.as_deref(), now_ms);
        self.call(CallKind::Status(i), "StatusNotification", &body, now_ms);
    }

    fn call_fact(&mut self, now_ms: i64) {
        let fresh = self.new_message_id();
        let resend_id = self.profile.resend_id;
        let Some(queued) = self.state.queue.front_mut() else { return };
        queued.attempts += 1;
        let id = match (resend_id, queued.message_id.take()) {
            (ResendId::Same, Some(id)) => id,
            (ResendId::New, Some(_)) | (_, None) => fresh,
        };
        queued.message_id = Some(id.clone());
        let mut body = queued.payload.clone();
        let action = match queued.kind {
            FactKind::Start => "StartTransaction",
            FactKind::Meter => "MeterValues",
            FactKind::Stop => "StopTransaction",
        };
        if queued.kind != FactKind::Start {
            body["transactionId"] = json!(self.state.transaction_ids.get(&queued.local).copied().unwrap_or(-1));
        }
        let (local, kind, attempt, index) =
            (queued.local, queued.kind, queued.attempts, usize::from(queued.connector).saturating_sub(1));
        if kind != FactKind::Meter || self.profile.record_meters {
            let charger = self.spec.identity.clone();
            self.record(ChargerRecord::Sent { charger, local, kind, message_id: id.clone(), attempt });
        }
        self.dirty = true;
        self.call_as(id, CallKind::Fact, action, &body, now_ms);
        let script = self.spec.scripts.get(index).copied().unwrap_or_default();
        if script == Behaviour::LosesAnswer && kind == FactKind::Start && attempt == 1 {
            self.link.cut_at_ms = Some(now_ms + self.rng.random_range(0..40));
            self.link.offline_until_ms = now_ms + 1_000;
        }
    }

    fn new_message_id(&mut self) -> String {
        self.state.last_message += 1;
        format!("{}-{}", self.spec.identity, self.state.last_message)
    }

    pub(super) fn call(&mut self, kind: CallKind, action: &str, body: &Value, now_ms: i64) {
        let id = self.new_message_id();
        self.call_as(id, kind, action, body, now_ms);
    }

    fn call_as(&mut self, id: String, kind: CallKind, action: &str, body: &Value, now_ms: i64) {
        self.out.push(Out::Frame { text: wire::call(&id, action, body), call: true });
        let deadline_ms = now_ms + millis(self.profile.call_timeout);
        self.link.outstanding = Some(Outstanding { id, kind, deadline_ms });
    }

    pub(super) fn record(&mut self, record: ChargerRecord) {
        self.out.push(Out::Record(record));
    }

    /// Adds a fact to the queue's end.
    pub(super) fn queue(&mut self, local: u64, connector: usize, kind: FactKind, payload: Value) {
        let repeat = self.spec.scripts.get(connector) == Some(&Behaviour::RepeatsMessages);
        self.state.queue.push_back(Queued {
            local,
            connector: u16::try_from(connector + 1).unwrap_or(u16::MAX),
            kind,
            payload,
            message_id: None,
            attempts: 0,
            refusals: 0,
            not_before_ms: 0,
            repeat,
        });
        self.dirty = true;
    }
}
