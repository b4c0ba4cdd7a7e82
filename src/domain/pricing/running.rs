//! From readings to energy and time by slice. Owns the split at the borders; never money.
//!
//! The register between two readings is taken to rise evenly. Where a border lies between them, the register there is that
//! line's, rounded to whole Wh (halves up), so the parts always add up to what the register says.

use super::{Bill, PricingError, Register, SPAN_MAX_MS, Span, Usage, lines};
use crate::clock::Timestamp;
use crate::domain::money::{Money, round_half_away};
use crate::domain::tariff::{Calendar, Tariff};
use serde::{Deserialize, Serialize};

/// A session's use of a tariff so far. Grows by readings in order of time; serialisable, so that a session can keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub(super) start: Timestamp,
    pub(super) at: Timestamp,
    pub(super) start_wh: i64,
    pub(super) wh: i64,
    pub(super) gap_after_ms: i64,
    /// Readings taken, the start included.
    pub(super) taken: u32,
    pub(super) passed: Vec<Passed>,
    /// Until when the last of `passed` lasts by the calendar.
    border: Timestamp,
}

/// What was used in one passage of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passed {
    pub(super) slice: u16,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) from_wh: i64,
    pub(super) to_wh: i64,
    pub(super) parked_ms: i64,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) split: bool,
    pub(super) late: bool,
}

impl Passed {
    pub(super) fn wh(&self) -> i64 {
        self.to_wh.saturating_sub(self.from_wh)
    }

    pub(super) fn ms(&self) -> i64 {
        self.to.0.saturating_sub(self.from.0)
    }
}

impl Running {
    /// A session that begins.
    ///
    /// # Errors
    /// When the tariff's zone is not known, or it has no price for then.
    pub fn begin(tariff: &Tariff, start: Timestamp, start_wh: i64, gap_after_ms: i64) -> Result<Self, PricingError> {
        let calendar = Calendar::of(tariff)?;
        Self::begin_with(tariff, &calendar, sane(start), start_wh, gap_after_ms)
    }

    fn begin_with(
        tariff: &Tariff,
        calendar: &Calendar,
        start: Timestamp,
        start_wh: i64,
        gap_after_ms: i64,
    ) -> Result<Self, PricingError> {
        let (slice, border) = calendar.passage(tariff, start);
        let slice = slice.ok_or(PricingError::Hole(start))?;
        let first = Passed {
            slice,
            from: start,
            to: start,
            from_wh: start_wh,
            to_wh: start_wh,
            parked_ms: 0,
            first: 0,
            last: 0,
            split: false,
            late: false,
        };
        let passed = vec![first];
        Ok(Running { start, at: start, start_wh, wh: start_wh, gap_after_ms, taken: 1, passed, border })
    }

    /// Takes a reading. One that is older than the last, or lower, changes nothing: `false`.
    ///
    /// # Errors
    /// When the tariff's zone is not known, or it has no price for a time.
    pub fn read(&mut self, tariff: &Tariff, reading: Register) -> Result<bool, PricingError> {
        let reading = Register { at: sane(reading.at), ..reading };
        // A border is crossed a few times a day: only then the zone is asked for.
        if reading.at <= self.border {
            return Ok(self.within(reading));
        }
        let calendar = Calendar::of(tariff)?;
        self.take(tariff, &calendar, reading)
    }

    fn counts(&self, reading: Register) -> bool {
        reading.at >= self.at && reading.wh >= self.wh
    }

    fn within(&mut self, reading: Register) -> bool {
        if !self.counts(reading) {
            return false;
        }
        if let Some(open) = self.passed.last_mut() {
            (open.to, open.to_wh, open.last) = (reading.at, reading.wh, self.taken);
            open.late |= reading.late;
        }
        (self.at, self.wh) = (reading.at, reading.wh);
        self.taken = self.taken.saturating_add(1);
        true
    }

    fn take(&mut self, tariff: &Tariff, calendar: &Calendar, reading: Register) -> Result<bool, PricingError> {
        if !self.counts(reading) {
            return Ok(false);
        }
        let (from, from_wh) = (self.at, self.wh);
        let gap = reading.at.0.saturating_sub(from.0) > self.gap_after_ms;
        let limit = Timestamp(self.start.0.saturating_add(SPAN_MAX_MS));
        while self.border < reading.at && self.border < limit {
            let border = self.border;
            let wh = between((from, from_wh), (reading.at, reading.wh), border);
            self.cross(tariff, calendar, border, wh, gap, reading.late)?;
        }
        if let Some(open) = self.passed.last_mut() {
            // A gap that begins exactly on the border lies on one side of it.
            open.split |= gap && open.from > from;
        }
        Ok(self.within(reading))
    }

    /// Goes over a border, where the register is `wh`.
    fn cross(
        &mut self,
        tariff: &Tariff,
        calendar: &Calendar,
        border: Timestamp,
        wh: i64,
        gap: bool,
        late: bool,
    ) -> Result<(), PricingError> {
        let (slice, next) = calendar.passage(tariff, border);
        let slice = slice.ok_or(PricingError::Hole(border))?;
        self.border = next;
        let (at, taken) = (self.at, self.taken);
        let Some(open) = self.passed.last_mut() else { return Ok(()) };
        if open.slice == slice {
            return Ok(());
        }
        if border > at {
            (open.to, open.to_wh, open.last) = (border, wh, taken);
            open.late |= late;
            open.split |= gap;
        }
        let before = open.to_wh;
        self.passed.push(Passed {
            slice,
            from: border,
            to: border,
            from_wh: before,
            to_wh: before,
            parked_ms: 0,
            first: taken.saturating_sub(1),
            last: taken,
            split: false,
            late: false,
        });
        Ok(())
    }

    /// A whole session, and whether some reading did not count.
    ///
    /// # Errors
    /// When the tariff's zone is not known, or it has no price for a time.
    pub fn of(tariff: &Tariff, usage: &Usage) -> Result<(Self, bool), PricingError> {
        let calendar = Calendar::of(tariff)?;
        let start = sane(usage.start);
        let end = sane(usage.end).max(start);
        let end_wh = usage.end_wh.max(usage.start_wh);
        let mut running = Self::begin_with(tariff, &calendar, start, usage.start_wh, usage.gap_after_ms)?;
        let mut left_out = false;
        let mut take = |reading: Register| -> Result<(), PricingError> {
            let fits = (start..=end).contains(&reading.at) && (usage.start_wh..=end_wh).contains(&reading.wh);
            let counted = if !fits {
                false
            } else if reading.at <= running.border {
                running.within(reading)
            } else {
                running.take(tariff, &calendar, reading)?
            };
            left_out |= !counted;
            Ok(())
        };
        if usage.readings.is_sorted_by_key(|reading| (reading.at, reading.wh)) {
            usage.readings.iter().try_for_each(|reading| take(*reading))?;
        } else {
            let mut sorted = usage.readings.clone();
            sorted.sort_by_key(|reading| (reading.at, reading.wh));
            sorted.into_iter().try_for_each(&mut take)?;
        }
        take(Register { at: end, wh: end_wh, late: false })?;
        running.park(&usage.parked);
        Ok((running, left_out))
    }

    /// Notes the times in which the vehicle took nothing.
    fn park(&mut self, spans: &[Span]) {
        if spans.is_empty() {
            return;
        }
        let mut spans = spans.to_vec();
        spans.sort_by_key(|span| span.from);
        // Overlaps count once.
        let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans.into_iter().filter(|span| span.from < span.to) {
            match apart.last_mut() {
                Some(last) if span.from <= last.to => last.to = last.to.max(span.to),
                _ => apart.push(span),
            }
        }
        for passed in &mut self.passed {
            let within =
                apart.iter().map(|span| span.to.min(passed.to).0.saturating_sub(span.from.max(passed.from).0).max(0));
            passed.parked_ms = within.fold(0, i64::saturating_add);
        }
    }

    /// Energy so far, Wh.
    pub fn energy_wh(&self) -> i64 {
        self.wh.saturating_sub(self.start_wh)
    }

    pub(super) fn amount(&self, tariff: &Tariff) -> Result<Money, PricingError> {
        Ok(lines::bill(tariff, self)?.total)
    }

    pub(super) fn bill(&self, tariff: &Tariff) -> Result<Bill, PricingError> {
        lines::bill(tariff, self)
    }
}

/// Kept within the years 1970 to 9999, in which every zone's clock can be read.
fn sane(at: Timestamp) -> Timestamp {
    Timestamp(at.0.clamp(0, 253_370_764_800_000))
}

/// The register at `when` on the straight line between two readings, in whole Wh.
pub(super) fn between(a: (Timestamp, i64), b: (Timestamp, i64), when: Timestamp) -> i64 {
    let (whole, part) = (i128::from(b.0.0) - i128::from(a.0.0), i128::from(when.0) - i128::from(a.0.0));
    if whole <= 0 {
        return b.1;
    }
    let rise = i128::from(b.1) - i128::from(a.1);
    let wh = i128::from(a.1) + round_half_away(rise * part.clamp(0, whole), whole);
    i64::try_from(wh).unwrap_or(b.1)
}
