//! The command line.

use chargeline::api::cli as admin;
use chargeline::clock::{SharedClock, WallClock};
use chargeline::config;
use chargeline::gateway;
use chargeline::gateway::authority::cli as authority;
use chargeline::persistence::cli as journal;
use chargeline::runtime;
use chargeline::telemetry::logs;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The program's allocator: after a storm of reconnects it gives back what the system's would keep (ADR 0011).
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Its settings: what is free for a second goes back to the system, also while nothing is allocated; and a thread keeps a few freed
/// places of each size for itself, not hundreds.
#[cfg(feature = "jemalloc")]
#[allow(unsafe_code, reason = "jemalloc reads its settings from a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &u8 = &b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,tcache_nslots_small_min:4,tcache_nslots_small_max:16\0"[0];

/// A runtime for electric-vehicle charging: chargers on one side, partner platforms on the other, every fact journaled.
#[derive(Debug, Parser)]
#[command(name = "chargeline", version, about)]
struct Arguments {
    /// The configuration file; without it `./chargeline.toml` if there is one, else the documented defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves chargers, partners and operators (the default).
    Serve,
    /// Serves, with a simulated fleet and a demo partner in the same process, and shows what happens.
    Demo(runtime::demo::Arguments),
    /// Serves, with simulated chargers whose connectors each do one thing wrong: for partners to test against.
    Sandbox(runtime::sandbox::Arguments),
    /// Says what is wrong with a configuration file, without starting.
    CheckConfig {
        /// The file; without it what `serve` would read.
        file: Option<PathBuf>,
    },
    /// Looks into, checks, copies and folds a journal. The server must not run, but for its own backups.
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Looks at the books of a journal that no server has open.
    #[command(subcommand)]
    Ledger(runtime::ledger::LedgerCommand),
    /// The built-in authority that signs chargers' certificates (security profile 3).
    #[command(subcommand)]
    Ca(authority::CaCommand),
    /// Speaks to a running server as an operator.
    Admin(Box<admin::Args>),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chargeline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { config, command } = arguments;
    match command.unwrap_or(Command::Serve) {
        Command::CheckConfig { file } => config::cli::run(file.or(config), gateway::tls::problems),
        Command::Serve => system(serve(config)),
        Command::Demo(arguments) => system(runtime::demo::run(config, arguments)),
        Command::Sandbox(arguments) => system(runtime::sandbox::run(config, arguments)),
        Command::Journal(command) => look(&command, config),
        Command::Ledger(command) => {
            let loaded = config::load::load(&config::load::Sources::of_process(config))?;
            runtime::ledger::run(&command, &loaded.config.journal.path, &mut std::io::stdout().lock())
        }
        Command::Ca(command) => {
            let loaded = config::load::load(&config::load::Sources::of_process(config))?;
            let clock: SharedClock = Arc::new(WallClock);
            authority::run(&command, &loaded.config.tls, &clock)
        }
        Command::Admin(arguments) => system(admin::run(*arguments)),
    }
}

fn look(command: &journal::JournalCommand, file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let loaded = config::load::load(&config::load::Sources::of_process(file))?;
    let clock: SharedClock = Arc::new(WallClock);
    journal::run(command, &loaded.config.journal, &clock, &mut std::io::stdout().lock())
}

/// Runs on actix' own single-threaded runtime, which the supervision tree hangs from.
fn system(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    actix::System::new().block_on(work)
}

async fn serve(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let sources = config::load::Sources::of_process(file);
    let loaded = config::load::load(&sources)?;
    let logs = logs::install(&loaded.config.telemetry)?;
    let served = runtime::serve(loaded.config, sources, Some(logs)).await?;
    let at = served.addresses;
    let tls = at.ocpp_tls.map(tracing::field::display);
    tracing::info!(ocpp = %at.ocpp, ocpp_tls = tls, partner = %at.partner, operator = %at.operator, metrics = %at.metrics, "listening");
    served.until_signal().await?;
    Ok(ExitCode::SUCCESS)
}
