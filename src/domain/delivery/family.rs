//! The partner's partition as the engine sees it: keys, commands, events, effects. Owns the glue between the engine's
//! contract and the rules of [`Partner`] and [`Queue`]; never a rule itself.

use super::partner::{self, Partner, PartnerFact, PartnerOrder};
use super::policy::Policy;
use super::queue::{self, Queue, QueueCommand, QueueFact, QueueReply};
use super::rows;
use crate::domain::entity::{Context, Deadline, Decision, Family, Row, Standing};
use crate::domain::onboarding::{self, Application, ApplicationFact, ApplicationOrder, Stage};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The queue of one of a partner's webhook endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueId(pub u16);

impl QueueId {
    /// That of a partner's first endpoint.
    pub const MAIN: QueueId = QueueId(0);
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entity of a partner's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PartnerKey {
    /// The partner itself.
    Partner,
    /// The queue of one of its endpoints.
    Queue(QueueId),
    /// The application that it comes from (EM-1).
    Application,
}

impl fmt::Display for PartnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartnerKey::Partner => f.write_str("partner"),
            PartnerKey::Queue(id) => write!(f, "queue-{id}"),
            PartnerKey::Application => f.write_str("application"),
        }
    }
}

/// The state of either.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum PartnerState {
    /// Of the partner.
    Partner(Box<Partner>),
    /// Of a queue.
    Queue(Box<Queue>),
    /// Of an application.
    Application(Box<Application>),
}

/// A command to either.
#[derive(Debug, Clone)]
pub enum PartnerCommand {
    /// To the partner.
    Partner(PartnerOrder),
    /// To a queue.
    Queue(QueueCommand),
    /// To an application.
    Application(ApplicationOrder),
}

/// An event of either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartnerEvent {
    /// Of the partner.
    Partner(PartnerFact),
    /// Of a queue.
    Queue(QueueFact),
    /// Of an application.
    Application(ApplicationFact),
}

/// What operators should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertKind {
    /// 410: the endpoint was disabled.
    EndpointGone,
    /// Every try has failed for too long: the endpoint was disabled, and is tried now and then.
    EndpointDisabled,
    /// An endpoint that was disabled by itself is there again.
    EndpointBack,
    /// Nobody at the URL has answered the challenge, and no more are sent.
    Unverified,
    /// An event was given up.
    DeadLetter {
        /// Which.
        event_id: Arc<str>,
    },
    /// So many of the newest tries fail.
    Failing {
        /// 50, 70, 90 or 100.
        percent: u8,
    },
    /// They no longer fail.
    Recovered,
}

/// An alert about an endpoint of this partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Which endpoint.
    pub queue: QueueId,
    /// What about it.
    pub kind: AlertKind,
}

/// What the shell does once a step is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartnerEffect {
    /// Profile, keys or endpoints changed: refresh the in-memory directory.
    DirectoryChanged,
    /// A queue was changed from outside (endpoint, pause, replay): its driver looks again.
    QueueChanged(QueueId),
    /// Tell the operators.
    Alert(Alert),
}

/// The answer to a command.
#[derive(Debug)]
pub enum PartnerReply {
    /// Done.
    Done,
    /// Of a queue.
    Queue(QueueReply),
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartnerRejection {
    /// A command of one kind of entity was sent to the other.
    #[error("the command does not belong to this entity")]
    WrongEntity,
    /// The partner does not exist.
    #[error("the partner is not defined")]
    NotDefined,
    /// No such key.
    #[error("the key is unknown")]
    UnknownKey,
    /// The key's id is taken.
    #[error("a key of this id exists")]
    KeyExists,
    /// Revoke one first.
    #[error("the partner has as many keys as it can have")]
    TooManyKeys,
    /// No such endpoint.
    #[error("the webhook endpoint is unknown")]
    UnknownEndpoint,
    /// Change it, or take another name.
    #[error("a webhook endpoint of this name exists")]
    EndpointExists,
    /// Remove one first.
    #[error("the partner has as many webhook endpoints as it can have")]
    TooManyEndpoints,
    /// An operator has stopped it, so an operator starts it again.
    #[error("the webhook endpoint is disabled by an operator")]
    HeldByOperator,
    /// The first `SetEndpoint` needs one.
    #[error("a new webhook endpoint needs a secret")]
    SecretMissing,
    /// Wait for one to finish.
    #[error("as many replays as can wait are under way")]
    TooManyReplays,
    /// Finished, or never begun.
    #[error("the replay is unknown")]
    UnknownReplay,
    /// Nobody has applied under this id.
    #[error("there is no such application")]
    ApplicationUnknown,
    /// This applicant has applied already.
    #[error("the application exists")]
    ApplicationExists,
    /// Its stage does not allow it.
    #[error("the application is {0:?}")]
    ApplicationDecided(Stage),
    /// Decide it, or begin anew.
    #[error("the application was amended as often as it can be")]
    TooManyAmendments,
    /// They were taken, or nobody came in time.
    #[error("the credentials were taken, or their time is over")]
    CredentialsGone,
}

/// No deadline of this family is armed by the engine: retries are many and of one kind, so the queue's driver arms the
/// next one from the journaled due times, and secrets expire when they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartnerTimer {}

impl From<PartnerTimer> for PartnerCommand {
    fn from(timer: PartnerTimer) -> Self {
        match timer {}
    }
}

/// The rules of partners and their webhook queues.
#[derive(Debug, Clone, Copy)]
pub struct PartnerFamily;

impl Family for PartnerFamily {
    const NAME: &'static str = "partner";
    type Key = PartnerKey;
    type State = PartnerState;
    type Command = PartnerCommand;
    type Event = PartnerEvent;
    type Effect = PartnerEffect;
    type Reply = PartnerReply;
    type Rejection = PartnerRejection;
    type Timer = PartnerTimer;
    type Ambient = Policy;

    fn root() -> PartnerKey {
        PartnerKey::Partner
    }

    fn birth(key: &PartnerKey) -> PartnerState {
        match key {
            PartnerKey::Partner => PartnerState::Partner(Box::default()),
            PartnerKey::Queue(_) => PartnerState::Queue(Box::default()),
            PartnerKey::Application => PartnerState::Application(Box::default()),
        }
    }

    fn decide(
        key: &PartnerKey,
        state: &PartnerState,
        command: PartnerCommand,
        context: &Context<'_, Policy>,
    ) -> Result<Decision<Self>, PartnerRejection> {
        match (key, state, command) {
            (PartnerKey::Partner, PartnerState::Partner(partner), PartnerCommand::Partner(order)) => {
                partner::decide(partner, order, context)
            }
            (PartnerKey::Queue(id), PartnerState::Queue(queue), PartnerCommand::Queue(command)) => {
                queue::decide(*id, queue, command, context)
            }
            (PartnerKey::Application, PartnerState::Application(application), PartnerCommand::Application(order)) => {
                onboarding::decide(application, order, context.now)
            }
            (PartnerKey::Partner | PartnerKey::Queue(_) | PartnerKey::Application, _, _) => {
                Err(PartnerRejection::WrongEntity)
            }
        }
    }

    fn apply(state: &mut PartnerState, event: &PartnerEvent) {
        match (state, event) {
            (PartnerState::Partner(partner), PartnerEvent::Partner(fact)) => partner.apply(fact),
            (PartnerState::Queue(queue), PartnerEvent::Queue(fact)) => queue.apply(fact),
            (PartnerState::Application(application), PartnerEvent::Application(fact)) => application.apply(fact),
            // No decision makes an event for another entity.
            (PartnerState::Partner(_) | PartnerState::Queue(_) | PartnerState::Application(_), _) => {}
        }
    }

    fn timers(_state: &PartnerState) -> SmallVec<[Deadline<PartnerTimer>; 4]> {
        SmallVec::new()
    }

    fn standing(state: &PartnerState) -> Standing {
        match state {
            PartnerState::Partner(_) | PartnerState::Application(_) => Standing::Idle,
            PartnerState::Queue(queue) if queue.open.is_empty() && queue.replays.is_empty() => Standing::Idle,
            PartnerState::Queue(_) => Standing::Open,
        }
    }

    fn project(partition: &str, key: &PartnerKey, state: &PartnerState, events: &[PartnerEvent]) -> Vec<Row> {
        match (key, state) {
            (PartnerKey::Partner, PartnerState::Partner(partner)) => rows::of_partner(partition, partner),
            (PartnerKey::Queue(id), PartnerState::Queue(queue)) => rows::of_queue(partition, *id, queue, events),
            (PartnerKey::Application, PartnerState::Application(application)) => {
                onboarding::rows(partition, application)
            }
            (PartnerKey::Partner | PartnerKey::Queue(_) | PartnerKey::Application, _) => Vec::new(),
        }
    }

    fn give_back(_state: &PartnerState, _downtime: Duration) -> Option<PartnerCommand> {
        // Retry times are promises to the partner, not measures of its silence (RT-3): they keep their wall-clock time.
        None
    }
}
