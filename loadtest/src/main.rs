//! The command line of the load test: `run`, `storm`, `verify`, `crash`. Each ends with one line and an exit status.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use loadtest::check;
use loadtest::crash::{CrashOptions, crash};
use loadtest::fleet::{Endpoints, partner_of};
use loadtest::operator::Operator;
use loadtest::scenario::{self, RunOptions, StormOptions};
use loadtest::server::Server;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Simulated chargers and a partner against a Chargeline server, with verification of what became of it all.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make load, then verify.
    Run(RunArgs),
    /// All chargers drop at once and come back, with sessions running; then verify.
    Storm {
        #[command(flatten)]
        run: RunArgs,
        /// How often they drop.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// The most that a round may take, as a multiple of as many bare WebSocket handshakes.
        #[arg(long, default_value_t = 25.0)]
        ratio_max: f64,
        /// The most that the partner's calls may take in a storm, p99, ms.
        #[arg(long, default_value_t = 1_000)]
        partner_p99_max: u64,
        /// Start this server for the run, in the directory of the run, instead of using one that is there.
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// Accept WebSockets and nothing else, for `storm` to compare with.
    #[command(hide = true)]
    Bare,
    /// Verify an earlier run from its directory.
    Verify {
        /// The directory of the run.
        dir: PathBuf,
        /// Ask the server again instead of using the answers that were kept.
        #[arg(long)]
        ask: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Kill the server with SIGKILL under load, again and again; then verify.
    Crash {
        /// Kills, at least.
        #[arg(long, default_value_t = 50)]
        kills: u32,
        /// Decides every random choice; one is chosen and printed if none is given.
        #[arg(long)]
        seed: Option<u64>,
        /// The server's binary.
        #[arg(long, default_value = "target/release/chargeline")]
        binary: PathBuf,
        /// A directory for this run alone.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Chargers, of two connectors each.
        #[arg(long, default_value_t = 50)]
        chargers: usize,
        /// Sessions begun a second.
        #[arg(long, default_value_t = 10.0)]
        starts_per_s: f64,
    },
}

#[derive(Args)]
struct ServerArgs {
    /// Where chargers connect.
    #[arg(long, default_value = "ws://127.0.0.1:9000/ocpp")]
    ocpp: String,
    /// The partner API.
    #[arg(long, default_value = "http://127.0.0.1:8080/api/v1")]
    partner: String,
    /// The operator API.
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    operator: String,
    /// The file with the operator's token.
    #[arg(long, default_value = "data/operator.token")]
    token_file: PathBuf,
}

impl ServerArgs {
    fn endpoints(&self) -> anyhow::Result<Endpoints> {
        let token = std::fs::read_to_string(&self.token_file)
            .with_context(|| format!("cannot read the operator's token from {}", self.token_file.display()))?;
        Ok(Endpoints {
            ocpp: self.ocpp.clone(),
            partner: self.partner.clone(),
            operator: self.operator.clone(),
            operator_token: token.trim().to_owned(),
        })
    }
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Chargers, of two connectors each.
    #[arg(long, default_value_t = 200)]
    chargers: usize,
    /// How long load is made, s.
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// Sessions begun a second.
    #[arg(long, default_value_t = 5.0)]
    starts_per_s: f64,
    /// From one MeterValues to the next of a session, s.
    #[arg(long, default_value_t = 10.0)]
    meter_interval: f64,
    /// Chargers switched on a second.
    #[arg(long, default_value_t = 500)]
    ramp: u32,
    /// Decides every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the histories are kept; a new directory below the system's own by default.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Let one connector in eight misbehave.
    #[arg(long)]
    mishaps: bool,
}

impl RunArgs {
    fn options(&self) -> RunOptions {
        RunOptions {
            chargers: self.chargers,
            duration: Duration::from_secs(self.duration.max(1)),
            starts_per_s: self.starts_per_s,
            meter_interval: Duration::from_secs_f64(self.meter_interval.clamp(0.1, 86_400.0)),
            ramp_per_s: self.ramp,
            seed: self.seed,
            dir: self.dir.clone().unwrap_or_else(fresh_dir),
            mishaps: self.mishaps,
            length: (Duration::from_secs(5), Duration::from_secs(60)),
            settle_max: SETTLE_MAX,
        }
    }
}

/// How long a server may take to start or to end.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long the end of a run may take: the start deadline of 60 s and two webhook retries are within.
const SETTLE_MAX: Duration = Duration::from_secs(600);

fn fresh_dir() -> PathBuf {
    std::env::temp_dir().join(format!("loadtest-{}", uuid::Uuid::new_v4()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match perform(Cli::parse().command).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Carries a command out; whether what it found is good.
async fn perform(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Run(args) => {
            let options = args.options();
            let report = scenario::run(&args.server.endpoints()?, &options).await?;
            println!("{}", report.table);
            tell(&report.verdict, &options.dir);
            println!("{}", report.line());
            Ok(report.holds())
        }
        Command::Storm { run, rounds, ratio_max, partner_p99_max, binary } => {
            let partner_p99_max = Duration::from_millis(partner_p99_max);
            let options = StormOptions {
                run: run.options(),
                rounds,
                ratio_max,
                partner_p99_max,
                program: std::env::current_exe()?,
            };
            storm(&run.server, &options, binary).await
        }
        Command::Bare => loadtest::bare::serve().await.map(|()| true),
        Command::Verify { dir, ask, server } => verify(&dir, ask, &server).await,
        Command::Crash { kills, seed, binary, dir, chargers, starts_per_s } => {
            let work_dir = dir.unwrap_or_else(fresh_dir);
            let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
            let seed = seed.unwrap_or_else(rand::random);
            println!("seed {seed}, directory {}", work_dir.display());
            let users = loadtest::money::USERS;
            let options =
                CrashOptions { kills, seed, binary, work_dir: work_dir.clone(), chargers, starts_per_s, users };
            let report = crash(options).await?;
            tell(&report.verdict, &work_dir);
            println!("{}\n{}", report.money_lines(), report.line());
            Ok(report.holds())
        }
    }
}

async fn storm(given: &ServerArgs, options: &StormOptions, binary: Option<PathBuf>) -> anyhow::Result<bool> {
    let dir = &options.run.dir;
    let report = match binary {
        None => scenario::storm(&given.endpoints()?, options).await?,
        Some(binary) => {
            let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
            let mut server = Server::new(&binary, &dir.join("server"))?;
            server.settle_as_shipped()?;
            server.start()?;
            server.ready(READY_MAX).await?;
            let report = scenario::storm(&server.endpoints()?, options).await?;
            println!("memory of the server, highest: {}", server.peak_memory().unwrap_or_else(|| "unknown".into()));
            server.stop(READY_MAX).await?;
            report
        }
    };
    println!("{}", report.table);
    tell(&report.verdict, dir);
    println!("{}", report.line());
    Ok(report.holds())
}

async fn verify(dir: &std::path::Path, ask: bool, server: &ServerArgs) -> anyhow::Result<bool> {
    let (histories, kept) = check::load(dir)?;
    let answers = match kept.filter(|_| !ask) {
        Some(answers) => answers,
        None => {
            let endpoints = server.endpoints()?;
            let operator = Operator::new(&endpoints.operator, &endpoints.operator_token)?;
            check::ask_server(&histories, &operator, &partner_of(dir, &endpoints.partner)?).await?
        }
    };
    let verdict = check::check(&histories, &answers);
    tell(&verdict, dir);
    println!("{}", verdict.line());
    Ok(verdict.holds())
}

/// Violations shown; the rest is in the closing line's count.
const SHOWN: usize = 50;

fn tell(verdict: &check::Verdict, dir: &std::path::Path) {
    for violation in verdict.violations.iter().take(SHOWN) {
        println!("  {violation}");
    }
    println!("histories in {}", dir.display());
}
