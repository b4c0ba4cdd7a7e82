//! The section `[statement]` of `config.toml`: whose midnight, when statements are made, how long they stay open.

use super::check::{Checked, Problem, not_above};
use crate::domain::statement::Policy;
use crate::domain::statement::days::Days;
use crate::domain::tariff::Minute;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[statement]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// IANA name of the zone whose days are stated (RC-3).
    pub time_zone: String,
    /// At what time of the next day a statement is made.
    pub at: String,
    /// How long after an early cut its statement is made.
    #[serde(with = "crate::config::seconds")]
    pub settle: Duration,
    /// The first wait before a statement that could not be made is tried again; doubles.
    #[serde(with = "crate::config::seconds")]
    pub retry: Duration,
    /// The longest such wait.
    #[serde(with = "crate::config::seconds")]
    pub retry_max: Duration,
    /// Disputed orders, and orders confirmed one by one, of one statement.
    pub orders_max: u32,
    /// How long a settled statement takes invoices and payments.
    #[serde(with = "crate::config::seconds")]
    pub keep: Duration,
}

impl Statement {
    /// As the rules want it.
    pub fn policy(&self) -> Policy {
        Policy {
            time_zone: self.time_zone.as_str().into(),
            // Checked.
            at: self.at.parse().unwrap_or(Policy::default().at),
            settle: self.settle,
            retry: self.retry,
            retry_max: self.retry_max,
            orders_max: usize::try_from(self.orders_max).unwrap_or(usize::MAX),
            keep: self.keep,
        }
    }
}

impl Checked for Statement {
    fn check(&self, problems: &mut Vec<Problem>) {
        if Days::of(&self.time_zone, Minute::default()).is_err() {
            let allowed = "an IANA name such as Asia/Shanghai is allowed";
            problems.push(Problem::new("statement.time_zone", format!("{:?}", self.time_zone), allowed));
        }
        if self.at.parse::<Minute>().map_or(true, |at| at >= Minute::END) {
            let allowed = "a time of day from 00:00 to 23:59 is allowed";
            problems.push(Problem::new("statement.at", format!("{:?}", self.at), allowed));
        }
        not_above(problems, "statement.retry", self.retry, ("statement.retry_max", self.retry_max));
    }
}
