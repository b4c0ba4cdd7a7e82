//! Signing secrets and signatures of Standard Webhooks (EM-9). Owns their texts and the signed bytes; never stores them.
//!
//! Symmetric `whsec_` secrets give `v1` (HMAC-SHA256), asymmetric `whsk_` keys give `v1a` (Ed25519). While secrets
//! overlap after a rotation, every live one signs and the header lists all signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Text before a symmetric secret.
pub const SYMMETRIC_PREFIX: &str = "whsec_";
/// Text before an Ed25519 signing key.
pub const ASYMMETRIC_PREFIX: &str = "whsk_";
/// Length of the symmetric secrets that we make, in bytes; Standard Webhooks allows 24 to 64.
pub const MADE_BYTES: usize = 32;

/// Why a text is no signing secret. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Neither prefix.
    #[error("a webhook secret begins with whsec_ or whsk_")]
    Prefix,
    /// Not padded standard Base64.
    #[error("the part after the prefix is not padded standard base64")]
    Base64,
    /// Too short or too long to be a key.
    #[error("a whsec_ secret has 24 to 64 bytes, a whsk_ key has 64")]
    Length,
    /// The two halves of a `whsk_` key do not belong together.
    #[error("the public half of the whsk_ key does not belong to its seed")]
    Pair,
}

/// A secret or key that signs webhooks.
pub struct SigningSecret(Kind);

enum Kind {
    Symmetric(Zeroizing<Vec<u8>>),
    Asymmetric(Box<ring::signature::Ed25519KeyPair>),
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Symmetric(_) => f.write_str("SigningSecret(whsec_…)"),
            Kind::Asymmetric(_) => f.write_str("SigningSecret(whsk_…)"),
        }
    }
}

impl SigningSecret {
    /// Reads a secret as it is shown to a partner.
    ///
    /// # Errors
    /// See [`SecretError`]; the text itself is never part of the error.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        if let Some(rest) = text.strip_prefix(SYMMETRIC_PREFIX) {
            let key = Zeroizing::new(STANDARD.decode(rest).map_err(|_| SecretError::Base64)?);
            return if (24..=64).contains(&key.len()) {
                Ok(Self(Kind::Symmetric(key)))
            } else {
                Err(SecretError::Length)
            };
        }
        let rest = text.strip_prefix(ASYMMETRIC_PREFIX).ok_or(SecretError::Prefix)?;
        let key = Zeroizing::new(STANDARD.decode(rest).map_err(|_| SecretError::Base64)?);
        let (seed, public) = key.split_at_checked(32).filter(|(_, p)| p.len() == 32).ok_or(SecretError::Length)?;
        ring::signature::Ed25519KeyPair::from_seed_and_public_key(seed, public)
            .map(|pair| Self(Kind::Asymmetric(Box::new(pair))))
            .map_err(|_| SecretError::Pair)
    }

    /// The text of a new symmetric secret, made of random bytes that the shell drew. Shown to the partner once.
    pub fn make(random: &[u8; MADE_BYTES]) -> Zeroizing<String> {
        Zeroizing::new(format!("{SYMMETRIC_PREFIX}{}", STANDARD.encode(random)))
    }

    /// One signature, with its version: `v1,…` or `v1a,…`.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        match &self.0 {
            Kind::Symmetric(key) => format!("v1,{}", STANDARD.encode(hmac(key, &[head.as_bytes(), body]))),
            Kind::Asymmetric(pair) => {
                let signed = [head.as_bytes(), body].concat();
                format!("v1a,{}", STANDARD.encode(pair.sign(&signed).as_ref()))
            }
        }
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The value of the signature header: one signature a live secret, in the order given, separated by blanks.
pub fn signature_header<'a>(
    secrets: impl IntoIterator<Item = &'a SigningSecret>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    let signatures: Vec<String> = secrets.into_iter().map(|s| s.sign(id, timestamp, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests;
