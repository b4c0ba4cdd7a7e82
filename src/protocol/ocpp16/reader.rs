//! Reading the members of a payload one by one. Owns which CALLERROR code a bad member gets and what a lenient reading
//! lets pass; never which members a message has.
//!
//! Invariants: a strict reading takes what the official schema takes (and enumeration values that it does not know where
//! the message is a fact); a lenient one takes whatever can be understood and flags the rest (CH-1).

use super::charging_profile::Tenths;
use crate::protocol::json::Json;
use crate::protocol::ocppj::{CallError, ErrorCode};
use crate::protocol::wire_time::{TimeFlag, WireTime};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

/// How many flags one message can carry: the first ones say what kind of charger it is.
const FLAGS_MAX: usize = 32;

/// How strictly a payload is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Ordinary messages: what breaks the schema is refused with a CALLERROR.
    Strict,
    /// Transaction messages: what can be understood is taken and flagged.
    Lenient,
}

/// What was let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// A member that the schema does not have.
    ExtraMember,
    /// A number written as a string, or a string as a number.
    WrongType,
    /// A fraction where a whole number is due: cut off.
    Fraction,
    /// `null` for a member that may be absent.
    Null,
    /// A string beyond the schema's length: kept whole.
    TooLong,
    /// A value that the enumeration does not have: kept.
    UnknownValue,
    /// A time without zone, read as UTC.
    NoZone,
    /// A time in an odd form that could be read.
    OddTime,
    /// A time that could not be read, or is missing.
    UnreadableTime,
    /// An optional member that could not be understood: treated as absent.
    Unusable,
    /// A list that is empty or has a bad entry, which is left out.
    BadEntry,
    /// The unique message id is longer than 36 characters.
    LongMessageId,
}

/// One thing that was let pass, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The path of the member: `transactionData[3].timestamp`. Escaped, at most 128 characters.
    pub path: String,
    /// What.
    pub kind: FlagKind,
}

/// A place in a payload, rendered only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Entry(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(Path::Root, name) => write!(f, "{}", shown(name)),
            Path::Member(parent, name) => write!(f, "{parent}.{}", shown(name)),
            Path::Entry(parent, n) => write!(f, "{parent}[{n}]"),
        }
    }
}

/// A stranger's text made fit for a message: escaped and short (control 20).
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(48).collect::<String>().escape_debug().to_string()
}

/// The flags gathered by one reading, and its mode.
#[derive(Debug)]
pub(crate) struct Reading {
    mode: Mode,
    flags: RefCell<Vec<Flag>>,
}

impl Reading {
    pub(crate) fn new(mode: Mode) -> Self {
        Reading { mode, flags: RefCell::default() }
    }

    pub(crate) fn into_flags(self) -> Vec<Flag> {
        self.flags.into_inner()
    }

    pub(crate) fn lenient(&self) -> bool {
        self.mode == Mode::Lenient
    }

    pub(crate) fn flag(&self, path: &Path<'_>, kind: FlagKind) {
        let mut flags = self.flags.borrow_mut();
        if flags.len() < FLAGS_MAX {
            let path = path.to_string().chars().take(128).collect();
            flags.push(Flag { path, kind });
        }
    }

    /// Lenient: flags and goes on. Strict: the error.
    fn pass(&self, path: &Path<'_>, kind: FlagKind, error: impl FnOnce() -> CallError) -> Result<(), CallError> {
        match self.mode {
            Mode::Lenient => {
                self.flag(path, kind);
                Ok(())
            }
            Mode::Strict => Err(error()),
        }
    }
}

/// The error of a missing member.
fn missing(path: &Path<'_>) -> CallError {
    CallError::new(ErrorCode::OccurenceConstraintViolation, format!("`{path}` is missing"))
}

fn wrong_type(path: &Path<'_>, value: &Json<'_>, allowed: &str) -> CallError {
    let text = format!("`{path}` is {}, allowed is {allowed}", value.kind());
    CallError::new(ErrorCode::TypeConstraintViolation, text)
}

fn bad_value(path: &Path<'_>, value: &str, allowed: &str) -> CallError {
    let text = format!("`{path}` is `{}`, allowed is {allowed}", shown(value));
    CallError::new(ErrorCode::PropertyConstraintViolation, text)
}

/// The members of one object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'r, 'a> {
    members: &'r [(Cow<'a, str>, Json<'a>)],
    path: &'r Path<'r>,
    pub(crate) reading: &'r Reading,
}

impl<'r, 'a> Fields<'r, 'a> {
    /// Opens an object whose members are at most `known`.
    pub(crate) fn open(
        value: &'r Json<'a>,
        path: &'r Path<'r>,
        reading: &'r Reading,
        known: &[&str],
    ) -> Result<Self, CallError> {
        let Json::Object(members) = value else { return Err(wrong_type(path, value, "an object")) };
        for (name, _) in members {
            if !known.contains(&&**name) {
                let at = Path::Member(path, name);
                reading.pass(&at, FlagKind::ExtraMember, || {
                    let allowed = known.join(", ");
                    let text = format!("`{at}` is no member of this message, allowed are {allowed}");
                    CallError::new(ErrorCode::FormationViolation, text)
                })?;
            }
        }
        Ok(Fields { members, path, reading })
    }

    /// A member's value; `null` is none where the reading is lenient.
    fn get(&self, name: &str) -> Option<&'r Json<'a>> {
        let (_, value) = self.members.iter().find(|(known, _)| known == name)?;
        if self.reading.lenient() && *value == Json::Null {
            self.reading.flag(&Path::Member(self.path, name), FlagKind::Null);
            return None;
        }
        Some(value)
    }

    /// The value of a required member.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, CallError> {
        value.ok_or_else(|| missing(&Path::Member(self.path, name)))
    }

    /// An optional string of at most `max` characters.
    pub(crate) fn opt_text(&self, name: &str, max: usize) -> Result<Option<String>, CallError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let at = Path::Member(self.path, name);
        let text = match value {
            Json::Text(text) => Cow::Borrowed(&**text),
            Json::Integer(_) | Json::Float(_) | Json::Bool(_) if self.reading.lenient() => {
                self.reading.flag(&at, FlagKind::WrongType);
                Cow::Owned(scalar(value))
            }
            other => return Err(wrong_type(&at, other, "a string")),
        };
        if text.len() > max && text.chars().count() > max {
            let error = || bad_value(&at, &text, &format!("at most {max} characters"));
            self.reading.pass(&at, FlagKind::TooLong, error)?;
        }
        Ok(Some(text.into_owned()))
    }

    /// A required string of at most `max` characters.
    pub(crate) fn text(&self, name: &str, max: usize) -> Result<String, CallError> {
        self.required(name, self.opt_text(name, max)?)
    }

    /// An optional whole number within `range`.
    pub(crate) fn opt_integer(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, CallError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let at = Path::Member(self.path, name);
        let lenient = self.reading.lenient();
        let number = match value {
            Json::Integer(number) => *number,
            Json::Float(_) | Json::Text(_) if lenient => self.loose_integer(&at, value)?,
            other => return Err(wrong_type(&at, other, "an integer")),
        };
        if !range.contains(&number) {
            let allowed = format!("{} to {}", range.start(), range.end());
            return Err(bad_value(&at, &number.to_string(), &allowed));
        }
        Ok(Some(number))
    }

    fn loose_integer(&self, at: &Path<'_>, value: &Json<'_>) -> Result<i64, CallError> {
        let text = scalar(value);
        let milli = crate::protocol::metering::parse_milli(&text, 0);
        let Some(milli) = milli else { return Err(wrong_type(at, value, "an integer")) };
        let kind = if milli % 1000 == 0 { FlagKind::WrongType } else { FlagKind::Fraction };
        self.reading.flag(at, kind);
        Ok(milli.div_euclid(1000))
    }

    /// A required whole number within `range`.
    pub(crate) fn integer(&self, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64, CallError> {
        self.required(name, self.opt_integer(name, range)?)
    }

    /// An optional number with at most one digit after the point, in tenths.
    pub(crate) fn opt_tenths(&self, name: &str) -> Result<Option<Tenths>, CallError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let at = Path::Member(self.path, name);
        match value {
            Json::Integer(_) | Json::Float(_) => {}
            Json::Text(_) if self.reading.lenient() => self.reading.flag(&at, FlagKind::WrongType),
            other => return Err(wrong_type(&at, other, "a number")),
        }
        let text = scalar(value);
        match crate::protocol::metering::parse_milli(&text, 0) {
            Some(milli) if milli % 100 == 0 || self.reading.lenient() => Ok(Some(Tenths(milli.div_euclid(100)))),
            Some(_) | None => Err(bad_value(&at, &text, "a multiple of 0.1")),
        }
    }

    /// A required number in tenths.
    pub(crate) fn tenths(&self, name: &str) -> Result<Tenths, CallError> {
        self.required(name, self.opt_tenths(name)?)
    }

    /// A required connector number.
    pub(crate) fn connector(&self, name: &str) -> Result<crate::ids::ConnectorId, CallError> {
        let number = self.integer(name, 0..=i64::from(u16::MAX))?;
        // Within u16 by the range above.
        Ok(crate::ids::ConnectorId(u16::try_from(number).unwrap_or(u16::MAX)))
    }

    /// An optional connector number.
    pub(crate) fn opt_connector(&self, name: &str) -> Result<Option<crate::ids::ConnectorId>, CallError> {
        let number = self.opt_integer(name, 0..=i64::from(u16::MAX))?;
        Ok(number.and_then(|n| u16::try_from(n).ok()).map(crate::ids::ConnectorId))
    }

    /// An optional transaction id. Zero and −1 are read: the domain settles them (CH-7).
    pub(crate) fn opt_transaction(&self, name: &str) -> Result<Option<crate::ids::TransactionId>, CallError> {
        let number = self.opt_integer(name, i64::from(i32::MIN)..=i64::from(i32::MAX))?;
        Ok(number.and_then(|n| i32::try_from(n).ok()).map(crate::ids::TransactionId))
    }

    /// A required boolean.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, CallError> {
        let at = Path::Member(self.path, name);
        match self.get(name) {
            None => Err(missing(&at)),
            Some(Json::Bool(value)) => Ok(*value),
            Some(Json::Text(text)) if self.reading.lenient() && matches!(&**text, "true" | "false") => {
                self.reading.flag(&at, FlagKind::WrongType);
                Ok(text == "true")
            }
            Some(other) => Err(wrong_type(&at, other, "a boolean")),
        }
    }

    /// An optional enumeration value, as spelled. One that is not `allowed` is refused by a strict reading.
    pub(crate) fn opt_choice<T>(
        &self,
        name: &str,
        allowed: &[&str],
        read: impl FnOnce(&str) -> T,
    ) -> Result<Option<T>, CallError> {
        let Some(text) = self.opt_text(name, usize::MAX)? else { return Ok(None) };
        if !allowed.contains(&text.as_str()) {
            let at = Path::Member(self.path, name);
            self.reading.pass(&at, FlagKind::UnknownValue, || bad_value(&at, &text, &allowed.join(", ")))?;
        }
        Ok(Some(read(&text)))
    }

    /// A required enumeration value.
    pub(crate) fn choice<T>(&self, name: &str, allowed: &[&str], read: impl FnOnce(&str) -> T) -> Result<T, CallError> {
        let value = self.opt_choice(name, allowed, read)?;
        self.required(name, value)
    }

    /// A required enumeration value of a fact: one that is not `allowed` is kept and flagged in every mode.
    pub(crate) fn open_choice<T>(
        &self,
        name: &str,
        allowed: &[&str],
        read: impl FnOnce(&str) -> T,
    ) -> Result<T, CallError> {
        // 50 characters: the longest word of any OCPP enumeration has 28.
        let text = self.text(name, 50)?;
        if !allowed.contains(&text.as_str()) {
            self.reading.flag(&Path::Member(self.path, name), FlagKind::UnknownValue);
        }
        Ok(read(&text))
    }

    /// An optional time.
    pub(crate) fn opt_time(&self, name: &str) -> Result<Option<WireTime>, CallError> {
        let at = Path::Member(self.path, name);
        let time = match self.get(name) {
            None => return Ok(None),
            Some(Json::Text(text)) => WireTime::read(text),
            Some(Json::Integer(_) | Json::Float(_)) if self.reading.lenient() => {
                self.reading.flag(&at, FlagKind::WrongType);
                WireTime::read(&self.get(name).map(scalar).unwrap_or_default())
            }
            // A time that is no text at all is as unreadable as a bad text: the fact counts more than its moment.
            Some(_) if self.reading.lenient() => WireTime::read(""),
            Some(other) => return Err(wrong_type(&at, other, "a date-time")),
        };
        if let Some(flag) = time.flag {
            let kind = match flag {
                TimeFlag::NoZone => FlagKind::NoZone,
                TimeFlag::Odd => FlagKind::OddTime,
                TimeFlag::Unreadable => FlagKind::UnreadableTime,
            };
            let allowed = "a date-time with zone, such as 2026-01-01T00:00:00Z";
            self.reading.pass(&at, kind, || bad_value(&at, &time.raw, allowed))?;
        }
        Ok(Some(time))
    }

    /// A required time. A lenient reading takes a missing one as unreadable: the fact counts more than its moment.
    pub(crate) fn time(&self, name: &str) -> Result<WireTime, CallError> {
        match self.opt_time(name)? {
            Some(time) => Ok(time),
            None => {
                let at = Path::Member(self.path, name);
                self.reading.pass(&at, FlagKind::UnreadableTime, || missing(&at))?;
                Ok(WireTime { raw: String::new(), parsed: None, flag: Some(TimeFlag::Unreadable) })
            }
        }
    }

    /// An optional object.
    pub(crate) fn opt_object<T>(
        &self,
        name: &str,
        known: &[&str],
        read: impl FnOnce(&Fields<'_, 'a>) -> Result<T, CallError>,
    ) -> Result<Option<T>, CallError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let at = Path::Member(self.path, name);
        read(&Fields::open(value, &at, self.reading, known)?).map(Some)
    }

    /// An optional list, each entry read by `read`. A lenient reading leaves bad entries out.
    pub(crate) fn opt_list<T>(
        &self,
        name: &str,
        min: usize,
        read: impl Fn(&Json<'a>, &Path<'_>) -> Result<T, CallError>,
    ) -> Result<Option<Vec<T>>, CallError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let at = Path::Member(self.path, name);
        let Json::Array(entries) = value else {
            self.reading.pass(&at, FlagKind::Unusable, || wrong_type(&at, value, "an array"))?;
            return Ok(None);
        };
        if entries.len() < min {
            self.reading.pass(&at, FlagKind::BadEntry, || {
                let text = format!("`{at}` has {} entries, allowed are {min} and more", entries.len());
                CallError::new(ErrorCode::OccurenceConstraintViolation, text)
            })?;
        }
        let mut out = Vec::with_capacity(entries.len());
        for (n, entry) in entries.iter().enumerate() {
            let at = Path::Entry(&at, n);
            match read(entry, &at) {
                Ok(value) => out.push(value),
                Err(error) => self.reading.pass(&at, FlagKind::BadEntry, || error)?,
            }
        }
        Ok(Some(out))
    }

    /// A required list.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        min: usize,
        read: impl Fn(&Json<'a>, &Path<'_>) -> Result<T, CallError>,
    ) -> Result<Vec<T>, CallError> {
        let list = self.opt_list(name, min, read)?;
        self.required(name, list)
    }

    /// An optional member that a lenient reading can do without: what cannot be understood is flagged and left out.
    pub(crate) fn spare<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Self) -> Result<Option<T>, CallError>,
    ) -> Result<Option<T>, CallError> {
        match read(self) {
            Err(error) => {
                self.reading.pass(&Path::Member(self.path, name), FlagKind::Unusable, || error)?;
                Ok(None)
            }
            read => read,
        }
    }
}

/// A list entry that is a string of at most `max` characters.
pub(crate) fn text_entry(value: &Json<'_>, at: &Path<'_>, max: usize) -> Result<String, CallError> {
    match value {
        Json::Text(text) if text.chars().count() <= max => Ok(text.to_string()),
        Json::Text(text) => Err(bad_value(at, text, &format!("at most {max} characters"))),
        other => Err(wrong_type(at, other, "a string")),
    }
}

/// A scalar as text; numbers as JSON writes them.
fn scalar(value: &Json<'_>) -> String {
    match value {
        Json::Integer(n) => n.to_string(),
        Json::Float(n) => serde_json::Number::from_f64(*n).map(|n| n.to_string()).unwrap_or_default(),
        Json::Text(text) => text.to_string(),
        Json::Bool(flag) => flag.to_string(),
        Json::Null | Json::Array(_) | Json::Object(_) => String::new(),
    }
}
