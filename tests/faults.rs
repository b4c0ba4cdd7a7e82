//! The fault catalogue against the real binary (docs/faults.md): each row injects its fault, checks what must hold, has the
//! histories of simulated chargers and partners judged by the offline checker, and counts what really happened. A run in which
//! a fault did not hit does not count.
//!
//! `cargo xtask faults` tries every row, `cargo xtask faults C1 J7` these. Within `cargo test` the rows marked quick run.

#![allow(unsafe_code, reason = "the disk of the power-cut rig has an ioctl")]
#![allow(missing_docs, reason = "nobody uses it from outside")]

#[path = "faults/backlog.rs"]
mod backlog;
#[path = "faults/catalogue.rs"]
mod catalogue;
#[path = "faults/chargers.rs"]
mod chargers;
#[path = "powercut/disk.rs"]
#[allow(dead_code, reason = "the power-cut rig cuts and mounts again")]
mod disk;
#[path = "faults/document.rs"]
mod document;
#[path = "faults/group.rs"]
mod group;
#[path = "faults/hand.rs"]
mod hand;
#[path = "faults/journal.rs"]
mod journal;
#[path = "faults/machine.rs"]
mod machine;
#[path = "faults/operations.rs"]
mod operations;
#[path = "faults/partners.rs"]
mod partners;
#[path = "faults/proxy.rs"]
mod proxy;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/sessions.rs"]
mod sessions;
#[path = "faults/shim.rs"]
mod shim;
#[path = "faults/sockets.rs"]
mod sockets;
#[path = "faults/starts.rs"]
mod starts;

use anyhow::{Result, anyhow, bail};
use catalogue::{Needs, ROWS, Row, Run};
use futures_util::FutureExt as _;
use scene::Scene;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Lines of the server's log that are shown with a row that failed.
const LOG_LINES: usize = 25;

/// What became of a row.
enum End {
    Good(BTreeMap<&'static str, u64>),
    Skipped(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What libtest would understand is nothing to us.
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--list") {
        ROWS.iter().for_each(|row| println!("{}: test", row.id));
        return ExitCode::SUCCESS;
    }
    if has("--docs") {
        return if document::agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(unknown) = named.iter().find(|name| ROWS.iter().all(|row| row.id != **name)) {
        let known: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        eprintln!("faults: there is no row {unknown}; there are {}", known.join(" "));
        return ExitCode::FAILURE;
    }
    let all = has("--all");
    let wanted = |row: &&Row| if named.is_empty() { all || row.quick } else { named.contains(&row.id) };
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    let documents = all || !named.is_empty() || document::agrees();
    let full = (all || !named.is_empty()) && !has("--quick");
    let good = run_all(&rows, full, !named.is_empty());
    if good && documents { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tries the rows, one after the other; the last line counts them. `named`: a row that cannot run here has failed.
fn run_all(rows: &[&Row], full: bool, named: bool) -> bool {
    let (mut good, mut skipped, mut failed) = (0, 0, Vec::new());
    let whole = Instant::now();
    for row in rows {
        let begun = Instant::now();
        let outcome = one(row, full);
        let took = begun.elapsed();
        match outcome {
            Ok(End::Good(counts)) => {
                good += 1;
                let counts: Vec<String> = counts.iter().map(|(what, n)| format!("{what} {n}")).collect();
                println!("{:<4} good    {:>6.1} s  {}", row.id, took.as_secs_f64(), counts.join(", "));
            }
            Ok(End::Skipped(why)) if !named => {
                skipped += 1;
                println!("{:<4} SKIPPED {:>6.1} s  {why}", row.id, took.as_secs_f64());
            }
            Ok(End::Skipped(why)) => {
                failed.push(row.id);
                println!("{:<4} FAILED  {:>6.1} s  cannot run here: {why}", row.id, took.as_secs_f64());
            }
            Err(error) => {
                failed.push(row.id);
                println!("{:<4} FAILED  {:>6.1} s  {error:#}", row.id, took.as_secs_f64());
            }
        }
    }
    let seconds = whole.elapsed().as_secs();
    println!("faults: {good} rows good, {skipped} skipped, {} failed {failed:?} in {seconds} s", failed.len());
    failed.is_empty()
}

fn missing(needs: Needs) -> Result<(), String> {
    match needs {
        Needs::Nothing => Ok(()),
        Needs::Compiler => shim::available(),
        Needs::Disk => disk::available(),
        Needs::Group => group::available(),
    }
}

fn one(row: &Row, full: bool) -> Result<End> {
    if let Err(why) = missing(row.needs) {
        return Ok(End::Skipped(why));
    }
    let run = match row.run {
        Run::Scene(run) => run,
        Run::PowerCut(rounds) => return power_cut(rounds),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut scene = Scene::new(full)?;
    let outcome = runtime.block_on(async {
        let guarded = AssertUnwindSafe(run(&mut scene)).catch_unwind();
        match tokio::time::timeout(row.limit, guarded).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(anyhow!("{}", chargeline::actors::engine::turn::panic_text(&*panic))),
            Err(_) => bail!("longer than {:?}", row.limit),
        }
    });
    if let Err(error) = outcome {
        let log = scene.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
        lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).for_each(|line| println!("     | {line}"));
        keep(&mut scene);
        return Err(error);
    }
    runtime.block_on(scene.kill())?;
    keep(&mut scene);
    // What still runs of the outside world must not hold up the next row.
    runtime.shutdown_timeout(Duration::from_secs(2));
    let counts = scene.counts().clone();
    match row.sometimes.iter().find(|what| counts.get(**what).is_none_or(|count| *count == 0)) {
        Some(what) => bail!("the run does not count: no \"{what}\" happened: {counts:?}"),
        None => Ok(End::Good(counts)),
    }
}

/// With `FAULTS_KEEP` set the row's directory stays, for a look.
fn keep(scene: &mut Scene) {
    if let Some(place) = std::env::var_os("FAULTS_KEEP").and_then(|_| scene.keep()) {
        println!("     kept in {}", place.display());
    }
}

/// The rig of `tests/powercut.rs`, which says itself what it saw.
fn power_cut(rounds: u32) -> Result<End> {
    if let Err(why) = disk::available() {
        return Ok(End::Skipped(why));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut rig = Command::new(cargo);
    rig.args(["test", "--quiet", "--test", "powercut"]).env("ROUNDS", rounds.to_string());
    match rig.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
        true => Ok(End::Good(BTreeMap::from([("power cuts", u64::from(rounds))]))),
        false => bail!("tests/powercut.rs, see above"),
    }
}
