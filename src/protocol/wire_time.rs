//! Times as chargers write them. Owns the reading; never decides whether a time is plausible (CH-11 is the domain's).
//!
//! Invariant: the text as received is kept beside what it was read as.

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// What was odd about a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFlag {
    /// No offset: read as UTC.
    NoZone,
    /// Not RFC 3339 (a blank for the T, no seconds …), but plain enough to be read.
    Odd,
    /// Not readable at all.
    Unreadable,
}

/// A time from the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireTime {
    /// As received, cut to 64 characters.
    pub raw: String,
    /// What it was read as.
    pub parsed: Option<Timestamp>,
    /// What was odd about it.
    pub flag: Option<TimeFlag>,
}

/// The longest time text that is kept. RFC 3339 with nanoseconds and offset has 35 characters.
const RAW_MAX: usize = 64;

impl WireTime {
    /// Reads a time as well as it can be read.
    pub fn read(text: &str) -> WireTime {
        let (parsed, flag) = parse(text);
        WireTime { raw: text.chars().take(RAW_MAX).collect(), parsed, flag }
    }
}

fn parse(text: &str) -> (Option<Timestamp>, Option<TimeFlag>) {
    if text.len() > RAW_MAX {
        return (None, Some(TimeFlag::Unreadable));
    }
    if let Ok(at) = Timestamp::parse(text) {
        let flag = if is_rfc3339(text) { None } else { Some(TimeFlag::Odd) };
        return (Some(at), flag);
    }
    let civil = text.trim().parse::<jiff::civil::DateTime>().ok();
    let utc = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok());
    match utc {
        Some(zoned) => (Some(Timestamp(zoned.timestamp().as_millisecond())), Some(TimeFlag::NoZone)),
        None => (None, Some(TimeFlag::Unreadable)),
    }
}

/// jiff reads more than RFC 3339 (a blank for the T, a zone in brackets); schemas allow `date-time` only.
fn is_rfc3339(text: &str) -> bool {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| b.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let head = b.len() >= 20
        && digits(0..4)
        && b[4] == b'-'
        && digits(5..7)
        && b[7] == b'-'
        && digits(8..10)
        && matches!(b[10], b'T' | b't')
        && digits(11..13)
        && b[13] == b':'
        && digits(14..16)
        && b[16] == b':'
        && digits(17..19);
    let zone = match b.last() {
        Some(b'Z' | b'z') => true,
        Some(_) => b.len() >= 25 && matches!(b[b.len() - 6], b'+' | b'-') && b[b.len() - 3] == b':',
        None => false,
    };
    head && zone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_written_and_oddities_flagged() {
        let at = Some(Timestamp(1_767_225_600_000));
        for (text, parsed, flag) in [
            ("2026-01-01T00:00:00Z", at, None),
            ("2026-01-01T08:00:00+08:00", at, None),
            ("2026-01-01T00:00:00.000Z", at, None),
            ("2026-01-01T00:00:00", at, Some(TimeFlag::NoZone)),
            ("2026-01-01 00:00:00", at, Some(TimeFlag::NoZone)),
            ("2026-01-01 00:00:00Z", at, Some(TimeFlag::Odd)),
            ("yesterday", None, Some(TimeFlag::Unreadable)),
            ("", None, Some(TimeFlag::Unreadable)),
            ("2026-13-01T00:00:00Z", None, Some(TimeFlag::Unreadable)),
        ] {
            let read = WireTime::read(text);
            assert_eq!((read.parsed, read.flag, read.raw.as_str()), (parsed, flag, text), "{text}");
        }
    }

    #[test]
    fn a_hostile_time_is_kept_short() {
        let read = WireTime::read(&"9".repeat(10_000));
        assert_eq!((read.raw.len(), read.flag), (64, Some(TimeFlag::Unreadable)));
    }
}
