//! The section `[session]` of `config.toml`: every time limit of a charging session.

use super::check::{Checked, Problem, not_above};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[session]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// No StartTransaction within this time: the session is `Failed` (SE-4).
    #[serde(with = "crate::config::seconds")]
    pub start_deadline: Duration,
    /// How often a stop is sent before the session is `StopPending` (SE-4, SE-7).
    pub stop_attempts: u8,
    /// How long a stop may stay without the transaction's end before it is sent again (SE-7).
    #[serde(with = "crate::config::seconds")]
    pub stop_retry: Duration,
    /// How often a `StopPending` session of a connected charger is stopped again (SE-7).
    #[serde(with = "crate::config::seconds")]
    pub stop_pending_retry: Duration,
    /// Longer than this and the session is `Abnormal` (SE-10).
    #[serde(with = "crate::config::seconds")]
    pub max_duration: Duration,
    /// How often a charging vehicle's meter is expected to be read; chargers are configured so (SE-9).
    #[serde(with = "crate::config::seconds")]
    pub sample_interval: Duration,
    /// So many samples missed in a row are flagged and alerted (SE-9).
    pub missed_samples: u8,
    /// At most one `session.progress` in this time (SE-12).
    #[serde(with = "crate::config::seconds")]
    pub progress_every: Duration,
    /// A running session of which nothing was heard for so long is settled from its last reading (SE-9).
    #[serde(with = "crate::config::seconds")]
    pub settle_after: Duration,
    /// A running session whose connector reports `Available` is settled after this time without its stop (SE-9).
    #[serde(with = "crate::config::seconds")]
    pub vanished_after: Duration,
    /// How long an ended session stays in memory for readings that come late (CH-7).
    #[serde(with = "crate::config::seconds")]
    pub linger: Duration,
    /// How long a failed start, or a session settled without its stop, waits for the charger's own account (SE-5, SE-8).
    #[serde(with = "crate::config::seconds")]
    pub late_window: Duration,
    /// More power than this between two readings is implausible (SE-14).
    pub max_power_w: u32,
    /// So many failed starts of one charger in a row are alerted (SE-4).
    pub start_failures_alert: u8,
}

impl Checked for Session {
    fn check(&self, problems: &mut Vec<Problem>) {
        let max = ("session.max_duration", self.max_duration);
        not_above(problems, "session.settle_after", self.settle_after, max);
        let settle = ("session.settle_after", self.settle_after);
        not_above(problems, "session.vanished_after", self.vanished_after, settle);
        let pending = ("session.stop_pending_retry", self.stop_pending_retry);
        not_above(problems, "session.stop_retry", self.stop_retry, pending);
    }
}

impl Default for Session {
    fn default() -> Self {
        Session {
            start_deadline: Duration::from_secs(60),
            stop_attempts: 3,
            stop_retry: Duration::from_secs(35),
            stop_pending_retry: Duration::from_secs(300),
            max_duration: Duration::from_secs(86_400),
            sample_interval: Duration::from_secs(60),
            missed_samples: 3,
            progress_every: Duration::from_secs(60),
            settle_after: Duration::from_secs(12 * 3600),
            vanished_after: Duration::from_secs(600),
            linger: Duration::from_secs(600),
            late_window: Duration::from_secs(7 * 86_400),
            max_power_w: 1_000_000,
            start_failures_alert: 3,
        }
    }
}
