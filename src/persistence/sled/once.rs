//! Create-once keys: an expiry and a value under each. Owns that format.

use super::values;
use crate::clock::Timestamp;
use crate::persistence::JournalError;
use crate::persistence::envelope::Reader;

/// The content to store.
pub(super) fn encode(expires: Timestamp, value: &[u8]) -> Vec<u8> {
    [&expires.0.to_be_bytes()[..], value].concat()
}

/// The value, if it is there and has not expired.
pub(super) fn read(tree: &sled::Tree, key: &[u8], now: Timestamp) -> Result<Option<Vec<u8>>, JournalError> {
    let Some(content) = values::get(tree, key)? else { return Ok(None) };
    let (expires, value) = decode(key, &content)?;
    Ok((expires > now).then(|| value.to_vec()))
}

/// Splits a stored content.
pub(super) fn decode<'a>(key: &[u8], content: &'a [u8]) -> Result<(Timestamp, &'a [u8]), JournalError> {
    let mut reader = Reader(content);
    let expires = reader.i64().map_err(|why| values::corrupt(key, why))?;
    Ok((Timestamp(expires), reader.0))
}
