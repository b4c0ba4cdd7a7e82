//! The T/CEC 102 face of the partner API (EM-11; docs/tcec-102.md): the interfaces that an operator of chargers answers, under
//! `/evcs/{version}/`. Owns the mapping onto the native services; no rule of charging, no idempotency, no limit of its own.
//!
//! Reading order: [`gate`] (who calls, and what becomes of the answer), [`tokens`], [`stations`] and [`charging`] (the
//! interfaces), [`mapping`] (native views to the standard's members and back), [`reasons`].

mod charging;
mod gate;
pub(crate) mod mapping;
pub(crate) mod pushes;
pub(crate) mod reasons;
mod stations;
pub(crate) mod tokens;

use super::partner::Partners;
use super::port::Relation;
use super::trace::Note;
use crate::clock::Timestamp;
use crate::protocol::tcec::Refused;
use axum::Router;
use axum::routing::post;
use serde_json::Value;
use std::sync::Arc;

/// The native name of the user of every session that was started here: the standard names none. One for all, so that a
/// partner's sessions are listed in order of time.
pub(crate) const USER: &str = "tcec";

/// A proven call.
struct Call {
    state: Arc<Partners>,
    relation: Arc<Relation>,
    note: Note,
    now: Timestamp,
}

/// What a handler gives back: the members of `Data`.
type Answered = Result<Value, Refused>;

/// The routes. Any version segment is taken: partners write `v1`, `v20160701`, `20160701` and others for the same interfaces.
pub(super) fn routes(state: Arc<Partners>) -> Router {
    Router::new().route("/evcs/{version}/{interface}", post(gate::serve)).with_state(state)
}
