//! The whole server on a disk that loses its power: the crash test (`loadtest::crash`) with another blow. Owns the verdict of
//! the run and its lines.

use super::fresh;
use super::kinds::Tally;
use super::power::{Power, TOLD, UNTOLD, words};
use anyhow::{Context, bail, ensure};
use loadtest::crash::{CrashOptions, Report, crash_by};
use loadtest::server::Server;
use std::path::PathBuf;

/// Rounds of a quick look, in which money is left out: it takes long to come to rest.
const QUICK: u32 = 3;

/// From so many rounds on every kind must have hit its moment.
const ROUNDS_FOR_ALL: u32 = 48;

/// Chargers, of two connectors each, and sessions begun a second.
const LOAD: (usize, f64) = (16, 6.0);

/// Runs the proof and so many rounds. Gives the closing line.
pub(crate) async fn run(rounds: Option<u32>, seed: u64) -> anyhow::Result<String> {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_chargeline"));
    let caught = fresh::prove(&binary).await?;
    let users = if rounds.is_none() { 0 } else { loadtest::money::USERS };
    let rounds = rounds.unwrap_or(QUICK);
    println!("powercut: the whole server, {rounds} rounds, seed {seed}; sled's flush alone was caught in cut {caught}");
    let mut power = Power::new(binary.clone(), rounds, seed)?;
    let dir = power.disk.beside().join("world");
    let server = Server::keeping(&binary, &dir, &power.disk.data())?;
    let options = CrashOptions {
        kills: rounds,
        seed,
        binary,
        work_dir: dir.clone(),
        chargers: LOAD.0,
        starts_per_s: LOAD.1,
        users,
    };
    let report = crash_by(options, server, &mut power).await;
    let report = report.with_context(|| format!("round {}: {}", power.tally.all_rounds(), words(&dir)));
    let judged = report.and_then(|report| judge(&report, &mut power.tally, rounds).map(|()| report));
    let report = judged.inspect_err(|_| println!("powercut: all of it is kept in {}", power.disk.keep().display()))?;
    Ok(line(&report, &mut power.tally, caught))
}

fn judge(report: &Report, tally: &mut Tally, rounds: u32) -> anyhow::Result<()> {
    println!("powercut: rounds that hit their moment: {}", tally.kinds());
    println!("powercut: {}", tally.sights());
    for line in report.money_lines().lines() {
        println!("powercut: {line}");
    }
    for violation in report.verdict.violations.iter().take(30) {
        println!("  {violation}");
    }
    ensure!(report.is_right(), "{}", report.line());
    let figures = &report.verdict.figures;
    let some =
        [figures.starts_found, figures.transactions_found, figures.transaction_stops_found, figures.events_received];
    ensure!(!some.contains(&0), "too little happened to judge by: {}", report.line());
    let silent = tally.count("flips that passed in silence");
    ensure!(silent == 0, "{silent} flipped bits passed in silence");
    let (told, untold) = (tally.count(TOLD), tally.count(UNTOLD));
    ensure!(untold == 0, "of {} torn commits {untold} were dropped without a word", told + untold);
    let missed = tally.missed();
    if rounds >= ROUNDS_FOR_ALL && !missed.is_empty() {
        bail!("never hit: {}", missed.join(", "));
    }
    Ok(())
}

fn line(report: &Report, tally: &mut Tally, caught: u32) -> String {
    let f = &report.verdict.figures;
    let facts = f.starts_acknowledged
        + f.stops_acknowledged
        + f.transactions_acknowledged
        + f.transaction_stops_acknowledged
        + f.events_received
        + report.money.payments_acknowledged
        + report.money.taken;
    let (p50, max) = tally.readiness();
    format!(
        "the whole server: {} rounds, {facts} facts acknowledged, 0 lost, ready p50 {} ms max {} ms; with sled's flush alone \
         the loss was seen in cut {caught}",
        tally.all_rounds(),
        p50.as_millis(),
        max.as_millis()
    )
}
