//! Accounts of users, as actors: the door for other partitions, the shell, and the way to the payment gateway. Owns no rule:
//! those are in `domain::account`.

pub mod breaker;
pub mod gateway;
mod handle;
mod shell;
#[cfg(test)]
mod tests;

pub use handle::{Accounts, Asked};
pub use shell::{AccountParts, AccountShell, DebtListener, NobodyListens};
