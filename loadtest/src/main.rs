//! The command line of the load test: `run`, `storm`, `soak`, `verify`, `crash`. Each ends with one line and an exit status.

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use loadtest::check;
use loadtest::crash::{CrashOptions, crash};
use loadtest::fleet::{Endpoints, partner_of};
use loadtest::operator::Operator;
use loadtest::report::{Watched, listening_at};
use loadtest::scenario::{self, Behaviours, Report, RunKind, Scenario, Setting, Span};
use loadtest::server::Server;
use std::path::{Path, PathBuf};
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
    /// Make load by options or by a scenario, then verify.
    Run(RunArgs),
    /// All chargers drop at once and come back, with sessions running; then verify.
    Storm {
        #[command(flatten)]
        run: RunArgs,
        /// How often they drop; 3 if nobody says otherwise.
        #[arg(long)]
        rounds: Option<u32>,
        /// The most that a round may take, as a multiple of as many bare WebSocket handshakes; 25.
        #[arg(long)]
        ratio_max: Option<f64>,
        /// The most that the partner's calls may take in a storm, p99, ms; 1000.
        #[arg(long)]
        partner_p99_max: Option<u64>,
    },
    /// Days of a fleet, long: memory, disk and latency are judged; then verify.
    Soak(RunArgs),
    /// The scenarios that come with this tool, and what each is for.
    Scenarios,
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
    /// Where the server's metrics are, for the report.
    #[arg(long, default_value = "http://127.0.0.1:9100/metrics")]
    metrics: String,
    /// A directory of the server's data whose size the report shows, as `NAME=DIR`; may come several times.
    #[arg(long, value_parser = named_dir)]
    data_dir: Vec<(String, PathBuf)>,
}

fn named_dir(text: &str) -> Result<(String, PathBuf), String> {
    let (name, dir) = text.split_once('=').ok_or("allowed: NAME=DIR, such as journal=data")?;
    let dir = Path::new(dir);
    if dir.is_dir() { Ok((name.to_owned(), dir.to_owned())) } else { Err(format!("{} is no directory", dir.display())) }
}

impl ServerArgs {
    /// What a report can look at; the process is that which listens for operators on this machine.
    fn watched(&self) -> Watched {
        let port = self.operator.rsplit(':').next().and_then(|p| p.trim_end_matches('/').parse().ok());
        let pid = port.and_then(listening_at);
        Watched { metrics_url: Some(self.metrics.clone()), pid, directories: self.data_dir.clone() }
    }

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
    /// A scenario by name, or a file; `loadtest scenarios` lists them. Options beside it win over it.
    #[arg(long)]
    scenario: Option<String>,
    /// Chargers, of two connectors each.
    #[arg(long)]
    chargers: Option<usize>,
    /// How long load is made, s.
    #[arg(long)]
    duration: Option<u64>,
    /// Sessions begun a second.
    #[arg(long)]
    starts_per_s: Option<f64>,
    /// From one MeterValues to the next of a session, s.
    #[arg(long)]
    meter_interval: Option<f64>,
    /// Chargers switched on a second.
    #[arg(long)]
    ramp: Option<u32>,
    /// Decides every random choice.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the histories are kept; a new directory below the system's own by default.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Let one connector in eight misbehave.
    #[arg(long)]
    mishaps: bool,
    /// Start this server for the run, in the directory of the run, instead of using one that is there.
    #[arg(long)]
    binary: Option<PathBuf>,
}

impl RunArgs {
    /// The scenario that is meant, with the options in it.
    fn scenario(&self, otherwise: &str) -> anyhow::Result<Scenario> {
        let mut s = match (&self.scenario, otherwise) {
            (Some(given), _) => Scenario::load(given)?,
            (None, "") => Scenario::default(),
            (None, name) => Scenario::load(name)?,
        };
        s.fleet.chargers = self.chargers.unwrap_or(s.fleet.chargers);
        s.fleet.ramp_per_s = self.ramp.unwrap_or(s.fleet.ramp_per_s);
        if let Some(interval) = self.meter_interval {
            s.fleet.meter_interval = Span(Duration::try_from_secs_f64(interval).context("--meter-interval")?);
        }
        s.load.duration = self.duration.map_or(s.load.duration, Span::secs);
        s.load.starts_per_s = self.starts_per_s.unwrap_or(s.load.starts_per_s);
        s.seed = self.seed.unwrap_or(s.seed);
        if self.mishaps {
            s.behaviours = Behaviours::MIXED;
        }
        Ok(s)
    }
}

/// How long a server may take to start or to end.
const READY_MAX: Duration = Duration::from_secs(60);
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
        Command::Run(args) => perform_run(&args, args.scenario("")?).await,
        Command::Soak(args) => {
            let mut scenario = args.scenario("soak")?;
            scenario.kind = RunKind::Soak;
            perform_run(&args, scenario).await
        }
        Command::Storm { run, rounds, ratio_max, partner_p99_max } => {
            let mut scenario = run.scenario("")?;
            scenario.kind = RunKind::Storm;
            let storm = &mut scenario.storm;
            storm.rounds = rounds.unwrap_or(storm.rounds);
            storm.ratio_max = ratio_max.unwrap_or(storm.ratio_max);
            storm.partner_p99_max = partner_p99_max.map_or(storm.partner_p99_max, |ms| Span(Duration::from_millis(ms)));
            perform_run(&run, scenario).await
        }
        Command::Scenarios => {
            for (name, _) in scenario::SHIPPED {
                println!("{name:<16} {}", Scenario::load(name)?.about);
            }
            Ok(true)
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

/// Carries a scenario out, against a server that is there or one of its own.
async fn perform_run(args: &RunArgs, scenario: Scenario) -> anyhow::Result<bool> {
    let wrong = scenario.wrong();
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    let dir = args.dir.clone().unwrap_or_else(fresh_dir);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let command: Vec<String> = std::env::args().skip(1).collect();
    let mut setting = Setting { command: format!("loadtest {}", command.join(" ")), dir, ..Setting::default() };
    let Some(binary) = &args.binary else {
        setting.watched = args.server.watched();
        return one_run(&args.server.endpoints()?, &scenario, &setting).await;
    };
    let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
    let mut server = Server::new(&binary, &setting.dir.join("server"))?;
    server.settle_as_shipped()?;
    match scenario.kind {
        RunKind::Soak => setting.message_log_max = Some(server.keep_for(scenario.soak.retention.0)?),
        RunKind::Run | RunKind::Storm | RunKind::Overload => {}
    }
    server.start()?;
    server.ready(READY_MAX).await?;
    setting.watched = server.watched();
    let held = one_run(&server.endpoints()?, &scenario, &setting).await?;
    println!("memory of the server, highest: {}", server.peak_memory().unwrap_or_else(|| "unknown".into()));
    server.stop(READY_MAX).await?;
    Ok(held)
}

async fn one_run(endpoints: &Endpoints, scenario: &Scenario, setting: &Setting) -> anyhow::Result<bool> {
    let program = std::env::current_exe()?;
    let report: Box<dyn Report> = match scenario.kind {
        RunKind::Run => Box::new(scenario::run(endpoints, scenario, setting).await?),
        RunKind::Storm => Box::new(scenario::storm(endpoints, scenario, setting, &program).await?),
        RunKind::Soak => Box::new(scenario::soak(endpoints, scenario, setting).await?),
        RunKind::Overload => Box::new(scenario::overload(endpoints, scenario, setting).await?),
    };
    println!("{}", report.ending().table);
    tell(&report.ending().verdict, &setting.dir);
    println!("report in {}\n{}", setting.dir.join("report.html").display(), report.line());
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
