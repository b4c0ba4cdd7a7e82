//! Random runs of queue and scheduler together: successes, failures, time-outs, crashes, replays, pauses. After each the partner
//! gets well, the queue drains, and the numbered invariants must hold:
//!
//! 1. every event was delivered at least once, or is a dead letter, or was superseded by a newer status, or was not subscribed;
//!    one that was asked for again was delivered after that, or is a dead letter;
//! 2. within a key, the first deliveries are in order, and never two tries are under way; a crash may forget that a
//!    status was superseded, but then the newer one comes again after it, so that the newest is always the last;
//! 3. at each step the journaled mark passes nothing that is neither settled nor listed;
//! 4. a crash repeats no more than was in flight or not yet reported;
//! 5. nothing due is kept waiting while the cap has room (no key waits for another).

use super::testkit::{Partition, entry, http, status, tried};
use super::*;
use crate::clock::Timestamp;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Act {
    Publish { key: u8, status: bool, wanted: bool },
    Finish { which: u8, code: u16 },
    Flush,
    Sleep(u32),
    Crash,
    Resend(u8),
    ReplayDead,
    Pause(bool),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0u8..5, any::<bool>(), 0u8..10).prop_map(|(key, status, w)| Act::Publish { key, status, wanted: w > 0 }),
        8 => (any::<u8>(), prop_oneof![3 => Just(200u16), 2 => Just(500), 1 => Just(0), 1 => Just(429), 1 => Just(410)])
            .prop_map(|(which, code)| Act::Finish { which, code }),
        3 => Just(Act::Flush),
        3 => (1u32..100_000_000).prop_map(Act::Sleep),
        1 => Just(Act::Crash),
        1 => any::<u8>().prop_map(Act::Resend),
        1 => Just(Act::ReplayDead),
        1 => any::<bool>().prop_map(Act::Pause),
    ]
}

struct World {
    /// The partner's: its endpoints share it.
    partition: Rc<RefCell<Partition>>,
    id: QueueId,
    outbox: Vec<(Entry, bool)>,
    scheduler: Scheduler,
    in_flight: Vec<Pick>,
    finished: Vec<Attempt>,
    now: Timestamp,
    /// Deliveries the partner has seen, by position.
    delivered: BTreeMap<u64, u32>,
    /// Deliveries that are in order to be repeated: in flight or unreported at a crash, or asked for again.
    excused: BTreeMap<u64, u32>,
    first_of_key: BTreeMap<String, u64>,
    /// The last status that came to the partner without being asked for again.
    last_status: BTreeMap<String, u64>,
    dropped: BTreeSet<u64>,
    /// Asked for again, and how often each had been delivered then.
    resent: BTreeMap<u64, u32>,
}

fn pace() -> Pace {
    Pace {
        window: 12,
        in_flight: 3,
        rate_per_s: 0,
        burst: 1,
        probe_after: 0,
        slow_min: Duration::from_secs(1),
        slow_max: Duration::from_secs(60),
    }
}

impl World {
    fn new() -> Self {
        let mut partition = Partition::new();
        partition.policy.schedule.truncate(2);
        World::of(Rc::new(RefCell::new(partition)), QueueId::MAIN)
    }

    /// The world of one endpoint.
    fn of(partition: Rc<RefCell<Partition>>, id: QueueId) -> Self {
        World {
            scheduler: Scheduler::new(pace(), &Queue::default()),
            partition,
            id,
            outbox: vec![],
            in_flight: vec![],
            finished: vec![],
            now: Timestamp(0),
            delivered: BTreeMap::new(),
            excused: BTreeMap::new(),
            first_of_key: BTreeMap::new(),
            last_status: BTreeMap::new(),
            dropped: BTreeSet::new(),
            resent: BTreeMap::new(),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Publish { key, status: is_status, wanted } => {
                // Positions rise with gaps, as those of one partner do.
                let position = self.outbox.last().map_or(1, |(last, _)| last.position + 1 + u64::from(key % 3));
                let key = if is_status { format!("connector/{key}") } else { format!("session/{key}") };
                let event = if is_status { status(position, &key) } else { entry(position, &key) };
                self.outbox.push((event, wanted));
            }
            Act::Finish { which, code } => self.finish(which, code),
            Act::Flush => self.flush(),
            Act::Sleep(millis) => self.now = self.now + Duration::from_millis(u64::from(millis)),
            Act::Crash => self.crash(),
            Act::Resend(which) => {
                let Some((entry, _)) = self.outbox.get(usize::from(which)) else { return };
                let key = rows::dead_key("acme", self.id, entry.position);
                let dead = self.partition.borrow().rows.contains_key(&(rows::DEAD, key));
                self.again(vec![ReplayEntry { entry: entry.clone(), dead }]);
            }
            Act::ReplayDead => {
                let dead = self.letters();
                self.again(dead.into_iter().map(|dead| ReplayEntry { entry: dead.entry, dead: true }).collect());
            }
            Act::Pause(pause) => {
                let command = if pause { QueueCommand::Pause } else { QueueCommand::Resume };
                self.ask(command);
                self.scheduler.sync(&self.queue());
            }
        }
        self.turn();
    }

    fn again(&mut self, entries: Vec<ReplayEntry>) {
        let queue = self.queue();
        for again in &entries {
            let position = again.entry.position;
            *self.excused.entry(position).or_default() += 1;
            // Asked for twice before the first was heard of, it is sent once.
            if queue.open.get(&position).is_none_or(|open| !open.replayed) {
                self.resent.insert(position, self.delivered.get(&position).copied().unwrap_or(0));
            }
        }
        self.ask(QueueCommand::Resend(entries));
        self.scheduler.sync(&self.queue());
    }

    /// What the driver does after anything happened: reads on, begins what may begin.
    fn turn(&mut self) {
        let (tail, room) = (self.scheduler.tail(), self.scheduler.room());
        let next = self.outbox.iter().filter(|(entry, _)| entry.position > tail).take(room);
        let arrivals: Vec<_> = next.map(|(entry, wanted)| Arrival { entry: entry.clone(), wanted: *wanted }).collect();
        self.scheduler.arrive(arrivals, self.now);
        while let Next::Send(pick) = self.scheduler.next(self.now) {
            let key = &pick.entry.order_key;
            assert!(self.in_flight.iter().all(|other| other.entry.order_key != *key), "2: {key}");
            self.in_flight.push(pick);
        }
        assert!(self.in_flight.len() <= 3 && self.scheduler.depth() <= 12 + 40);
        self.check_mark();
    }

    fn finish(&mut self, which: u8, code: u16) {
        if self.in_flight.is_empty() {
            return;
        }
        let pick = self.in_flight.remove(usize::from(which) % self.in_flight.len());
        let position = pick.entry.position;
        // 0: the partner took it, and we did not hear of it.
        let answer = if code == 0 { Answer::TimedOut } else { http(code) };
        if code == 200 || code == 0 {
            self.take(&pick);
        }
        if code == 0 {
            *self.excused.entry(position).or_default() += 1;
        }
        let class = answer.class();
        let attempt = Attempt { replayed: pick.replayed, ..tried(&pick.entry, self.now, answer) };
        self.finished.push(attempt);
        if class == Class::Delivered {
            self.scheduler.delivered(position);
        } else {
            self.scheduler.failed(position, class, None, self.now);
            self.flush();
        }
    }

    /// The partner takes an event.
    fn take(&mut self, pick: &Pick) {
        let position = pick.entry.position;
        let seen = self.delivered.entry(position).or_default();
        *seen += 1;
        let again = *seen > 1 || pick.replayed;
        assert!(*seen <= 1 + self.excused.get(&position).copied().unwrap_or(0), "4: {position} taken {seen} times");
        let last = self.first_of_key.entry(pick.entry.order_key.to_string()).or_default();
        assert!(again || *last < position, "2: {position} after {last} of {}", pick.entry.order_key);
        *last = position.max(*last);
        if coalesces(&pick.entry) && !pick.replayed {
            self.last_status.insert(pick.entry.order_key.to_string(), position);
        }
    }

    fn flush(&mut self) {
        let report = self.scheduler.report(std::mem::take(&mut self.finished));
        self.dropped.extend(&report.dropped);
        let positions: Vec<u64> =
            report.attempts.iter().map(|a| a.entry.position).chain(report.dropped.iter().copied()).collect();
        let reported = match self.ask(QueueCommand::Report(report)) {
            PartnerReply::Queue(QueueReply::Reported(reported)) => reported,
            other => panic!("{other:?}"),
        };
        self.scheduler.reported(positions);
        for (position, verdict) in reported.verdicts {
            self.scheduler.judged(position, verdict, self.now);
        }
        // As the driver does when it is told that the queue has changed: stopped, or something is to be sent once more.
        self.scheduler.sync(&self.queue());
    }

    fn crash(&mut self) {
        for pick in self.in_flight.drain(..) {
            *self.excused.entry(pick.entry.position).or_default() += 1;
            // It may have arrived.
            let seen = self.delivered.entry(pick.entry.position).or_default();
            *seen += 1;
        }
        for attempt in self.finished.drain(..) {
            *self.excused.entry(attempt.entry.position).or_default() += 1;
        }
        let text = serde_json::to_string(&self.queue()).unwrap();
        let queue: Queue = serde_json::from_str(&text).unwrap();
        assert_eq!(queue, self.queue());
        // What the journal did not hear of comes again, so for statuses the order counts from what it did hear of.
        for (key, first) in self.first_of_key.iter_mut().filter(|(key, _)| key.starts_with("connector/")) {
            let of_key = self.outbox.iter().map(|(event, _)| event).filter(|event| *event.order_key == **key);
            let known = of_key.filter(|event| event.position <= *first && queue.is_settled(event.position));
            *first = known.map(|event| event.position).max().unwrap_or(0);
        }
        self.scheduler = Scheduler::new(pace(), &queue);
    }

    fn check_mark(&self) {
        let queue = self.queue();
        let dead: BTreeSet<u64> = self.dead();
        assert_eq!(dead.len() as u64, queue.dead);
        for (event, wanted) in self.outbox.iter().filter(|(event, _)| event.position <= queue.low_water) {
            let position = event.position;
            let known = queue.open.contains_key(&position)
                || dead.contains(&position)
                || self.delivered.contains_key(&position)
                || self.dropped.contains(&position)
                || !wanted;
            assert!(known, "3: {position} is lost below the mark {}", queue.low_water);
        }
    }

    fn dead(&self) -> BTreeSet<u64> {
        self.letters().into_iter().map(|dead| dead.entry.position).collect()
    }

    fn letters(&self) -> Vec<Dead> {
        let prefix = rows::prefix("acme", self.id);
        let partition = self.partition.borrow();
        let own = partition.rows.iter().filter(|((table, key), _)| *table == rows::DEAD && key.starts_with(&prefix));
        own.map(|(_, row)| serde_json::from_slice(row).unwrap()).collect()
    }

    fn queue(&self) -> Queue {
        self.partition.borrow().queue_of(self.id)
    }

    fn ask(&mut self, command: QueueCommand) -> PartnerReply {
        self.partition.borrow_mut().ask_queue(self.id, command, self.now).unwrap().reply
    }

    /// The partner is well from now on.
    fn drain(&mut self) {
        for command in [QueueCommand::Resume, QueueCommand::Enable] {
            self.ask(command);
        }
        self.scheduler.sync(&self.queue());
        for _ in 0..2000 {
            self.turn();
            if !self.in_flight.is_empty() {
                self.finish(0, 200);
                continue;
            }
            self.flush();
            self.turn();
            if self.in_flight.is_empty() {
                match self.scheduler.next(self.now) {
                    Next::Wait(Some(at)) | Next::Throttled(at) => self.now = self.now.max(at),
                    Next::Wait(None) => break,
                    Next::Send(pick) => self.in_flight.push(pick),
                }
            }
        }
    }

    fn check_end(&self) {
        let queue = self.queue();
        assert!(queue.open.is_empty(), "{:?}", queue.open);
        assert_eq!(self.scheduler.depth(), 0);
        let dead = self.dead();
        for (event, wanted) in &self.outbox {
            let position = event.position;
            // A newer status supersedes it also if it is sent only because somebody asked for it.
            let sent = |(e, w): &&(Entry, bool)| *w || self.excused.contains_key(&e.position);
            let newest = self.outbox.iter().filter(sent).rfind(|(e, _)| e.order_key == event.order_key);
            let superseded = coalesces(event) && newest.is_some_and(|(newest, _)| newest.position > position);
            let done = self.delivered.contains_key(&position) || dead.contains(&position) || !wanted || superseded;
            assert!(done, "1: {position} is neither delivered nor dead");
            let asked_for = *wanted || self.excused.contains_key(&position);
            assert!(asked_for || !self.delivered.contains_key(&position), "1: {position} was not subscribed");
        }
        for (position, before) in &self.resent {
            let after = self.delivered.get(position).copied().unwrap_or(0);
            assert!(after > *before || dead.contains(position), "1: {position} was asked for and not sent");
        }
        for (key, last) in &self.last_status {
            let newest = self.outbox.iter().rfind(|(event, wanted)| *wanted && *event.order_key == **key);
            let newest = newest.map_or(0, |(event, _)| event.position);
            // A dead or replayed one may be newer; a delivered one that is newer must have been the last.
            let asked_for = dead.contains(&newest) || self.resent.contains_key(&newest);
            assert!(*last == newest || asked_for, "2: {key} ends with {last}, the newest is {newest}");
        }
        assert_eq!(queue.low_water, self.outbox.last().map_or(0, |(last, _)| last.position));
        assert!(queue.ahead.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_delivered_in_order_or_visibly_dead(acts in prop::collection::vec(acts(), 1..120)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
        }
        world.drain();
        world.check_end();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Two endpoints of one partner, each with a fate of its own over the same outbox: whatever becomes of one, the other's
    /// deliveries keep every promise, and neither reads a row of the other's.
    #[test]
    fn two_endpoints_of_a_partner_keep_their_promises_apart(
        acts in prop::collection::vec((any::<bool>(), any::<bool>(), acts()), 1..160),
    ) {
        let mut one = World::new();
        let mut two = World::of(Rc::clone(&one.partition), QueueId(1));
        for (which, also, act) in acts {
            match act {
                // The outbox is the partner's; what is taken of it is each endpoint's own.
                Act::Publish { key, status, wanted } => {
                    one.act(Act::Publish { key, status, wanted });
                    two.act(Act::Publish { key, status, wanted: also });
                }
                act if which => one.act(act),
                act => two.act(act),
            }
        }
        // The other is still as it was when the first is through.
        let before = two.queue();
        one.drain();
        one.check_end();
        prop_assert_eq!(two.queue(), before);
        two.drain();
        two.check_end();
    }
}

#[test]
fn a_key_that_always_fails_holds_no_other_back() {
    let mut world = World::new();
    for n in 0..8 {
        world.act(Act::Publish { key: 0, status: false, wanted: true });
        world.act(Act::Publish { key: 1 + n % 4, status: false, wanted: true });
        while let Some(at) = world.in_flight.iter().position(|pick| &*pick.entry.order_key != "session/0") {
            world.finish(u8::try_from(at).unwrap(), 200);
            world.turn();
        }
    }
    // 5: the first of the stuck key is still under way, and everything else is through.
    assert_eq!(world.in_flight.len(), 1);
    assert_eq!(world.delivered.len(), 8);
    assert_eq!(world.scheduler.depth(), 8);
}
