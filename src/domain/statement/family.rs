//! A partner's statements as the engine sees them: keys, commands, events, effects, timers. Owns the glue between the engine's
//! contract and the rules of [`Book`] and [`Period`]; never a rule itself.

use super::book::{self, Book, BookCommand, BookFact};
use super::days::Open;
use super::period::{self, Period, PeriodCommand, PeriodFact};
use super::policy::Policy;
use super::rows;
use super::shares::{BadRule, Rule};
use crate::clock::Timestamp;
use crate::domain::charging::case::Case;
use crate::domain::entity::{Context, Deadline, Decision, Family, Row, Standing};
use crate::ids::StatementId;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// An entity of a partner's statements.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// What collects lines.
    Book,
    /// A statement.
    Period(StatementId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Book => f.write_str("book"),
            Key::Period(id) => write!(f, "{id}"),
        }
    }
}

/// The state of either.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum State {
    /// Of the book.
    Book(Box<Book>),
    /// Of a statement.
    Period(Box<Period>),
}

/// A command to either.
#[derive(Debug, Clone)]
pub enum Command {
    /// To the book.
    Book(BookCommand),
    /// To a statement.
    Period(PeriodCommand),
}

/// An event of either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Of the book.
    Book(BookFact),
    /// Of a statement.
    Period(PeriodFact),
}

/// A deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The open stretch's statement is made, or tried again.
    Make,
    /// A settled statement takes no more papers.
    Archive,
}

impl From<Timer> for Command {
    fn from(timer: Timer) -> Self {
        match timer {
            Timer::Make => Command::Book(BookCommand::Due),
            Timer::Archive => Command::Period(PeriodCommand::Archive),
        }
    }
}

/// What the shell does once a step is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Read the lines of a stretch and say what they come to.
    Make {
        /// Which.
        open: Open,
        /// By what orders are shared.
        rules: Vec<Rule>,
    },
    /// Log and count a case whose rows are written.
    Announce(Case),
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is so.
    Done,
    /// The open stretch ends so.
    Cut(Open),
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The partner has no book.
    #[error("no lines are collected for this partner")]
    NotOpen,
    /// The stretch has just begun.
    #[error("the open stretch has only just begun")]
    NothingToCut,
    /// A command of one kind of entity was sent to the other.
    #[error("the command does not belong to this entity")]
    WrongEntity,
    /// No such statement, or it is closed for good.
    #[error("there is no such statement, or it takes no more changes")]
    Unknown,
    /// It is settled.
    #[error("the statement is settled")]
    Settled,
    /// Something of it is disputed.
    #[error("orders of the statement are disputed")]
    Disputed,
    /// The order was disputed before.
    #[error("the order was disputed already")]
    DisputeExists,
    /// The order is not disputed.
    #[error("the order has no open dispute")]
    NoDispute,
    /// The reference stands for something else.
    #[error("the reference was used with other contents")]
    PaperDiffers,
    /// A bound.
    #[error("there are as many {what} as there can be: {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// A rule that cannot be followed.
    #[error("{0}")]
    Rule(BadRule),
    /// A rule for what is stated already.
    #[error("a rule cannot hold before what is stated already, that is before {0}")]
    RuleTooEarly(Timestamp),
}

/// The rules of statements.
#[derive(Debug, Clone, Copy)]
pub struct StatementFamily;

impl Family for StatementFamily {
    const NAME: &'static str = "statement";
    type Key = Key;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Effect = Effect;
    type Reply = Reply;
    type Rejection = Rejection;
    type Timer = Timer;
    type Ambient = Policy;

    fn root() -> Key {
        Key::Book
    }

    fn birth(key: &Key) -> State {
        match key {
            Key::Book => State::Book(Box::default()),
            Key::Period(_) => State::Period(Box::default()),
        }
    }

    fn decide(
        key: &Key,
        state: &State,
        command: Command,
        context: &Context<'_, Policy>,
    ) -> Result<Decision<Self>, Rejection> {
        match (key, state, command) {
            (Key::Book, State::Book(book), Command::Book(command)) => book::decide(book, command, context),
            (Key::Period(id), State::Period(period), Command::Period(command)) => {
                period::decide(id, period, command, context)
            }
            (Key::Book | Key::Period(_), _, Command::Book(_) | Command::Period(_)) => Err(Rejection::WrongEntity),
        }
    }

    fn apply(state: &mut State, event: &Event) {
        match (state, event) {
            (State::Book(book), Event::Book(fact)) => book.fold(fact),
            (State::Period(period), Event::Period(fact)) => period.fold(fact),
            // No decision makes an event for the other entity.
            (State::Book(_), Event::Period(_)) | (State::Period(_), Event::Book(_)) => {}
        }
    }

    fn timers(state: &State) -> SmallVec<[Deadline<Timer>; 4]> {
        let deadline = match state {
            State::Book(book) => book.open.as_ref().map(|open| Deadline { timer: Timer::Make, due: open.due }),
            State::Period(period) => period.archive_due.map(|due| Deadline { timer: Timer::Archive, due }),
        };
        deadline.into_iter().collect()
    }

    fn standing(state: &State) -> Standing {
        match state {
            // The next statement is always due some day.
            State::Book(book) if book.open.is_some() => Standing::Open,
            State::Book(_) => Standing::Idle,
            State::Period(period) if period.status.is_none() || period.archived => Standing::Ended,
            State::Period(_) => Standing::Idle,
        }
    }

    fn project(partition: &str, key: &Key, state: &State, events: &[Event]) -> Vec<Row> {
        match (key, state) {
            (Key::Period(_), State::Period(period)) => rows::of_period(partition, period, events),
            (Key::Book, State::Book(book)) => rows::of_book(partition, book, events),
            (Key::Book, State::Period(_)) | (Key::Period(_), State::Book(_)) => Vec::new(),
        }
    }

    fn give_back(_: &State, _: std::time::Duration) -> Option<Command> {
        // What is promised for a time of the day keeps it (RT-3).
        None
    }
}
