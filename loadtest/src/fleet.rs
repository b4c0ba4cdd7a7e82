//! A whole outside world against one server: registered sites and chargers, a partner, its sink, and the load they make.
//!
//! Owns the set-up and the winding-down that every scenario shares. Never judges; that is `check`.

use crate::charger::{AtCharger, Behaviour, ChargerHandle, ChargerSpec, FleetStore, Profile, Surroundings, spawn};
use crate::check::{self, Histories, ServerAnswers, Verdict};
use crate::history::History;
pub use crate::load::Load;
use crate::operator::Operator;
use crate::partner::{Event, Key, PartnerClient, Sink, SinkMode};
use crate::stats::Stats;
use crate::time::now_ms;
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Registrations on the way at once: enough to share group commits, few enough not to be a storm.
const REGISTRATIONS: usize = 32;
/// RFID cards that are registered; a fleet shares them.
pub(crate) const CARDS: u64 = 50;
/// Any port of the loopback.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// `ws://host:9000/ocpp`.
    pub ocpp: String,
    /// `http://host:8080/api/v1`.
    pub partner: String,
    /// `http://host:8081`.
    pub operator: String,
    /// The operator's bearer token.
    pub operator_token: String,
}

/// The size and manner of a fleet.
#[derive(Debug)]
pub struct FleetOptions {
    /// Identities are this and a number; also the partner's id.
    pub name: String,
    /// Chargers.
    pub chargers: usize,
    /// Connectors of each.
    pub connectors: usize,
    /// Sites that they are spread over.
    pub sites: usize,
    /// Decides every random choice.
    pub seed: u64,
    /// What goes wrong where: connector number in the fleet to its script.
    pub script: Script,
    /// The power of each connector, W.
    pub max_power_w: f64,
    /// Chargers switched on a second.
    pub ramp_per_s: u32,
    /// What the chargers share.
    pub profile: Profile,
    /// Where histories and access data are kept.
    pub dir: PathBuf,
    /// Whether histories are written there, for a verification.
    pub keeps_history: bool,
    /// Where the chargers' flash memory is kept.
    pub store: Option<FleetStore>,
    /// A sink that listens already; otherwise one is started at any port.
    pub sink: Option<Sink>,
    /// How long the partner goes on trying one write.
    pub patience: Duration,
    /// Where the figures go.
    pub stats: Arc<Stats>,
    /// What the endpoints of further partners do; each sees all sites.
    pub neighbours: Vec<SinkMode>,
}

/// What goes wrong where.
#[derive(Clone)]
pub struct Script(Arc<dyn Fn(usize) -> Behaviour + Send + Sync>);

impl Script {
    /// From the number of a connector in the fleet to its script.
    pub fn new(of: impl Fn(usize) -> Behaviour + Send + Sync + 'static) -> Script {
        Script(Arc::new(of))
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

/// What was shown once and has to be kept for the next start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Access {
    /// The partner's key.
    pub key: Option<Key>,
    /// Its webhook signing secrets.
    pub webhook_secrets: Vec<String>,
    /// The chargers' passwords by identity.
    pub passwords: BTreeMap<String, String>,
}

/// A running outside world.
#[derive(Debug)]
pub struct World {
    /// The operator's access.
    pub operator: Operator,
    /// The partner's access.
    pub partner: PartnerClient,
    /// The partner's endpoint.
    pub sink: Sink,
    /// The fleet.
    pub chargers: Vec<ChargerHandle>,
    /// The figures.
    pub stats: Arc<Stats>,
    /// The endpoints of further partners.
    pub neighbours: Vec<Sink>,
    /// Events read on the way, of which the server keeps only the newest.
    pub read_events: Mutex<Vec<Event>>,
    pub(crate) partner_id: String,
    histories: [History; 3],
    dir: PathBuf,
}

impl World {
    /// Registers everything and switches the chargers on.
    ///
    /// # Errors
    /// When the server refuses a registration or does not answer.
    pub async fn build(endpoints: &Endpoints, mut options: FleetOptions) -> anyhow::Result<World> {
        let operator = Operator::new(&endpoints.operator, &endpoints.operator_token)?;
        let stats = options.stats.clone();
        let dir = options.dir.clone();
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let open = |name: &str| if options.keeps_history { History::file(&dir.join(name)) } else { Ok(History::off()) };
        let histories = [open("chargers.jsonl")?, open("partner.jsonl")?, open("sink.jsonl")?];
        let sink = match options.sink.take() {
            Some(sink) => sink,
            None => Sink::start(ANY_PORT, options.seed, histories[2].clone(), stats.clone()).await?,
        };
        let mut access = read_access(&dir);
        register(&operator, &options, &sink, &mut access).await?;
        write_access(&dir, &access)?;
        sink.set_secrets(access.webhook_secrets.clone());
        let key = access.key.clone().context("no key was made")?;
        let partner =
            PartnerClient::new(&endpoints.partner, key, histories[1].clone(), stats.clone(), options.patience)?;
        let around = Surroundings { history: histories[0].clone(), stats: stats.clone(), store: options.store.clone() };
        let partner_id = options.name.clone();
        let neighbours = neighbours(&operator, &options).await?;
        let chargers = switch_on(options, &access, around).await;
        let read_events = Mutex::default();
        Ok(World { operator, partner, sink, chargers, stats, neighbours, read_events, partner_id, histories, dir })
    }

    /// Where the chargers' history goes: for a charger that is played by hand.
    pub fn charger_history(&self) -> History {
        self.histories[0].clone()
    }

    /// One of the registered cards.
    pub fn card(&self, n: usize) -> String {
        card(&self.partner_id, n as u64 % CARDS)
    }

    /// How many deliveries wait for the partner, and how old the oldest is, s.
    pub async fn queue(&self) -> (Option<u64>, Option<u64>) {
        self.operator.queue(&self.partner_id).await.unwrap_or_default()
    }

    /// Switches the chargers off.
    pub async fn switch_off(&mut self) {
        for charger in std::mem::take(&mut self.chargers) {
            charger.shut_down().await;
        }
    }

    /// Ends everything: all chargers stop, queues empty, sessions end, deliveries arrive. `false` when `limit` passed.
    pub async fn settle(&self, limit: Duration) -> bool {
        let until = now_ms() + crate::time::millis(limit);
        let mut quiet_since = None;
        while now_ms() < until {
            for charger in &self.chargers {
                let view = charger.view();
                if view.connectors.iter().any(|c| c.local.is_some()) || quiet_since.is_none() {
                    charger.at_charger(AtCharger::Quiesce);
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let since = *quiet_since.get_or_insert_with(now_ms);
            if !self.is_quiet().await {
                quiet_since = Some(now_ms());
            } else if now_ms() - since > 3_000 {
                return true;
            }
        }
        false
    }

    async fn is_quiet(&self) -> bool {
        let told = |v: &crate::charger::ChargerView| v.queued == 0 && v.connectors.iter().all(|c| c.local.is_none());
        if !self.chargers.iter().all(|c| told(&c.view())) {
            return false;
        }
        let sessions_over = self.operator.sessions().await.is_ok_and(|all| all.iter().all(|s| s.is_over()));
        let queue = self.operator.queue(&self.partner_id).await;
        let drained = queue.is_ok_and(|(depth, _)| depth.unwrap_or(0) == 0);
        sessions_over && drained && now_ms() - self.sink.last_arrival_ms() > 2_000
    }

    /// Switches the chargers off and judges the run.
    ///
    /// # Errors
    /// When a history cannot be read or the server does not answer.
    pub async fn verify(&mut self) -> anyhow::Result<Verdict> {
        self.switch_off().await;
        self.histories.iter().try_for_each(History::flush)?;
        let (histories, _): (Histories, _) = check::load(&self.dir)?;
        let mut answers: ServerAnswers = check::ask_server(&histories, &self.operator, &self.partner).await?;
        let before = std::mem::take(&mut *self.read_events.lock().unwrap_or_else(PoisonError::into_inner));
        answers.events = check::joined(before, answers.events);
        check::store(&self.dir, &answers)?;
        Ok(check::check(&histories, &answers))
    }
}

/// A card's number: at most 20 characters (OCPP 1.6 idTag).
pub(crate) fn card(name: &str, n: u64) -> String {
    format!("{}C{n:03}", name.chars().take(12).collect::<String>())
}

/// The webhook secrets that an earlier run was shown.
pub(crate) fn secrets_of(dir: &Path) -> Vec<String> {
    read_access(dir).webhook_secrets
}

/// A charger's identity.
pub fn identity(name: &str, n: usize) -> String {
    format!("{name}-{n:05}")
}

async fn register(op: &Operator, options: &FleetOptions, sink: &Sink, access: &mut Access) -> anyhow::Result<()> {
    let name = &options.name;
    for site in 0..options.sites.max(1) {
        op.put_site(&format!("{name}-site-{site}"), &format!("Site {}", site + 1)).await?;
    }
    for n in 0..options.chargers {
        let fresh = || format!("pw-{}", &uuid::Uuid::new_v4().simple().to_string()[..17]);
        access.passwords.entry(identity(name, n)).or_insert_with(fresh);
    }
    stream::iter((0..options.chargers).map(|n| {
        let (id, site) = (identity(name, n), format!("{name}-site-{}", n % options.sites.max(1)));
        let password = access.passwords.get(&id).cloned().unwrap_or_default();
        async move { op.put_charger(&id, &site, options.connectors, &password).await }
    }))
    .buffer_unordered(REGISTRATIONS)
    .try_collect::<Vec<()>>()
    .await?;
    op.put_partner(name, &sink.url()).await?;
    if access.key.is_none() {
        access.key = Some(op.make_key(name).await?);
    }
    if access.webhook_secrets.is_empty() {
        access.webhook_secrets.push(op.make_webhook_secret(name).await?);
    }
    for n in 0..CARDS {
        op.put_token(&card(name, n), "Accepted", name).await?;
    }
    Ok(())
}

/// Partners without histories: what they are told is measured, not checked.
async fn neighbours(op: &Operator, options: &FleetOptions) -> anyhow::Result<Vec<Sink>> {
    let mut sinks = Vec::new();
    for (n, mode) in options.neighbours.iter().enumerate() {
        let name = format!("{}-n{n}", options.name);
        let sink = Sink::start(ANY_PORT, options.seed, History::off(), Arc::default()).await?;
        op.put_partner(&name, &sink.url()).await?;
        sink.set_secrets(vec![op.make_webhook_secret(&name).await?]);
        sink.set_mode(*mode);
        sinks.push(sink);
    }
    Ok(sinks)
}

async fn switch_on(options: FleetOptions, access: &Access, around: Surroundings) -> Vec<ChargerHandle> {
    let profile = Arc::new(options.profile);
    let mut chargers = Vec::with_capacity(options.chargers);
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let per_beat = usize::try_from(options.ramp_per_s / 50).unwrap_or(usize::MAX).max(1);
    for n in 0..options.chargers {
        if n % per_beat == 0 {
            beat.tick().await;
        }
        let identity = identity(&options.name, n);
        let spec = ChargerSpec {
            password: access.passwords.get(&identity).cloned(),
            identity,
            max_power_w: options.max_power_w,
            scripts: (0..options.connectors).map(|c| (options.script.0)(n * options.connectors + c)).collect(),
            seed: options.seed.wrapping_mul(1_000_003).wrapping_add(n as u64),
        };
        chargers.push(spawn(spec, profile.clone(), around.clone()));
    }
    chargers
}

pub(crate) fn read_access(dir: &Path) -> Access {
    std::fs::read(dir.join("access.json")).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default()
}

pub(crate) fn write_access(dir: &Path, access: &Access) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(dir.join("access.json"))?;
    Ok(file.write_all(&serde_json::to_vec(access)?)?)
}

/// The partner of an earlier run, from what it kept.
///
/// # Errors
/// When the run kept no key.
pub fn partner_of(dir: &Path, partner_url: &str) -> anyhow::Result<PartnerClient> {
    let key = read_access(dir).key.with_context(|| format!("{} holds no key", dir.display()))?;
    let patience = Duration::from_secs(30);
    PartnerClient::new(partner_url, key, History::off(), Arc::new(Stats::default()), patience)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_what_ocpp_allows() {
        assert_eq!(identity("load", 7), "load-00007");
        assert!(card("a-very-long-partner-name", 49).len() <= 20);
    }

    #[test]
    fn access_is_kept_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("access-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let key = Some(Key { key_id: "ck_1".into(), secret: "cs_1".into() });
        write_access(&dir, &Access { key: key.clone(), ..Access::default() }).unwrap();
        let mode = std::fs::metadata(dir.join("access.json")).unwrap().permissions().mode();
        let back = read_access(&dir);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!((back.key, mode & 0o777), (key, 0o600));
    }
}
