//! Latency histograms and counters of a run. Owns the figures; never decides.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is measured, each in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// BootNotification to its answer.
    Boot,
    /// Heartbeat to its answer.
    Heartbeat,
    /// MeterValues to its answer (durable by then).
    Meter,
    /// StartTransaction to its answer (durable by then).
    StartTransaction,
    /// StopTransaction to its answer (durable by then).
    StopTransaction,
    /// StatusNotification or Authorize to its answer.
    OtherCall,
    /// The partner's start call to its 202.
    StartAccepted,
    /// The partner's stop call to its 202.
    StopAccepted,
    /// 202 to the arrival of `session.started`.
    AcceptedToStarted,
    /// An event's timestamp to its first arrival at the sink.
    CreatedToDelivered,
    /// Any call of the partner to its answer, whatever it says, in calm.
    PartnerCall,
    /// The same while a storm lasts.
    PartnerCallInStorm,
    /// MeterValues to its answer while a storm lasts.
    MeterInStorm,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Measure; 13] = [
        Measure::Boot,
        Measure::Heartbeat,
        Measure::Meter,
        Measure::StartTransaction,
        Measure::StopTransaction,
        Measure::OtherCall,
        Measure::StartAccepted,
        Measure::StopAccepted,
        Measure::AcceptedToStarted,
        Measure::CreatedToDelivered,
        Measure::PartnerCall,
        Measure::PartnerCallInStorm,
        Measure::MeterInStorm,
    ];

    /// A name for people.
    pub fn label(self) -> &'static str {
        match self {
            Measure::Boot => "boot",
            Measure::Heartbeat => "heartbeat",
            Measure::Meter => "meter values",
            Measure::StartTransaction => "start transaction",
            Measure::StopTransaction => "stop transaction",
            Measure::OtherCall => "other calls",
            Measure::StartAccepted => "start call -> 202",
            Measure::StopAccepted => "stop call -> 202",
            Measure::AcceptedToStarted => "202 -> session.started",
            Measure::CreatedToDelivered => "webhook created -> delivered",
            Measure::PartnerCall => "partner call",
            Measure::PartnerCallInStorm => "partner call in a storm",
            Measure::MeterInStorm => "meter values in a storm",
        }
    }
}

/// The figures of one histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Values recorded.
    pub count: u64,
    /// Median, microseconds.
    pub p50_us: u64,
    /// 90 of a hundred are below, microseconds.
    pub p90_us: u64,
    /// 99 of a hundred are below, microseconds.
    pub p99_us: u64,
    /// The largest, microseconds.
    pub max_us: u64,
}

/// Waiting sessions kept for [`Measure::AcceptedToStarted`]; above it new ones are not measured.
const WAITING_MAX: usize = 100_000;
/// The longest latency that a histogram tells apart: ten minutes.
const HIGHEST_US: u64 = 600_000_000;

/// A small histogram: two digits, 12 KiB, for many of them.
pub type Brief = Histogram<u32>;

/// An empty one.
pub fn brief() -> Brief {
    Histogram::new_with_bounds(1, HIGHEST_US, 2).unwrap_or_else(|never| unreachable!("the bounds are right: {never}"))
}

/// Shared by every task of a run.
#[derive(Debug, Default)]
pub struct Stats {
    histograms: Mutex<BTreeMap<Measure, Histogram<u64>>>,
    since_last_look: Mutex<BTreeMap<Measure, Brief>>,
    accepted: Mutex<HashMap<String, Instant>>,
    /// Sockets open now.
    pub connected: AtomicU64,
    /// Connections that were ever open.
    pub connections: AtomicU64,
    /// Chargers that have told everything on their connection.
    pub whole: AtomicU64,
    /// How often a charger came to that.
    pub made_whole: AtomicU64,
    /// Whether a storm lasts.
    pub storming: AtomicBool,
    /// Chargers whose boot was accepted since they connected first.
    pub booted: AtomicU64,
    /// Connection attempts that failed.
    pub connect_failures: AtomicU64,
    /// OCPP calls answered.
    pub calls_answered: AtomicU64,
    /// OCPP calls without an answer in time.
    pub calls_timed_out: AtomicU64,
    /// CALLERRORs received.
    pub call_errors: AtomicU64,
    /// Starts that the API accepted.
    pub starts_accepted: AtomicU64,
    /// Starts that the API refused.
    pub starts_refused: AtomicU64,
    /// Starts and stops with an unknown outcome.
    pub unknown: AtomicU64,
    /// Stops that the API accepted.
    pub stops_accepted: AtomicU64,
    /// Deliveries that reached the sink.
    pub deliveries: AtomicU64,
    /// Transactions that chargers have begun.
    pub begun: AtomicU64,
    /// Transactions that chargers have ended.
    pub ended: AtomicU64,
    /// Calls of the partner answered with 429, each try.
    pub told_too_many: AtomicU64,
    /// Calls of the partner answered with 503, each try.
    pub told_unavailable: AtomicU64,
    /// The two above that named no Retry-After.
    pub told_without_wait: AtomicU64,
    /// Of those, what asked for a stop: those are never shed.
    pub stops_turned_away: AtomicU64,
    /// The charger whose StopTransaction was confirmed last.
    pub stop_confirmed: tokio::sync::watch::Sender<String>,
}

impl Stats {
    /// Records one latency.
    pub fn record(&self, measure: Measure, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
        let mut all = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        if let std::collections::btree_map::Entry::Vacant(slot) = all.entry(measure) {
            let Ok(fresh) = Histogram::new_with_bounds(1, HIGHEST_US, 3) else { return };
            slot.insert(fresh);
        }
        if let Some(histogram) = all.get_mut(&measure) {
            histogram.saturating_record(us);
        }
        drop(all);
        let mut recent = self.since_last_look.lock().unwrap_or_else(PoisonError::into_inner);
        recent.entry(measure).or_insert_with(brief).saturating_record(us);
    }

    /// The partner was told 202 for this session just now.
    pub fn start_accepted(&self, session_id: &str) {
        let mut waiting = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.insert(session_id.to_owned(), Instant::now());
        }
    }

    /// `session.started` came for this session; measured once. One that overtakes its 202 is not counted.
    pub fn session_started(&self, session_id: &str) {
        let since = self.accepted.lock().unwrap_or_else(PoisonError::into_inner).remove(session_id);
        if let Some(since) = since {
            self.record(Measure::AcceptedToStarted, since.elapsed());
        }
    }

    /// The figures of one measure; `None` when nothing was recorded.
    pub fn summary(&self, measure: Measure) -> Option<Summary> {
        let all = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        let h = all.get(&measure)?;
        Some(Summary {
            count: h.len(),
            p50_us: h.value_at_quantile(0.5),
            p90_us: h.value_at_quantile(0.9),
            p99_us: h.value_at_quantile(0.99),
            max_us: h.max(),
        })
    }

    /// What was recorded since the last call of this, for plots over time.
    pub fn take_recent(&self) -> BTreeMap<Measure, Brief> {
        std::mem::take(&mut *self.since_last_look.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The latencies below which these shares (0 to 1) of all calls stay, us; empty when nothing was recorded.
    pub fn quantiles(&self, measure: Measure, shares: &[f64]) -> Vec<u64> {
        let all = self.histograms.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&measure).map(|h| shares.iter().map(|s| h.value_at_quantile(*s)).collect()).unwrap_or_default()
    }

    /// All figures, for a report.
    pub fn summaries(&self) -> Vec<(Measure, Summary)> {
        Measure::ALL.into_iter().filter_map(|m| self.summary(m).map(|s| (m, s))).collect()
    }

    /// A table for people.
    pub fn render(&self) -> String {
        let mut text = format!("{:<30} {:>9} {:>10} {:>10} {:>10} {:>10}\n", "", "count", "p50", "p90", "p99", "max");
        for (measure, s) in self.summaries() {
            let [p50, p90, p99, max] = [s.p50_us, s.p90_us, s.p99_us, s.max_us].map(human);
            text.push_str(&format!("{:<30} {:>9} {p50:>10} {p90:>10} {p99:>10} {max:>10}\n", measure.label(), s.count));
        }
        text
    }
}

/// Adds one to a counter.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Reads a counter.
pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Microseconds as a short text with a unit.
#[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub fn human(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_median_and_the_largest() {
        let stats = Stats::default();
        (1..=100).for_each(|ms| stats.record(Measure::Boot, Duration::from_millis(ms)));
        let s = stats.summary(Measure::Boot).unwrap();
        assert_eq!(s.count, 100);
        assert!((49_000..=51_000).contains(&s.p50_us), "{s:?}");
        assert!((99_900..=100_200).contains(&s.max_us), "{s:?}");
        assert!(stats.summary(Measure::Meter).is_none());
        assert!(stats.render().contains("boot"));
    }

    #[test]
    fn a_started_session_is_measured_once_and_only_if_it_was_accepted() {
        let stats = Stats::default();
        stats.session_started("s1");
        assert!(stats.summary(Measure::AcceptedToStarted).is_none());
        stats.start_accepted("s1");
        stats.session_started("s1");
        stats.session_started("s1");
        assert_eq!(stats.summary(Measure::AcceptedToStarted).unwrap().count, 1);
    }
}
