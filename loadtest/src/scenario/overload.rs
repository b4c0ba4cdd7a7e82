//! The overload (OP-10): what the machine carries is looked for, twice that is offered for a minute, then half. Owns the
//! phases and the load's mix; what is judged is in `overload_judge`.
//!
//! A unit of load is a session begun each second, a third of them by the partner, with its readings; beside it four reads of
//! the partner and a charger that loses its socket and comes back. One key stands for all partners, so limits for each are
//! raised. Load is offered whether or not it is answered.

#[path = "overload_judge.rs"]
mod judge;

use super::file::OverloadPart;
use super::stage::{Setting, Stage};
use super::{Ending, Report, Scenario, build};
use crate::charger::AtCharger;
use crate::fleet::{Endpoints, Load, World};
use crate::load::Level;
use crate::report::Sample;
use crate::stats::get;
pub use judge::Phase;
use judge::{Calm, carried, drained, is_drained, phase_of, recovered, table};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The level that the search begins with, sessions a second; it doubles.
const FIRST: f64 = 4.0;
/// Steps of the search: 2 to the 10th of the first level is beyond what a machine carries.
const STEPS_MAX: u32 = 10;
/// Reads for each session begun.
const READS: f64 = 4.0;
/// Chargers that come back for each session begun.
const RETURNS: f64 = 1.0;
/// Reads under way; beyond it they are left out. Each takes a connection, of which the server grants partners about 1,200 here
/// (a sixteenth of 20,000 descriptors): those beyond wait in its kernel, where nobody can tell them to come again.
const READS_MAX: usize = 600;
/// Reads that may be owed when the client falls behind.
const OWED_MAX: f64 = 2_000.0;
/// How long it is watched after the fall.
const AFTER: Duration = Duration::from_secs(30);

/// What came of an overload.
#[derive(Debug, Serialize)]
pub struct OverloadReport {
    /// What the machine carried, sessions a second with all that belongs to them.
    pub capacity: f64,
    /// The phases that were measured.
    pub phases: Vec<Phase>,
    /// After the fall, until all was as before, s.
    pub recovered_after_s: Option<f64>,
    /// After the fall, until the webhooks that had to wait were delivered, s.
    pub drained_after_s: Option<f64>,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

impl Report for OverloadReport {
    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn figures(&self) -> String {
        let after = |what: &str, s: Option<f64>| s.map_or(format!("NOT {what}"), |s| format!("{what} after {s:.0} s"));
        let after =
            [after("as before", self.recovered_after_s), after("webhooks delivered", self.drained_after_s)].join(", ");
        let shed = self.phases.iter().find(|p| p.name == "overload").map(Phase::shed_text).unwrap_or_default();
        format!("overload: carries {:.0} sessions/s, offered twice that: {shed}; {after}", self.capacity)
    }
}

/// Runs it.
///
/// # Errors
/// When the fleet cannot be set up or the server stops answering.
pub async fn overload(endpoints: &Endpoints, scenario: &Scenario, setting: &Setting) -> anyhow::Result<OverloadReport> {
    let part = &scenario.overload;
    let stage = Stage::open(scenario, setting)?;
    let mut world = build(endpoints, scenario, &setting.dir, &stage.stats).await?;
    let level = Arc::new(Level::default());
    let (stop, stopped) = watch::channel(false);
    let load = Load { level: Some(level.clone()), ..super::load(scenario) };
    let steps = async {
        let steps = Steps { stage: &stage, level: &level, part };
        let told = steps.all().await;
        let _ = stop.send(true);
        told
    };
    let seed = scenario.seed;
    let (told, (), (), (), ()) = tokio::join!(
        steps,
        world.drive(load, seed, stopped.clone()),
        reads(&world, &level, stopped.clone()),
        returns(&world, &level, seed, stopped.clone()),
        super::happen::read_events(&world, stopped),
    );
    let (capacity, phases, (recovered_after_s, drained_after_s)) = told;
    let (mut ending, seen) = Ending::of(stage, &mut world, scenario).await?;
    ending.limits.splice(0..0, judge::judged(part, &phases, (recovered_after_s, drained_after_s), &world.stats));
    let report = OverloadReport { capacity, phases, recovered_after_s, drained_after_s, ending };
    let remark = "Client and server share the processor: what is carried is what both can do together. One key stands for all \
                  partners, so the limits of each partner are raised.";
    seen.write(scenario, &report, vec![remark.into()], vec![table(&report.phases)])?;
    Ok(report)
}

struct Steps<'a> {
    stage: &'a Stage,
    level: &'a Level,
    part: &'a OverloadPart,
}

impl Steps<'_> {
    /// Search, calm, overload, fall: the capacity, the phases, and after how long all was as before and the webhooks delivered.
    async fn all(&self) -> (f64, Vec<Phase>, (Option<f64>, Option<f64>)) {
        let mut phases = Vec::new();
        let capacity = match self.part.capacity {
            Some(given) => given,
            None => self.search(&mut phases).await,
        };
        let half = capacity / 2.0;
        let calm_samples = self.hold("calm", half, self.part.step.0 * 2).await;
        let calm = phase_of("calm", half, &calm_samples);
        let before = Calm::of(&calm, &calm_samples);
        let much = capacity * self.part.factor;
        let overload = self.hold("overload", much, self.part.lasts.0).await;
        let after = self.hold("after", half, self.part.recovers_within.0 + AFTER).await;
        let mut all = after.clone();
        let until = Instant::now() + self.part.drains_within.0;
        while all.last().is_some_and(|s| !is_drained(&before, s)) && Instant::now() < until {
            all.extend(self.hold("draining", half, Duration::from_secs(5)).await);
        }
        let told = (recovered(&before, &overload, &after), drained(&before, &overload, &all));
        phases.extend([calm, phase_of("overload", much, &overload), phase_of("after", half, &after)]);
        (capacity, phases, told)
    }

    /// Doubles the level until it is no longer carried; then one step between.
    async fn search(&self, phases: &mut Vec<Phase>) -> f64 {
        let mut good = FIRST / 2.0;
        let mut level = FIRST;
        for _ in 0..STEPS_MAX {
            let phase = self.probe(level, phases).await;
            if !carried(&phase) {
                let between = f64::midpoint(good, level);
                let _ = self.hold("rest", good / 2.0, self.part.step.0).await;
                let phase = self.probe(between, phases).await;
                return if carried(&phase) { between } else { good };
            }
            good = level;
            level *= 2.0;
        }
        good
    }

    async fn probe(&self, level: f64, phases: &mut Vec<Phase>) -> Phase {
        let samples = self.hold("search", level, self.part.step.0).await;
        let phase = phase_of("search", level, &samples);
        phases.push(phase.clone());
        phase
    }

    /// Offers this much for a while; every sample of that time.
    async fn hold(&self, name: &str, level: f64, lasts: Duration) -> Vec<Sample> {
        self.level.set(level);
        self.stage.display.phase(&format!("{name} at {level:.0} sessions/s"), Some(lasts));
        let mut newest = self.stage.newest();
        newest.mark_unchanged();
        let until = Instant::now() + lasts;
        let mut samples = Vec::new();
        while let Ok(Ok(())) = tokio::time::timeout_at(until.into(), newest.changed()).await {
            samples.push(newest.borrow_and_update().clone());
        }
        samples
    }
}

/// Reads of the partner at four times the level, each tried once.
async fn reads(world: &World, level: &Level, stop: watch::Receiver<bool>) {
    let mut under_way = JoinSet::new();
    let mut owed = 0.0;
    let mut last = Instant::now();
    while super::happen::waited_until(Instant::now() + Duration::from_millis(20), stop.clone()).await {
        owed = (owed + level.get() * READS * last.elapsed().as_secs_f64()).min(OWED_MAX);
        last = Instant::now();
        while under_way.try_join_next().is_some() {}
        while owed >= 1.0 {
            owed -= 1.0;
            if under_way.len() < READS_MAX {
                let partner = world.partner.clone();
                under_way.spawn(async move { partner.ask("/sessions?limit=20").await });
            }
        }
    }
    under_way.abort_all();
}

/// Chargers that lose their socket and come back at once.
async fn returns(world: &World, level: &Level, seed: u64, stop: watch::Receiver<bool>) {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x4e7);
    let (mut owed, mut last) = (0.0, Instant::now());
    while super::happen::waited_until(Instant::now() + Duration::from_millis(50), stop.clone()).await {
        owed += level.get() * RETURNS * last.elapsed().as_secs_f64();
        last = Instant::now();
        while owed >= 1.0 {
            owed -= 1.0;
            if let Some(charger) = world.chargers.get(rng.random_range(0..world.chargers.len().max(1))) {
                charger.at_charger(AtCharger::Drop { offline_ms: 0 });
            }
        }
    }
}

/// What was counted, for judging.
pub(super) fn refused_stops(stats: &crate::stats::Stats) -> (u64, u64) {
    (get(&stats.stops_turned_away), get(&stats.told_without_wait))
}
