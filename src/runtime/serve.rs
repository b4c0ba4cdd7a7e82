//! `chargeline serve`: from the configuration to the last socket.

use super::assemble::{AssembleError, Base, Parts, assemble};
use super::descriptors::{Shares, share_out};
use super::memory::Memory;
use super::{Addresses, Runtime, Threads, Workers, http, tls};
use crate::actors::charger::frames::GatewayFrames;
use crate::actors::charger::placement::ArbiterPlacement;
use crate::actors::charger::register::GatewayRegister;
use crate::actors::configuration::{Configuration, Swaps};
use crate::actors::service::{Phase, PhaseCell, Service, UserLocks};
use crate::actors::webhook::{Lookup, SystemLookup, WebhookService};
use crate::api::operator::{OperatorApi, OperatorToken};
use crate::api::partner::PartnerApi;
use crate::api::server;
use crate::clock::{SharedClock, Timestamp, WallClock};
use crate::config::Config;
use crate::config::live::{LiveConfig, Version};
use crate::config::load::Sources;
use crate::gateway::listener::Room;
#[cfg(feature = "testing")]
use crate::gateway::memory::MemoryGateway;
use crate::gateway::tls::TlsError;
use crate::gateway::{Gateway, GatewayHandle, listener};
use crate::persistence::vault::Vault;
use crate::persistence::{Journal as _, JournalError, SharedJournal, SledJournal};
use crate::telemetry::exporter::{self, Exporter};
use crate::telemetry::logs::Logs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Threads that run HTTP. Calls wait for actors, not for the processor.
const HTTP_THREADS: usize = 2;

/// Threads beside them that read the store and the logs, at most (as [`crate::actors::tree::Arbiters`] has few).
const HTTP_READERS: usize = 8;

/// The exit status after a failed journal: `EX_SOFTWARE` of sysexits.h, so that a supervisor can tell it apart.
const FAILED_JOURNAL: i32 = 70;

/// Why the process does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store.
    #[error("the journal: {0}")]
    Journal(#[from] JournalError),
    /// The master key.
    #[error("the key file: {0}")]
    Vault(#[from] crate::persistence::VaultError),
    /// An address is taken or not ours.
    #[error("{what} cannot listen on {address}: {source}")]
    Listen {
        /// The configuration's key.
        what: &'static str,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The parts do not join.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// Metrics, threads, signals, the operator's token file.
    #[error("{0}")]
    Start(String),
    /// A configuration.
    #[error("{0}")]
    Config(#[from] crate::config::check::Problems),
}

/// A process that serves.
pub struct Served {
    /// It.
    pub runtime: Arc<Runtime>,
    /// Where it listens.
    pub addresses: Addresses,
    configuration: Arc<Configuration>,
    limit: std::time::Duration,
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { what, address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// The sockets of HTTP.
struct Listeners {
    partner: TcpListener,
    operator: TcpListener,
    metrics: TcpListener,
}

async fn listeners(config: &Config, gateway: &GatewayHandle) -> Result<(Listeners, Addresses), ServeError> {
    let (partner, partner_at) = listen("api.partner_listen", config.api.partner_listen).await?;
    let (operator, operator_at) = listen("api.operator_listen", config.api.operator_listen).await?;
    let (metrics, metrics_at) = listen("telemetry.metrics_listen", metrics_address(config)?).await?;
    let (ocpp, ocpp_tls) = (gateway.local_addr(), gateway.tls_addr());
    let addresses = Addresses { ocpp, ocpp_tls, partner: partner_at, operator: operator_at, metrics: metrics_at };
    Ok((Listeners { partner, operator, metrics }, addresses))
}

/// Starts everything and recovers. Returns once the process is ready.
///
/// # Errors
/// See [`ServeError`]; nothing is left running that matters.
pub async fn serve(config: Config, sources: Sources, logs: Option<Logs>) -> Result<Served, ServeError> {
    serve_on(config, sources, logs, (|store, _| store, Arc::new(SystemLookup))).await
}

/// As [`serve`], but everything is kept in memory: what a bench sets the journal's cost against. Nothing survives.
///
/// # Errors
/// See [`ServeError`].
#[cfg(feature = "testing")]
pub async fn serve_in_memory(config: Config, sources: Sources, logs: Option<Logs>) -> Result<Served, ServeError> {
    let memory = |_: SharedJournal, clock: &SharedClock| crate::persistence::MemoryJournal::new(clock) as SharedJournal;
    serve_on(config, sources, logs, (memory, Arc::new(SystemLookup))).await
}

/// As [`serve`], but names of webhooks are resolved by this: what a bench plays a hostile resolver with.
///
/// # Errors
/// See [`ServeError`].
#[cfg(feature = "testing")]
pub async fn serve_resolving(
    config: Config,
    sources: Sources,
    logs: Option<Logs>,
    lookup: Arc<dyn Lookup>,
) -> Result<Served, ServeError> {
    serve_on(config, sources, logs, (|store, _| store, lookup)).await
}

/// What keeps the process from starting, as text.
fn start(error: impl ToString) -> ServeError {
    ServeError::Start(error.to_string())
}

async fn serve_on(
    config: Config,
    sources: Sources,
    logs: Option<Logs>,
    (choose, lookup): (impl FnOnce(SharedJournal, &SharedClock) -> SharedJournal, Arc<dyn Lookup>),
) -> Result<Served, ServeError> {
    let (clock, exporter) = (Arc::new(WallClock) as SharedClock, exporter::install().map_err(start)?);
    let shares = share_out(&config)?;
    let store = open_store(&config, &clock).await?;
    let journal = choose(store.clone(), &clock);
    let vault = Arc::new(Vault::open(&config.journal.key_file, journal.clone()).await?);
    let swaps = Swaps::new(&config);
    let base = Base {
        config: &config,
        swaps: &swaps,
        clock: clock.clone(),
        journal: journal.clone(),
        vault: vault.clone(),
        lookup,
    };
    let parts = assemble(base).await?;
    let (configuration, fresh) = configured(&config, &parts, &journal, (swaps, sources, logs), &clock).await?;
    let (phase, open, shutdown) = (Arc::<PhaseCell>::default(), Arc::<AtomicBool>::default(), CancellationToken::new());
    let service = Arc::new(service(&parts, &config, (&store, &journal), &vault, &configuration, &phase, &clock));
    let (threads, handshakes) = (workers("http", HTTP_THREADS)?, workers("handshake", 1)?);
    let memory = Memory::new(config.engine.memory_max);
    threads.spawn(Arc::clone(&memory).watch());
    let ports = || ports(&parts, &journal, &open, &memory, &clock);
    #[cfg(feature = "testing")]
    let in_memory = MemoryGateway::new(Arc::clone(&configuration.swaps.gateway), ports());
    let gateway = gateway(&configuration, ports(), shares.chargers)?;
    let (gateway, keeper) = secured(gateway, &parts, &configuration, &clock)?;
    let handle = gateway.handle().map_err(start)?;
    let (listeners, addresses) = listeners(&config, &handle).await?;
    let runtime = Arc::new(Runtime {
        service: Arc::clone(&service),
        phase,
        store,
        clock,
        chargers: parts.chargers,
        partners: parts.partners,
        platform: parts.platform,
        open,
        gateway: Some(handle),
        threads: Mutex::new(None),
        shutdown: shutdown.clone(),
        #[cfg(feature = "testing")]
        memory: in_memory,
    });
    let token = OperatorToken::load_or_make(&config.api.operator_token_file).map_err(start)?;
    let load = http::load(&parts.arbiters, memory, &threads);
    let partner_api = http::partner_api(&service, &configuration.live, horizon(&config, &runtime), load);
    let operator_api = http::operator_api(&service, &configuration.live, token);
    let bounds = (&shares, &configuration.live, &shutdown);
    let servers = serve_http(listeners, (partner_api, operator_api, exporter), bounds, &threads);
    run_gateway((gateway, keeper), &handshakes, &threads, &shutdown);
    runtime.spawn_watchers(&threads);
    let threads = Threads { arbiters: parts.arbiters, http: threads, handshakes, servers };
    *runtime.threads.lock().unwrap_or_else(PoisonError::into_inner) = Some(threads);
    runtime.recover().await?;
    if let Some(version) = fresh {
        configuration.keep(&version).await.map_err(start)?;
    }
    Ok(Served { runtime, addresses, configuration, limit: config.api.drain_timeout })
}

/// Serves HTTP. Those of the servers that have calls under way to finish at the end.
fn serve_http(
    listeners: Listeners,
    (partner, operator, exporter): (PartnerApi, OperatorApi, Exporter),
    (shares, live, shutdown): (&Shares, &Arc<LiveConfig>, &CancellationToken),
    threads: &Workers,
) -> Vec<JoinHandle<()>> {
    let stop = || shutdown.clone();
    threads.spawn(exporter.clone().upkeep());
    threads.spawn(server::serve_metrics(listeners.metrics, exporter.router(), live.clone(), stop()));
    vec![
        threads.spawn(server::serve_partner(listeners.partner, partner, live.clone(), shares.partners, stop())),
        threads.spawn(server::serve_operator(listeners.operator, operator, live.clone(), shares.operators, stop())),
    ]
}

/// The configuration in force; its version too, if it is not kept yet.
async fn configured(
    config: &Config,
    parts: &Parts,
    journal: &SharedJournal,
    (swaps, sources, logs): (Swaps, Sources, Option<Logs>),
    clock: &SharedClock,
) -> Result<(Arc<Configuration>, Option<Version>), ServeError> {
    let kept = Configuration::kept(&**journal).await?;
    let (live, fresh) = LiveConfig::start(config.clone(), kept, clock.now())?;
    let (live, platform, clock) = (Arc::new(live), parts.platform.clone(), clock.clone());
    Ok((Arc::new(Configuration { live, swaps, platform, sources, logs, clock }), fresh))
}

/// Before this moment an earlier process may have accepted a signed request whose nonce nobody remembers (EM-3).
fn horizon(config: &Config, runtime: &Runtime) -> Timestamp {
    let (now, downtime) = (runtime.clock.now(), runtime.store.downtime());
    if downtime.is_zero() { now } else { now.min(now - downtime + config.journal.alive_interval) }
}

async fn open_store(config: &Config, clock: &SharedClock) -> Result<Arc<SledJournal>, ServeError> {
    let (settings, their) = (config.journal.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || SledJournal::open(&settings, &their)).await;
    let store = opened.map_err(start)??;
    store.on_fatal(Box::new(|why| {
        // A failed sync is never retried and believed: stop, and recover from what the disk holds (RT-7).
        tracing::error!(why, "the journal has failed and the process stops");
        // The log's own thread may not get to it any more.
        let _ = writeln!(io::stderr(), "chargeline: the journal has failed and the process stops: {why}");
        std::process::exit(FAILED_JOURNAL);
    }));
    Ok(store)
}

fn workers(name: &str, threads: usize) -> Result<Workers, ServeError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(HTTP_READERS)
        .thread_name(name)
        .enable_all()
        .build()
        .map(|runtime| Workers(Some(runtime)))
        .map_err(|error| ServeError::Start(error.to_string()))
}

fn metrics_address(config: &Config) -> Result<SocketAddr, ServeError> {
    let text = &config.telemetry.metrics_listen;
    text.parse().map_err(|error| ServeError::Start(format!("telemetry.metrics_listen = {text:?}: {error}")))
}

fn ports(
    parts: &Parts,
    journal: &SharedJournal,
    open: &Arc<AtomicBool>,
    memory: &Arc<Memory>,
    clock: &SharedClock,
) -> listener::Ports {
    let memory = Arc::clone(memory);
    let placement = ArbiterPlacement {
        chargers: parts.chargers.clone(),
        parts: parts.connections.clone(),
        journal: journal.clone(),
        open: Arc::clone(open),
        pulse: parts.arbiters.pulse(),
    };
    listener::Ports {
        register: Arc::new(GatewayRegister::new(Arc::clone(&parts.register), parts.alerts.clone())),
        frames: Arc::new(GatewayFrames(parts.messages.clone())),
        placement: Arc::new(placement),
        clock: clock.clone(),
        pepper: Arc::clone(&parts.pepper),
        memory: Arc::new(move || memory.now()),
    }
}

fn gateway(configuration: &Configuration, ports: listener::Ports, room: Room) -> Result<Gateway, ServeError> {
    let settings = Arc::clone(&configuration.swaps.gateway);
    let address = settings.load().listen.to_string();
    Gateway::bind(settings, ports, room).map_err(|source| ServeError::Listen {
        what: "gateway.listen",
        address,
        source,
    })
}

fn run_gateway(
    (gateway, keeper): (Gateway, Option<tls::Keeper>),
    handshakes: &Workers,
    threads: &Workers,
    shutdown: &CancellationToken,
) {
    handshakes.spawn(gateway.run());
    if let Some(keeper) = keeper {
        threads.spawn(keeper.run(shutdown.clone()));
    }
}

/// The gateway with its TLS listener, if there is to be one, and what keeps its certificates fresh.
fn secured(
    gateway: Gateway,
    parts: &Parts,
    configuration: &Configuration,
    clock: &SharedClock,
) -> Result<(Gateway, Option<tls::Keeper>), ServeError> {
    let Some((port, keeper)) = tls::open(&configuration.live, &parts.alerts, clock)? else {
        return Ok((gateway, None));
    };
    let address = port.listen.to_string();
    let failed = |source| ServeError::Listen { what: "tls.listen", address, source };
    Ok((gateway.with_tls(port).map_err(failed)?, Some(keeper)))
}

fn service(
    parts: &Parts,
    config: &Config,
    (store, journal): (&Arc<SledJournal>, &SharedJournal),
    vault: &Arc<Vault>,
    configuration: &Arc<Configuration>,
    phase: &Arc<PhaseCell>,
    clock: &SharedClock,
) -> Service {
    Service {
        chargers: parts.chargers.clone(),
        partners: parts.partners.clone(),
        platform: parts.platform.clone(),
        accounts: parts.accounts.clone(),
        statements: parts.statements.clone(),
        office: parts.office.clone(),
        operators: Arc::clone(&parts.operators),
        ticketing: tokio::sync::Mutex::default(),
        payment_secret: parts.payment_secret.clone(),
        register: Arc::clone(&parts.register),
        directory: Arc::clone(&parts.directory),
        webhooks: WebhookService::new(journal.clone(), Arc::clone(&parts.board)),
        journal: journal.clone(),
        store: Arc::clone(store),
        vault: Arc::clone(vault),
        pepper: Arc::clone(&parts.pepper),
        tokens: Arc::clone(&parts.tokens),
        tariffs: Arc::clone(&parts.tariffs),
        board: Arc::clone(&parts.board),
        sender: Arc::clone(&parts.sender),
        configuration: Arc::clone(configuration),
        alerts: parts.alerts.clone(),
        clock: clock.clone(),
        reserving: UserLocks::default(),
        feed: crate::actors::catalogue::Feed::default(),
        phase: Arc::clone(phase),
        messages: parts.messages.clone(),
        backups: config.journal.path.with_extension("backups"),
    }
}

impl Served {
    /// Serves until a signal, then stops: SIGTERM or SIGINT in good order, a second one at once, SIGHUP reads the
    /// configuration again.
    ///
    /// # Errors
    /// When signals cannot be heard.
    pub async fn until_signal(self) -> Result<(), ServeError> {
        let hear = |kind| signal(kind).map_err(|error| ServeError::Start(format!("signals: {error}")));
        let (mut term, mut int, mut hup) =
            (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?, hear(SignalKind::hangup())?);
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hup.recv() => match self.configuration.reload().await {
                    Ok(version) => tracing::info!(version, "the configuration was read again"),
                    Err(error) => tracing::error!(%error, "the configuration stays as it was"),
                },
            }
        }
        tokio::select! {
            () = self.stop(false) => {}
            () = second(&mut term, &mut int) => {
                // All that was acknowledged is durable: nothing is lost by going at once.
                tracing::warn!("a second signal: out at once");
                std::process::exit(1);
            }
        }
        Ok(())
    }

    /// Stops in good order.
    pub async fn stop(&self, restart: bool) {
        Arc::clone(&self.runtime).stop(restart, self.limit).await;
    }

    /// Whether recovery is over.
    pub fn is_ready(&self) -> bool {
        self.runtime.phase.get() == Phase::Ready
    }
}

async fn second(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
