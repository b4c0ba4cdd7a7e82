//! What the lines of a statement come to, by currency and by who pays. Owns the sums; never a line.

use super::line::{self, Figures, Line};
use super::shares::{Part, Rule, split};
use crate::ids::PartnerId;
use serde::{Deserialize, Serialize};

/// The sums of one currency and one payer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// ISO 4217.
    pub currency: Box<str>,
    /// Who pays: `partner`, `account`.
    pub payer: Box<str>,
    /// Orders that are in a statement for the first time.
    pub orders: u64,
    /// Lines that correct earlier ones.
    pub corrections: u64,
    /// The sums of the numbers.
    #[serde(flatten)]
    pub figures: Figures,
    /// What each party gets by the revenue rules, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Part>,
}

/// All sums, ordered by currency and payer. There are as many as currencies times two, whatever the number of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Totals(pub Vec<Total>);

impl Totals {
    /// Adds a line, shared by these rules.
    pub fn add(&mut self, line: &Line, rules: &[Rule]) {
        let (currency, payer) = (line.currency.code(), line::payer(line.account));
        let place = self.0.binary_search_by(|total| (&*total.currency, &*total.payer).cmp(&(currency, payer)));
        let at = place.unwrap_or_else(|at| {
            let (currency, payer) = (currency.into(), payer.into());
            let figures = Figures::default();
            self.0.insert(at, Total { currency, payer, orders: 0, corrections: 0, figures, shares: Vec::new() });
            at
        });
        let total = &mut self.0[at];
        if line.corrects {
            total.corrections += 1;
        } else {
            total.orders += 1;
        }
        total.figures = total.figures.plus(line.figures);
        for part in split(rules, line) {
            match total.shares.binary_search_by(|known| known.party.cmp(&part.party)) {
                Ok(at) => total.shares[at].minor = total.shares[at].minor.saturating_add(part.minor),
                Err(at) => total.shares.insert(at, part),
            }
        }
    }

    /// Lines in all.
    pub fn lines(&self) -> u64 {
        self.0.iter().map(|total| total.orders + total.corrections).sum()
    }

    /// What the partner owes the operator on balance, by currency: what it has to pay itself, less its own shares of
    /// everything. Negative: the operator owes it.
    pub fn balance(&self, partner: &PartnerId) -> Vec<Balance> {
        let mut balances: Vec<Balance> = Vec::new();
        for total in &self.0 {
            let owes = if &*total.payer == line::payer(false) { total.figures.total } else { 0 };
            let own = total.shares.iter().filter(|part| part.party == *partner).map(|part| part.minor);
            let minor = owes.saturating_sub(own.fold(0, i64::saturating_add));
            match balances.iter_mut().find(|known| known.currency == total.currency) {
                Some(known) => known.minor = known.minor.saturating_add(minor),
                None => balances.push(Balance { currency: total.currency.clone(), minor }),
            }
        }
        balances
    }
}

/// An amount on balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// ISO 4217.
    pub currency: Box<str>,
    /// Minor units.
    pub minor: i64,
}
