//! Statements of partners, as actors: the shell that reads lines and makes statements of them, and the files as streams. Owns no
//! rule: those are in `domain::statement`.

mod reading;
mod shell;
#[cfg(test)]
mod tests;

pub use reading::{Content, FileError, Lines, file};
pub use shell::{StatementParts, StatementShell};
