//! A whole fleet comes back at once: `loadtest storm` against the program as it ships. Owns which of its figures are told.

use crate::figure::{Limit, tell};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

/// What is asked of it: a session at every charger, all of them cut at once.
const ASKED: &[&str] =
    &["--chargers", "15000", "--rounds", "1", "--ramp", "1500", "--meter-interval", "60", "--duration", "10"];

pub(crate) async fn run(paths: &crate::Paths) -> anyhow::Result<()> {
    let loadtest = paths.loadtest.as_ref().map_err(|why| anyhow::anyhow!("loadtest: {why}"))?;
    let dir = paths.work.join("storm");
    let mut command = Command::new(loadtest);
    command.arg("storm").arg("--binary").arg(&paths.server).args(ASKED).arg("--dir").arg(&dir);
    let output = command.output().await.context("loadtest storm")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said.lines().rev().find(|line| line.starts_with("storm:")).unwrap_or_default();
    let text = std::fs::read_to_string(dir.join("report.json"));
    let text = text.with_context(|| format!("no report: {last}{}", String::from_utf8_lossy(&output.stderr)))?;
    let report: Value = serde_json::from_str(&text)?;
    let ratio = report["ratio"].as_f64().context("the report has no ratio")?;
    tell("storm_ratio", ratio, "ratio", Limit::Most(25.0), last);
    ensure!(output.status.success(), "{last}");
    Ok(())
}
