//! From energy and time by slice to lines of money. Owns what is charged once, steps, bounds and tax; never readings.
//!
//! Order: energy, time and start fee by slice; steps; the bounds before tax; tax, one line a rate; the bounds with tax.
//! A maximum cuts the lines from the last one back, so that what was charged first stands.

use super::running::{Passed, Running};
use super::{Bill, BillFlag, Evidence, Line, LineFlag, LineKind, PricingError};
use crate::clock::Timestamp;
use crate::domain::money::{AmountError, Currency, Money, PRICE_SCALE, Price, round_half_away};
use crate::domain::tariff::{Slice, Tariff};

/// Wh of a kWh, ms of an hour.
const PER_KWH: u32 = 1_000;
const PER_HOUR: u32 = 3_600_000;

/// The bill of what was used so far.
pub(super) fn bill(tariff: &Tariff, running: &Running) -> Result<Bill, PricingError> {
    let mut draft = Draft { tariff, lines: Vec::with_capacity(2 * running.passed.len() + 4), rates: Vec::new() };
    let used =
        || running.passed.iter().filter(|passed| passed.ms() > 0 || passed.wh() > 0 || running.passed.len() == 1);
    start_fee(&mut draft, used())?;
    for passed in used() {
        passage(&mut draft, passed)?;
    }
    energy_step(&mut draft, running)?;
    time_step(&mut draft, running)?;
    let (from, to) = (running.start, running.at);
    bound(&mut draft, tariff.minimum.before_tax, tariff.maximum.before_tax, (from, to))?;
    tax(&mut draft, (from, to))?;
    bound(&mut draft, tariff.minimum.with_tax, tariff.maximum.with_tax, (from, to))?;
    let total = draft.total()?;
    let lines = draft.lines;
    let mut flags = Vec::new();
    for (flag, of) in
        [(BillFlag::GapSplitByTime, LineFlag::GapSplitByTime), (BillFlag::LateReading, LineFlag::LateReading)]
    {
        if lines.iter().any(|line| line.flags.contains(&of)) {
            flags.push(flag);
        }
    }
    let energy_wh = running.energy_wh();
    if energy_wh > 0 && total.is_zero() {
        flags.push(BillFlag::EnergyWithoutFee);
    }
    Ok(Bill { tariff: tariff.id.clone(), version: tariff.version, from, to, energy_wh, lines, total, flags })
}

/// Lines so far, each with its rate of tax.
struct Draft<'a> {
    tariff: &'a Tariff,
    lines: Vec<Line>,
    rates: Vec<Option<u32>>,
}

impl Draft<'_> {
    fn currency(&self) -> Currency {
        self.tariff.currency
    }

    fn total(&self) -> Result<Money, AmountError> {
        self.lines.iter().try_fold(Money::zero(self.currency()), |sum, line| sum.plus(line.amount))
    }

    fn push(&mut self, line: Line, rate: Option<u32>) {
        self.lines.push(line);
        self.rates.push(rate);
    }

    /// Adds `count` of something that is priced by `per` of it.
    fn add(
        &mut self,
        kind: LineKind,
        (slice, span): (Option<u16>, (Timestamp, Timestamp)),
        (count, per): (i64, u32),
        price: Price,
        rate: Option<u32>,
    ) -> Result<&mut Line, AmountError> {
        let amount = price.of(count, per, self.currency())?;
        let name = slice.and_then(|slice| self.tariff.slices.get(usize::from(slice))).map(|slice| slice.name);
        let (from, to) = span;
        self.push(
            Line { kind, slice, name, from, to, count, price, amount, uncut: None, evidence: None, flags: Vec::new() },
            rate,
        );
        let last = self.lines.len() - 1;
        Ok(&mut self.lines[last])
    }

    fn slice(&self, passed: &Passed) -> Option<&Slice> {
        self.tariff.slices.get(usize::from(passed.slice))
    }
}

fn start_fee<'a>(draft: &mut Draft<'_>, passed: impl Iterator<Item = &'a Passed> + Clone) -> Result<(), AmountError> {
    let own = passed.clone().find_map(|passed| Some((passed, draft.slice(passed)?, draft.slice(passed)?.start_fee?)));
    let first = || passed.clone().find_map(|passed| Some((passed, draft.slice(passed)?, draft.tariff.start_fee)));
    let Some((passed, slice, fee)) = own.or_else(first) else { return Ok(()) };
    let rate = slice.vat.unwrap_or(draft.tariff.vat).start_fee;
    let place = (Some(passed.slice), (passed.from, passed.from));
    if fee.0 != 0 {
        draft.add(LineKind::StartFee, place, (1, 1), fee, rate)?;
    }
    Ok(())
}

fn passage(draft: &mut Draft<'_>, passed: &Passed) -> Result<(), AmountError> {
    let Some(slice) = draft.slice(passed).cloned() else { return Ok(()) };
    let vat = slice.vat.unwrap_or(draft.tariff.vat);
    let place = (Some(passed.slice), (passed.from, passed.to));
    let evidence = Evidence { from_wh: passed.from_wh, to_wh: passed.to_wh, first: passed.first, last: passed.last };
    let flags = [(passed.split, LineFlag::GapSplitByTime), (passed.late, LineFlag::LateReading)];
    for (kind, price, shown) in
        [(LineKind::Electricity, slice.electricity, true), (LineKind::Service, slice.service, slice.service.0 != 0)]
    {
        if passed.wh() > 0 && shown {
            let line = draft.add(kind, place, (passed.wh(), PER_KWH), price, vat.energy)?;
            line.evidence = Some(evidence);
            line.flags = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect();
        }
    }
    let charging = passed.ms().saturating_sub(passed.parked_ms);
    for (kind, price, ms, rate) in [
        (LineKind::Time, slice.time, charging, vat.time),
        (LineKind::Parking, slice.parking, passed.parked_ms, vat.parking),
    ] {
        if ms > 0 && price.0 != 0 {
            draft.add(kind, place, (ms, PER_HOUR), price, rate)?;
        }
    }
    Ok(())
}

/// Up to the next full step of energy, at the price of the slice that had energy last.
fn energy_step(draft: &mut Draft<'_>, running: &Running) -> Result<(), AmountError> {
    let Some(last) = running.passed.iter().rev().find(|passed| passed.wh() > 0) else { return Ok(()) };
    let Some(slice) = draft.slice(last) else { return Ok(()) };
    let more = up_to(running.energy_wh(), i64::from(slice.steps.energy_wh));
    let price = Price(slice.electricity.0.saturating_add(slice.service.0));
    let rate = slice.vat.unwrap_or(draft.tariff.vat).energy;
    if more > 0 && price.0 != 0 {
        let place = (Some(last.slice), (last.from, last.to));
        draft.add(LineKind::EnergyStep, place, (more, PER_KWH), price, rate)?;
    }
    Ok(())
}

/// Up to the next full step of time, at the price of what was timed last.
fn time_step(draft: &mut Draft<'_>, running: &Running) -> Result<(), AmountError> {
    let mut total = 0_i64;
    let mut last = None;
    for passed in &running.passed {
        let Some(slice) = draft.slice(passed) else { continue };
        let charging = passed.ms().saturating_sub(passed.parked_ms);
        let vat = slice.vat.unwrap_or(draft.tariff.vat);
        // Parking follows charging within a passage.
        for (ms, price, step_s, rate) in [
            (charging, slice.time, slice.steps.time_s, vat.time),
            (passed.parked_ms, slice.parking, slice.steps.parking_s, vat.parking),
        ] {
            if ms > 0 && price.0 != 0 {
                total = total.saturating_add(ms);
                last = Some((passed, price, step_s, rate));
            }
        }
    }
    let Some((passed, price, step_s, rate)) = last else { return Ok(()) };
    let more = if step_s > 1 { up_to(total, i64::from(step_s) * 1_000) } else { 0 };
    if more > 0 {
        let place = (Some(passed.slice), (passed.from, passed.to));
        draft.add(LineKind::TimeStep, place, (more, PER_HOUR), price, rate)?;
    }
    Ok(())
}

/// What is missing to the next multiple of `step`.
fn up_to(count: i64, step: i64) -> i64 {
    if step <= 1 { 0 } else { (step - count.rem_euclid(step)) % step }
}

/// Keeps the sum of the lines between two bounds.
fn bound(
    draft: &mut Draft<'_>,
    least: Option<Price>,
    most: Option<Price>,
    span: (Timestamp, Timestamp),
) -> Result<(), AmountError> {
    let currency = draft.currency();
    let least = least.map(|price| price.of(1, 1, currency)).transpose()?;
    let most = most.map(|price| price.of(1, 1, currency)).transpose()?;
    let total = draft.total()?;
    if let Some(least) = least.filter(|least| least.minor > total.minor) {
        let line = draft.add(LineKind::Minimum, (None, span), (1, 1), Price(0), None)?;
        line.amount = least.minus(total)?;
    }
    if let Some(most) = most {
        cut(draft, draft.total()?.minor.saturating_sub(most.minor));
    }
    Ok(())
}

/// Takes `over` off the lines, from the last one back.
fn cut(draft: &mut Draft<'_>, mut over: i64) {
    for line in draft.lines.iter_mut().rev() {
        let less = over.min(line.amount.minor);
        if less > 0 {
            line.uncut.get_or_insert(line.amount);
            line.amount.minor -= less;
            line.flags.push(LineFlag::Cut);
            line.flags.sort_unstable();
            line.flags.dedup();
            over -= less;
        }
    }
}

/// One line a rate, lowest first: tax on the sum of the lines at that rate.
fn tax(draft: &mut Draft<'_>, span: (Timestamp, Timestamp)) -> Result<(), AmountError> {
    let mut rates: Vec<u32> = draft.rates.iter().flatten().copied().filter(|rate| *rate > 0).collect();
    rates.sort_unstable();
    rates.dedup();
    for rate in rates {
        let of = draft.lines.iter().zip(&draft.rates).filter(|(_, own)| **own == Some(rate));
        let base = of.fold(0_i64, |sum, (line, _)| sum.saturating_add(line.amount.minor));
        let minor = round_half_away(i128::from(base) * i128::from(rate), PRICE_SCALE);
        let amount = Money::new(i64::try_from(minor).map_err(|_| AmountError::Overflow)?, draft.currency());
        let line = draft.add(LineKind::Tax, (None, span), (0, 1), Price(i64::from(rate)), None)?;
        (line.count, line.amount) = (base, amount);
    }
    Ok(())
}
