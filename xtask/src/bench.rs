//! Runs the benchmarks of `benches/`. With `--json` only their result lines are printed.

use crate::run::{cargo, lines};
use anyhow::{Context, Result};
use std::path::Path;

/// Runs the benchmarks named, or all. A name is that of a file in `benches/`, or of a figure that begins with one.
pub(crate) fn run(names: &[String], json: bool) -> Result<bool> {
    let chosen = choose(names)?;
    let (mut figures, mut short, mut failed) = (0, 0, 0);
    for (file, figure) in &chosen {
        let mut command = cargo();
        command.args(["bench", "--quiet", "--bench", file, "--"]).args(figure);
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

/// The files to run, each with the figure that is asked for, if it is one.
fn choose(names: &[String]) -> Result<Vec<(String, Option<String>)>> {
    let all = available()?;
    if names.is_empty() {
        return Ok(all.into_iter().map(|file| (file, None)).collect());
    }
    let find = |name: &String| {
        let file = all.iter().filter(|file| name.starts_with(file.as_str())).max_by_key(|file| file.len());
        let file = file.with_context(|| format!("no benchmark `{name}`: there are {}", all.join(", ")))?;
        Ok((file.clone(), (file != name).then(|| name.clone())))
    };
    names.iter().map(find).collect()
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
