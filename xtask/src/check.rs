//! `cargo xtask check`: the steps, their times, and the sum. One build profile serves all tests.

use crate::run::{cargo, lines, program, spoken, status, timed};
use crate::{audit, fuzz, peers};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Kills of the crash test that is part of every check; `cargo xtask crash` does more.
const KILLS: u32 = 5;

/// Seconds of random frames for each target in every check; `cargo xtask fuzz` does more.
const FUZZ_SECONDS: u64 = 12;

/// Seeds of a simulation when nobody says how many.
const SEEDS: u64 = 500;

/// Examples for each call of the partner API in every check, and their seed; `cargo xtask contract` does more.
const EXAMPLES: (u32, u32) = (10, 1);

/// How a step ended.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Good,
    Failed,
}

#[derive(Default)]
struct Tally {
    steps: Vec<(&'static str, End, Duration)>,
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs one step; an error fails it and says why.
    fn step(&mut self, name: &'static str, act: impl FnOnce(&mut Tally) -> Result<End>) -> bool {
        println!("==> {name}");
        let (end, took) = timed(|| {
            act(self).unwrap_or_else(|error| {
                eprintln!("{name}: {error:#}");
                End::Failed
            })
        });
        println!("<== {name}: {} in {}", said(end), spoken(took));
        self.steps.push((name, end, took));
        end != End::Failed
    }

    fn count(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        let number = |what: &str| {
            let part = rest.split([';', '.']).find(|part| part.trim_end().ends_with(what))?;
            part.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.passed += number(" passed").unwrap_or(0);
        self.failed += number(" failed").unwrap_or(0);
    }
}

fn said(end: End) -> &'static str {
    match end {
        End::Good => "good",
        End::Failed => "FAILED",
    }
}

fn ended(good: bool) -> End {
    if good { End::Good } else { End::Failed }
}

fn cargo_step(arguments: &[&str]) -> Result<End> {
    Ok(ended(status(cargo().args(arguments))?.success()))
}

/// Runs every step and prints the sum. The last line counts tests and steps.
pub(crate) fn run() -> Result<bool> {
    let mut tally = Tally::default();
    let (_, whole) = timed(|| steps(&mut tally));
    println!();
    for (name, end, took) in &tally.steps {
        println!("{name:<12} {:<10} {}", spoken(*took), said(*end));
    }
    println!("{:<12} {}", "all", spoken(whole));
    let of = |wanted: fn(&End) -> bool| tally.steps.iter().filter(|(_, end, _)| wanted(end)).count() as u64;
    let failed = of(|end| *end == End::Failed);
    let passed = tally.passed + of(|end| *end == End::Good);
    // Tests that failed are counted beside the step that ran them.
    println!("check: {passed} passed, {} failed", failed + tally.failed);
    Ok(failed == 0)
}

fn steps(tally: &mut Tally) {
    tally.step("format", |_| cargo_step(&["fmt", "--all", "--check"]));
    tally
        .step("clippy", |_| cargo_step(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    let built = tally.step("build", |_| peers::build().map(|()| End::Good));
    if built {
        // Unit and integration tests, doc tests, tidy, generated documents, some power cuts where root.
        tally.step("tests", |tally| {
            // One of them runs an example that needs a public library.
            peers::python()?;
            let mut tests = cargo();
            tests.args(["test", "--workspace", "--no-fail-fast"]);
            let done = lines(&mut tests, |line| {
                tally.count(line);
                println!("{line}");
            })?;
            Ok(ended(done.success()))
        });
    }
    tally.step("fuzz", |_| fuzz::random(FUZZ_SECONDS).map(ended));
    tally.step("audit", |_| audit::run(false).map(ended));
    if !built {
        return;
    }
    tally.step("peers", |_| peers::run().map(ended));
    tally.step("contract", |_| peers::contract(EXAMPLES.0, EXAMPLES.1).map(ended));
    tally.step("crash", |_| crash(KILLS, false, &[]).map(ended));
}

/// The crash test. The last line printed is `loadtest crash`'s own.
pub(crate) fn crash(kills: u32, release: bool, rest: &[String]) -> Result<bool> {
    let folder = if release { "target/release" } else { "target/debug" };
    if release {
        ensure!(
            status(cargo().args(["build", "--quiet", "--release", "--workspace", "--bins"]))?.success(),
            "the build failed"
        );
    } else {
        peers::build()?;
    }
    let (kills, server) = (kills.to_string(), format!("{folder}/chargeline"));
    let mut command = program(format!("{folder}/loadtest"), &["crash", "--binary", &server, "--kills", &kills]);
    Ok(status(command.args(rest))?.success())
}

/// The power-cut test: the rig of `tests/powercut.rs`, which also runs some rounds within the ordinary tests. The last
/// line printed is its own; where it cannot run (it needs root and loop devices) that is a failure here.
pub(crate) fn powercut(rounds: u32) -> Result<bool> {
    let mut rig = cargo();
    rig.args(["test", "--quiet", "--test", "powercut"]).env("ROUNDS", rounds.to_string());
    Ok(status(&mut rig)?.success())
}

/// The fault catalogue of `tests/faults.rs`, some rows of which also run within the ordinary tests. The last line printed is its
/// own.
pub(crate) fn faults(rows: &[String]) -> Result<bool> {
    let mut rig = cargo();
    rig.args(["test", "--quiet", "--package", "chargeline", "--test", "faults", "--"]);
    if rows.is_empty() {
        rig.arg("--all");
    }
    Ok(status(rig.args(rows))?.success())
}

/// The deterministic simulation of `tests/simulation.rs`, some seeds of which also run within the ordinary tests. The last
/// line printed is its own.
pub(crate) fn simulate(seeds: Option<u64>, seed: Option<u64>, lie: Option<u64>) -> Result<bool> {
    let mut run = cargo();
    run.args(["test", "--quiet", "--package", "chargeline", "--test", "simulation", "--"]);
    let seeds = if seed.is_none() { seeds.or(Some(SEEDS)) } else { seeds };
    for (name, value) in [("--seeds", seeds), ("--seed", seed), ("--lie", lie)] {
        if let Some(value) = value {
            run.args([name, &value.to_string()]);
        }
    }
    Ok(status(&mut run)?.success())
}

/// Writes the generated documents anew.
pub(crate) fn docs() -> Result<bool> {
    let mut good = true;
    // The examples of events first: their page shows them.
    let documents: [&[&str]; 3] =
        [&["--lib", "api::events"], &["--test", "generated"], &["--test", "faults", "--", "--docs"]];
    for which in documents {
        let mut tests = cargo();
        tests.args(["test", "--quiet"]).args(which).env("CHARGELINE_WRITE_DOCS", "1");
        good &= status(&mut tests)?.success();
    }
    println!("docs: {}", if good { "written" } else { "failed, see above" });
    Ok(good)
}
