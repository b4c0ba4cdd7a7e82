//! Signed meter data (OCPP 1.6 `format: SignedData`): kept as received, for whoever verifies a bill later. Owns where they
//! are kept and how many; never their meaning: only the verifier of their maker reads them.

use super::{Event, SessionStep};
use crate::domain::charger::Sample;
use crate::domain::charging::case::row;
use crate::domain::entity::Row;
use crate::ids::SessionId;
use serde::{Deserialize, Serialize};

/// Records that have a row a session: the first, which proves its beginning, and the newest of the others, of which the
/// last proves its end. All of them are in the journal.
pub const KEPT_MAX: u16 = 64;

/// Records of one message that are taken.
const MESSAGE_MAX: usize = 256;

/// A signed record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRecord {
    /// The time of its reading, as received.
    pub raw_at: Box<str>,
    /// The record, as received.
    pub data: Box<str>,
}

/// Keeps what is signed of a message's samples.
pub(super) fn keep(step: &mut SessionStep<'_>, samples: &[Sample]) {
    let of = |sample: &Sample| {
        let raw_at = sample.at.raw.clone();
        sample.signed.iter().map(move |data| SignedRecord { raw_at: raw_at.clone(), data: data.clone() }).collect()
    };
    let records: Vec<SignedRecord> = samples.iter().flat_map(|sample| -> Vec<SignedRecord> { of(sample) }).collect();
    // Of a flood the first and the last count.
    let skip = records.len().saturating_sub(MESSAGE_MAX);
    let records: Vec<_> =
        records.into_iter().enumerate().filter(|(n, _)| *n == 0 || *n > skip).map(|(_, r)| r).collect();
    if !records.is_empty() {
        let (at, first) = (step.context.now, step.state.signed);
        step.emit(Event::SignedData { at, first, records });
    }
}

/// The rows `signed-reading/<session>/<place>` of records, of which the first is the session's `first`.
pub(super) fn rows(id: SessionId, first: u16, records: &[SignedRecord]) -> Vec<Row> {
    let number = |n: usize| u32::from(first) + u32::try_from(n).unwrap_or(u32::MAX - u32::from(first));
    let place = |n: u32| match n {
        0 => 0,
        // A ring behind the first one.
        n => 1 + (n - 1) % (u32::from(KEPT_MAX) - 1),
    };
    let each = records.iter().enumerate().map(|(n, record)| {
        let n = number(n);
        let value = serde_json::json!({"number": n, "at": record.raw_at, "data": record.data});
        row("signed-reading", format!("{id}/{:02}", place(n)), &value)
    });
    each.collect()
}
