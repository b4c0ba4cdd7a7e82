//! Load runs against a server that is already there: `run` and `storm`.
//!
//! Owns the phases (register, connect, load, settle, verify) and the live display. Each ends in one line.

mod display;
mod storm;

use crate::charger::{Behaviour, Profile};
use crate::check::Verdict;
use crate::fleet::{Endpoints, FleetOptions, Load, World};
use crate::net::Sources;
use crate::stats::{Measure, Stats, Summary, get};
use anyhow::bail;
use display::Display;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
pub use storm::{Round, StormOptions, StormReport, storm};

/// How long the whole fleet may take to connect and boot.
const CONNECT_MAX: Duration = Duration::from_secs(300);
/// A load run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOptions {
    /// Chargers, of two connectors each.
    pub chargers: usize,
    /// How long load is made.
    pub duration: Duration,
    /// Sessions begun a second.
    pub starts_per_s: f64,
    /// From one MeterValues to the next of a session.
    pub meter_interval: Duration,
    /// Chargers switched on a second.
    pub ramp_per_s: u32,
    /// Decides every random choice.
    pub seed: u64,
    /// Where the histories are kept.
    pub dir: PathBuf,
    /// Whether some chargers misbehave.
    pub mishaps: bool,
    /// From the 202 to the partner's stop, shortest and longest.
    pub length: (Duration, Duration),
    /// How long the end of a run may take.
    pub settle_max: Duration,
}

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// Every latency that was measured.
    pub latencies: Vec<(Measure, Summary)>,
    /// OCPP calls answered while load was made, a second.
    pub calls_per_s: f64,
    /// Webhook deliveries while load was made, a second.
    pub deliveries_per_s: f64,
    /// OCPP calls without an answer in time.
    pub calls_timed_out: u64,
    /// CALLERRORs.
    pub call_errors: u64,
    /// Whether everything came to its end.
    pub settled: bool,
    /// The checker's verdict.
    pub verdict: Verdict,
    /// The table of latencies.
    #[serde(skip)]
    pub table: String,
}

impl RunReport {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.settled && self.verdict.holds() && self.calls_timed_out == 0
    }

    /// The closing line.
    pub fn line(&self) -> String {
        format!(
            "run: {:.0} calls/s, {:.1} deliveries/s, {} timed out, {} call errors, {}{}",
            self.calls_per_s,
            self.deliveries_per_s,
            self.calls_timed_out,
            self.call_errors,
            self.verdict.line(),
            if self.settled { "" } else { ", NOT settled in time" },
        )
    }
}

fn no_mishap(_: usize) -> Behaviour {
    Behaviour::Normal
}

/// One connector in eight misbehaves, each in a way after which everything must still come right.
fn mishap(connector: usize) -> Behaviour {
    match connector % 64 {
        7 => Behaviour::LosesAnswer,
        15 => Behaviour::RepeatsMessages,
        23 => Behaviour::DropsInCharge { after: Duration::from_secs(5), offline: Duration::from_secs(20) },
        31 => Behaviour::UnplugsInCharge { after: Duration::from_secs(10) },
        39 => Behaviour::RefusesStart,
        47 => Behaviour::NeverStarts,
        55 => Behaviour::RubbishReadings,
        63 => Behaviour::FaultsInCharge { after: Duration::from_secs(10) },
        _ => Behaviour::Normal,
    }
}

async fn build(endpoints: &Endpoints, options: &RunOptions, storms: bool) -> anyhow::Result<World> {
    if options.dir.join("chargers.jsonl").exists() {
        bail!("{} holds a history already; name another directory", options.dir.display());
    }
    let mut profile = Profile::towards(&endpoints.ocpp);
    profile.meter_interval = options.meter_interval;
    profile.sources = Some(Sources::new(u64::from(std::process::id())));
    profile.record_meters = false;
    profile.driver.wants_wh = (300, 2_000);
    if storms {
        // As fast as they can, without regard for anybody; each boots, as after a power cut. Sessions outlast the run.
        profile.reconnect = (Duration::from_millis(1), Duration::from_secs(2));
        profile.boot_on_reconnect = true;
        profile.driver.wants_wh = (40_000, 60_000);
    }
    let fleet = FleetOptions {
        // A partner of its own each run: events of earlier runs went to sinks that are gone.
        name: format!("load-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]),
        chargers: options.chargers,
        connectors: 2,
        sites: options.chargers / 50 + 1,
        seed: options.seed,
        script: if options.mishaps { mishap } else { no_mishap },
        max_power_w: 60_000.0,
        ramp_per_s: options.ramp_per_s,
        profile,
        dir: options.dir.clone(),
        keeps_history: true,
        store: None,
        sink: None,
        patience: Duration::from_secs(60),
    };
    let world = World::build(endpoints, fleet).await?;
    all_booted(&world.stats, options.chargers as u64).await?;
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

fn load(options: &RunOptions) -> Load {
    Load { starts_per_s: options.starts_per_s, local_percent: 20, stopped_percent: 70, length: options.length }
}

/// Makes load for a while and judges what became of it.
///
/// # Errors
/// When the fleet cannot be set up or the server stops answering.
pub async fn run(endpoints: &Endpoints, options: &RunOptions) -> anyhow::Result<RunReport> {
    let mut world = build(endpoints, options, false).await?;
    let display = Display::start(world.stats.clone(), options.duration);
    let (calls, deliveries) = (get(&world.stats.calls_answered), get(&world.stats.deliveries));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let stats = world.stats.clone();
    let clock = async move {
        let begun = Instant::now();
        tokio::time::sleep(options.duration).await;
        let s = begun.elapsed().as_secs_f64();
        let _ = stop.send(true);
        // Counted here: the driver still waits for its last sessions.
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = |now: u64, before: u64| (now - before) as f64 / s;
        (rate(get(&stats.calls_answered), calls), rate(get(&stats.deliveries), deliveries))
    };
    let ((calls_per_s, deliveries_per_s), ()) = tokio::join!(clock, world.drive(load(options), options.seed, stopped));
    display.phase("settling");
    let settled = world.settle(options.settle_max).await;
    display.phase("verifying");
    let verdict = world.verify().await?;
    display.end();
    let stats = &world.stats;
    let report = RunReport {
        latencies: stats.summaries(),
        calls_per_s,
        deliveries_per_s,
        calls_timed_out: get(&stats.calls_timed_out),
        call_errors: get(&stats.call_errors),
        settled,
        verdict,
        table: stats.render(),
    };
    std::fs::write(options.dir.join("report.json"), serde_json::to_vec_pretty(&report)?)?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_timed_out_calls_does_not_hold() {
        let mut report = RunReport {
            latencies: vec![],
            calls_per_s: 10.0,
            deliveries_per_s: 1.0,
            calls_timed_out: 0,
            call_errors: 0,
            settled: true,
            verdict: Verdict::default(),
            table: String::new(),
        };
        assert!(report.holds() && report.line().starts_with("run: 10 calls/s"));
        report.calls_timed_out = 1;
        assert!(!report.holds());
    }
}
