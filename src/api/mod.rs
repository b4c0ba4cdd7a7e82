//! HTTP: partners, operators, health. Owns HTTP meaning, authentication of callers and the error catalogue; never a
//! rule of charging.
//!
//! Reading order: [`port`] (what HTTP needs from the runtime), [`catalogue`] and [`error`] (how a refusal looks),
//! [`partner`] (signed calls), [`operator`], [`server`] (sockets), [`cli`] (`chargeline
//! admin`).
//!
//! Invariants: nothing but `/openapi.json`, `/docs`, `/healthz` and `/readyz` is served without proof of who asks; every
//! answer carries a trace id; no answer carries internals; a caller never learns of what belongs to another.

pub mod catalogue;
pub mod cli;
pub mod error;
pub mod events;
pub mod operator;
pub mod partner;
pub mod port;
pub mod server;
pub(crate) mod tcec;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod viewer;
pub(crate) mod wire;
