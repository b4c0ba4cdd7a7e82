//! The crash test: the real server under load, killed with SIGKILL at random moments, and judged end to end.
//!
//! Owns the rounds of kill and restart. Two phases: faults first, then quiet, in which everything has to come to its end.

use crate::charger::{Behaviour, Profile};
use crate::check::Verdict;
use crate::fleet::{Endpoints, FleetOptions, Load, World};
use crate::partner::SinkMode;
use crate::server::Server;
use hdrhistogram::Histogram;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long the server may take to be ready again.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long the quiet phase may take: the start deadline of 60 s and the second retry of a webhook are within.
const SETTLE_MAX: Duration = Duration::from_secs(600);
/// The shortest and longest life between two kills, ms. Short ones hit recovery itself.
const LIFE_MS: (u64, u64) = (50, 4_000);

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub struct CrashOptions {
    /// Kills, at least.
    pub kills: u32,
    /// Decides every random choice.
    pub seed: u64,
    /// The server's binary.
    pub binary: PathBuf,
    /// A directory for this run alone; it is made.
    pub work_dir: PathBuf,
    /// Chargers, of two connectors each.
    pub chargers: usize,
    /// Sessions begun a second.
    pub starts_per_s: f64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Kills done.
    pub kills: u32,
    /// From the start of the process to `/readyz` 200, median, ms.
    pub recovery_p50_ms: u64,
    /// The longest, ms.
    pub recovery_max_ms: u64,
    /// Whether everything came to its end in the quiet phase.
    pub settled: bool,
    /// Whether the journal verifies, and what the tool said.
    pub journal: (bool, String),
    /// The checker's verdict.
    pub verdict: Verdict,
    /// The seed, for doing it again.
    pub seed: u64,
}

impl Report {
    /// Whether nothing was lost, doubled or left hanging.
    pub fn holds(&self) -> bool {
        self.settled && self.journal.0 && self.verdict.holds() && !self.is_empty()
    }

    /// Whether something that was to be judged did not happen at all: then nothing is proven.
    fn is_empty(&self) -> bool {
        let f = &self.verdict.figures;
        let all = [f.starts_found, f.stops_found, f.transactions_found, f.transaction_stops_found, f.events_received];
        self.kills == 0 || all.contains(&0)
    }

    /// The closing line.
    pub fn line(&self) -> String {
        let state = match (self.settled, self.journal.0) {
            (true, true) if self.is_empty() => ", but too little happened to judge by".to_owned(),
            (true, true) => String::new(),
            (false, _) => ", NOT settled in time".to_owned(),
            (true, false) => format!(", journal NOT verified ({})", self.journal.1),
        };
        format!(
            "crash: {} kills (seed {}), recovery p50 {} ms max {} ms, {}{state}",
            self.kills,
            self.seed,
            self.recovery_p50_ms,
            self.recovery_max_ms,
            self.verdict.line()
        )
    }
}

/// A mix of everything that a charger may do wrong while nothing is lost by it.
fn script(connector: usize) -> Behaviour {
    match connector % 12 {
        1 => Behaviour::LosesAnswer,
        3 => Behaviour::RepeatsMessages,
        5 => Behaviour::DropsInCharge { after: Duration::from_secs(3), offline: Duration::from_secs(5) },
        7 => Behaviour::UnplugsInCharge { after: Duration::from_secs(6) },
        9 => Behaviour::RefusesStart,
        11 => Behaviour::FaultsInCharge { after: Duration::from_secs(6) },
        _ => Behaviour::Normal,
    }
}

/// Runs the whole test.
///
/// # Errors
/// When the server cannot be started or set up, or does not come back.
pub async fn crash(options: CrashOptions) -> anyhow::Result<Report> {
    let mut server = Server::new(&options.binary, &options.work_dir)?;
    server.start()?;
    server.ready(READY_MAX).await?;
    let endpoints = server.endpoints()?;
    let mut world = World::build(&endpoints, fleet(&endpoints, &options)).await?;
    world.sink.set_mode(SinkMode::Sometimes { fail_permille: 10 });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = Load {
        starts_per_s: options.starts_per_s,
        local_percent: 30,
        stopped_percent: 80,
        length: (Duration::from_secs(1), Duration::from_secs(15)),
    };
    let faults = async {
        let recoveries = kill_rounds(&mut server, &options).await;
        let _ = stop.send(true);
        recoveries
    };
    let (recoveries, ()) = tokio::join!(faults, world.drive(load, options.seed, stopped));
    let (kills, recoveries) = recoveries?;
    world.sink.set_mode(SinkMode::Accept);
    let settled = world.settle(SETTLE_MAX).await;
    let verdict = world.verify().await?;
    server.stop(Duration::from_secs(30)).await?;
    let journal = server.journal_verify().await?;
    Ok(Report {
        kills,
        recovery_p50_ms: recoveries.value_at_quantile(0.5),
        recovery_max_ms: recoveries.max(),
        settled,
        journal,
        verdict,
        seed: options.seed,
    })
}

async fn kill_rounds(server: &mut Server, options: &CrashOptions) -> anyhow::Result<(u32, Histogram<u64>)> {
    let mut rng = SmallRng::seed_from_u64(options.seed);
    let mut recoveries = Histogram::<u64>::new(3)?;
    let mut kills = 0;
    while kills < options.kills {
        tokio::time::sleep(Duration::from_millis(rng.random_range(LIFE_MS.0..=LIFE_MS.1))).await;
        server.kill().await?;
        server.start()?;
        kills += 1;
        if rng.random_ratio(1, 10) {
            // Once more, in the middle of its recovery.
            kills += 1;
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..200))).await;
            server.kill().await?;
            server.start()?;
        }
        let took = server.ready(READY_MAX).await?;
        recoveries.saturating_record(u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1));
        tracing::info!(kills, of = options.kills, recovery_ms = took.as_millis(), "killed and back");
    }
    Ok((kills, recoveries))
}

fn fleet(endpoints: &Endpoints, options: &CrashOptions) -> FleetOptions {
    let mut profile = Profile::towards(&endpoints.ocpp);
    profile.meter_interval = Duration::from_secs(1);
    profile.call_timeout = Duration::from_secs(5);
    profile.retry_interval = Duration::from_secs(1);
    profile.reconnect = (Duration::from_millis(50), Duration::from_secs(1));
    profile.driver.wants_wh = (100, 600);
    profile.driver.leaves_after_full = Duration::from_secs(1);
    profile.driver.leaves_after_stop = Duration::from_millis(300);
    FleetOptions {
        name: "crash".to_owned(),
        chargers: options.chargers,
        connectors: 2,
        sites: 4,
        seed: options.seed,
        script,
        max_power_w: 120_000.0,
        ramp_per_s: 200,
        profile,
        dir: options.work_dir.join("history"),
        keeps_history: true,
        store: None,
        sink: None,
        patience: Duration::from_secs(60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_says_what_was_found_and_what_falls_short() {
        let mut report = Report {
            kills: 50,
            recovery_p50_ms: 120,
            recovery_max_ms: 400,
            settled: true,
            journal: (true, "ok".into()),
            verdict: Verdict::default(),
            seed: 7,
        };
        assert!(!report.holds() && report.line().ends_with("but too little happened to judge by"));
        let figures = &mut report.verdict.figures;
        (figures.starts_found, figures.stops_found, figures.events_received) = (1, 1, 1);
        (figures.transactions_found, figures.transaction_stops_found) = (1, 1);
        assert!(report.holds());
        assert!(report.line().starts_with("crash: 50 kills (seed 7), recovery p50 120 ms max 400 ms, verified:"));
        report.journal = (false, "checksum of record 3".into());
        assert!(!report.holds() && report.line().contains("checksum of record 3"));
        report.settled = false;
        assert!(report.line().ends_with("NOT settled in time"));
    }
}
