//! What a tariff must be before it may be published (MO-2). Owns the checks; each finding names the member, what is wrong
//! with it, and what is allowed.

use super::calendar::zone;
use super::{Minute, MonthDay, Slice, Tariff, Vat, Weekdays};
use crate::domain::money::{Currency, Price};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most slices: half hours of a day in eight kinds of days, or hours in sixteen.
pub const SLICES_MAX: usize = 384;
/// Most parts of the year of one slice.
const SEASONS_MAX: usize = 16;
/// Findings told of one tariff: enough to mend it, too few to fill a log.
const FINDINGS_MAX: usize = 50;
/// Longest text shown to people.
const NAME_MAX: usize = 100;
/// Most tax, 1/100 of a percent.
const VAT_MAX: u32 = 10_000;
/// Longest step, Wh or seconds.
const STEP_MAX: u32 = 86_400;
/// Most minutes of a grace or a cancel time: a week.
const MINUTES_MAX: u32 = 10_080;
/// Days of a validity that are looked at one by one; a longer one has every kind of day.
const DAYS_MAX: i32 = 12_000;

/// What is sane here. From the configuration, in 1/10,000 of a major unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Most for a kWh, electricity and service together.
    pub kwh_max: Price,
    /// Least for a kWh, electricity and service together: a forgotten price is found.
    pub kwh_min: Price,
    /// Most for an hour.
    pub hour_max: Price,
    /// Most for a minute of occupancy.
    pub minute_max: Price,
    /// Most for anything once: start fee, deposit, cap, minimum.
    pub once_max: Price,
}

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Which: `slices[3].to`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What is allowed.
    pub allowed: String,
}

/// A tariff that has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked(Tariff);

impl Checked {
    /// The tariff.
    pub fn into_inner(self) -> Tariff {
        self.0
    }

    /// The tariff.
    pub fn get(&self) -> &Tariff {
        &self.0
    }
}

/// The tariff as one that may be published.
///
/// # Errors
/// What is wrong with it.
pub fn checked(tariff: Tariff, bounds: &Bounds) -> Result<Checked, Vec<FieldError>> {
    let found = check(&tariff, bounds);
    if found.is_empty() { Ok(Checked(tariff)) } else { Err(found) }
}

/// What is wrong with a tariff; nothing: it may be published.
pub fn check(tariff: &Tariff, bounds: &Bounds) -> Vec<FieldError> {
    let mut findings = Findings(Vec::new());
    head(tariff, &mut findings);
    prices(tariff, bounds, &mut findings);
    let before = findings.0.len();
    slices(tariff, bounds, &mut findings);
    // Holes and overlaps of slices that are wrong in themselves say nothing.
    if findings.0.len() == before && !tariff.slices.is_empty() {
        coverage(tariff, &mut findings);
    }
    findings.0.truncate(FINDINGS_MAX);
    findings.0
}

struct Findings(Vec<FieldError>);

impl Findings {
    fn expect(&mut self, good: bool, path: impl Into<String>, problem: impl Into<String>, allowed: impl Into<String>) {
        if !good && self.0.len() < FINDINGS_MAX {
            self.0.push(FieldError { path: path.into(), problem: problem.into(), allowed: allowed.into() });
        }
    }

    fn price(&mut self, path: &str, price: Price, max: Price) {
        let allowed = format!("0 to {} (1/10,000 of the major unit)", max.0);
        self.expect((0..=max.0).contains(&price.0), path, format!("{} is out of bounds", price.0), allowed);
    }

    fn vat(&mut self, path: &str, vat: Vat) {
        for (name, rate) in
            [("energy", vat.energy), ("time", vat.time), ("parking", vat.parking), ("start_fee", vat.start_fee)]
        {
            let rate = rate.unwrap_or(0);
            let allowed = format!("0 to {VAT_MAX} (1/100 of a percent)");
            self.expect(rate <= VAT_MAX, format!("{path}.{name}"), format!("{rate} is out of bounds"), allowed);
        }
    }
}

fn head(tariff: &Tariff, findings: &mut Findings) {
    let known = zone(&tariff.time_zone);
    let problem = known.as_ref().err().map(ToString::to_string).unwrap_or_default();
    findings.expect(known.is_ok(), "time_zone", problem, "an IANA name such as Asia/Shanghai");
    let long = tariff.name.chars().count() > NAME_MAX || tariff.name.chars().any(char::is_control);
    findings.expect(!long, "name", "is too long or holds control characters", format!("up to {NAME_MAX} characters"));
    let digits = tariff.currency.exponent().is_some_and(|digits| digits <= 4);
    let special = matches!(tariff.currency, Currency::XXX | Currency::XTS);
    findings.expect(digits && !special, "currency", "is no currency that is paid in", "an ISO 4217 code such as CNY");
    if let (Some(from), Some(to)) = (tariff.valid_from, tariff.valid_to) {
        findings.expect(from < to, "valid_to", "is not after valid_from", format!("later than {from}"));
    }
    let count = tariff.slices.len();
    let allowed = format!("1 to {SLICES_MAX} slices");
    findings.expect((1..=SLICES_MAX).contains(&count), "slices", format!("there are {count}"), allowed);
}

fn prices(tariff: &Tariff, bounds: &Bounds, findings: &mut Findings) {
    findings.price("start_fee", tariff.start_fee, bounds.once_max);
    for (name, limit) in [("minimum", tariff.minimum), ("maximum", tariff.maximum)] {
        findings.price(&format!("{name}.before_tax"), limit.before_tax.unwrap_or_default(), bounds.once_max);
        findings.price(&format!("{name}.with_tax"), limit.with_tax.unwrap_or_default(), bounds.once_max);
    }
    for (name, least, most) in [
        ("before_tax", tariff.minimum.before_tax, tariff.maximum.before_tax),
        ("with_tax", tariff.minimum.with_tax, tariff.maximum.with_tax),
    ] {
        if let (Some(least), Some(most)) = (least, most) {
            let path = format!("maximum.{name}");
            findings.expect(least <= most, path, "is below the minimum", format!("{} or more", least.0));
        }
    }
    findings.vat("vat", tariff.vat);
    let minutes = format!("0 to {MINUTES_MAX} minutes");
    if let Some(rule) = tariff.occupancy {
        let path = "occupancy.grace_minutes";
        findings.expect(rule.grace_minutes <= MINUTES_MAX, path, "is too long", minutes.clone());
        findings.price("occupancy.per_minute", rule.per_minute, bounds.minute_max);
        findings.price("occupancy.cap", rule.cap, bounds.once_max);
        let empty = rule.per_minute.0 > 0 && rule.cap.0 == 0;
        findings.expect(!empty, "occupancy.cap", "lets nothing be charged", "more than 0, or no occupancy rule");
    }
    if let Some(rule) = tariff.reservation {
        let path = "reservation.free_cancel_minutes";
        findings.expect(rule.free_cancel_minutes <= MINUTES_MAX, path, "is too long", minutes);
        findings.price("reservation.deposit", rule.deposit, bounds.once_max);
        for (name, fee) in [("late_cancel_fee", rule.late_cancel_fee), ("no_show_fee", rule.no_show_fee)] {
            let allowed = format!("0 to the deposit, {}", rule.deposit.0);
            let good = (0..=rule.deposit.0).contains(&fee.0);
            findings.expect(good, format!("reservation.{name}"), "is not covered by the deposit", allowed);
        }
    }
}

fn slices(tariff: &Tariff, bounds: &Bounds, findings: &mut Findings) {
    for (n, slice) in tariff.slices.iter().enumerate().take(SLICES_MAX) {
        let path = |member: &str| format!("slices[{n}].{member}");
        let allowed = format!("later than {}; a night is two slices, up to 24:00 and from 00:00", slice.from);
        findings.expect(slice.from < slice.to, path("to"), format!("{} is not after `from`", slice.to), allowed);
        findings.expect(
            slice.weekdays != Weekdays::NONE,
            path("weekdays"),
            "names no day",
            "one or more of mon to sun",
        );
        let allowed = format!("up to {SEASONS_MAX}");
        findings.expect(slice.seasons.len() <= SEASONS_MAX, path("seasons"), "are too many", allowed);
        if let Some((from, until)) = slice.dates.and_then(|dates| dates.from.zip(dates.until)) {
            findings.expect(from < until, path("dates.until"), "is not after `from`", format!("later than {from}"));
        }
        findings.price(&path("electricity"), slice.electricity, bounds.kwh_max);
        findings.price(&path("service"), slice.service, bounds.kwh_max);
        let kwh = Price(slice.electricity.0.saturating_add(slice.service.0));
        let sane = (bounds.kwh_min..=bounds.kwh_max).contains(&kwh);
        let allowed = format!("{} to {} together with service", bounds.kwh_min.0, bounds.kwh_max.0);
        findings.expect(sane, path("electricity"), format!("{} is out of bounds", kwh.0), allowed);
        findings.price(&path("time"), slice.time, bounds.hour_max);
        findings.price(&path("parking"), slice.parking, bounds.hour_max);
        findings.price(&path("start_fee"), slice.start_fee.unwrap_or_default(), bounds.once_max);
        findings.vat(&path("vat"), slice.vat.unwrap_or_default());
        let steps = [slice.steps.energy_wh, slice.steps.time_s, slice.steps.parking_s];
        let good = steps.iter().all(|step| (1..=STEP_MAX).contains(step));
        findings.expect(good, path("steps"), "are out of bounds", format!("1 to {STEP_MAX}"));
    }
}

/// Each kind of day that the tariff meets must be covered whole and once. Each pair of slices is told once.
fn coverage(tariff: &Tariff, findings: &mut Findings) {
    let mut told: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut holes: BTreeSet<(Minute, Minute)> = BTreeSet::new();
    for kind in kinds(tariff) {
        let mut of: Vec<(usize, &Slice)> = tariff.slices.iter().enumerate().filter(|(_, s)| kind.within(s)).collect();
        of.sort_by_key(|(n, slice)| (slice.from, slice.to, *n));
        let mut covered = Minute::default();
        let mut by = None;
        for (n, slice) in of {
            if slice.from > covered && holes.insert((covered, slice.from)) {
                hole(findings, &kind, covered, slice.from);
            }
            if slice.from < covered
                && let Some(other) = by
                && told.insert((other, n))
            {
                let problem =
                    format!("overlaps slices[{other}] on {kind} from {} to {}", slice.from, covered.min(slice.to));
                findings.expect(false, format!("slices[{n}]"), problem, "at each moment exactly one slice");
            }
            if slice.to > covered {
                (covered, by) = (slice.to, Some(n));
            }
        }
        if covered < Minute::END && holes.insert((covered, Minute::END)) {
            hole(findings, &kind, covered, Minute::END);
        }
    }
}

fn hole(findings: &mut Findings, kind: &Kind, from: Minute, to: Minute) {
    let problem = format!("leave a hole on {kind} from {from} to {to}");
    findings.expect(false, "slices", problem, "at each moment exactly one slice");
}

/// Days that no slice tells apart.
struct Kind {
    weekday: u8,
    day: MonthDay,
    /// A day of the stretch of dates; `None`: the tariff names no dates.
    date: Option<Date>,
}

impl Kind {
    fn within(&self, slice: &Slice) -> bool {
        let dated = match (slice.dates, self.date) {
            (Some(dates), Some(date)) => dates.holds(date),
            (Some(_) | None, _) => true,
        };
        slice.weekdays.has(self.weekday) && slice.in_season(self.day) && dated
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", Weekdays::name(self.weekday), self.day)
    }
}

/// The first day of every part of the year that no season's border cuts.
fn parts_of_year(tariff: &Tariff) -> Vec<MonthDay> {
    let same = |a: MonthDay, b: MonthDay| tariff.slices.iter().all(|slice| slice.in_season(a) == slice.in_season(b));
    let mut parts: Vec<MonthDay> = Vec::new();
    for day in MonthDay::all() {
        if parts.last().is_none_or(|last| !same(*last, day)) {
            parts.push(day);
        }
    }
    parts
}

/// Every kind of day: weekdays × parts of the year × stretches of dates, as far as the calendar has such days.
fn kinds(tariff: &Tariff) -> Vec<Kind> {
    let parts = parts_of_year(tariff);
    let every = |date: Option<Date>| {
        let parts = parts.clone();
        (0..7).flat_map(move |weekday| parts.clone().into_iter().map(move |day| Kind { weekday, day, date }))
    };
    let mut borders: Vec<Date> = tariff
        .slices
        .iter()
        .filter_map(|slice| slice.dates)
        .flat_map(|dates| [dates.from, dates.until])
        .flatten()
        .collect();
    if borders.is_empty() && tariff.slices.iter().all(|slice| slice.dates.is_none()) {
        return every(None).collect();
    }
    borders.sort_unstable();
    borders.dedup();
    let local = |at: Option<crate::clock::Timestamp>| {
        Some(super::calendar::jiff(at?).to_zoned(zone(&tariff.time_zone).ok()?).date())
    };
    let first = local(tariff.valid_from).unwrap_or(Date::MIN);
    // A session that began within the validity is priced to its end, whenever that is.
    let last = Date::MAX;
    let mut starts = vec![first];
    starts.extend(borders.iter().filter(|day| **day > first && **day <= last));
    let mut found = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(last);
        match days(*start, end) {
            Some(days) => found.extend(of_days(tariff, &parts, days)),
            None => found.extend(every(Some(*start))),
        }
    }
    found
}

/// The days of a stretch, unless it is so long that it has every kind of day.
fn days(from: Date, to: Date) -> Option<Vec<Date>> {
    let count = from.until(to).ok()?.get_days();
    (count <= DAYS_MAX)
        .then(|| from.series(jiff::Span::new().days(1)).take_while(|day| *day < to || *day == from).collect())
}

fn of_days(tariff: &Tariff, parts: &[MonthDay], days: Vec<Date>) -> Vec<Kind> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for date in days {
        let (weekday, day) = (date.weekday().to_monday_zero_offset().unsigned_abs(), MonthDay::of(date));
        let part = parts.iter().rfind(|part| **part <= day).copied().unwrap_or(day);
        debug_assert!(tariff.slices.iter().all(|slice| slice.in_season(part) == slice.in_season(day)));
        if seen.insert((weekday, part)) {
            found.push(Kind { weekday, day, date: Some(date) });
        }
    }
    found
}
