//! What a process has used, from `/proc`. Owns the reading of it.

use anyhow::Context;
use std::path::PathBuf;

/// A process, by its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    fn path(self, rest: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{rest}", self.0))
    }

    /// Processor time of its threads that live, in seconds. Finer than `stat`, whose ticks are 10 ms.
    pub(crate) fn cpu_s(self) -> anyhow::Result<f64> {
        let mut nanoseconds = 0_u64;
        for task in std::fs::read_dir(self.path("task"))? {
            // A thread that has just ended has no figures left.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(nanoseconds as f64 / 1e9)
    }

    /// Its proportional share of memory (Pss), in bytes.
    pub(crate) fn memory(self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(self.path("smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024.0)
    }
}
