//! Rules of a partner's partition: who the partner is, and how its webhooks are delivered (EM-2, EM-8, EM-9). Owns every
//! decision about retries, order, dead letters and replay; never sees HTTP, a clock or a store.
//!
//! **What is journaled and what is not.** The events themselves are the partner's outbox, so nothing is written when one
//! arrives. The [`Queue`] entity journals *facts*: which positions are settled (in batches, so late), and, at once, each
//! failure with its due time, each dead letter, disabling, pausing and replay. Which event goes next is *volatile*: the
//! [`Scheduler`] works it out from the queue's state and the outbox, holds at most a window of events in memory, and is
//! rebuilt from both after a crash.
//!
//! Invariants: a position at or below the low-water mark is settled, listed in `open`, or dead; so a crash repeats what was in
//! flight or not yet reported, and loses nothing. Within an order key events go strictly by position, one at a time;
//! keys never wait for each other.

mod answer;
mod endpoint;
mod family;
mod health;
mod partner;
mod policy;
mod queue;
pub mod rows;
pub mod schedule;
mod scheduler;
#[cfg(test)]
mod simulation;
mod tcec;
#[cfg(test)]
pub(crate) mod testkit;

pub use answer::{Answer, Attempt, Class, Entry, Logged, Outcome};
pub use endpoint::{Endpoint, Removed, Subscriptions, Wants, WebhookSecret};
pub use family::{
    Alert, AlertKind, PartnerCommand, PartnerEffect, PartnerEvent, PartnerFamily, PartnerKey, PartnerRejection,
    PartnerReply, PartnerState, PartnerTimer, QueueId,
};
pub use health::Health;
pub use partner::{ApiKey, Grants, Partner, PartnerFact, PartnerOrder, Past, Profile, Sealed, Sites, Suspension};
pub use policy::Policy;
pub use queue::{
    Dead, Disabled, Knock, Open, Proof, Queue, QueueCommand, QueueFact, QueueReply, Replay, ReplayEntry, Report,
    Reported, Selection, Stopped, TEST_KIND, Told, Unverified, VERIFICATION_KIND, Verdict,
};
pub use scheduler::{Arrival, Next, Pace, Pick, Scheduler, coalesces};
pub use tcec::{
    Dialect, ErrorData, Numbers, SealedSet, SequenceCheck, Spelling, StationFacts, Stations, StatusForm, Tcec,
    is_operator_id,
};
