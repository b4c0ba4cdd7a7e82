//! The crash test: the real server under load, killed with SIGKILL at random moments, and judged end to end.
//!
//! Owns the rounds of kill and restart. Two phases: faults first, then quiet, in which everything has to come to its end. Some
//! kills wait for a moment at which money is on its way; the books are verified after each.

mod blow;
mod hits;

use crate::charger::{Behaviour, Profile};
use crate::check::{Kind, Verdict};
use crate::fleet::{Endpoints, FleetOptions, Load, Script, World};
use crate::money::{self, Moment, Town};
use crate::partner::SinkMode;
use crate::server::Server;
pub use blow::{Blow, Sigkill};
use hdrhistogram::Histogram;
pub use hits::Hits;
use hits::Life;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long the server may take to be ready again.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long the quiet phase may take: the start deadline of 60 s and the second retry of a webhook are within.
const SETTLE_MAX: Duration = Duration::from_secs(600);
/// The shortest and longest life between two kills, ms. Short ones hit recovery itself.
const LIFE_MS: (u64, u64) = (50, 4_000);
/// How long a moment at which money is on its way is waited for.
const MOMENT_MAX: Duration = Duration::from_secs(8);
/// From a confirmed stop to the kill, at most, microseconds: its bill is being captured then.
const AFTER_STOP_US: u64 = 1_500;
/// From the sending of any other request to the kill, at most, microseconds: within it the account is asked and answers.
const AFTER_SENDING_US: u64 = 12_000;
/// From so many kills on each kind of moment must have been hit.
const KILLS_FOR_ALL: u32 = 50;

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
    /// Users with accounts; without any, money is left out.
    pub users: usize,
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
    /// Whether `chargeline ledger verify` is content, and what it said.
    pub ledger: (bool, String),
    /// How often the books were verified on the running server, after a kill.
    pub books_verified: u32,
    /// What of money the kills have hit.
    pub hits: Hits,
    /// What was counted of money.
    pub money: money::check::Figures,
    /// The checker's verdict.
    pub verdict: Verdict,
    /// The seed, for doing it again.
    pub seed: u64,
}

impl Report {
    /// Whether nothing was lost, doubled or left hanging, and enough happened to judge by.
    pub fn holds(&self) -> bool {
        self.is_right() && !self.is_empty()
    }

    /// Whether nothing was lost, doubled or left hanging.
    pub fn is_right(&self) -> bool {
        self.settled && self.journal.0 && self.ledger.0 && self.verdict.holds()
    }

    /// Whether something that was to be judged did not happen at all: then nothing is proven.
    fn is_empty(&self) -> bool {
        let f = &self.verdict.figures;
        let all = [f.starts_found, f.stops_found, f.transactions_found, f.transaction_stops_found, f.events_received];
        let hit = self.kills < KILLS_FOR_ALL || self.hits.all();
        self.kills == 0 || all.contains(&0) || !self.money.is_enough() || self.books_verified == 0 || !hit
    }

    /// The closing line.
    pub fn line(&self) -> String {
        let state = match (self.settled, self.journal.0, self.ledger.0) {
            (true, true, true) if self.is_empty() => ", but too little happened to judge by".to_owned(),
            (true, true, true) => String::new(),
            (false, _, _) => ", NOT settled in time".to_owned(),
            (true, false, _) => format!(", journal NOT verified ({})", self.journal.1),
            (true, true, false) => format!(", ledger NOT verified ({})", self.ledger.1),
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

    /// What became of money.
    pub fn money_lines(&self) -> String {
        let verified = format!("books verified {} times while it ran; {}", self.books_verified, self.ledger.1);
        format!("money: {}\nmoney: {}\nmoney: {verified}", self.money.line(), self.hits.line())
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
    let server = Server::new(&options.binary, &options.work_dir)?;
    let mut sigkill = Sigkill::new(options.seed);
    crash_by(options, server, &mut sigkill).await
}

/// Runs the whole test with another blow than SIGKILL, on a server that does not run yet.
///
/// # Errors
/// When the server cannot be started or set up, or does not come back.
pub async fn crash_by(options: CrashOptions, mut server: Server, blow: &mut impl Blow) -> anyhow::Result<Report> {
    let history = options.work_dir.join("history");
    let prepared = money::prepare(&server, &history).await?;
    blow.prepare(&mut server)?;
    server.start()?;
    server.ready(READY_MAX).await?;
    let endpoints = server.endpoints()?;
    let mut world = World::build(&endpoints, fleet(&endpoints, &options)).await?;
    let town = Town::build(&endpoints, prepared, &world, (options.users, &history)).await?;
    world.sink.set_mode(SinkMode::Sometimes { fail_permille: 10 });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = Load {
        starts_per_s: options.starts_per_s,
        local_percent: 30,
        stopped_percent: 80,
        length: (Duration::from_secs(1), Duration::from_secs(15)),
        shape: Vec::new(),
        period: Duration::ZERO,
        level: None,
    };
    let faults = async {
        let rounds = Rounds::default().run(&mut server, blow, &options, (&town, &world)).await;
        let _ = stop.send(true);
        rounds
    };
    let users = town.drive(&world, options.seed, stopped.clone());
    let (rounds, (), ()) = tokio::join!(faults, world.drive(load, options.seed, stopped), users);
    let rounds = rounds?;
    world.sink.set_mode(SinkMode::Accept);
    let settled = world.settle(SETTLE_MAX).await && town.settle(SETTLE_MAX).await;
    let mut verdict = world.verify().await?;
    for wrong in rounds.wrong {
        verdict.add(Kind::BooksWrong, "ledger", wrong);
    }
    let money = town.verify(&mut verdict).await?;
    server.stop(Duration::from_secs(30)).await?;
    Ok(Report {
        kills: rounds.kills,
        recovery_p50_ms: rounds.recoveries.value_at_quantile(0.5),
        recovery_max_ms: rounds.recoveries.max(),
        settled,
        journal: server.journal_verify().await?,
        ledger: server.ledger_verify().await?,
        books_verified: rounds.verified,
        hits: rounds.hits,
        money,
        verdict,
        seed: options.seed,
    })
}

/// The rounds of kill and restart, and what was found after each.
struct Rounds {
    kills: u32,
    recoveries: Histogram<u64>,
    hits: Hits,
    verified: u32,
    wrong: Vec<String>,
}

impl Default for Rounds {
    fn default() -> Self {
        let recoveries = Histogram::new(3).unwrap_or_else(|never| unreachable!("three digits are allowed: {never}"));
        Rounds { kills: 0, recoveries, hits: Hits::default(), verified: 0, wrong: Vec::new() }
    }
}

impl Rounds {
    async fn run(
        mut self,
        server: &mut Server,
        blow: &mut impl Blow,
        options: &CrashOptions,
        (town, world): (&Town, &World),
    ) -> anyhow::Result<Rounds> {
        let mut rng = SmallRng::seed_from_u64(options.seed);
        let port = server.ports().metrics;
        let mut life = Life::watch(port)?;
        while self.kills < options.kills {
            let hits = &mut self.hits;
            let moment = async {
                aim(&mut rng, self.kills, town, world).await;
                hits.outside(&town.moments);
            };
            self.kills += blow.strike(server, moment).await?;
            self.hits.inside(&life.over());
            server.start()?;
            let took = server.ready(READY_MAX).await?;
            life = Life::watch(port)?;
            self.recoveries.saturating_record(u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1));
            self.wrong.extend(blow.back(server, took).await?);
            self.wrong.extend(town.books_wrong().await?);
            self.verified += 1;
            tracing::info!(self.kills, of = options.kills, recovery_ms = took.as_millis(), "killed and back");
        }
        // What the last kill has hit.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.hits.inside(&life.over());
        Ok(self)
    }
}

/// Waits for the moment of the next kill: any at all, or one at which money is on its way.
async fn aim(rng: &mut SmallRng, kills: u32, town: &Town, world: &World) {
    let turn = usize::try_from(kills).unwrap_or(0) % (Moment::ALL.len() + 1);
    let Some(moment) = turn.checked_sub(1).map(|at| Moment::ALL[at]) else {
        return tokio::time::sleep(Duration::from_millis(rng.random_range(LIFE_MS.0..=LIFE_MS.1))).await;
    };
    tokio::time::sleep(Duration::from_millis(rng.random_range(500..1_500))).await;
    if !town.next(moment, world, MOMENT_MAX).await {
        tracing::debug!(?moment, "did not come");
    }
    let most = if moment == Moment::Capture { AFTER_STOP_US } else { AFTER_SENDING_US };
    // Finer than the timer's millisecond.
    let until = std::time::Instant::now() + Duration::from_micros(rng.random_range(0..most));
    while std::time::Instant::now() < until {
        tokio::task::yield_now().await;
    }
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
        script: Script::new(script),
        max_power_w: 120_000.0,
        ramp_per_s: 200,
        profile,
        dir: options.work_dir.join("history"),
        keeps_history: true,
        store: None,
        sink: None,
        patience: Duration::from_secs(60),
        stats: Arc::default(),
        neighbours: Vec::new(),
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
            ledger: (true, "ok".into()),
            books_verified: 50,
            hits: Hits { freeze: 1, capture: 1, release: 1, callback: 1, arrival: 0 },
            money: money::check::Figures::default(),
            verdict: Verdict::default(),
            seed: 7,
        };
        assert!(!report.holds() && report.line().ends_with("but too little happened to judge by"));
        let figures = &mut report.verdict.figures;
        (figures.starts_found, figures.stops_found, figures.events_received) = (1, 1, 1);
        (figures.transactions_found, figures.transaction_stops_found) = (1, 1);
        let some = |state: &str| [(state.to_owned(), 1)].into();
        let (orders, reservations) = (some("Paid"), some("Fulfilled"));
        report.money = money::check::Figures {
            payments_found: 1,
            balances_compared: 1,
            fees_minor: 1,
            orders,
            reservations,
            ..report.money
        };
        assert!(!report.holds(), "fifty kills, and none hit an arrival");
        report.hits.arrival = 1;
        assert!(report.holds());
        assert!(report.line().starts_with("crash: 50 kills (seed 7), recovery p50 120 ms max 400 ms, verified:"));
        report.journal = (false, "checksum of record 3".into());
        assert!(!report.holds() && report.line().contains("checksum of record 3"));
        report.journal.0 = true;
        report.ledger = (false, "1 problems".into());
        assert!(!report.holds() && report.line().contains("ledger NOT verified (1 problems)"));
        report.settled = false;
        assert!(report.line().ends_with("NOT settled in time"));
    }
}
