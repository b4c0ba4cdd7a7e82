//! `chargeline demo`: the server with a simulated fleet and a demo partner in the same process. Owns the joining of the two; the
//! fleet is `loadtest`'s, and speaks to the server over its public faces only.

use super::serve;
use crate::config::load::{Sources, load};
use crate::telemetry::logs;
use anyhow::Context;
use loadtest::demo::{DemoFleet, DemoOptions};
use loadtest::fleet::Endpoints;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the demo's chargers are told to read their meters.
const READINGS: Duration = Duration::from_secs(3);

/// What the demonstration is to be.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Chargers, of two connectors each.
    #[arg(long, default_value_t = 20)]
    chargers: usize,
    /// Decides every random choice of the fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where journal and fleet are kept, apart from a real server's.
    #[arg(long, default_value = "./data/demo")]
    directory: PathBuf,
}

/// Runs until Ctrl-C. Started again it goes on where it was, also after a `kill -9`.
///
/// # Errors
/// When the server cannot start or the fleet cannot be registered.
pub async fn run(file: Option<PathBuf>, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let sources = Sources::of_process(file);
    let mut config = load(&sources)?.config;
    config.journal.path = arguments.directory.join("journal");
    config.message_log.path = arguments.directory.join("messages");
    // The demo partner's endpoint is on this machine.
    config.webhook.allow_http = true;
    config.webhook.ports = Vec::new();
    config.webhook.allow_cidrs.push("127.0.0.0/8".parse().context("a network")?);
    // A demonstration lasts minutes: readings every few seconds.
    config.session.sample_interval = READINGS;
    config.session.progress_every = READINGS;
    // The table has the screen.
    config.telemetry.log_filter = "error".to_owned();
    let logs = logs::install(&config.telemetry)?;
    let mut options = DemoOptions::in_dir(arguments.directory.join("fleet"));
    options.chargers = arguments.chargers;
    options.seed = arguments.seed;
    let token_file = config.api.operator_token_file.clone();
    let mut fleet = DemoFleet::open(options.clone()).await?;
    let served = serve(config, sources, Some(logs)).await?;
    let at = served.addresses;
    let http = |address: std::net::SocketAddr, path: &str| format!("http://127.0.0.1:{}{path}", address.port());
    fleet.set_urls(vec![
        ("partner API".to_owned(), http(at.partner, "/docs")),
        ("operator API".to_owned(), http(at.operator, "/readyz")),
        ("metrics".to_owned(), http(at.metrics, "/metrics")),
        ("chargers".to_owned(), format!("ws://127.0.0.1:{}/ocpp/<charger>", at.ocpp.port())),
    ]);
    let endpoints = Endpoints {
        ocpp: format!("ws://127.0.0.1:{}/ocpp", at.ocpp.port()),
        partner: http(at.partner, "/api/v1"),
        operator: http(at.operator, ""),
        operator_token: std::fs::read_to_string(&token_file)
            .with_context(|| token_file.display().to_string())?
            .trim()
            .to_owned(),
    };
    fleet.start(&endpoints).await?;
    let (stop, stopped) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let until = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // The table may have ended by itself.
        let _ = stop.send(true);
    };
    let (shown, ()) = tokio::join!(fleet.show(stopped), until);
    shown?;
    fleet.shut_down().await;
    served.stop(false).await;
    println!("demo: stopped; start it again and every session goes on");
    Ok(ExitCode::SUCCESS)
}
