//! The section `[order]` of `config.toml`: what is set aside, what is looked at, how long payment is awaited.

use super::check::{Checked, Problem, not_above};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[order]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Set aside before a start, in minor units, unless the request says how much (SE-3).
    pub freeze: u32,
    /// Orders above this, in minor units, wait for a person (MO-7).
    pub review_above: u32,
    /// What one person alone may give back of an order, in minor units; above it another one has to agree (MO-6).
    pub refund_alone_max: u32,
    /// How long a user is asked to pay what was missing before the order is `Unpaid` (MO-5).
    #[serde(with = "crate::config::seconds")]
    pub payment_window: Duration,
    /// How often the user is reminded meanwhile.
    #[serde(with = "crate::config::seconds")]
    pub remind_every: Duration,
    /// How long before the amount set aside is used up the user is warned (SE-11).
    #[serde(with = "crate::config::seconds")]
    pub warn_before: Duration,
    /// How long a stop takes to act: charging is stopped that much earlier (SE-11).
    #[serde(with = "crate::config::seconds")]
    pub stop_takes: Duration,
    /// The first wait before an account that has not answered is asked again; doubles.
    #[serde(with = "crate::config::seconds")]
    pub account_retry: Duration,
    /// The longest such wait.
    #[serde(with = "crate::config::seconds")]
    pub account_retry_max: Duration,
    /// An account that has not answered for so long is a case for a person.
    #[serde(with = "crate::config::seconds")]
    pub account_silent: Duration,
    /// How long before staying costs the user is told (SE-13).
    #[serde(with = "crate::config::seconds")]
    pub occupancy_warn: Duration,
    /// Staying is settled after this time in any case.
    #[serde(with = "crate::config::seconds")]
    pub occupancy_max: Duration,
    /// When settled orders of the day before are priced again, after midnight UTC (MO-9).
    #[serde(with = "crate::config::seconds")]
    pub check_after: Duration,
    /// How many of 10,000 are (MO-9).
    pub check_share: u32,
    /// How long a settled order stays in memory.
    #[serde(with = "crate::config::seconds")]
    pub linger: Duration,
}

impl Checked for Order {
    fn check(&self, problems: &mut Vec<Problem>) {
        let max = ("order.account_retry_max", self.account_retry_max);
        not_above(problems, "order.account_retry", self.account_retry, max);
    }
}

impl Default for Order {
    fn default() -> Self {
        Order {
            freeze: 5000,
            review_above: 20_000,
            refund_alone_max: 5_000,
            payment_window: Duration::from_secs(1800),
            remind_every: Duration::from_secs(600),
            warn_before: Duration::from_secs(600),
            stop_takes: Duration::from_secs(30),
            account_retry: Duration::from_secs(5),
            account_retry_max: Duration::from_secs(300),
            account_silent: Duration::from_secs(600),
            occupancy_warn: Duration::from_secs(300),
            occupancy_max: Duration::from_secs(86_400),
            check_after: Duration::from_secs(3 * 3600),
            check_share: 100,
            linger: Duration::from_secs(600),
        }
    }
}
