//! The four secrets of one direction of calls (T/CEC 102.4). Owns their form; never where they are kept.

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use std::fmt;

/// Bytes of an AES-128 key and of its initial vector.
const BLOCK: usize = 16;
/// Longest secret text that is taken.
const TEXT_MAX: usize = 128;

/// Secrets, open. The callee gives them out, and its answers use the same set.
#[derive(Clone)]
pub struct Secrets {
    /// What `query_token` is asked with.
    pub operator_secret: SecretString,
    data_secret: SecretString,
    data_secret_iv: SecretString,
    sig_secret: SecretString,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// Which of them cannot be used, and what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is not usable: {allowed}")]
pub struct BadSecret {
    /// Its member.
    pub field: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
}

/// The four as texts.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretTexts {
    /// `OperatorSecret`.
    #[serde(deserialize_with = "secret")]
    pub operator_secret: SecretString,
    /// `DataSecret`, 16 ASCII characters.
    #[serde(deserialize_with = "secret")]
    pub data_secret: SecretString,
    /// `DataSecretIV`, 16 ASCII characters.
    #[serde(deserialize_with = "secret")]
    pub data_secret_iv: SecretString,
    /// `SigSecret`.
    #[serde(deserialize_with = "secret")]
    pub sig_secret: SecretString,
}

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<SecretString, D::Error> {
    String::deserialize(d).map(SecretString::from)
}

impl fmt::Debug for SecretTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretTexts(…)")
    }
}

impl TryFrom<SecretTexts> for Secrets {
    type Error = BadSecret;
    fn try_from(texts: SecretTexts) -> Result<Self, BadSecret> {
        let text = |secret: &SecretString| {
            let open = secret.expose_secret();
            (1..=TEXT_MAX).contains(&open.len()) && open.bytes().all(|b| b.is_ascii_graphic())
        };
        let block = |secret: &SecretString| text(secret) && secret.expose_secret().len() == BLOCK;
        let some = "1 to 128 visible ASCII characters";
        let checks = [
            (text(&texts.operator_secret), "operator_secret", some),
            (block(&texts.data_secret), "data_secret", "16 visible ASCII characters"),
            (block(&texts.data_secret_iv), "data_secret_iv", "16 visible ASCII characters"),
            (text(&texts.sig_secret), "sig_secret", some),
        ];
        if let Some((_, field, allowed)) = checks.into_iter().find(|(good, ..)| !good) {
            return Err(BadSecret { field, allowed });
        }
        let SecretTexts { operator_secret, data_secret, data_secret_iv, sig_secret } = texts;
        Ok(Secrets { operator_secret, data_secret, data_secret_iv, sig_secret })
    }
}

impl Secrets {
    /// A new set from 56 random bytes: 16 characters of 96 random bits for key, vector and signature each, 27 for the rest.
    pub fn make(random: &[u8; 56]) -> Self {
        use base64::Engine as _;
        let text = |bytes: &[u8]| SecretString::from(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes));
        Secrets {
            operator_secret: text(&random[..20]),
            data_secret: text(&random[20..32]),
            data_secret_iv: text(&random[32..44]),
            sig_secret: text(&random[44..]),
        }
    }

    /// The set as JSON, to be shown once or sealed.
    pub fn to_json(&self) -> Zeroizing<String> {
        let open = |secret: &SecretString| secret.expose_secret().to_owned();
        let value = json!({
            "operator_secret": open(&self.operator_secret),
            "data_secret": open(&self.data_secret),
            "data_secret_iv": open(&self.data_secret_iv),
            "sig_secret": open(&self.sig_secret),
        });
        Zeroizing::new(value.to_string())
    }

    /// The opposite. `None`: it is none.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str::<SecretTexts>(text).ok()?.try_into().ok()
    }

    pub(super) fn key(&self) -> [u8; BLOCK] {
        block(&self.data_secret)
    }

    pub(super) fn iv(&self) -> [u8; BLOCK] {
        block(&self.data_secret_iv)
    }

    pub(super) fn sig_key(&self) -> &[u8] {
        self.sig_secret.expose_secret().as_bytes()
    }
}

/// The 16 bytes: the length was checked when the set was made.
fn block(secret: &SecretString) -> [u8; BLOCK] {
    let mut bytes = [0; BLOCK];
    for (to, from) in bytes.iter_mut().zip(secret.expose_secret().bytes()) {
        *to = from;
    }
    bytes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The set of the published vectors.
    pub(crate) fn published() -> Secrets {
        let same = || SecretString::from("1234567890abcdef");
        let texts =
            SecretTexts { operator_secret: same(), data_secret: same(), data_secret_iv: same(), sig_secret: same() };
        texts.try_into().unwrap()
    }

    #[test]
    fn a_made_set_is_well_formed_and_comes_back_from_its_json() {
        let made = Secrets::make(&std::array::from_fn(|n| n as u8));
        let back = Secrets::from_json(&made.to_json()).unwrap();
        assert_eq!(back.to_json(), made.to_json());
        assert_ne!(made.key(), made.iv());
        assert_eq!(format!("{made:?}"), "Secrets(…)");
    }

    #[test]
    fn a_key_that_is_not_16_characters_is_refused_by_name() {
        let text = |text: &str| SecretString::from(text);
        for (key, iv, field) in
            [("short", "1234567890abcdef", "data_secret"), ("1234567890abcdef", "1234567890abcde\n", "data_secret_iv")]
        {
            let texts = SecretTexts {
                operator_secret: text("x"),
                data_secret: text(key),
                data_secret_iv: text(iv),
                sig_secret: text("y"),
            };
            assert_eq!(Secrets::try_from(texts).unwrap_err().field, field);
        }
    }
}
