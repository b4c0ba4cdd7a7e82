//! A fleet beyond what one process may have open files: chargers in the server's own process, each on bytes in memory instead
//! of a socket. All else is the server as it ships: handshakes admitted, frames read, actors, the journal on disk (SC-1).

use crate::figure::{Limit, tell};
use crate::host::identity;
use crate::process::Process;
use crate::wire::Wire;
use anyhow::{Context as _, anyhow, ensure};
use chargeline::config::load::{Sources as Settings, load};
use chargeline::domain::charger::{BootPolicy, Registration};
use chargeline::gateway::Access;
use chargeline::ids::ChargerId;
use chargeline::runtime::{self, Runtime};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loadtest::server::{Ports, config_text};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::DuplexStream;

/// As many as are asked for if nobody says how many: some of any machine's memory.
const CHARGERS: usize = 1_000_000;
/// Chargers of a site.
const SITE: usize = 20;
/// Registrations, and boots, on the way at once: enough to share commits.
const AT_ONCE: usize = 512;
/// Between two heartbeats of a charger. With a million of them 3,333 come a second.
const HEARTBEAT: Duration = Duration::from_secs(300);
/// How long heartbeats are watched.
const WATCHED: Duration = Duration::from_secs(60);
/// Share of a processor that heartbeats and pings alone stay below.
const SETTLED: f64 = 1.0;
/// Free memory below which no more chargers are added, in bytes.
const SPARE: u64 = 2 << 30;

/// Serves in this process, connects the fleet and watches it.
pub(crate) async fn run(dir: &Path, chargers: Option<usize>) -> anyhow::Result<()> {
    let wanted = chargers.unwrap_or(CHARGERS);
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir)?;
    let file = dir.join("config.toml");
    std::fs::write(&file, config_text(Ports::free()?, dir))?;
    let sources = Settings::of_process(Some(file));
    let mut config = load(&sources)?.config;
    // One address stands for the whole fleet, and there is no flood to keep off.
    config.gateway.connections_max = wanted + 1;
    config.gateway.handshakes_per_second = 1_000_000;
    config.gateway.handshakes_in_flight = 100_000;
    config.gateway.handshakes_per_address = 100_000;
    config.gateway.ping_interval = HEARTBEAT;
    config.charger.heartbeat = HEARTBEAT;
    let served = runtime::serve(config, sources, None).await?;
    let runtime = Arc::clone(&served.runtime);
    let clients = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let measured = clients.spawn(fleet(runtime, wanted)).await;
    clients.shutdown_background();
    measured?
}

async fn fleet(runtime: Arc<Runtime>, wanted: usize) -> anyhow::Result<()> {
    let process = Process(std::process::id());
    let empty = process.memory()?;
    let begun = Instant::now();
    let register = |n| {
        let runtime = Arc::clone(&runtime);
        async move { runtime.register(&charger(n)?, registration(n)?).await.map_err(anyhow::Error::msg) }
    };
    stream::iter((0..wanted).map(register)).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let registered = (process.memory()?, begun.elapsed());
    eprintln!("{wanted} registered in {:.0?}, {:.1} GB", registered.1, registered.0 / 1e9);
    let begun = Instant::now();
    let beats = Arc::<AtomicU64>::default();
    let come = |n| come(Arc::clone(&runtime), n, Arc::clone(&beats));
    let mut coming = stream::iter((0..wanted).map(come)).buffer_unordered(AT_ONCE);
    let mut connected = 0_usize;
    while let Some(one) = coming.next().await {
        one?;
        connected += 1;
        if connected.is_multiple_of(50_000) {
            eprintln!("{connected} connected, {:.1} GB", process.memory()? / 1e9);
            ensure!(free()? > SPARE, "no memory is left after {connected} chargers");
        }
    }
    let took = begun.elapsed();
    process.below(SETTLED).await?;
    let (memory, cpu, before) = (process.memory()?, process.cpu_s()?, beats.load(Ordering::Relaxed));
    tokio::time::sleep(WATCHED).await;
    let cpu = (process.cpu_s()? - cpu) / WATCHED.as_secs_f64();
    let heartbeats = (beats.load(Ordering::Relaxed) - before) as f64 / WATCHED.as_secs_f64();
    let each = (memory - empty) / wanted as f64;
    let against = format!(
        "{wanted} chargers in one process, {:.1} GB; both ends of each and its journal's cache; registered in {:.0} s, booted in {:.0} s",
        memory / 1e9,
        registered.1.as_secs_f64(),
        took.as_secs_f64()
    );
    tell("million_charger_bytes", each, "bytes", Limit::None, &against);
    let against =
        format!("heartbeats every {HEARTBEAT:?} a charger, {heartbeats:.0} a second, and as many pings; both ends");
    tell("million_cpu_share", cpu, "cores", Limit::None, &against);
    Ok(())
}

fn charger(n: usize) -> anyhow::Result<ChargerId> {
    identity(n).parse().map_err(|error| anyhow!("{error}"))
}

fn registration(n: usize) -> anyhow::Result<Registration> {
    Ok(Registration {
        site: format!("bench-{}", n / SITE).parse().map_err(|error| anyhow!("{error}"))?,
        connectors: 1,
        boot: BootPolicy::Accepted,
        auth: serde_json::to_string(&Access::Open)?.into(),
        profile: None,
        raising: None,
        rotation: None,
    })
}

/// Connects one, boots it, and has it live on.
async fn come(runtime: Arc<Runtime>, n: usize, beats: Arc<AtomicU64>) -> anyhow::Result<()> {
    let stream = runtime.memory.connect(&charger(n)?).context("a charger was not let in")?;
    let mut wire = Wire::over(stream);
    wire.boot(1).await?;
    // Spread, as a real fleet's are.
    let first = HEARTBEAT.mul_f64((n as f64 * 0.618_034) % 1.0);
    tokio::spawn(live(wire, first, beats));
    Ok(())
}

async fn live(mut wire: Wire<DuplexStream>, first: Duration, beats: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut wait = first;
    loop {
        wire.serve_until(tokio::time::sleep(wait)).await?;
        wire.call("Heartbeat", "{}").await?;
        beats.fetch_add(1, Ordering::Relaxed);
        wait = HEARTBEAT;
    }
}

/// Memory that the machine has left, in bytes.
fn free() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).context("no MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}
