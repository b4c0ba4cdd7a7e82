//! How a run ends, whatever its kind: settled, verified, its limits judged. Owns what every report has and how it is told.

use super::stage::{Seen, Stage};
use super::{Scenario, judge};
use crate::check::Verdict;
use crate::fleet::World;
use crate::report::Judged;
use crate::stats::{Measure, Summary};
use serde::Serialize;

/// What every report tells.
#[derive(Debug, Default, Serialize)]
pub struct Ending {
    /// Every latency that was measured.
    pub latencies: Vec<(Measure, Summary)>,
    /// Whether everything came to its end.
    pub settled: bool,
    /// Limits and what was seen.
    pub limits: Vec<Judged>,
    /// The checker's verdict.
    pub verdict: Verdict,
    /// The table of latencies.
    #[serde(skip)]
    pub table: String,
}

impl Ending {
    /// Waits until everything has come to its end, compares the histories, and ends looking.
    pub(super) async fn of(stage: Stage, world: &mut World, scenario: &Scenario) -> anyhow::Result<(Ending, Seen)> {
        stage.display.phase("settling", Some(scenario.load.settle_max.0));
        let settled = world.settle(scenario.load.settle_max.0).await;
        stage.display.phase("verifying", None);
        let verdict = world.verify().await?;
        let seen = stage.seen().await?;
        let (stats, memory) = (&seen.stats, seen.recorded.series.max("server.pss_bytes"));
        let limits = judge::limits(&scenario.limits, stats, memory);
        let ending = Ending { latencies: stats.summaries(), settled, limits, verdict, table: stats.render() };
        Ok((ending, seen))
    }

    fn missed(&self) -> Vec<String> {
        let missed = self.limits.iter().filter(|row| !row.met);
        missed.map(|row| format!("{}: {}, allowed {}", row.what, row.seen, row.allowed)).collect()
    }
}

/// What came of a run of some kind.
pub trait Report {
    /// What it has like every other.
    fn ending(&self) -> &Ending;

    /// The closing line's beginning: what is this kind's own.
    fn figures(&self) -> String;

    /// What is wrong and not in the ending, in words.
    fn short(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is wrong, in words.
    fn wrong(&self) -> Vec<String> {
        let ending = self.ending();
        let mut wrong = self.short();
        wrong.extend(ending.missed());
        if !ending.settled {
            wrong.push("not everything came to its end in time".into());
        }
        if !ending.verdict.holds() {
            wrong.push(ending.verdict.line());
        }
        wrong
    }

    /// Whether nothing is wrong.
    fn holds(&self) -> bool {
        self.wrong().is_empty()
    }

    /// The closing line.
    fn line(&self) -> String {
        let ending = self.ending();
        let told = |name: &str, what: Vec<String>| {
            if what.is_empty() { String::new() } else { format!(", {name}: {}", what.join("; ")) }
        };
        format!(
            "{}, {}{}{}{}",
            self.figures(),
            ending.verdict.line(),
            if ending.settled { "" } else { ", NOT settled in time" },
            told("BEYOND LIMITS", ending.missed()),
            told("SHORT", self.short()),
        )
    }
}
