//! `Retry-After` of a partner's answer (RFC 9110 §10.2.3): seconds or an HTTP date. Owns its reading; never its bounds:
//! the rules of delivery clamp it (EM-8).

use crate::clock::Timestamp;
use std::time::Duration;

/// The longest value read; anything longer is as good as this, and the rules cut it further.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The time to wait from `now` on, at most [`LONGEST`]; zero for a date in the past; `None` if it is neither form.
pub fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds: longer than the longest.
        return Some(value.parse::<u64>().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    let millis = i64::try_from(since_epoch.as_millis()).ok()?;
    Some(Timestamp(millis).since(now).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_http_dates_are_read_and_the_rest_is_not() {
        // 1994-11-06T08:49:07Z
        let now = Timestamp(784_111_747_000);
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(30)),
            ("Sun Nov  6 08:49:37 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999999999999999999", Some(LONGEST.as_secs())),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST.as_secs())),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(parse(text, now).map(|d| d.as_secs()), expected, "{text}");
        }
    }
}
