//! The section `[reservation]` of `config.toml`: how long connectors are held, and what that costs where no tariff says
//! otherwise.

use super::check::{Checked, Problem, not_above};
use crate::domain::money::Currency;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[reservation]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// How long a connector is held if the request does not say (RS-1).
    #[serde(with = "crate::config::seconds")]
    pub hold: Duration,
    /// The longest that a request may ask for.
    #[serde(with = "crate::config::seconds")]
    pub hold_max: Duration,
    /// How long before the user may come the connector may be held.
    #[serde(with = "crate::config::seconds")]
    pub ahead_max: Duration,
    /// How long the deposit may take (RS-1).
    #[serde(with = "crate::config::seconds")]
    pub payment_deadline: Duration,
    /// How long after it was made giving it up costs nothing (RS-2).
    #[serde(with = "crate::config::seconds")]
    pub free_cancel: Duration,
    /// ISO 4217.
    pub currency: Currency,
    /// Set aside first, in minor units.
    pub deposit: u32,
    /// What giving it up late costs, in minor units.
    pub late_cancel_fee: u32,
    /// What not coming costs, in minor units.
    pub no_show_fee: u32,
}

impl Checked for Reservation {
    fn check(&self, problems: &mut Vec<Problem>) {
        not_above(problems, "reservation.hold", self.hold, ("reservation.hold_max", self.hold_max));
        for (key, fee) in
            [("reservation.late_cancel_fee", self.late_cancel_fee), ("reservation.no_show_fee", self.no_show_fee)]
        {
            if fee > self.deposit {
                let allowed = format!("at most `reservation.deposit` ({}) is allowed", self.deposit);
                problems.push(Problem::new(key, fee, allowed));
            }
        }
    }
}

impl Default for Reservation {
    fn default() -> Self {
        Reservation {
            hold: Duration::from_secs(1800),
            hold_max: Duration::from_secs(7200),
            ahead_max: Duration::from_secs(3600),
            payment_deadline: Duration::from_secs(300),
            free_cancel: Duration::from_secs(300),
            currency: Currency::CNY,
            deposit: 2000,
            late_cancel_fee: 500,
            no_show_fee: 1000,
        }
    }
}
