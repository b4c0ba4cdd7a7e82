//! T/CEC 102-2016, the interconnection of Chinese charging operators (EM-11): envelope, encryption, signature, return codes and
//! the members of every interface. Owns bytes to types and back, in the partner's [`Dialect`]; never a token's life, never a rule.
//!
//! Reading order: [`secrets`] and [`crypto`] (AES-128-CBC, HMAC-MD5), [`envelope`] (both directions), [`ret`], [`interface`],
//! [`dialect`] (how a value is spelt for a partner), [`values`] (times, decimals), then the interfaces' members:
//! [`token`], [`station`], [`charging`], [`order`].
//!
//! Invariants: the signature is checked over the text as sent, before anything is decrypted, in constant time; money, energy and
//! prices are exact decimals; what is written has the 2016 names unless the dialect says otherwise, and both spellings,
//! numbers and texts, objects and arrays are read.
//!
//! [`Dialect`]: crate::domain::delivery::Dialect

pub mod charging;
pub mod crypto;
pub mod dialect;
pub mod envelope;
pub mod interface;
pub mod order;
pub mod ret;
pub mod secrets;
pub mod station;
pub mod token;
pub mod values;

#[cfg(test)]
mod vectors;

pub use envelope::{Codec, Reply, Request};
pub use interface::Interface;
pub use ret::{Refused, Ret};
pub use secrets::Secrets;
