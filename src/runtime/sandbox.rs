//! `chargeline sandbox`: a server of its own with simulated chargers, for partners to test against (EM-13). Owns the joining of the
//! two; what each connector does is `loadtest`'s table, `docs/sandbox.md` shows it.

use super::serve;
use crate::config::Config;
use crate::config::load::{Sources, load};
use crate::telemetry::logs;
use anyhow::Context;
use loadtest::fleet::Endpoints;
use loadtest::sandbox::{Options, PARTNER, Sandbox};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// From one reading to the next, and from one `session.progress` to the next.
const READINGS: Duration = Duration::from_secs(3);
/// When a start is given up: the shortest that there is, so that nobody waits long for an error.
const START_DEADLINE: Duration = Duration::from_secs(15);

/// What the sandbox is to be.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Chargers, all alike: a connector does the same at each of them.
    #[arg(long, default_value_t = 4)]
    chargers: usize,
    /// Where events are pushed to; a plain-http address of this machine is allowed.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Where everything is kept, apart from a real server's.
    #[arg(long, default_value = "./data/sandbox")]
    directory: PathBuf,
}

/// Runs until Ctrl-C. Started again it goes on where it was, with the same access.
///
/// # Errors
/// When the server cannot start or something cannot be registered.
pub async fn run(file: Option<PathBuf>, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let sources = Sources::of_process(file);
    let mut config = load(&sources)?.config;
    settle(&mut config, &arguments.directory)?;
    let logs = logs::install(&config.telemetry)?;
    let token_file = config.api.operator_token_file.clone();
    let served = serve(config, sources, Some(logs)).await?;
    let at = served.addresses;
    let http = |address: SocketAddr, path: &str| format!("http://127.0.0.1:{}{path}", address.port());
    let token = std::fs::read_to_string(&token_file).with_context(|| token_file.display().to_string())?;
    let endpoints = Endpoints {
        ocpp: format!("ws://127.0.0.1:{}/ocpp", at.ocpp.port()),
        partner: http(at.partner, "/api/v1"),
        operator: http(at.operator, ""),
        operator_token: token.trim().to_owned(),
    };
    let Arguments { chargers, webhook, directory } = arguments;
    let sandbox = Sandbox::start(&endpoints, &Options { chargers, webhook, dir: directory.join("fleet") }).await?;
    println!("Chargeline sandbox (Ctrl-C ends it; start it again and it goes on with the same access)\n");
    println!("partner API     {}\nits documents   {}", endpoints.partner, http(at.partner, "/docs"));
    println!("operator API    {}   token in {}\n{}", endpoints.operator, token_file.display(), sandbox.describe());
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    sandbox.shut_down().await;
    served.stop(false).await;
    println!("sandbox: stopped, for partner `{PARTNER}` everything is kept in {}", directory.display());
    Ok(ExitCode::SUCCESS)
}

/// What differs from a real server: its places, short waits, and webhooks to this machine.
fn settle(config: &mut Config, directory: &Path) -> anyhow::Result<()> {
    config.journal.path = directory.join("journal");
    config.journal.key_file = directory.join("journal.key");
    config.message_log.path = directory.join("messages");
    config.api.operator_token_file = directory.join("operator.token");
    config.tls.authority_certificate_file = directory.join("ca.pem");
    config.tls.authority_key_file = directory.join("ca.key");
    config.webhook.allow_http = true;
    config.webhook.ports = Vec::new();
    config.webhook.allow_cidrs.push("127.0.0.0/8".parse().context("a network")?);
    config.session.sample_interval = READINGS;
    config.session.progress_every = READINGS;
    config.session.start_deadline = START_DEADLINE;
    // What is printed is for people to read.
    config.telemetry.log_filter = "warn".to_owned();
    config.charger.first_call_delay = Duration::ZERO;
    config.charger.first_call_spread = Duration::ZERO;
    Ok(())
}
