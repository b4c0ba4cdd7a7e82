//! Giving coupons, and using them at a capture (MO-8). Owns that one is used once.

use super::coupon::{Coupon, CouponUse};
use super::draft::Draft;
use super::event::Event;
use super::request::{Outcome, Rejection};
use super::risk::Sign;
use crate::clock::Timestamp;
use crate::domain::ledger::CouponId;
use crate::domain::money::Money;

pub(super) fn grant(draft: &mut Draft<'_>, coupon: &Coupon, by: &str) -> Result<Outcome, Rejection> {
    if let Some(problem) = coupon.problem(draft.currency()) {
        return Err(Rejection::Coupon(problem));
    }
    if draft.account.coupons.contains_key(&coupon.id) {
        return Err(Rejection::CouponExists(coupon.id.clone()));
    }
    let over: Vec<CouponId> =
        draft.account.coupons.values().filter(|it| it.until <= draft.now).map(|it| it.id.clone()).collect();
    over.into_iter().for_each(|coupon| draft.happened(Event::CouponGone { coupon }));
    let max = draft.policy().coupons_max;
    if draft.account.coupons.len() >= max {
        return Err(Rejection::Limit { what: "unused coupons", max });
    }
    draft.happened(Event::CouponGranted { coupon: coupon.clone(), by: by.into() });
    Ok(Outcome::Done)
}

/// Uses a coupon for a bill: what it takes off, and what became of it. One that takes nothing off is not used up.
pub(super) fn apply(
    draft: &mut Draft<'_>,
    coupon: Option<&CouponId>,
    bill: Money,
    begun: Timestamp,
) -> (i64, Option<CouponUse>) {
    let Some(id) = coupon else { return (0, None) };
    let Some(known) = draft.account.coupons.get(id) else { return (0, Some(CouponUse::Unknown)) };
    match known.off(bill, begun) {
        Ok(off) => {
            draft.happened(Event::CouponGone { coupon: id.clone() });
            draft.note(Sign::Coupon);
            (off, Some(CouponUse::Used))
        }
        Err(why) => (0, Some(why)),
    }
}
