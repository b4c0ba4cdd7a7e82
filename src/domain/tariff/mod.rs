//! What charging costs at a place and time (MO-2). Owns the shape of a tariff, its local calendar, its checks and which
//! version is in force at a site; never a session, an amount that somebody owes, or a floating-point number.
//!
//! A tariff is a set of **slices**. At each moment exactly one slice applies: the one whose season, weekday and time of day
//! hold by the wall clock of the tariff's time zone ([`check`] refuses overlaps and holes). All prices are in 1/10,000 of
//! the currency's major unit ([`Price`]). A published version never changes.
//!
//! Reading order: the types here, [`calendar`] (which slice when), [`check`](mod@check), [`book`] (versions and sites).

pub mod book;
pub mod calendar;
pub mod check;
mod form;
#[cfg(test)]
mod tests;

pub use book::{Book, BookChange, BookRefusal, Scope};
pub use calendar::{Calendar, UnknownZone};
pub use check::{Bounds, Checked, FieldError, check, checked};
pub use form::{BadForm, Minute, MonthDay, Weekdays};

use super::money::{Currency, Price};
use crate::clock::Timestamp;
use crate::ids::TariffId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What charging costs. One version; the same JSON in the journal, at the operator API and in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Its name.
    pub id: TariffId,
    /// From 1; given when it is published.
    #[serde(default)]
    pub version: u32,
    /// As shown to people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// ISO 4217.
    pub currency: Currency,
    /// IANA name: the wall clock by which the slices change.
    pub time_zone: String,
    /// From when on it may be shown to a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when, exclusive. A session that began before is priced by it to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
    /// Prices by time.
    pub slices: Vec<Slice>,
    /// Once a session, unless a slice has its own.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub start_fee: Price,
    /// The least a session costs.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub minimum: Limit,
    /// The most a session costs.
    #[serde(default, skip_serializing_if = "Limit::is_none")]
    pub maximum: Limit,
    /// Tax that is added to the prices; nothing: they include it.
    #[serde(default, skip_serializing_if = "Vat::is_none")]
    pub vat: Vat,
    /// What staying after the charging costs (SE-13); without: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupancy: Option<Occupancy>,
    /// What reserving costs (RS-2, RS-4); without: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
}

const fn is_nothing(price: &Price) -> bool {
    price.0 == 0
}

impl Tariff {
    /// Whether it may be shown to a user then.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_to.is_none_or(|to| at < to)
    }
}

/// How dear a time is called. 尖 峰 平 谷 深谷: the words of Chinese electricity tariffs; only names, the prices decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SliceName {
    /// 尖.
    Sharp,
    /// 峰.
    Peak,
    /// 平.
    Flat,
    /// 谷.
    Valley,
    /// 深谷.
    DeepValley,
}

/// The prices of a part of the week and year. It applies when all of its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// What it is called.
    pub name: SliceName,
    /// From this time of day, inclusive.
    pub from: Minute,
    /// To this time of day, exclusive; `24:00` is the end of the day. Never before `from`: a night is two slices.
    pub to: Minute,
    /// On these weekdays.
    #[serde(default, skip_serializing_if = "Weekdays::is_all")]
    pub weekdays: Weekdays,
    /// In any of these parts of each year; none given: all year.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seasons: Vec<Season>,
    /// Only on these days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dates: Option<Dates>,
    /// A kWh: electricity.
    pub electricity: Price,
    /// A kWh: service.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub service: Price,
    /// An hour of charging.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub time: Price,
    /// An hour of the session in which the vehicle takes nothing.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub parking: Price,
    /// In place of the tariff's start fee; the first one that a session meets is charged, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_fee: Option<Price>,
    /// In place of the tariff's tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat: Option<Vat>,
    /// In what steps is billed.
    #[serde(default, skip_serializing_if = "Steps::is_single")]
    pub steps: Steps,
}

/// A part of each year, both ends included; `from` after `to` goes over the new year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// First day, `MM-DD`.
    pub from: MonthDay,
    /// Last day, `MM-DD`.
    pub to: MonthDay,
}

impl Season {
    /// Whether a day belongs to it.
    pub fn holds(self, day: MonthDay) -> bool {
        if self.from <= self.to {
            return (self.from..=self.to).contains(&day);
        }
        day >= self.from || day <= self.to
    }
}

/// Days of one stretch of the calendar, `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// From this day on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Until the day before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
}

impl Dates {
    /// Whether a day belongs to it.
    pub fn holds(self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day < until)
    }
}

/// Steps up to which a session's totals are rounded at its end, by those of the last slice that priced them (OCPI
/// `step_size`): energy on its own, charging and parking time together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steps {
    /// Wh.
    pub energy_wh: u32,
    /// Seconds of charging.
    pub time_s: u32,
    /// Seconds of parking.
    pub parking_s: u32,
}

impl Default for Steps {
    fn default() -> Self {
        Steps { energy_wh: 1, time_s: 1, parking_s: 1 }
    }
}

impl Steps {
    fn is_single(&self) -> bool {
        *self == Steps::default()
    }
}

/// A bound of a session's price, before tax and with it. They bound independently (OCPI `min_price`, `max_price`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// Of the sum without tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_tax: Option<Price>,
    /// Of the sum with tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with_tax: Option<Price>,
}

impl Limit {
    /// Whether it bounds nothing.
    pub fn is_none(&self) -> bool {
        self.before_tax.is_none() && self.with_tax.is_none()
    }
}

/// Rates of tax added to prices, in 1/100 of a percent: 600 is 6 %. Nothing: the price includes what tax there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vat {
    /// On electricity and service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy: Option<u32>,
    /// On time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<u32>,
    /// On parking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parking: Option<u32>,
    /// On the start fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_fee: Option<u32>,
}

impl Vat {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Vat::default()
    }
}

/// What staying after the charging costs: a linked order of its own (SE-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Occupancy {
    /// Minutes after the end of charging that are free.
    pub grace_minutes: u32,
    /// Each full minute after that.
    pub per_minute: Price,
    /// The most that it comes to.
    pub cap: Price,
}

/// What reserving costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Frozen or paid before the connector is held (RS-1).
    pub deposit: Price,
    /// Minutes after reserving within which cancelling is free (RS-2).
    pub free_cancel_minutes: u32,
    /// Cancelling later (RS-2); at most the deposit.
    pub late_cancel_fee: Price,
    /// Not coming (RS-4); at most the deposit.
    pub no_show_fee: Price,
}
