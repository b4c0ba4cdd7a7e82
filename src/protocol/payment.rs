//! The generic form in which a payment gateway and we speak (MO-3; `docs/payments.md`): JSON, signed by HMAC-SHA256 over the
//! time and the body. Owns the wire shapes and the signature; never what a payment means.
//!
//! Invariants: a signature is compared in constant time; a secret is of a type that shows nothing in `Debug`.

use crate::clock::Timestamp;
use crate::domain::ledger::PaymentId;
use crate::domain::money::{Currency, Money};
use crate::ids::TopUpId;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// The header with the Unix time in whole seconds.
pub const TIMESTAMP: &str = "payment-timestamp";
/// The header with `v1=` and the lower-case hex of the HMAC.
pub const SIGNATURE: &str = "payment-signature";
/// The version of the scheme.
const VERSION: &str = "v1=";

/// The largest callback that is read.
pub const BODY_MAX: usize = 16 * 1024;

/// Why a callback is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// A header is missing or not well formed.
    #[error("the header {0} is missing or not well formed")]
    Malformed(&'static str),
    /// Signed too long ago, or in the future.
    #[error("the timestamp is outside of the window")]
    Untimely,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Wrong,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The user has not paid yet.
    Pending,
    /// Paid: the money is the gateway's to pay out.
    Paid,
    /// It will not be paid any more.
    Failed,
}

/// What a gateway says of a payment: the body of a callback, and of the answer to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentNote {
    /// Our intent.
    pub top_up_id: TopUpId,
    /// The gateway's own name of the payment; needed unless it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<PaymentId>,
    /// What became of it.
    pub status: PaymentStatus,
    /// Minor units: fen, cent.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

impl PaymentNote {
    /// Reads one.
    ///
    /// # Errors
    /// When the body is none; names the member.
    pub fn parse(body: &[u8]) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))
    }

    /// Its amount.
    pub fn money(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }
}

/// What a gateway is asked when it is to take a payment back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOrder {
    /// Our name of the refund: the same each time it is asked for, so that it is done once.
    pub refund_id: String,
    /// Which payment.
    pub transaction_id: PaymentId,
    /// Its intent.
    pub top_up_id: TopUpId,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

impl RefundOrder {
    /// To take all of a payment back.
    pub fn new(payment: &PaymentId, intent: TopUpId, amount: Money) -> Self {
        RefundOrder {
            refund_id: format!("refund/{payment}"),
            transaction_id: payment.clone(),
            top_up_id: intent,
            amount_minor: amount.minor,
            currency: amount.currency,
        }
    }
}

fn mac(secret: &SecretString, timestamp: &str, body: &[u8]) -> [u8; 32] {
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("a key of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// The values of the two headers.
pub fn sign(secret: &SecretString, now: Timestamp, body: &[u8]) -> (String, String) {
    let timestamp = now.as_seconds().to_string();
    let signature = format!("{VERSION}{}", hex::encode(mac(secret, &timestamp, body)));
    (timestamp, signature)
}

/// Whether a body is the gateway's, and of now.
///
/// # Errors
/// Why not.
pub fn verify(
    secret: &SecretString,
    timestamp: Option<&str>,
    signature: Option<&str>,
    body: &[u8],
    now: Timestamp,
    window: Duration,
) -> Result<(), Unbelieved> {
    let digits = |text: &&str| !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    let timestamp = timestamp.filter(digits).ok_or(Unbelieved::Malformed("Payment-Timestamp"))?;
    let hex =
        signature.and_then(|text| text.strip_prefix(VERSION)).ok_or(Unbelieved::Malformed("Payment-Signature"))?;
    let mut given = [0; 32];
    hex::decode_to_slice(hex, &mut given).map_err(|_| Unbelieved::Malformed("Payment-Signature"))?;
    // The signature first: who cannot sign learns nothing of our clock.
    if !bool::from(mac(secret, timestamp, body).ct_eq(&given)) {
        return Err(Unbelieved::Wrong);
    }
    let signed = timestamp.parse::<i64>().map_err(|_| Unbelieved::Malformed("Payment-Timestamp"))?;
    let off = now.as_seconds().saturating_sub(signed).unsigned_abs();
    if off > window.as_secs() {
        return Err(Unbelieved::Untimely);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretString {
        SecretString::from("a secret of the gateway and us".to_owned())
    }

    #[test]
    fn only_what_the_gateway_has_signed_now_is_believed() {
        let (now, window, body) = (Timestamp(1_700_000_000_000), Duration::from_secs(300), b"{}".as_slice());
        let (timestamp, signature) = sign(&secret(), now, body);
        let other = sign(&SecretString::from("another".to_owned()), now, body).1;
        let later = Timestamp(now.0 + 301_000);
        for (timestamp, signature, body, now, expected) in [
            (Some(timestamp.as_str()), Some(signature.as_str()), body, now, Ok(())),
            (Some(&timestamp), Some(&signature), body, Timestamp(now.0 + 300_000), Ok(())),
            (Some(&timestamp), Some(&signature), body, later, Err(Unbelieved::Untimely)),
            (Some(&timestamp), Some(&signature), b"{ }".as_slice(), now, Err(Unbelieved::Wrong)),
            (Some("1700000001"), Some(&signature), body, now, Err(Unbelieved::Wrong)),
            (Some(&timestamp), Some(&other), body, now, Err(Unbelieved::Wrong)),
            (Some(&timestamp), Some("v1=00"), body, now, Err(Unbelieved::Malformed("Payment-Signature"))),
            (Some(&timestamp), None, body, now, Err(Unbelieved::Malformed("Payment-Signature"))),
            (Some("-1"), Some(&signature), body, now, Err(Unbelieved::Malformed("Payment-Timestamp"))),
            (None, Some(&signature), body, now, Err(Unbelieved::Malformed("Payment-Timestamp"))),
        ] {
            assert_eq!(
                verify(&secret(), timestamp, signature, body, now, window),
                expected,
                "{timestamp:?} {signature:?}"
            );
        }
    }

    #[test]
    fn the_documented_example_is_signed_as_documented() {
        // docs/payments.md, worked with `openssl dgst -sha256 -hmac`.
        let body = br#"{"top_up_id":"01920000-0000-7000-8000-000000000001","transaction_id":"T1","status":"paid","amount_minor":5000,"currency":"CNY"}"#;
        let note = PaymentNote::parse(body).unwrap();
        assert_eq!((note.money(), note.status), (Money::new(5_000, Currency::CNY), PaymentStatus::Paid));
        let (_, signature) = sign(
            &SecretString::from("0123456789abcdef0123456789abcdef".to_owned()),
            Timestamp(1_700_000_000_000),
            body,
        );
        assert_eq!(signature, SIGNED);
    }

    const SIGNED: &str = "v1=d294502630e0b1236a37b61d1a21d03f25bb053beb805abcf4e0100dcf381c3b";

    #[test]
    fn a_bad_note_is_refused_with_the_member_that_is_bad() {
        for (body, member) in [
            (r#"{"top_up_id":"x"}"#, "top_up_id"),
            (r#"{"top_up_id":"01920000-0000-7000-8000-000000000001","status":"maybe"}"#, "status"),
            (
                r#"{"top_up_id":"01920000-0000-7000-8000-000000000001","status":"paid","amount_minor":1.5}"#,
                "amount_minor",
            ),
        ] {
            let error = PaymentNote::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(member), "{error}");
        }
    }
}
