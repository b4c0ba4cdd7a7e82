//! The section `[journal]` of `config.toml`.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The section `[journal]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// Directory of the store.
    pub path: PathBuf,
    /// The vault's master key (OP-9), outside `path`.
    pub key_file: PathBuf,
    /// Jobs that may wait for the commit thread (RT-8).
    pub queue_bound: usize,
    /// Jobs that one commit takes.
    pub batch_max: usize,
    /// Longest wait for the writers of the last commit to come again.
    #[serde(with = "crate::config::seconds")]
    pub gather_max: Duration,
    /// Page cache of the store, bytes.
    pub cache_bytes: u64,
    /// Size of the reserve file, bytes (RT-7).
    pub reserve_bytes: u64,
    /// Free bytes under which new work is refused (RT-7).
    pub full_floor_bytes: u64,
    /// How long log blocks stay once no stream needs them.
    #[serde(with = "crate::config::seconds")]
    pub retention: Duration,
    /// How long delivered notices stay in the outbox.
    #[serde(with = "crate::config::seconds")]
    pub outbox_retention: Duration,
    /// Records in a tail from which a snapshot is advised.
    pub snapshot_records: u64,
    /// Log blocks behind the newest from which a snapshot is advised.
    pub snapshot_blocks: u64,
    /// How often the store notes that the process lives (RT-3).
    #[serde(with = "crate::config::seconds")]
    pub alive_interval: Duration,
    /// How often free space, horizon and expired keys are looked at.
    #[serde(with = "crate::config::seconds")]
    pub upkeep_interval: Duration,
}

impl Journal {
    /// What is out of range: the key, its value and what is allowed (RT-10).
    pub fn problems(&self) -> Vec<String> {
        let numbers = [
            ("queue_bound", self.queue_bound as u64, 16, 1_000_000),
            ("batch_max", self.batch_max as u64, 1, 65_536),
            ("gather_max (ms)", millis(self.gather_max), 0, 50),
            ("cache_bytes", self.cache_bytes, 8 << 20, u64::MAX),
            ("snapshot_records", self.snapshot_records, 10, 100_000),
            ("snapshot_blocks", self.snapshot_blocks, 64, 1_000_000),
            ("alive_interval (ms)", millis(self.alive_interval), 1000, 60_000),
            ("upkeep_interval (ms)", millis(self.upkeep_interval), 100, 60_000),
        ];
        let outside = numbers.into_iter().filter(|(_, value, least, most)| value < least || value > most);
        let mut found: Vec<String> = outside
            .map(|(key, value, least, most)| format!("journal.{key} = {value}: {least} to {most} is allowed"))
            .collect();
        if self.key_file.starts_with(&self.path) {
            let (key, path) = (self.key_file.display(), self.path.display());
            found.push(format!("journal.key_file = {key}: a place outside journal.path ({path}) is allowed"));
        }
        found
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Journal {
        #[derive(Deserialize)]
        struct File {
            journal: Journal,
        }
        toml::from_str::<File>(crate::config::DEFAULTS).unwrap().journal
    }

    #[test]
    fn the_documented_defaults_are_within_range() {
        assert_eq!(defaults().problems(), Vec::<String>::new());
    }

    #[test]
    fn a_key_file_within_the_data_directory_is_refused() {
        let mut section = defaults();
        section.key_file = section.path.join("chargeline.key");
        section.batch_max = 0;
        let problems = section.problems();
        assert!(problems.iter().any(|p| p.contains("journal.key_file")), "{problems:?}");
        assert!(problems.iter().any(|p| p.contains("batch_max = 0: 1 to 65536")), "{problems:?}");
    }
}
