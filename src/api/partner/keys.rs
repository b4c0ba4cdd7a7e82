//! Who may sign (EM-2, EM-3). Owns the shape of the directory; never its storage.

use crate::api::catalogue::Code;
use crate::api::port::Refusal;
use crate::ids::PartnerId;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// What a key may do (EM-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scopes {
    /// Read.
    pub query: bool,
    /// Start, stop, replay.
    pub control: bool,
}

impl Scopes {
    /// Everything.
    pub const ALL: Scopes = Scopes { query: true, control: true };
}

/// A key.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// Whose it is.
    pub partner: PartnerId,
    /// What it signs with, `cs_…`.
    pub secret: SecretString,
    /// What it may do.
    pub scopes: Scopes,
    /// It may do nothing any more.
    pub revoked: bool,
}

/// All keys, in memory: asked for every request, also of strangers, so without waiting. A revoked key stays in it, so
/// that its holder is told so; a change is seen by the next request.
pub trait KeyDirectory: Send + Sync + 'static {
    /// The key of this id.
    fn key(&self, key_id: &str) -> Option<Arc<KeyRecord>>;

    /// Whether all keys are known yet. Until then, in recovery, a key that is missing proves nothing about its holder.
    fn complete(&self) -> bool;
}

/// What a caller is told to wait while the keys are read: a recovery takes about that long.
const WAIT: Duration = Duration::from_secs(1);

/// The key of this id, if there is one.
///
/// # Errors
/// `unavailable` until all keys are known: a partner who calls during our start is no stranger, and must not be banned.
pub(super) fn look_up(keys: &dyn KeyDirectory, key_id: &str) -> Result<Option<Arc<KeyRecord>>, Refusal> {
    if keys.complete() { Ok(keys.key(key_id)) } else { Err(Refusal::from(Code::Unavailable).after(WAIT)) }
}

/// Text before a key's id.
pub const KEY_PREFIX: &str = "ck_";
/// Text before a key's secret.
pub const SECRET_PREFIX: &str = "cs_";

/// A new key: its id and its secret, of 96 and 256 random bits.
pub fn make() -> (String, SecretString) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let id = format!("{KEY_PREFIX}{}", hex::encode(rand::random::<[u8; 12]>()));
    let secret = format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    (id, secret.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Empty {
        complete: bool,
    }

    impl KeyDirectory for Empty {
        fn key(&self, _: &str) -> Option<Arc<KeyRecord>> {
            None
        }

        fn complete(&self) -> bool {
            self.complete
        }
    }

    #[test]
    fn a_key_that_is_not_read_yet_is_no_unknown_key() {
        let early = look_up(&Empty { complete: false }, "ck_1").unwrap_err();
        assert_eq!((early.code, early.retry_after), (Code::Unavailable, Some(WAIT)));
        assert!(look_up(&Empty { complete: true }, "ck_1").unwrap().is_none());
    }
}
