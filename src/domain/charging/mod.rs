//! The rules of a charger's partition: one charger with its connectors, and the sessions at it. Owns the family's
//! enums and the dispatch to [`charger`](crate::domain::charger), [`session`](crate::domain::session) and
//! [`reservation`](crate::domain::reservation); no rule.
//!
//! Invariants: the charger alone knows which session is live on which connector (I4), hands out transaction ids (I8)
//! and queues commands to the device; a session alone knows its energy, its end and what its partner was told. So with
//! reservations: the charger alone knows which one holds which connector, a reservation alone its terms and its money.

pub mod books;
pub mod case;
pub mod policy;
pub mod purse;
pub mod rejection;
#[cfg(test)]
pub(crate) mod simulation;
pub mod step;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(not(test), allow(dead_code, unused_imports, reason = "random runs need a part of it"))]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests and random runs, where a panic is the finding")]
pub(crate) mod testkit;
pub mod timer;

use crate::clock::Timestamp;
use crate::domain::charger::{self, Call, Charger};
use crate::domain::entity::{Context, Deadline, Decision, Family, Row, Standing};
use crate::domain::order::{self, Order, Status as OrderStatus};
use crate::domain::reservation::{self, Reservation, Status as ReservationStatus};
use crate::domain::session::{self, Session, Status as SessionStatus};
use crate::domain::tariff::Book;
use crate::ids::{CommandId, OrderId, PartnerId, ReservationId, SessionId, SiteId, TransactionId};
pub use case::{Case, Level};
pub use policy::Policy;
use purse::{AccountOutcome, AccountRef, AccountRequest};
pub use rejection::Rejection;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
pub use timer::Timer;

/// The rules of a charger's partition.
#[derive(Debug)]
pub struct ChargingFamily;

/// Which entity of the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// The charger.
    Charger,
    /// One of its sessions.
    Session(SessionId),
    /// One of its reservations.
    Reservation(ReservationId),
    /// One of its orders.
    Order(OrderId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Charger => f.write_str("charger"),
            Key::Session(id) => write!(f, "session/{id}"),
            Key::Reservation(id) => write!(f, "reservation/{id}"),
            Key::Order(id) => write!(f, "order/{id}"),
        }
    }
}

/// An entity's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Of the charger.
    Charger(Box<Charger>),
    /// Of a session.
    Session(Box<Session>),
    /// Of a reservation.
    Reservation(Box<Reservation>),
    /// Of an order.
    Order(Box<Order>),
}

impl State {
    /// The charger's, if it is one.
    pub fn charger(&self) -> Option<&Charger> {
        match self {
            State::Charger(charger) => Some(charger),
            State::Session(_) | State::Reservation(_) | State::Order(_) => None,
        }
    }

    /// The session's, if it is one.
    pub fn session(&self) -> Option<&Session> {
        match self {
            State::Session(session) => Some(session),
            State::Charger(_) | State::Reservation(_) | State::Order(_) => None,
        }
    }

    /// The reservation's, if it is one.
    pub fn reservation(&self) -> Option<&Reservation> {
        match self {
            State::Reservation(reservation) => Some(reservation),
            State::Charger(_) | State::Session(_) | State::Order(_) => None,
        }
    }

    /// The order's, if it is one.
    pub fn order(&self) -> Option<&Order> {
        match self {
            State::Order(order) => Some(order),
            State::Charger(_) | State::Session(_) | State::Reservation(_) => None,
        }
    }
}

/// What an entity of the partition can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// To [`Key::Charger`].
    Charger(charger::Command),
    /// To [`Key::Session`].
    Session(session::Command),
    /// To [`Key::Reservation`].
    Reservation(reservation::Command),
    /// To [`Key::Order`].
    Order(order::Command),
    /// To whoever asked an account by [`Effect::AskAccount`].
    AccountAnswered {
        /// What it was asked.
        cause: Box<str>,
        /// How it answered.
        outcome: AccountOutcome,
    },
    /// A deadline has passed, to whom it belongs.
    Fired(Timer),
}

impl From<charger::Command> for Command {
    fn from(command: charger::Command) -> Self {
        Command::Charger(command)
    }
}

impl From<session::Command> for Command {
    fn from(command: session::Command) -> Self {
        Command::Session(command)
    }
}

impl From<reservation::Command> for Command {
    fn from(command: reservation::Command) -> Self {
        Command::Reservation(command)
    }
}

impl From<order::Command> for Command {
    fn from(command: order::Command) -> Self {
        Command::Order(command)
    }
}

impl From<Timer> for Command {
    fn from(timer: Timer) -> Self {
        Command::Fired(timer)
    }
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// To the charger.
    #[serde(rename = "c")]
    Charger(charger::Event),
    /// To a session.
    #[serde(rename = "s")]
    Session(session::Event),
    /// To a reservation.
    #[serde(rename = "r")]
    Reservation(reservation::Event),
    /// To an order.
    #[serde(rename = "o")]
    Order(order::Event),
}

impl From<charger::Event> for Event {
    fn from(event: charger::Event) -> Self {
        Event::Charger(event)
    }
}

impl From<session::Event> for Event {
    fn from(event: session::Event) -> Self {
        Event::Session(event)
    }
}

impl From<reservation::Event> for Event {
    fn from(event: reservation::Event) -> Self {
        Event::Reservation(event)
    }
}

impl From<order::Event> for Event {
    fn from(event: order::Event) -> Self {
        Event::Order(event)
    }
}

/// What the shell does once the step is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Writes a CALL to the socket of that generation; where it is gone, answers `CommandAnswered` with `LinkLost`.
    SendCall {
        /// The CALL's unique id.
        command_id: CommandId,
        /// The connection that the rules mean.
        generation: u64,
        /// What to ask.
        call: Call,
        /// How long its answer may take (`charger.call_timeout`).
        timeout: Duration,
    },
    /// Closes the socket of that generation.
    CloseLink {
        /// The connection that the rules mean.
        generation: u64,
        /// For the log.
        why: &'static str,
    },
    /// Hands a certificate request to the authority; its answer is
    /// [`CertificateAnswered`](charger::Command::CertificateAnswered).
    SignCertificate {
        /// PEM.
        csr: Box<str>,
    },
    /// Asks a user's account; its answer is [`Command::AccountAnswered`] to the entity that asked.
    AskAccount {
        /// Whose.
        account: AccountRef,
        /// What.
        request: AccountRequest,
    },
    /// Tells operators; the row is written already.
    Alert(Case),
}

/// The answer to whoever sent the command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Taken, nothing to say.
    Done,
    /// To BootNotification.
    Boot {
        /// What the charger may do.
        status: charger::BootPolicy,
        /// Heartbeat interval, or the time until the next boot.
        interval: Duration,
        /// Our time.
        now: Timestamp,
    },
    /// To Authorize.
    Authorized {
        /// What the token may do.
        verdict: charger::Verdict,
        /// The group that it belongs to here: that of its user's reservation.
        parent: Option<Box<str>>,
    },
    /// To StartTransaction.
    TransactionStarted {
        /// Positive.
        transaction: TransactionId,
        /// What the token may do.
        verdict: charger::Verdict,
    },
    /// To StopTransaction; the verdict on its token, if it had one.
    TransactionStopped(Option<charger::Verdict>),
    /// To DataTransfer: nobody here knows that vendor.
    UnknownVendor,
    /// To DataTransfer of a profile that is known.
    Transferred {
        /// How it is answered.
        status: charger::TransferStatus,
        /// What is said with it.
        data: Option<Box<str>>,
    },
    /// To StartSession.
    SessionStarting(SessionId),
    /// To Reserve.
    Reserved(ReservationId),
    /// To what a person wants of a reservation: its state now.
    ReservationNow(ReservationStatus),
    /// To what is asked of an order: its state now.
    OrderNow(OrderStatus),
    /// To a stop.
    StopTaken {
        /// The session's status now.
        status: SessionStatus,
        /// Whether the charger could be told; if not, it is stopped when it is back (SE-7).
        online: bool,
    },
    /// To Enqueue.
    Queued(CommandId),
    /// To CertificateRequest.
    Certificate {
        /// A certificate will follow.
        accepted: bool,
    },
}

/// Volatile facts of the partition.
#[derive(Debug, Clone, Default)]
pub struct Ambient {
    /// An authenticated socket is attached right now.
    pub online: bool,
    /// That socket's generation. Rises for ever within a process.
    pub generation: u64,
    /// The journal's epoch: another one after a restore from backup.
    pub epoch: u64,
    /// The limits.
    pub policy: Arc<Policy>,
    /// Where the charger stands: partners are told it with everything that happens there.
    pub site: Option<SiteId>,
    /// The partners who are told this charger's connector statuses.
    pub audience: Arc<[PartnerId]>,
    /// Sessions that are left alone until a person releases them (RT-2): what concerns them is kept as a case, so that
    /// the charger's facts are taken all the same.
    pub quarantined: Vec<SessionId>,
    /// The same of reservations.
    pub quarantined_reservations: Vec<ReservationId>,
    /// The same of orders.
    pub quarantined_orders: Vec<OrderId>,
    /// The tariffs and where they are in force (MO-2).
    pub tariffs: Option<Arc<Book>>,
    /// The partners whose users have accounts with us.
    pub account_partners: Arc<[PartnerId]>,
    /// A certificate authority is there to sign what chargers ask for.
    pub certificates: bool,
}

/// The context of a step in this family.
pub type StepContext<'a> = Context<'a, Ambient>;

impl Family for ChargingFamily {
    const NAME: &'static str = "charger";
    type Key = Key;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Effect = Effect;
    type Reply = Reply;
    type Rejection = Rejection;
    type Timer = Timer;
    type Ambient = Ambient;

    fn root() -> Key {
        Key::Charger
    }

    fn birth(key: &Key) -> State {
        match key {
            Key::Charger => State::Charger(Box::default()),
            Key::Session(_) => State::Session(Box::default()),
            Key::Reservation(_) => State::Reservation(Box::default()),
            Key::Order(_) => State::Order(Box::default()),
        }
    }

    fn decide(
        key: &Key,
        state: &State,
        command: Command,
        context: &StepContext<'_>,
    ) -> Result<Decision<Self>, Rejection> {
        match (key, state, command) {
            (Key::Charger, State::Charger(charger), Command::Charger(command)) => {
                charger::decide(charger, command, context)
            }
            (Key::Charger, State::Charger(charger), Command::Fired(timer)) => charger::fired(charger, timer, context),
            (Key::Session(id), State::Session(session), Command::Session(command)) => {
                session::decide(*id, session, command, context)
            }
            (Key::Session(id), State::Session(session), Command::Fired(timer)) => {
                Ok(session::fired(*id, session, timer, context))
            }
            (Key::Reservation(id), State::Reservation(reservation), Command::Reservation(command)) => {
                reservation::decide(*id, reservation, command, context)
            }
            (Key::Reservation(id), State::Reservation(known), Command::AccountAnswered { cause, outcome }) => {
                let answered = reservation::Command::AccountAnswered { cause, outcome };
                reservation::decide(*id, known, answered, context)
            }
            (Key::Reservation(id), State::Reservation(reservation), Command::Fired(timer)) => {
                Ok(reservation::fired(*id, reservation, timer, context))
            }
            (Key::Order(id), State::Order(order), Command::Order(command)) => {
                order::decide(*id, order, command, context)
            }
            (Key::Order(id), State::Order(order), Command::AccountAnswered { cause, outcome }) => {
                order::decide(*id, order, order::Command::AccountAnswered { cause, outcome }, context)
            }
            (Key::Order(id), State::Order(order), Command::Fired(timer)) => {
                Ok(order::fired(*id, order, timer, context))
            }
            (Key::Charger | Key::Session(_) | Key::Reservation(_) | Key::Order(_), _, _) => Err(Rejection::Misrouted),
        }
    }

    fn apply(state: &mut State, event: &Event) {
        match (state, event) {
            (State::Charger(charger), Event::Charger(event)) => step::Fold::fold(&mut **charger, event),
            (State::Session(session), Event::Session(event)) => step::Fold::fold(&mut **session, event),
            (State::Reservation(reservation), Event::Reservation(event)) => {
                step::Fold::fold(&mut **reservation, event);
            }
            (State::Order(order), Event::Order(event)) => step::Fold::fold(&mut **order, event),
            // Never written; total all the same.
            (State::Charger(_) | State::Session(_) | State::Reservation(_) | State::Order(_), _) => {}
        }
    }

    fn timers(state: &State) -> SmallVec<[Deadline<Timer>; 4]> {
        match state {
            State::Charger(charger) => charger::timers(charger),
            State::Session(session) => session::timers(session),
            State::Reservation(reservation) => reservation::timers(reservation),
            State::Order(order) => order::timers(order),
        }
    }

    fn standing(state: &State) -> Standing {
        match state {
            State::Charger(charger) => charger::standing(charger),
            State::Session(session) => session::standing(session),
            State::Reservation(reservation) => reservation::standing(reservation),
            State::Order(order) => order::standing(order),
        }
    }

    fn project(partition: &str, key: &Key, state: &State, events: &[Event]) -> Vec<Row> {
        match (key, state) {
            (Key::Charger, State::Charger(charger)) => {
                let events = events.iter().filter_map(|event| match event {
                    Event::Charger(event) => Some(event),
                    Event::Session(_) | Event::Reservation(_) | Event::Order(_) => None,
                });
                charger::project(partition, charger, events)
            }
            (Key::Session(id), State::Session(session)) => {
                let events = events.iter().filter_map(|event| match event {
                    Event::Session(event) => Some(event),
                    Event::Charger(_) | Event::Reservation(_) | Event::Order(_) => None,
                });
                session::project(partition, *id, session, events)
            }
            (Key::Reservation(id), State::Reservation(reservation)) => {
                let events = events.iter().filter_map(|event| match event {
                    Event::Reservation(event) => Some(event),
                    Event::Charger(_) | Event::Session(_) | Event::Order(_) => None,
                });
                reservation::project(partition, *id, reservation, events)
            }
            (Key::Order(id), State::Order(order)) => {
                let events = events.iter().filter_map(|event| match event {
                    Event::Order(event) => Some(event),
                    Event::Charger(_) | Event::Session(_) | Event::Reservation(_) => None,
                });
                order::project(partition, *id, order, events)
            }
            (Key::Charger | Key::Session(_) | Key::Reservation(_) | Key::Order(_), _) => Vec::new(),
        }
    }

    fn give_back(state: &State, downtime: Duration) -> Option<Command> {
        match state {
            State::Charger(charger) => charger::give_back(charger, downtime).map(Command::Charger),
            State::Session(session) => session::give_back(session, downtime).map(Command::Session),
            State::Reservation(reservation) => reservation::give_back(reservation, downtime).map(Command::Reservation),
            State::Order(order) => order::give_back(order, downtime).map(Command::Order),
        }
    }
}
