//! Acts that wait for a second person (OP-3, control 40), whatever they are. Owns the closed list of such acts and their way:
//! proposed, agreed to by another person, done. Adjustments and refunds keep their own place (MO-6) and the same predicate
//! ([`super::person::another`]).
//!
//! Invariants: agreed to once, by another person, before it expires; an agreed act is done at least once, so each is one that may
//! be repeated.

use super::family::{OperatorFamily, Rejection, Reply, Timer};
use super::person;
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Deadline, Decision};
use crate::ids::PartnerId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Kinds of acts that can be made to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Erasing a user's personal data.
    EraseUser,
    /// Going back to an earlier configuration.
    RollBackConfig,
}

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 2] = [Kind::EraseUser, Kind::RollBackConfig];

    /// Its name in `operators.second_person` and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::EraseUser => "erase_user",
            Kind::RollBackConfig => "roll_back_config",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Rejection;
    fn from_str(text: &str) -> Result<Self, Rejection> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(Rejection::ApprovalUnknown)
    }
}

/// An act, with all that is needed to do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Destroys the key of a user's personal data.
    EraseUser {
        /// Whose user.
        partner: PartnerId,
        /// The user's pseudonym.
        user: Box<str>,
    },
    /// Goes back to an earlier configuration.
    RollBackConfig {
        /// Its number.
        version: u64,
    },
}

impl Act {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Act::EraseUser { .. } => Kind::EraseUser,
            Act::RollBackConfig { .. } => Kind::RollBackConfig,
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has agreed yet.
    Waiting,
    /// Somebody has, and it is being done.
    Agreed,
    /// It is done.
    Done,
    /// Somebody has dropped it.
    Withdrawn,
    /// Nobody has agreed in time.
    Expired,
}

/// An act on its way: the fold of its facts. Its row is this, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What.
    #[serde(flatten)]
    pub act: Act,
    /// How far it is.
    pub status: Status,
    /// Who wants it.
    pub proposed_by: Box<str>,
    /// Since when.
    pub at: Timestamp,
    /// Until when somebody can agree.
    pub until: Timestamp,
    /// Who has agreed, or dropped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Box<str>>,
    /// What came of doing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Box<str>>,
}

/// What can be asked of it.
#[derive(Debug, Clone)]
pub enum ApprovalOrder {
    /// Somebody wants it.
    Propose {
        /// What.
        act: Act,
        /// Who.
        by: Box<str>,
        /// How long it waits.
        valid: Duration,
    },
    /// Somebody agrees.
    Agree {
        /// Who.
        by: Box<str>,
    },
    /// Somebody drops it.
    Withdraw {
        /// Who.
        by: Box<str>,
    },
    /// It was done.
    Finish {
        /// `done`, or why it could not be.
        outcome: Box<str>,
    },
    /// Its time is over.
    Expire,
}

/// What has happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApprovalFact {
    /// Somebody wants it.
    Proposed(Box<Approval>),
    /// Somebody has agreed.
    Agreed {
        /// Who.
        by: Box<str>,
    },
    /// Somebody has dropped it.
    Withdrawn {
        /// Who.
        by: Box<str>,
    },
    /// It was done.
    Finished {
        /// `done`, or why it could not be.
        outcome: Box<str>,
    },
    /// Its time is over.
    Expired,
}

/// The state: absent until it is proposed.
pub type Slot = Option<Box<Approval>>;

pub(super) fn fold(slot: &mut Slot, fact: &ApprovalFact) {
    if let ApprovalFact::Proposed(approval) = fact {
        *slot = Some(approval.clone());
    }
    let Some(approval) = slot else { return };
    let decided = |by: &str| Some(by.into());
    match fact {
        ApprovalFact::Proposed(_) => {}
        ApprovalFact::Agreed { by } => (approval.status, approval.decided_by) = (Status::Agreed, decided(by)),
        ApprovalFact::Withdrawn { by } => (approval.status, approval.decided_by) = (Status::Withdrawn, decided(by)),
        ApprovalFact::Finished { outcome } => {
            (approval.status, approval.outcome) = (Status::Done, Some(outcome.clone()));
        }
        ApprovalFact::Expired => approval.status = Status::Expired,
    }
}

pub(super) fn timers(slot: &Slot) -> Option<Deadline<Timer>> {
    let waiting = slot.as_deref().filter(|approval| approval.status == Status::Waiting)?;
    Some(Deadline { timer: Timer::Expire, due: waiting.until })
}

/// Whether it is still to be agreed to or done.
pub fn is_open(slot: &Slot) -> bool {
    slot.as_deref().is_some_and(|approval| matches!(approval.status, Status::Waiting | Status::Agreed))
}

pub(super) fn decide(
    slot: &Slot,
    order: ApprovalOrder,
    context: &Context<'_, ()>,
) -> Result<Decision<OperatorFamily>, Rejection> {
    let answer = |approval: &Approval| Decision::reply(Reply::Approval(Box::new(approval.clone())));
    let so = |fact: ApprovalFact| {
        let mut after = slot.clone();
        fold(&mut after, &fact);
        after.map_or(Err(Rejection::ApprovalUnknown), |approval| Ok(answer(&approval).event(fact.into())))
    };
    let status = slot.as_deref().map(|approval| approval.status);
    match (order, status) {
        (ApprovalOrder::Propose { act, by, valid }, None) => {
            let (at, until) = (context.now, context.now + valid);
            let (decided_by, outcome) = (None, None);
            let proposed_by = by;
            let approval = Approval { act, status: Status::Waiting, proposed_by, at, until, decided_by, outcome };
            so(ApprovalFact::Proposed(Box::new(approval)))
        }
        (ApprovalOrder::Agree { by }, Some(Status::Waiting)) => {
            let proposing = slot.as_deref().map_or("", |approval| &*approval.proposed_by);
            person::another(proposing, &by).map_err(Rejection::NotAnother)?;
            so(ApprovalFact::Agreed { by })
        }
        // Once more by the same person: it could not be done the first time.
        (ApprovalOrder::Agree { by }, Some(Status::Agreed)) => {
            let again = slot.as_deref().filter(|approval| approval.decided_by.as_ref() == Some(&by));
            again.map(answer).ok_or(Rejection::ApprovalUnknown)
        }
        (ApprovalOrder::Withdraw { by }, Some(Status::Waiting)) => so(ApprovalFact::Withdrawn { by }),
        (ApprovalOrder::Finish { outcome }, Some(Status::Agreed)) => so(ApprovalFact::Finished { outcome }),
        (ApprovalOrder::Expire, Some(Status::Waiting)) => so(ApprovalFact::Expired),
        (ApprovalOrder::Propose { .. }, Some(_)) => Err(Rejection::WrongEntity),
        (
            ApprovalOrder::Agree { .. }
            | ApprovalOrder::Withdraw { .. }
            | ApprovalOrder::Finish { .. }
            | ApprovalOrder::Expire,
            None | Some(Status::Waiting | Status::Agreed | Status::Done | Status::Withdrawn | Status::Expired),
        ) => Err(Rejection::ApprovalUnknown),
    }
}
