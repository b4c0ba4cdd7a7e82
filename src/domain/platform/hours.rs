//! Opening hours of a site (EM-6), in the shape of OCPI 2.2.1 `Hours`, with local times. Owns their meaning and their checks;
//! never the clock.
//!
//! The order: an exceptional closing beats an exceptional opening, which beats the regular hours. All times are of the
//! site's own clock: an hour that a change of the clock repeats counts twice, one that it skips never comes.

use crate::clock::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Most periods in each list.
pub const PERIODS_MAX: usize = 100;

/// When a site is open. Absent hours: nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Always, but for exceptional closings; then without regular hours.
    #[serde(default)]
    pub twentyfourseven: bool,
    /// The same each week.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regular_hours: Vec<Regular>,
    /// Open besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptional_openings: Vec<Exception>,
    /// Closed all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptional_closings: Vec<Exception>,
}

/// A period of each week, local time. An end at or before the beginning is that of the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RegularHours)]
pub struct Regular {
    /// 1 Monday to 7 Sunday: the day on which it begins.
    pub weekday: u8,
    /// `HH:MM`.
    pub period_begin: String,
    /// `HH:MM`; `24:00` is the end of the day.
    pub period_end: String,
}

/// A period by date, local time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExceptionalPeriod)]
pub struct Exception {
    /// `2026-10-01` (from the beginning of that day) or `2026-10-01T08:00`.
    pub period_begin: String,
    /// `2026-10-07` (to the end of that day) or `2026-10-07T18:00`.
    pub period_end: String,
}

/// What is wrong with hours: which member, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Its path below the hours.
    pub field: String,
    /// What is wrong.
    pub problem: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
}

const CLOCK: &str = "HH:MM, 00:00 to 24:00";
const BY_DATE: &str = "a date such as 2026-10-01, or a local time such as 2026-10-01T08:00";

/// Minutes since midnight.
fn minutes(text: &str) -> Option<i32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then_some(());
    digits(hours).and(digits(minutes))?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

const DAY: i32 = 24 * 60;

/// A local moment. `end`: a date alone means the end of that day.
fn moment(text: &str, end: bool) -> Option<DateTime> {
    if text.len() == 10 {
        let date: Date = text.parse().ok()?;
        let date = if end { date.tomorrow().ok()? } else { date };
        return Some(date.to_datetime(Time::midnight()));
    }
    // Local time to the minute; anything with an offset is refused.
    let (date, time) = text.split_once('T')?;
    let minutes = minutes(time)?;
    let date: Date = date.parse().ok()?;
    let date = if minutes == DAY { date.tomorrow().ok()? } else { date };
    let minutes = minutes % DAY;
    let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
    Some(date.to_datetime(time))
}

impl Exception {
    fn covers(&self, local: DateTime) -> bool {
        moment(&self.period_begin, false).is_some_and(|begin| begin <= local)
            && moment(&self.period_end, true).is_some_and(|end| local < end)
    }
}

impl Regular {
    /// Whether `minute` of the day `weekday` is in it.
    fn covers(&self, weekday: i32, minute: i32) -> bool {
        let (Some(begin), Some(end)) = (minutes(&self.period_begin), minutes(&self.period_end)) else { return false };
        let day = i32::from(self.weekday);
        let over = end <= begin;
        let today = weekday == day && minute >= begin && (over || minute < end);
        // Of a period over midnight the rest is on the next day; the week goes round.
        today || (over && weekday == day % 7 + 1 && minute < end)
    }
}

impl Hours {
    /// Whether it is open at a moment, by the clock of `zone`.
    pub fn open_at(&self, zone: &TimeZone, at: Timestamp) -> Option<bool> {
        let local = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone()).datetime();
        let covers = |list: &[Exception]| list.iter().any(|exception| exception.covers(local));
        if covers(&self.exceptional_closings) {
            return Some(false);
        }
        let weekday = i32::from(local.weekday().to_monday_one_offset());
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        let regular = self.regular_hours.iter().any(|regular| regular.covers(weekday, minute));
        Some(self.twentyfourseven || regular || covers(&self.exceptional_openings))
    }

    /// Everything that is wrong with them.
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut note = |good: bool, field: String, problem, allowed| {
            if !good {
                flaws.push(Flaw { field, problem, allowed });
            }
        };
        let both = self.twentyfourseven && !(self.regular_hours.is_empty() && self.exceptional_openings.is_empty());
        note(!both, "twentyfourseven".into(), "is together with openings", "no openings beside it");
        let lists = [
            ("exceptional_openings", &self.exceptional_openings),
            ("exceptional_closings", &self.exceptional_closings),
        ];
        let few = self.regular_hours.len() <= PERIODS_MAX;
        note(few, "regular_hours".into(), "is too long", "at most 100 periods");
        for (n, regular) in self.regular_hours.iter().enumerate().take(PERIODS_MAX) {
            let path = |member: &str| format!("regular_hours[{n}].{member}");
            note((1..=7).contains(&regular.weekday), path("weekday"), "is out of range", "1 Monday to 7 Sunday");
            let (begin, end) = (minutes(&regular.period_begin), minutes(&regular.period_end));
            note(begin.is_some_and(|begin| begin < DAY), path("period_begin"), "is no time", CLOCK);
            note(end.is_some(), path("period_end"), "is no time", CLOCK);
        }
        for (name, list) in lists {
            note(list.len() <= PERIODS_MAX, name.into(), "is too long", "at most 100 periods");
            for (n, exception) in list.iter().enumerate().take(PERIODS_MAX) {
                let path = |member: &str| format!("{name}[{n}].{member}");
                let (begin, end) = (moment(&exception.period_begin, false), moment(&exception.period_end, true));
                note(begin.is_some(), path("period_begin"), "is no local time", BY_DATE);
                note(end.is_some(), path("period_end"), "is no local time", BY_DATE);
                let forwards = begin.zip(end).is_none_or(|(begin, end)| begin < end);
                note(forwards, path("period_end"), "is not after period_begin", "a later time");
            }
        }
        flaws
    }

    /// The hours as one line of at most 100 characters, for a partner's app that takes a text only.
    pub fn in_words(&self) -> String {
        if self.twentyfourseven {
            return "周一至周日 00:00-24:00".to_owned();
        }
        let mut groups: Vec<(Vec<u8>, String)> = Vec::new();
        for day in 1..=7_u8 {
            let of = self.regular_hours.iter().filter(|regular| regular.weekday == day);
            let mut times: Vec<String> = of.map(|r| format!("{}-{}", r.period_begin, r.period_end)).collect();
            times.sort();
            let times = times.join(",");
            match groups.last_mut() {
                Some((days, same)) if *same == times => days.push(day),
                _ => groups.push((vec![day], times)),
            }
        }
        let named = |day: u8| {
            Weekday::from_monday_one_offset(i8::try_from(day).unwrap_or(1)).map_or("", |weekday| match weekday {
                Weekday::Monday => "周一",
                Weekday::Tuesday => "周二",
                Weekday::Wednesday => "周三",
                Weekday::Thursday => "周四",
                Weekday::Friday => "周五",
                Weekday::Saturday => "周六",
                Weekday::Sunday => "周日",
            })
        };
        let open = groups.iter().filter(|(_, times)| !times.is_empty()).map(|(days, times)| match days.as_slice() {
            [one] => format!("{} {times}", named(*one)),
            [first, .., last] => format!("{}至{} {times}", named(*first), named(*last)),
            [] => String::new(),
        });
        let text = open.collect::<Vec<_>>().join(";");
        text.chars().take(100).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(value: serde_json::Value) -> Hours {
        serde_json::from_value(value).unwrap()
    }

    fn open(hours: &Hours, zone: &str, at: &str) -> bool {
        hours.open_at(&TimeZone::get(zone).unwrap(), Timestamp::parse(at).unwrap()).unwrap()
    }

    #[test]
    fn regular_hours_count_by_the_local_clock_over_midnight_the_week_and_a_change_of_the_clock() {
        let day = |weekday: u8, begin: &str, end: &str| serde_json::json!({"regular_hours": [{"weekday": weekday, "period_begin": begin, "period_end": end}]});
        // 2026-11-21 is a Saturday, in Shanghai eight hours ahead.
        let (shanghai, berlin) = ("Asia/Shanghai", "Europe/Berlin");
        for (of, zone, at, wanted) in [
            (day(6, "08:00", "18:00"), shanghai, "2026-11-20T23:59:59Z", false),
            (day(6, "08:00", "18:00"), shanghai, "2026-11-21T00:00:00Z", true),
            (day(6, "08:00", "18:00"), shanghai, "2026-11-21T09:59:59Z", true),
            (day(6, "08:00", "18:00"), shanghai, "2026-11-21T10:00:00Z", false),
            // Over midnight, and from Sunday to Monday.
            (day(6, "22:00", "06:00"), shanghai, "2026-11-21T15:30:00Z", true),
            (day(6, "22:00", "06:00"), shanghai, "2026-11-21T21:59:00Z", true),
            (day(6, "22:00", "06:00"), shanghai, "2026-11-21T22:00:00Z", false),
            (day(6, "22:00", "06:00"), shanghai, "2026-11-20T21:00:00Z", false),
            (day(7, "22:00", "06:00"), shanghai, "2026-11-22T17:00:00Z", true),
            (day(6, "00:00", "24:00"), shanghai, "2026-11-21T15:59:59Z", true),
            (day(6, "00:00", "24:00"), shanghai, "2026-11-21T16:00:00Z", false),
            (day(6, "06:00", "06:00"), shanghai, "2026-11-21T21:59:00Z", true),
            // 2026-10-25 03:00 summer time is 02:00: the hour from two to three comes twice.
            (day(7, "02:00", "03:00"), berlin, "2026-10-25T00:30:00Z", true),
            (day(7, "02:00", "03:00"), berlin, "2026-10-25T01:30:00Z", true),
            (day(7, "02:00", "03:00"), berlin, "2026-10-25T02:00:00Z", false),
            // 2026-03-29 02:00 is 03:00 at once: that hour never comes.
            (day(7, "02:00", "03:00"), berlin, "2026-03-29T00:59:59Z", false),
            (day(7, "02:00", "03:00"), berlin, "2026-03-29T01:00:00Z", false),
            (day(7, "02:00", "04:00"), berlin, "2026-03-29T01:00:00Z", true),
        ] {
            assert_eq!(open(&hours(of.clone()), zone, at), wanted, "{of} {at}");
        }
    }

    #[test]
    fn a_closing_beats_an_opening_and_both_beat_the_week() {
        let all = hours(serde_json::json!({
            "regular_hours": [{"weekday": 6, "period_begin": "08:00", "period_end": "18:00"}],
            "exceptional_openings": [{"period_begin": "2026-11-21T20:00", "period_end": "2026-11-21T22:00"},
                {"period_begin": "2026-11-28", "period_end": "2026-11-28"}],
            "exceptional_closings": [{"period_begin": "2026-11-21T21:00", "period_end": "2026-11-22"},
                {"period_begin": "2026-11-28T12:00", "period_end": "2026-11-28T13:00"}]}));
        let always = hours(serde_json::json!({"twentyfourseven": true,
            "exceptional_closings": [{"period_begin": "2026-10-01", "period_end": "2026-10-07"}]}));
        assert_eq!((all.flaws(), always.flaws()), (vec![], vec![]));
        for (of, at, wanted) in [
            (&all, "2026-11-21T12:30:00Z", true),
            (&all, "2026-11-21T13:00:00Z", false),
            (&all, "2026-11-21T11:00:00Z", false),
            (&all, "2026-11-27T16:00:00Z", true),
            (&all, "2026-11-28T04:00:00Z", false),
            (&all, "2026-11-28T05:00:00Z", true),
            (&all, "2026-11-28T16:00:00Z", false),
            (&always, "2026-09-30T15:59:59Z", true),
            (&always, "2026-09-30T16:00:00Z", false),
            (&always, "2026-10-07T15:59:59Z", false),
            (&always, "2026-10-07T16:00:00Z", true),
        ] {
            assert_eq!(open(of, "Asia/Shanghai", at), wanted, "{at}");
        }
    }

    #[test]
    fn each_flaw_names_its_member() {
        let bad = hours(serde_json::json!({"twentyfourseven": true,
            "regular_hours": [{"weekday": 0, "period_begin": "24:00", "period_end": "9:00"}],
            "exceptional_closings": [{"period_begin": "2026-02-30", "period_end": "2026-10-01T08:00Z"},
                {"period_begin": "2026-10-02", "period_end": "2026-10-01"}]}));
        let fields: Vec<_> = bad.flaws().into_iter().map(|flaw| flaw.field).collect();
        assert_eq!(
            fields,
            [
                "twentyfourseven",
                "regular_hours[0].weekday",
                "regular_hours[0].period_begin",
                "regular_hours[0].period_end",
                "exceptional_closings[0].period_begin",
                "exceptional_closings[0].period_end",
                "exceptional_closings[1].period_end",
            ]
        );
    }

    #[test]
    fn hours_are_told_in_one_line() {
        let week = |day: u8| serde_json::json!({"weekday": day, "period_begin": "08:00", "period_end": "20:00"});
        let some = hours(serde_json::json!({"regular_hours": (1..=5).map(week).chain([
            serde_json::json!({"weekday": 7, "period_begin": "10:00", "period_end": "16:00"})]).collect::<Vec<_>>()}));
        assert_eq!(some.in_words(), "周一至周五 08:00-20:00;周日 10:00-16:00");
        assert_eq!(hours(serde_json::json!({"twentyfourseven": true})).in_words(), "周一至周日 00:00-24:00");
    }
}
