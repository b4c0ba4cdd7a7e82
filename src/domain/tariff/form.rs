//! Times of day, days of the year and weekdays as people write them. Owns their text forms.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Why a text is not of the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no {what}: {allowed}")]
pub struct BadForm {
    shown: String,
    what: &'static str,
    allowed: &'static str,
}

impl BadForm {
    fn new(text: &str, what: &'static str, allowed: &'static str) -> Self {
        BadForm { shown: text.chars().take(20).collect::<String>().escape_debug().to_string(), what, allowed }
    }
}

/// Two digits.
fn two(text: &str) -> Option<u16> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// A time of day in minutes since local midnight, 0 to 1440. Written `HH:MM`, the end of the day `24:00`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(u16);

impl Minute {
    /// The end of the day.
    pub const END: Minute = Minute(1440);

    /// So many minutes after midnight, at most [`Minute::END`].
    pub fn new(minutes: u16) -> Self {
        Minute(minutes.min(Self::END.0))
    }

    /// Minutes since midnight.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for Minute {
    type Err = BadForm;
    fn from_str(text: &str) -> Result<Self, BadForm> {
        let bad = || BadForm::new(text, "time of day", "`HH:MM` from 00:00 to 24:00 is allowed");
        let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
        let (hour, minute) = (two(hour).ok_or_else(bad)?, two(minute).ok_or_else(bad)?);
        let total = hour * 60 + minute;
        (minute < 60 && total <= Self::END.0).then_some(Minute(total)).ok_or_else(bad)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A day of any year, written `MM-DD`; `02-29` is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonthDay {
    month: u8,
    day: u8,
}

/// Days of each month of a leap year.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl MonthDay {
    /// That of a date.
    pub fn of(date: jiff::civil::Date) -> Self {
        MonthDay { month: date.month().unsigned_abs(), day: date.day().unsigned_abs() }
    }

    /// Every day of a leap year.
    pub fn all() -> impl Iterator<Item = MonthDay> {
        (1u8..).zip(DAYS).flat_map(|(month, days)| (1..=days).map(move |day| MonthDay { month, day }))
    }
}

impl FromStr for MonthDay {
    type Err = BadForm;
    fn from_str(text: &str) -> Result<Self, BadForm> {
        let bad = || BadForm::new(text, "day of the year", "`MM-DD` from 01-01 to 12-31 is allowed");
        let (month, day) = text.split_once('-').ok_or_else(bad)?;
        let (month, day) = (two(month).ok_or_else(bad)?, two(day).ok_or_else(bad)?);
        let found =
            MonthDay { month: u8::try_from(month).map_err(|_| bad())?, day: u8::try_from(day).map_err(|_| bad())? };
        let days = DAYS.get(usize::from(found.month).wrapping_sub(1)).ok_or_else(bad)?;
        (1..=*days).contains(&found.day).then_some(found).ok_or_else(bad)
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// A set of weekdays, written as a list of `mon` … `sun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays(u8);

/// The names, Monday first: bit 0 is Monday.
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Weekdays {
    /// Every day.
    pub const ALL: Weekdays = Weekdays(0b111_1111);
    /// No day: only a slice that is refused.
    pub const NONE: Weekdays = Weekdays(0);

    /// With the day that is so many days after Monday, 0 to 6.
    #[must_use]
    pub fn with(self, after_monday: u8) -> Self {
        Weekdays(self.0 | (1 << after_monday.min(6)))
    }

    /// Whether the day that is so many days after Monday belongs to it.
    pub fn has(self, after_monday: u8) -> bool {
        self.0 & (1 << after_monday.min(6)) != 0
    }

    /// Whether it is every day.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// Days after Monday of those that belong to it.
    pub fn days(self) -> impl Iterator<Item = u8> {
        (0..7).filter(move |day| self.has(*day))
    }

    /// What a day is called.
    pub fn name(after_monday: u8) -> &'static str {
        NAMES[usize::from(after_monday.min(6))]
    }
}

impl Default for Weekdays {
    fn default() -> Self {
        Self::ALL
    }
}

impl Serialize for Weekdays {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.days().map(Self::name))
    }
}

impl<'de> Deserialize<'de> for Weekdays {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(d)?;
        let mut found = Weekdays::NONE;
        for name in names {
            let day = (0u8..).zip(NAMES).find(|(_, known)| *known == name).map(|(day, _)| day);
            let bad = || BadForm::new(&name, "weekday", "mon, tue, wed, thu, fri, sat, sun are allowed");
            found = found.with(day.ok_or_else(bad).map_err(serde::de::Error::custom)?);
        }
        Ok(found)
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Minute);
as_text!(MonthDay);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_are_read_as_people_write_them_and_nothing_else() {
        for (text, minutes) in [("00:00", 0), ("08:30", 510), ("23:59", 1439), ("24:00", 1440)] {
            assert_eq!(text.parse::<Minute>().map(Minute::get), Ok(minutes), "{text}");
            assert_eq!(Minute::new(minutes).to_string(), text);
        }
        for text in ["", "8:30", "24:01", "12:60", "+1:00", "12-00", "99:99"] {
            assert!(text.parse::<Minute>().is_err(), "{text}");
        }
        for text in ["01-01", "02-29", "12-31"] {
            assert_eq!(text.parse::<MonthDay>().map(|day| day.to_string()), Ok(text.to_owned()));
        }
        for text in ["00-01", "13-01", "02-30", "04-31", "1-1", "01-00"] {
            assert!(text.parse::<MonthDay>().is_err(), "{text}");
        }
        assert_eq!(MonthDay::all().count(), 366);
    }

    #[test]
    fn weekdays_are_lists_of_names() {
        let read = |text: &str| serde_json::from_str::<Weekdays>(text).map_err(|e| e.to_string());
        assert_eq!(read(r#"["sat","sun"]"#), Ok(Weekdays::NONE.with(5).with(6)));
        assert!(read(r#"["saturday"]"#).unwrap_err().contains("mon, tue"));
        assert_eq!(serde_json::to_string(&Weekdays::NONE.with(0)).unwrap(), r#"["mon"]"#);
    }
}
