//! The section `[message_log]` of `config.toml`.

use super::check::{Checked, Problem};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The section `[message_log]`: OCPP frames kept for people (OP-4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageLog {
    /// Whether frames are kept.
    pub enabled: bool,
    /// Directory of the files.
    pub path: PathBuf,
    /// How long frames are kept.
    #[serde(with = "crate::config::seconds")]
    pub retention: Duration,
    /// Bytes of all files; the oldest go first.
    pub max_bytes: u64,
    /// Bytes of one frame that are kept.
    pub frame_bytes_max: usize,
    /// Bytes of frames that wait to be written; the rest is dropped and counted.
    pub queue_bytes: usize,
}

impl Checked for MessageLog {
    fn check(&self, problems: &mut Vec<Problem>) {
        if self.queue_bytes < self.frame_bytes_max {
            let allowed = format!("at least `message_log.frame_bytes_max` ({}) is allowed", self.frame_bytes_max);
            problems.push(Problem::new("message_log.queue_bytes", self.queue_bytes, allowed));
        }
    }
}
