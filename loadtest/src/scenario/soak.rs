//! The soak: days of a fleet, at a clock that is faster where that is honest, with memory, disk, descriptors and latency
//! judged at its end (OP-6, SC-1). Owns its phases; `growth` has the arithmetic.
//!
//! What is faster: how often people come, networks go away and firmware is new; sessions are as much shorter and have as many
//! readings as long ones. What is real: every time on the wire, power, heartbeats, time-outs, and what each fact costs.

#[path = "growth.rs"]
mod growth;

use super::stage::{Setting, Stage};
use super::{Ending, Report, Scenario, build, loaded};
use crate::fleet::Endpoints;
use crate::report::Table;
use crate::stats::get;
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
    /// OCPP calls without an answer in time.
    pub calls_timed_out: u64,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

impl Report for SoakReport {
    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn figures(&self) -> String {
        let month =
            self.month.as_ref().map_or_else(|| "unknown".to_owned(), |m| format!("{:.1} GB", m.all_bytes / 1e9));
        format!(
            "soak: {} chargers, {:.0} s, {} sessions, {:.0} calls/s, memory {}, 30 days on disk {month}",
            self.chargers,
            self.lasted_s,
            self.sessions,
            self.calls_per_s,
            self.growth.memory_text(),
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
    let (mut ending, seen) = Ending::of(stage, &mut world, &scenario).await?;
    let growth = Growth::of(&seen.recorded, (from_s, to_s), scenario.soak.retention.0);
    ending.limits.splice(0..0, growth.judged(&scenario.soak, setting.message_log_max));
    let stats = &world.stats;
    let report = SoakReport {
        chargers: scenario.fleet.chargers,
        lasted_s: to_s - from_s,
        calls_per_s: rates.calls,
        sessions: get(&stats.ended),
        month: growth.month(scenario.soak.day.0),
        growth,
        calls_timed_out: get(&stats.calls_timed_out),
        ending,
    };
    seen.write(&scenario, &report, remarks(&scenario), tables(&report))?;
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
            calls_timed_out: 0,
            ending: Ending { settled: true, ..Ending::default() },
        };
        assert!(report.holds() && report.line().starts_with("soak: 3000 chargers, 3600 s, 9000 sessions"));
        let row =
            crate::report::Judged { what: "memory".into(), allowed: "flat".into(), seen: "growing".into(), met: false };
        report.ending.limits.push(row);
        assert!(!report.holds() && report.line().ends_with("BEYOND LIMITS: memory: growing, allowed flat"));
    }
}
