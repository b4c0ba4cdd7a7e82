//! The section `[engine]` of `config.toml`.

use super::check::{Checked, Problem};
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
    /// Bytes of memory that the process may use; 0: what the system lets it.
    pub memory_max: u64,
    /// Partitions to which one arbiter gives the downtime back at a time after a start (RT-3).
    pub recovery_parallel: usize,
}

/// Below this nobody could ever be let in: an empty server has that much.
const MEMORY_LEAST: u64 = 64 << 20;

impl Checked for Engine {
    fn check(&self, problems: &mut Vec<Problem>) {
        if (1..MEMORY_LEAST).contains(&self.memory_max) {
            let allowed = format!("0 (what the system lets us) or at least {MEMORY_LEAST} is allowed");
            problems.push(Problem::new("engine.memory_max", self.memory_max, allowed));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_text;

    #[test]
    fn so_little_memory_that_nobody_could_come_in_is_refused() {
        let problems = |bytes: u64| {
            let text = format!("[engine]\nmemory_max = {bytes}\n");
            from_text(Some(("x.toml", text.as_str())), &[]).map(|_| ()).map_err(|problems| problems.to_string())
        };
        let least = 64 << 20;
        assert_eq!((problems(0), problems(least)), (Ok(()), Ok(())));
        let said =
            "x.toml:2: `engine.memory_max` is 67108863: 0 (what the system lets us) or at least 67108864 is allowed";
        assert_eq!(problems(least - 1), Err(said.to_owned()));
    }
}
