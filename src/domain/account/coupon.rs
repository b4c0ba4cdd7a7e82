//! Coupons (MO-8): an amount or a percentage, used once, within its validity, kept in the account. Owns what one is worth.

use crate::clock::Timestamp;
use crate::domain::ledger::CouponId;
use crate::domain::money::{Money, round_half_away};
use serde::{Deserialize, Serialize};

/// What a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discount {
    /// At most this amount.
    Amount(Money),
    /// So many of a hundred, 1 to 100, at most `most`.
    Percent {
        /// 1 to 100.
        percent: u8,
        /// The greatest discount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<Money>,
    },
}

/// A coupon that was given to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coupon {
    /// Its code.
    pub id: CouponId,
    /// What it takes off.
    pub discount: Discount,
    /// From when on.
    pub from: Timestamp,
    /// Until when, exclusive.
    pub until: Timestamp,
    /// Bills below this get nothing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<Money>,
}

/// What became of a coupon at a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponUse {
    /// It has paid its part, and is used up.
    Used,
    /// The user has no such coupon, or has used it.
    Unknown,
    /// The order was begun outside of its validity.
    NotValid,
    /// The bill is too small for it, or nothing.
    BillTooSmall,
}

impl Coupon {
    /// What it takes off a bill of `bill`, of an order that was begun at `begun`.
    ///
    /// # Errors
    /// Why it takes nothing off.
    pub fn off(&self, bill: Money, begun: Timestamp) -> Result<i64, CouponUse> {
        if begun < self.from || begun >= self.until {
            return Err(CouponUse::NotValid);
        }
        if self.least.is_some_and(|least| bill.minor < least.minor) || bill.minor <= 0 {
            return Err(CouponUse::BillTooSmall);
        }
        let off = match self.discount {
            Discount::Amount(amount) => amount.minor,
            Discount::Percent { percent, most } => {
                let part = round_half_away(i128::from(bill.minor) * i128::from(percent), 100);
                let part = i64::try_from(part).unwrap_or(i64::MAX);
                most.map_or(part, |most| part.min(most.minor))
            }
        };
        match off.min(bill.minor) {
            off if off > 0 => Ok(off),
            _ => Err(CouponUse::BillTooSmall),
        }
    }

    /// Why it cannot be given, if it cannot.
    pub fn problem(&self, currency: crate::domain::money::Currency) -> Option<&'static str> {
        let wrong = |amount: Money| amount.currency != currency || amount.minor <= 0;
        match self.discount {
            Discount::Amount(amount) if wrong(amount) => {
                Some("amount: more than 0 in the account's currency is allowed")
            }
            Discount::Percent { percent: 0 | 101.., .. } => Some("percent: 1 to 100 is allowed"),
            Discount::Percent { most: Some(most), .. } if wrong(most) => {
                Some("most: more than 0 in the account's currency is allowed")
            }
            Discount::Amount(_) | Discount::Percent { .. } if self.least.is_some_and(wrong) => {
                Some("least: more than 0 in the account's currency is allowed")
            }
            Discount::Amount(_) | Discount::Percent { .. } if self.until <= self.from => {
                Some("until: later than `from` is allowed")
            }
            Discount::Amount(_) | Discount::Percent { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    fn yuan(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn coupon(discount: Discount, least: Option<i64>) -> Coupon {
        let id = "C1".parse().unwrap();
        Coupon { id, discount, from: Timestamp(100), until: Timestamp(200), least: least.map(yuan) }
    }

    #[test]
    fn a_coupon_takes_off_what_it_says_and_never_more_than_the_bill() {
        let amount = Discount::Amount(yuan(500));
        let part = |percent, most: Option<i64>| Discount::Percent { percent, most: most.map(yuan) };
        // MO-8: discount, least bill, bill, order begun at, worked by hand.
        for (discount, least, bill, begun, off) in [
            (amount, None, 2_000, 150, Ok(500)),
            (amount, None, 300, 150, Ok(300)),
            (amount, None, 0, 150, Err(CouponUse::BillTooSmall)),
            (amount, Some(2_000), 1_999, 150, Err(CouponUse::BillTooSmall)),
            (amount, Some(2_000), 2_000, 150, Ok(500)),
            (amount, None, 2_000, 99, Err(CouponUse::NotValid)),
            (amount, None, 2_000, 100, Ok(500)),
            (amount, None, 2_000, 199, Ok(500)),
            (amount, None, 2_000, 200, Err(CouponUse::NotValid)),
            (part(10, None), None, 1_005, 150, Ok(101)),
            (part(10, None), None, 1_004, 150, Ok(100)),
            (part(10, Some(50)), None, 1_005, 150, Ok(50)),
            (part(100, None), None, 777, 150, Ok(777)),
            (part(1, None), None, 49, 150, Err(CouponUse::BillTooSmall)),
        ] {
            let coupon = coupon(discount, least);
            assert_eq!(coupon.off(yuan(bill), Timestamp(begun)), off, "{discount:?} {bill} {begun}");
        }
    }

    #[test]
    fn a_coupon_that_makes_no_sense_is_not_given() {
        let euro = Money::new(5, Currency::EUR);
        for (discount, least, fine) in [
            (Discount::Amount(yuan(1)), None, true),
            (Discount::Amount(yuan(0)), None, false),
            (Discount::Amount(euro), None, false),
            (Discount::Percent { percent: 0, most: None }, None, false),
            (Discount::Percent { percent: 101, most: None }, None, false),
            (Discount::Percent { percent: 100, most: Some(yuan(-1)) }, None, false),
            (Discount::Percent { percent: 100, most: None }, Some(0), false),
            (Discount::Percent { percent: 100, most: None }, Some(1), true),
        ] {
            assert_eq!(coupon(discount, least).problem(Currency::CNY).is_none(), fine, "{discount:?}");
        }
        let never = Coupon { until: Timestamp(100), ..coupon(Discount::Amount(yuan(1)), None) };
        assert!(never.problem(Currency::CNY).is_some());
    }
}
