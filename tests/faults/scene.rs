//! One row's surroundings: the real server in a directory of its own, its configuration, the places at which it is made to
//! fail, what was counted, and the judgement at the end. Never knows what a row is about.

use crate::shim::Shim;
use anyhow::{Context as _, Result, bail, ensure};
use chargeline::testing::{Orders, points};
use futures_util::future::join_all;
use loadtest::charger::{AtCharger, Behaviour, Profile};
use loadtest::check::Verdict;
use loadtest::fleet::{FleetOptions, Script, World};
use loadtest::partner::{Outcome, StartCall, http_client};
use loadtest::server::Server;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The binary under test. Built with the tests it has the feature `testing`, and so the places at which it can be made to fail.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_chargeline");
/// The fleet's name, which is its partner's id too.
pub(crate) const FLEET: &str = "faults";
/// How long a start may take on a busy machine.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long a condition is waited for unless a row says otherwise; also I11's bound.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing may happen before it counts as rest.
const QUIET: Duration = Duration::from_millis(700);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Changes to the configuration that every row has: short waits instead of sleeps.
const SHORT: [(&str, &str); 14] = [
    ("gateway.call_grace", "0ms"),
    ("charger.first_call_delay", "0ms"),
    ("charger.first_call_spread", "0ms"),
    ("charger.answer_lead", "0ms"),
    ("charger.offline_after", "10s"),
    ("charger.call_timeout", "5s"),
    ("charger.backlog_grace", "0ms"),
    ("session.start_deadline", "15s"),
    ("session.stop_retry", "6s"),
    ("engine.retry_after", "100ms"),
    ("webhook.connect_timeout", "1s"),
    ("webhook.timeout", "2s"),
    ("webhook.drain_timeout", "500ms"),
    ("api.drain_timeout", "2s"),
];

/// The fleet of a row.
pub(crate) struct Fleet {
    pub(crate) chargers: usize,
    pub(crate) script: fn(usize) -> Behaviour,
    /// What a car wants, Wh: about 33 Wh a second flow.
    pub(crate) wants_wh: (u32, u32),
    pub(crate) change: fn(&mut Profile),
}

impl Fleet {
    /// So many chargers of two connectors with whom nothing is wrong.
    pub(crate) fn of(chargers: usize) -> Fleet {
        Fleet { chargers, script: |_| Behaviour::Normal, wants_wh: (20, 60), change: |_| () }
    }
}

pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) folder: PathBuf,
    /// Where histories are kept: beside the server, or elsewhere than on its disk.
    pub(crate) histories: PathBuf,
    orders: Orders,
    pub(crate) shim: Option<Shim>,
    kept: Option<tempfile::TempDir>,
    counts: BTreeMap<&'static str, u64>,
    /// All rounds that the catalogue names, not only some.
    pub(crate) full: bool,
}

impl Scene {
    pub(crate) fn new(full: bool) -> Result<Scene> {
        let kept = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let folder = kept.path().canonicalize()?;
        let mut scene = Scene::at(&folder, full)?;
        scene.kept = Some(kept);
        Ok(scene)
    }

    /// In a directory that somebody else keeps.
    pub(crate) fn at(folder: &Path, full: bool) -> Result<Scene> {
        let mut server = Server::new(Path::new(BINARY), folder)?;
        let orders = Orders::new(folder.join("points.txt"))?;
        server.set_variable(points::VARIABLE, &orders.file().display().to_string());
        // A panic by order needs no backtrace.
        ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"].iter().for_each(|name| server.set_variable(name, "0"));
        let (folder, histories) = (folder.to_owned(), folder.join("history"));
        let scene = Scene { server, folder, histories, orders, shim: None, kept: None, counts: BTreeMap::new(), full };
        for (key, value) in SHORT {
            scene.configure(key, value)?;
        }
        if let Ok(filter) = std::env::var("FAULTS_LOG") {
            scene.configure("telemetry.log_filter", filter)?;
        }
        scene.configure("gateway.handshakes_per_address", 4096)?;
        scene.configure("journal.cache_bytes", 16 << 20)?;
        scene.configure("journal.reserve_bytes", 1 << 20)?;
        scene.configure("journal.full_floor_bytes", 1 << 20)?;
        Ok(scene)
    }

    /// Puts the server on another directory, of a small disk say, before its first start.
    pub(crate) fn moved_to(&mut self, folder: &Path) -> Result<()> {
        let scene = Scene::at(folder, self.full)?;
        // What the server says is wanted also when that disk is full.
        let log = self.folder.join("server.log");
        std::fs::write(&log, "")?;
        std::os::unix::fs::symlink(&log, folder.join("server.log"))?;
        (self.server, self.folder) = (scene.server, scene.folder);
        Ok(())
    }

    /// So many, or fewer within the ordinary tests.
    pub(crate) fn rounds(&self, full: usize, quick: usize) -> usize {
        if self.full { full } else { quick }
    }

    /// Sets `section.key`.
    pub(crate) fn configure(&self, key: &str, value: impl Into<toml::Value>) -> Result<()> {
        let file = self.server.config();
        let mut table: toml::Table = std::fs::read_to_string(&file)?.parse()?;
        let (section, name) = key.split_once('.').context("section.key")?;
        let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        section.as_table_mut().context("a section")?.insert(name.to_owned(), value.into());
        Ok(std::fs::write(file, toml::to_string(&table)?)?)
    }

    /// Loads the library that stands between the server and the kernel, from the next start on.
    pub(crate) fn preload(&mut self) -> Result<()> {
        let shim = Shim::make(&self.folder)?;
        self.server.set_variable("LD_PRELOAD", &shim.library().display().to_string());
        self.server.set_variable("FAULT_SHIM", &shim.control().display().to_string());
        self.shim = Some(shim);
        Ok(())
    }

    pub(crate) fn shim(&self) -> Result<&Shim> {
        self.shim.as_ref().context("nothing is preloaded")
    }

    /// Starts the server and waits until it is ready. A port may have been given to somebody else while it was away: that alone
    /// is tried again.
    pub(crate) async fn start(&mut self) -> Result<Duration> {
        for tries_left in (0..10).rev() {
            let taken = || self.log().matches("cannot listen on").count();
            let before = taken();
            self.server.start()?;
            match self.server.ready(READY_MAX).await {
                Ok(took) => return Ok(took),
                Err(_) if tries_left > 0 && self.log().matches("cannot listen on").count() > before => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Err(error) => return Err(error),
            }
        }
        bail!("the ports are taken")
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.server.kill().await
    }

    /// SIGKILL and a start.
    pub(crate) async fn kill_and_start(&mut self) -> Result<Duration> {
        self.server.kill().await?;
        self.start().await
    }

    /// The server ends by itself, within `limit`, and is started again.
    pub(crate) async fn falls_and_rises(&mut self, limit: Duration) -> Result<bool> {
        let ended = self.server.ended(limit).await?.is_some();
        self.start().await?;
        Ok(ended)
    }

    /// A place of the product acts: after `skip` hits, `times` times; see `src/testing/points.rs`.
    pub(crate) fn arm(&self, name: &str, detail: &str, what: &str, skip: u64, times: u64) -> Result<()> {
        self.orders.give(name, detail, what, skip, times)?;
        Ok(())
    }

    /// No place acts any more.
    pub(crate) fn disarm(&self) -> Result<()> {
        Ok(self.orders.withdraw_all()?)
    }

    /// How often places have acted.
    pub(crate) fn hits(&self) -> u64 {
        self.orders.hits()
    }

    /// Adds to what really happened.
    pub(crate) fn count(&mut self, what: &'static str, by: u64) {
        *self.counts.entry(what).or_default() += by;
    }

    pub(crate) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The sum of the server's series of this name that hold all these labels (`kind="x"`).
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> Result<u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.server.ports().metrics);
        let text = http_client(Duration::from_secs(5))?.get(url).send().await?.text().await?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let of_name = lines.filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let wanted = of_name.filter(|line| labels.iter().all(|label| line.contains(label)));
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts and bytes")]
        Ok(wanted.map(value).sum::<f64>() as u64)
    }

    /// Leaves the directory where it is, for a look; says where.
    pub(crate) fn keep(&mut self) -> Option<PathBuf> {
        self.kept.take().map(tempfile::TempDir::keep)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    /// Registers the fleet, its partner and its sink, and switches it on: all chargers have come in.
    pub(crate) async fn world(&self, fleet: Fleet) -> Result<World> {
        self.world_through(fleet, None).await
    }

    /// The same with the chargers behind a proxy.
    pub(crate) async fn world_through(&self, fleet: Fleet, proxy: Option<u16>) -> Result<World> {
        let mut endpoints = self.server.endpoints()?;
        if let Some(port) = proxy {
            endpoints.ocpp = format!("ws://127.0.0.1:{port}/ocpp");
        }
        let mut profile = Profile::towards(&endpoints.ocpp);
        profile.meter_interval = Duration::from_secs(1);
        profile.call_timeout = Duration::from_secs(3);
        profile.retry_interval = Duration::from_millis(300);
        profile.reconnect = (Duration::from_millis(20), Duration::from_millis(400));
        profile.driver.plugs_in_after = Some(Duration::from_millis(50));
        profile.driver.wants_wh = fleet.wants_wh;
        profile.driver.leaves_after_full = Duration::from_millis(100);
        profile.driver.leaves_after_stop = Duration::from_millis(100);
        (fleet.change)(&mut profile);
        let options = FleetOptions {
            name: FLEET.to_owned(),
            chargers: fleet.chargers,
            connectors: 2,
            sites: 2,
            seed: 7,
            script: Script::new(fleet.script),
            max_power_w: 120_000.0,
            ramp_per_s: 2_000,
            profile,
            dir: self.histories.clone(),
            keeps_history: true,
            store: None,
            sink: None,
            patience: PATIENCE,
            stats: std::sync::Arc::default(),
            neighbours: Vec::new(),
        };
        let world = World::build(&endpoints, options).await?;
        let count = world.chargers.len() as u64;
        until("the fleet comes in", PATIENCE, async || Ok(world.stats.whole.load(Ordering::Relaxed) >= count)).await?;
        Ok(world)
    }

    /// What holds after every fault: chargers take a command, everything comes to rest, webhooks drain (I11), the histories
    /// agree with the server's answers (I1 to I4, I8, I12), journal and books verify (I5, I7).
    pub(crate) async fn judge(&mut self, world: World) -> Result<Verdict> {
        self.disarm()?;
        lively(&world).await?;
        self.judge_without_life(world).await
    }

    /// The same of a fleet that has come to rest before.
    pub(crate) async fn judge_without_life(&mut self, mut world: World) -> Result<Verdict> {
        rest(&world).await?;
        let verdict = world.verify().await?;
        let wrong: Vec<String> = verdict.violations.iter().take(5).map(ToString::to_string).collect();
        ensure!(verdict.holds(), "{}: {}", verdict.line(), wrong.join("; "));
        ensure!(self.server.stop(PATIENCE).await?, "the server does not end well");
        for (sound, said) in [self.server.journal_verify().await?, self.server.ledger_verify().await?] {
            ensure!(sound, "not verified: {said}");
        }
        Ok(verdict)
    }
}

pub(crate) fn all_online(world: &World) -> bool {
    world.chargers.iter().all(|charger| charger.view().online)
}

/// Does something under load; the load is told to stop once it is done, or has failed.
pub(crate) async fn under_load<T>(
    load: impl Future<Output = ()>,
    stop: watch::Sender<bool>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let work = async {
        let done = work.await;
        stop.send_replace(true);
        done
    };
    tokio::join!(work, load).0
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < limit {
        match holds().await {
            Ok(true) => return Ok(()),
            Ok(false) => last = None,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(LOOK).await;
    }
    match last {
        Some(error) => Err(error.context(format!("never within {limit:?}: {what}"))),
        None => bail!("never within {limit:?}: {what}"),
    }
}

/// Every charger of the fleet takes a command within 30 s (I11), and each command has one result (I12).
pub(crate) async fn lively(world: &World) -> Result<()> {
    let each = world.chargers.iter().map(|charger| takes_a_command(world, charger.identity()));
    join_all(each).await.into_iter().collect()
}

/// An operator's command, accepted.
pub(crate) async fn takes_a_command(world: &World, charger: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let state = command(world, charger).await.map_err(|error| error.to_string());
        match state.as_deref() {
            Ok("Accepted") => return Ok(()),
            _ if begun.elapsed() > PATIENCE => bail!("{charger} takes no command within {PATIENCE:?}: {state:?}"),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// One command and its result, which has to come.
pub(crate) async fn command(world: &World, charger: &str) -> Result<String> {
    let base = format!("/ops/v1/chargers/{charger}/commands");
    let body = json!({"kind": "ClearCache", "payload": {}});
    let taken = world.operator.call(Method::POST, &base, Some(body)).await?;
    let id = taken["command_id"].as_str().context("a command id")?.to_owned();
    let mut state = String::new();
    until("the command has a result", PATIENCE, async || {
        let seen = world.operator.call(Method::GET, &format!("{base}/{id}"), None).await?;
        state = seen["state"].as_str().unwrap_or_default().to_owned();
        Ok(state != "Pending" && !state.is_empty())
    })
    .await?;
    Ok(state)
}

/// Ends what runs and waits until nothing is left to tell.
pub(crate) async fn rest(world: &World) -> Result<()> {
    world.chargers.iter().for_each(|charger| {
        charger.at_charger(AtCharger::Quiesce);
    });
    // The view of a queue is a moment behind its outbox: it has to stay empty.
    let mut quiet_since = None;
    until("all comes to rest", Duration::from_secs(90), async || {
        let quiet = at_rest(world).await?;
        quiet_since = if quiet { quiet_since.or_else(|| Some(Instant::now())) } else { None };
        Ok(quiet_since.is_some_and(|since| since.elapsed() > QUIET))
    })
    .await
}

async fn at_rest(world: &World) -> Result<bool> {
    for charger in &world.chargers {
        let view = charger.view();
        if view.connectors.iter().any(|connector| connector.local.is_some()) {
            charger.at_charger(AtCharger::Quiesce);
            return Ok(false);
        }
        if view.queued > 0 {
            return Ok(false);
        }
    }
    let sessions = world.operator.sessions().await?;
    Ok(sessions.iter().all(|session| session.is_over()) && world.queue().await.0 == Some(0))
}

/// A start at a connector of the fleet by its partner: taken, or not known.
pub(crate) async fn start(world: &World, name: &str, charger: usize, connector: u16) -> Outcome {
    let call = StartCall {
        request_id: name.to_owned(),
        charger_id: loadtest::fleet::identity(FLEET, charger),
        connector_id: connector,
        user_id: format!("user-{charger}-{connector}"),
    };
    world.partner.start(&call).await
}

/// The same, which has to be taken; the session's id.
pub(crate) async fn started(world: &World, name: &str, charger: usize, connector: u16) -> Result<String> {
    match start(world, name, charger, connector).await {
        Outcome::Accepted { session_id } => Ok(session_id),
        other => bail!("{name} is not taken: {other:?}"),
    }
}

/// Waits until the server has that many sessions of which it holds.
pub(crate) async fn sessions(
    world: &World,
    what: &str,
    holds: impl Fn(&[loadtest::partner::Session]) -> bool,
) -> Result<()> {
    let mut seen = Vec::new();
    let waited = until(what, PATIENCE, async || {
        seen = world.operator.sessions().await?;
        Ok(holds(&seen))
    })
    .await;
    waited.with_context(|| format!("{:?}", seen.iter().map(|s| (&s.session_id, &s.status)).collect::<Vec<_>>()))
}
