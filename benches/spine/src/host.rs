//! A server under measurement: the real process with a directory of its own, and what is registered with it. Owns its
//! configuration where it departs from the defaults, each departure with its reason.

use crate::process::Process;
use crate::wire::Wire;
use anyhow::{Context, ensure};
use axum::http::Method;
use chargeline::config::load::{Sources as Settings, load};
use futures_util::{StreamExt, TryStreamExt, stream};
use loadtest::net::Sources;
use loadtest::operator::Operator;
use loadtest::partner::http_client;
use loadtest::server::{Ports, Server, config_text};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether anything is still folded away, and after how many looks without any it is over: longer than the pause
/// between two bouts.
const FOLDED_LOOK: Duration = Duration::from_secs(2);
const FOLDED_LOOKS: u32 = 6;
/// Snapshots between two looks that are no bout: a few a second are always due.
const FOLDED_FEW: f64 = 20.0;
/// Calls on the way at once while a fleet is registered or connects: enough to share commits.
const AT_ONCE: usize = 48;
/// Chargers of a site.
const SITE: usize = 20;
/// The password of every charger of a bench.
pub(crate) const PASSWORD: &str = "bench-password-1";

/// What is asked of a server beyond the defaults of a test server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// Whether all is kept in memory. The program is then this one, which can; see `serve`.
    pub(crate) in_memory: bool,
    /// Whether the program is this one in any case, so that two sides differ in the journal alone.
    pub(crate) same_program: bool,
    /// Whether names change between two looks; see [`crate::hostile::Rebinding`]. The program is then this one.
    pub(crate) rebinding: bool,
    /// The smallest page cache, where the cache's own growth would count as the chargers'.
    pub(crate) small_cache: bool,
}

/// A running server.
pub(crate) struct Host {
    server: Server,
    dir: PathBuf,
    /// Operators' calls.
    pub(crate) operator: Operator,
}

/// The marker in its directory that makes a server of this program keep all in memory.
pub(crate) const IN_MEMORY: &str = "in-memory";
/// The marker that makes it resolve names as a hostile resolver would.
pub(crate) const REBINDING: &str = "rebinding";

impl Host {
    /// Starts a server in `name` below the benches' directory.
    pub(crate) async fn start(paths: &crate::Paths, name: &str, wishes: Wishes) -> anyhow::Result<Host> {
        let dir = paths.work.join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let own = wishes.in_memory || wishes.same_program || wishes.rebinding;
        let program = if own { std::env::current_exe()? } else { paths.server.clone() };
        let mut server = Server::new(&program, &dir)?;
        std::fs::write(dir.join("config.toml"), configuration(server.ports(), &dir, &wishes)?)?;
        if wishes.in_memory {
            std::fs::write(dir.join(IN_MEMORY), "")?;
        }
        if wishes.rebinding {
            std::fs::write(dir.join(REBINDING), "")?;
        }
        server.start()?;
        server.ready(START_MAX).await?;
        let operator = Operator::new(&format!("http://127.0.0.1:{}", server.ports().operator), &server.token()?)?;
        Ok(Host { server, dir, operator })
    }

    /// Its process.
    pub(crate) fn process(&self) -> anyhow::Result<Process> {
        Ok(Process(self.server.pid().context("the server does not run")?))
    }

    /// Waits until what was written is folded away: behind the boots of a fleet that goes on for a minute or two, in bouts some seconds
    /// apart, and is no cost of what is measured then.
    pub(crate) async fn folded(&self) -> anyhow::Result<()> {
        let http = http_client(START_MAX)?;
        let url = format!("http://127.0.0.1:{}/metrics", self.server.ports().metrics);
        let (mut before, mut calm) = (0.0, 0);
        while calm < FOLDED_LOOKS {
            tokio::time::sleep(FOLDED_LOOK).await;
            let text = http.get(&url).send().await?.error_for_status()?.text().await?;
            let snapshots = text.lines().filter(|line| line.starts_with("chargeline_engine_snapshots_total"));
            let now: f64 = snapshots.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            calm = if now - before < FOLDED_FEW { calm + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }

    /// The settings of its journal.
    pub(crate) fn journal(&self) -> anyhow::Result<chargeline::config::journal::Journal> {
        Ok(load(&Settings::of_process(Some(self.server.config())))?.config.journal)
    }

    /// Where chargers connect.
    pub(crate) fn ocpp(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.ports().ocpp))
    }

    /// Registers the chargers `from..to` and their sites.
    pub(crate) async fn register(&self, from: usize, to: usize, connectors: usize) -> anyhow::Result<()> {
        let site = |n| format!("bench-{}", n / SITE);
        let put = |n| async move { self.operator.put_site(&site(n), "Bench").await };
        let sites = stream::iter((from..to).step_by(SITE).map(put)).buffer_unordered(AT_ONCE);
        sites.try_collect::<Vec<()>>().await?;
        let put = |n| async move { self.operator.put_charger(&identity(n), &site(n), connectors, PASSWORD).await };
        stream::iter((from..to).map(put)).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Registers a partner, without a webhook if `webhook` is none, and a token whose sessions are its own. Only the
    /// start and the end of a session are pushed, so that the number of events is known.
    pub(crate) async fn partner(&self, id: &str, webhook: Option<&str>) -> anyhow::Result<()> {
        let mut body = json!({"name": id, "sites": "all"});
        if let Some(url) = webhook {
            body["webhook"] = json!({"url": url, "events": ["session.started", "session.ended"]});
        }
        self.operator.call(Method::PUT, &format!("/ops/v1/partners/{id}"), Some(body)).await?;
        if webhook.is_some() {
            self.operator.make_webhook_secret(id).await?;
            // A bad endpoint gives no challenge back: what it does once it is trusted is what is played.
            let vouch = format!("/ops/v1/partners/{id}/webhook/vouch");
            self.operator.call(Method::POST, &vouch, Some(json!({}))).await?;
        }
        self.operator.put_token(&format!("tag-{id}"), "Accepted", id).await
    }

    /// Connects the chargers `from..to`, without a word.
    pub(crate) async fn connect(&self, from: usize, to: usize, sources: &Arc<Sources>) -> anyhow::Result<Vec<Wire>> {
        let at = self.ocpp();
        let one = |n| {
            let sources = Arc::clone(sources);
            async move { Wire::connect(at, &identity(n), Some(PASSWORD), &sources).await }
        };
        stream::iter((from..to).map(one)).buffered(AT_ONCE).try_collect().await
    }

    /// Connects and boots them.
    pub(crate) async fn fleet(&self, from: usize, to: usize, sources: &Arc<Sources>) -> anyhow::Result<Vec<Wire>> {
        boot(self.connect(from, to, sources).await?, 1).await
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill().await
    }

    /// Starts it again; the time from the start of the process to ready.
    pub(crate) async fn again(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.server.start()?;
        self.server.ready(START_MAX).await?;
        Ok(begun.elapsed())
    }

    /// Ends it and removes its directory.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.server.kill().await?;
        Ok(std::fs::remove_dir_all(&self.dir)?)
    }
}

/// Boots connected chargers.
pub(crate) async fn boot(wires: Vec<Wire>, connectors: u16) -> anyhow::Result<Vec<Wire>> {
    let one = |mut wire: Wire| async move {
        wire.boot(connectors).await?;
        anyhow::Ok(wire)
    };
    let wires: Vec<Wire> = stream::iter(wires.into_iter().map(one)).buffered(AT_ONCE).try_collect().await?;
    ensure!(!wires.is_empty(), "no chargers");
    Ok(wires)
}

/// A charger's identity.
pub(crate) fn identity(n: usize) -> String {
    format!("BENCH-{n:05}")
}

/// A test server's configuration with the benches' departures from it.
fn configuration(ports: Ports, dir: &Path, wishes: &Wishes) -> anyhow::Result<String> {
    let mut all: toml::Table = config_text(ports, dir).parse()?;
    let mut set = |section: &str, key: &str, value: toml::Value| {
        let section = all.entry(section).or_insert_with(|| toml::Table::new().into());
        section.as_table_mut().and_then(|section| section.insert(key.to_owned(), value));
    };
    // One address stands for a whole fleet, and a charger that answers at once sends more than one may.
    set("gateway", "messages_per_second", 1_000_000.into());
    set("gateway", "messages_burst", 1_000_000.into());
    set("gateway", "handshakes_per_address", 1_024.into());
    set("gateway", "handshakes_per_second", 20_000.into());
    // As it is by default: what is asked of a charger at its first boot costs memory and time.
    set("charger", "configure", true.into());
    // The shortest allowed: sessions of a bench follow each other in fractions of a second.
    set("session", "linger", "1m".into());
    // Without the limit to one endpoint, which would be what is measured.
    set("webhook", "rate_per_s", 0.into());
    if wishes.small_cache {
        set("journal", "cache_bytes", 8_388_608.into());
    }
    Ok(all.to_string())
}
