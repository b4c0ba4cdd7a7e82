//! Who may sign (EM-2, EM-3). Owns the shape of the directory; never its storage.

use crate::ids::PartnerId;
use secrecy::SecretString;
use std::sync::Arc;

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
