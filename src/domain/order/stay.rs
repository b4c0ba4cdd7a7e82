//! Staying at a connector after the end (SE-13): which minutes count. Owns the spans of known occupancy; the fee is
//! [`pricing::stay`](crate::domain::pricing::stay)'s.
//!
//! A minute counts only while the charger is connected and says that a vehicle is there. What nobody knows is free.

use crate::clock::Timestamp;
use crate::domain::pricing::stay::{self, Stay as Priced};
use crate::domain::pricing::{Bill, PricingError, Span};
use crate::domain::tariff::Tariff;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Spans that are kept; past it what comes is not counted. A connector that comes and goes oftener is broken.
const SPANS_MAX: usize = 64;

/// Who is at a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// The vehicle.
    Occupied,
    /// Nobody, or another.
    Free,
    /// Nobody knows.
    Unknown,
}

/// A vehicle that stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stay {
    /// What it costs: the tariff of the session.
    pub tariff: Box<Tariff>,
    /// When charging ended.
    pub charged: Timestamp,
    /// When the user is told that it will cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_due: Option<Timestamp>,
    /// When it begins to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_due: Option<Timestamp>,
    /// When it is settled in any case.
    pub until: Timestamp,
    /// Known occupancy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub occupied: Vec<Span>,
    /// Occupied since then, and now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Stay {
    /// A stay that begins; `None`: the tariff takes nothing for it.
    pub fn begin(tariff: &Tariff, charged: Timestamp, warn_before: Duration, longest: Duration) -> Option<Self> {
        let rule = tariff.occupancy?;
        let grace_due = charged + Duration::from_secs(u64::from(rule.grace_minutes) * 60);
        let warn_due = Some((grace_due - warn_before).max(charged));
        let tariff = Box::new(tariff.clone());
        let grace_due = Some(grace_due);
        Some(Stay { tariff, charged, warn_due, grace_due, until: charged + longest, occupied: Vec::new(), since: None })
    }

    /// Notes who is there from `at` on.
    pub(super) fn note(&mut self, presence: Presence, at: Timestamp) {
        match (presence, self.since) {
            (Presence::Occupied, None) => self.since = Some(at),
            (Presence::Occupied, Some(_)) | (Presence::Free, None) => {}
            // Learnt afterwards: what was noted after that moment was not seen.
            (Presence::Unknown, None) => {
                self.occupied.iter_mut().for_each(|span| span.to = span.to.min(at).max(span.from));
            }
            (Presence::Free | Presence::Unknown, Some(from)) => {
                self.since = None;
                if from < at && self.occupied.len() < SPANS_MAX {
                    self.occupied.push(Span { from, to: at });
                }
            }
        }
    }

    /// What it comes to, if it ended at `at`.
    pub(super) fn bill(&self, at: Timestamp) -> Result<Option<Bill>, PricingError> {
        let mut occupied = self.occupied.clone();
        occupied.extend(self.since.filter(|from| *from < at).map(|from| Span { from, to: at }));
        stay::occupancy(&self.tariff, &Priced { charged: self.charged, occupied })
    }

    /// When the fee reaches its cap, if the vehicle stays, or it has lasted too long: nothing is to be waited for after that.
    pub(super) fn ends_at(&self) -> Timestamp {
        let Some(rule) = self.tariff.occupancy.filter(|rule| rule.per_minute.0 > 0) else { return self.until };
        let Some(since) = self.since else { return self.until };
        let free_until = self.charged + Duration::from_secs(u64::from(rule.grace_minutes) * 60);
        let before = self.occupied.iter().map(|span| span.to.since(span.from.max(free_until)));
        let before = before.fold(Duration::ZERO, Duration::saturating_add);
        // The cap is reached within the minute that the division leaves over.
        let minutes = u64::try_from(rule.cap.0 / rule.per_minute.0 + 1).unwrap_or(0);
        let left = Duration::from_secs(minutes.saturating_mul(60)).saturating_sub(before);
        (since.max(free_until) + left).min(self.until)
    }
}
