//! Chargers: the shell of a charger's partition, its connections, and what is known of all chargers. Owns sockets'
//! handles and the register; the rules are in `domain::charger` and `domain::session`.
//!
//! Reading order: [`register`] (who may connect), [`placement`] (where a connection lives), [`connection`] (one socket's
//! messages to commands and back), [`shell`] (effects), `journey` (their lines in the log), [`frames`] (for the message
//! log), [`tokens`] (whose an idTag is), [`certificates`] (who signs chargers' certificates), [`purse`] (users' accounts).

pub mod certificates;
pub mod connection;
pub mod frames;
mod journey;
pub mod placement;
pub mod purse;
pub mod register;
pub mod shell;
pub mod tokens;

pub use register::Register;
pub use shell::ChargerShell;
