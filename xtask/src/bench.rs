//! Runs the benchmarks: those of `benches/*.rs`, which measure a part within one process, and those of `benches/spine`,
//! which measure the whole server. With `--json` only their result lines are printed.

use crate::run::{cargo, lines, program, status};
use crate::tools;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What the figures of the whole server begin with; each is measured as a group.
const SPINE: [&str; 10] =
    ["cost", "curve", "durable", "heartbeat", "hostile", "idle", "ready", "slow", "storm", "webhook"];

/// The figures that are told by another group than the one they are named after.
const ELSEWHERE: [(&str, &str); 1] = [("heartbeat_ratio_15000", "cost")];

/// Runs the benchmarks named, or all. A name is that of a benchmark, or of a figure that begins with one.
pub(crate) fn run(names: &[String], json: bool) -> Result<bool> {
    let chosen = choose(names)?;
    let spine: Vec<&str> = SPINE.into_iter().filter(|group| chosen.contains_key(*group)).collect();
    let around = if spine.is_empty() { Vec::new() } else { build_spine(&spine)? };
    let (mut figures, mut short, mut failed) = (0, 0, 0);
    for (bench, asked) in &chosen {
        let mut command = if spine.contains(&bench.as_str()) {
            let mut command = program("target/release/spine-bench", &[bench]);
            command.envs(around.iter().cloned());
            command
        } else {
            let mut command = cargo();
            command.args(["bench", "--quiet", "--bench", bench, "--"]).args(asked);
            command
        };
        if json && !spine.contains(&bench.as_str()) {
            command.arg("--json");
        }
        let status = lines(&mut command, |line| {
            let figure = serde_json::from_str::<serde_json::Value>(line).ok().filter(|v| v.get("name").is_some());
            if let Some(figure) = &figure {
                figures += 1;
                short += usize::from(figure.get("met").and_then(serde_json::Value::as_bool) == Some(false));
            }
            if !json || figure.is_some() {
                println!("{line}");
            }
        })?;
        failed += usize::from(!status.success());
    }
    let closing =
        format!("bench: {} benchmarks, {figures} figures, {short} short of their limit, {failed} failed", chosen.len());
    // With --json standard output holds nothing but objects.
    if json {
        eprintln!("{closing}")
    } else {
        println!("{closing}")
    }
    Ok(failed == 0 && short == 0)
}

/// Builds the server as it ships, what measures it, and what it is measured against. Returns where they are; a responder
/// that cannot be had is given as `!` and the reason.
fn build_spine(groups: &[&str]) -> Result<Vec<(&'static str, String)>> {
    // One by one: built together, the bench's features would be the server's too.
    for package in ["chargeline", "spine-bench"] {
        build(package)?;
    }
    let mut around = vec![("BENCH_SERVER", "target/release/chargeline".to_owned())];
    if groups.contains(&"storm") {
        build("loadtest")?;
        around.push(("BENCH_LOADTEST", "target/release/loadtest".to_owned()));
    }
    if groups.contains(&"heartbeat") {
        let text = |got: Result<std::path::PathBuf>| {
            got.and_then(|path| Ok(std::path::absolute(path)?.display().to_string()))
                .unwrap_or_else(|error| format!("!{error:#}"))
        };
        around.push(("BENCH_KIT", text(build("kit-responder").map(|()| "target/release/kit-responder".into()))));
        around.push(("BENCH_PYTHON", text(tools::python("target/peers/python", "tests/peers/requirements.txt"))));
        around.push(("BENCH_NODE_MODULES", text(tools::node("target/peers/node", "tests/peers/node"))));
    }
    Ok(around)
}

fn build(package: &str) -> Result<()> {
    let mut command: Command = cargo();
    let done = status(command.args(["build", "--quiet", "--release", "--package", package, "--bins"]))?;
    ensure!(done.success(), "`{package}` could not be built");
    Ok(())
}

/// The benchmarks to run, each with the figures that are asked for; all if there are none.
fn choose(names: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut all = available()?;
    all.extend(SPINE.map(str::to_owned));
    if names.is_empty() {
        return Ok(all.into_iter().map(|bench| (bench, Vec::new())).collect());
    }
    let mut chosen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        let name = ELSEWHERE.iter().find(|(figure, _)| figure == name).map_or(name.as_str(), |(_, group)| group);
        let bench = all.iter().filter(|bench| name.starts_with(bench.as_str())).max_by_key(|bench| bench.len());
        let bench = bench.with_context(|| format!("no benchmark `{name}`: there are {}", all.join(", ")))?;
        let asked = chosen.entry(bench.clone()).or_default();
        if bench != name {
            asked.push(name.to_owned());
        }
    }
    Ok(chosen)
}

fn available() -> Result<Vec<String>> {
    let mut names = Vec::new();
    if Path::new("benches").is_dir() {
        for entry in std::fs::read_dir("benches")? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "rs") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
    }
    names.sort();
    Ok(names)
}
