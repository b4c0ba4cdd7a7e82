//! Operators and what people do (OP-2, OP-3): accounts with roles and tokens, the audit trail, what became of tickets, and acts
//! that wait for a second person. Pure rules of one partition with an entity each. Owns who may act and what is remembered of it;
//! never the acts themselves, never HTTP, never an open token.

pub mod account;
pub mod approval;
mod family;
pub mod person;
pub mod role;
pub mod rows;
#[cfg(test)]
mod tests;
pub mod ticket;
pub mod trail;

pub use family::{Command, Effect, Event, Key, OperatorFamily, Rejection, Reply, State, Timer};
pub use role::{Role, Roles};

/// The identity of the one partition.
pub const PARTITION: &str = "main";
