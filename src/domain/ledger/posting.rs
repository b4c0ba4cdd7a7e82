//! A posting: one booking with all its legs. Owns the rule that it balances.

use super::names::{Cause, LedgerAccount, OrderId};
use crate::domain::money::{Currency, Money};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What one ledger account gains by a posting; negative: what it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Which account.
    pub account: LedgerAccount,
    /// Minor units of the posting's currency; never zero.
    pub minor: i64,
}

/// The legs of a posting: few.
pub type Legs = SmallVec<[Leg; 4]>;

/// Why legs make no posting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// They do not sum to zero.
    #[error("the legs of {cause} sum to {sum} minor units: a posting sums to 0")]
    Unbalanced {
        /// Of which posting.
        cause: Cause,
        /// The sum.
        sum: i128,
    },
    /// There are none.
    #[error("{0} has no legs: a posting moves something")]
    Empty(Cause),
}

/// One booking. It balances: there is no other way to have one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Posting {
    cause: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderId>,
    currency: Currency,
    legs: Legs,
}

/// As it is read from a journal, before it is looked at.
#[derive(Deserialize)]
struct Stored {
    cause: Cause,
    #[serde(default)]
    order: Option<OrderId>,
    currency: Currency,
    legs: Legs,
}

impl TryFrom<Stored> for Posting {
    type Error = PostingError;
    fn try_from(stored: Stored) -> Result<Self, PostingError> {
        Posting::new(stored.cause, stored.order, stored.currency, stored.legs)
    }
}

impl Posting {
    /// A posting of these legs. Legs of the same account are put together; those of nothing fall away.
    ///
    /// # Errors
    /// When they do not balance, or move nothing.
    pub fn new(
        cause: Cause,
        order: Option<OrderId>,
        currency: Currency,
        legs: impl IntoIterator<Item = Leg>,
    ) -> Result<Self, PostingError> {
        let mut sums: SmallVec<[(LedgerAccount, i128); 4]> = SmallVec::new();
        for Leg { account, minor } in legs {
            match sums.iter_mut().find(|(known, _)| *known == account) {
                Some((_, sum)) => *sum += i128::from(minor),
                None => sums.push((account, i128::from(minor))),
            }
        }
        let sum: i128 = sums.iter().map(|(_, sum)| sum).sum();
        let mut legs = Legs::new();
        for (account, total) in sums.into_iter().filter(|(_, total)| *total != 0) {
            // A leg that does not fit cannot be booked whole: it is as if it did not balance.
            let Ok(minor) = i64::try_from(total) else { return Err(PostingError::Unbalanced { cause, sum: total }) };
            legs.push(Leg { account, minor });
        }
        if sum != 0 {
            return Err(PostingError::Unbalanced { cause, sum });
        }
        if legs.is_empty() {
            return Err(PostingError::Empty(cause));
        }
        Ok(Posting { cause, order, currency, legs })
    }

    /// Why it was booked.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The order it belongs to.
    pub fn order(&self) -> Option<&OrderId> {
        self.order.as_ref()
    }

    /// Of all its legs.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Its legs; they sum to zero.
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// What an account gains by it.
    pub fn gain(&self, account: &LedgerAccount) -> Money {
        let minor = self.legs.iter().find(|leg| leg.account == *account).map_or(0, |leg| leg.minor);
        Money::new(minor, self.currency)
    }
}
