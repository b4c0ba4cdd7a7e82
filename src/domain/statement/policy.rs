//! What statements are made by. Owns the defaults of the rules' tests; the product's come from `config.toml`.

use super::days::Days;
use crate::domain::tariff::Minute;
use std::time::Duration;

/// The settings that the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose midnight: an IANA name.
    pub time_zone: Box<str>,
    /// At what time of the next day a statement is made.
    pub at: Minute,
    /// How long after an early cut its statement is made: what was decided before it is in the store by then.
    pub settle: Duration,
    /// The first wait before a statement that could not be made is tried again; doubles up to [`Policy::retry_max`].
    pub retry: Duration,
    /// The longest such wait.
    pub retry_max: Duration,
    /// Disputes, and orders confirmed one by one, of a statement.
    pub orders_max: usize,
    /// How long a settled statement still takes invoices and payments.
    pub keep: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            time_zone: "Asia/Shanghai".into(),
            at: Minute::new(60),
            settle: Duration::from_secs(60),
            retry: Duration::from_secs(10),
            retry_max: Duration::from_secs(600),
            orders_max: 1000,
            keep: Duration::from_secs(90 * 86_400),
        }
    }
}

impl Policy {
    /// Local days. A zone that is not known does not pass the check of the configuration.
    pub fn days(&self) -> Days {
        Days::of(&self.time_zone, self.at).unwrap_or_else(|_| Days::utc(self.at))
    }

    /// The wait after so many tries.
    pub fn wait(&self, tries: u32) -> Duration {
        self.retry.saturating_mul(2u32.saturating_pow(tries.min(20))).min(self.retry_max)
    }
}
