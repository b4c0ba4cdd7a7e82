//! The signature of a partner's request (EM-3), exactly as `docs/partner-api.md` says. Owns what is signed and how it is
//! compared; pure: keys, time and memory of nonces come from outside.
//!
//! Invariants: comparing takes the same work for an unknown key, a wrong secret and a right one; nothing here shows a
//! secret in `Debug`.

use crate::clock::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// The key's id, `ck_…`.
pub const KEY: HeaderName = HeaderName::from_static("x-chargeline-key");
/// Unix time in whole seconds.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-chargeline-timestamp");
/// Used once with a key.
pub const NONCE: HeaderName = HeaderName::from_static("x-chargeline-nonce");
/// `v1=` and lower-case hex.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-chargeline-signature");

/// The version of the scheme, first line of the text and prefix of the signature.
const VERSION: &str = "v1";

/// Length of a nonce.
const NONCE_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// Longest key id that is looked at.
const KEY_ID_MAX: usize = 64;

/// What a request presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The key's id.
    pub key_id: String,
    /// When it was signed, in whole seconds.
    pub timestamp: i64,
    /// Its nonce.
    pub nonce: String,
    /// Its signature.
    pub signature: [u8; 32],
}

/// The four headers are not all there, once each, and well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} is missing, doubled or not well formed")]
pub struct Malformed(pub &'static str);

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName, shown: &'static str) -> Result<&'a str, Malformed> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => value.to_str().map_err(|_| Malformed(shown)),
        (None, _) | (Some(_), Some(_)) => Err(Malformed(shown)),
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

impl Presented {
    /// Reads the four headers.
    ///
    /// # Errors
    /// Names the first header that is missing, doubled or not well formed.
    pub fn read(headers: &HeaderMap) -> Result<Self, Malformed> {
        let key_id = one(headers, &KEY, "X-Chargeline-Key")?;
        if key_id.is_empty() || key_id.len() > KEY_ID_MAX || !is_word(key_id) {
            return Err(Malformed("X-Chargeline-Key"));
        }
        let timestamp = one(headers, &TIMESTAMP, "X-Chargeline-Timestamp")?;
        // Digits only: a sign or blanks would give one moment several texts.
        if timestamp.is_empty() || timestamp.len() > 12 || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed("X-Chargeline-Timestamp"));
        }
        let nonce = one(headers, &NONCE, "X-Chargeline-Nonce")?;
        if !NONCE_LENGTH.contains(&nonce.len()) || !is_word(nonce) {
            return Err(Malformed("X-Chargeline-Nonce"));
        }
        let shown = one(headers, &SIGNATURE, "X-Chargeline-Signature")?;
        let digits = shown.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('='));
        let digits = digits.filter(|d| !d.bytes().any(|b| b.is_ascii_uppercase()));
        let mut signature = [0; 32];
        let read = digits.is_some_and(|digits| hex::decode_to_slice(digits, &mut signature).is_ok());
        if !read {
            return Err(Malformed("X-Chargeline-Signature"));
        }
        let timestamp = timestamp.parse().map_err(|_| Malformed("X-Chargeline-Timestamp"))?;
        Ok(Presented { key_id: key_id.to_owned(), timestamp, nonce: nonce.to_owned(), signature })
    }

    /// Whether the timestamp is within `window` of `now`.
    pub fn is_timely(&self, now: Timestamp, window: Duration) -> bool {
        let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
        (now.as_seconds() - self.timestamp).abs() <= window
    }

    /// Whether the signature fits this secret and request. Without a secret (no such key) the same work is done and the
    /// answer is no.
    pub fn fits(&self, secret: Option<&SecretString>, method: &str, target: &str, body: &[u8]) -> bool {
        // As long as a real secret, so that hashing it takes as long.
        const NOBODY: &str = "cs_0000000000000000000000000000000000000000000";
        let key = secret.map_or(NOBODY, |secret| secret.expose_secret());
        let text = signed_text(method, target, body, self.timestamp, &self.nonce);
        let same = sign(key, &text).ct_eq(&self.signature);
        bool::from(same & subtle::Choice::from(u8::from(secret.is_some())))
    }
}

/// The text that is signed: six lines.
pub fn signed_text(method: &str, target: &str, body: &[u8], timestamp: i64, nonce: &str) -> String {
    let digest = hex::encode(Sha256::digest(body));
    format!("{VERSION}\n{}\n{target}\n{digest}\n{timestamp}\n{nonce}", method.to_ascii_uppercase())
}

/// HMAC-SHA256 of the text under a secret.
pub fn sign(secret: &str, text: &str) -> [u8; 32] {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// The value of the signature header.
pub fn header(secret: &str, text: &str) -> String {
    format!("{VERSION}={}", hex::encode(sign(secret, text)))
}

#[cfg(test)]
mod tests;
