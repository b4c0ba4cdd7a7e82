//! ClearCache (OCPP 1.6 §5.4): the charger forgets the tokens that it remembers.

use super::reader::Fields;
use super::words::words;
use crate::protocol::ocppj::CallError;
use serde::Serialize;

words!(
    /// ClearCacheStatus (OCPP 1.6 §7.15).
    ClearCacheStatus { Accepted, Rejected }
);

/// ClearCache.req: empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Request {}

/// ClearCache.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether the cache is empty now.
    pub status: ClearCacheStatus,
}

pub(crate) const FIELDS: &[&str] = &[];
pub(crate) const ANSWER: &[&str] = &["status"];

pub(crate) fn read(_: &Fields<'_, '_>) -> Result<Request, CallError> {
    Ok(Request {})
}

pub(crate) fn read_answer(f: &Fields<'_, '_>) -> Result<Confirmation, CallError> {
    Ok(Confirmation { status: f.choice("status", ClearCacheStatus::ALLOWED, ClearCacheStatus::read)? })
}
