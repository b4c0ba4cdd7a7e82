//! The partition of operators as the engine sees it: keys, commands, events, timers. Owns the glue between the engine's contract
//! and the rules of the entities; never a rule itself.

use super::account::{self, Operator, OperatorFact, OperatorOrder};
use super::approval::{self, Approval, ApprovalFact, ApprovalOrder, Slot};
use super::person::NotAnother;
use super::rows;
use super::ticket::{self, TicketFact, TicketOrder, Work};
use super::trail::{self, Trail, TrailFact, TrailOrder};
use crate::domain::entity::{Context, Deadline, Decision, Family, Row, Standing};
use crate::ids::{ApprovalId, OperatorId, TicketId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// An entity of the partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// The audit trail.
    Trail,
    /// An operator's account.
    Operator(OperatorId),
    /// The work on a ticket.
    Ticket(TicketId),
    /// An act that waits for a second person.
    Approval(ApprovalId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Trail => f.write_str("trail"),
            Key::Operator(id) => write!(f, "operator {id}"),
            Key::Ticket(id) => write!(f, "ticket {id}"),
            Key::Approval(id) => write!(f, "approval {id}"),
        }
    }
}

/// The state of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Of the audit trail.
    Trail(Trail),
    /// Of an operator.
    Operator(Box<Operator>),
    /// Of a ticket.
    Ticket(Work),
    /// Of an approval.
    Approval(Slot),
}

/// A command to one of them.
#[derive(Debug, Clone)]
pub enum Command {
    /// To the audit trail.
    Trail(TrailOrder),
    /// To an operator.
    Operator(OperatorOrder),
    /// To a ticket.
    Ticket(TicketOrder),
    /// To an approval.
    Approval(ApprovalOrder),
}

/// An event of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Of the audit trail.
    Trail(TrailFact),
    /// Of an operator.
    Operator(OperatorFact),
    /// Of a ticket.
    Ticket(TicketFact),
    /// Of an approval.
    Approval(ApprovalFact),
}

macro_rules! an_event {
    ($($fact:ident => $kind:ident),*) => {
        $(impl From<$fact> for Event {
            fn from(fact: $fact) -> Self {
                Event::$kind(fact)
            }
        })*
    };
}

an_event!(TrailFact => Trail, OperatorFact => Operator, TicketFact => Ticket, ApprovalFact => Approval);

/// A deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Nobody has agreed in time.
    Expire,
}

impl From<Timer> for Command {
    fn from(timer: Timer) -> Self {
        match timer {
            Timer::Expire => Command::Approval(ApprovalOrder::Expire),
        }
    }
}

/// What the shell does once a step is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing more: `applied` has put the new state where calls are looked at.
    Known,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is so.
    Done,
    /// The act, as it is now.
    Approval(Box<Approval>),
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such account.
    #[error("the operator is unknown")]
    OperatorUnknown,
    /// Nobody is judge in their own cause.
    #[error("nobody changes their own roles or suspension")]
    OwnAccount,
    /// An account that may do nothing.
    #[error("an operator has one role at least")]
    NoRole,
    /// There is no such token.
    #[error("the token is unknown")]
    TokenUnknown,
    /// Revoke one first.
    #[error("the operator has as many live tokens as it can have: {0}")]
    TooManyTokens(usize),
    /// Lines of the trail go in order.
    #[error("these are not the oldest lines")]
    NotTheOldest,
    /// It is closed, and nothing has come since.
    #[error("the ticket is closed")]
    TicketClosed,
    /// A bound.
    #[error("the ticket's history is full: {0} steps")]
    TooManySteps(u32),
    /// It is not there, or decided.
    #[error("nothing of this name waits for a second person")]
    ApprovalUnknown,
    /// Not a second person.
    #[error(transparent)]
    NotAnother(NotAnother),
    /// A command of one kind of entity was sent to another.
    #[error("the command does not belong to this entity")]
    WrongEntity,
}

/// The rules of operators.
#[derive(Debug, Clone, Copy)]
pub struct OperatorFamily;

impl Family for OperatorFamily {
    const NAME: &'static str = "operator";
    type Key = Key;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Effect = Effect;
    type Reply = Reply;
    type Rejection = Rejection;
    type Timer = Timer;
    type Ambient = ();

    fn root() -> Key {
        Key::Trail
    }

    fn birth(key: &Key) -> State {
        match key {
            Key::Trail => State::Trail(Trail::default()),
            Key::Operator(_) => State::Operator(Box::default()),
            Key::Ticket(_) => State::Ticket(Work::default()),
            Key::Approval(_) => State::Approval(None),
        }
    }

    fn decide(
        key: &Key,
        state: &State,
        command: Command,
        context: &Context<'_, ()>,
    ) -> Result<Decision<Self>, Rejection> {
        match (key, state, command) {
            (Key::Trail, State::Trail(trail), Command::Trail(order)) => trail::decide(trail, order, context),
            (Key::Operator(id), State::Operator(operator), Command::Operator(order)) => {
                account::decide(id, operator, order, context)
            }
            (Key::Ticket(_), State::Ticket(work), Command::Ticket(order)) => ticket::decide(work, order, context),
            (Key::Approval(_), State::Approval(slot), Command::Approval(order)) => {
                approval::decide(slot, order, context)
            }
            (
                Key::Trail | Key::Operator(_) | Key::Ticket(_) | Key::Approval(_),
                _,
                Command::Trail(_) | Command::Operator(_) | Command::Ticket(_) | Command::Approval(_),
            ) => Err(Rejection::WrongEntity),
        }
    }

    fn apply(state: &mut State, event: &Event) {
        match (state, event) {
            (State::Trail(trail), Event::Trail(fact)) => trail.fold(fact),
            (State::Operator(operator), Event::Operator(fact)) => operator.fold(fact),
            (State::Ticket(work), Event::Ticket(fact)) => work.fold(fact),
            (State::Approval(slot), Event::Approval(fact)) => approval::fold(slot, fact),
            // No decision makes an event for another entity.
            (
                State::Trail(_) | State::Operator(_) | State::Ticket(_) | State::Approval(_),
                Event::Trail(_) | Event::Operator(_) | Event::Ticket(_) | Event::Approval(_),
            ) => {}
        }
    }

    fn timers(state: &State) -> SmallVec<[Deadline<Timer>; 4]> {
        match state {
            State::Approval(slot) => approval::timers(slot).into_iter().collect(),
            State::Trail(_) | State::Operator(_) | State::Ticket(_) => SmallVec::new(),
        }
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Trail(_) => Standing::Open,
            State::Operator(operator) if operator.profile.is_some() => Standing::Idle,
            State::Approval(slot) if approval::is_open(slot) => Standing::Open,
            // A ticket that was assigned or noted stays; a closed one comes back from its row if it is touched again.
            State::Ticket(work) if work.steps > 0 && work.closed.is_none() => Standing::Idle,
            State::Operator(_) | State::Ticket(_) | State::Approval(_) => Standing::Ended,
        }
    }

    fn project(_: &str, key: &Key, state: &State, events: &[Event]) -> Vec<Row> {
        rows::project(key, state, events)
    }

    fn give_back(_: &State, _: std::time::Duration) -> Option<Command> {
        // How long something waits for a person is no measure of our downtime.
        None
    }
}
