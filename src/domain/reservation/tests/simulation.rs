//! Seeded random runs of 500 users at a charger of ten connectors: reservations, starts, cards, ends of every kind, lost
//! links, crashes. The test kit checks after every step that a connector has one hold and one session at the most and that a
//! replay gives the same state; here it is checked that both are of one user, and that the interesting things happened.

use super::*;
use crate::domain::charger::{BootPolicy, Outcome, Told};
use crate::domain::charging::Timer;
use crate::domain::charging::purse::{AccountOutcome, AccountRequest};
use crate::domain::charging::testkit::{accepted, boot, refused, register, start_fact, time};
use crate::domain::charging::{Command as FamilyCommand, Effect};
use crate::domain::entity::Family as _;
use crate::ids::TransactionId;
use std::collections::{BTreeMap, BTreeSet};

const CONNECTORS: u16 = 10;
const USERS: u64 = 500;
const STEPS: u32 = 1000;
const RUNS: u64 = 6;

struct Crowd {
    world: World,
    state: u64,
    next: u128,
    reservations: Vec<u128>,
    running: Vec<TransactionId>,
    counted: BTreeMap<String, u32>,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut world = World::empty();
        world.tell(register(CONNECTORS, BootPolicy::Accepted));
        world.link_up();
        world.tell(charger::Command::Boot(boot()));
        for connector in 0..=CONNECTORS {
            world.status(connector, ConnectorStatus::Available);
        }
        world.pass(1);
        world.answer_all();
        let (reservations, running, counted) = (Vec::new(), Vec::new(), BTreeMap::new());
        Crowd { world, state: seed, next: 1, reservations, running, counted }
    }

    /// splitmix64: a seed must replay for ever.
    fn dice(&mut self, sides: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn fresh(&mut self) -> u128 {
        self.next += 1;
        self.next
    }

    fn user(&mut self) -> Box<str> {
        // Most of them want something once; a few come again and again.
        let of = if self.dice(3) == 0 { 12 } else { USERS };
        format!("u{}", self.dice(of)).into()
    }

    fn connector(&mut self) -> u16 {
        u16::try_from(self.dice(u64::from(CONNECTORS))).unwrap() + 1
    }

    fn count(&mut self, what: &str) {
        *self.counted.entry(what.to_owned()).or_default() += 1;
    }

    fn counted<T>(&mut self, what: &str, outcome: Result<T, Rejection>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.count(what);
                Some(value)
            }
            Err(rejection) => {
                self.count(rejection.code());
                None
            }
        }
    }

    fn some_hold(&mut self) -> Option<Hold> {
        let holds = self.world.charger().holds.clone();
        let place = usize::try_from(self.dice(holds.len().max(1) as u64)).unwrap();
        holds.get(place).cloned()
    }

    fn step(&mut self) {
        match self.dice(100) {
            0..22 => self.reserve(),
            22..40 => self.start_remotely(),
            40..52 => self.answer(),
            52..66 => self.begin(),
            66..76 => self.end_one(),
            76..84 => self.stop(),
            84..90 => {
                let seconds = self.dice(400);
                self.world.pass(seconds);
            }
            90..94 => {
                let (connector, which) = (self.connector(), self.dice(4));
                let of = [ConnectorStatus::Faulted, ConnectorStatus::Unavailable, ConnectorStatus::Preparing];
                let status = usize::try_from(which).ok().and_then(|n| of.get(n)).copied();
                self.world.status(connector, status.unwrap_or(ConnectorStatus::Available));
            }
            94 => {
                self.world.link_down(false);
                self.world.link_up();
            }
            95 => self.crash(),
            96 => drop(self.world.tell(charger::Command::Boot(boot()))),
            _ => self.mend(),
        }
        self.answer_accounts();
        self.check();
    }

    /// People repair what has broken, and release the charger from the maintenance that it came into by itself.
    fn mend(&mut self) {
        (1..=CONNECTORS).for_each(|connector| self.world.status(connector, ConnectorStatus::Available));
        self.world.tell(charger::Command::SetMaintenance { on: false, by: "eve".into(), note: None });
    }

    fn reserve(&mut self) {
        let (n, user, connector, account) = (self.fresh(), self.user(), self.connector(), self.dice(2) == 0);
        let ahead = Duration::from_secs(if self.dice(8) == 0 { 300 } else { 0 });
        let length = Some(Duration::from_secs(60 + self.dice(1740)));
        let asked = self.world.reserve(Booking { user, account, ahead, length, ..booking(n, connector) });
        if self.counted("reserved", asked).is_some() {
            self.reservations.push(n);
        }
    }

    fn start_remotely(&mut self) {
        let (n, hold) = (self.fresh(), self.some_hold());
        let mine = hold.filter(|_| self.dice(2) == 0);
        let (user, connector, named) = match mine {
            Some(hold) => (hold.user, hold.connector.0, (self.dice(2) == 0).then_some(hold.reservation.0.as_u128())),
            None => (self.user(), self.connector(), None),
        };
        let asked = self.world.open_for(n, connector, &user, named);
        self.counted("start asked", asked);
    }

    fn answer(&mut self) {
        let Some((_, call)) = self.world.outstanding() else { return };
        let words = ["Accepted", "Accepted", "Accepted", "Rejected", "Occupied"];
        let word = words[usize::try_from(self.dice(5)).unwrap()];
        let (outcome, told) = match call {
            Call::ReserveNow { .. } => {
                let outcome = if word == "Accepted" { accepted() } else { refused() };
                (outcome, Told::Status(word.into()))
            }
            _ if self.dice(8) == 0 => (Outcome::TimedOut, Told::Nothing),
            _ => (if word == "Rejected" { refused() } else { accepted() }, Told::Nothing),
        };
        self.world.answer_with(outcome, told);
    }

    /// A transaction begins: of an awaited start, a holder's card, or anybody's.
    fn begin(&mut self) {
        let awaited = self.world.charger().live.iter().find(|live| live.transaction.is_none()).cloned();
        let hold = self.some_hold();
        let (connector, tag) = match (self.dice(3), awaited, hold) {
            (0, Some(live), _) => (live.connector.0, Tag::Remote(live.id_tag.unwrap())),
            (1, _, Some(hold)) => (hold.connector.0, card(&hold.user)),
            _ => (self.connector(), card(&self.user())),
        };
        if self.world.charger().live_on(ConnectorId(connector)).is_some_and(|live| live.transaction.is_some()) {
            return;
        }
        let ago = if self.dice(12) == 0 { 1200 } else { 0 };
        let at = time(self.world.now - Duration::from_secs(ago));
        let message = format!("m{}", self.fresh());
        let (transaction, verdict) = self.world.begin(start_fact(connector, tag, 1000, at, &message));
        self.running.push(transaction);
        self.count(if verdict == Verdict::Accepted { "began" } else { "refused" });
    }

    fn stop(&mut self) {
        if let Some(transaction) = self.running.pop() {
            let message = format!("s{}", self.fresh());
            self.world.stop(transaction, 2000, None, &message);
        }
    }

    fn end_one(&mut self) {
        let place = usize::try_from(self.dice(self.reservations.len().max(1) as u64)).unwrap();
        let Some(n) = self.reservations.get(place).copied() else { return };
        let asked = match self.dice(3) {
            0 => self.world.complain(n),
            1 => self.world.cancel(n, CancelBy::Operator("eve".into())),
            _ => self.world.cancel(n, CancelBy::Partner),
        };
        self.counted("ended by somebody", asked);
        self.reservations.retain(|one| self.world.states.contains_key(&Key::Reservation(id(*one))));
    }

    fn crash(&mut self) {
        let downtime = Duration::from_secs(self.dice(200));
        self.world.restart(downtime);
        self.world.link_up();
        self.count("crashed");
    }

    /// Accounts answer most of what they are asked, yes or no.
    fn answer_accounts(&mut self) {
        let asked: Vec<AccountRequest> = self
            .world
            .effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::AskAccount { request, .. } => Some(request),
                Effect::SendCall { .. }
                | Effect::CloseLink { .. }
                | Effect::SignCertificate { .. }
                | Effect::Alert(_) => None,
            })
            .collect();
        for request in asked {
            let freeze = matches!(request, AccountRequest::Freeze { .. });
            let outcome = match self.dice(6) {
                0 => continue,
                1 if freeze => AccountOutcome::Refused("balance_too_low".into()),
                2 => AccountOutcome::Unavailable,
                _ => AccountOutcome::Done,
            };
            let reservation = request.cause().split('/').nth(1).unwrap().parse().unwrap();
            let command = Command::AccountAnswered { cause: request.cause().into(), outcome };
            if self.world.states.contains_key(&Key::Reservation(reservation)) {
                self.world.ask(Key::Reservation(reservation), FamilyCommand::Reservation(command)).unwrap();
            }
        }
    }

    /// A connector has one holder: a user who holds it and a session that may charge there are the same.
    fn check(&self) {
        let charger = self.world.charger();
        // One whose time is over is nobody's any more, though its timer has not fired yet.
        for hold in charger.holds.iter().filter(|hold| hold.until >= self.world.now) {
            let Some(live) = charger.live_on(hold.connector) else { continue };
            let allowed = charger.recent.iter().any(|recent| {
                recent.session == live.session && recent.verdict == Verdict::Accepted && recent.stop.is_none()
            });
            // Told late, and over since: its stop is on the way behind it.
            let before = self.world.session(live.session).started_at.is_some_and(|at| at < hold.since);
            let fine = hold.arriving == Some(live.session) || !allowed || before;
            assert!(fine, "{hold:?} and {live:?} at {}", self.world.now);
        }
    }

    /// Nothing happens any more: all of it comes to an end, and accounts have answered.
    fn come_to_rest(&mut self) {
        for _ in 0..40 {
            self.world.pass(1800);
            self.world.answer_all();
            self.answer_accounts();
        }
        let left: Vec<_> = self.world.states.keys().filter(|key| matches!(key, Key::Reservation(_))).collect();
        assert!(left.is_empty() && self.world.charger().holds.is_empty(), "{left:?}");
        let held = self.world.rows.keys().any(|(table, _)| *table == "user-hold");
        assert!(!held, "a user is still thought to hold something");
    }
}

/// What partners are told in some of these crowds, for the catalogue of events.
pub(crate) fn told() -> Vec<crate::domain::entity::Notice> {
    let crowd = |seed| {
        let mut crowd = Crowd::new(seed);
        crowd.world.ambient.site = Some("site-1".parse().unwrap());
        (0..STEPS).for_each(|_| crowd.step());
        crowd.come_to_rest();
        crowd.world.notices
    };
    (0..RUNS.min(10)).flat_map(crowd).collect()
}

#[test]
fn one_holder_a_connector_whatever_500_users_and_crashes_do() {
    let (mut counted, mut ends) = (BTreeMap::<String, u32>::new(), BTreeSet::new());
    for seed in 0..RUNS {
        let mut crowd = Crowd::new(seed);
        (0..STEPS).for_each(|_| crowd.step());
        crowd.come_to_rest();
        for (what, n) in crowd.counted {
            *counted.entry(what).or_default() += n;
        }
        for ((table, _), value) in &crowd.world.rows {
            if *table == "reservation" {
                let row: serde_json::Value = serde_json::from_slice(value).unwrap();
                ends.insert(row["end_cause"].as_str().unwrap().to_owned());
            }
        }
    }
    for wanted in ["reserved", "start asked", "began", "refused", "ended by somebody", "crashed", "connector_reserved"]
    {
        assert!(counted.contains_key(wanted), "{wanted} never happened: {counted:?}");
    }
    let wanted = ["arrived", "cancelled_in_time", "cancelled_late", "cancelled_by_operator", "no_show", "complaint"];
    let more = ["deposit_refused", "connector_faulted", "connector_unavailable", "connector_occupied"];
    for wanted in wanted.iter().chain(&more) {
        assert!(ends.contains(*wanted), "{wanted} never happened: {ends:?}");
    }
}

#[test]
fn a_timer_of_another_entity_does_no_harm() {
    let mut world = World::held();
    let before = world.states.clone();
    for timer in [Timer::Settle, Timer::Pump, Timer::Forget, Timer::PaymentDeadline, Timer::AskAccount] {
        world.ask(Key::Reservation(id(1)), FamilyCommand::Fired(timer)).unwrap();
    }
    assert_eq!(world.states, before);
    let state = &world.states[&Key::Reservation(id(1))];
    assert_eq!(crate::domain::charging::ChargingFamily::timers(state).len(), 1);
}
