//! What people do with a ticket (OP-2): assign, note, close, with history. Owns the work on it; the case itself is raised, and
//! kept, by whoever met it (`domain::charging::case`).
//!
//! Invariants: history is only added to; a ticket is open while its newest occurrence is not the one that was closed, so that the
//! same case coming again opens it again, by itself.

use super::family::{OperatorFamily, Rejection, Reply};
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Decision};
use serde::{Deserialize, Serialize};

/// Steps in a ticket's history: more is no ticket but a project.
pub const STEPS_MAX: u32 = 500;

/// How a ticket was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The occurrence that it was closed on.
    pub occurrence: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// By whom.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// The work on a ticket: the fold of its steps. Its row is this, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Who is to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Box<str>>,
    /// How it was last closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// Steps in its history.
    pub steps: u32,
}

impl Work {
    /// Whether a person has still to act on the newest occurrence.
    pub fn is_open(&self, newest: &str) -> bool {
        self.closed.as_ref().is_none_or(|closed| &*closed.occurrence != newest)
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Act {
    /// Somebody is to act, or nobody.
    Assigned {
        /// Who.
        to: Option<Box<str>>,
    },
    /// Something is to be known.
    Noted {
        /// What.
        text: Box<str>,
    },
    /// Nobody need act any more.
    Closed {
        /// Why.
        reason: Box<str>,
        /// The newest occurrence then.
        occurrence: Box<str>,
    },
}

/// A step in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// From 1, without gaps.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Box<str>,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

/// What a ticket can be asked.
#[derive(Debug, Clone)]
pub struct TicketOrder {
    /// What to do.
    pub act: Act,
    /// Who wants it.
    pub by: Box<str>,
    /// What its row says, for one that has left memory.
    pub kept: Option<Work>,
    /// The occurrence that is the newest.
    pub newest: Box<str>,
}

/// What has happened to a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TicketFact {
    /// It came back from its row.
    Recalled(Work),
    /// A step was taken.
    Stepped(Step),
}

impl Work {
    pub(super) fn fold(&mut self, fact: &TicketFact) {
        match fact {
            TicketFact::Recalled(work) => *self = work.clone(),
            TicketFact::Stepped(step) => {
                self.steps = step.number;
                match &step.act {
                    Act::Assigned { to } => self.assignee.clone_from(to),
                    Act::Noted { .. } => {}
                    Act::Closed { reason, occurrence } => {
                        let (occurrence, reason) = (occurrence.clone(), reason.clone());
                        self.closed = Some(Closed { occurrence, reason, by: step.by.clone(), at: step.at });
                    }
                }
            }
        }
    }
}

pub(super) fn decide(
    work: &Work,
    order: TicketOrder,
    context: &Context<'_, ()>,
) -> Result<Decision<OperatorFamily>, Rejection> {
    let TicketOrder { act, by, kept, newest } = order;
    let mut decision = Decision::reply(Reply::Done);
    let mut work = work.clone();
    if let (0, Some(kept)) = (work.steps, kept) {
        work.clone_from(&kept);
        decision = decision.event(TicketFact::Recalled(kept).into());
    }
    if matches!(act, Act::Closed { .. }) && !work.is_open(&newest) {
        return Err(Rejection::TicketClosed);
    }
    if work.steps >= STEPS_MAX {
        return Err(Rejection::TooManySteps(STEPS_MAX));
    }
    let step = Step { number: work.steps + 1, at: context.now, by, act };
    Ok(decision.event(TicketFact::Stepped(step).into()))
}
