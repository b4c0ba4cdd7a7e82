//! The reconnect storm (C21, CH-5): all chargers, each with a session that runs, lose their sockets in one instant and come
//! back as fast as they can, while the partner goes on calling. Owns its phases and what it falls short of.

use super::stage::{Setting, Stage};
use super::{CONNECT_MAX, Ending, Report, Scenario, StormPart, build, load};
use crate::bare;
use crate::charger::AtCharger;
use crate::fleet::{Endpoints, World};
use crate::report::Table;
use crate::stats::{Measure, Summary, get, human};
use anyhow::bail;
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two queries of the partner.
const QUERY_EVERY: Duration = Duration::from_millis(20);
/// Between two looks at the fleet.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Cards held to readers at a time, and the pause between: 1,000 starts a second.
const CARDS: (usize, Duration) = (50, Duration::from_millis(50));
/// How long it may take until every charger has a session.
const FILL_MAX: Duration = Duration::from_secs(180);
/// How long the fleet runs in calm before each storm, so that there is something to compare with.
const CALM: Duration = Duration::from_secs(10);

/// One round: until all were connected, and until each was booted, its statuses known and its facts confirmed, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Round {
    /// Every socket is open again.
    pub connected_ms: u64,
    /// Every charger is booted, its statuses are told and its queue of transaction messages is empty.
    pub whole_ms: u64,
}

/// What came of a storm.
#[derive(Debug, Serialize)]
pub struct StormReport {
    /// Chargers.
    pub chargers: usize,
    /// Sessions that ran when the first round began.
    pub sessions: usize,
    /// Accept and WebSocket handshake of as many connections by a server that does nothing else, ms.
    pub bare_ms: u64,
    /// The rounds.
    pub rounds: Vec<Round>,
    /// The slowest round over the bare handshakes.
    pub ratio: f64,
    /// The partner's calls in the storms.
    pub partner_in_storm: Option<Summary>,
    /// The partner's calls in calm.
    pub partner_in_calm: Option<Summary>,
    /// Meter values of running sessions in the storms.
    pub meter_in_storm: Option<Summary>,
    /// Connection attempts that failed on the way (admission control refuses some by design).
    pub connect_failures: u64,
    /// OCPP calls without an answer in time.
    pub calls_timed_out: u64,
    /// What this storm falls short of, beside the ending.
    pub short: Vec<String>,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

impl Report for StormReport {
    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn short(&self) -> Vec<String> {
        self.short.clone()
    }

    fn figures(&self) -> String {
        let p99 = |s: &Option<Summary>| s.map_or("none".to_owned(), |s| human(s.p99_us));
        let rounds: Vec<String> = self.rounds.iter().map(|r| format!("{}/{} ms", r.connected_ms, r.whole_ms)).collect();
        format!(
            "storm: {} chargers, {} sessions, connected/whole after {}, bare handshakes {} ms (ratio {:.2}), partner p99 \
             {} (calm {}), meter p99 {}, {} refused attempts",
            self.chargers,
            self.sessions,
            rounds.join(", "),
            self.bare_ms,
            self.ratio,
            p99(&self.partner_in_storm),
            p99(&self.partner_in_calm),
            p99(&self.meter_in_storm),
            self.connect_failures,
        )
    }
}

impl StormReport {
    fn judge(&mut self, options: &StormPart) {
        let mut short = Vec::new();
        if self.ratio > options.ratio_max {
            short.push(format!("ratio {:.2} above {:.2}", self.ratio, options.ratio_max));
        }
        match self.partner_in_storm {
            None => short.push("no partner call in the storm".to_owned()),
            Some(s) if Duration::from_micros(s.p99_us) > options.partner_p99_max.0 => {
                short.push(format!("partner p99 {} above {:?}", human(s.p99_us), options.partner_p99_max.0));
            }
            Some(_) => {}
        }
        if self.sessions < self.chargers {
            short.push(format!("only {} sessions ran", self.sessions));
        }
        self.short = short;
    }
}

/// Runs it; `program` is this one, whose `bare` is the acceptor to compare with.
///
/// # Errors
/// When the fleet cannot be set up, or not all come back.
pub async fn storm(
    endpoints: &Endpoints,
    scenario: &Scenario,
    setting: &Setting,
    program: &Path,
) -> anyhow::Result<StormReport> {
    let (options, chargers) = (&scenario.storm, scenario.fleet.chargers);
    let bare = bare::measure(program, chargers).await?;
    let stage = Stage::open(scenario, setting)?;
    let mut world = build(endpoints, scenario, &setting.dir, &stage.stats).await?;
    stage.display.phase("every charger gets its session", Some(FILL_MAX));
    let sessions = fill(&world).await?;
    stage.display.phase("storming", None);
    // Connections belong to the runtime that made them.
    world.partner = world.partner.clone().afresh()?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let storms = async {
        let rounds = all_rounds(&world, options.rounds).await;
        let _ = stop.send(true);
        rounds
    };
    let rounds = beside(storms, || async {
        tokio::join!(world.drive(load(scenario), scenario.seed, stopped.clone()), query(&world, stopped.clone()));
    })?;
    let in_calm = world.stats.summary(Measure::PartnerCall);
    let (ending, seen) = Ending::of(stage, &mut world, scenario).await?;
    let stats = &world.stats;
    let slowest = rounds.iter().map(|r| r.whole_ms).max().unwrap_or(u64::MAX);
    let bare_ms = millis(bare).max(1);
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let ratio = slowest as f64 / bare_ms as f64;
    let mut report = StormReport {
        chargers,
        sessions,
        bare_ms,
        rounds,
        ratio,
        partner_in_storm: stats.summary(Measure::PartnerCallInStorm),
        partner_in_calm: in_calm,
        meter_in_storm: stats.summary(Measure::MeterInStorm),
        connect_failures: get(&stats.connect_failures),
        calls_timed_out: get(&stats.calls_timed_out),
        short: Vec::new(),
        ending,
    };
    report.judge(options);
    seen.write(scenario, &report, Vec::new(), vec![rounds_table(&report)])?;
    Ok(report)
}

fn rounds_table(report: &StormReport) -> Table {
    let row = |(n, r): (usize, &Round)| {
        vec![format!("round {}", n + 1), format!("{} ms", r.connected_ms), format!("{} ms", r.whole_ms)]
    };
    Table {
        title: "Rounds".into(),
        note: format!("The same number of bare accepts and WebSocket handshakes took {} ms.", report.bare_ms),
        head: ["", "all connected", "all booted, told and empty"].map(str::to_owned).to_vec(),
        rows: report.rounds.iter().enumerate().map(row).collect(),
    }
}

/// Runs the fleet here and the partner on a thread and runtime of its own, so that what is measured of its calls is not how
/// long they wait for the turn of thousands of chargers on this side. What they waited for the processor both share remains.
fn beside<T, F: Future<Output = ()>>(
    fleet: impl Future<Output = anyhow::Result<T>>,
    partner: impl FnOnce() -> F + Send,
) -> anyhow::Result<T> {
    let apart = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let here = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            // Moved: a runtime must not be dropped in an asynchronous context.
            let partner = scope.spawn(move || apart.block_on(partner()));
            let done = here.block_on(fleet);
            partner.join().map_err(|_| anyhow::anyhow!("the partner's side panicked"))?;
            done
        })
    })
}

/// A card at every charger; how many sessions run in the end.
async fn fill(world: &World) -> anyhow::Result<usize> {
    let begun = Instant::now();
    for (n, charger) in world.chargers.iter().enumerate() {
        charger.at_charger(AtCharger::Card { connector: 1, id_tag: world.card(n).into() });
        if n % CARDS.0 == 0 {
            tokio::time::sleep(CARDS.1).await;
        }
    }
    loop {
        let runs = |c: &crate::charger::ChargerHandle| c.view().connectors.iter().any(|c| c.transaction_id.is_some());
        let running = world.chargers.iter().filter(|charger| runs(charger)).count();
        if running == world.chargers.len() || begun.elapsed() > FILL_MAX {
            return Ok(running);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn all_rounds(world: &World, count: u32) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(CALM).await;
        rounds.push(one_round(world).await?);
    }
    Ok(rounds)
}

/// All drop, and all come back.
async fn one_round(world: &World) -> anyhow::Result<Round> {
    let (stats, chargers) = (&world.stats, world.chargers.len() as u64);
    let (connections, made_whole) = (get(&stats.connections), get(&stats.made_whole));
    stats.storming.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    for charger in &world.chargers {
        while !charger.at_charger(AtCharger::Drop { offline_ms: 0 }) {
            tokio::time::sleep(LOOK_EVERY).await; // its mailbox is full: it is busy with what was asked before
        }
    }
    let back = |ever, now, before| get(ever) >= before + chargers && get(now) >= chargers;
    let mut connected = None;
    while !back(&stats.made_whole, &stats.whole, made_whole) {
        if connected.is_none() && back(&stats.connections, &stats.connected, connections) {
            connected = Some(begun.elapsed());
        }
        if begun.elapsed() > CONNECT_MAX {
            bail!("storm: {} of {chargers} chargers connected, {} whole", get(&stats.connected), get(&stats.whole));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let whole = begun.elapsed();
    stats.storming.store(false, Ordering::Relaxed);
    Ok(Round { connected_ms: millis(connected.unwrap_or(whole)), whole_ms: millis(whole) })
}

/// The partner asks for its sessions, one call after the other, until `stop`.
async fn query(world: &World, stop: tokio::sync::watch::Receiver<bool>) {
    let mut beat = tokio::time::interval(QUERY_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while !*stop.borrow() {
        beat.tick().await;
        if let Err(error) = world.partner.get("/sessions?limit=1").await {
            tracing::warn!(%error, "the partner's query failed");
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Span;

    #[test]
    fn a_storm_falls_short_by_ratio_by_latency_by_sessions_and_by_its_end() {
        let summary = |p99_us| Some(Summary { count: 9, p50_us: 1, p90_us: 1, p99_us, max_us: p99_us });
        let options = StormPart { rounds: 1, ratio_max: 5.0, partner_p99_max: Span(Duration::from_millis(100)) };
        let report = |ratio, p99, sessions, settled| {
            let mut report = StormReport {
                chargers: 10,
                sessions,
                bare_ms: 100,
                rounds: vec![Round { connected_ms: 200, whole_ms: 400 }],
                ratio,
                partner_in_storm: p99,
                partner_in_calm: None,
                meter_in_storm: None,
                connect_failures: 0,
                calls_timed_out: 0,
                short: vec![],
                ending: Ending { settled, ..Ending::default() },
            };
            report.judge(&options);
            report
        };
        let good = report(4.0, summary(50_000), 10, true);
        assert!(
            good.holds()
                && good.line().contains("connected/whole after 200/400 ms, bare handshakes 100 ms (ratio 4.00)")
        );
        for (bad, why) in [
            (report(5.1, summary(50_000), 10, true), "ratio 5.10 above 5.00"),
            (report(4.0, summary(150_000), 10, true), "partner p99 150.0 ms above 100ms"),
            (report(4.0, None, 10, true), "no partner call"),
            (report(4.0, summary(1), 9, true), "only 9 sessions ran"),
            (report(4.0, summary(1), 10, false), "NOT settled"),
        ] {
            assert!(!bad.holds() && bad.line().contains(why), "{}", bad.line());
        }
    }
}
