//! Makes the parts and joins them, before anything is served.

use crate::actors::alerts::{self, Alerts};
use crate::actors::charger::connection::ConnectionParts;
use crate::actors::charger::shell::ChargerParts;
use crate::actors::charger::tokens::Tokens;
use crate::actors::charger::{ChargerShell, Register};
use crate::actors::configuration::{Configuration, Swaps};
use crate::actors::engine::pacer::Pacer;
use crate::actors::engine::restarts::RestartBudget;
use crate::actors::engine::{Environment, HostAddr, Shell};
use crate::actors::partner::{PartnerShell, QueueParts};
use crate::actors::partners::{PARTNER_SECRETS, Partners};
use crate::actors::platform::PlatformShell;
use crate::actors::tree::{self, ArbiterGone, Arbiters};
use crate::actors::webhook::{HttpSender, QueueBoard, SystemLookup};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::charging::ChargingFamily;
use crate::domain::delivery::{PartnerFamily, Sealed};
use crate::domain::entity::Family;
use crate::domain::platform::PlatformFamily;
use crate::gateway::Pepper;
use crate::persistence::SharedJournal;
use crate::persistence::vault::Vault;
use secrecy::{ExposeSecret as _, SecretString};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// All parts, joined.
pub(super) struct Parts {
    pub(super) arbiters: Arbiters,
    pub(super) chargers: HostAddr<ChargingFamily>,
    pub(super) partners: HostAddr<PartnerFamily>,
    pub(super) platform: HostAddr<PlatformFamily>,
    pub(super) register: Arc<Register>,
    pub(super) directory: Arc<Partners>,
    pub(super) connections: ConnectionParts,
    pub(super) pepper: Arc<Pepper>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) board: Arc<QueueBoard>,
    pub(super) sender: Arc<HttpSender>,
    pub(super) alerts: Alerts,
}

/// What they are made of.
pub(super) struct Base<'a> {
    pub(super) config: &'a Config,
    pub(super) swaps: &'a Swaps,
    pub(super) clock: SharedClock,
    pub(super) journal: SharedJournal,
    pub(super) vault: Arc<Vault>,
}

/// Why the parts do not join.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A thread has ended.
    #[error(transparent)]
    Arbiter(#[from] ArbiterGone),
    /// The webhook client cannot be made.
    #[error("the webhook client cannot be made: {0}")]
    Sender(String),
}

/// Environments of one family, one an arbiter.
struct Seed {
    journal: SharedJournal,
    clock: SharedClock,
    config: crate::config::engine::Engine,
    budget: Arc<Mutex<RestartBudget>>,
}

impl Seed {
    fn environments<F: Family, S>(&self, shell: S) -> impl Fn() -> Environment<F> + Clone + Send + 'static + use<F, S>
    where
        S: Fn() -> Rc<dyn Shell<F>> + Clone + Send + 'static,
    {
        let (journal, clock, budget) = (self.journal.clone(), self.clock.clone(), self.budget.clone());
        let limits = self.config.clone();
        move || Environment {
            journal: journal.clone(),
            clock: clock.clone(),
            entropy: Box::new(rand::random),
            pacer: Pacer::new(limits.overdue_per_second),
            process_restarts: budget.clone(),
            limits: limits.clone(),
            shell: shell(),
        }
    }
}

pub(super) async fn assemble(base: Base<'_>) -> Result<Parts, AssembleError> {
    let Base { config, swaps, clock, journal, vault } = base;
    let unseal = {
        let vault = Arc::clone(&vault);
        move |sealed: &Sealed| {
            let plain = vault.unseal_secret(PARTNER_SECRETS, &sealed.0).ok()?;
            String::from_utf8(plain.expose_secret().to_vec()).ok().map(SecretString::from)
        }
    };
    let directory = Arc::new(Partners::new(Arc::new(unseal)));
    let register = Arc::new(Register::default());
    let (alerts, waiting) = alerts::channel();
    let tokens = Arc::new(Tokens { vault: Arc::clone(&vault), journal: journal.clone(), clock: clock.clone() });
    let sender = HttpSender::new(&config.webhook, Arc::new(SystemLookup), HttpSender::public_roots(), clock.clone())
        .map_err(|error| AssembleError::Sender(error.to_string()))?;
    let sender = Arc::new(sender);
    let board = Arc::new(QueueBoard::default());
    let engine = &config.engine;
    let seed = Seed {
        journal: journal.clone(),
        clock: clock.clone(),
        config: engine.clone(),
        budget: Arc::new(Mutex::new(RestartBudget::new(engine.process_restarts, engine.restart_window))),
    };
    let arbiters = Arbiters::start(engine.arbiters);
    let back_office = [arbiters.back_office()];
    let platform = seed.environments(|| Rc::new(PlatformShell) as Rc<dyn Shell<PlatformFamily>>);
    let platform = tree::host(&back_office, engine.retry_after, platform).await?;
    let queues = QueueParts {
        partners: Arc::clone(&directory),
        journal: journal.clone(),
        deliver: sender.clone(),
        board: Arc::clone(&board),
        clock: clock.clone(),
        settings: Arc::clone(&swaps.webhook),
        alerts: alerts.clone(),
        vault: Arc::clone(&vault),
    };
    let partners =
        seed.environments(move || Rc::new(PartnerShell::new(queues.clone())) as Rc<dyn Shell<PartnerFamily>>);
    let partners = tree::host(&back_office, engine.retry_after, partners).await?;
    let shells = ChargerParts {
        register: Arc::clone(&register),
        partners: Arc::clone(&directory),
        alerts: alerts.clone(),
        policy: Arc::clone(&swaps.policy),
    };
    let chargers =
        seed.environments(move || Rc::new(ChargerShell::new(shells.clone())) as Rc<dyn Shell<ChargingFamily>>);
    let chargers = tree::host(&arbiters.chargers(), engine.retry_after, chargers).await?;
    arbiters.back_office().spawn(alerts::keep(waiting, platform.clone()));
    let connections = ConnectionParts {
        register: Arc::clone(&register),
        tokens: Arc::clone(&tokens),
        alerts: alerts.clone(),
        clock: clock.clone(),
    };
    let pepper = Arc::new(Pepper::new(vault.charger_pepper()));
    Ok(Parts {
        arbiters,
        chargers,
        partners,
        platform,
        register,
        directory,
        connections,
        pepper,
        tokens,
        board,
        sender,
        alerts,
    })
}

impl Configuration {
    /// The applied configurations that the store holds, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn kept(
        journal: &dyn crate::persistence::Journal,
    ) -> Result<Vec<crate::config::live::Version>, crate::persistence::JournalError> {
        let rows = journal.rows_back(crate::actors::configuration::TABLE, "", None, KEPT).await?;
        let mut versions = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let version = serde_json::from_slice(&row.value).map_err(|error| {
                let key = format!("{}/{}", crate::actors::configuration::TABLE, row.key);
                crate::persistence::JournalError::Corrupt { key, why: error.to_string() }
            })?;
            versions.push(version);
        }
        Ok(versions)
    }
}

/// Versions read at start: as many as are kept in memory.
const KEPT: usize = 64;
