//! Benchmarks of the whole server: the real process, real sockets, a client that takes little of the
//! processor that both share. `cargo xtask bench` builds the server as it ships, then this, and runs it once a group.
//!
//! Owns the figures named in [`GROUPS`]. The same program is two of the servers too: the bare responder (`bare ADDRESS`),
//! and Chargeline on a journal in memory (`serve --config FILE` in a directory with the marker).

mod bare;
mod charge;
mod curve;
mod durable;
mod figure;
mod growth;
#[cfg(feature = "heap")]
mod heap;
mod heartbeat;
mod host;
mod hostile;
mod idle;
mod keeper;
mod million;
mod process;
mod ready;
mod sink;
mod slow;
mod stored;
mod storm;
mod webhook;
mod wire;

use anyhow::{Context, bail};
use chargeline::config::load::{Sources as Settings, load};
use chargeline::runtime;
use chargeline::telemetry::logs;
use loadtest::net::Sources;
use std::path::PathBuf;
use std::sync::Arc;

/// The allocator of the program as it ships, for the servers that are this program.
#[cfg(not(feature = "heap"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Its settings there.
#[cfg(not(feature = "heap"))]
#[allow(unsafe_code, reason = "jemalloc reads its settings from a symbol of this name")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &u8 = &b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,tcache_nslots_small_min:4,tcache_nslots_small_max:16\0"[0];

/// What figures' names begin with; each group is measured as a whole.
const GROUPS: &[&str] = &[
    "cost",
    "curve",
    "durable",
    #[cfg(feature = "heap")]
    "heap",
    "heartbeat",
    "hostile",
    "idle",
    "ready",
    "slow",
    "storm",
    "webhook",
];

/// Where things are. A responder that could not be had is the reason why.
struct Paths {
    server: PathBuf,
    work: PathBuf,
    loadtest: Result<PathBuf, String>,
    kit: Result<PathBuf, String>,
    python: Result<PathBuf, String>,
    node_modules: Result<PathBuf, String>,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["bare", address] => bare::serve(address),
        ["keep", whom, at, chargers] => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let sources = Arc::new(Sources::new(u64::from(std::process::id())));
            runtime.block_on(keeper::keep(whom, at, chargers, &sources))
        }
        ["million"] => actix::System::new().block_on(million::run(&million_in()?, None)),
        ["million", chargers] => actix::System::new().block_on(million::run(&million_in()?, Some(chargers.parse()?))),
        ["serve", "--config", file] => {
            #[cfg(feature = "heap")]
            heap::watch();
            actix::System::new().block_on(serve(file.into()))
        }
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(measure(&words))
        }
    }
}

fn million_in() -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute("target/bench")?.join("million"))
}

async fn measure(names: &[&str]) -> anyhow::Result<()> {
    let wanted = |group: &str| names.is_empty() || names.iter().any(|name| name.starts_with(group));
    if let Some(name) = names.iter().find(|name| !GROUPS.iter().any(|group| name.starts_with(group))) {
        bail!("no figure `{name}`: they begin with {}", GROUPS.join(", "));
    }
    let given = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    // Told by `cargo xtask bench` as a path, or as the reason why there is none.
    let peer = |name: &str| {
        let text = given(name)?;
        text.strip_prefix("!").map_or_else(|| Ok(PathBuf::from(&text)), |why| Err(why.to_owned()))
    };
    let server = given("BENCH_SERVER").map_err(anyhow::Error::msg)?;
    let paths = Paths {
        server: PathBuf::from(server).canonicalize().context("the server's program")?,
        // Absolute: the servers work in directories of their own.
        work: std::path::absolute("target/bench")?.join(std::process::id().to_string()),
        loadtest: peer("BENCH_LOADTEST"),
        kit: peer("BENCH_KIT"),
        python: peer("BENCH_PYTHON"),
        node_modules: peer("BENCH_NODE_MODULES"),
    };
    std::fs::create_dir_all(&paths.work)?;
    let sources = Arc::new(Sources::new(u64::from(std::process::id())));
    for &group in GROUPS.iter().filter(|group| wanted(group)) {
        let measured = match group {
            "cost" => growth::run(&paths, &sources).await,
            "curve" => curve::run(&paths, &sources).await,
            "durable" => durable::run(&paths, &sources).await,
            #[cfg(feature = "heap")]
            "heap" => heap::run(&paths, &sources).await,
            "heartbeat" => heartbeat::run(&paths, &sources).await,
            "hostile" => hostile::run(&paths, &sources).await,
            "idle" => idle::run(&paths, &sources).await,
            "ready" => ready::run(&paths, &sources).await,
            "slow" => slow::run(&paths, &sources).await,
            "storm" => storm::run(&paths).await,
            _ => webhook::run(&paths, &sources).await,
        };
        measured.with_context(|| format!("{group}; what the servers said is in {}", paths.work.display()))?;
    }
    std::fs::remove_dir_all(&paths.work)?;
    anyhow::ensure!(figure::short() == 0, "{} figures fall short of their limit", figure::short());
    Ok(())
}

/// Chargeline as `chargeline serve` runs it, on the journal in memory if the marker is there.
async fn serve(file: PathBuf) -> anyhow::Result<()> {
    let sources = Settings::of_process(Some(file));
    let loaded = load(&sources)?;
    let logs = logs::install(&loaded.config.telemetry)?;
    let served = if std::path::Path::new(host::IN_MEMORY).exists() {
        runtime::serve_in_memory(loaded.config, sources, Some(logs)).await?
    } else if std::path::Path::new(host::REBINDING).exists() {
        runtime::serve_resolving(loaded.config, sources, Some(logs), Arc::new(hostile::Rebinding::default())).await?
    } else {
        runtime::serve(loaded.config, sources, Some(logs)).await?
    };
    Ok(served.until_signal().await?)
}
