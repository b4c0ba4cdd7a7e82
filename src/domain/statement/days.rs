//! Which stretch of time a statement covers, what it is called, and when it is made. Owns the way between moments and local
//! days; never reads a clock.
//!
//! Statements follow each other without gap or overlap: each begins where the last one ended, whatever the zone is then.

use crate::clock::Timestamp;
use crate::domain::tariff::calendar::{jiff as moment_of, zone};
use crate::domain::tariff::{Minute, UnknownZone};
use crate::ids::StatementId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The stretch that collects lines now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// What its statement is called: the local day on which it begins; `-2` and so on for others of that day.
    pub id: StatementId,
    /// The local day.
    pub day: Box<str>,
    /// The how-manieth of that day.
    pub nth: u32,
    /// From then on.
    pub from: Timestamp,
    /// Until then, exclusive.
    pub until: Timestamp,
    /// When its statement is made.
    pub due: Timestamp,
    /// The zone by which it was cut.
    pub zone: Box<str>,
}

/// Local days of a zone.
#[derive(Debug, Clone)]
pub struct Days {
    zone: TimeZone,
    name: Box<str>,
    at: Minute,
}

impl Days {
    /// Days by UTC.
    pub fn utc(at: Minute) -> Self {
        Days { zone: TimeZone::UTC, name: "UTC".into(), at }
    }

    /// Those of a zone, with statements made at that time of the day.
    ///
    /// # Errors
    /// When the zone is not known.
    pub fn of(name: &str, at: Minute) -> Result<Self, UnknownZone> {
        Ok(Days { zone: zone(name)?, name: name.into(), at })
    }

    fn date(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(moment_of(at)).date()
    }

    /// That time of a local day; where the clock skips it, the next that there is.
    fn moment(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
        let zoned = date.at(hour, minute, 0, 0).to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    }

    /// When the local day of a moment began.
    pub fn midnight_before(&self, at: Timestamp) -> Timestamp {
        self.moment(self.date(at), 0).unwrap_or(at).min(at)
    }

    /// What follows on a stretch that ended at `from`: until the next local midnight.
    pub fn open(&self, from: Timestamp, before: Option<&Open>) -> Open {
        let date = self.date(from);
        let tomorrow = date.tomorrow().unwrap_or(date);
        // Beyond the calendar's end nothing is stated.
        let until = self.moment(tomorrow, 0).filter(|until| *until > from).unwrap_or(Timestamp(i64::MAX));
        let due = self.moment(tomorrow, self.at.get().min(1439)).unwrap_or(until).max(until);
        let day: Box<str> = date.to_string().into();
        let nth = before.filter(|before| before.day == day).map_or(1, |before| before.nth.saturating_add(1));
        let text = if nth == 1 { day.to_string() } else { format!("{day}-{nth}") };
        Open { id: StatementId::of(&text), day, nth, from, until, due, zone: self.name.clone() }
    }
}
