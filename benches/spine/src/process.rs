//! What a process has used, from `/proc`. Owns the reading of it.

use anyhow::Context;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than a charger's commands after its first boot wait (`first_call_delay`), so that they are not overslept.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Share of a processor below which a process has nothing to do.
const QUIET: f64 = 0.05;
const QUIET_MAX: Duration = Duration::from_secs(180);

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

    /// Processor time of all that it did, threads that have ended included, in seconds; to a tick of 10 ms.
    pub(crate) fn cpu_all_s(self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(self.path("stat"))?;
        // The name may hold anything but ends with the last bracket; user and system time are the 12th and 13th after it.
        let (_, rest) = text.rsplit_once(')').context("no stat")?;
        let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(ticks as f64 / 100.0)
    }

    /// Waits until it has nothing to do: what follows a boot goes on for as long as the machine takes.
    pub(crate) async fn quiet(self) -> anyhow::Result<()> {
        self.below(QUIET).await
    }

    /// Waits until it takes less than this share of a processor.
    pub(crate) async fn below(self, most: f64) -> anyhow::Result<()> {
        let begun = tokio::time::Instant::now();
        let mut calm = 0;
        while calm < 2 {
            anyhow::ensure!(begun.elapsed() < QUIET_MAX, "not quiet after {QUIET_MAX:?}");
            let before = self.cpu_s()?;
            tokio::time::sleep(LOOK_EVERY).await;
            let share = (self.cpu_s()? - before) / LOOK_EVERY.as_secs_f64();
            calm = if share < most { calm + 1 } else { 0 };
        }
        Ok(())
    }

    /// Its open files, sockets among them.
    pub(crate) fn files(self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(self.path("fd"))?.count())
    }

    /// Its proportional share of memory (Pss), in bytes.
    pub(crate) fn memory(self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(self.path("smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kib * 1024.0)
    }
}
