//! Statements over the engine on virtual time with a memory journal.
