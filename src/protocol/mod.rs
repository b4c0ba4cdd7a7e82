//! Bytes <-> types <-> domain commands. Owns wire shapes; never state.

pub mod webhook;
