//! The one error catalogue (EM-10). Owns every code, its HTTP status, its texts for developers and for end users, whose
//! fault it is and whether a retry helps; never decides when one applies. `docs/errors.md` is generated from it.
//!
//! Invariants: a code, once published, keeps its meaning; texts hold no internals and no personal data.

mod entries;
pub mod reference;

pub use entries::Code;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Who has to do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The caller, or the caller's user.
    Partner,
    /// We.
    Platform,
    /// The charger or the vehicle.
    Device,
}

impl Fault {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::Partner => "partner",
            Fault::Platform => "platform",
            Fault::Device => "device",
        }
    }
}

/// Whether a retry helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Not as it is: something in the request must change.
    No,
    /// The same request, signed anew, at once.
    Same,
    /// After `Retry-After`, or when the state has changed.
    Later,
}

impl Retry {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Retry::No => "no",
            Retry::Same => "same",
            Retry::Later => "later",
        }
    }
}

/// One error as the world sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable, snake case.
    pub code: &'static str,
    /// HTTP status of an answer with it.
    pub status: u16,
    /// Whose fault.
    pub fault: Fault,
    /// Whether a retry helps.
    pub retry: Retry,
    /// For a developer.
    pub message: &'static str,
    /// For an end user, in English.
    pub en: &'static str,
    /// For an end user, in Chinese.
    pub zh: &'static str,
}

/// What a caller is told to wait when nobody knows better: long enough not to be a storm, short enough for a person.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Code {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        self.entry().code
    }

    /// Whether an answer with it is the lasting answer to a write. 429 and 503 bind nothing (EM-5); after an unknown
    /// outcome or a fault of ours the same request finds out what became of it.
    pub const fn binds(self) -> bool {
        let status = self.entry().status;
        status < 500 && status != 429
    }

    /// Whether an answer with it says that surely nothing was done, so that its request id is free again.
    pub const fn frees(self) -> bool {
        matches!(self.entry().status, 429 | 503)
    }

    /// What to put into `Retry-After` when nobody knows better.
    pub const fn retry_after(self) -> Option<Duration> {
        if self.frees() { Some(RETRY_AFTER) } else { None }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no code of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such error code")]
pub struct UnknownCode;

impl FromStr for Code {
    type Err = UnknownCode;
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text).ok_or(UnknownCode)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_unique_and_reads_back() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
        assert_eq!("no_such_code".parse::<Code>(), Err(UnknownCode));
    }

    #[test]
    fn every_entry_is_complete_and_its_parts_agree() {
        for code in Code::ALL {
            let entry = code.entry();
            assert!((400..600).contains(&entry.status), "{code}");
            assert!(entry.message.len() > 10 && entry.en.ends_with('.') && entry.zh.ends_with('。'), "{code}");
            assert!(entry.zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{code}");
            assert!(entry.en.is_ascii() && entry.message.is_ascii(), "{code}");
            assert_eq!(entry.status >= 500, entry.fault == Fault::Platform && entry.status >= 500, "{code}");
            assert!(!code.frees() || entry.retry == Retry::Later, "{code}: 429 and 503 are worth a later retry");
        }
    }

    #[test]
    fn busy_answers_bind_nothing_and_refusals_bind() {
        for (code, binds, frees) in [
            (Code::RateLimited, false, true),
            (Code::Busy, false, true),
            (Code::Internal, false, false),
            (Code::OutcomeUnknown, false, false),
            (Code::ConnectorOccupied, true, false),
        ] {
            assert_eq!((code.binds(), code.frees()), (binds, frees), "{code}");
        }
    }
}
