//! A partition in a box, for tests: decides as the engine does (a step with all it leads to, applied at once), fires
//! timers in due order on virtual time, and checks the invariants after every step.

mod facts;

pub(crate) use facts::*;

use super::{Ambient, ChargingFamily, Command, Effect, Event, Key, Rejection, Reply, State, Timer};
use crate::clock::Timestamp;
use crate::domain::charger::{
    self, BootPolicy, Call, Charger, ErrorCode, Fault, MeterFact, Opening, Outcome, StartFact, Status, StatusFact,
    StopReason, Tag, Verdict,
};
use crate::domain::entity::{Context, Deadline, Family, Notice, Row, Standing};
use crate::domain::session::{self, Limits, Session, StopBy};
use crate::ids::{CommandId, ConnectorId, SessionId, TransactionId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// 2026-01-02T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_767_312_000_000);

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) ambient: Ambient,
    pub(crate) states: BTreeMap<Key, State>,
    pub(crate) journal: Vec<Vec<(Key, Vec<Event>)>>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) rows: BTreeMap<(&'static str, String), Vec<u8>>,
    pub(crate) entropy: u128,
    unchecked: bool,
    energies: BTreeMap<SessionId, (bool, u64)>,
    sequences: BTreeMap<String, u64>,
    pub(crate) transactions: BTreeMap<TransactionId, SessionId>,
}

impl World {
    /// For states that only a fault of ours can lead to.
    pub(crate) fn without_checks<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        self.unchecked = true;
        let result = run(self);
        self.unchecked = false;
        result
    }

    /// Nothing is registered.
    pub(crate) fn empty() -> Self {
        // A second is enough for what is due at once; `link.rs` tests the spread itself.
        let mut policy = super::Policy::default();
        policy.charger.first_call_spread = Duration::ZERO;
        let policy = std::sync::Arc::new(policy);
        World {
            now: START,
            ambient: Ambient { policy, audience: vec!["acme".parse().unwrap()].into(), ..Ambient::default() },
            states: BTreeMap::from([(Key::Charger, ChargingFamily::birth(&Key::Charger))]),
            journal: Vec::new(),
            notices: Vec::new(),
            effects: Vec::new(),
            rows: BTreeMap::new(),
            entropy: 1,
            unchecked: false,
            energies: BTreeMap::new(),
            sequences: BTreeMap::new(),
            transactions: BTreeMap::new(),
        }
    }

    /// Two connectors, online, booted, both `Available`; its first commands are answered.
    pub(crate) fn ready() -> Self {
        let mut world = World::empty();
        world.tell(register(2, BootPolicy::Accepted));
        world.link_up();
        world.tell(charger::Command::Boot(boot()));
        for connector in 0..=2 {
            world.status(connector, Status::Available);
        }
        world.pass(1);
        world.answer_all();
        world.clear();
        world
    }

    pub(crate) fn clear(&mut self) {
        self.notices.clear();
        self.effects.clear();
    }

    pub(crate) fn charger(&self) -> &Charger {
        self.states[&Key::Charger].charger().unwrap()
    }

    pub(crate) fn session(&self, id: SessionId) -> &Session {
        self.states[&Key::Session(id)].session().unwrap()
    }

    pub(crate) fn link_up(&mut self) {
        self.ambient.generation += 1;
        self.ambient.online = true;
        let generation = self.ambient.generation;
        self.tell(charger::Command::LinkUp { generation, remote: "::1".into(), subprotocol: "ocpp1.6".into() });
    }

    pub(crate) fn link_down(&mut self, silent: bool) {
        self.ambient.online = false;
        let generation = self.ambient.generation;
        self.tell(charger::Command::LinkDown { generation, reason: "closed".into(), silent });
    }

    /// A crash and restart after `downtime`: everything is rebuilt from the journal, as the engine does.
    pub(crate) fn restart(&mut self, downtime: Duration) {
        self.ambient.online = false;
        self.ambient.generation = 0;
        self.now = self.now + downtime;
        self.states = self.replay();
        let keys: Vec<Key> = self.states.keys().copied().collect();
        for key in keys {
            let Some(state) = self.states.get(&key) else { continue };
            if let Some(command) = ChargingFamily::give_back(state, downtime) {
                self.ask(key, command).unwrap();
            }
        }
    }

    /// The fold of the journal.
    pub(crate) fn replay(&self) -> BTreeMap<Key, State> {
        let mut states = BTreeMap::from([(Key::Charger, ChargingFamily::birth(&Key::Charger))]);
        for step in &self.journal {
            for (key, events) in step {
                let state = states.entry(*key).or_insert_with(|| ChargingFamily::birth(key));
                events.iter().for_each(|event| ChargingFamily::apply(state, event));
            }
            states.retain(|key, state| *key == Key::Charger || ChargingFamily::standing(state) != Standing::Ended);
        }
        states
    }

    /// To the charger; must be taken.
    pub(crate) fn tell(&mut self, command: charger::Command) -> Reply {
        self.ask(Key::Charger, command).unwrap()
    }

    /// One step.
    pub(crate) fn ask(&mut self, key: Key, command: impl Into<Command>) -> Result<Reply, Rejection> {
        self.entropy = self.entropy.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(12_345);
        let ambient = self.ambient.clone();
        let sequence = self.journal.len() as u64 + 1;
        let context = Context { now: self.now, partition: "CP1", sequence, entropy: self.entropy, ambient: &ambient };
        let mut working = self.states.clone();
        let mut commands = VecDeque::from([(key, command.into())]);
        let (mut reply, mut events) = (None, Vec::<(Key, Vec<Event>)>::new());
        let (mut notices, mut effects) = (Vec::new(), Vec::new());
        let mut count = 0;
        while let Some((key, command)) = commands.pop_front() {
            count += 1;
            assert!(count <= 64, "a step of more than 64 commands");
            let state = working.entry(key).or_insert_with(|| ChargingFamily::birth(&key));
            let decision = ChargingFamily::decide(&key, state, command, &context)?;
            decision.events.iter().for_each(|event| ChargingFamily::apply(state, event));
            if !decision.events.is_empty() {
                events.push((key, decision.events));
            }
            notices.extend(decision.notices);
            effects.extend(decision.effects);
            commands.extend(decision.also);
            reply.get_or_insert(decision.reply);
        }
        self.project(&working, &events);
        self.states = working;
        self.check_resets(&effects);
        self.check_notices(&notices);
        self.notices.extend(notices);
        self.effects.extend(effects);
        if !events.is_empty() {
            let json = serde_json::to_vec(&events).unwrap();
            self.journal.push(serde_json::from_slice(&json).unwrap());
        }
        if !self.unchecked {
            self.check();
        }
        let over = |state: &State| ChargingFamily::standing(state) == Standing::Ended;
        self.states.retain(|key, state| *key == Key::Charger || !over(state));
        Ok(reply.unwrap())
    }

    fn project(&mut self, working: &BTreeMap<Key, State>, events: &[(Key, Vec<Event>)]) {
        let keys: std::collections::BTreeSet<Key> = events.iter().map(|(key, _)| *key).collect();
        for key in keys {
            let own: Vec<Event> =
                events.iter().filter(|(k, _)| *k == key).flat_map(|(_, events)| events.clone()).collect();
            for Row { table, key, value } in ChargingFamily::project("CP1", &key, &working[&key], &own) {
                if matches!(table, "alert" | "ticket") {
                    let clash = self.rows.contains_key(&(table, key.clone()));
                    assert!(!clash, "{table}/{key} is written twice");
                }
                match value {
                    Some(value) => drop(self.rows.insert((table, key), value)),
                    None => drop(self.rows.remove(&(table, key))),
                }
            }
        }
    }

    /// A reset of the rules' own goes out only while nobody charges (CH-9).
    fn check_resets(&self, effects: &[Effect]) {
        for effect in effects {
            let Effect::SendCall { command_id, call: Call::Reset { .. }, .. } = effect else { continue };
            let ours = self.charger().queue.iter().any(|pending| {
                pending.id == *command_id && pending.purpose == charger::Purpose::Operator("system".into())
            });
            assert!(!ours || self.charger().live.is_empty(), "a charger is reset under a session");
        }
    }

    fn check_notices(&mut self, notices: &[Notice]) {
        for notice in notices {
            if let Some(sequence) = notice.sequence {
                let last = self.sequences.entry(notice.order_key.clone()).or_default();
                assert_eq!(sequence, *last + 1, "{} of {}", notice.kind, notice.order_key);
                *last = sequence;
            }
        }
    }

    /// I4, I7, I8 and the bounds.
    fn check(&mut self) {
        let charger = self.charger().clone();
        for (place, live) in charger.live.iter().enumerate() {
            let twice = charger.live.iter().skip(place + 1).any(|other| other.connector == live.connector);
            assert!(!twice, "connector {} has two live sessions", live.connector);
            let state = self.states.get(&Key::Session(live.session)).and_then(State::session);
            let session = state.unwrap_or_else(|| panic!("live session {} is not there", live.session));
            assert!(session.is_open() || session.is_running(), "a session that is over holds a connector");
            assert_eq!(session.transaction, live.transaction);
        }
        for (key, state) in &self.states {
            let (Key::Session(id), Some(session)) = (key, state.session()) else { continue };
            if session.is_open() {
                assert!(charger.live_session(*id).is_some(), "open session {id} holds no connector: {session:?}");
            }
            let energy = session.energy_wh();
            let (was_open, before) = self.energies.insert(*id, (session.is_running(), energy)).unwrap_or((true, 0));
            assert!(energy >= before || !was_open, "energy of {id} fell from {before} to {energy}");
            if let Some(transaction) = session.transaction {
                assert!(transaction.0 > 0);
                let owner = *self.transactions.entry(transaction).or_insert(*id);
                assert_eq!(owner, *id, "transaction {transaction} is used twice");
            }
            if let (Some(started), Some(ended)) = (session.started_at, session.ended_at) {
                assert!(ended >= started, "the stop precedes the start");
            }
        }
        self.check_holds(&charger);
        let outstanding = charger.queue.iter().filter(|pending| pending.sent.is_some()).count();
        assert!(outstanding <= 1, "{outstanding} calls are outstanding");
        assert!(charger.queue.len() <= 64 && charger.recent.len() <= 8 + charger.live.len());
        assert!(charger.live.len() <= charger.connectors.len() + 4 && charger.failed.len() <= 8);
        // Replay is quadratic over a run: every step while it is short, ever more rarely later.
        let steps = self.journal.len();
        if steps < 64 || steps.is_multiple_of(64 * (1 + steps / 512)) {
            assert_eq!(self.replay(), self.states_alive(), "replay differs from the state");
        }
    }

    /// I4 of reservations: one a connector, each with its charger's hold, as long as it is open.
    fn check_holds(&self, charger: &Charger) {
        for (place, hold) in charger.holds.iter().enumerate() {
            let twice = charger.holds.iter().skip(place + 1).any(|other| other.connector == hold.connector);
            assert!(!twice, "connector {} is held twice", hold.connector);
            let state = self.states.get(&Key::Reservation(hold.reservation)).and_then(State::reservation);
            assert!(state.is_some_and(|held| held.is_open()), "{} holds a connector and is over", hold.reservation);
            let live = charger.live_on(hold.connector).map(|live| (live.session, live.transaction));
            assert!(hold.arriving.is_none() || live == Some((hold.arriving.unwrap(), None)), "{live:?} {hold:?}");
        }
        for (key, state) in &self.states {
            let (Key::Reservation(id), Some(reservation)) = (key, state.reservation()) else { continue };
            assert_eq!(reservation.is_open(), charger.hold(*id).is_some(), "{id}: {reservation:?}");
        }
    }

    fn states_alive(&self) -> BTreeMap<Key, State> {
        let alive =
            |key: &Key, state: &State| *key == Key::Charger || ChargingFamily::standing(state) != Standing::Ended;
        self.states.iter().filter(|(key, state)| alive(key, state)).map(|(k, s)| (*k, s.clone())).collect()
    }

    /// The next deadline of all entities.
    pub(crate) fn next_due(&self) -> Option<(Key, Deadline<Timer>)> {
        let all = self
            .states
            .iter()
            .flat_map(|(key, state)| ChargingFamily::timers(state).into_iter().map(move |deadline| (*key, deadline)));
        all.min_by_key(|(_, deadline)| deadline.due)
    }

    /// Lets time pass, firing what falls due, in due order.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some((key, Deadline { timer, due })) = self.next_due().filter(|(_, d)| d.due <= until) {
            self.now = self.now.max(due);
            self.ask(key, Command::Fired(timer)).unwrap();
            let again = self
                .states
                .get(&key)
                .is_some_and(|state| ChargingFamily::timers(state).contains(&Deadline { timer, due }));
            assert!(!again, "{timer:?} of {key} fired without effect");
        }
        self.now = until;
    }

    /// The CALL that is outstanding.
    pub(crate) fn outstanding(&self) -> Option<(CommandId, Call)> {
        self.charger().in_flight().map(|pending| (pending.id, pending.call.clone()))
    }

    pub(crate) fn answer(&mut self, outcome: Outcome) -> Call {
        self.answer_with(outcome, charger::Told::Nothing)
    }

    /// With what the answer says beyond yes and no.
    pub(crate) fn answer_with(&mut self, outcome: Outcome, told: charger::Told) -> Call {
        let (command_id, call) = self.outstanding().expect("a call is outstanding");
        let generation = self.ambient.generation;
        self.tell(charger::Command::CommandAnswered { command_id, generation, outcome, told });
        call
    }

    /// Accepts everything that is outstanding or follows.
    pub(crate) fn answer_all(&mut self) {
        for _ in 0..20 {
            match self.outstanding() {
                Some(_) => drop(self.answer(accepted())),
                None => return,
            }
        }
        panic!("calls without an end");
    }

    pub(crate) fn status(&mut self, connector: u16, status: Status) {
        let at = Some(time(self.now));
        let fact = StatusFact { connector: ConnectorId(connector), status, fault: None, remark: None, at };
        self.tell(charger::Command::Status(fact));
    }

    /// A status with an error code.
    pub(crate) fn fault(&mut self, connector: u16, status: Status, code: ErrorCode, vendor: &str) {
        let vendor = (!vendor.is_empty()).then(|| vendor.into());
        let (at, fault) = (Some(time(self.now)), Some(Fault::told(code, vendor, None)));
        let fact = StatusFact { connector: ConnectorId(connector), status, fault, remark: None, at };
        self.tell(charger::Command::Status(fact));
    }

    /// Every lock works.
    pub(crate) fn without_locks(&mut self) {
        let locks: Vec<u16> = self.charger().locks().iter().map(|lock| lock.connector_id.0).collect();
        for connector in locks {
            let data = Some(format!("{{\"connectorId\":{connector},\"state\":\"lowered\"}}").into());
            let (vendor, message) = (charger::lock::VENDOR.into(), Some(charger::lock::REPORT.into()));
            self.tell(charger::Command::DataTransfer { vendor, message, data });
        }
    }

    /// The limits that the rules are decided with, to be changed.
    pub(crate) fn policy(&mut self) -> &mut crate::domain::charging::Policy {
        std::sync::Arc::make_mut(&mut self.ambient.policy)
    }

    /// The last case of that code, as its ticket or alert row.
    pub(crate) fn case(&self, table: &'static str, code: &str) -> serde_json::Value {
        let rows = self.rows.iter().filter(|((of, _), _)| *of == table);
        let mut values = rows.map(|(_, value)| serde_json::from_slice::<serde_json::Value>(value).unwrap());
        values.rfind(|value| value["code"] == code).unwrap_or_else(|| panic!("no {table} {code}"))
    }

    /// A partner's start of a fresh session.
    pub(crate) fn open(&mut self, n: u128, connector: u16) -> Result<SessionId, Rejection> {
        self.open_with(n, connector, Limits::default(), None)
    }

    pub(crate) fn open_with(
        &mut self,
        n: u128,
        connector: u16,
        limits: Limits,
        deadline: Option<Duration>,
    ) -> Result<SessionId, Rejection> {
        let session = SessionId(uuid::Uuid::from_u128(n));
        let opening = Opening {
            session,
            request: format!("r{n}").parse().unwrap(),
            partner: "acme".parse().unwrap(),
            connector: ConnectorId(connector),
            user: "u1".into(),
            sealed: Some("sealed".into()),
            limits,
            deadline,
            reservation: None,
        };
        self.ask(Key::Charger, charger::Command::StartSession(Box::new(opening))).map(|_| session)
    }

    /// The tag of a session that is starting.
    pub(crate) fn tag(&self, session: SessionId) -> Tag {
        Tag::Remote(self.charger().live_session(session).unwrap().id_tag.clone().unwrap())
    }

    /// A partner's session that charges on connector 1, from 1000 Wh.
    pub(crate) fn charging() -> (Self, SessionId, TransactionId) {
        let mut world = World::ready();
        let session = world.open(1, 1).unwrap();
        world.answer(accepted());
        let tag = world.tag(session);
        let transaction = world.start(1, tag, 1000, "m1");
        world.clear();
        (world, session, transaction)
    }

    /// StartTransaction, now.
    pub(crate) fn start(&mut self, connector: u16, tag: Tag, meter: i64, message: &str) -> TransactionId {
        let fact = start_fact(connector, tag, meter, time(self.now), message);
        self.begin(fact).0
    }

    pub(crate) fn begin(&mut self, fact: StartFact) -> (TransactionId, Verdict) {
        match self.tell(charger::Command::TransactionStart(fact)) {
            Reply::TransactionStarted { transaction, verdict } => (transaction, verdict),
            other => panic!("{other:?}"),
        }
    }

    /// StopTransaction, now.
    pub(crate) fn stop(&mut self, transaction: TransactionId, meter: i64, reason: Option<StopReason>, message: &str) {
        let fact = stop_fact(transaction, Some(meter), time(self.now), reason, message);
        self.tell(charger::Command::TransactionStop(fact));
    }

    /// MeterValues, now.
    pub(crate) fn meter(&mut self, transaction: TransactionId, energy_wh: i64) {
        let samples = vec![sample(self.now, energy_wh)];
        let fact = MeterFact { connector: ConnectorId(1), transaction: Some(transaction), samples };
        self.tell(charger::Command::MeterValues(fact));
    }

    pub(crate) fn ask_stop(&mut self, session: SessionId, request: &str) -> Result<Reply, Rejection> {
        let by = StopBy::Partner(request.parse().unwrap());
        self.ask(Key::Session(session), session::Command::Stop(by))
    }

    /// The kinds of the notices so far, in order.
    pub(crate) fn told(&self) -> Vec<&str> {
        self.notices.iter().map(|notice| notice.kind.as_str()).collect()
    }

    /// The data of the last notice of that kind.
    pub(crate) fn last(&self, kind: &str) -> &serde_json::Value {
        &self.notices.iter().rev().find(|notice| notice.kind == kind).unwrap_or_else(|| panic!("no {kind}")).data
    }

    /// The codes of the cases raised so far, in order.
    pub(crate) fn cases(&self) -> Vec<&str> {
        let cases = self.effects.iter().filter_map(|effect| match effect {
            Effect::Alert(case) => Some(&*case.code),
            Effect::SendCall { .. }
            | Effect::CloseLink { .. }
            | Effect::SignCertificate { .. }
            | Effect::AskAccount { .. } => None,
        });
        cases.collect()
    }

    /// The calls sent so far, in order.
    pub(crate) fn calls(&self) -> Vec<&Call> {
        let calls = self.effects.iter().filter_map(|effect| match effect {
            Effect::SendCall { call, .. } => Some(call),
            Effect::Alert(_)
            | Effect::CloseLink { .. }
            | Effect::SignCertificate { .. }
            | Effect::AskAccount { .. } => None,
        });
        calls.collect()
    }

    pub(crate) fn row(&self, table: &'static str, key: &str) -> serde_json::Value {
        serde_json::from_slice(&self.rows[&(table, key.to_owned())]).unwrap()
    }
}
