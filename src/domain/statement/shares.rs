//! Who gets what of an order (RC-4): dated rules, and the split that follows from them. Owns the arithmetic; the same line and
//! the same rules give the same shares for ever.
//!
//! A rule holds for orders whose first line was written from its moment on; one for the order's site goes before one for all.
//! Each share is rounded once, halves away from zero (`domain::money`); what is left goes to the rule's last party, so the
//! shares always make the line's total.

use super::line::Line;
use crate::clock::Timestamp;
use crate::ids::{PartnerId, SiteId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most rules of a partner.
pub const RULES_MAX: usize = 200;
/// The most parties of a rule, the last one not counted.
pub const PARTIES_MAX: usize = 10;
/// The whole, in 1/10,000.
pub const WHOLE: u32 = 10_000;

/// What a party gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Who: a partner's id, or another name of the same letters.
    pub party: PartnerId,
    /// In 1/10,000 of a line's total.
    pub share: u32,
}

/// How orders are shared from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// For orders whose first line is written from then on.
    pub from: Timestamp,
    /// Only at this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// What each gets.
    pub shares: Vec<Share>,
    /// Who gets what is left.
    pub remainder: PartnerId,
    /// Who has set it.
    pub by: Box<str>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// Too many parties.
    #[error("a rule has at most {PARTIES_MAX} shares")]
    TooMany,
    /// A party twice.
    #[error("a party is named twice")]
    Twice,
    /// More than there is.
    #[error("the shares are above 10000 together")]
    TooMuch,
}

impl Rule {
    /// Whether it can be followed.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), BadRule> {
        if self.shares.len() > PARTIES_MAX {
            return Err(BadRule::TooMany);
        }
        let parties: BTreeSet<_> = self.shares.iter().map(|share| &share.party).chain([&self.remainder]).collect();
        if parties.len() != self.shares.len() + 1 {
            return Err(BadRule::Twice);
        }
        let sum = self.shares.iter().map(|share| u64::from(share.share)).sum::<u64>();
        if sum > u64::from(WHOLE) { Err(BadRule::TooMuch) } else { Ok(()) }
    }

    /// Whether it takes the place of the other: the same moment and place.
    pub fn same_place(&self, other: &Rule) -> bool {
        self.from == other.from && self.site == other.site
    }
}

/// What a party gets of a line, minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Who.
    pub party: PartnerId,
    /// Minor units.
    pub minor: i64,
}

/// The rule that holds for a line.
pub fn rule<'a>(rules: &'a [Rule], line: &Line) -> Option<&'a Rule> {
    let holds = |rule: &&Rule| rule.from <= line.first_at;
    let here = rules.iter().filter(holds).filter(|rule| rule.site.is_some() && rule.site == line.site);
    let newest = |rules: &mut dyn Iterator<Item = &'a Rule>| rules.max_by_key(|rule| rule.from);
    let mut everywhere = rules.iter().filter(holds).filter(|rule| rule.site.is_none());
    let mut here = here;
    newest(&mut here).or_else(|| newest(&mut everywhere))
}

/// The parts of a line. Empty without a rule.
pub fn split(rules: &[Rule], line: &Line) -> Vec<Part> {
    let Some(rule) = rule(rules, line) else { return Vec::new() };
    let total = line.figures.total;
    let part = |share: &Share| Part { party: share.party.clone(), minor: portion(total, share.share) };
    let mut parts: Vec<Part> = rule.shares.iter().map(part).collect();
    let given = parts.iter().fold(0i64, |sum, part| sum.saturating_add(part.minor));
    parts.push(Part { party: rule.remainder.clone(), minor: total.saturating_sub(given) });
    parts
}

/// `share` of 10,000 of an amount, rounded once, halves away from zero.
fn portion(total: i64, share: u32) -> i64 {
    let (product, whole) = (i128::from(total) * i128::from(share), i128::from(WHOLE));
    let half = if product < 0 { -(whole / 2) } else { whole / 2 };
    i64::try_from((product + half) / whole).unwrap_or(0)
}
