//! What a session costs (MO-2): from register readings and a tariff to a bill with every line and the readings behind it.
//! Owns the bill's shape and the way to it; never who pays, a balance, or a floating-point number.
//!
//! Invariants: the total is the sum of the lines; no line is negative; each line is rounded once (`domain::money`); energy is
//! that of the cumulative register, so a gap loses and invents nothing (SE-9); what counts is when a reading was taken, not
//! when it came (SE-8).
//!
//! Reading order: the types here, [`running`] (readings to energy by slice), [`lines`] (energy by slice to money),
//! [`stay`] (occupancy and reservation), [`again`] (the independent second path, MO-9).

pub mod again;
mod lines;
pub mod running;
pub mod stay;
#[cfg(test)]
mod tests;

pub use running::Running;

use super::money::{AmountError, Currency, Money, Price};
use super::tariff::{SliceName, Tariff, UnknownZone};
use crate::clock::Timestamp;
use crate::ids::TariffId;
use serde::{Deserialize, Serialize};

/// The longest session whose time is looked at slice by slice, ms: 400 days. What is beyond is priced by the slice in
/// which they end, and the bill says so; SE-10 has raised it long before.
pub const SPAN_MAX_MS: i64 = 400 * 86_400_000;

/// What was used. Everything in it is told by the charger or the session, nothing is taken from a clock here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When charging began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// The register at the start, Wh.
    pub start_wh: i64,
    /// The register at the end, Wh, as the session settled it. Below `start_wh` it counts as equal.
    pub end_wh: i64,
    /// Readings in between, in any order.
    pub readings: Vec<Register>,
    /// Times within the session in which the vehicle is known to have taken nothing; may overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parked: Vec<Span>,
    /// Two readings further apart than this are a gap, ms.
    pub gap_after_ms: i64,
    /// The final register was not told (SE-9): the last reading stands for it.
    #[serde(default)]
    pub estimated: bool,
}

/// One reading of the cumulative register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// When it was taken.
    pub at: Timestamp,
    /// Wh.
    pub wh: i64,
    /// It came later than its time: after an outage, or with the stop (SE-8).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// A stretch of time, `to` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub to: Timestamp,
}

/// What is to be paid, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// By which tariff.
    pub tariff: TariffId,
    /// Which version of it.
    pub version: u32,
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub to: Timestamp,
    /// Energy of the whole, Wh.
    pub energy_wh: i64,
    /// What it is made of, in order of time, what is settled at the end last.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: Money,
    /// What a reader must know of the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<BillFlag>,
}

impl Bill {
    /// The sum of the lines of a kind.
    pub fn sum(&self, kind: LineKind) -> Money {
        let of = self.lines.iter().filter(|line| line.kind == kind).map(|line| line.amount.minor);
        Money::new(of.fold(0, i64::saturating_add), self.total.currency)
    }
}

/// One line of a bill: `count` of something at a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What for.
    pub kind: LineKind,
    /// Which slice, as an index into the tariff's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<u16>,
    /// What the slice is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SliceName>,
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub to: Timestamp,
    /// How much: Wh for energy, ms for time and parking, minutes for occupancy, minor units for tax, else 1.
    pub count: i64,
    /// For each kWh, hour, minute, or once, as the kind says; for tax the rate in 1/10,000.
    pub price: Price,
    /// `count` times `price`, rounded once; less where a maximum cut it.
    pub amount: Money,
    /// What it would have been without the maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncut: Option<Money>,
    /// What is behind it: for energy only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What a reader must know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<LineFlag>,
}

/// The readings behind a line of energy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The register when the line begins, Wh: read, or split by time between two readings.
    pub from_wh: i64,
    /// The register when it ends.
    pub to_wh: i64,
    /// The first of the session's usable readings, in order of time, that bears on it: 0 is the start, then the
    /// readings, last the end.
    pub first: u32,
    /// The last that does.
    pub last: u32,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Electricity, by the kWh.
    Electricity,
    /// Service, by the kWh.
    Service,
    /// Charging time, by the hour.
    Time,
    /// Time in the session without charging, by the hour.
    Parking,
    /// Once a session.
    StartFee,
    /// Up to the next full step of energy.
    EnergyStep,
    /// Up to the next full step of time.
    TimeStep,
    /// Up to the least that a session costs.
    Minimum,
    /// Tax at one rate.
    Tax,
    /// Staying after the charging (SE-13).
    Occupancy,
    /// A reservation cancelled late (RS-2).
    LateCancel,
    /// A reservation nobody came to (RS-4).
    NoShow,
}

/// What a reader must know of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineFlag {
    /// A gap in the readings lies over a border of slices: its energy was split by time (SE-9).
    GapSplitByTime,
    /// A reading behind it came late (SE-8).
    LateReading,
    /// A maximum or cap cut it.
    Cut,
}

/// What a reader must know of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillFlag {
    /// The final register was not told (SE-9).
    Estimated,
    /// Some line was split by time over a gap (SE-9).
    GapSplitByTime,
    /// Some reading came late (SE-8).
    LateReading,
    /// A reading did not count: outside of the session, or its register went backwards (SE-14).
    ReadingLeftOut,
    /// Energy and nothing to pay (SE-14).
    EnergyWithoutFee,
    /// It lasted longer than [`SPAN_MAX_MS`], or ended before it began.
    TimeImplausible,
}

/// Why there is no bill. A checked tariff and a session of this world have one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// The tariff's zone is in no database.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// An amount does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The tariff has no price for a time; [`super::tariff::check`] refuses such.
    #[error("the tariff has no slice at {0}")]
    Hole(Timestamp),
}

/// Prices a session.
///
/// # Errors
/// See [`PricingError`].
pub fn price(tariff: &Tariff, usage: &Usage) -> Result<Bill, PricingError> {
    let (running, left_out) = Running::of(tariff, usage)?;
    let mut bill = running.bill(tariff)?;
    for (on, flag) in [
        (usage.estimated, BillFlag::Estimated),
        (left_out, BillFlag::ReadingLeftOut),
        (usage.end < usage.start || usage.end.0.saturating_sub(usage.start.0) > SPAN_MAX_MS, BillFlag::TimeImplausible),
    ] {
        if on {
            bill.flags.push(flag);
        }
    }
    bill.flags.sort_unstable();
    Ok(bill)
}

/// What it comes to so far, as if it ended with the last reading: for display and limits (SE-11, SE-12). Costs a few
/// multiplications for each slice passed, whatever the number of readings.
///
/// # Errors
/// When it does not fit.
pub fn so_far(tariff: &Tariff, running: &Running) -> Result<Money, PricingError> {
    running.amount(tariff)
}

fn zero(currency: Currency) -> Money {
    Money::zero(currency)
}
