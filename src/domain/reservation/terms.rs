//! What a reservation costs and how long it lasts (RS-1, RS-2). Owns the making of terms from a rule and of the window from
//! what was asked for; never the taking of money.

use super::state::Terms;
use crate::clock::Timestamp;
use crate::config::reservation::Reservation as Policy;
use crate::domain::money::{Money, Price};
use crate::domain::tariff::Tariff;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What reservations cost at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Set aside first.
    pub deposit: Money,
    /// How long after it was made giving it up costs nothing.
    pub free_cancel: Duration,
    /// What giving it up later costs; never more than the deposit is taken.
    pub late_cancel_fee: Money,
    /// What not coming costs; never more than the deposit is taken.
    pub no_show_fee: Money,
}

impl Rule {
    /// The rule of section `[reservation]`, which holds where no tariff says otherwise.
    pub fn configured(policy: &Policy) -> Rule {
        let amount = |minor: u32| Money::new(i64::from(minor), policy.currency);
        Rule {
            deposit: amount(policy.deposit),
            free_cancel: policy.free_cancel,
            late_cancel_fee: amount(policy.late_cancel_fee),
            no_show_fee: amount(policy.no_show_fee),
        }
    }

    /// The rule of a tariff; one that says nothing of reservations lets them cost nothing.
    pub fn of(tariff: &Tariff) -> Rule {
        let zero = Money::zero(tariff.currency);
        let amount = |price: Price| price.of(1, 1, tariff.currency).unwrap_or(zero);
        match tariff.reservation {
            Some(rule) => Rule {
                deposit: amount(rule.deposit),
                free_cancel: Duration::from_secs(u64::from(rule.free_cancel_minutes) * 60),
                late_cancel_fee: amount(rule.late_cancel_fee),
                no_show_fee: amount(rule.no_show_fee),
            },
            None => Rule { deposit: zero, free_cancel: Duration::ZERO, late_cancel_fee: zero, no_show_fee: zero },
        }
    }

    /// The terms of a reservation that is made now. Before the user may come, giving it up is free as well. Without an
    /// account nothing is set aside: the partner's contract stands in for the deposit.
    pub fn terms(&self, now: Timestamp, from: Timestamp, account: bool) -> Terms {
        let free_until = (now + self.free_cancel).max(from);
        Terms {
            deposit: if account { self.deposit } else { Money::zero(self.deposit.currency) },
            free_until,
            late_cancel_fee: self.late_cancel_fee,
            no_show_fee: self.no_show_fee,
        }
    }
}

/// From when until when the user may come.
pub fn window(policy: &Policy, now: Timestamp, ahead: Duration, length: Option<Duration>) -> (Timestamp, Timestamp) {
    let from = now + ahead.min(policy.ahead_max);
    let length = length.unwrap_or(policy.hold).min(policy.hold_max);
    (from, from + length)
}
