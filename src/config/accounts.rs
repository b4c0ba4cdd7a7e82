//! The sections `[accounts]` and `[payments]` of `config.toml`.

use super::check::{Checked, Problem, not_above};
use crate::domain::account::Policy;
use crate::domain::account::risk::{Limit, Limits};
use crate::domain::money::Currency;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The section `[accounts]`. Units and reasons of every key are in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.toml documents every key")]
pub struct Accounts {
    pub currency: Currency,
    pub amount_max: i64,
    pub top_up_max: i64,
    pub credit_max: i64,
    pub holds_max: usize,
    pub top_ups_max: usize,
    pub coupons_max: usize,
    pub proposals_max: usize,
    pub debts_from_top_ups: bool,
    pub memos: usize,
    pub failed_starts: usize,
    #[serde(with = "crate::config::seconds")]
    pub failed_starts_within: Duration,
    pub rapid_top_ups: usize,
    #[serde(with = "crate::config::seconds")]
    pub rapid_top_ups_within: Duration,
    pub coupon_uses: usize,
    #[serde(with = "crate::config::seconds")]
    pub coupon_uses_within: Duration,
    pub unpaid_orders: usize,
}

/// The section `[payments]`. Units and reasons of every key are in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.toml documents every key")]
pub struct Payments {
    pub secret_file: PathBuf,
    pub gateway_url: String,
    #[serde(with = "crate::config::seconds")]
    pub callback_window: Duration,
    #[serde(with = "crate::config::seconds")]
    pub timeout: Duration,
    pub breaker_failures: u32,
    #[serde(with = "crate::config::seconds")]
    pub breaker_pause: Duration,
    #[serde(with = "crate::config::seconds")]
    pub query_after: Duration,
    #[serde(with = "crate::config::seconds")]
    pub top_up_expires: Duration,
    #[serde(with = "crate::config::seconds")]
    pub retry: Duration,
    #[serde(with = "crate::config::seconds")]
    pub retry_max: Duration,
}

/// Memos that an account keeps while they are young, however few it is to keep: above what one account can book in
/// [`FOLD_AFTER`](crate::domain::account::FOLD_AFTER) at any sane pace.
const YOUNG_MEMOS: usize = 512;

impl Checked for Accounts {
    fn check(&self, problems: &mut Vec<Problem>) {
        if self.top_up_max > self.amount_max {
            let allowed = "at most accounts.amount_max";
            problems.push(Problem::new("accounts.top_up_max", self.top_up_max, allowed));
        }
        if self.credit_max > self.amount_max {
            let allowed = "at most accounts.amount_max";
            problems.push(Problem::new("accounts.credit_max", self.credit_max, allowed));
        }
    }
}

impl Checked for Payments {
    fn check(&self, problems: &mut Vec<Problem>) {
        let expires = ("payments.top_up_expires", self.top_up_expires);
        not_above(problems, "payments.query_after", self.query_after, expires);
        not_above(problems, "payments.retry", self.retry, ("payments.retry_max", self.retry_max));
        let url = &self.gateway_url;
        let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"].iter().any(|begin| url.starts_with(begin));
        if !url.is_empty() && !local && !url.starts_with("https://") {
            problems.push(Problem::new("payments.gateway_url", format!("{url:?}"), "an https URL"));
        }
        if !url.is_empty() && self.secret_file.as_os_str().is_empty() {
            let allowed = "a file is required where payments.gateway_url is set";
            problems.push(Problem::new("payments.secret_file", "empty", allowed));
        }
    }
}

/// What the rules of accounts look at.
pub fn policy(accounts: &Accounts, payments: &Payments) -> Policy {
    let limit = |count, window| Limit { count, window };
    Policy {
        currency: accounts.currency,
        amount_max: accounts.amount_max,
        top_up_max: accounts.top_up_max,
        credit_max: accounts.credit_max,
        holds_max: accounts.holds_max,
        top_ups_max: accounts.top_ups_max,
        coupons_max: accounts.coupons_max,
        proposals_max: accounts.proposals_max,
        query_after: payments.query_after,
        top_up_expires: payments.top_up_expires,
        retry: payments.retry,
        retry_max: payments.retry_max,
        debts_from_top_ups: accounts.debts_from_top_ups,
        memos: (accounts.memos, YOUNG_MEMOS),
        risk: Limits {
            failed_starts: limit(accounts.failed_starts, accounts.failed_starts_within),
            top_ups: limit(accounts.rapid_top_ups, accounts.rapid_top_ups_within),
            coupons: limit(accounts.coupon_uses, accounts.coupon_uses_within),
            debts: accounts.unpaid_orders,
        },
    }
}
