//! The section `[telemetry]` of `config.toml`.

use super::check::{Checked, Problem};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The section `[telemetry]`: metrics and logs (OP-6, OP-7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Where `/metrics` listens.
    pub metrics_listen: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written: directives of `tracing`'s env-filter.
    pub log_filter: String,
    /// Log lines that wait for the terminal or file; the rest is dropped and counted.
    pub log_lines_max: usize,
    /// Where lines of target `audit` go; empty: to the log, with the others.
    pub audit_file: PathBuf,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Checked for Telemetry {
    fn check(&self, problems: &mut Vec<Problem>) {
        if let Err(e) = self.log_filter.parse::<tracing_subscriber::EnvFilter>() {
            let allowed = format!("directives such as `info,chargeline::gateway=debug` are allowed ({e})");
            problems.push(Problem::new("telemetry.log_filter", format!("{:?}", self.log_filter), allowed));
        }
    }
}
