//! What accounts are run by: limits and times. Owns the defaults of the rules' tests; the product's come from `config.toml`.

use super::risk::Limits;
use crate::domain::money::Currency;
use std::time::Duration;

/// The settings that the rules of an account look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Of new accounts.
    pub currency: Currency,
    /// The greatest amount of one request, minor units.
    pub amount_max: i64,
    /// The greatest single top-up, minor units.
    pub top_up_max: i64,
    /// The greatest credit limit, minor units.
    pub credit_max: i64,
    /// Open holds at a time.
    pub holds_max: usize,
    /// Open intents at a time.
    pub top_ups_max: usize,
    /// Unused coupons at a time.
    pub coupons_max: usize,
    /// Undecided adjustments at a time.
    pub proposals_max: usize,
    /// When the gateway is asked for the first time about an intent whose callback has not come; the wait doubles.
    pub query_after: Duration,
    /// How long an intent is waited for.
    pub top_up_expires: Duration,
    /// The wait before the same is asked of the gateway or of an order's owner again; doubles up to [`Policy::retry_max`].
    pub retry: Duration,
    /// The longest such wait.
    pub retry_max: Duration,
    /// Whether money that comes in pays debts at once, the oldest first (MO-3: a failed debit is tried again).
    pub debts_from_top_ups: bool,
    /// Memos that the state keeps, and at most while they are young.
    pub memos: (usize, usize),
    /// When users are blocked or reviewed.
    pub risk: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            currency: Currency::CNY,
            amount_max: 10_000_000,
            top_up_max: 500_000,
            credit_max: 1_000_000,
            holds_max: 16,
            top_ups_max: 5,
            coupons_max: 100,
            proposals_max: 20,
            query_after: Duration::from_secs(120),
            top_up_expires: Duration::from_secs(1800),
            retry: Duration::from_secs(10),
            retry_max: Duration::from_secs(3600),
            debts_from_top_ups: true,
            memos: (64, 512),
            risk: Limits::default(),
        }
    }
}

impl Policy {
    /// The wait after `tries` attempts.
    pub fn wait(&self, tries: u32) -> Duration {
        self.retry.saturating_mul(2u32.saturating_pow(tries.min(20))).min(self.retry_max)
    }
}
