//! Access tokens (T/CEC 102.4 annex A). Owns their making and their proof; they are stored nowhere.
//!
//! A token is 48 bytes in Base64url, 64 characters as in the published example: the second at which it ends, 16 random bytes,
//! and an HMAC-SHA256 over both, the partner and the secret set that asked for it, cut to 24 bytes. So an older token counts
//! to its own end whatever is asked later, also over a restart, and all of a set's end with the set.

use crate::api::port::Relation;
use crate::clock::Timestamp;
use crate::protocol::tcec::Secrets;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How long a token counts: the standard's typical value.
pub(crate) const LIFE: Duration = Duration::from_secs(7200);

const HEAD: usize = 24;
const WHOLE: usize = 48;

/// Makes and proves tokens under a key of the installation.
pub(crate) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Tokens { key }
    }

    fn mac(&self, relation: &Relation, set: &Secrets, head: &[u8]) -> [u8; HEAD] {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        // Lengths are fixed or delimited, so no two inputs run together.
        mac.update(b"tcec token\0");
        mac.update(relation.partner.as_str().as_bytes());
        mac.update(b"\0");
        mac.update(relation.tcec.operator_id.as_bytes());
        mac.update(b"\0");
        mac.update(set.operator_secret.expose_secret().as_bytes());
        mac.update(b"\0");
        mac.update(head);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|n| whole[n])
    }

    /// A new token for who asked with `set`.
    pub(crate) fn make(&self, relation: &Relation, set: &Secrets, now: Timestamp, random: [u8; 16]) -> String {
        let ends = (now + LIFE).as_seconds().to_be_bytes();
        let head: Vec<u8> = ends.into_iter().chain(random).collect();
        let tag = self.mac(relation, set, &head);
        URL_SAFE_NO_PAD.encode([head.as_slice(), &tag].concat())
    }

    /// Whether the token was given for `set` and has not ended.
    pub(crate) fn holds(&self, relation: &Relation, set: &Secrets, token: &str, now: Timestamp) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Ok(bytes) = <[u8; WHOLE]>::try_from(bytes) else { return false };
        let (head, tag) = bytes.split_at(HEAD);
        let real = bool::from(self.mac(relation, set, head).as_slice().ct_eq(tag));
        let ends = head.first_chunk().map_or(0, |ends| i64::from_be_bytes(*ends));
        real && now.as_seconds() < ends
    }
}
