//! Deterministic simulation: the real rules, engine, sockets and queues in one process on virtual time, with chargers, partners,
//! operators, and a disk, links, endpoints and a clock that fail, all drawn from a seed. See `docs/reliability.md`.
//!
//! `cargo xtask simulate --seeds 1000`, or one run with its story: `cargo xtask simulate --seed 42`. Without arguments, as
//! within `cargo test`: some seeds, the proof that one seed is one run, and the proof that bugs are found (lies of the disk).

#![allow(clippy::expect_used, reason = "this is a test")]
#![allow(missing_docs, reason = "nobody uses it from outside")]

#[path = "simulation/charger.rs"]
mod charger;
#[path = "simulation/check.rs"]
mod check;
#[path = "simulation/conduct.rs"]
mod conduct;
#[path = "simulation/journal.rs"]
mod journal;
#[path = "simulation/money.rs"]
mod money;
#[path = "simulation/partner.rs"]
mod partner;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/product.rs"]
mod product;
#[path = "simulation/setup.rs"]
mod setup;
#[path = "simulation/shrink.rs"]
mod shrink;
#[path = "simulation/world.rs"]
mod world;

use journal::Lie;
use plan::Plan;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use world::{Outcome, Setting, run};

/// Runs within the ordinary tests.
const SEEDS: u64 = 30;
/// From so many runs on every branch of [`SOMETIMES`] must have been reached.
const ENOUGH: u64 = 30;
/// Characters of a line of a story.
const LINE: usize = 200;
/// Seeds within which each lie must be found.
const PROOF: u64 = 40;

/// What proves that bugs are found; `--lie 1` with a seed tells such a story.
const LIES: [Lie; 3] = [Lie::AcknowledgesBeforeFlush, Lie::DropsWebhooksOnCrash, Lie::ForgetsRepeatedStarts];

/// What a run over many seeds must have met, or it has tested nothing.
const SOMETIMES: [&str; 26] = [
    "a crash",
    "a crash in a flush",
    "a crash with unflushed data lost",
    "a crash with unflushed data kept",
    "a slow flush",
    "the journal full",
    "an append unavailable",
    "an append of unknown outcome",
    "a lost frame",
    "a duplicate frame",
    "a duplicate answer or command",
    "a late frame",
    "a late answer",
    "a reordered frame",
    "a dropped link",
    "a silent link",
    "a redelivery",
    "an endpoint gone",
    "a quarantine",
    "a clock jump",
    "a repeated request",
    "a repeated payment callback",
    "a settled order",
    "a reservation",
    "a reservation that nobody came for",
    "a look at the fold of a journal",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    // Poison panics by order: what it says on the way is noise.
    std::panic::set_hook(Box::new(|_| {}));
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key");
    let config = chargeline::config::load::from_text(None, &[]).expect("the documented defaults").config;
    let setting = Setting { config, key_file };
    let lie = number("--lie").and_then(|n| LIES.get(usize::try_from(n).ok()?.checked_sub(1)?).copied());
    let good = match (number("--seeds"), number("--seed")) {
        (None, None) => seeds(&setting, 1, SEEDS) && replays(&setting, 1..4) && proves(&setting),
        (None, Some(seed)) => one(&setting, seed, lie),
        (Some(count), from) => seeds(&setting, from.unwrap_or(1), count),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run, with its story.
fn one(setting: &Setting, seed: u64, lie: Option<Lie>) -> bool {
    let plan = Plan::of(seed);
    let outcome = run(setting, &plan, lie, true);
    outcome.story.iter().for_each(|line| println!("{line}"));
    println!("simulate: seed {seed}, trace {:016x}, {:?}", outcome.trace, plan.chargers);
    match &outcome.failure {
        Some(_) => explain(setting, &plan, lie, &outcome),
        None => println!("simulate: good"),
    }
    outcome.failure.is_none()
}

/// What broke, as a short story.
fn explain(setting: &Setting, plan: &Plan, lie: Option<Lie>, outcome: &Outcome) {
    let Some(failure) = &outcome.failure else { return };
    println!("seed {} breaks {}: {}", plan.seed, failure.invariant, failure.text);
    let short = shrink::shrink(setting, plan, lie, failure.invariant, 300);
    println!("{} of its {} steps are enough:", short.steps.len(), plan.steps.len());
    let story = run(setting, &short, lie, true).story;
    // Nobody needs the beats of an idle charger to follow it.
    let noise = ["Heartbeat", "\"currentTime\"", "connector.status", "StatusNotification", "configurationKey"];
    for (number, line) in story.iter().filter(|line| !noise.iter().any(|word| line.contains(word))).enumerate() {
        println!("{:>4} {}", number + 1, line.chars().take(LINE).collect::<String>());
    }
}

/// Many runs; the first that breaks is explained.
fn seeds(setting: &Setting, from: u64, count: u64) -> bool {
    let began = Instant::now();
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut simulated = Duration::ZERO;
    for (done, seed) in (from..from + count).enumerate() {
        let plan = Plan::of(seed);
        let outcome = run(setting, &plan, None, false);
        simulated += outcome.simulated;
        for (what, n) in &outcome.counts {
            *counts.entry(what).or_default() += n;
        }
        for fault in plan.steps.iter().filter_map(|step| step.action.fault()) {
            *counts.entry(fault).or_default() += 1;
        }
        if outcome.failure.is_some() {
            explain(setting, &plan, None, &outcome);
            println!("simulate: FAILED at seed {seed}; again with `cargo xtask simulate --seed {seed}`");
            return false;
        }
        if (done + 1) % 100 == 0 {
            println!("{} seeds, {} h simulated, {} s", done + 1, simulated.as_secs() / 3600, began.elapsed().as_secs());
        }
    }
    for (what, n) in &counts {
        println!("{n:>8} {what}");
    }
    let never: Vec<_> = SOMETIMES.iter().filter(|what| !counts.contains_key(**what)).collect();
    let hours = simulated.as_secs() / 3600;
    let took = began.elapsed().as_secs();
    if count >= ENOUGH && !never.is_empty() {
        println!("simulate: FAILED: never met: {never:?}");
        return false;
    }
    println!("simulate: {count} seeds, {hours} h simulated in {took} s, nothing broken");
    true
}

/// One seed is one run: everything that anybody outside sees comes in the same order.
fn replays(setting: &Setting, seeds: std::ops::Range<u64>) -> bool {
    for seed in seeds {
        let plan = Plan::of(seed);
        let (first, second) = (run(setting, &plan, None, true), run(setting, &plan, None, true));
        if first.trace != second.trace {
            let other = first.story.iter().zip(&second.story).find(|(first, second)| first != second);
            println!("simulate: FAILED: seed {seed} is two runs: {other:#?}");
            return false;
        }
    }
    println!("simulate: every seed is one run");
    true
}

/// Each lie is found and made small, or the simulation is worth nothing.
fn proves(setting: &Setting) -> bool {
    for lie in LIES {
        let found = (1..=PROOF).map(Plan::of).find_map(|plan| {
            let failure = run(setting, &plan, Some(lie), false).failure?;
            Some((plan, failure))
        });
        let Some((plan, failure)) = found else {
            println!("simulate: FAILED: {lie:?} was not found in {PROOF} seeds");
            return false;
        };
        let short = shrink::shrink(setting, &plan, Some(lie), failure.invariant, 30);
        let again = run(setting, &short, Some(lie), false).failure;
        let (before, after) = (plan.steps.len(), short.steps.len());
        println!("simulate: {lie:?} found by seed {}: {}, {before} steps made {after}", plan.seed, failure.invariant);
        if again.is_none() || after > before {
            println!("simulate: FAILED: the short story of {lie:?} does not break");
            return false;
        }
    }
    true
}
