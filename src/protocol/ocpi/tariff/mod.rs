//! OCPI 2.2.1 tariffs (`mod_tariffs.asciidoc`). Owns the object's shape, decimals to prices and back, and the two ways between it
//! and ours: [`import()`] and [`export()`].
//!
//! What of OCPI is taken: price components ENERGY, TIME, PARKING_TIME and FLAT with tax and step size; restrictions by time of
//! day, date and weekday; minimum and maximum price; validity. Restrictions by energy, current, power, duration and
//! reservation are refused by name: they depend on what a session does, not on when.

mod export;
mod import;
#[cfg(test)]
mod tests;

pub use export::{Exported, FIRST_YEAR, Party, export};
pub use import::{Imported, import};

use crate::domain::money::Price;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A tariff object. Members that say nothing about the price are not read.
#[derive(Debug, Deserialize, Serialize)]
struct Wire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    party_id: Option<String>,
    id: String,
    currency: String,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tariff_alt_text: Option<Vec<AltText>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_price: Option<WirePrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_price: Option<WirePrice>,
    elements: Vec<Element>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_date_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_date_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_updated: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct AltText {
    language: String,
    text: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct WirePrice {
    excl_vat: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incl_vat: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Element {
    price_components: Vec<Component>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restrictions: Option<Restrictions>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Component {
    #[serde(rename = "type")]
    kind: String,
    price: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vat: Option<Box<RawValue>>,
    step_size: u32,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Restrictions {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_date: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    day_of_week: Vec<String>,
    /// Whatever else there is: none of it is taken.
    #[serde(flatten)]
    others: std::collections::BTreeMap<String, serde_json::Value>,
}

/// Weekdays, Monday first.
const DAYS: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

/// A decimal of the wire times ten to the `digits`, if that is a whole number.
fn scaled(raw: &RawValue, digits: u32) -> Option<i64> {
    let text = raw.get().trim();
    let decimal = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()?;
    let scaled = decimal.checked_mul(Decimal::from(10_i64.pow(digits)))?.normalize();
    (scaled.scale() == 0).then(|| i64::try_from(scaled).ok()).flatten()
}

/// A whole number divided by ten to the `digits`, as a number of the wire.
fn unscaled(number: i64, digits: u32) -> Box<RawValue> {
    let text = Decimal::new(number, digits).normalize().to_string();
    // A decimal's text is a JSON number.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A price in 1/10,000.
fn number(price: Price) -> Box<RawValue> {
    unscaled(price.0, 4)
}
