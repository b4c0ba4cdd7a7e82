//! `chargeline journal …` (RT-11). Owns the commands and their last line; the work is done in [`super::tools`] and
//! [`super::sled`]. Each command ends with one line that says what it found, and fails when that falls short.
//!
//! The commands work on a store that no server has open. While one runs, `POST /ops/v1/journal/…` does the same.

use super::sled::{Findings, Tool};
use super::tools;
use crate::clock::SharedClock;
use crate::config::journal::Journal as Config;
use anyhow::{Context, bail};
use clap::Subcommand;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to do with the journal.
#[derive(Debug, Clone, Subcommand)]
pub enum JournalCommand {
    /// Show one stream's snapshot and history, such as `charger/CP_1`.
    Inspect {
        /// The stream's name: family, slash, id.
        stream: String,
    },
    /// Check every checksum, sequence, snapshot and event id.
    Verify,
    /// Write all records as JSON lines to standard output.
    Export {
        /// Only this stream.
        #[arg(long)]
        stream: Option<String>,
    },
    /// Write a verified copy into an empty or missing directory.
    Backup {
        /// Where to.
        directory: PathBuf,
    },
    /// Take a backup as the journal. Event ids and positions never repeat those given out since it was made.
    Restore {
        /// The backup.
        directory: PathBuf,
        /// Put the journal that is there aside first.
        #[arg(long)]
        replace: bool,
    },
    /// Copy what is live into a fresh store and put it in place.
    Compact,
    /// Figures of the store as JSON.
    Stats,
}

/// Runs a command on the journal of `config`, writing to `out`.
///
/// # Errors
/// When the store cannot be opened or read; main shows it and fails.
pub fn run(
    command: &JournalCommand,
    config: &Config,
    clock: &SharedClock,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let path = &config.path;
    match command {
        JournalCommand::Inspect { stream } => {
            let (records, snapshot) = tools::inspect(&Tool::open(path)?, stream, out)?;
            let with = if snapshot { "a snapshot" } else { "no snapshot" };
            writeln!(out, "inspect: {stream} has {records} records and {with}")?;
            Ok(if records > 0 || snapshot { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        JournalCommand::Verify => {
            let findings = Tool::open(path)?.verify();
            findings.problems.iter().try_for_each(|problem| writeln!(out, "{problem}"))?;
            finish(out, "verify", &findings)
        }
        JournalCommand::Export { stream } => {
            let records = tools::export(&Tool::open(path)?, stream.as_deref(), out)?;
            out.flush()?;
            // Standard output is the export itself.
            tracing::info!(records, "export");
            writeln!(std::io::stderr(), "export: {records} records")?;
            Ok(ExitCode::SUCCESS)
        }
        JournalCommand::Backup { directory } => {
            if !tools::is_vacant(directory) {
                bail!("{} is not empty: an empty or missing directory is allowed", directory.display());
            }
            let findings = Tool::open(path)?.backup(directory).context("making the backup")?;
            finish(out, "backup", &findings)
        }
        JournalCommand::Restore { directory, replace } => {
            let findings = Tool::restore(directory, path, *replace).context("restoring")?;
            finish(out, "restore", &findings)
        }
        JournalCommand::Compact => {
            let (findings, before, after) = Tool::open(path)?.compact(clock, config.retention)?;
            writeln!(out, "{before} bytes before, {after} after")?;
            finish(out, "compact", &findings)
        }
        JournalCommand::Stats => {
            let stats = Tool::open(path)?.stats()?;
            writeln!(out, "{}", serde_json::to_string(&stats)?)?;
            Ok(if stats.blobs == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn finish(out: &mut dyn Write, what: &str, findings: &Findings) -> anyhow::Result<ExitCode> {
    writeln!(out, "{what}: {findings}")?;
    Ok(if findings.sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests;
