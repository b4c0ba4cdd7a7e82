//! The risk rules (OP-1): what is counted, when it is too much, what follows, and what the user is told. A pure table; owns
//! no block and no ticket, which are facts of the account.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A rule that can block a user or ask for a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// An operator has put the user on the blacklist.
    Blacklist,
    /// So many orders are unpaid.
    Debts,
    /// So many starts have failed in a short time.
    FailedStarts,
    /// So many payments have come in a short time.
    RapidTopUps,
    /// So many coupons were used in a short time.
    CouponAbuse,
}

/// What follows from a rule's finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A ticket: a person looks, the user goes on.
    Review,
    /// The user cannot start until a person lifts it.
    Block,
}

/// What the user is told, in the languages of the catalogue (EM-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// English.
    pub en: Box<str>,
    /// Chinese.
    pub zh: Box<str>,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 5] = [Rule::Blacklist, Rule::Debts, Rule::FailedStarts, Rule::RapidTopUps, Rule::CouponAbuse];

    /// Its stable name.
    pub fn code(self) -> &'static str {
        match self {
            Rule::Blacklist => "blacklist",
            Rule::Debts => "debts",
            Rule::FailedStarts => "failed_starts",
            Rule::RapidTopUps => "rapid_top_ups",
            Rule::CouponAbuse => "coupon_abuse",
        }
    }

    /// What follows from its finding.
    pub fn measure(self) -> Measure {
        match self {
            Rule::Blacklist | Rule::FailedStarts => Measure::Block,
            // Unpaid orders stop starts by themselves (SE-3): what is left for a person is the pattern.
            Rule::Debts | Rule::RapidTopUps | Rule::CouponAbuse => Measure::Review,
        }
    }

    /// What the user is told.
    pub fn told(self) -> Told {
        let (en, zh) = match self {
            Rule::Blacklist => ("Your account is blocked. Please contact support.", "您的账户已被停用，请联系客服。"),
            Rule::Debts => ("Please pay your unpaid orders first.", "请先支付未付订单。"),
            Rule::FailedStarts => (
                "Too many starts have failed in a short time. Please contact support to go on.",
                "短时间内启动失败次数过多，请联系客服解除限制。",
            ),
            Rule::RapidTopUps => {
                ("Your top-ups are being looked at; you can go on charging.", "您的充值正在核实，不影响充电。")
            }
            Rule::CouponAbuse => (
                "Your use of coupons is being looked at; you can go on charging.",
                "您的优惠券使用正在核实，不影响充电。",
            ),
        };
        Told { en: en.into(), zh: zh.into() }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A text that names no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such rule: blacklist, debts, failed_starts, rapid_top_ups and coupon_abuse are allowed")]
pub struct UnknownRule;

impl FromStr for Rule {
    type Err = UnknownRule;
    fn from_str(text: &str) -> Result<Self, UnknownRule> {
        Rule::ALL.into_iter().find(|rule| rule.code() == text).ok_or(UnknownRule)
    }
}

/// What is counted over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// A start failed.
    FailedStart,
    /// A payment came in.
    TopUp,
    /// A coupon was used.
    Coupon,
}

impl Sign {
    /// The rule that counts it.
    pub fn rule(self) -> Rule {
        match self {
            Sign::FailedStart => Rule::FailedStarts,
            Sign::TopUp => Rule::RapidTopUps,
            Sign::Coupon => Rule::CouponAbuse,
        }
    }
}

/// Moments kept of a sign: above any sane limit, so that a count never falls short of one.
pub const SIGNS_KEPT: usize = 64;

/// When the signs were seen, the newest [`SIGNS_KEPT`] of each, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signs(BTreeMap<Sign, VecDeque<Timestamp>>);

impl Signs {
    /// Counts one more.
    pub fn note(&mut self, sign: Sign, at: Timestamp) {
        let seen = self.0.entry(sign).or_default();
        seen.push_back(at);
        while seen.len() > SIGNS_KEPT {
            seen.pop_front();
        }
    }

    /// Forgets what a rule counts: a person has looked.
    pub fn forget(&mut self, rule: Rule) {
        self.0.retain(|sign, _| sign.rule() != rule);
    }

    /// How many there were in the `window` up to `now`.
    pub fn within(&self, sign: Sign, window: Duration, now: Timestamp) -> usize {
        let from = now - window;
        self.0.get(&sign).map_or(0, |seen| seen.iter().filter(|at| **at > from).count())
    }
}

/// How many of a thing in how long are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// From this many on. 0: the rule is off.
    pub count: usize,
    /// Within.
    pub window: Duration,
}

/// The limits of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Starts that failed.
    pub failed_starts: Limit,
    /// Payments that came in.
    pub top_ups: Limit,
    /// Coupons used.
    pub coupons: Limit,
    /// Unpaid orders. 0: the rule is off.
    pub debts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let limit = |count, seconds| Limit { count, window: Duration::from_secs(seconds) };
        Limits { failed_starts: limit(10, 3600), top_ups: limit(6, 600), coupons: limit(5, 86_400), debts: 3 }
    }
}

/// The rules that find something in the signs and the number of unpaid orders.
pub fn judge(signs: &Signs, unpaid: usize, limits: &Limits, now: Timestamp) -> Vec<Rule> {
    let many = |sign, limit: Limit| limit.count > 0 && signs.within(sign, limit.window, now) >= limit.count;
    let found = [
        (Rule::Debts, limits.debts > 0 && unpaid >= limits.debts),
        (Rule::FailedStarts, many(Sign::FailedStart, limits.failed_starts)),
        (Rule::RapidTopUps, many(Sign::TopUp, limits.top_ups)),
        (Rule::CouponAbuse, many(Sign::Coupon, limits.coupons)),
    ];
    found.into_iter().filter(|(_, found)| *found).map(|(rule, _)| rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn signs(seen: &[(Sign, usize, i64)]) -> Signs {
        let mut signs = Signs::default();
        for (sign, count, seconds_ago) in seen {
            (0..*count).for_each(|_| signs.note(*sign, Timestamp(NOW.0 - seconds_ago * 1000)));
        }
        signs
    }

    #[test]
    fn a_rule_finds_something_from_its_limit_on_and_within_its_window() {
        // OP-1: signs (which, how many, how long ago), unpaid orders, what is found.
        for (seen, unpaid, found) in [
            (vec![], 0, vec![]),
            (vec![(Sign::FailedStart, 9, 10)], 0, vec![]),
            (vec![(Sign::FailedStart, 10, 10)], 0, vec![Rule::FailedStarts]),
            (vec![(Sign::FailedStart, 10, 3600)], 0, vec![]),
            (vec![(Sign::FailedStart, 10, 3599)], 0, vec![Rule::FailedStarts]),
            (vec![(Sign::TopUp, 5, 10)], 0, vec![]),
            (vec![(Sign::TopUp, 6, 599)], 0, vec![Rule::RapidTopUps]),
            (vec![(Sign::TopUp, 3, 700), (Sign::TopUp, 5, 10)], 0, vec![]),
            (vec![(Sign::Coupon, 5, 86_399)], 0, vec![Rule::CouponAbuse]),
            (vec![(Sign::Coupon, 5, 86_400)], 0, vec![]),
            (vec![], 2, vec![]),
            (vec![], 3, vec![Rule::Debts]),
            (
                vec![(Sign::FailedStart, 64, 1), (Sign::TopUp, 64, 1)],
                9,
                vec![Rule::Debts, Rule::FailedStarts, Rule::RapidTopUps],
            ),
        ] {
            assert_eq!(judge(&signs(&seen), unpaid, &Limits::default(), NOW), found, "{seen:?} {unpaid}");
        }
    }

    #[test]
    fn a_rule_with_limit_zero_is_off() {
        let off = Limit { count: 0, window: Duration::from_secs(60) };
        let limits = Limits { failed_starts: off, top_ups: off, coupons: off, debts: 0 };
        let all = signs(&[(Sign::FailedStart, 64, 1), (Sign::TopUp, 64, 1), (Sign::Coupon, 64, 1)]);
        assert_eq!(judge(&all, 99, &limits, NOW), []);
    }

    #[test]
    fn what_is_counted_is_bounded_and_forgotten_by_rule() {
        let mut seen = signs(&[(Sign::FailedStart, 500, 1), (Sign::TopUp, 2, 1)]);
        assert_eq!(seen.within(Sign::FailedStart, Duration::from_secs(60), NOW), SIGNS_KEPT);
        seen.forget(Rule::FailedStarts);
        let counts = [Sign::FailedStart, Sign::TopUp].map(|sign| seen.within(sign, Duration::from_secs(60), NOW));
        assert_eq!(counts, [0, 2]);
    }

    #[test]
    fn every_rule_tells_the_user_something_in_both_languages_and_reads_back() {
        for rule in Rule::ALL {
            let told = rule.told();
            assert!(!told.en.is_empty() && !told.zh.is_ascii(), "{rule}");
            assert_eq!(rule.code().parse(), Ok(rule));
        }
        assert_eq!("x".parse::<Rule>(), Err(UnknownRule));
    }
}
