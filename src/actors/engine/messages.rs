//! What can be sent to an actor of the engine, and how it can refuse. Owns shapes only.

use crate::domain::entity::Family;
use actix::Message;
use std::fmt;
use std::time::Duration;
use tokio::sync::oneshot;

/// Why a command has no reply. `R` is the family's own rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal<R> {
    /// The rules say no: the peer's fault or the state's.
    Rejected(R),
    /// A bound is reached; try again soon (RT-8).
    Busy,
    /// The entity has failed too often and waits for a person (RT-2).
    Quarantined,
    /// The rule failed; the entity is being rebuilt and nothing has changed. Ours to mend.
    Crashed,
    /// The journal has no room (RT-7).
    Full,
    /// The journal cannot store now; nothing has changed as far as is known.
    Unavailable(Duration),
}

impl<R: fmt::Display> fmt::Display for Refusal<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Rejected(rejection) => rejection.fmt(f),
            Refusal::Busy => f.write_str("too many commands are waiting"),
            Refusal::Quarantined => f.write_str("the entity is quarantined"),
            Refusal::Crashed => f.write_str("the command failed inside and changed nothing"),
            Refusal::Full => f.write_str("the journal is full"),
            Refusal::Unavailable(after) => write!(f, "the journal is unavailable, retry after {after:?}"),
        }
    }
}

/// What a command comes to.
pub type Outcome<F> = Result<<F as Family>::Reply, Refusal<<F as Family>::Rejection>>;

/// A command to one entity's actor. The answer goes to `reply`, so that a full mailbox is a refusal and never a wait.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Do<F: Family> {
    /// What it is asked.
    pub command: F::Command,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Outcome<F>>,
    /// The caller's span.
    pub span: tracing::Span,
}

/// Ends the actor: its entity has left memory, or is being rebuilt. The journal keeps everything.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Retire;
