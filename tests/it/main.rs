//! The real binary with real sockets in a temporary directory: killed, stopped, told to read its configuration again, and
//! its tools. Owns what no part alone can show. Clients that we did not write are in `tests/peers`; load, crashes by the
//! hundred and power cuts are in `loadtest` and `tests/powercut.rs`.
//!
//! Nothing here sleeps for what is due after minutes (the 60 s of CH-4 and SE-4, say): virtual time shows that beside the
//! rules.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod accounts;
mod catalogue;
mod certificates;
mod charger;
mod crash;
mod endpoints;
mod faults;
mod messages;
mod onboarding;
mod open;
mod operators;
mod orders;
mod outbox;
mod repeats;
mod reservations;
mod rig;
mod room;
mod sandbox;
mod served;
mod settings;
mod statements;
mod stopping;
mod tariffs;
mod tcec;
mod tools;
mod trail;
