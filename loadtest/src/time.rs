//! The load test's own reading of the wall clock. Owns nothing else.
//!
//! Invariant: the simulated devices take time as an argument; only the shells around them call [`now_ms`].

use std::time::Duration;

/// The present moment in milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock in this tool")]
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// RFC 3339 in UTC with milliseconds, as chargers write it.
pub fn rfc3339(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => String::from("1970-01-01T00:00:00.000Z"),
    }
}

/// Reads RFC 3339; `None` when the text is something else.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A duration as whole milliseconds, saturating.
pub fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

/// The wait from `now_ms` to `due_ms`; zero if that has passed.
pub fn until(due_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(due_ms.saturating_sub(now_ms).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_written_is_read_back_to_the_millisecond() {
        assert_eq!(rfc3339(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(parse_rfc3339("2026-01-02T03:04:05.678Z"), Some(1_767_323_045_678));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn a_wait_for_the_past_is_zero() {
        assert_eq!(until(10, 20), Duration::ZERO);
        assert_eq!(until(30, 20), Duration::from_millis(10));
    }
}
