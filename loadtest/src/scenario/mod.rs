//! Load runs: `run`, `storm`, `soak`, `overload`, each from a scenario.
//!
//! Owns the phases (register, connect, load, settle, verify) and the live display. Each ends in one line, `report.json` and
//! `report.html`.

mod behaviours;
mod display;
mod ending;
mod file;
mod happen;
mod judge;
mod overload;
mod soak;
mod stage;
mod storm;

use crate::charger::Profile;
use crate::fleet::{Endpoints, FleetOptions, Load, World};
use crate::net::Sources;
use crate::partner::SinkMode;
use crate::stats::{Stats, get};
use anyhow::bail;
pub use behaviours::Behaviours;
pub use ending::{Ending, Report};
pub use file::{
    Answer, BadHour, Fleet, Happenings, Limits, LoadPart, Neighbour, Outage, OverloadPart, RunKind, SHIPPED, Scenario,
    SoakPart, Span, StormPart,
};
pub use overload::{OverloadReport, Phase, overload};
use serde::Serialize;
pub use soak::{Growth, Month, SoakReport, soak};
pub use stage::Setting;
use stage::Stage;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub use storm::{Round, StormReport, storm};

/// How long the whole fleet may take to connect and boot.
const CONNECT_MAX: Duration = Duration::from_secs(300);
/// How long the partner goes on trying one write.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// OCPP calls answered while load was made, a second.
    pub calls_per_s: f64,
    /// Webhook deliveries while load was made, a second.
    pub deliveries_per_s: f64,
    /// OCPP calls without an answer in time.
    pub calls_timed_out: u64,
    /// CALLERRORs.
    pub call_errors: u64,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

impl Report for RunReport {
    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn figures(&self) -> String {
        let (calls, deliveries) = (self.calls_per_s, self.deliveries_per_s);
        let (late, errors) = (self.calls_timed_out, self.call_errors);
        format!("run: {calls:.0} calls/s, {deliveries:.1} deliveries/s, {late} timed out, {errors} call errors")
    }

    fn short(&self) -> Vec<String> {
        let late = self.calls_timed_out;
        let told = (late > 0).then(|| format!("{late} calls of chargers had no answer in time"));
        told.into_iter().collect()
    }
}

async fn build(endpoints: &Endpoints, scenario: &Scenario, dir: &Path, stats: &Arc<Stats>) -> anyhow::Result<World> {
    if dir.join("chargers.jsonl").exists() {
        bail!("{} holds a history already; name another directory", dir.display());
    }
    let fleet = &scenario.fleet;
    let mut profile = Profile::towards(&endpoints.ocpp);
    profile.meter_interval = fleet.meter_interval.0;
    profile.sources = Some(Sources::new(u64::from(std::process::id())));
    profile.record_meters = false;
    profile.driver.wants_wh = fleet.wants_wh;
    if scenario.kind == RunKind::Storm {
        // As fast as they can, without regard for anybody; each boots, as after a power cut. Sessions outlast the run.
        profile.reconnect = (Duration::from_millis(1), Duration::from_secs(2));
        profile.boot_on_reconnect = true;
        profile.driver.wants_wh = (40_000, 60_000);
    }
    let modes = scenario.neighbours.iter().flat_map(|n| std::iter::repeat_n(n.answer, n.count));
    let options = FleetOptions {
        // A partner of its own each run: events of earlier runs went to sinks that are gone.
        name: format!("load-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]),
        chargers: fleet.chargers,
        connectors: fleet.connectors,
        sites: fleet.chargers / 50 + 1,
        seed: scenario.seed,
        script: scenario.behaviours.script(),
        max_power_w: 60_000.0,
        ramp_per_s: fleet.ramp_per_s,
        profile,
        dir: dir.to_owned(),
        keeps_history: true,
        store: None,
        sink: None,
        patience: PATIENCE,
        stats: stats.clone(),
        neighbours: modes.clone().map(|a| a.and_then(Answer::mode).unwrap_or(SinkMode::Accept)).collect(),
    };
    let world = World::build(endpoints, options).await?;
    for (sink, answer) in world.neighbours.iter().zip(modes) {
        if answer == Some(Answer::Dead) {
            sink.go_down();
        }
    }
    all_booted(&world.stats, fleet.chargers as u64).await?;
    Ok(world)
}

async fn all_booted(stats: &Stats, chargers: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    while get(&stats.booted) < chargers {
        if begun.elapsed() > CONNECT_MAX {
            bail!("only {} of {chargers} chargers have booted", get(&stats.booted));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn load(scenario: &Scenario) -> Load {
    let part = &scenario.load;
    Load {
        starts_per_s: part.starts_per_s,
        local_percent: part.local_percent,
        stopped_percent: part.stopped_percent,
        length: (part.length.0.0, part.length.1.0),
        shape: part.shape.clone(),
        period: if part.period.0.is_zero() { part.duration.0 } else { part.period.0 },
        level: None,
    }
}

/// What happened a second while load was made: OCPP calls answered, webhook deliveries.
#[derive(Debug, Clone, Copy)]
struct Rates {
    calls: f64,
    deliveries: f64,
}

/// Makes the scenario's load, with all that happens beside it, for as long as it says.
async fn loaded(world: &World, scenario: &Scenario) -> Rates {
    let stats = &world.stats;
    let (calls, deliveries) = (get(&stats.calls_answered), get(&stats.deliveries));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let clock = async move {
        let begun = Instant::now();
        tokio::time::sleep(scenario.load.duration.0).await;
        let s = begun.elapsed().as_secs_f64();
        let _ = stop.send(true);
        // Counted here: the driver still waits for its last sessions.
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = |now: u64, before: u64| (now - before) as f64 / s;
        Rates { calls: rate(get(&stats.calls_answered), calls), deliveries: rate(get(&stats.deliveries), deliveries) }
    };
    let (seed, happenings, hours) = (scenario.seed, &scenario.happenings, &scenario.bad_hours);
    let (rates, (), (), ()) = tokio::join!(
        clock,
        world.drive(load(scenario), seed, stopped.clone()),
        happen::beside(world, happenings, hours, seed, stopped.clone()),
        happen::read_events(world, stopped),
    );
    rates
}

/// Makes load for a while and judges what became of it.
///
/// # Errors
/// When the fleet cannot be set up or the server stops answering.
pub async fn run(endpoints: &Endpoints, scenario: &Scenario, setting: &Setting) -> anyhow::Result<RunReport> {
    let stage = Stage::open(scenario, setting)?;
    let mut world = build(endpoints, scenario, &setting.dir, &stage.stats).await?;
    stage.display.phase("load", Some(scenario.load.duration.0));
    let rates = loaded(&world, scenario).await;
    let (ending, seen) = Ending::of(stage, &mut world, scenario).await?;
    let stats = &world.stats;
    let report = RunReport {
        calls_per_s: rates.calls,
        deliveries_per_s: rates.deliveries,
        calls_timed_out: get(&stats.calls_timed_out),
        call_errors: get(&stats.call_errors),
        ending,
    };
    seen.write(scenario, &report, Vec::new(), Vec::new())?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_timed_out_calls_does_not_hold() {
        let mut report = RunReport {
            calls_per_s: 10.0,
            deliveries_per_s: 1.0,
            calls_timed_out: 0,
            call_errors: 0,
            ending: Ending { settled: true, ..Ending::default() },
        };
        assert!(report.holds() && report.line().starts_with("run: 10 calls/s"));
        report.calls_timed_out = 1;
        assert!(!report.holds());
        report.calls_timed_out = 0;
        report.ending.limits.push(judge::at_most("CALLERRORs", 3.0, 0.0, ""));
        assert!(!report.holds() && report.line().ends_with("BEYOND LIMITS: CALLERRORs: 3, allowed at most 0"));
    }
}
