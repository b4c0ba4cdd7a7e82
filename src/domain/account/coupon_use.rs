//! Giving coupons, and using them at a capture (MO-8). Owns that one is used once.

use super::coupon::{Coupon, CouponUse};
use super::draft::Draft;
use super::event::Event;
use super::request::{CouponPick, Outcome, Rejection};
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

/// What a coupon did at a capture.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// What it takes off.
    pub(super) off: i64,
    /// What became of it, if one was given.
    pub(super) outcome: Option<CouponUse>,
    /// Which one was used.
    pub(super) used: Option<CouponId>,
}

/// Uses a coupon for a bill. One that takes nothing off is not used up.
pub(super) fn apply(draft: &mut Draft<'_>, pick: Option<&CouponPick>, bill: Money, begun: Timestamp) -> Applied {
    let id = match pick {
        None => return Applied::default(),
        Some(CouponPick::Named(id)) => id.clone(),
        Some(CouponPick::Best) => match best(draft, bill, begun) {
            Some(id) => id,
            None => return Applied::default(),
        },
    };
    let taken = draft.account.coupons.get(&id).ok_or(CouponUse::Unknown).and_then(|known| known.off(bill, begun));
    match taken {
        Ok(off) => {
            draft.happened(Event::CouponGone { coupon: id.clone() });
            draft.note(Sign::Coupon);
            Applied { off, outcome: Some(CouponUse::Used), used: Some(id) }
        }
        Err(why) => Applied { outcome: Some(why), ..Applied::default() },
    }
}

/// The coupon that takes most off.
fn best(draft: &Draft<'_>, bill: Money, begun: Timestamp) -> Option<CouponId> {
    let worth = draft.account.coupons.values().filter_map(|it| Some((it.off(bill, begun).ok()?, it)));
    let most = worth.max_by_key(|(off, it)| (*off, std::cmp::Reverse(it.until), std::cmp::Reverse(it.id.clone())));
    most.map(|(_, it)| it.id.clone())
}
