//! Durations in the configuration file: texts such as `500ms`, `60s`, `5m`, `24h`, `7d`.

use serde::{Deserialize, Deserializer, Serializer};
use std::borrow::Cow;
use std::time::Duration;

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration text: a whole number and one unit.
///
/// # Errors
/// Says what was given and what is allowed.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<u64>().ok(), factor) {
        (Some(number), Some(factor)) => Ok(Duration::from_millis(number.saturating_mul(factor))),
        (None, _) | (_, None) => {
            Err(format!("`{text}` is no duration: a whole number and one of ms, s, m, h, d is allowed, such as `60s`"))
        }
    }
}

/// Writes a duration in the largest unit that divides it.
pub fn format(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (name, factor) =
        UNITS.iter().find(|(_, factor)| millis % factor == 0 && millis >= *factor).unwrap_or(&("ms", 1));
    format!("{}{name}", millis / factor)
}

/// For `#[serde(with = "crate::config::seconds")]`.
///
/// # Errors
/// When the text is no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    parse(&Cow::<'de, str>::deserialize(d)?).map_err(serde::de::Error::custom)
}

/// For `#[serde(with = "crate::config::seconds")]`.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&format(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_written() {
        for text in ["500ms", "60s", "90s", "5m", "24h", "7d", "1500ms"] {
            let read = parse(text).unwrap();
            assert_eq!(parse(&format(read)), Ok(read), "{text}");
        }
        assert_eq!(format(parse("90s").unwrap()), "90s");
        assert_eq!(format(Duration::ZERO), "0ms");
    }

    #[test]
    fn a_bad_duration_is_refused_with_what_is_allowed() {
        for text in ["", "60", "s", "1.5s", "-1s", "1 s", "60sec"] {
            assert!(parse(text).is_err_and(|e| e.contains("is allowed")), "{text}");
        }
    }
}
