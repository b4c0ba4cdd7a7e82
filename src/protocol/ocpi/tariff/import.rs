//! An OCPI tariff as ours. In OCPI elements may overlap and leave holes: for each dimension the first element whose
//! restrictions hold counts, and none means no cost. Ours has one slice at each moment. So the week is cut at all borders that any
//! element has, each cell is looked up by OCPI's rule, and equal neighbours are put together again.

use super::{Component, DAYS, Element, Restrictions, Wire, WirePrice, scaled};
use crate::clock::Timestamp;
use crate::domain::money::{Currency, Price};
use crate::domain::tariff::{Dates, FieldError, Limit, Minute, Slice, SliceName, Steps, Tariff, Vat, Weekdays};
use crate::ids::TariffId;
use jiff::civil::Date;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// Elements and components looked at: more than any real tariff has.
const ELEMENTS_MAX: usize = 200;

/// A tariff read from OCPI.
#[derive(Debug)]
pub struct Imported {
    /// The tariff, not yet checked.
    pub tariff: Tariff,
    /// What it said that ours does not.
    pub dropped: Vec<String>,
}

/// Reads an OCPI 2.2.1 tariff object as the tariff `id`, which goes by the wall clock of `time_zone`.
///
/// # Errors
/// Everything in it that cannot be taken, by path.
pub fn import(json: &[u8], time_zone: &str, id: TariffId) -> Result<Imported, Vec<FieldError>> {
    let wire: Wire = serde_json::from_slice(json)
        .map_err(|error| vec![wrong("", format!("is no OCPI tariff: {error}"), "an OCPI 2.2.1 tariff object")])?;
    let mut reader = Reader::default();
    let elements = reader.elements(&wire.elements);
    let (minimum, maximum) =
        (reader.limit("min_price", wire.min_price.as_ref()), reader.limit("max_price", wire.max_price.as_ref()));
    let valid_from = reader.moment("start_date_time", wire.start_date_time.as_deref());
    let valid_to = reader.moment("end_date_time", wire.end_date_time.as_deref());
    let currency = Currency::from_code(&wire.currency);
    let currency = currency.or_else(|| reader.wrong("currency", "is not known".into(), "an ISO 4217 code such as EUR"));
    let (Some(currency), true) = (currency, reader.found.is_empty()) else { return Err(reader.found) };
    let name = wire.tariff_alt_text.iter().flatten().next().map(|text| text.text.chars().take(100).collect());
    let mut dropped = Vec::new();
    if let Some(kind) = wire.kind.filter(|kind| kind != "REGULAR") {
        dropped.push(format!("type {kind}: ours does not depend on how a session is paid or driven"));
    }
    if wire.id != id.as_str() {
        dropped.push(format!("id {}: it is published as {id}", wire.id));
    }
    let tariff = Tariff {
        id,
        version: 0,
        name: name.unwrap_or_default(),
        currency,
        time_zone: time_zone.to_owned(),
        valid_from,
        valid_to,
        slices: slices(&elements),
        start_fee: Price(0),
        minimum,
        maximum,
        vat: Vat::default(),
        occupancy: None,
        reservation: None,
    };
    Ok(Imported { tariff, dropped })
}

fn wrong(path: &str, problem: String, allowed: &str) -> FieldError {
    FieldError { path: path.to_owned(), problem, allowed: allowed.to_owned() }
}

/// A dimension's price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rate {
    price: i64,
    vat: Option<u32>,
    step: u32,
}

/// An element with its conditions.
struct Rule {
    energy: Option<Rate>,
    time: Option<Rate>,
    parking: Option<Rate>,
    flat: Option<Rate>,
    from: Option<Minute>,
    to: Option<Minute>,
    dates: Dates,
    days: Weekdays,
}

impl Rule {
    fn holds(&self, day: u8, minute: Minute, date: Option<Date>) -> bool {
        let (from, to) = (self.from.unwrap_or_default(), self.to.unwrap_or(Minute::END));
        let timed = if from < to { from <= minute && minute < to } else { minute >= from || minute < to };
        let dated = match date {
            Some(date) => self.dates.holds(date),
            // Before all borders: only what has no beginning.
            None => self.dates.from.is_none(),
        };
        timed && dated && self.days.has(day)
    }
}

#[derive(Default)]
struct Reader {
    found: Vec<FieldError>,
}

impl Reader {
    fn wrong<T>(&mut self, path: &str, problem: String, allowed: &str) -> Option<T> {
        self.found.push(wrong(path, problem, allowed));
        None
    }

    fn decimal(&mut self, path: &str, raw: &RawValue, digits: u32) -> i64 {
        let read = scaled(raw, digits).filter(|number| *number >= 0);
        let allowed =
            if digits == 4 { "a number from 0 with up to 4 decimals" } else { "a percentage with up to 2 decimals" };
        read.or_else(|| self.wrong(path, "is not exact in our units".into(), allowed)).unwrap_or(0)
    }

    fn limit(&mut self, path: &str, price: Option<&WirePrice>) -> Limit {
        let Some(price) = price else { return Limit::default() };
        let before_tax = Some(Price(self.decimal(&format!("{path}.excl_vat"), &price.excl_vat, 4)));
        let with = price.incl_vat.as_ref();
        let with_tax = with.map(|with| Price(self.decimal(&format!("{path}.incl_vat"), with, 4)));
        Limit { before_tax, with_tax }
    }

    /// OCPI moments are UTC, with or without a `Z`.
    fn moment(&mut self, path: &str, text: Option<&str>) -> Option<Timestamp> {
        let text = text?;
        let read = Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z")));
        read.ok().or_else(|| self.wrong(path, "is no moment".into(), "RFC 3339, in UTC without an offset"))
    }

    fn elements(&mut self, elements: &[Element]) -> Vec<Rule> {
        if !(1..=ELEMENTS_MAX).contains(&elements.len()) {
            self.wrong::<()>("elements", format!("there are {}", elements.len()), "1 to 200");
        }
        let all = elements.iter().take(ELEMENTS_MAX).enumerate();
        all.map(|(n, element)| self.element(&format!("elements[{n}]"), element)).collect()
    }

    fn element(&mut self, path: &str, element: &Element) -> Rule {
        let none = Restrictions::default();
        let restrictions = element.restrictions.as_ref().unwrap_or(&none);
        let path_of = |member: &str| format!("{path}.restrictions.{member}");
        for (member, value) in &restrictions.others {
            if !value.is_null() {
                let problem = "depends on what a session does, not on when".to_owned();
                let allowed = "start_time, end_time, start_date, end_date, day_of_week";
                self.wrong::<()>(&path_of(member), problem, allowed);
            }
        }
        let mut rule = Rule {
            energy: None,
            time: None,
            parking: None,
            flat: None,
            from: self.time(&path_of("start_time"), restrictions.start_time.as_deref()),
            // 00:00 is the end of the day here.
            to: self.time(&path_of("end_time"), restrictions.end_time.as_deref()).filter(|to| *to != Minute::default()),
            dates: Dates {
                from: self.date(&path_of("start_date"), restrictions.start_date.as_deref()),
                until: self.date(&path_of("end_date"), restrictions.end_date.as_deref()),
            },
            days: self.days(&path_of("day_of_week"), &restrictions.day_of_week),
        };
        for (n, component) in element.price_components.iter().enumerate() {
            self.component(&format!("{path}.price_components[{n}]"), component, &mut rule);
        }
        rule
    }

    fn component(&mut self, path: &str, component: &Component, rule: &mut Rule) {
        let price = self.decimal(&format!("{path}.price"), &component.price, 4);
        let vat = component.vat.as_ref().map(|vat| self.decimal(&format!("{path}.vat"), vat, 2));
        let vat = vat.and_then(|vat| u32::try_from(vat).ok()).filter(|vat| *vat > 0);
        let step = component.step_size.max(1);
        let place = match component.kind.as_str() {
            "ENERGY" => &mut rule.energy,
            "TIME" => &mut rule.time,
            "PARKING_TIME" => &mut rule.parking,
            "FLAT" => &mut rule.flat,
            other => {
                let problem = format!("{other} is not known");
                self.wrong::<()>(&format!("{path}.type"), problem, "ENERGY, TIME, PARKING_TIME, FLAT");
                return;
            }
        };
        let step = if component.kind == "FLAT" { 1 } else { step };
        if place.replace(Rate { price, vat, step }).is_some() {
            self.wrong::<()>(&format!("{path}.type"), format!("{} is there twice", component.kind), "once an element");
        }
    }

    fn time(&mut self, path: &str, text: Option<&str>) -> Option<Minute> {
        let read = text?.parse::<Minute>().ok().filter(|minute| *minute < Minute::END);
        read.or_else(|| self.wrong(path, "is no time".into(), "HH:MM from 00:00 to 23:59"))
    }

    fn date(&mut self, path: &str, text: Option<&str>) -> Option<Date> {
        let read = text?.parse::<Date>().ok();
        read.or_else(|| self.wrong(path, "is no date".into(), "YYYY-MM-DD"))
    }

    fn days(&mut self, path: &str, names: &[String]) -> Weekdays {
        if names.is_empty() {
            return Weekdays::ALL;
        }
        let mut days = Weekdays::NONE;
        for name in names {
            match (0u8..).zip(DAYS).find(|(_, known)| known == name) {
                Some((day, _)) => days = days.with(day),
                None => {
                    self.wrong::<()>(path, "names no weekday".into(), "MONDAY to SUNDAY");
                }
            }
        }
        days
    }
}

/// What a cell of the week costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    energy: Option<Rate>,
    time: Option<Rate>,
    parking: Option<Rate>,
    flat: Option<Rate>,
}

/// A day as stretches of equal cells.
type Day = Vec<(Minute, Minute, Cell)>;

fn slices(rules: &[Rule]) -> Vec<Slice> {
    let borders: BTreeSet<Date> = rules.iter().flat_map(|rule| [rule.dates.from, rule.dates.until]).flatten().collect();
    let mut stretches: Vec<(Dates, [Day; 7])> = Vec::new();
    let starts: Vec<Option<Date>> = std::iter::once(None).chain(borders.iter().copied().map(Some)).collect();
    for (n, start) in starts.iter().enumerate() {
        let until = starts.get(n + 1).copied().flatten();
        let week: [Day; 7] = [0, 1, 2, 3, 4, 5, 6].map(|day| cells(rules, day, *start));
        match stretches.last_mut() {
            Some((dates, last)) if *last == week => dates.until = until,
            _ => stretches.push((Dates { from: *start, until }, week)),
        }
    }
    let prices: BTreeSet<i64> = stretches
        .iter()
        .flat_map(|(_, week)| week.iter().flatten())
        .map(|(_, _, cell)| cell.energy.unwrap_or_default().price)
        .collect();
    let mut found = Vec::new();
    for (dates, week) in stretches {
        let dates = Some(dates).filter(|dates| dates.from.is_some() || dates.until.is_some());
        let mut days: BTreeMap<&Day, Weekdays> = BTreeMap::new();
        for (n, day) in (0u8..).zip(&week) {
            let same = days.entry(day).or_insert(Weekdays::NONE);
            *same = same.with(n);
        }
        let mut kinds: Vec<(Weekdays, &Day)> = days.into_iter().map(|(day, on)| (on, day)).collect();
        kinds.sort_by_key(|(on, _)| on.days().next());
        for (weekdays, day) in kinds {
            found.extend(day.iter().map(|(from, to, cell)| slice((*from, *to), weekdays, dates, cell, &prices)));
        }
    }
    found
}

fn cells(rules: &[Rule], day: u8, date: Option<Date>) -> Day {
    let mut borders: BTreeSet<Minute> = rules.iter().flat_map(|rule| [rule.from, rule.to]).flatten().collect();
    borders.extend([Minute::default(), Minute::END]);
    let borders: Vec<Minute> = borders.into_iter().collect();
    let mut found: Day = Vec::new();
    for pair in borders.windows(2) {
        let holding = || rules.iter().filter(|rule| rule.holds(day, pair[0], date));
        let cell = Cell {
            energy: holding().find_map(|rule| rule.energy),
            time: holding().find_map(|rule| rule.time),
            parking: holding().find_map(|rule| rule.parking),
            flat: holding().find_map(|rule| rule.flat),
        };
        match found.last_mut() {
            Some(last) if last.2 == cell => last.1 = pair[1],
            _ => found.push((pair[0], pair[1], cell)),
        }
    }
    found
}

fn slice(
    (from, to): (Minute, Minute),
    weekdays: Weekdays,
    dates: Option<Dates>,
    cell: &Cell,
    prices: &BTreeSet<i64>,
) -> Slice {
    let rate = |rate: Option<Rate>| rate.unwrap_or(Rate { step: 1, ..Rate::default() });
    let (energy, time, parking) = (rate(cell.energy), rate(cell.time), rate(cell.parking));
    let vat = Vat {
        energy: energy.vat,
        time: time.vat,
        parking: parking.vat,
        start_fee: cell.flat.and_then(|flat| flat.vat),
    };
    // OCPI has no names: the cheapest energy is the valley, the dearest the peak.
    let name = match (prices.len(), Some(&energy.price)) {
        (0 | 1, _) => SliceName::Flat,
        (_, price) if price == prices.first() => SliceName::Valley,
        (_, price) if price == prices.last() => SliceName::Peak,
        _ => SliceName::Flat,
    };
    Slice {
        name,
        from,
        to,
        weekdays,
        seasons: Vec::new(),
        dates,
        electricity: Price(energy.price),
        service: Price(0),
        time: Price(time.price),
        parking: Price(parking.price),
        start_fee: cell.flat.map(|flat| Price(flat.price)),
        vat: Some(vat).filter(|vat| !vat.is_none()),
        steps: Steps { energy_wh: energy.step, time_s: time.step, parking_s: parking.step },
    }
}
