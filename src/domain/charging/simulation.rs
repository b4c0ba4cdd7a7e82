//! Seeded random runs of a whole partition: commands of every kind, timers, answers, lost links, restarts, repeated
//! and reordered messages. The invariants (I4, I7, I8, contiguous notices, bounds) are checked by the test kit after
//! every step; here it is also checked that the interesting things happened at all.

use super::testkit::*;
use super::{Key, Reply};
use crate::clock::Timestamp;
use crate::domain::charger::{
    self, BootPolicy, Call, ErrorCode, Fault, MeterFact, Outcome, Sample, StartFact, Status, StatusFact, StopFact,
    StopReason, Tag, Verdict, WireTime,
};
use crate::domain::session::{Limits, StopBy};
use crate::ids::{CommandId, ConnectorId, SessionId, TransactionId};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

const STATUSES: [Status; 9] = [
    Status::Available,
    Status::Preparing,
    Status::Charging,
    Status::SuspendedEv,
    Status::SuspendedEvse,
    Status::Finishing,
    Status::Reserved,
    Status::Unavailable,
    Status::Faulted,
];

const REASONS: [Option<StopReason>; 6] = [
    None,
    Some(StopReason::Local),
    Some(StopReason::Remote),
    Some(StopReason::Other),
    Some(StopReason::PowerLoss),
    Some(StopReason::DeAuthorized),
];

/// How many seeds an ordinary test run takes; `SIMULATION_RUNS` asks for more, `SIMULATION_SEED` for a certain one.
const RUNS: u64 = 16;

/// A seeded source of numbers (splitmix64): the rules' folder knows no random source, and a seed must replay for ever.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn range<T: TryInto<i128> + TryFrom<i128>>(&mut self, range: Range<T>) -> T {
        let ends = (range.start.try_into().ok(), range.end.try_into().ok());
        let (Some(start), Some(end)) = ends else { panic!("no range") };
        let value = start + i128::from(self.next()) % (end - start);
        T::try_from(value).ok().unwrap()
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.range(0..1_000_000) < (share * 1e6) as i64
    }
}

struct Run {
    world: World,
    rng: Dice,
    sessions: Vec<SessionId>,
    tags: Vec<Tag>,
    starts: Vec<StartFact>,
    stops: Vec<StopFact>,
    transactions: Vec<TransactionId>,
    meter: i64,
    counted: BTreeMap<&'static str, u32>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let rng = Dice(seed);
        let (mut world, meter) = (World::ready(), 1000);
        world.policy().faults.reset = crate::config::faults::ResetKind::Soft;
        world.policy().faults.release_after = Duration::from_secs(7200);
        let (sessions, tags, starts, stops) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (transactions, counted) = (Vec::new(), BTreeMap::new());
        Run { world, rng, sessions, tags, starts, stops, transactions, meter, counted }
    }

    fn count(&mut self, what: &'static str) {
        *self.counted.entry(what).or_default() += 1;
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        (!list.is_empty()).then(|| list[self.rng.range(0..list.len())].clone())
    }

    /// Mostly the present; sometimes past, future, 1970, nothing.
    fn time(&mut self) -> WireTime {
        let now = self.world.now;
        match self.rng.range(0..20) {
            0 => time(Timestamp(0)),
            1 => time(now + Duration::from_secs(86_400 * 3650)),
            2 => WireTime { raw: "yesterday".into(), at: None },
            3 | 4 => time(now - Duration::from_secs(self.rng.range(0..864_000))),
            5 => time(now - Duration::from_secs(self.rng.range(0..600))),
            _ => time(now),
        }
    }

    fn register(&mut self) -> i64 {
        self.meter += self.rng.range(0..500);
        match self.rng.range(0..15) {
            0 => self.meter - 5000,
            1 => i64::MAX,
            2 => -1,
            3 => self.meter + 10_000_000,
            _ => self.meter,
        }
    }

    fn step(&mut self) {
        match self.rng.range(0..100) {
            0..10 => self.world.pass(self.rng.range(0..90)),
            10 => {
                let long = self.rng.range(600..90_000);
                self.world.pass(long);
            }
            11..23 => self.open(),
            23..45 => self.answer(),
            45..58 => self.start(),
            58..62 => self.repeat(),
            62..73 => self.read(),
            73..82 => self.stop(),
            82..86 => self.ask_stop(),
            86..90 => self.status(),
            90 => self.report_lock(),
            91 => self.move_lock(),
            92..95 => self.link(),
            95 => self.restart(),
            96 => drop(self.world.tell(charger::Command::Boot(boot()))),
            97 => {
                self.operate();
                self.report();
            }
            98 => self.authorize(),
            _ => self.change(),
        }
    }

    fn open(&mut self) {
        let n = self.rng.next();
        let limits = Limits {
            energy_wh: self.rng.chance(0.2).then_some(500),
            duration_s: self.rng.chance(0.2).then_some(300),
            soc_percent: self.rng.chance(0.1).then_some(50),
            amount: None,
        };
        let deadline = self.rng.chance(0.3).then(|| Duration::from_secs(30));
        let connector = self.rng.range(0..4);
        let before = self.world.charger().live.len();
        match self.world.open_with(u128::from(n), connector, limits, deadline) {
            Ok(session) => {
                self.sessions.push(session);
                let tag = self.world.tag(session);
                self.tags.push(tag);
                self.count("opened");
            }
            Err(rejection) => {
                assert_eq!(self.world.charger().live.len(), before);
                self.count(rejection.code());
            }
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.rng.range(0..10) {
            0 => refused(),
            1 => Outcome::CallError { code: "InternalError".into(), description: "x".into() },
            2 => Outcome::LinkLost,
            3 => Outcome::TimedOut,
            _ => accepted(),
        }
    }

    fn answer(&mut self) {
        let outcome = self.outcome();
        let late = self.world.charger().finished.first().map(|finished| finished.id);
        match self.world.outstanding() {
            Some((_, Call::RemoteStart { .. })) if self.rng.chance(0.2) => self.count("unanswered"),
            Some((_, call)) => {
                let told = self.told(&call);
                self.world.answer_with(outcome, told);
            }
            None => {
                let command_id = late.unwrap_or(CommandId(uuid::Uuid::from_u128(9)));
                let generation = self.world.ambient.generation;
                self.world.tell(charger::Command::CommandAnswered {
                    command_id,
                    generation,
                    outcome,
                    told: charger::Told::Nothing,
                });
            }
        }
    }

    fn told(&mut self, call: &Call) -> charger::Told {
        let word = ["Accepted", "Rejected", "VersionMismatch", "RebootRequired"][self.rng.range(0..4)];
        match call {
            Call::SendLocalList { .. } | Call::ChangeConfiguration { .. } => charger::Told::Status(word.into()),
            Call::GetLocalListVersion => charger::Told::ListVersion(self.rng.range(0..6)),
            Call::GetConfiguration { .. } if self.rng.chance(0.8) => {
                let key = charger::configuration::Key {
                    key: "ConnectionTimeOut".into(),
                    value: Some(self.rng.range(49..52).to_string().into()),
                    readonly: self.rng.chance(0.2),
                };
                let told = charger::configuration::Told { keys: vec![key], unknown: Vec::new() };
                charger::Told::Configuration(Box::new(told))
            }
            _ => charger::Told::Nothing,
        }
    }

    /// What the device tells of itself.
    fn report(&mut self) {
        let kind = ["TamperDetectionActivated", "InvalidMessages"][self.rng.range(0..2)];
        let fact = charger::SecurityFact { kind: kind.into(), at: self.time(), info: None };
        self.world.tell(charger::Command::SecurityEvent(fact));
        let kind = charger::ReportKind::ALL[self.rng.range(0..4)];
        let status = ["Downloading", "DownloadFailed"][self.rng.range(0..2)].into();
        self.world.tell(charger::Command::Report { kind, status, request: None });
        self.world.ambient.certificates = self.rng.chance(0.5);
        self.world.tell(charger::Command::CertificateRequest { csr: kind.name().into() });
        self.count("reported");
    }

    fn start(&mut self) {
        let verdicts = [Verdict::Accepted, Verdict::Accepted, Verdict::Blocked, Verdict::Expired, Verdict::Unknown];
        let verdict = self.pick(&verdicts).unwrap();
        let remote = if self.rng.chance(0.7) { self.tags.last().cloned() } else { self.pick(&self.tags.clone()) };
        let tag = match remote {
            Some(tag) if self.rng.chance(0.7) => tag,
            Some(_) | None => token(verdict),
        };
        let connector = [1, 1, 1, 2, 2, 0, 7][self.rng.range(0..7)];
        let (meter, at) = (self.register(), self.time());
        let message = format!("m{}", self.rng.range(0..500));
        let fact = start_fact(connector, tag, meter, at, &message);
        self.starts.push(fact.clone());
        let (transaction, verdict) = self.world.begin(fact);
        self.transactions.push(transaction);
        self.count(if verdict == Verdict::Accepted { "began" } else { "began invalid" });
    }

    /// The same message again: the same answer, and nothing changes.
    fn repeat(&mut self) {
        if let Some(fact) = self.starts.last().cloned().filter(|_| self.rng.chance(0.5)) {
            let last = *self.transactions.last().unwrap();
            let steps = self.world.journal.len();
            let (transaction, _) = self.world.begin(fact);
            assert_eq!(transaction, last, "a repeated start got another transaction");
            assert_eq!(self.world.journal.len(), steps, "a repeated start changed something");
            self.count("start repeated");
        } else if let Some(fact) = self.stops.last().cloned().filter(|fact| self.remembered(fact.transaction)) {
            let steps = self.world.journal.len();
            self.world.tell(charger::Command::TransactionStop(fact));
            assert_eq!(self.world.journal.len(), steps, "a repeated stop changed something");
            self.count("stop repeated");
        }
    }

    fn remembered(&self, transaction: TransactionId) -> bool {
        self.world.charger().recent.iter().any(|recent| recent.transaction == transaction)
    }

    fn any_transaction(&mut self) -> TransactionId {
        let live: Vec<_> = self.world.charger().live.iter().filter_map(|live| live.transaction).collect();
        match self.rng.range(0..10) {
            0 => TransactionId(-1),
            1 => TransactionId(12_345),
            2 => self.pick(&self.transactions.clone()).unwrap_or(TransactionId(0)),
            _ => self.pick(&live).unwrap_or(TransactionId(7)),
        }
    }

    fn read(&mut self) {
        let transaction = self.any_transaction();
        let samples = (0..self.rng.range(0..4)).map(|_| {
            let (at, energy) = (self.time(), self.register());
            let soc_percent = Some(u8::try_from(self.rng.range(0..256)).unwrap());
            let unreadable = self.rng.chance(0.1);
            Sample { at, energy_wh: Some(energy), power_w: Some(7000), soc_percent, unreadable, signed: Vec::new() }
        });
        let samples: Vec<Sample> = samples.collect();
        let transaction = self.rng.chance(0.9).then_some(transaction);
        let fact = MeterFact { connector: ConnectorId(1), transaction, samples };
        self.world.tell(charger::Command::MeterValues(fact));
    }

    fn stop(&mut self) {
        let (transaction, at, meter) = (self.any_transaction(), self.time(), self.register());
        let reason = self.pick(&REASONS).unwrap();
        let message = format!("m{}", self.rng.range(0..500));
        let fact = stop_fact(transaction, self.rng.chance(0.95).then_some(meter), at, reason, &message);
        // Only one that is not a contradiction can be repeated without a trace.
        let over = self.world.charger().recent.iter().any(|r| r.transaction == transaction && r.stop.is_some());
        self.world.tell(charger::Command::TransactionStop(fact.clone()));
        self.stops.clear();
        self.stops.extend((!over && transaction.0 > 0).then_some(fact));
        self.count("stopped");
    }

    fn ask_stop(&mut self) {
        let Some(session) = self.sessions.last().copied() else { return };
        let request = format!("s{}", self.rng.range(0..9999));
        let by = StopBy::Partner(request.parse().unwrap());
        match self.world.ask(Key::Session(session), crate::domain::session::Command::Stop(by)) {
            Ok(Reply::StopTaken { online, .. }) => self.count(if online { "stop asked" } else { "stop asked offline" }),
            Ok(other) => panic!("{other:?}"),
            Err(rejection) => self.count(rejection.code()),
        }
    }

    fn status(&mut self) {
        let free = self.rng.chance(0.6);
        let status = if free { Status::Available } else { self.pick(&STATUSES).unwrap() };
        let code = self.pick(&ErrorCode::ALL).unwrap();
        let fault = (status == Status::Faulted || self.rng.chance(0.1)).then_some(Fault::told(code, None, None));
        let (connector, at) = (ConnectorId(self.rng.range(0..4)), Some(self.time()));
        self.world.tell(charger::Command::Status(StatusFact { connector, status, fault, remark: None, at }));
    }

    fn report_lock(&mut self) {
        let state = self.pick(&["raised", "lowered", "moving", "fault", "lost"]).unwrap();
        let connector = self.rng.range(0..4u16);
        let data = Some(format!("{{\"connectorId\":{connector},\"state\":\"{state}\"}}").into());
        let message = Some(charger::lock::REPORT.into());
        self.world.tell(charger::Command::DataTransfer { vendor: charger::lock::VENDOR.into(), message, data });
        assert!(self.world.charger().locks().len() <= 3, "one a connector, and the charger's");
    }

    fn move_lock(&mut self) {
        let command_id = CommandId(uuid::Uuid::from_u128(u128::from(self.rng.next())));
        let action = self.pick(&[charger::LockAction::Raise, charger::LockAction::Lower]).unwrap();
        let (connector, by) = (ConnectorId(self.rng.range(0..3)), "op".into());
        match self.world.ask(Key::Charger, charger::Command::MoveLock { command_id, connector, action, by }) {
            Ok(_) => self.count("lock moved"),
            Err(rejection) => self.count(rejection.code()),
        }
    }

    fn link(&mut self) {
        match self.world.ambient.online && self.rng.chance(0.6) {
            true => {
                let silent = self.rng.chance(0.3);
                self.world.link_down(silent);
            }
            false => self.world.link_up(),
        }
    }

    fn restart(&mut self) {
        let down = Duration::from_secs(self.rng.range(0..600));
        self.world.restart(down);
        self.count("restarted");
    }

    fn operate(&mut self) {
        let command_id = CommandId(uuid::Uuid::from_u128(u128::from(self.rng.next())));
        let version = self.rng.range(0..5);
        let call = match self.rng.range(0..5) {
            0 => Call::SendLocalList {
                version,
                full: version == 1,
                count: 1,
                entries: charger::SealedText("sealed".into()),
            },
            1 => Call::GetConfiguration { keys: Vec::new() },
            2 => Call::ClearChargingProfile { id: None, connector: None, purpose: None, stack_level: None },
            _ => Call::Reset { hard: false },
        };
        let command = charger::Command::Enqueue { command_id, call, by: "op".into() };
        match self.world.ask(Key::Charger, command) {
            Ok(_) => self.count("queued"),
            Err(rejection) => self.count(rejection.code()),
        }
    }

    fn authorize(&mut self) {
        if let Some(tag) = self.tags.last().cloned() {
            let steps = self.world.journal.len();
            assert!(matches!(self.world.tell(charger::Command::Authorize(tag)), Reply::Authorized { .. }));
            // A waiting command may be sent meanwhile; nothing else happens.
            assert!(self.world.journal.len() <= steps + 1);
        }
    }

    fn change(&mut self) {
        let boot = [BootPolicy::Accepted, BootPolicy::Accepted, BootPolicy::Pending][self.rng.range(0..3)];
        self.world.tell(register(2, boot));
        self.world.tell(register(2, BootPolicy::Accepted));
        self.world.tell(charger::Command::Boot(crate::domain::charging::testkit::boot()));
        self.world.tell(charger::Command::SetMaintenance { on: false, by: "op".into(), note: None });
    }
}

/// The second phase: nothing is injected any more, and everything must come to rest (I11).
fn come_to_rest(world: &mut World) {
    world.tell(register(2, BootPolicy::Accepted));
    world.link_up();
    world.tell(charger::Command::Boot(boot()));
    for _ in 0..100 {
        world.pass(1800);
        world.answer_all();
    }
    assert!(world.charger().live.is_empty(), "{:?}", world.charger().live);
    world.pass(8 * 86_400);
    assert_eq!(world.states.len(), 1, "sessions stay in memory");
    assert!(world.charger().queue.is_empty(), "{:?}", world.charger().queue);
    for lock in world.charger().locks() {
        let open = lock.order.as_ref().is_some_and(|order| order.result == charger::lock::MoveResult::Moving);
        assert!(!open, "an order without an end: {lock:?}");
    }
    world.without_locks();
    world.status(1, Status::Available);
    world.fault(1, Status::Faulted, ErrorCode::InternalError, "");
    world.pass(1);
    world.answer_all();
    assert!(world.cases().contains(&"charger_reset"), "a charger at rest is reset");
    world.status(1, Status::Available);
    world.tell(charger::Command::SetMaintenance { on: false, by: "op".into(), note: None });
    world.status(0, Status::Available);
    assert!(world.open(u128::MAX, 1).is_ok(), "a healthy charger takes a start");
}

/// What partners are told in some of these runs, for the catalogue of events.
pub(crate) fn told() -> Vec<crate::domain::entity::Notice> {
    let run = |seed| {
        let mut run = Run::new(seed);
        run.world.ambient.site = Some("site-1".parse().unwrap());
        (0..400).for_each(|_| run.step());
        come_to_rest(&mut run.world);
        run.world.notices
    };
    (0..10).flat_map(run).collect()
}

#[test]
fn random_runs_keep_the_invariants() {
    let runs = std::env::var("SIMULATION_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS);
    let first = std::env::var("SIMULATION_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut counted: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for seed in first..first + runs {
        let mut run = Run::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..400).for_each(|_| run.step())));
        let outcome = outcome
            .and_then(|()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| come_to_rest(&mut run.world))));
        assert!(outcome.is_ok(), "seed {seed} failed: SIMULATION_SEED={seed} SIMULATION_RUNS=1");
        assert_eq!(run.world.replay(), run.world.states, "seed {seed}");
        for (what, n) in run.counted {
            *counted.entry(what).or_default() += n;
        }
        for notice in &run.world.notices {
            *kinds.entry(notice.kind.clone()).or_default() += 1;
        }
        for case in run.world.cases() {
            *kinds.entry(case.to_owned()).or_default() += 1;
        }
    }
    if runs < RUNS {
        return;
    }
    for wanted in ["opened", "began", "began invalid", "start repeated", "stop repeated", "stop asked offline"] {
        assert!(counted.contains_key(wanted), "{wanted} never happened: {counted:?}");
    }
    for wanted in ["lock moved", "lock_unknown"] {
        assert!(counted.contains_key(wanted), "{wanted} never happened: {counted:?}");
    }
    for wanted in ["connector_occupied", "charger_offline", "session_over", "connector_unknown", "restarted"] {
        assert!(counted.contains_key(wanted), "{wanted} never happened: {counted:?}");
    }
    let told = ["session.started", "session.failed", "session.ended", "session.updated", "session.stop_result"];
    let cases = ["late_start", "settled_without_stop", "settled_late", "stop_not_confirmed", "charger_flapping"];
    let care = ["charger_reset", "charger_released", "parking_lock_faulted", "start_contradicted"];
    let more = ["stop_of_unknown_transaction", "readings_implausible", "samples_missed", "stop_contradicts"];
    for wanted in told.iter().chain(&cases).chain(&care).chain(&more) {
        assert!(kinds.contains_key(*wanted), "{wanted} never happened: {kinds:?}");
    }
}
