//! The section `[engine]` of `config.toml`.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[engine]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Threads that run chargers; 0: one a core.
    pub arbiters: usize,
    /// Messages that wait in one actor's mailbox.
    pub mailbox: usize,
    /// Steps that wait for one partition's writer.
    pub partition_queue: usize,
    /// Steps that one append takes.
    pub steps_a_turn: usize,
    /// Messages that wait in one arbiter's host.
    pub host_mailbox: usize,
    /// Records after which a partition's states are written as a snapshot.
    pub snapshot_every: u32,
    /// How long a partition with nothing open stays in memory untouched.
    #[serde(with = "crate::config::seconds")]
    pub idle_after: Duration,
    /// What a refused sender is told to wait.
    #[serde(with = "crate::config::seconds")]
    pub retry_after: Duration,
    /// Restarts of one entity within `restart_window` before it is quarantined.
    pub restarts: usize,
    /// Restarts in the whole process within `restart_window` before the next is a quarantine.
    pub process_restarts: usize,
    /// The window of both.
    #[serde(with = "crate::config::seconds")]
    pub restart_window: Duration,
    /// Overdue timers that one arbiter fires a second after a restart.
    pub overdue_per_second: u32,
    /// Partitions to which one arbiter gives the downtime back at a time after a start (RT-3).
    pub recovery_parallel: usize,
}
