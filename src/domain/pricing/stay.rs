//! What staying after the charging costs (SE-13) and what a reservation costs (RS-2, RS-4). Owns the figures; never when a
//! connector is occupied, or who reserves.

use super::{Bill, Line, LineFlag, LineKind, PricingError, Span, zero};
use crate::clock::Timestamp;
use crate::domain::money::{Money, Price};
use crate::domain::tariff::Tariff;

const MINUTE_MS: i64 = 60_000;

/// A stay at a connector after the charging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// When charging ended.
    pub charged: Timestamp,
    /// Times in which the connector is **known** to have been occupied. Time of which nothing is known is free (SE-13).
    pub occupied: Vec<Span>,
}

/// Prices a stay: every full minute of known occupancy after the grace time, up to the cap. `None`: the tariff takes nothing
/// for staying.
///
/// # Errors
/// When it does not fit.
pub fn occupancy(tariff: &Tariff, stay: &Stay) -> Result<Option<Bill>, PricingError> {
    let Some(rule) = tariff.occupancy else { return Ok(None) };
    let free_until = Timestamp(stay.charged.0.saturating_add(i64::from(rule.grace_minutes).saturating_mul(MINUTE_MS)));
    let mut spans: Vec<Span> = stay.occupied.iter().map(|s| Span { from: s.from.max(free_until), to: s.to }).collect();
    spans.retain(|span| span.from < span.to);
    spans.sort_by_key(|span| span.from);
    let (mut ms, mut until) = (0_i64, free_until);
    for span in &spans {
        // What overlaps counts once.
        ms = ms.saturating_add(span.to.0.saturating_sub(span.from.max(until).0).max(0));
        until = until.max(span.to);
    }
    let minutes = ms / MINUTE_MS;
    let (from, to) = (free_until, until);
    let full = rule.per_minute.of(minutes, 1, tariff.currency)?;
    let cap = rule.cap.of(1, 1, tariff.currency)?;
    let amount = full.min(cap)?;
    let cut = amount.minor < full.minor;
    let line = Line {
        kind: LineKind::Occupancy,
        slice: None,
        name: None,
        from,
        to,
        count: minutes,
        price: rule.per_minute,
        amount,
        uncut: cut.then_some(full),
        evidence: None,
        flags: if cut { vec![LineFlag::Cut] } else { Vec::new() },
    };
    Ok(Some(of_one(tariff, line, minutes > 0)))
}

/// The most that a stay can come to: what stays frozen for it (SE-13).
///
/// # Errors
/// When it does not fit.
pub fn occupancy_cap(tariff: &Tariff) -> Result<Money, PricingError> {
    let cap = tariff.occupancy.map_or(Price(0), |rule| rule.cap);
    Ok(cap.of(1, 1, tariff.currency)?)
}

/// How a reservation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The user came, or it was ours to end it: nothing is taken (RS-3, RS-5, RS-6).
    Free,
    /// The user cancelled then.
    Cancelled(Timestamp),
    /// Nobody came until then.
    NoShow(Timestamp),
}

/// What a reservation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What is taken of the deposit, with its line.
    pub bill: Bill,
    /// What is given back.
    pub returned: Money,
}

/// What reserving needs first (RS-1).
///
/// # Errors
/// When it does not fit.
pub fn deposit(tariff: &Tariff) -> Result<Money, PricingError> {
    let deposit = tariff.reservation.map_or(Price(0), |rule| rule.deposit);
    Ok(deposit.of(1, 1, tariff.currency)?)
}

/// Until when a reservation made at `made` is cancelled for nothing; `None`: always.
pub fn free_until(tariff: &Tariff, made: Timestamp) -> Option<Timestamp> {
    let minutes = tariff.reservation?.free_cancel_minutes;
    Some(Timestamp(made.0.saturating_add(i64::from(minutes).saturating_mul(MINUTE_MS))))
}

/// Prices a reservation made at `made`. What is taken is never more than the deposit.
///
/// # Errors
/// When it does not fit.
pub fn reservation(tariff: &Tariff, made: Timestamp, outcome: Outcome) -> Result<Settled, PricingError> {
    let rule = tariff.reservation;
    let late = |at: Timestamp| free_until(tariff, made).is_some_and(|until| at > until);
    let (kind, price, to) = match outcome {
        Outcome::Cancelled(at) if late(at) => (LineKind::LateCancel, rule.map(|rule| rule.late_cancel_fee), at),
        Outcome::NoShow(at) => (LineKind::NoShow, rule.map(|rule| rule.no_show_fee), at),
        Outcome::Cancelled(at) => (LineKind::LateCancel, None, at),
        Outcome::Free => (LineKind::LateCancel, None, made),
    };
    let deposit = deposit(tariff)?;
    let price = price.unwrap_or_default();
    let full = price.of(1, 1, tariff.currency)?;
    let amount = full.min(deposit)?;
    let cut = amount.minor < full.minor;
    let line = Line {
        kind,
        slice: None,
        name: None,
        from: made,
        to,
        count: 1,
        price,
        amount,
        uncut: cut.then_some(full),
        evidence: None,
        flags: if cut { vec![LineFlag::Cut] } else { Vec::new() },
    };
    let bill = of_one(tariff, line, price.0 != 0);
    Ok(Settled { returned: deposit.minus(bill.total)?, bill })
}

/// A bill of at most one line.
fn of_one(tariff: &Tariff, line: Line, shown: bool) -> Bill {
    let (from, to) = (line.from, line.to);
    let total = if shown { line.amount } else { zero(tariff.currency) };
    let lines = if shown { vec![line] } else { Vec::new() };
    Bill { tariff: tariff.id.clone(), version: tariff.version, from, to, energy_wh: 0, lines, total, flags: Vec::new() }
}
