//! Which event of a queue goes next (EM-8). Owns lanes, pace and window; pure: time is passed in, nothing is sent or stored.
//! Volatile: after a crash it is rebuilt from the [`Queue`]'s journaled state and the outbox.
//!
//! Invariants: a lane (order key) sends its lowest position, one at a time, and waits for nobody else; at most
//! [`Pace::window`] events are held (the rest stays in the outbox until there is room); a mark that it reports never
//! passes an event that is neither settled nor listed.

mod gate;
#[cfg(test)]
mod tests;

use super::answer::{Class, Entry};
use super::queue::{Queue, Report, Verdict};
use crate::clock::Timestamp;
use gate::Gate;
pub use gate::Pace;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Settled positions beyond the mark before the laggards below them are listed by name: keeps the journaled set small
/// without listing everything that is merely in flight.
const AHEAD_MAX: usize = 256;
/// Laggards listed in one report: keeps a record small.
const LISTED_MAX: usize = 128;

/// Tries at once to an endpoint that has not answered yet, or not since it was probed; each success adds one, up to the
/// cap. Keeps a thousand dead endpoints from taking thirty thousand sockets.
const CAUTIOUS: usize = 4;

/// The pause after the first failed probe; each further one doubles it.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause. An endpoint that refuses at once would otherwise be tried as fast as failures can be journaled, at
/// its neighbours' cost (I14); a longer one would make the retries of a long queue later than partners were promised.
const PROBE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// An event that the outbox has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Which.
    pub entry: Entry,
    /// Whether the partner has subscribed to its type.
    pub wanted: bool,
}

/// A try to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Which event.
    pub entry: Entry,
    /// Which try, from 1.
    pub attempt: u16,
    /// The event was asked for again before this was begun.
    pub replayed: bool,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Make this try; it counts as in flight from here on.
    Send(Pick),
    /// Nothing until this moment, or until something changes.
    Wait(Option<Timestamp>),
    /// Something is due, but the rate or the partner's 429 holds it back until then.
    Throttled(Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Sending,
    /// Failed; the queue's verdict is not journaled yet.
    Judged,
}

#[derive(Debug)]
struct Item {
    entry: Entry,
    failures: u16,
    due: Timestamp,
    phase: Phase,
    replayed: bool,
}

#[derive(Debug, Default)]
struct Lane {
    positions: BTreeSet<u64>,
    /// The head is being sent or judged.
    busy: bool,
    /// What the lane has in `ready`.
    exposed: Option<(Timestamp, u64)>,
}

/// The order of sending of one queue.
#[derive(Debug)]
pub struct Scheduler {
    pace: Pace,
    items: BTreeMap<u64, Item>,
    lanes: HashMap<Arc<str>, Lane>,
    ready: BTreeSet<(Timestamp, u64)>,
    /// Unsettled positions beyond the mark that the journal does not know by name.
    unlisted: BTreeSet<u64>,
    /// Settled positions beyond the mark.
    ahead: BTreeSet<u64>,
    /// Asked for again before they were read: they take their turn in the outbox.
    asked: BTreeMap<u64, Item>,
    /// Settled here, not yet journaled.
    unreported: BTreeSet<u64>,
    dropped: Vec<u64>,
    low_water: u64,
    tail: u64,
    running: bool,
    in_flight: usize,
    /// Tries that may be under way now.
    allowance: usize,
    failures_in_row: u32,
    gate: Gate,
    coalesced: u64,
}

/// Whether a newer event of the same type and key makes this one pointless. Only statuses: what is told to a person, or
/// carries a sequence number, never is.
pub fn coalesces(entry: &Entry) -> bool {
    !entry.sequenced && entry.kind.ends_with(".status")
}

impl Scheduler {
    /// Rebuilt from the journaled facts. The outbox is to be read from [`Self::tail`] on.
    pub fn new(pace: Pace, queue: &Queue) -> Self {
        let mut scheduler = Scheduler {
            gate: Gate::new(&pace),
            pace,
            items: BTreeMap::new(),
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            ahead: queue.ahead.clone(),
            asked: BTreeMap::new(),
            unreported: BTreeSet::new(),
            dropped: Vec::new(),
            low_water: queue.low_water,
            tail: queue.low_water,
            running: true,
            in_flight: 0,
            allowance: CAUTIOUS,
            failures_in_row: 0,
            coalesced: 0,
        };
        scheduler.sync(queue);
        scheduler
    }

    /// Takes over what was changed from outside: stopped or not, events put back by a replay.
    pub fn sync(&mut self, queue: &Queue) {
        self.running = queue.is_running();
        self.asked.clear();
        for (position, open) in &queue.open {
            // Asked for again while it is held: its next try is what was asked for.
            if let Some(item) = self.items.get_mut(position) {
                item.replayed |= open.replayed;
                continue;
            }
            // Settled here, and the journal is about to hear of it.
            if self.unreported.contains(position) {
                continue;
            }
            let item = Item {
                entry: open.entry.clone(),
                failures: open.failures,
                due: open.due,
                phase: Phase::Waiting,
                replayed: open.replayed,
            };
            // Sent now, it would overtake what is before it in its lane.
            if item.replayed && *position > self.tail {
                self.asked.insert(*position, item);
            } else {
                self.insert(item);
            }
        }
    }

    /// New numbers (live configuration).
    pub fn set_pace(&mut self, pace: Pace) {
        self.gate = Gate::new(&pace);
        self.pace = pace;
    }

    /// The last outbox position that has arrived.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// How many more events fit in.
    pub fn room(&self) -> usize {
        self.pace.window.saturating_sub(self.items.len())
    }

    /// Events held, and so not settled.
    pub fn depth(&self) -> usize {
        self.items.len()
    }

    /// Whether this event is held.
    pub fn holds(&self, position: u64) -> bool {
        self.items.contains_key(&position)
    }

    /// Tries under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When the oldest event happened that is held and was not asked for again.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.items.values().find(|item| !item.replayed).map(|item| item.entry.at)
    }

    /// The endpoint was disabled: nothing more is sent until the queue is looked at again.
    pub fn halt(&mut self) {
        self.running = false;
    }

    /// Whether something may be sent at all.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Events that were dropped in favour of a newer one since the last call.
    pub fn take_coalesced(&mut self) -> u64 {
        std::mem::take(&mut self.coalesced)
    }

    /// Takes in the next events of the outbox, in order.
    pub fn arrive(&mut self, arrivals: impl IntoIterator<Item = Arrival>, now: Timestamp) {
        for Arrival { entry, wanted } in arrivals {
            let position = entry.position;
            if position <= self.tail {
                continue;
            }
            self.tail = position;
            if let Some(item) = self.asked.remove(&position) {
                self.insert(item);
                continue;
            }
            if self.items.contains_key(&position) || self.ahead.contains(&position) {
                continue;
            }
            if !wanted {
                self.drop_silently(position);
                continue;
            }
            let due = if coalesces(&entry) { self.supersede(&entry, now) } else { now };
            self.unlisted.insert(position);
            self.insert(Item { entry, failures: 0, due, phase: Phase::Waiting, replayed: false });
        }
    }

    /// Drops older waiting statuses of the lane; the newest takes over the due time of one that has failed, so that a
    /// flapping connector does not hammer a failing partner.
    fn supersede(&mut self, newer: &Entry, now: Timestamp) -> Timestamp {
        let Some(lane) = self.lanes.get(&newer.order_key) else { return now };
        let older: Vec<u64> = lane.positions.range(..newer.position).copied().collect();
        let mut due = now;
        for position in older {
            let Some(item) = self.items.get(&position) else { continue };
            let same = coalesces(&item.entry) && item.entry.kind == newer.kind;
            if same && item.phase == Phase::Waiting && !item.replayed {
                if item.failures > 0 {
                    due = due.max(item.due);
                }
                self.remove(position);
                self.drop_silently(position);
                self.coalesced += 1;
            }
        }
        due
    }

    fn drop_silently(&mut self, position: u64) {
        self.settle(position);
        self.dropped.push(position);
    }

    fn settle(&mut self, position: u64) {
        self.unlisted.remove(&position);
        self.unreported.insert(position);
        if position > self.low_water {
            self.ahead.insert(position);
        }
    }

    /// What to do at `now`. Call until it is no longer [`Next::Send`].
    pub fn next(&mut self, now: Timestamp) -> Next {
        let cap = if self.is_probing() { 1 } else { self.allowance.min(self.pace.in_flight.max(1)) };
        let Some(&(due, position)) = self.ready.first() else { return Next::Wait(None) };
        if !self.running || self.in_flight >= cap {
            return Next::Wait(None);
        }
        if due > now {
            return Next::Wait(Some(due));
        }
        let opens = self.gate.opens(now);
        if opens > now {
            return Next::Throttled(opens);
        }
        let Some(item) = self.items.get_mut(&position) else {
            // Whatever is removed is taken from `ready` too, so this does not happen; never spin on it.
            self.ready.pop_first();
            return Next::Wait(Some(now));
        };
        item.phase = Phase::Sending;
        let pick =
            Pick { entry: item.entry.clone(), attempt: item.failures.saturating_add(1), replayed: item.replayed };
        self.gate.pass(now);
        self.in_flight += 1;
        if let Some(lane) = self.lanes.get_mut(&pick.entry.order_key) {
            lane.busy = true;
        }
        self.expose(&pick.entry.order_key);
        Next::Send(pick)
    }

    fn is_probing(&self) -> bool {
        self.pace.probe_after > 0 && self.failures_in_row >= self.pace.probe_after
    }

    /// A picked try could not begin (its payload cannot be read now): as if it had not been picked.
    pub fn put_back(&mut self, position: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(item) = self.items.get_mut(&position) else { return };
        item.phase = Phase::Waiting;
        let key = item.entry.order_key.clone();
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.busy = false;
        }
        self.expose(&key);
    }

    /// A try was delivered: its lane goes on at once, the journal hears of it with the next report.
    pub fn delivered(&mut self, position: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.allowance = if self.is_probing() { CAUTIOUS } else { (self.allowance + 1).min(self.pace.in_flight) };
        self.failures_in_row = 0;
        self.settle(position);
        self.remove(position);
    }

    /// A try was not delivered: its lane waits for the verdict.
    pub fn failed(&mut self, position: u64, class: Class, retry_after: Option<Duration>, now: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        match class {
            Class::SlowDown => {
                let pause = retry_after
                    .unwrap_or_default()
                    .clamp(self.pace.slow_min, self.pace.slow_max.max(self.pace.slow_min));
                self.gate.close_until(now + pause);
            }
            Class::Failed | Class::Hopeless if self.is_probing() => {
                let doublings = self.failures_in_row.saturating_sub(self.pace.probe_after).min(10);
                self.gate.close_until(now + PROBE_PAUSE.saturating_mul(1 << doublings).min(PROBE_PAUSE_MAX));
            }
            Class::Delivered | Class::Gone | Class::Failed | Class::Hopeless => {}
        }
        if let Some(item) = self.items.get_mut(&position) {
            item.phase = Phase::Judged;
        }
    }

    /// What the queue decided about a failed try, journaled.
    pub fn judged(&mut self, position: u64, verdict: Verdict, now: Timestamp) {
        match verdict {
            Verdict::Retry { failures, due: _, wait } => self.wait_again(position, failures, now + wait),
            Verdict::Held => {
                self.running = false;
                let failures = self.items.get(&position).map_or(0, |item| item.failures);
                self.wait_again(position, failures, now);
            }
            Verdict::Dead | Verdict::Settled => {
                self.settle(position);
                // The journal knows already.
                self.unreported.remove(&position);
                self.remove(position);
            }
        }
    }

    fn wait_again(&mut self, position: u64, failures: u16, due: Timestamp) {
        self.unlisted.remove(&position);
        let Some(item) = self.items.get_mut(&position) else { return };
        item.failures = failures;
        item.due = due;
        item.phase = Phase::Waiting;
        let key = item.entry.order_key.clone();
        let kind = item.entry.kind.clone();
        let may_go = coalesces(&item.entry) && !item.replayed;
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.busy = false;
        }
        let newest = self.lanes.get(&key).and_then(|lane| {
            let later = lane.positions.range(position + 1..).filter_map(|p| self.items.get(p));
            later
                .filter(|later| later.entry.kind == kind && coalesces(&later.entry))
                .map(|l| l.entry.position)
                .next_back()
        });
        if let (true, Some(newest)) = (may_go, newest) {
            if let Some(item) = self.items.get_mut(&newest) {
                item.due = item.due.max(due);
            }
            self.remove(position);
            self.drop_silently(position);
            self.coalesced += 1;
        }
        self.expose(&key);
    }

    /// Makes the report of what has finished: these tries, what was dropped, and how far all is known.
    pub fn report(&mut self, attempts: Vec<super::answer::Attempt>) -> Report {
        let mut listed = Vec::new();
        if self.ahead.len() > AHEAD_MAX {
            while listed.len() < LISTED_MAX {
                let Some(position) = self.unlisted.pop_first() else { break };
                listed.extend(self.items.get(&position).map(|item| item.entry.clone()));
            }
        }
        let floor = self.unlisted.first().map_or(self.tail, |first| first - 1);
        self.low_water = self.low_water.max(floor);
        self.ahead = self.ahead.split_off(&(self.low_water + 1));
        Report { attempts, dropped: std::mem::take(&mut self.dropped), low_water: self.low_water, listed }
    }

    /// Whether something was dropped that the journal does not know of yet.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// A report is journaled.
    pub fn reported(&mut self, positions: impl IntoIterator<Item = u64>) {
        for position in positions {
            self.unreported.remove(&position);
        }
    }

    fn insert(&mut self, item: Item) {
        let key = item.entry.order_key.clone();
        let position = item.entry.position;
        self.items.insert(position, item);
        self.lanes.entry(key.clone()).or_default().positions.insert(position);
        self.expose(&key);
    }

    fn remove(&mut self, position: u64) {
        let Some(item) = self.items.remove(&position) else { return };
        let key = item.entry.order_key;
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.positions.remove(&position);
            // A waiting event that is dropped says nothing about the one on its way.
            if item.phase != Phase::Waiting {
                lane.busy = false;
            }
        }
        self.expose(&key);
    }

    /// Brings the lane's place in `ready` in line with its head.
    fn expose(&mut self, key: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if let Some(old) = lane.exposed.take() {
            self.ready.remove(&old);
        }
        match lane.positions.first() {
            None => {
                self.lanes.remove(key);
            }
            Some(_) if lane.busy => {}
            Some(head) => {
                let due = self.items.get(head).map_or(Timestamp(0), |item| item.due);
                lane.exposed = Some((due, *head));
                self.ready.insert((due, *head));
            }
        }
    }
}
