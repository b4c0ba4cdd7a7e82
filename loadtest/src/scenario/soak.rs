//! The soak: days of a fleet, at a clock that is faster where that is honest, with memory, disk, descriptors and latency
//! judged at its end (OP-6, SC-1). Owns its phases; `growth` has the arithmetic.
//!
//! What is faster: how often people come, networks go away and firmware is new; sessions are as much shorter and have as many
//! readings as long ones. What is real: every time on the wire, power, heartbeats, time-outs, and what each fact costs.

#[path = "growth.rs"]
mod growth;

use super::stage::{Findings, Setting, Stage};
use super::{Scenario, beyond, build, loaded, missed};
use crate::check::Verdict;
use crate::fleet::Endpoints;
use crate::report::{Judged, Table};
use crate::stats::{Measure, Summary, get};
pub use growth::{Growth, Month};
use serde::Serialize;
use std::time::Instant;

/// What came of a soak.
#[derive(Debug, Serialize)]
pub struct SoakReport {
    /// Chargers.
    pub chargers: usize,
    /// How long load was made, s.
    pub lasted_s: f64,
    /// OCPP calls answered a second.
    pub calls_per_s: f64,
    /// Sessions that came to their end.
    pub sessions: u64,
    /// How memory, disk, descriptors and latencies moved.
    pub growth: Growth,
    /// What 30 days would cost on the disk.
    pub month: Option<Month>,
    /// Every latency that was measured.
    pub latencies: Vec<(Measure, Summary)>,
    /// OCPP calls without an answer in time.
    pub calls_timed_out: u64,
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

impl SoakReport {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.wrong().is_empty()
    }

    /// What is wrong, in words.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = missed(&self.limits);
        if !self.settled {
            wrong.push("not everything came to its end in time".into());
        }
        if !self.verdict.holds() {
            wrong.push(self.verdict.line());
        }
        wrong
    }

    /// The closing line.
    pub fn line(&self) -> String {
        let month =
            self.month.as_ref().map_or_else(|| "unknown".to_owned(), |m| format!("{:.1} GB", m.all_bytes / 1e9));
        format!(
            "soak: {} chargers, {:.0} s, {} sessions, {:.0} calls/s, memory {}, 30 days on disk {month}, {}{}{}",
            self.chargers,
            self.lasted_s,
            self.sessions,
            self.calls_per_s,
            self.growth.memory_text(),
            self.verdict.line(),
            if self.settled { "" } else { ", NOT settled in time" },
            beyond(&self.limits),
        )
    }
}

/// Runs it.
///
/// # Errors
/// When the fleet cannot be set up or the server stops answering.
pub async fn soak(endpoints: &Endpoints, scenario: &Scenario, setting: &Setting) -> anyhow::Result<SoakReport> {
    let mut scenario = scenario.clone();
    if scenario.load.period.0.is_zero() {
        scenario.load.period = scenario.soak.day;
    }
    let stage = Stage::open(&scenario, setting)?;
    let opened = Instant::now();
    let mut world = build(endpoints, &scenario, &setting.dir, &stage.stats).await?;
    let from_s = opened.elapsed().as_secs_f64();
    stage.display.phase("soak", Some(scenario.load.duration.0));
    let rates = loaded(&world, &scenario).await;
    let to_s = from_s + scenario.load.duration.0.as_secs_f64();
    stage.display.phase("settling", Some(scenario.load.settle_max.0));
    let settled = world.settle(scenario.load.settle_max.0).await;
    stage.display.phase("verifying", None);
    let verdict = world.verify().await?;
    let seen = stage.seen().await?;
    let growth = Growth::of(&seen.recorded, (from_s, to_s), scenario.soak.retention.0);
    let mut limits = growth.judged(&scenario.soak, setting.message_log_max);
    limits.extend(seen.judged(&scenario));
    let stats = &world.stats;
    let report = SoakReport {
        chargers: scenario.fleet.chargers,
        lasted_s: to_s - from_s,
        calls_per_s: rates.calls,
        sessions: get(&stats.ended),
        month: growth.month(scenario.soak.day.0),
        growth,
        latencies: stats.summaries(),
        calls_timed_out: get(&stats.calls_timed_out),
        settled,
        limits,
        verdict,
        table: stats.render(),
    };
    std::fs::write(setting.dir.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    let findings = Findings {
        holds: report.holds(),
        line: report.line(),
        wrong: report.wrong(),
        limits: report.limits.clone(),
        remarks: remarks(&scenario),
        tables: tables(&report),
    };
    seen.write(&scenario, findings)?;
    Ok(report)
}

fn remarks(scenario: &Scenario) -> Vec<String> {
    let faster = 86_400.0 / scenario.soak.day.0.as_secs_f64();
    vec![format!(
        "A day of this run lasts {:?}: people, troubles of networks and firmware come {faster:.0} times as often as on a real day, and \
         sessions are as much shorter with as many readings. Times on the wire, power, heartbeats and time-outs are real. \
         The server kept history for {:?} instead of days, so that what is removed and what stays could be seen.",
        scenario.soak.day.0, scenario.soak.retention.0
    )]
}

fn tables(report: &SoakReport) -> Vec<Table> {
    let mut tables = vec![report.growth.table()];
    tables.extend(report.month.as_ref().map(Month::table));
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_that_missed_a_limit_says_which() {
        let mut report = SoakReport {
            chargers: 3_000,
            lasted_s: 3_600.0,
            calls_per_s: 120.0,
            sessions: 9_000,
            growth: Growth::default(),
            month: None,
            latencies: vec![],
            calls_timed_out: 0,
            settled: true,
            limits: vec![],
            verdict: Verdict::default(),
            table: String::new(),
        };
        assert!(report.holds() && report.line().starts_with("soak: 3000 chargers, 3600 s, 9000 sessions"));
        let row = Judged { what: "memory".into(), allowed: "flat".into(), seen: "growing".into(), met: false };
        report.limits.push(row);
        assert!(!report.holds() && report.line().ends_with("BEYOND LIMITS: memory: growing, allowed flat"));
    }
}
