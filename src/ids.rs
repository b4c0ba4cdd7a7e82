//! Names of things. Owns the checked identifier types; never holds state about what they name.
//!
//! Invariant: an identifier that exists is safe as a journal key, a URL path segment, a file name and a log
//! field (faults-and-security control 21): its alphabet is `[A-Za-z0-9_-]`, so no dot, slash, star or blank.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use uuid::Uuid;

/// Why a text is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{shown}` is not valid: 1 to {max} characters of A-Z a-z 0-9 _ - are allowed")]
pub struct InvalidId {
    kind: &'static str,
    /// The text as given, escaped and cut to 64 characters.
    shown: String,
    max: usize,
}

fn check(kind: &'static str, max: usize, text: &str) -> Result<Arc<str>, InvalidId> {
    let fits = !text.is_empty() && text.len() <= max;
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Ok(Arc::from(text));
    }
    let shown = text.chars().take(64).collect::<String>().escape_debug().to_string();
    Err(InvalidId { kind, shown, max })
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest such identifier, in characters.
            pub const MAX: usize = $max;

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                check($kind, Self::MAX, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// A charger's identity: the last path segment of its WebSocket URL and its basic-auth user name (OCPP-J 1.6 §3.1.1).
    ChargerId, "charger id", 48
);
text_id!(
    /// A partner platform's identity, chosen at registration (EM-1).
    PartnerId, "partner id", 32
);
text_id!(
    /// A site (Location): a place with chargers.
    SiteId, "site id", 48
);
text_id!(
    /// A partner's own name of one of its webhook endpoints (EM-9).
    EndpointName, "endpoint name", 32
);

impl EndpointName {
    /// That of the endpoint which the routes without a name mean, and of every endpoint from before there were several.
    pub fn default_endpoint() -> Self {
        EndpointName(Arc::from("default"))
    }

    /// Whether it is that one.
    pub fn is_default(&self) -> bool {
        &*self.0 == "default"
    }
}

text_id!(
    /// A tariff's name, the same over its versions (MO-2). As long as an OCPI `Tariff.id` may be.
    TariffId, "tariff id", 36
);
text_id!(
    /// A partner's statement: its local day, `2026-11-20`, with `-2` and so on for others of that day (RC-3).
    StatementId, "statement id", 24
);

impl StatementId {
    /// That of a text which a calendar has made: what is not allowed becomes `-`.
    pub fn of(text: &str) -> Self {
        let kept = text.chars().take(Self::MAX).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        StatementId(kept.collect::<String>().into())
    }
}

text_id!(
    /// An operator's account: a person, or a program that acts for one (OP-3).
    OperatorId, "operator id", 32
);
text_id!(
    /// A ticket: a case for a person (OP-2). Cases of the same kind about the same thing are one ticket.
    TicketId, "ticket id", 200
);
text_id!(
    /// The partner's own name of a write request; the key of idempotency (EM-5).
    RequestId, "request_id", 64
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One charging of one vehicle, as the commercial side knows it. UUID v7, so it sorts by birth.
    SessionId
);
uuid_id!(
    /// One holding of one connector for one user (RS-1). UUID v7, so it sorts by birth.
    ReservationId
);
uuid_id!(
    /// The money side of one session: a charging order has its session's own number, an occupancy order a fresh one.
    OrderId
);
uuid_id!(
    /// One intent to pay money into an account (MO-3).
    TopUpId
);
uuid_id!(
    /// One proposed adjustment of an account (MO-6).
    AdjustmentId
);
uuid_id!(
    /// One act that waits for a second person (OP-3).
    ApprovalId
);
uuid_id!(
    /// One command to a charger (CH-6): the OCPP unique message id of its CALL as well.
    CommandId
);

/// OCPP 1.6 connector number: 0 is the charger itself, 1 and up its connectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectorId(pub u16);

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// OCPP 1.6 transaction id: positive, 32 bit, never used twice by one charger (CH-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub i32);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_no_identifiers() {
        for text in ["", "a.b", "*", ">", "..", "a/b", "a b", "é", "a\n", "a\0b", &"x".repeat(300)] {
            assert!(text.parse::<ChargerId>().is_err(), "{text:?}");
        }
        assert_eq!("CP_01-a".parse::<ChargerId>().map(|id| id.to_string()), Ok("CP_01-a".into()));
    }

    #[test]
    fn a_refused_identifier_is_shown_escaped_and_short() {
        let error = format!("a\u{1b}[31m{}", "x".repeat(500)).parse::<PartnerId>().map_err(|e| e.to_string());
        assert!(matches!(&error, Err(text) if !text.contains('\u{1b}') && text.len() < 250), "{error:?}");
    }
}
