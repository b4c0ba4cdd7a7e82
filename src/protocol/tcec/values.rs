//! Times, decimals and tolerant readings. T/CEC times have no zone and mean China Standard Time (UTC+8); numbers come as JSON
//! numbers or as texts.

use crate::clock::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::str::FromStr as _;

/// A moment, written in China Standard Time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChinaTime(pub Timestamp);

/// UTC+8, without summer time since 1991.
fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

impl ChinaTime {
    fn civil(self) -> DateTime {
        let moment = jiff::Timestamp::from_millisecond(self.0.0).unwrap_or_default();
        moment.to_zoned(zone()).datetime()
    }

    fn of(civil: DateTime) -> Option<Self> {
        let moment = civil.to_zoned(zone()).ok()?.timestamp();
        Some(ChinaTime(Timestamp(moment.as_millisecond())))
    }

    /// `yyyyMMddHHmmss`.
    pub fn to_compact(self) -> String {
        self.civil().strftime("%Y%m%d%H%M%S").to_string()
    }

    /// Reads `yyyyMMddHHmmss`, or 12 digits without the seconds.
    pub fn compact(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let full = match (digits, text.len()) {
            (true, 14) => text.to_owned(),
            (true, 12) => format!("{text}00"),
            _ => return None,
        };
        Self::of(DateTime::strptime("%Y%m%d%H%M%S", full).ok()?)
    }

    /// Reads `yyyy-MM-dd HH:mm:ss`, with one digit where one will do, or `yyyy-MM-dd`, or the 14 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:0:0"));
        let numbers = |text: &str, by: char| {
            let parts: Option<Vec<i16>> = text.split(by).map(|part| part.parse().ok().filter(|n| *n >= 0)).collect();
            parts.filter(|parts| parts.len() == 3)
        };
        let (Some(date), Some(time)) = (numbers(date, '-'), numbers(time, ':')) else { return Self::compact(text) };
        let small = |n: i16| i8::try_from(n).ok();
        let (month, day) = (small(date[1])?, small(date[2])?);
        let (hour, minute, second) = (small(time[0])?, small(time[1])?, small(time[2])?);
        Self::of(DateTime::new(date[0], month, day, hour, minute, second, 0).ok()?)
    }

    /// Midnight of its day, and of the next.
    pub fn day(self) -> (ChinaTime, ChinaTime) {
        let midnight = self.civil().date().to_datetime(jiff::civil::Time::midnight());
        let begin = Self::of(midnight).unwrap_or(self);
        (begin, ChinaTime(begin.0 + std::time::Duration::from_secs(86_400)))
    }

    /// Minutes since midnight.
    pub fn minute_of_day(self) -> u16 {
        let civil = self.civil();
        u16::from(civil.hour().unsigned_abs()) * 60 + u16::from(civil.minute().unsigned_abs())
    }

    /// `HHmmss`.
    pub fn to_clock(self) -> String {
        self.civil().strftime("%H%M%S").to_string()
    }
}

impl Serialize for ChinaTime {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.civil().strftime("%Y-%m-%d %H:%M:%S"))
    }
}

impl<'de> Deserialize<'de> for ChinaTime {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        ChinaTime::parse(&text).ok_or_else(|| D::Error::custom("no time such as 2026-01-02 03:04:05"))
    }
}

/// A number, as JSON number or text, exactly.
pub fn decimal_of(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Decimal::from_str(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
}

/// Watt-hours as kilowatt-hours.
pub fn kwh(wh: i64) -> Decimal {
    Decimal::new(wh, 3)
}

/// Fen as yuan.
pub fn yuan(minor: i64) -> Decimal {
    Decimal::new(minor, 2)
}

/// For `#[serde(with)]`: a decimal, written as text for [`super::dialect::write`], read from number or text.
pub mod decimal {
    use super::*;

    /// Writes it.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<S: Serializer>(value: &Decimal, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Decimal, D::Error> {
        decimal_of(&Value::deserialize(d)?).ok_or_else(|| D::Error::custom("no number"))
    }
}

/// As [`decimal`], where it may be absent, null or empty.
pub mod decimal_or_none {
    use super::*;

    /// Writes it.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<S: Serializer>(value: &Option<Decimal>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => s.collect_str(value),
            None => s.serialize_none(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Decimal>, D::Error> {
        match Value::deserialize(d)? {
            Value::Null => Ok(None),
            Value::String(text) if text.trim().is_empty() => Ok(None),
            value => decimal_of(&value).map(Some).ok_or_else(|| D::Error::custom("no number")),
        }
    }
}

/// For `#[serde(deserialize_with)]`: a whole number from number or text; null, empty and absent are 0.
///
/// # Errors
/// When it is no whole number.
pub fn int<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    match Value::deserialize(d)? {
        Value::Null => Ok(0),
        Value::String(text) if text.trim().is_empty() => Ok(0),
        value => {
            let whole = decimal_of(&value).filter(|n| n.fract().is_zero()).and_then(|n| i64::try_from(n).ok());
            whole.ok_or_else(|| D::Error::custom("no whole number"))
        }
    }
}

/// For `#[serde(deserialize_with)]`: a text, from a text or a number; null is empty.
///
/// # Errors
/// When it is neither.
pub fn text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    match Value::deserialize(d)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(D::Error::custom("no text")),
    }
}

/// For `#[serde(deserialize_with)]`: a time, or none where it is null or empty.
///
/// # Errors
/// When it is no time.
pub fn time_or_none<'de, D: Deserializer<'de>>(d: D) -> Result<Option<ChinaTime>, D::Error> {
    let text = text(d)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let allowed = || D::Error::custom("no time such as 2026-01-02 03:04:05");
    ChinaTime::parse(&text).map(Some).ok_or_else(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_chinas_in_every_form_that_peers_write() {
        // 2016-07-29 14:24:00 +08:00
        let at = ChinaTime(Timestamp(1_469_773_440_000));
        assert_eq!(at.to_compact(), "20160729142400");
        assert_eq!(serde_json::to_value(at).unwrap(), "2016-07-29 14:24:00");
        for text in
            ["2016-07-29 14:24:00", "2016-7-29 14:24:0", "2016-07-29T14:24:00", "20160729142400", "201607291424"]
        {
            assert_eq!(ChinaTime::parse(text), Some(at), "{text}");
        }
        assert_eq!(ChinaTime::parse("2016-07-29").unwrap().to_compact(), "20160729000000");
        for text in ["", "2016-13-01 00:00:00", "yesterday", "2016-07-29 14:24", "2016-07--9 1:1:1", "2016072914"] {
            assert_eq!(ChinaTime::parse(text), None, "{text}");
        }
        let (begin, end) = at.day();
        assert_eq!((begin.to_compact(), end.to_compact()), ("20160729000000".into(), "20160730000000".into()));
        assert_eq!((at.minute_of_day(), at.to_clock()), (864, "142400".to_owned()));
    }

    #[test]
    fn decimals_are_exact_from_numbers_and_texts() {
        for text in [r#"136.45"#, r#""136.45""#, r#"" 136.450 ""#] {
            assert_eq!(decimal_of(&serde_json::from_str(text).unwrap()), Some(Decimal::new(13645, 2)), "{text}");
        }
        assert_eq!(decimal_of(&serde_json::json!("12,5")), None);
        assert_eq!((kwh(12_345).to_string(), yuan(-5).to_string()), ("12.345".to_owned(), "-0.05".to_owned()));
    }
}
