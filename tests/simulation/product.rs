//! One life of the process: the real rules, engine, hosts, register, sockets and queues, on this thread and its virtual time,
//! put together as `runtime::assemble` does it and recovered as `runtime::recover` does.

use crate::journal::{Handle, SimJournal};
use arc_swap::ArcSwap;
use chargeline::actors::account::gateway::NoGateway;
use chargeline::actors::account::{AccountParts, AccountShell, Accounts};
use chargeline::actors::alerts;
use chargeline::actors::charger::connection::{Connection, ConnectionParts, LINK_CHANGES};
use chargeline::actors::charger::purse::{OrdersHear, OwnAccounts};
use chargeline::actors::charger::register::GatewayRegister;
use chargeline::actors::charger::shell::ChargerParts;
use chargeline::actors::charger::tokens::Tokens;
use chargeline::actors::charger::{ChargerShell, Register};
use chargeline::actors::configuration::Swaps;
use chargeline::actors::engine::pacer::Pacer;
use chargeline::actors::engine::restarts::RestartBudget;
use chargeline::actors::engine::{Environment, Host, HostAddr, HostCore, Shell};
use chargeline::actors::partner::{PartnerShell, QueueParts};
use chargeline::actors::partners::{PARTNER_SECRETS, Partners};
use chargeline::actors::platform::PlatformShell;
use chargeline::actors::tariffs::Tariffs;
use chargeline::actors::webhook::{Deliver, QueueBoard};
use chargeline::clock::SharedClock;
use chargeline::config::Config;
use chargeline::config::engine::Engine as Limits;
use chargeline::domain::account::AccountFamily;
use chargeline::domain::charger::Registration;
use chargeline::domain::charging::ChargingFamily;
use chargeline::domain::delivery::{PartnerFamily, Sealed};
use chargeline::domain::entity::Family;
use chargeline::domain::overload::Memory;
use chargeline::domain::platform::PlatformFamily;
use chargeline::gateway::memory::MemoryGateway;
use chargeline::gateway::{FrameLog, Passed, Pepper, Placement, SocketStart, listener};
use chargeline::ids::ChargerId;
use chargeline::persistence::{SharedJournal, Vault};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A process at work.
pub(crate) struct Product {
    pub(crate) core: Rc<HostCore<ChargingFamily>>,
    pub(crate) chargers: HostAddr<ChargingFamily>,
    pub(crate) partners: HostAddr<PartnerFamily>,
    pub(crate) platform: HostAddr<PlatformFamily>,
    pub(crate) accounts: Accounts,
    pub(crate) gateway: MemoryGateway,
    pub(crate) register: Arc<Register>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) journal: SharedJournal,
    pub(crate) board: Arc<QueueBoard>,
    pub(crate) disk: Arc<SimJournal>,
    pub(crate) clock: SharedClock,
    pub(crate) reserving: chargeline::config::reservation::Reservation,
}

/// What a life is made of.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    pub(crate) disk: Arc<SimJournal>,
    pub(crate) clock: SharedClock,
    pub(crate) deliver: Arc<dyn Deliver>,
    pub(crate) key_file: &'a Path,
    /// Of the seed and the number of this life.
    pub(crate) seed: u64,
}

/// Nobody reads them here; the clients keep their own.
struct NoFrames;

impl FrameLog for NoFrames {
    fn keep(&self, _: &ChargerId, _: chargeline::clock::Timestamp, _: Passed<'_>) {}
}

/// Connections live on this thread.
struct Here {
    host: HostAddr<ChargingFamily>,
    parts: Arc<ConnectionParts>,
}

impl Placement for Here {
    fn place(&self, start: SocketStart) -> Result<(), SocketStart> {
        let slot = Arc::new(Mutex::new(Some(start)));
        let (theirs, parts) = (Arc::clone(&slot), Arc::clone(&self.parts));
        let sent = self.host.send_to(0, move |core| {
            let start = theirs.lock().expect("nothing panics here").take();
            if let Some(start) = start {
                let port = Rc::new(Connection::new(core, parts, start.charger().clone()));
                actix_rt::spawn(start.run(port));
            }
        });
        match sent {
            Ok(()) => Ok(()),
            Err(_) => slot.lock().expect("nothing panics here").take().map_or(Ok(()), Err),
        }
    }

    fn is_open(&self) -> bool {
        true
    }

    fn late(&self) -> Duration {
        Duration::ZERO
    }
}

fn environment<F: Family>(
    ground: &Ground<'_>,
    journal: &SharedJournal,
    limits: &Limits,
    shell: Rc<dyn Shell<F>>,
) -> Environment<F> {
    let salt = F::NAME.bytes().fold(ground.seed, |salt, byte| salt.rotate_left(9) ^ u64::from(byte));
    let rng = RefCell::new(SmallRng::seed_from_u64(salt));
    let budget = RestartBudget::new(limits.process_restarts, limits.restart_window);
    Environment {
        journal: journal.clone(),
        clock: ground.clock.clone(),
        entropy: Box::new(move || rng.borrow_mut().random()),
        limits: limits.clone(),
        shell,
        pacer: Pacer::new(limits.overdue_per_second),
        process_restarts: Arc::new(Mutex::new(budget)),
    }
}

fn hosted<F: Family>(environment: Environment<F>, retry: Duration) -> (Rc<HostCore<F>>, HostAddr<F>) {
    let core = HostCore::new(environment);
    let host = Host::start_for(Rc::clone(&core));
    (core, HostAddr::new(vec![host], retry))
}

fn directory(vault: &Arc<Vault>) -> Arc<Partners> {
    let vault = Arc::clone(vault);
    Arc::new(Partners::new(Arc::new(move |sealed: &Sealed| {
        let plain = vault.unseal_secret(PARTNER_SECRETS, &sealed.0).ok()?;
        String::from_utf8(plain.expose_secret().to_vec()).ok().map(SecretString::from)
    })))
}

fn queues(
    ground: &Ground<'_>,
    journal: &SharedJournal,
    swaps: &Swaps,
    (partners, vault, alerts): (&Arc<Partners>, &Arc<Vault>, &alerts::Alerts),
) -> QueueParts {
    QueueParts {
        partners: Arc::clone(partners),
        journal: journal.clone(),
        deliver: Arc::clone(&ground.deliver),
        board: Arc::<QueueBoard>::default(),
        clock: ground.clock.clone(),
        settings: Arc::clone(&swaps.webhook),
        alerts: alerts.clone(),
        vault: Arc::clone(vault),
    }
}

fn gateway(
    settings: Arc<ArcSwap<chargeline::config::gateway::Gateway>>,
    chargers: &HostAddr<ChargingFamily>,
    parts: Arc<ConnectionParts>,
    vault: &Vault,
) -> MemoryGateway {
    let ports = listener::Ports {
        register: Arc::new(GatewayRegister::new(Arc::clone(&parts.register), parts.alerts.clone())),
        frames: Arc::new(NoFrames),
        clock: parts.clock.clone(),
        pepper: Arc::new(Pepper::new(vault.charger_pepper())),
        placement: Arc::new(Here { host: chargers.clone(), parts }),
        memory: Arc::new(|| Memory::ENDLESS),
    };
    MemoryGateway::new(settings, ports)
}

impl Product {
    /// Starts a life; nothing is recovered yet.
    pub(crate) async fn start(ground: Ground<'_>) -> Result<Rc<Self>, String> {
        let journal: SharedJournal = Arc::new(Handle(Arc::clone(&ground.disk)));
        let (config, swaps) = (ground.config, Swaps::new(ground.config));
        let vault = Vault::open(ground.key_file, journal.clone()).await.map_err(|error| error.to_string())?;
        let vault = Arc::new(vault);
        let (alerts, waiting) = alerts::channel();
        let partners = directory(&vault);
        let (register, tariffs) = (Arc::<Register>::default(), Arc::<Tariffs>::default());
        let retry = config.engine.retry_after;
        let shell = Rc::new(PlatformShell { tariffs: Arc::clone(&tariffs) });
        let (_, platform) = hosted(environment(&ground, &journal, &config.engine, shell), retry);
        let queues = queues(&ground, &journal, &swaps, (&partners, &vault, &alerts));
        let board = Arc::clone(&queues.board);
        let shell = Rc::new(PartnerShell::new(queues));
        let (_, partner_host) = hosted(environment(&ground, &journal, &config.engine, shell), retry);
        let orders = Arc::new(OrdersHear::new(journal.clone()));
        let shell = Rc::new(AccountShell::new(AccountParts {
            policy: Arc::clone(&swaps.accounts),
            gateway: Arc::new(NoGateway),
            listener: orders.clone(),
            partners: Arc::clone(&partners),
            alerts: alerts.clone(),
            journal: journal.clone(),
        }));
        let (_, accounts) = hosted(environment(&ground, &journal, &config.engine, shell), retry);
        let accounts = Accounts::new(accounts, journal.clone(), retry);
        let shell = Rc::new(ChargerShell::new(ChargerParts {
            register: Arc::clone(&register),
            partners: Arc::clone(&partners),
            alerts: alerts.clone(),
            epoch: journal.epoch(),
            policy: Arc::clone(&swaps.policy),
            vault: Arc::clone(&vault),
            certificates: None,
            accounts: Some(Arc::new(OwnAccounts(accounts.clone()))),
            tariffs,
        }));
        let (core, chargers) = hosted(environment(&ground, &journal, &config.engine, shell), retry);
        orders.join(chargers.clone());
        let clock = ground.clock.clone();
        let tokens = Tokens { vault: Arc::clone(&vault), journal: journal.clone(), clock: clock.clone(), partners };
        let tokens = Arc::new(tokens);
        let parts = Arc::new(ConnectionParts {
            register: Arc::clone(&register),
            tokens: Arc::clone(&tokens),
            alerts,
            clock,
            link_changes: Semaphore::new(LINK_CHANGES),
        });
        let gateway = gateway(unthrottled(&swaps), &chargers, parts, &vault);
        actix_rt::spawn(alerts::keep(waiting, platform.clone()));
        let (partners, disk, clock) = (partner_host, ground.disk, ground.clock);
        let product = Product {
            core,
            chargers,
            partners,
            platform,
            accounts,
            gateway,
            register,
            tokens,
            vault,
            journal,
            board,
            disk,
            clock,
            reserving: config.reservation.clone(),
        };
        Ok(Rc::new(product))
    }

    /// From the journal to ready (RT-5).
    pub(crate) async fn recover(&self) -> Result<(), String> {
        let downtime = self.journal.downtime();
        self.fill_register().await?;
        self.platform.recover(vec![chargeline::domain::platform::PARTITION.to_owned()], downtime).await;
        let partners = self.streams(PartnerFamily::NAME, false).await?;
        self.partners.recover(partners, downtime).await;
        let owing = self.streams(AccountFamily::NAME, true).await?;
        self.accounts.host().recover(owing, downtime).await;
        let live = self.streams(ChargingFamily::NAME, true).await?;
        let expected = live.len();
        let chargers = self.chargers.recover(live, downtime).await;
        if chargers == expected { Ok(()) } else { Err(format!("{chargers} of {expected} chargers were rebuilt")) }
    }

    async fn streams(&self, family: &str, live: bool) -> Result<Vec<String>, String> {
        let streams = self.journal.streams(family).await.map_err(|error| error.to_string())?;
        let wanted = streams.iter().filter(|summary| summary.live || !live);
        Ok(wanted.map(|summary| summary.stream.partition().to_owned()).collect())
    }

    async fn fill_register(&self) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Row {
            registration: Option<Arc<Registration>>,
        }
        let rows = self.journal.rows("charger", "", None, 1000).await.map_err(|error| error.to_string())?;
        for row in rows {
            let of: Row = serde_json::from_slice(&row.value).map_err(|error| error.to_string())?;
            let id: ChargerId = row.key.parse().map_err(|error| format!("{error}"))?;
            if let Some(registration) = of.registration {
                self.register.put(&id, &registration);
            }
        }
        Ok(())
    }
}

/// The gateway's limits on frames and handshakes count by the machine's own clock, which has no place here.
fn unthrottled(swaps: &Swaps) -> Arc<ArcSwap<chargeline::config::gateway::Gateway>> {
    let mut settings = (**swaps.gateway.load()).clone();
    settings.messages_per_second = 1_000_000;
    settings.messages_burst = 1_000_000;
    settings.handshakes_per_second = 1_000_000;
    Arc::new(ArcSwap::from_pointee(settings))
}
