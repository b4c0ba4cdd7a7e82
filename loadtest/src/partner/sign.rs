//! The request signature of `docs/partner-api.md` (EM-3).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A partner's key as it was shown once.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Key {
    /// `ck_…`.
    pub key_id: String,
    /// `cs_…`.
    pub secret: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.key_id)
    }
}

/// The four headers' values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// `X-Chargeline-Key`.
    pub key: String,
    /// `X-Chargeline-Timestamp`.
    pub timestamp: String,
    /// `X-Chargeline-Nonce`.
    pub nonce: String,
    /// `X-Chargeline-Signature`.
    pub signature: String,
}

/// Signs one try of a request. `target` is path and query exactly as sent.
pub fn sign(key: &Key, method: &str, target: &str, body: &[u8], unix_s: i64, nonce: &str) -> Signed {
    let digest = hex::encode(Sha256::digest(body));
    let text = format!("v1\n{method}\n{target}\n{digest}\n{unix_s}\n{nonce}");
    let tag = match Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()) {
        Ok(mac) => mac.chain_update(text.as_bytes()).finalize().into_bytes(),
        Err(never) => unreachable!("HMAC takes keys of any length: {never}"),
    };
    Signed {
        key: key.key_id.clone(),
        timestamp: unix_s.to_string(),
        nonce: nonce.to_owned(),
        signature: format!("v1={}", hex::encode(tag)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac` and `hashlib`.
    #[test]
    fn the_signature_is_the_one_that_another_implementation_makes() {
        let key = Key { key_id: "ck_1".into(), secret: "cs_secret".into() };
        let with_body = sign(&key, "POST", "/api/v1/sessions", b"{\"a\":1}", 1_767_323_045, "nonce-0123456789");
        assert_eq!(with_body.signature, "v1=2053b0d9259ad75afb66fae1f14c2579e06eaabc80a011256003097e9f034881");
        let without = sign(&key, "GET", "/api/v1/sessions?limit=5&open=true", b"", 1_767_323_045, "nonce-0123456789");
        assert_eq!(without.signature, "v1=2472c551f18f13bd90f5ae7ecf89d83644dc9e55d7ec4a49053e9de6da6893ff");
    }
}
