//! The section `[tariff]` of `config.toml`: between what bounds a price is sane.

use super::check::{Checked, Problem};
use crate::domain::money::Price;
use crate::domain::tariff::Bounds;
use serde::{Deserialize, Serialize};

/// The section `[tariff]`: bounds of prices in 1/10,000 of the currency's major unit (MO-2). They catch slips of a digit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Least for a kWh, electricity and service together.
    pub kwh_min: i64,
    /// Most for a kWh, electricity and service together.
    pub kwh_max: i64,
    /// Most for an hour of charging or parking.
    pub hour_max: i64,
    /// Most for a minute of occupancy.
    pub minute_max: i64,
    /// Most for anything once.
    pub once_max: i64,
}

impl Tariff {
    /// As the rules want them.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            kwh_min: Price(self.kwh_min),
            kwh_max: Price(self.kwh_max),
            hour_max: Price(self.hour_max),
            minute_max: Price(self.minute_max),
            once_max: Price(self.once_max),
        }
    }
}

impl Checked for Tariff {
    fn check(&self, problems: &mut Vec<Problem>) {
        if self.kwh_min > self.kwh_max {
            let allowed = format!("at most `tariff.kwh_max` ({}) is allowed", self.kwh_max);
            problems.push(Problem::new("tariff.kwh_min", self.kwh_min, allowed));
        }
    }
}
