//! The one engine of every durable actor (architecture §3). Owns the order decide → append → durable → apply →
//! effects, the timers, restarts, quarantine, snapshots and passivation; never a rule of charging.
//!
//! How the pieces hang together, on one arbiter's thread:
//!
//! ```text
//!  Host (one an arbiter and family: loads, recovers, unloads)
//!   └─ Partition (one writer: the token, the queue of steps, one append in flight)
//!       ├─ EntityActor  charger            mailbox, timers
//!       └─ EntityActor  session …          mailbox, timers
//! ```
//!
//! Invariants: a step is decided only when no append of its partition is in flight, on committed state or on a working
//! copy that steps of the same turn have changed; nothing of a step (reply, effect, read model) is seen outside before
//! its record is durable (law 1); a refused or failed append leaves the committed state untouched; a panic in a rule
//! costs one entity its state in memory, which is rebuilt from the journal, and nobody else anything (RT-2).

pub mod codec;
pub mod entity;
pub mod host;
mod load;
pub mod messages;
pub mod pacer;
pub mod partition;
mod recovery;
pub mod restarts;
mod settle;
mod slots;
#[cfg(test)]
mod tests;
pub mod turn;

pub use entity::EntityActor;
pub use host::{Host, HostAddr, HostCore, TooBusy};
pub use messages::Refusal;
pub use partition::{Environment, Partition, Shell};
