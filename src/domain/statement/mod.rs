//! Statements and settlement with partners (RC-3, RC-4): from settled orders to lines, from lines to statements with totals and
//! digests, and how partner and operator come to terms about them. Pure rules. Owns no store and no clock.
//!
//! Invariants: a line, once written, is never changed, and is in exactly one statement; a statement's bytes are the same
//! whenever they are made; what changes after it was stated is a new line of a later statement.
//!
//! Reading order: [`line`], [`days`] (which lines are in which statement), [`file`] and [`totals`] (what a statement is),
//! [`book`] (the chain of statements), [`period`] (one statement's life), [`shares`].

pub mod book;
pub mod days;
pub mod family;
pub mod file;
pub mod line;
pub mod period;
pub mod policy;
pub mod rows;
pub mod shares;
pub mod totals;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;

pub use book::{Book, BookCommand};
pub use days::Open;
pub use family::{Command, Effect, Key, Rejection, Reply, State, StatementFamily};
pub use period::{Period, PeriodCommand};
pub use policy::Policy;
