//! The audit trail (OP-3, EM-14's sister; control 41): a line for every write of an operator and for every refusal, appended and
//! never changed. Owns the chain that makes a changed or missing line show, and what goes when it is old.
//!
//! Invariants: lines are numbered without gaps and their times never fall; each is chained to the one before by a digest; only the
//! oldest go, and the digest of the last that went stays, so that what is left can still be verified.

use super::family::{OperatorFamily, Rejection, Reply};
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Decision};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Lines that one step takes away: the record stays small.
pub const PRUNED_AT_ONCE: usize = 200;

/// What an operator did, or was refused. No body, no query, no secret, nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who: an account's id, `root/<name>`, `root`, or empty where nobody was proven.
    pub actor: Box<str>,
    /// With which token of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Box<str>>,
    /// From which address.
    pub address: Box<str>,
    /// Method and route.
    pub action: Box<str>,
    /// On what.
    pub target: Box<str>,
    /// The answer's HTTP status.
    pub status: u16,
    /// Its error code, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// The caller's name of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Box<str>>,
    /// Ours, as in the answer's `X-Trace-Id` and in the log.
    pub trace_id: Box<str>,
}

/// A line in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub line: Line,
    /// The chain's digest with this line, hexadecimal SHA-256.
    pub chain: Box<str>,
}

impl Entry {
    /// What the chain's digest must be after `before`.
    pub fn chained(&self, before: &str) -> Box<str> {
        chain(before, self.number, self.at, &self.line)
    }
}

fn chain(before: &str, number: u64, at: Timestamp, line: &Line) -> Box<str> {
    let mut digest = Sha256::new();
    digest.update(before.as_bytes());
    // Texts and numbers in a fixed order: always the same JSON.
    digest.update(serde_json::to_vec(&(number, at, line)).unwrap_or_default());
    hex::encode(digest.finalize()).into()
}

/// The trail's two ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Number of the newest line.
    pub last: u64,
    /// Its time.
    pub last_at: Timestamp,
    /// The chain's digest there.
    pub head: Box<str>,
    /// Number of the newest line that is gone; 0: none.
    pub pruned: u64,
    /// The chain's digest there.
    pub anchor: Box<str>,
}

/// What the trail can be asked.
#[derive(Debug, Clone)]
pub enum TrailOrder {
    /// Write a line.
    Note(Box<Line>),
    /// Take the oldest lines away; they follow each other from the first there is.
    Prune(Vec<Entry>),
}

/// What has happened to the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrailFact {
    /// A line was written.
    Noted(Box<Entry>),
    /// The oldest lines are gone.
    Pruned {
        /// Number and time of each: its row's key.
        lines: Vec<(u64, Timestamp)>,
        /// The chain's digest at the last of them.
        anchor: Box<str>,
    },
}

impl Trail {
    pub(super) fn fold(&mut self, fact: &TrailFact) {
        match fact {
            TrailFact::Noted(entry) => {
                (self.last, self.last_at, self.head) = (entry.number, entry.at, entry.chain.clone());
            }
            TrailFact::Pruned { lines, anchor } => {
                self.pruned = lines.last().map_or(self.pruned, |(number, _)| *number);
                self.anchor = anchor.clone();
            }
        }
    }
}

pub(super) fn decide(
    trail: &Trail,
    order: TrailOrder,
    context: &Context<'_, ()>,
) -> Result<Decision<OperatorFamily>, Rejection> {
    match order {
        TrailOrder::Note(line) => {
            let (number, at) = (trail.last + 1, context.now.max(trail.last_at));
            let chain = chain(&trail.head, number, at, &line);
            let entry = Entry { number, at, line: *line, chain };
            Ok(Decision::reply(Reply::Done).event(TrailFact::Noted(Box::new(entry)).into()))
        }
        TrailOrder::Prune(entries) => {
            let mut expected = trail.pruned;
            for entry in &entries {
                expected += 1;
                if entry.number != expected {
                    return Err(Rejection::NotTheOldest);
                }
            }
            let Some(last) = entries.last() else { return Ok(Decision::reply(Reply::Done)) };
            let anchor = last.chain.clone();
            let lines = entries.iter().map(|entry| (entry.number, entry.at)).collect();
            Ok(Decision::reply(Reply::Done).event(TrailFact::Pruned { lines, anchor }.into()))
        }
    }
}

/// What a look at the whole trail has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Whether every line is as it was written, and none is missing.
    pub sound: bool,
    /// Lines there are.
    pub lines: u64,
    /// The first place that is wrong: the number of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong_at: Option<u64>,
    /// What is wrong there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<&'static str>,
}

/// A look at the whole trail, line by line from the oldest.
#[derive(Debug)]
pub struct Verifying {
    until: Trail,
    number: u64,
    chain: Box<str>,
    found: Findings,
}

impl Verifying {
    /// Begins. Lines written after `trail` was looked at are left out.
    pub fn begin(trail: Trail) -> Self {
        let found = Findings { sound: true, lines: 0, wrong_at: None, problem: None };
        Verifying { number: trail.pruned, chain: trail.anchor.clone(), until: trail, found }
    }

    /// The next line; whether to go on.
    pub fn line(&mut self, entry: &Entry) -> bool {
        if entry.number > self.until.last {
            return false;
        }
        self.number += 1;
        if entry.number != self.number {
            return self.wrong("a line is missing");
        }
        if entry.chained(&self.chain) != entry.chain {
            return self.wrong("the line was changed, or the one before");
        }
        self.found.lines += 1;
        self.chain.clone_from(&entry.chain);
        true
    }

    /// A line that cannot be read.
    pub fn unreadable(&mut self) {
        self.number += 1;
        self.wrong("the line cannot be read");
    }

    fn wrong(&mut self, problem: &'static str) -> bool {
        self.found =
            Findings { sound: false, lines: self.found.lines, wrong_at: Some(self.number), problem: Some(problem) };
        false
    }

    /// What was found.
    pub fn end(mut self) -> Findings {
        if self.found.sound && self.number < self.until.last {
            self.number += 1;
            self.wrong("the newest lines are missing");
        } else if self.found.sound && self.chain != self.until.head {
            self.wrong("the newest line is not the one that was written");
        }
        self.found
    }
}
