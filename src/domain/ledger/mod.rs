//! The double-entry ledger (MO-1). Owns what a posting is: legs that sum to zero, a cause, and the names of the accounts;
//! never an account's rules, an order or a store.
//!
//! Invariants: a [`Posting`] that does not balance cannot be made, nor read from a journal; amounts are whole minor units
//! of one currency. A leg's amount is what the ledger account **gains** (a credit); what it gives is negative. So a user's
//! balance is positive while we owe it to them, and their debt is negative: what they owe us.
//!
//! All legs of a posting are in the payer's partition, also those of platform accounts: a platform account's balance is the
//! sum over all streams, and nothing is atomic across them ([`Trial::merge`]).

mod names;
mod posting;
mod trial;

pub use names::{Cause, CouponId, HoldId, InvalidName, LedgerAccount, OrderId, PaymentId, UnknownLedgerAccount};
pub use posting::{Leg, Legs, Posting, PostingError};
pub use trial::Trial;

#[cfg(test)]
mod tests;
