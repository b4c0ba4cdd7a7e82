//! The second target: whole sessions of frames, valid and mutated, between lost links, restarts, partners' calls and
//! answers, through reading and rules to a journal in memory. The test kit checks the invariants after every step
//! (I4, I7, I8, bounds of queues and lists); here also that no fact is refused and that the state stays small.

use super::{mutate, one_of};
use crate::domain::charger::{self, BootPolicy, Outcome, Tag, Verdict};
use crate::domain::charging::testkit::{World, register, token};
use crate::domain::charging::{Key, Reply};
use crate::domain::session::StopBy;
use crate::ids::SessionId;
use crate::protocol::ocpp16::{self, Request, neutral};
use crate::protocol::ocppj::Frame;
use rand::{Rng, RngExt as _};
use std::time::Duration;

/// The longest frame of which every byte is drawn.
const RAW_MAX: usize = 1_024;
/// The most that a charger with its sessions may take as JSON: what journals and snapshots hold.
const STATE_MAX: usize = 512 * 1_024;

/// One charger's life so far. `R` is where its choices come from.
pub(super) struct Life<R> {
    world: World,
    pub(super) rng: R,
    sessions: Vec<SessionId>,
    opened: u128,
    meter: i64,
    messages: u64,
}

impl<R: Rng> Life<R> {
    /// A charger that is accepted and connected.
    pub(super) fn new(rng: R) -> Self {
        Life { world: World::ready(), rng, sessions: Vec::new(), opened: 0, meter: 1_000, messages: 0 }
    }

    /// One step of it.
    pub(super) fn step(&mut self) {
        match self.rng.random_range(0..104) {
            0..55 => self.frame(),
            55..65 => self.world.pass(self.rng.random_range(0..120)),
            65..67 => self.world.pass(self.rng.random_range(600..100_000)),
            67..77 => self.answer(),
            77..87 => self.open(),
            87..91 => self.ask_stop(),
            91..95 if self.world.ambient.online => self.world.link_down(self.rng.random_bool(0.3)),
            91..97 => self.world.link_up(),
            97 => self.world.restart(Duration::from_secs(self.rng.random_range(0..600))),
            100.. => self.raw_frame(),
            _ => {
                let policies = [BootPolicy::Accepted, BootPolicy::Accepted, BootPolicy::Pending, BootPolicy::Rejected];
                let (connectors, policy) = (self.rng.random_range(1..4), *one_of(&mut self.rng, &policies));
                self.world.tell(register(connectors, policy));
            }
        }
    }

    fn words(&mut self) -> mutate::Words {
        let mut words = mutate::words(&mut self.rng);
        self.meter += self.rng.random_range(0..300);
        let live = &self.world.charger().live;
        if !live.is_empty() && self.rng.random_bool(0.8) {
            let one = &live[self.rng.random_range(0..live.len())];
            words.connector = one.connector.to_string();
            words.transaction = one.transaction.map_or(words.transaction, |t| t.0.to_string());
            words.id_tag = one.id_tag.as_ref().map_or(words.id_tag, ToString::to_string);
        }
        if self.rng.random_bool(0.9) {
            words.meter = self.meter.to_string();
            words.time = self.world.now.to_rfc3339();
        }
        words
    }

    fn frame(&mut self) {
        // Some ids come again: repeated messages, restarted counters.
        self.messages = if self.rng.random_bool(0.1) { self.messages.saturating_sub(3) } else { self.messages + 1 };
        let words = self.words();
        let mut bytes = mutate::call(&mut self.rng, &format!("m{}", self.messages), &words).into_bytes();
        if self.rng.random_bool(0.3) {
            let other = mutate::call(&mut self.rng, "o", &words).into_bytes();
            mutate::mutate(&mut self.rng, &mut bytes, &other);
        }
        self.hear(&bytes);
    }

    /// A frame of which every byte is drawn: of use where the drawing is guided.
    fn raw_frame(&mut self) {
        let mut bytes = vec![0; self.rng.random_range(0..RAW_MAX)];
        self.rng.fill_bytes(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let words = self.words();
        self.hear(mutate::fill(&text, &words).as_bytes());
    }

    fn hear(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let decoded = match Frame::read(&text) {
            Frame::Call { id, action, payload } => {
                ocpp16::decode(&id, &action, payload).ok().map(|d| (id.into_owned(), d))
            }
            Frame::Bad { id, action: Some(action), error } => {
                ocpp16::unreadable(&action, bytes, &error.description).map(|d| (id.into_owned(), d))
            }
            _ => None,
        };
        if let Some((id, decoded)) = decoded {
            self.tell(&id, decoded, &text);
        }
    }

    /// As the connection does.
    fn tell(&mut self, id: &str, decoded: ocpp16::Decoded, text: &str) {
        let flags = decoded.flags;
        let (fact, command) = match decoded.request {
            Request::StartTransaction(request) => {
                let tag = self.tag(&request.id_tag);
                (true, charger::Command::TransactionStart(neutral::start(request, tag, id, &flags)))
            }
            Request::StopTransaction(request) => {
                let tag = request.id_tag.as_ref().map(|tag| self.tag(tag));
                (true, charger::Command::TransactionStop(neutral::stop(request, tag, id, &flags)))
            }
            Request::MeterValues(request) => (true, charger::Command::MeterValues(neutral::meter(request))),
            Request::Unreadable(unreadable) => {
                let bytes = String::from_utf8_lossy(&unreadable.bytes).into_owned().into_boxed_str();
                let (action, why) = (unreadable.action.into(), unreadable.why.into_boxed_str());
                (true, charger::Command::UnreadableTransactionMessage { action, bytes, why })
            }
            Request::Authorize(request) => (false, charger::Command::Authorize(self.tag(&request.id_tag))),
            Request::BootNotification(request) => (false, charger::Command::Boot(neutral::boot(request))),
            Request::StatusNotification(request) => (false, charger::Command::Status(neutral::status(request))),
            // Nothing of theirs reaches the rules beyond a word.
            _ => return,
        };
        let outcome = self.world.ask(Key::Charger, command);
        assert!(!fact || outcome.is_ok(), "a fact was refused with {outcome:?}: {text}");
    }

    fn tag(&mut self, id_tag: &str) -> Tag {
        if charger::remote_tag::looks_like(id_tag) {
            return Tag::Remote(id_tag.to_uppercase().into());
        }
        token(*one_of(&mut self.rng, &[Verdict::Accepted, Verdict::Accepted, Verdict::Blocked, Verdict::Unknown]))
    }

    fn answer(&mut self) {
        let Some((_, call)) = self.world.outstanding() else { return };
        let mut payload = br#"{"status":"Accepted"}"#.to_vec();
        if self.rng.random_bool(0.4) {
            mutate::mutate(
                &mut self.rng,
                &mut payload,
                br#"{"configurationKey":[{"key":"a","readonly":true}],"status":"Rejected"}"#,
            );
        }
        let action = call.action();
        let (outcome, told) = match self.rng.random_range(0..10) {
            0 => (Outcome::TimedOut, charger::Told::Nothing),
            1 => (Outcome::LinkLost, charger::Told::Nothing),
            _ => neutral::outcome(action, &String::from_utf8_lossy(&payload)),
        };
        self.world.answer_with(outcome, told);
    }

    fn open(&mut self) {
        let connector = self.rng.random_range(0..4);
        // Ids of ours never come again, and every part of them differs.
        self.opened += 1;
        let n = self.opened.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        if let Ok(session) = self.world.open(n, connector) {
            self.sessions.push(session);
        }
    }

    fn ask_stop(&mut self) {
        let Some(session) = self.sessions.last().copied() else { return };
        let by = StopBy::Partner(format!("s{}", self.rng.random_range(0..9_999)).parse().unwrap());
        let asked = self.world.ask(Key::Session(session), crate::domain::session::Command::Stop(by));
        assert!(matches!(asked, Ok(Reply::StopTaken { .. }) | Err(_)), "{asked:?}");
    }

    /// What must hold when it ends: the journal gives the same state again, and that is small.
    pub(super) fn end(self) {
        let world = self.world;
        assert_eq!(world.replay(), world.states, "replay differs from the state");
        let sizes = world.states.values().map(|state| serde_json::to_vec(state).map_or(usize::MAX, |json| json.len()));
        let size = sizes.max().unwrap_or(0);
        assert!(size < STATE_MAX, "a state of {size} bytes");
    }
}
