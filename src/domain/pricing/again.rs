//! The independent second path to a bill's figures (MO-9): a part of all orders is priced again by it and compared. Shares
//! with the first path the tariff, the rounding rule and nothing else: it knows no borders, it looks at each minute of the wall clock
//! and each pair of readings. Slow, and meant to be read in one go.
//!
//! It covers energy and service by slice; what is charged once or by time is plain enough to compare as it is.

use super::running::between;
use super::{Bill, LineKind, PricingError, Usage};
use crate::clock::Timestamp;
use crate::domain::money::Money;
use crate::domain::tariff::{Minute, Tariff};
use std::collections::BTreeMap;

/// How two paths to one bill differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which slice.
    pub slice: u16,
    /// What for.
    pub kind: LineKind,
    /// On the bill.
    pub billed: Money,
    /// By the second path.
    pub again: Money,
    /// By how much they may differ: half a minor unit for each rounded line, and the Wh that rounding moves over borders.
    pub allowed: i64,
}

/// Prices the energy of a session again and tells where the bill is further off than rounding explains.
///
/// # Errors
/// See [`PricingError`].
pub fn compare(tariff: &Tariff, usage: &Usage, bill: &Bill) -> Result<Vec<Difference>, PricingError> {
    let energy = energy(tariff, usage)?;
    let mut found = Vec::new();
    for (n, slice) in (0u16..).zip(&tariff.slices) {
        let wh = energy.get(&n).copied().unwrap_or(0);
        for (kind, price) in [(LineKind::Electricity, slice.electricity), (LineKind::Service, slice.service)] {
            let lines = || bill.lines.iter().filter(|line| line.kind == kind && line.slice == Some(n));
            let count = i64::try_from(lines().count()).unwrap_or(i64::MAX);
            let minor = lines().fold(0, |sum: i64, line| sum.saturating_add(line.uncut.unwrap_or(line.amount).minor));
            let billed = Money::new(minor, tariff.currency);
            let again = price.of(wh, 1_000, tariff.currency)?;
            // A border moves at most one Wh each way.
            let moved = price.of(2 * count.max(1), 1_000, tariff.currency)?.minor;
            let allowed = count.saturating_add(1).saturating_add(moved);
            if billed.minor.saturating_sub(again.minor).saturating_abs() > allowed {
                found.push(Difference { slice: n, kind, billed, again, allowed });
            }
        }
    }
    Ok(found)
}

/// Energy by slice, Wh: walks minute by minute from the start to the end.
fn energy(tariff: &Tariff, usage: &Usage) -> Result<BTreeMap<u16, i64>, PricingError> {
    let mut knots = vec![(usage.start, usage.start_wh)];
    let mut readings = usage.readings.clone();
    readings.sort_by_key(|reading| (reading.at, reading.wh));
    let end = (usage.end.max(usage.start), usage.end_wh.max(usage.start_wh));
    for reading in readings {
        let last = knots.last().copied().unwrap_or(end);
        if reading.at >= last.0 && reading.at <= end.0 && reading.wh >= last.1 && reading.wh <= end.1 {
            knots.push((reading.at, reading.wh));
        }
    }
    knots.push(end);
    let zone = crate::domain::tariff::calendar::zone(&tariff.time_zone)?;
    let mut found = BTreeMap::new();
    for pair in knots.windows(2) {
        let (mut at, mut wh) = pair[0];
        while at < pair[1].0 || wh < pair[1].1 {
            let next = Timestamp(at.0 - at.0.rem_euclid(60_000) + 60_000).min(pair[1].0).max(at);
            let register = if next == at { pair[1].1 } else { between(pair[0], pair[1], next) };
            // What a reading at a border adds belongs to the minute before.
            let moment = if next == at && at > usage.start { Timestamp(at.0 - 1) } else { at };
            let slice = slice_at(tariff, &zone, moment).ok_or(PricingError::Hole(moment))?;
            *found.entry(slice).or_insert(0) += register - wh;
            (at, wh) = (next, register);
        }
    }
    Ok(found)
}

/// The slice that the wall clock shows.
fn slice_at(tariff: &Tariff, zone: &jiff::tz::TimeZone, at: Timestamp) -> Option<u16> {
    let local = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone());
    let minute = Minute::new(u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?);
    let fits =
        |slice: &crate::domain::tariff::Slice| slice.on(local.date()) && slice.from <= minute && minute < slice.to;
    (0u16..).zip(&tariff.slices).find(|(_, slice)| fits(slice)).map(|(n, _)| n)
}
