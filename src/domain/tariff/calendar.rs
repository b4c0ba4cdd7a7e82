//! Which slice applies when. Owns the way from moments in UTC to the wall clock of a tariff and back; never a price.
//!
//! A slice applies by what the wall clock shows. Between two changes of the clock local time is UTC plus a constant, so a
//! stretch is cut at the changes first and each piece is plain arithmetic: an hour that the clock skips is in no passage, an
//! hour that it shows twice is in two.

use super::{MonthDay, Tariff};
use crate::clock::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 1440 * MINUTE;

/// The zone is in no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the time zone `{0}` is not known: an IANA name such as Asia/Shanghai is allowed")]
pub struct UnknownZone(pub String);

/// A zone of the database that is part of the program: the same rules wherever it runs, and no file is read.
///
/// # Errors
/// When it is not in there.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    static KNOWN: OnceLock<Mutex<HashMap<String, TimeZone>>> = OnceLock::new();
    let unknown = || UnknownZone(name.chars().take(64).collect());
    let known = KNOWN.get_or_init(Mutex::default);
    if let Some(zone) = known.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(zone.clone());
    }
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
    // Names are found whatever their case; only the one way of writing is allowed, so the map is bounded by the database.
    if zone.iana_name() != Some(name) {
        return Err(unknown());
    }
    known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), zone.clone());
    Ok(zone)
}

/// A tariff's slices by time.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// That of a tariff.
    ///
    /// # Errors
    /// When its zone is not known.
    pub fn of(tariff: &Tariff) -> Result<Self, UnknownZone> {
        zone(&tariff.time_zone).map(|zone| Calendar { zone })
    }

    /// What applies then, and until when at most: the next border or midnight. `None`: a hole, which no checked tariff has.
    pub fn passage(&self, tariff: &Tariff, at: Timestamp) -> (Option<u16>, Timestamp) {
        let moment = jiff(at);
        let offset = i64::from(self.zone.to_offset(moment).seconds()) * SECOND;
        let change = self.zone.following(moment).next().map(|change| Timestamp(change.timestamp().as_millisecond()));
        let (slice, until) = piece(tariff, at.0.saturating_add(offset));
        let until = Timestamp(until.saturating_sub(offset));
        (slice, change.map_or(until, |change| until.min(change)))
    }
}

/// The slice at a local time in milliseconds, and the next local time at which another may apply.
fn piece(tariff: &Tariff, local: i64) -> (Option<u16>, i64) {
    let (day, within) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let midnight = day.saturating_mul(DAY);
    let date = date(day);
    let mut next = DAY;
    for (n, slice) in (0u16..).zip(&tariff.slices) {
        if !slice.on(date) {
            continue;
        }
        let (from, to) = (i64::from(slice.from.get()) * MINUTE, i64::from(slice.to.get()) * MINUTE);
        if (from..to).contains(&within) {
            return (Some(n), midnight.saturating_add(to));
        }
        if from > within {
            next = next.min(from);
        }
    }
    (None, midnight.saturating_add(next))
}

impl super::Slice {
    /// Whether it applies at some time of that local day.
    pub fn on(&self, date: Date) -> bool {
        let weekday = date.weekday().to_monday_zero_offset().unsigned_abs();
        self.weekdays.has(weekday)
            && self.in_season(MonthDay::of(date))
            && self.dates.is_none_or(|dates| dates.holds(date))
    }

    /// Whether the day of the year is one of its own.
    pub(super) fn in_season(&self, day: MonthDay) -> bool {
        self.seasons.is_empty() || self.seasons.iter().any(|season| season.holds(day))
    }
}

/// The civil date so many days after 1970-01-01, kept within what a calendar can say.
fn date(days: i64) -> Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    let far = if days < 0 { Date::MIN } else { Date::MAX };
    i32::try_from(days)
        .ok()
        .and_then(|days| epoch.checked_add(jiff::Span::new().try_days(days).ok()?).ok())
        .unwrap_or(far)
}

/// The moment in the calendar's own type, kept within its range.
pub(crate) fn jiff(at: Timestamp) -> jiff::Timestamp {
    let far = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(far)
}
