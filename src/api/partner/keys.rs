//! Who may sign (EM-2, EM-3). Owns the shape of the directory; never its storage.

use crate::api::catalogue::Code;
use crate::api::port::{NewKey, Refusal};
use crate::clock::Timestamp;
use crate::domain::access::Grant;
use crate::ids::{PartnerId, RequestId};
use crate::protocol::webhook::SigningSecret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

/// A key.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// Whose it is.
    pub partner: PartnerId,
    /// What it signs with, `cs_…`.
    pub secret: SecretString,
    /// What it may do and from where.
    pub grant: Arc<Grant>,
    /// It may do nothing any more.
    pub revoked: bool,
    /// From then on it may do nothing any more.
    pub expires: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether it counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires.is_none_or(|expires| now < expires)
    }
}

/// All keys, in memory: asked for every request, also of strangers, so without waiting. A revoked key stays in it, so
/// that its holder is told so; a change is seen by the next request.
pub trait KeyDirectory: Send + Sync + 'static {
    /// The key of this id.
    fn key(&self, key_id: &str) -> Option<Arc<KeyRecord>>;

    /// The key was used by its holder. Called for every accepted call: must not wait, and costs no write.
    fn used(&self, key_id: &str, now: Timestamp);

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
pub fn make() -> NewKey {
    of(&rand::random::<[u8; 12]>(), &rand::random::<[u8; 32]>())
}

fn of(id: &[u8; 12], secret: &[u8; 32]) -> NewKey {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let key_id = format!("{KEY_PREFIX}{}", hex::encode(id));
    NewKey { key_id, secret: format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret)).into() }
}

/// The key that a partner's own request makes: the same for the same request, so that its answer is the same when it is
/// repeated (EM-5), and the secret is stored nowhere in the clear. `claimed` is when the request came first.
pub(super) fn derive(seed: &[u8; 32], partner: &PartnerId, request: &RequestId, claimed: Timestamp) -> NewKey {
    let from = format!("{partner}\n{request}\n{}", claimed.0);
    let mut id = [0; 12];
    id.copy_from_slice(&digest(seed, "id", &from)[..12]);
    of(&id, &digest(seed, "secret", &from))
}

/// What signs the webhooks of an endpoint that a partner's own request makes, or of a partner that takes its credentials (EM-1): as
/// [`derive`].
pub(super) fn derive_webhook(
    seed: &[u8; 32],
    partner: &PartnerId,
    request: &RequestId,
    claimed: Timestamp,
) -> SecretString {
    let from = format!("{partner}\n{request}\n{}", claimed.0);
    SigningSecret::make(&digest(seed, "webhook", &from)).to_string().into()
}

/// What follows from a text for one purpose; nobody without the seed can tell one from the other.
pub(super) fn digest(seed: &[u8; 32], purpose: &str, from: &str) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(seed) else { return [0; 32] };
    mac.update(format!("{purpose}\n{from}").as_bytes());
    mac.finalize().into_bytes().into()
}

/// The secret under which keys are derived, from the installation's own.
pub(super) fn seed(installation: &[u8; 32]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(installation) else { return [0; 32] };
    mac.update(b"chargeline/partner-keys/v1");
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn a_derived_key_is_the_same_for_the_same_request_and_another_for_any_other() {
        let key = |installation: u8, partner: &str, request: &str, at| {
            derive(&seed(&[installation; 32]), &partner.parse().unwrap(), &request.parse().unwrap(), Timestamp(at))
        };
        let texts = |key: NewKey| (key.key_id.clone(), key.secret.expose_secret().to_owned());
        let first = texts(key(1, "p", "r", 5));
        assert_eq!(first, texts(key(1, "p", "r", 5)));
        assert_eq!((first.0.len(), first.1.len()), (27, 46));
        for other in [key(2, "p", "r", 5), key(1, "q", "r", 5), key(1, "p", "s", 5), key(1, "p", "r", 6)] {
            let other = texts(other);
            assert!(first.0 != other.0 && first.1 != other.1, "{other:?}");
        }
    }
}
