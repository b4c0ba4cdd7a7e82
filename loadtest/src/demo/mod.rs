//! The demonstration: a small fleet, a partner that never rests, and a table to watch it in.
//!
//! Owns the outside world of `chargeline demo`. Invariant: what the chargers know is on the disk before they tell it, so
//! `kill -9` of the whole process and a new start find every session where it was.

mod view;

pub use view::{PushRow, SessionRow, Snapshot, render, summary_line};

use crate::charger::{Behaviour, FleetStore, Profile};
use crate::fleet::{Endpoints, FleetOptions, Load, Script, World, secrets_of};
use crate::history::History;
use crate::partner::{Session, Sink};
use crate::stats::{Stats, get};
use crate::time::now_ms;
use anyhow::Context;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The table is drawn anew this often.
const REDRAW: Duration = Duration::from_secs(1);
/// Without a terminal a line comes this often.
const LINE_EVERY: u32 = 5;
/// Lines of the list of pushes.
const PUSHES: usize = 10;

/// What the demonstration is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoOptions {
    /// Chargers, of two connectors each.
    pub chargers: usize,
    /// Sites.
    pub sites: usize,
    /// Decides every random choice.
    pub seed: u64,
    /// Where the fleet keeps `fleet.json` and `access.json`; the server's data directory or one below.
    pub dir: PathBuf,
    /// Where the partner's webhook endpoint listens. A fixed port, so that events which wait since before a restart find it.
    pub sink_listen: SocketAddr,
    /// Shown above the table: what it is, where to look.
    pub urls: Vec<(String, String)>,
}

impl DemoOptions {
    /// 20 chargers on 4 sites, their state in `dir`.
    pub fn in_dir(dir: PathBuf) -> Self {
        let sink_listen = SocketAddr::from(([127, 0, 0, 1], 9_200));
        DemoOptions { chargers: 20, sites: 4, seed: 1, dir, sink_listen, urls: Vec::new() }
    }
}

/// The running demonstration.
#[derive(Debug)]
pub struct DemoFleet {
    options: DemoOptions,
    sink: Option<Sink>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    world: Arc<World>,
    stop: watch::Sender<bool>,
    partner: JoinHandle<()>,
}

impl DemoFleet {
    /// Opens the partner's endpoint, so that a recovering server finds it. Call before the server starts.
    ///
    /// # Errors
    /// When the directory cannot be made or no address can be bound.
    pub async fn open(options: DemoOptions) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&options.dir).with_context(|| options.dir.display().to_string())?;
        let (history, stats) = (History::off(), Arc::new(Stats::default()));
        let sink = match Sink::start(options.sink_listen, options.seed, history.clone(), stats.clone()).await {
            Ok(sink) => sink,
            Err(error) => {
                tracing::warn!(%error, listen = %options.sink_listen, "the sink takes another port");
                Sink::start(crate::fleet::ANY_PORT, options.seed, history, stats).await?
            }
        };
        sink.set_secrets(secrets_of(&options.dir));
        Ok(DemoFleet { options, sink: Some(sink), running: None })
    }

    /// What is shown above the table, once the server's addresses are known.
    pub fn set_urls(&mut self, urls: Vec<(String, String)>) {
        self.options.urls = urls;
    }

    /// The allow-list entry that the server's webhook guard needs for the sink.
    pub fn sink_url(&self) -> Option<String> {
        let sink = self.sink.as_ref().or(self.running.as_ref().map(|r| &r.world.sink));
        sink.map(Sink::url)
    }

    /// Registers everything, switches the chargers on where they physically were, and lets the partner loose.
    ///
    /// # Errors
    /// When the server refuses a registration or does not answer.
    pub async fn start(&mut self, endpoints: &Endpoints) -> anyhow::Result<()> {
        let o = &self.options;
        let options = FleetOptions {
            name: "demo".to_owned(),
            chargers: o.chargers,
            connectors: 2,
            sites: o.sites,
            seed: o.seed,
            script: Script::new(script),
            max_power_w: 60_000.0,
            ramp_per_s: 50,
            profile: profile(&endpoints.ocpp),
            dir: o.dir.clone(),
            keeps_history: false,
            store: Some(FleetStore::open(&o.dir.join("fleet.json"))?),
            sink: self.sink.take(),
            patience: Duration::from_secs(60),
            stats: Arc::default(),
            neighbours: Vec::new(),
        };
        let world = Arc::new(World::build(endpoints, options).await?);
        let load = Load {
            starts_per_s: 0.4,
            local_percent: 20,
            stopped_percent: 60,
            length: (Duration::from_secs(15), Duration::from_secs(90)),
            shape: Vec::new(),
            period: Duration::ZERO,
            level: None,
        };
        let (stop, stopped) = watch::channel(false);
        let (seed, driven) = (o.seed ^ now_ms().unsigned_abs(), world.clone());
        let partner = tokio::spawn(async move { driven.drive(load, seed, stopped).await });
        self.running = Some(Running { world, stop, partner });
        Ok(())
    }

    /// Everything that the table shows, now.
    pub async fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { urls: self.options.urls.clone(), ..Snapshot::default() };
        let Some(Running { world, .. }) = &self.running else { return snapshot };
        let now = now_ms();
        snapshot.chargers = world.chargers.len();
        for charger in &world.chargers {
            let view = charger.view();
            snapshot.online += usize::from(view.online);
            snapshot.charger_queue += view.queued;
        }
        (snapshot.queue_depth, snapshot.queue_age_s) = world.queue().await;
        snapshot.sessions = self.sessions(world).await;
        snapshot.pushes =
            world.sink.recent().into_iter().take(PUSHES).map(|r| PushRow::from_received(r, now)).collect();
        let (accepted, unverified) = world.sink.counts();
        (snapshot.pushes_accepted, snapshot.pushes_unverified) = (accepted, unverified);
        snapshot.starts_accepted = get(&world.stats.starts_accepted);
        snapshot.stops_accepted = get(&world.stats.stops_accepted);
        snapshot
    }

    /// The server's open sessions, with what the charger's own display says beside them.
    async fn sessions(&self, world: &World) -> Vec<SessionRow> {
        let page = world.partner.get("/sessions?open=true&limit=100").await.ok().flatten().unwrap_or_default();
        let open: Vec<Session> = serde_json::from_value(page["items"].clone()).unwrap_or_default();
        let row = |session: Session| {
            let charger = world.chargers.iter().find(|c| c.identity() == session.charger_id).map(|c| c.view());
            let index = usize::from(session.connector_id).saturating_sub(1);
            let connector = charger.and_then(|view| view.connectors.get(index).cloned()).unwrap_or_default();
            SessionRow {
                session_id: session.session_id,
                charger: session.charger_id,
                connector: session.connector_id,
                status: session.status,
                connector_status: connector.status.as_str().to_owned(),
                energy_wh: session.energy_wh,
                display_wh: connector.energy_wh,
                power_w: connector.power_w,
                duration_s: session.duration_s,
            }
        };
        let mut rows: Vec<_> = open.into_iter().map(row).collect();
        rows.sort_by(|a, b| (&a.charger, a.connector).cmp(&(&b.charger, b.connector)));
        rows
    }

    /// Shows the table until `stop` turns true: redrawn in place on a terminal, else a line now and then.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub async fn show(&self, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
        let terminal = std::io::stdout().is_terminal();
        let mut beat = tokio::time::interval(if terminal { REDRAW } else { REDRAW * LINE_EVERY });
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        if terminal {
            print!("\x1b[2J");
        }
        while !*stop.borrow() {
            tokio::select! {
                _ = beat.tick() => {}
                changed = stop.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => break,
                },
            }
            let snapshot = self.snapshot().await;
            let text = if terminal { in_place(&render(&snapshot)) } else { summary_line(&snapshot) + "\n" };
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    /// Stops the partner and switches the chargers off; their state stays for the next start.
    pub async fn shut_down(self) {
        let Some(Running { world, stop, partner }) = self.running else { return };
        // Aborted rather than told that the load is over, which would stop every session. Its open calls are journaled by the
        // server or were never accepted.
        partner.abort();
        let _ = partner.await;
        drop(stop);
        if let Ok(mut world) = Arc::try_unwrap(world) {
            world.switch_off().await;
        }
    }
}

/// Home, each line cleared to its end, the rest of the screen cleared.
fn in_place(table: &str) -> String {
    let mut text = String::from("\x1b[H");
    for line in table.lines() {
        text.push_str(line);
        text.push_str("\x1b[K\n");
    }
    text + "\x1b[J"
}

fn profile(ocpp: &str) -> Profile {
    let mut profile = Profile::towards(ocpp);
    profile.meter_interval = Duration::from_secs(3);
    profile.reconnect = (Duration::from_millis(200), Duration::from_secs(3));
    profile.driver.wants_wh = (400, 2_500);
    profile.driver.plugs_in_after = Some(Duration::from_secs(2));
    profile.driver.leaves_after_stop = Duration::from_secs(4);
    profile.driver.leaves_after_full = Duration::from_secs(4);
    profile
}

/// Mostly good days, with one of each mishap in the fleet.
fn script(connector: usize) -> Behaviour {
    match connector {
        5 => Behaviour::LosesAnswer,
        11 => Behaviour::RepeatsMessages,
        17 => Behaviour::DropsInCharge { after: Duration::from_secs(10), offline: Duration::from_secs(15) },
        23 => Behaviour::UnplugsInCharge { after: Duration::from_secs(20) },
        29 => Behaviour::RefusesStart,
        35 => Behaviour::FaultsInCharge { after: Duration::from_secs(25) },
        _ => Behaviour::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redraw_leaves_nothing_of_the_longer_table_before_it() {
        assert_eq!(in_place("a\nb\n"), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
    }

    #[tokio::test]
    async fn before_its_start_the_demo_has_an_endpoint_and_an_empty_table() {
        let dir = std::env::temp_dir().join(format!("demo-{}", uuid::Uuid::new_v4()));
        let options = DemoOptions { sink_listen: crate::fleet::ANY_PORT, ..DemoOptions::in_dir(dir.clone()) };
        let demo = DemoFleet::open(options).await.unwrap();
        assert!(demo.sink_url().unwrap().starts_with("http://127.0.0.1:"));
        assert_eq!(demo.snapshot().await, Snapshot::default());
        demo.shut_down().await;
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
