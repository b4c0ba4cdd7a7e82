//! The opaque cursor of `GET /events` (EM-8). Owns its encoding; never what is read with it.
//!
//! A cursor names an outbox position of one partner. Its checksum refuses rubbish and cursors of others with a clear
//! error; it is no secret, for the caller is authenticated and sees its own events only.

use crate::ids::PartnerId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Encoding version, the first byte.
const VERSION: u8 = 1;
/// Version, position, checksum.
const LENGTH: usize = 1 + 8 + 4;

/// Why a text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not of our making, or cut.
    #[error("not a cursor: give back the `next` of an earlier answer, unchanged")]
    Rubbish,
    /// Made by a newer build.
    #[error("a cursor of an unknown version: give back the `next` of an earlier answer")]
    Version,
    /// Its checksum fails: changed, or given to another partner.
    #[error("a changed cursor, or one that was given to somebody else")]
    Foreign,
}

/// A place in a partner's stream of events: everything up to `position` has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventCursor {
    /// Outbox position of the last event read; 0 for none.
    pub position: u64,
}

impl EventCursor {
    /// The text for the `next` member.
    pub fn encode(self, partner: &PartnerId) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.position.to_be_bytes());
        let sum = checksum(&bytes, partner);
        bytes.extend_from_slice(&sum.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the `after` member.
    ///
    /// # Errors
    /// See [`CursorError`].
    pub fn decode(text: &str, partner: &PartnerId) -> Result<Self, CursorError> {
        // Longer than any cursor: not even decoded.
        if text.len() > 2 * LENGTH {
            return Err(CursorError::Rubbish);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Rubbish)?;
        let (body, sum) = bytes.split_at_checked(LENGTH - 4).ok_or(CursorError::Rubbish)?;
        let sum: [u8; 4] = sum.try_into().map_err(|_| CursorError::Rubbish)?;
        if body[0] != VERSION {
            return Err(CursorError::Version);
        }
        if checksum(body, partner) != u32::from_be_bytes(sum) {
            return Err(CursorError::Foreign);
        }
        let position: [u8; 8] = body[1..].try_into().map_err(|_| CursorError::Rubbish)?;
        Ok(EventCursor { position: u64::from_be_bytes(position) })
    }
}

fn checksum(body: &[u8], partner: &PartnerId) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"chargeline events ");
    hasher.update(partner.as_str().as_bytes());
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partner(id: &str) -> PartnerId {
        id.parse().unwrap()
    }

    #[test]
    fn rubbish_is_refused_with_the_reason() {
        let good = EventCursor { position: 77 }.encode(&partner("acme"));
        let newer = URL_SAFE_NO_PAD.encode([2u8; LENGTH]);
        let longer = format!("{good}AAAA");
        for (text, expected) in [
            ("", CursorError::Rubbish),
            ("77", CursorError::Rubbish),
            ("%%%", CursorError::Rubbish),
            (&good[1..], CursorError::Rubbish),
            (&longer, CursorError::Rubbish),
            (&"A".repeat(100_000), CursorError::Rubbish),
            (&newer, CursorError::Version),
        ] {
            assert_eq!(EventCursor::decode(text, &partner("acme")), Err(expected), "{text:.40}");
        }
        assert_eq!(EventCursor::decode(&good, &partner("other")), Err(CursorError::Foreign));
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back_and_a_changed_one_is_refused(position: u64, at in 1usize..LENGTH, bit in 0u8..8) {
            let text = EventCursor { position }.encode(&partner("acme"));
            prop_assert_eq!(EventCursor::decode(&text, &partner("acme")), Ok(EventCursor { position }));
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(
                EventCursor::decode(&URL_SAFE_NO_PAD.encode(bytes), &partner("acme")),
                Err(CursorError::Foreign)
            );
        }
    }
}
