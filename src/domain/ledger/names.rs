//! The names of the ledger: accounts, causes, orders, holds. Owns their alphabets.

use crate::ids::PartnerId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text is no name of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{shown}` is not valid: 1 to {max} characters of A-Z a-z 0-9 _ - / are allowed")]
pub struct InvalidName {
    kind: &'static str,
    /// The text as given, escaped and cut to 64 characters.
    shown: String,
    max: usize,
}

fn check(kind: &'static str, max: usize, text: &str) -> Result<Arc<str>, InvalidName> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'/');
    if !text.is_empty() && text.len() <= max && text.bytes().all(plain) {
        return Ok(Arc::from(text));
    }
    let shown = text.chars().take(64).collect::<String>().escape_debug().to_string();
    Err(InvalidName { kind, shown, max })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest, in characters.
            pub const MAX: usize = $max;

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
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

name!(
    /// Why something was booked: `session/<id>/freeze`. Unique within an account for ever: the key of idempotency. Whoever
    /// sends a command makes it from its own id and step, so that a repeat carries the same.
    Cause, "cause", 240
);
name!(
    /// An order: the money side of one session or reservation. `session/<id>`, `reservation/<id>`, as its owner names it.
    OrderId, "order", 96
);
name!(
    /// A frozen amount. Its owner names it, once: a hold that was closed is never opened again.
    HoldId, "hold", 96
);
name!(
    /// A payment, by the gateway's own transaction id (MO-3).
    PaymentId, "payment", 96
);
name!(
    /// A coupon: its code (MO-8).
    CouponId, "coupon", 64
);

impl Cause {
    /// The cause of a step of this cause that is booked by itself: `<this>/<step>`.
    ///
    /// # Errors
    /// When it would be too long.
    pub fn step(&self, step: &str) -> Result<Cause, InvalidName> {
        format!("{self}/{step}").parse()
    }
}

/// An account of the ledger. The first three are the user's own, the others the platform's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// What the user can spend. Negative down to the credit limit.
    UserAvailable,
    /// What is frozen for what the user has begun. Never negative.
    UserFrozen,
    /// What the user owes. Never positive.
    UserDebt,
    /// Money that the payment gateway has taken from users and not paid out yet: negative while it is owed to us.
    GatewayClearing,
    /// Payments that are to go back to where they came from.
    GatewayRefunds,
    /// Earned with electricity.
    RevenueEnergy,
    /// Earned with service fees.
    RevenueService,
    /// Earned with occupancy after the end (SE-13).
    RevenueOccupancy,
    /// Earned with reservations (RS-2, RS-4).
    RevenueReservation,
    /// What coupons have cost us (MO-8): never positive.
    Coupons,
    /// What was given back to users for orders: never positive.
    Refunds,
    /// Manual adjustments (MO-6).
    Adjustments,
    /// What a partner is to get of what its station has delivered.
    PartnerReceivable(PartnerId),
}

/// What a partner's account begins with.
const RECEIVABLE: &str = "partner-receivable/";

/// A text that names no account of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no account of the ledger")]
pub struct UnknownLedgerAccount(String);

impl LedgerAccount {
    /// Every account but those of partners.
    pub const PLAIN: [LedgerAccount; 12] = [
        LedgerAccount::UserAvailable,
        LedgerAccount::UserFrozen,
        LedgerAccount::UserDebt,
        LedgerAccount::GatewayClearing,
        LedgerAccount::GatewayRefunds,
        LedgerAccount::RevenueEnergy,
        LedgerAccount::RevenueService,
        LedgerAccount::RevenueOccupancy,
        LedgerAccount::RevenueReservation,
        LedgerAccount::Coupons,
        LedgerAccount::Refunds,
        LedgerAccount::Adjustments,
    ];

    /// Whether it is the platform's: its balance is the sum over all streams.
    pub fn is_platform(&self) -> bool {
        !matches!(self, LedgerAccount::UserAvailable | LedgerAccount::UserFrozen | LedgerAccount::UserDebt)
    }

    /// Whether a line of a bill may go to it.
    pub fn is_income(&self) -> bool {
        match self {
            LedgerAccount::RevenueEnergy
            | LedgerAccount::RevenueService
            | LedgerAccount::RevenueOccupancy
            | LedgerAccount::RevenueReservation
            | LedgerAccount::PartnerReceivable(_) => true,
            LedgerAccount::UserAvailable
            | LedgerAccount::UserFrozen
            | LedgerAccount::UserDebt
            | LedgerAccount::GatewayClearing
            | LedgerAccount::GatewayRefunds
            | LedgerAccount::Coupons
            | LedgerAccount::Refunds
            | LedgerAccount::Adjustments => false,
        }
    }

    fn plain(&self) -> &'static str {
        match self {
            LedgerAccount::UserAvailable => "user:available",
            LedgerAccount::UserFrozen => "user:frozen",
            LedgerAccount::UserDebt => "user:debt",
            LedgerAccount::GatewayClearing => "gateway-clearing",
            LedgerAccount::GatewayRefunds => "gateway-refunds",
            LedgerAccount::RevenueEnergy => "revenue-energy",
            LedgerAccount::RevenueService => "revenue-service",
            LedgerAccount::RevenueOccupancy => "revenue-occupancy",
            LedgerAccount::RevenueReservation => "revenue-reservation",
            LedgerAccount::Coupons => "coupons",
            LedgerAccount::Refunds => "refunds",
            LedgerAccount::Adjustments => "adjustments",
            LedgerAccount::PartnerReceivable(_) => RECEIVABLE,
        }
    }
}

impl LedgerAccount {
    /// Its name; of a partner's account without the partner.
    pub fn family(&self) -> &'static str {
        self.plain().trim_end_matches('/')
    }
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plain())?;
        if let LedgerAccount::PartnerReceivable(partner) = self {
            partner.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for LedgerAccount {
    type Err = UnknownLedgerAccount;
    fn from_str(text: &str) -> Result<Self, UnknownLedgerAccount> {
        let unknown = || UnknownLedgerAccount(text.chars().take(64).collect());
        if let Some(partner) = text.strip_prefix(RECEIVABLE) {
            return partner.parse().map(LedgerAccount::PartnerReceivable).map_err(|_| unknown());
        }
        LedgerAccount::PLAIN.into_iter().find(|account| account.plain() == text).ok_or_else(unknown)
    }
}

impl Serialize for LedgerAccount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LedgerAccount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
