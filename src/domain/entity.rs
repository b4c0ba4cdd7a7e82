//! The contract between rules and engine. Owns the traits and types in which `domain/` states its decisions; never
//! touches actix, tokio, a store, a clock or a random source (architecture §2 and §3).
//!
//! A **partition** is what has one writer and one stream: a charger with its connectors, sessions and reservations;
//! a partner with its queues. Its **entities** each have an actor. A [`Family`] states the rules of all entities of one
//! kind of partition. One **step** is one command, decided by the entity it was sent to, and by those siblings it commands
//! in turn; everything they decide is one record, written whole or not at all.

use crate::clock::Timestamp;
use crate::ids::PartnerId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt::{Debug, Display};
use std::hash::Hash;

/// The rules of all entities of one kind of partition. All functions are pure.
pub trait Family: Sized + 'static {
    /// Short name, the first part of the stream's name and a metric label: `charger`, `partner`, `platform`.
    const NAME: &'static str;

    /// Which entity of the partition.
    type Key: Clone + Eq + Ord + Hash + Debug + Display + Serialize + DeserializeOwned + Send + 'static;
    /// An entity's state: the fold of its events, and nothing else.
    type State: Clone + Serialize + DeserializeOwned + 'static;
    /// What an entity can be asked. A timer that fires is a command too.
    type Command: From<Self::Timer> + Debug + Send + 'static;
    /// What has happened to an entity. Journaled: members are only added, with a default (RT-6).
    type Event: Clone + Debug + Serialize + DeserializeOwned + 'static;
    /// What the shell must do once the step is durable.
    type Effect: Debug + 'static;
    /// The answer to whoever sent the command.
    type Reply: Debug + Send + 'static;
    /// Why the command changes nothing. The peer's fault or the state's, never ours.
    type Rejection: Debug + Display + Send + 'static;
    /// Names a deadline within one entity.
    type Timer: Clone + Eq + Ord + Hash + Debug + Send + 'static;
    /// Volatile facts of the partition that the shell keeps and no journal holds: is the socket there, …
    type Ambient: Default + 'static;

    /// The entity that exists as long as the partition does: the charger, the partner.
    fn root() -> Self::Key;

    /// The state of an entity before its first event.
    fn birth(key: &Self::Key) -> Self::State;

    /// Decides a command. Changes nothing; what it returns is journaled, applied, and then performed.
    ///
    /// # Errors
    /// A rejection drops the whole step, with what siblings decided.
    fn decide(
        key: &Self::Key,
        state: &Self::State,
        command: Self::Command,
        context: &Context<'_, Self::Ambient>,
    ) -> Result<Decision<Self>, Self::Rejection>;

    /// Folds an event into the state. Total: never fails, never has an effect.
    fn apply(state: &mut Self::State, event: &Self::Event);

    /// The deadlines that follow from the state. The engine keeps exactly these armed.
    fn timers(state: &Self::State) -> SmallVec<[Deadline<Self::Timer>; 4]>;

    /// Whether the entity still has something open (RT-5).
    fn standing(state: &Self::State) -> Standing;

    /// The read-model rows that follow from the events of a step, written in the same batch.
    fn project(partition: &str, key: &Self::Key, state: &Self::State, events: &[Self::Event]) -> Vec<Row>;

    /// The command by which an entity with silence deadlines gets our own downtime back after a restart, if it
    /// wants it (RT-3). Its decision must move the deadlines by an event.
    fn give_back(state: &Self::State, downtime: std::time::Duration) -> Option<Self::Command>;
}

/// What a decision is made with, besides the state and the command.
#[derive(Debug)]
pub struct Context<'a, A> {
    /// The moment of the step. Law 4: time comes in with the command.
    pub now: Timestamp,
    /// The partition's own identity, as in the stream's name: the charger's id, the partner's id.
    pub partition: &'a str,
    /// The sequence that this step's record will have: unique within the partition, for ids derived from it.
    pub sequence: u64,
    /// 128 random bits drawn by the shell: jitter and new ids are made from it, so that a step can be replayed.
    pub entropy: u128,
    /// Volatile facts.
    pub ambient: &'a A,
}

impl<A> Context<'_, A> {
    /// The `n`-th UUID v7 of this step. Distinct `n` give distinct ids.
    pub fn uuid(&self, n: u16) -> uuid::Uuid {
        let mixed = self.entropy.wrapping_add(u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        let millis = u64::try_from(self.now.0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &mixed.to_be_bytes()[..10].try_into().unwrap_or([0; 10]))
            .into_uuid()
    }

    /// A number in `[0, 1)` for jitter.
    pub fn fraction(&self) -> f64 {
        // 53 bits: the precision of an f64.
        let bits = u64::try_from((self.entropy >> 64) & ((1 << 53) - 1)).unwrap_or(0);
        bits as f64 / (1u64 << 53) as f64
    }
}

/// What an entity decided.
#[derive(Debug)]
pub struct Decision<F: Family> {
    /// What has happened, in order. Empty: nothing is journaled for this entity.
    pub events: Vec<F::Event>,
    /// Commands to siblings, decided within the same step after this entity's events are applied to a working copy.
    /// Their replies are dropped; their rejection rejects the step.
    pub also: Vec<(F::Key, F::Command)>,
    /// What partners are to be told, written to the outbox in the same batch.
    pub notices: Vec<Notice>,
    /// What the shell does once the step is durable, in order.
    pub effects: Vec<F::Effect>,
    /// The answer, sent once the step is durable.
    pub reply: F::Reply,
}

impl<F: Family> Decision<F> {
    /// Answers, and changes nothing.
    pub fn reply(reply: F::Reply) -> Self {
        Decision { events: Vec::new(), also: Vec::new(), notices: Vec::new(), effects: Vec::new(), reply }
    }

    /// Adds an event.
    #[must_use]
    pub fn event(mut self, event: F::Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds a command to a sibling.
    #[must_use]
    pub fn also(mut self, key: F::Key, command: F::Command) -> Self {
        self.also.push((key, command));
        self
    }

    /// Adds an effect.
    #[must_use]
    pub fn effect(mut self, effect: F::Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// Adds a notice to a partner.
    #[must_use]
    pub fn notice(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }
}

/// A deadline that follows from an entity's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline<T> {
    /// Which one.
    pub timer: T,
    /// When. A changed `due` makes an armed timer stale: it is dropped, never delivered.
    pub due: Timestamp,
}

/// Whether an entity has something open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Something is open: it stays in memory and recovery rebuilds it (RT-5).
    Open,
    /// Nothing is open: it may leave memory and comes back when touched.
    Idle,
    /// Over for good: it leaves memory, and its state leaves the snapshot once its rows tell the rest.
    Ended,
}

/// A change of one read-model row, in the same batch as the step's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which read model: `session`, `user-session`, `connector`, `ticket` …
    pub table: &'static str,
    /// The row's key within the table: path-like, sorts bytewise.
    pub key: String,
    /// The row's content (JSON), or `None` to remove it.
    pub value: Option<Vec<u8>>,
}

/// Something that a partner is to be told (EM-7): one outbox row, delivered at least once (EM-8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who is told.
    pub partner: PartnerId,
    /// The event type on the wire: `session.ended`, `connector.status` …
    pub kind: String,
    /// Deliveries of one order key stay in order; different keys never wait for each other: `session/<id>`,
    /// `connector/<charger>/<n>`.
    pub order_key: String,
    /// Contiguous from 1 within the order key, for session notices; `None` for those that may be coalesced (status).
    pub sequence: Option<u64>,
    /// When it happened.
    pub at: Timestamp,
    /// The payload, complete in itself: the `data` member of the webhook's body.
    pub data: serde_json::Value,
}
