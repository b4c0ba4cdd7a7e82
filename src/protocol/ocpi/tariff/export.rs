//! Our tariff as one of OCPI. Owns what OCPI cannot say, and that it is told.

use super::{AltText, Component, DAYS, Element, Restrictions, Wire, WirePrice, number, unscaled};
use crate::domain::money::Price;
use crate::domain::tariff::{Dates, Limit, Minute, MonthDay, Slice, Tariff};
use jiff::civil::Date;
use serde::Serialize;
use std::ops::Range;

/// The first year that yearly seasons are told for, where nobody says another.
pub const FIRST_YEAR: i16 = 2026;

/// Whose tariff it is on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    country_code: String,
    party_id: String,
}

impl Party {
    /// Two letters of a country, three of a party.
    pub fn new(country_code: &str, party_id: &str) -> Option<Self> {
        let country = country_code.len() == 2 && country_code.bytes().all(|b| b.is_ascii_uppercase());
        let party = party_id.len() == 3 && party_id.bytes().all(|b| b.is_ascii_alphanumeric());
        (country && party).then(|| Party { country_code: country_code.to_owned(), party_id: party_id.to_owned() })
    }
}

/// A tariff for the wire.
#[derive(Debug, Serialize)]
pub struct Exported {
    /// The OCPI 2.2.1 tariff object.
    tariff: Wire,
    /// What it does not say.
    pub dropped: Vec<String>,
}

impl Exported {
    /// The tariff object as JSON.
    ///
    /// # Errors
    /// Never: it holds texts and numbers only.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.tariff)
    }
}

/// A tariff as OCPI says it. OCPI's dates have years, so yearly seasons are told for those of `years`.
pub fn export(tariff: &Tariff, party: &Party, years: Range<i16>) -> Exported {
    let mut elements: Vec<Element> = Vec::new();
    for slice in &tariff.slices {
        for dates in stretches(slice, &years) {
            elements.push(element(tariff, slice, dates));
        }
    }
    if tariff.start_fee.0 != 0 {
        let price_components = vec![component("FLAT", tariff.start_fee, tariff.vat.start_fee, 1)];
        elements.push(Element { price_components, restrictions: None });
    }
    let alt = (!tariff.name.is_empty()).then(|| vec![AltText { language: "en".to_owned(), text: tariff.name.clone() }]);
    let moment = |at: crate::clock::Timestamp| at.to_rfc3339();
    let wire = Wire {
        country_code: Some(party.country_code.clone()),
        party_id: Some(party.party_id.clone()),
        id: tariff.id.to_string(),
        currency: tariff.currency.code().to_owned(),
        kind: Some("REGULAR".to_owned()),
        tariff_alt_text: alt,
        min_price: limit(tariff.minimum),
        max_price: limit(tariff.maximum),
        elements,
        start_date_time: tariff.valid_from.map(moment),
        end_date_time: tariff.valid_to.map(moment),
        last_updated: Some(moment(tariff.valid_from.unwrap_or_default())),
    };
    Exported { tariff: wire, dropped: dropped(tariff, &years) }
}

fn dropped(tariff: &Tariff, years: &Range<i16>) -> Vec<String> {
    let mut found = vec![format!("time_zone {}: OCPI has it at the location", tariff.time_zone)];
    let any = |test: fn(&Slice) -> bool| tariff.slices.iter().any(test);
    if any(|slice| slice.service.0 != 0) {
        found.push("service: it is part of the price of ENERGY".to_owned());
    }
    if any(|slice| !slice.seasons.is_empty()) {
        found.push(format!("seasons: told for {} to {} only", years.start, years.end.saturating_sub(1)));
    }
    if any(|slice| slice.start_fee.is_some()) && tariff.start_fee.0 != 0 {
        found.push(
            "start_fee of slices: OCPI takes the tariff's where the session begins in a slice without".to_owned(),
        );
    }
    for (limit, name) in [(tariff.minimum, "minimum"), (tariff.maximum, "maximum")] {
        if limit.before_tax.is_none() && limit.with_tax.is_some() {
            found.push(format!("{name}: OCPI bounds the sum with tax only together with the sum before it"));
        }
    }
    if tariff.occupancy.is_some() {
        found.push("occupancy: OCPI has neither grace time nor cap for a stay after the charging".to_owned());
    }
    if tariff.reservation.is_some() {
        found.push("reservation: OCPI prices a reservation by its time, not by deposit and fees".to_owned());
    }
    found
}

fn limit(limit: Limit) -> Option<WirePrice> {
    limit.before_tax.map(|before| WirePrice { excl_vat: number(before), incl_vat: limit.with_tax.map(number) })
}

/// The stretches of dates on which a slice applies: OCPI can name one for an element.
fn stretches(slice: &Slice, years: &Range<i16>) -> Vec<Option<Dates>> {
    if slice.seasons.is_empty() {
        return vec![slice.dates];
    }
    let mut found: Vec<Dates> = Vec::new();
    for year in years.clone() {
        let mut day = jiff::civil::date(year, 1, 1);
        while day.year() == year {
            let next = day.tomorrow().unwrap_or(Date::MAX);
            let inside = slice.seasons.iter().any(|season| season.holds(MonthDay::of(day)));
            if inside && slice.dates.is_none_or(|dates| dates.holds(day)) {
                match found.last_mut() {
                    Some(last) if last.until == Some(day) => last.until = Some(next),
                    _ => found.push(Dates { from: Some(day), until: Some(next) }),
                }
            }
            if next <= day {
                break;
            }
            day = next;
        }
    }
    found.into_iter().map(Some).collect()
}

fn element(tariff: &Tariff, slice: &Slice, dates: Option<Dates>) -> Element {
    let vat = slice.vat.unwrap_or(tariff.vat);
    let kwh = Price(slice.electricity.0.saturating_add(slice.service.0));
    let mut price_components = vec![component("ENERGY", kwh, vat.energy, slice.steps.energy_wh)];
    for (kind, price, vat, step) in [
        ("TIME", slice.time, vat.time, slice.steps.time_s),
        ("PARKING_TIME", slice.parking, vat.parking, slice.steps.parking_s),
    ] {
        if price.0 != 0 {
            price_components.push(component(kind, price, vat, step));
        }
    }
    if let Some(fee) = slice.start_fee {
        price_components.push(component("FLAT", fee, vat.start_fee, 1));
    }
    let text = |minute: Minute| if minute == Minute::END { "00:00".to_owned() } else { minute.to_string() };
    let whole = slice.from == Minute::default() && slice.to == Minute::END;
    let days = || slice.weekdays.days().map(|day| DAYS[usize::from(day)].to_owned()).collect();
    let date = |date: Option<Date>| date.map(|date| date.to_string());
    let restrictions = Restrictions {
        start_time: (!whole).then(|| text(slice.from)),
        end_time: (!whole).then(|| text(slice.to)),
        start_date: date(dates.and_then(|dates| dates.from)),
        end_date: date(dates.and_then(|dates| dates.until)),
        day_of_week: if slice.weekdays.is_all() { Vec::new() } else { days() },
        others: std::collections::BTreeMap::new(),
    };
    let bare = whole && slice.weekdays.is_all() && dates.is_none();
    Element { price_components, restrictions: (!bare).then_some(restrictions) }
}

fn component(kind: &str, price: Price, vat: Option<u32>, step_size: u32) -> Component {
    let vat = vat.map(|vat| unscaled(i64::from(vat), 2));
    Component { kind: kind.to_owned(), price: number(price), vat, step_size }
}
