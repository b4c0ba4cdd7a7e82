//! The section `[journal]` of `config.toml`.

use super::check::{Checked, Problem};
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
    /// Jobs that one commit takes. Several commits may be under way.
    pub batch_max: usize,
    /// Longest wait for the writers of the last commit to come again.
    #[serde(with = "crate::config::seconds")]
    pub gather_max: Duration,
    /// Shortest time from the beginning of one commit to that of the next, where writers come one by one.
    #[serde(with = "crate::config::seconds")]
    pub commit_gap: Duration,
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
    /// Log behind the newest from which a snapshot is advised, in pieces of 4 KiB: the numbers of its blocks.
    pub snapshot_blocks: u64,
    /// Log after which the list of the store's pages is written anew, bytes (RT-5).
    pub list_after_bytes: u64,
    /// How often the store notes that the process lives (RT-3).
    #[serde(with = "crate::config::seconds")]
    pub alive_interval: Duration,
    /// How often free space, horizon and expired keys are looked at.
    #[serde(with = "crate::config::seconds")]
    pub upkeep_interval: Duration,
}

impl Checked for Journal {
    fn check(&self, problems: &mut Vec<Problem>) {
        if self.key_file.starts_with(&self.path) {
            let allowed = format!("a place outside `journal.path` ({}) is allowed", self.path.display());
            problems.push(Problem::new("journal.key_file", self.key_file.display(), allowed));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_text;

    #[test]
    fn a_key_file_within_the_data_directory_is_refused() {
        let text = "[journal]\nkey_file = \"./data/chargeline.key\"\nbatch_max = 1\n";
        let problems = from_text(Some(("x.toml", text)), &[]).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            problems,
            "x.toml:2: `journal.key_file` is ./data/chargeline.key: a place outside `journal.path` (./data) is allowed"
        );
    }

    #[test]
    fn a_value_out_of_range_is_refused() {
        let problems = from_text(Some(("x.toml", "[journal]\nbatch_max = 0\n")), &[]).map(|_| ()).unwrap_err();
        assert_eq!(problems.to_string(), "x.toml:2: `journal.batch_max` is 0: 1 to 65536 is allowed");
    }
}
