//! Chargers: the shell of a charger's partition, its connections, and what is known of all chargers. Owns sockets'
//! handles and the register; the rules are in `domain::charger` and `domain::session`.
//!
//! Reading order: [`register`] (who may connect), [`placement`] (where a connection lives), [`connection`] (one socket's
//! messages to commands and back), [`shell`] (effects), [`tokens`] (whose an idTag is), [`certificates`] (who signs chargers' certificates).

pub mod certificates;
pub mod connection;
pub mod placement;
pub mod register;
pub mod shell;
pub mod tokens;

pub use register::Register;
pub use shell::ChargerShell;
