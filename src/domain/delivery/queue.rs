//! The facts of one webhook queue (EM-8): what is settled, what is outstanding and when it is due, what is dead, whether it is
//! stopped, how healthy it is. Owns their folding; the decisions are in `queue/decide.rs`, the order of sending in the
//! [`super::Scheduler`].
//!
//! Invariants: every position of the partner's outbox up to `low_water` is settled, or in `open`, or a dead letter;
//! `ahead` holds settled positions beyond it; `open` is bounded by the scheduler's window plus one page of replay.

mod decide;
mod keep;
mod knock;
#[cfg(test)]
mod tests;

use super::answer::{Attempt, Entry, Logged, Outcome};
use super::health::Health;
use crate::clock::Timestamp;
use crate::ids::EndpointName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) use decide::decide;
pub use knock::{Knock, Unverified};

/// The type of the event that a partner can send itself (EM-9).
pub const TEST_KIND: &str = "webhook.test";
/// The type of what is sent to a URL before anything else, and to an endpoint that may be there again.
pub const VERIFICATION_KIND: &str = "webhook.verification";

/// An outstanding delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Which event.
    pub entry: Entry,
    /// Failed tries so far.
    pub failures: u16,
    /// When the next try is due.
    pub due: Timestamp,
    /// Asked for again after it was settled: never coalesced, left out of the latency metric.
    pub replayed: bool,
}

/// Who has stopped an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// An operator, who alone lets it go on.
    #[default]
    Operator,
    /// The endpoint itself, by a 410.
    Gone,
    /// We, as every try has failed for too long.
    Failing,
}

impl Stopped {
    /// As partners read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stopped::Operator => "operator",
            Stopped::Gone => "gone",
            Stopped::Failing => "failing",
        }
    }
}

/// Why nothing is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// For people.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    #[serde(default)]
    pub by: Stopped,
    /// When it is next asked whether it is there again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Timestamp>,
}

/// A delivery that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dead {
    /// Which event.
    pub entry: Entry,
    /// How many tries it had.
    pub attempts: u16,
    /// What came of the last one.
    pub answer: super::answer::Answer,
    /// When it was given up.
    pub at: Timestamp,
}

/// Which events a replay is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selection {
    /// Events that happened in this time, ends included.
    Times {
        /// First moment.
        from: Timestamp,
        /// Last moment.
        to: Timestamp,
    },
    /// Events at these positions, ends included.
    Positions {
        /// First position.
        from: u64,
        /// Last position.
        to: u64,
    },
    /// All dead letters.
    Dead,
}

/// A replay under way: fed page by page as there is room, so that it needs no memory for what it selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Names it within the queue.
    pub id: u64,
    /// What it selects.
    pub selection: Selection,
    /// Everything up to this position has been looked at.
    pub cursor: u64,
    /// Positions beyond this one came after the replay was asked for and are not part of it.
    pub until: u64,
    /// Events put back so far.
    pub fed: u64,
}

/// An event to be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayEntry {
    /// Which.
    pub entry: Entry,
    /// It is a dead letter, and stops being one.
    pub dead: bool,
}

/// What the shell tells about finished tries, and up to where everything is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Finished tries, in the order in which they finished.
    pub attempts: Vec<Attempt>,
    /// Settled without a try: superseded status events, types that are not subscribed.
    pub dropped: Vec<u64>,
    /// The new low-water mark: all up to here is settled (this report included), in `open`, or in `listed`.
    pub low_water: u64,
    /// Unsettled events at or below the new mark that are not in `open` yet.
    pub listed: Vec<Entry>,
}

/// An event that only this partner is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its type.
    pub kind: String,
    /// Within one key, order is kept.
    pub order_key: String,
    /// What is told.
    pub data: serde_json::Value,
}

/// What a queue can be asked.
#[derive(Debug, Clone)]
pub enum QueueCommand {
    /// A copy of the state.
    Observe,
    /// Tries have finished.
    Report(Report),
    /// Send these again (one, a few).
    Resend(Vec<ReplayEntry>),
    /// Send a range or all dead letters again.
    StartReplay {
        /// What.
        selection: Selection,
        /// The newest position there is.
        until: u64,
    },
    /// The next page of a replay.
    FeedReplay {
        /// Which replay.
        id: u64,
        /// Up to where the shell has looked.
        cursor: u64,
        /// What it found.
        entries: Vec<ReplayEntry>,
        /// There is no more.
        finished: bool,
    },
    /// Hold everything back for a while.
    Pause,
    /// The opposite.
    Resume,
    /// Stop for a reason.
    Disable {
        /// For people.
        reason: String,
    },
    /// The opposite: everything outstanding is due as it was, what a 410 held back is due now.
    Enable,
    /// Begin, or go on, at a URL.
    Aim {
        /// A new queue: events up to this position are not its business.
        from: Option<u64>,
        /// What the URL has to do first.
        proof: Proof,
    },
    /// Ask the endpoint at once whether it is who and where it is said to be.
    Verify,
    /// A person vouches for the URL.
    Vouch,
    /// The endpoint was asked; so it answered.
    Knocked(super::answer::Answer),
    /// These dead letters are not wanted any more.
    Discard(Vec<u64>),
    /// The endpoint is gone for good, with these dead letters.
    Retire {
        /// Their positions.
        dead: Vec<u64>,
    },
    /// Send the endpoint of this name a `webhook.test` event.
    Test(EndpointName),
    /// Put these into its outbox.
    Tell(Vec<Told>),
}

/// What has happened to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueFact {
    /// These are done: delivered, or dropped by rule.
    Settled {
        /// Their positions.
        positions: Vec<u64>,
    },
    /// A try failed; the next is due.
    Failed(Open),
    /// A delivery was given up.
    DeadLettered(Dead),
    /// The low-water mark moved.
    Advanced {
        /// The new mark.
        to: u64,
        /// Unsettled events at or below it, due at once.
        listed: Vec<Entry>,
        /// When.
        at: Timestamp,
    },
    /// Tries were made: a page of the log.
    Logged {
        /// Number of the page, from 0.
        page: u64,
        /// The row it is kept in; older pages are overwritten.
        slot: u64,
        /// The tries.
        attempts: Vec<Logged>,
    },
    /// An alert level was reached, or left (0).
    HealthAlerted {
        /// The level in percent.
        level: u8,
    },
    /// Nothing is sent any more.
    Disabled(Disabled),
    /// Sending goes on.
    Enabled,
    /// The URL has to prove itself, or has failed to so far: this is the whole of it.
    Unverified(Unverified),
    /// It has, or a person vouches for it.
    Verified,
    /// Dead letters were thrown away.
    Discarded {
        /// Their positions.
        dead: Vec<u64>,
    },
    /// The endpoint is gone for good.
    Retired {
        /// Positions of the dead letters that went with it.
        dead: Vec<u64>,
        /// Rows that its log has at most.
        slots: u64,
        /// A ticket about its dead letters was open.
        #[serde(default)]
        open: bool,
    },
    /// Held back by a person.
    Paused,
    /// No longer.
    Resumed,
    /// Events are to be sent again.
    Replayed {
        /// Which.
        entries: Vec<ReplayEntry>,
        /// When.
        at: Timestamp,
    },
    /// A replay began.
    ReplayStarted(Replay),
    /// A replay got on.
    ReplayAdvanced {
        /// Which.
        id: u64,
        /// Up to where.
        cursor: u64,
        /// How many events it put back in this step.
        fed: u64,
    },
    /// A replay is through.
    ReplayFinished {
        /// Which.
        id: u64,
    },
}

/// What follows for one failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again.
    Retry {
        /// Failed tries so far.
        failures: u16,
        /// The journaled time.
        due: Timestamp,
        /// The same as a wait from now, for a clock that does not jump.
        wait: Duration,
    },
    /// Given up.
    Dead,
    /// Kept until the endpoint is enabled.
    Held,
    /// It had been settled before.
    Settled,
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// For each try that was not delivered, by position.
    pub verdicts: Vec<(u64, Verdict)>,
    /// Dead letters now.
    pub dead: u64,
    /// Failing tries among the newest, in percent.
    pub failing_percent: u8,
    /// It was enough: the endpoint is disabled, nothing more is sent.
    pub disabled: bool,
}

/// What a queue answers.
#[derive(Debug)]
pub enum QueueReply {
    /// A copy of the state.
    State(Box<Queue>),
    /// A report is taken in.
    Reported(Reported),
    /// How many events were put back; the others are outstanding anyway.
    Replayed(u64),
    /// A replay began under this id.
    ReplayStarted(u64),
    /// Done.
    Done,
}

/// What a URL has to do before anything is sent there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is new here: answer a challenge.
    Needed,
    /// It has another way (T/CEC 102: the exchange of tokens).
    Spared,
    /// It has not changed.
    AsBefore,
}

/// A queue: the fold of its facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Up to here every event is settled, in `open`, or dead.
    pub low_water: u64,
    /// Outstanding deliveries that are known by name: failed before, listed, or replayed.
    pub open: BTreeMap<u64, Open>,
    /// Settled positions beyond the mark.
    pub ahead: BTreeSet<u64>,
    /// Dead letters that wait for a replay; they are rows of the table `webhook-dead`.
    pub dead: u64,
    /// No dead letter is before this position; absent if there is none, or one from a build that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_from: Option<u64>,
    /// Since when there are any.
    pub dead_since: Option<Timestamp>,
    /// Why nothing is sent.
    pub disabled: Option<Disabled>,
    /// Held back by a person.
    pub paused: bool,
    /// The URL has not proved itself yet. Queues from before that was asked are free of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<Unverified>,
    /// The endpoint is gone for good; what is left is this mark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// From every try.
    pub health: Health,
    /// Pages of the log written so far.
    pub log_pages: u64,
    /// Replays under way or waiting, oldest first.
    pub replays: Vec<Replay>,
    /// Replays begun so far.
    pub replays_begun: u64,
}

impl Queue {
    /// Whether this position is known to need nothing more.
    pub fn is_settled(&self, position: u64) -> bool {
        !self.open.contains_key(&position) && (position <= self.low_water || self.ahead.contains(&position))
    }

    /// Whether something may be sent.
    pub fn is_running(&self) -> bool {
        self.disabled.is_none() && !self.paused && self.unverified.is_none() && !self.retired
    }

    fn settle(&mut self, position: u64) {
        self.open.remove(&position);
        if position > self.low_water {
            self.ahead.insert(position);
        }
    }

    /// Folds a fact.
    pub(super) fn apply(&mut self, fact: &QueueFact) {
        match fact {
            QueueFact::Settled { positions } => positions.iter().for_each(|p| self.settle(*p)),
            QueueFact::Failed(open) => {
                self.open.insert(open.entry.position, open.clone());
            }
            QueueFact::DeadLettered(dead) => {
                self.settle(dead.entry.position);
                self.bury(dead.entry.position);
                self.dead_since.get_or_insert(dead.at);
            }
            QueueFact::Advanced { to, listed, at } => self.advance(*to, listed, *at),
            QueueFact::Logged { page, attempts, .. } => {
                self.log_pages = page + 1;
                attempts.iter().for_each(|a| self.health.note(matches!(a.outcome, Outcome::Delivered), a.started));
            }
            QueueFact::HealthAlerted { level } => self.health.alerted = *level,
            QueueFact::Disabled(disabled) => self.disabled = Some(disabled.clone()),
            QueueFact::Enabled => {
                self.disabled = None;
                // What was before says nothing about now.
                self.health = Health::default();
            }
            QueueFact::Unverified(unverified) => self.unverified = Some(unverified.clone()),
            QueueFact::Verified => self.unverified = None,
            QueueFact::Discarded { dead } => self.forget_dead(dead.len()),
            QueueFact::Retired { .. } => {
                *self = Queue { retired: true, low_water: self.low_water, ..Queue::default() };
            }
            QueueFact::Paused => self.paused = true,
            QueueFact::Resumed => self.paused = false,
            QueueFact::Replayed { entries, at } => entries.iter().for_each(|entry| self.reopen(entry, *at)),
            QueueFact::ReplayStarted(replay) => {
                self.replays_begun = replay.id;
                self.replays.push(replay.clone());
            }
            QueueFact::ReplayAdvanced { id, cursor, fed } => {
                for replay in self.replays.iter_mut().filter(|replay| replay.id == *id) {
                    replay.cursor = *cursor;
                    replay.fed += fed;
                }
            }
            QueueFact::ReplayFinished { id } => self.replays.retain(|replay| replay.id != *id),
        }
    }

    fn advance(&mut self, to: u64, listed: &[Entry], due: Timestamp) {
        for entry in listed {
            let open = Open { entry: entry.clone(), failures: 0, due, replayed: false };
            self.open.entry(entry.position).or_insert(open);
        }
        self.low_water = self.low_water.max(to);
        self.ahead = self.ahead.split_off(&self.low_water.saturating_add(1));
    }

    fn reopen(&mut self, again: &ReplayEntry, due: Timestamp) {
        let open = Open { entry: again.entry.clone(), failures: 0, due, replayed: true };
        self.open.entry(again.entry.position).and_modify(|open| open.replayed = true).or_insert(open);
        self.forget_dead(usize::from(again.dead));
    }

    fn forget_dead(&mut self, count: usize) {
        self.dead = self.dead.saturating_sub(count as u64);
        if self.dead == 0 {
            (self.dead_since, self.dead_from) = (None, None);
        }
    }
}
