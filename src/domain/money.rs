//! Amounts of money and energy prices (MO-1). Owns the types, their arithmetic and the one rounding rule; never a
//! tariff, an account or a floating-point number.
//!
//! The rounding rule of the house: an amount is rounded **once, where a line of a bill is made**, to the minor unit, halves
//! away from zero. A total is the sum of its rounded lines and is never rounded itself.

use serde::{Deserialize, Serialize};
use std::fmt;

pub use iso_currency::Currency;

/// An amount in the minor unit of its currency: fen, cent. May be negative (a refund, a correction).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// The number of minor units.
    pub minor: i64,
    /// ISO 4217.
    pub currency: Currency,
}

/// Why two amounts make no third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// They are of two currencies.
    #[error("amounts in {} and {} cannot be put together", .0.code(), .1.code())]
    Currencies(Currency, Currency),
    /// The result does not fit.
    #[error("the amount is greater than 9.2e18 minor units")]
    Overflow,
}

impl Money {
    /// That many minor units.
    pub fn new(minor: i64, currency: Currency) -> Self {
        Money { minor, currency }
    }

    /// Nothing, in this currency.
    pub fn zero(currency: Currency) -> Self {
        Money { minor: 0, currency }
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// When the currencies differ, or it does not fit.
    pub fn plus(self, other: Money) -> Result<Money, AmountError> {
        self.same(other)?;
        self.minor.checked_add(other.minor).map(|minor| Money { minor, ..self }).ok_or(AmountError::Overflow)
    }

    /// The difference.
    ///
    /// # Errors
    /// When the currencies differ, or it does not fit.
    pub fn minus(self, other: Money) -> Result<Money, AmountError> {
        self.same(other)?;
        self.minor.checked_sub(other.minor).map(|minor| Money { minor, ..self }).ok_or(AmountError::Overflow)
    }

    /// The lesser of two.
    ///
    /// # Errors
    /// When the currencies differ.
    pub fn min(self, other: Money) -> Result<Money, AmountError> {
        self.same(other)?;
        Ok(Money { minor: self.minor.min(other.minor), ..self })
    }

    fn same(self, other: Money) -> Result<(), AmountError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(AmountError::Currencies(self.currency, other.currency))
    }
}

impl fmt::Display for Money {
    /// `12.50 CNY`: as many decimals as the currency has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(self.currency);
        let sign = if self.minor < 0 { "-" } else { "" };
        let (whole, part) =
            (self.minor.unsigned_abs() / 10_u64.pow(digits), self.minor.unsigned_abs() % 10_u64.pow(digits));
        match digits {
            0 => write!(f, "{sign}{whole} {}", self.currency.code()),
            _ => write!(f, "{sign}{whole}.{part:0width$} {}", self.currency.code(), width = digits as usize),
        }
    }
}

/// How many decimals the minor unit of a currency stands for.
pub fn digits(currency: Currency) -> u32 {
    u32::from(currency.exponent().unwrap_or(0))
}

/// A price in 1/10,000 of the currency's **major** unit: for a kWh, a minute, a session, as the place says. `12_345` is 1.2345.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Price(pub i64);

/// How many of [`Price`]'s units make one major unit.
pub const PRICE_SCALE: i128 = 10_000;

impl Price {
    /// What `count` of a thing cost that is priced by `per` of it: `wh` watt-hours at a price a kWh are `of(wh, 1_000)`, seconds
    /// at a price a minute `of(s, 60)`. Rounded by the rule of the house: this makes one line of a bill.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn of(self, count: i64, per: u32, currency: Currency) -> Result<Money, AmountError> {
        let numerator = i128::from(self.0) * i128::from(count) * 10_i128.pow(digits(currency));
        let minor = round_half_away(numerator, PRICE_SCALE * i128::from(per.max(1)));
        i64::try_from(minor).map(|minor| Money { minor, currency }).map_err(|_| AmountError::Overflow)
    }
}

/// The one rounding: to the nearest integer, halves away from zero. `divisor` is positive.
pub fn round_half_away(numerator: i128, divisor: i128) -> i128 {
    let half = divisor / 2;
    // An odd divisor has no exact half: the plain comparison is right for it too.
    let magnitude = (numerator.unsigned_abs() + half.unsigned_abs()) / divisor.unsigned_abs();
    let magnitude = i128::try_from(magnitude).unwrap_or(i128::MAX);
    if numerator < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        // MO-1: numerator, divisor, result.
        for (numerator, divisor, expected) in [
            (0, 10, 0),
            (4, 10, 0),
            (5, 10, 1),
            (-4, 10, 0),
            (-5, 10, -1),
            (15, 10, 2),
            (-15, 10, -2),
            (1, 3, 0),
            (2, 3, 1),
            (-2, 3, -1),
        ] {
            assert_eq!(round_half_away(numerator, divisor), expected, "{numerator}/{divisor}");
        }
    }

    #[test]
    fn a_line_costs_price_times_count() {
        // Price, count, per, currency, minor units: worked by hand.
        for (price, count, per, currency, expected) in [
            (12_000, 1_000, 1_000, Currency::CNY, 120),
            (12_345, 10_000, 1_000, Currency::CNY, 1_235),
            (12_344, 10_000, 1_000, Currency::CNY, 1_234),
            (5_000, 1, 1_000, Currency::CNY, 0),
            (5_000, 10, 1_000, Currency::CNY, 1),
            (300_000, 1_500, 1_000, Currency::JPY, 45),
            (1_000, 90, 60, Currency::EUR, 15),
            (12_000, 1_000, 1_000, Currency::KWD, 1_200),
            (12_000, -1_000, 1_000, Currency::CNY, -120),
        ] {
            assert_eq!(
                Price(price).of(count, per, currency),
                Ok(Money::new(expected, currency)),
                "{price} × {count}/{per}"
            );
        }
    }

    #[test]
    fn amounts_of_two_currencies_do_not_add_up() {
        let (yuan, euro) = (Money::new(1, Currency::CNY), Money::new(1, Currency::EUR));
        assert_eq!(yuan.plus(euro), Err(AmountError::Currencies(Currency::CNY, Currency::EUR)));
        assert_eq!(Money::new(i64::MAX, Currency::CNY).plus(yuan), Err(AmountError::Overflow));
    }

    #[test]
    fn amounts_are_shown_with_the_decimals_of_their_currency() {
        for (minor, currency, shown) in [
            (1_250, Currency::CNY, "12.50 CNY"),
            (-5, Currency::CNY, "-0.05 CNY"),
            (45, Currency::JPY, "45 JPY"),
            (1, Currency::KWD, "0.001 KWD"),
        ] {
            assert_eq!(Money::new(minor, currency).to_string(), shown);
        }
    }
}
