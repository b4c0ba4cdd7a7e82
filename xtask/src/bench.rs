//! Runs the benchmarks of `benches/`. With `--json` only their result lines are printed.

use crate::run::{cargo, lines};
use anyhow::{Result, ensure};
use std::path::Path;

/// Runs the benchmarks named, or all.
pub(crate) fn run(names: &[String], json: bool) -> Result<bool> {
    let all = available()?;
    for name in names {
        ensure!(all.contains(name), "no benchmark `{name}`: there are {}", all.join(", "));
    }
    let chosen = if names.is_empty() { &all } else { names };
    let (mut figures, mut short, mut failed) = (0, 0, 0);
    for name in chosen {
        let mut command = cargo();
        command.args(["bench", "--quiet", "--bench", name, "--"]);
        if json {
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
