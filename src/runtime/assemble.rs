//! Makes the parts and joins them, before anything is served.

use super::desk::Desk;
use crate::actors::account::gateway::PaymentGateway;
use crate::actors::account::{AccountParts, AccountShell, Accounts, DebtListener};
use crate::actors::alerts::{self, Alerts};
use crate::actors::charger::certificates::CertificateDesk;
use crate::actors::charger::connection::{ConnectionParts, LINK_CHANGES};
use crate::actors::charger::purse::{OrdersHear, OwnAccounts};
use crate::actors::charger::shell::ChargerParts;
use crate::actors::charger::tokens::Tokens;
use crate::actors::charger::{ChargerShell, Register};
use crate::actors::configuration::{Configuration, Swaps};
use crate::actors::engine::pacer::Pacer;
use crate::actors::engine::restarts::RestartBudget;
use crate::actors::engine::{Environment, HostAddr, Shell};
use crate::actors::operators::{OperatorShell, Operators};
use crate::actors::partner::{PartnerShell, QueueParts};
use crate::actors::partners::{PARTNER_SECRETS, Partners, Unseal};
use crate::actors::platform::PlatformShell;
use crate::actors::statement::{StatementParts, StatementShell};
use crate::actors::tariffs::Tariffs;
use crate::actors::tree::{self, ArbiterGone, Arbiters};
use crate::actors::webhook::{HttpSender, Lookup, QueueBoard, TcecCaller};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::account::AccountFamily;
use crate::domain::charging::ChargingFamily;
use crate::domain::delivery::{PartnerFamily, Sealed};
use crate::domain::entity::Family;
use crate::domain::operator::OperatorFamily;
use crate::domain::platform::PlatformFamily;
use crate::domain::statement::StatementFamily;
use crate::gateway::Pepper;
use crate::gateway::authority::Authority;
use crate::gateway::tls::TlsError;
use crate::persistence::messages::MessageLogError;
use crate::persistence::vault::Vault;
use crate::persistence::{MessageLog, SharedJournal};
use actix_rt::ArbiterHandle;
use secrecy::{ExposeSecret as _, SecretString};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// All parts, joined.
pub(super) struct Parts {
    pub(super) arbiters: Arbiters,
    pub(super) chargers: HostAddr<ChargingFamily>,
    pub(super) partners: HostAddr<PartnerFamily>,
    pub(super) platform: HostAddr<PlatformFamily>,
    pub(super) accounts: Accounts,
    pub(super) statements: HostAddr<StatementFamily>,
    pub(super) office: HostAddr<OperatorFamily>,
    pub(super) operators: Arc<Operators>,
    pub(super) payment_secret: Option<SecretString>,
    pub(super) register: Arc<Register>,
    pub(super) directory: Arc<Partners>,
    pub(super) connections: Arc<ConnectionParts>,
    pub(super) pepper: Arc<Pepper>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) tariffs: Arc<Tariffs>,
    pub(super) board: Arc<QueueBoard>,
    pub(super) sender: Arc<HttpSender>,
    pub(super) alerts: Alerts,
    pub(super) messages: MessageLog,
}

/// What they are made of.
pub(super) struct Base<'a> {
    pub(super) config: &'a Config,
    pub(super) swaps: &'a Swaps,
    pub(super) clock: SharedClock,
    pub(super) journal: SharedJournal,
    pub(super) vault: Arc<Vault>,
    /// Resolves the names of webhooks.
    pub(super) lookup: Arc<dyn Lookup>,
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
    /// The built-in authority.
    #[error(transparent)]
    Authority(#[from] TlsError),
    /// The payment gateway.
    #[error(transparent)]
    Payments(#[from] super::payments::PaymentsError),
    /// The message log.
    #[error(transparent)]
    Messages(#[from] MessageLogError),
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

/// Chargers, partners and their queues, in memory.
struct Directories {
    register: Arc<Register>,
    partners: Arc<Partners>,
    tokens: Arc<Tokens>,
    sender: Arc<HttpSender>,
    board: Arc<QueueBoard>,
    alerts: Alerts,
    certificates: Option<Arc<dyn CertificateDesk>>,
}

impl Directories {
    fn new(base: &Base<'_>, alerts: Alerts) -> Result<Self, AssembleError> {
        let sender = HttpSender::new(
            &base.config.webhook,
            Arc::clone(&base.lookup),
            HttpSender::public_roots(),
            base.clock.clone(),
        );
        let sender = sender.map_err(|error| AssembleError::Sender(error.to_string()))?;
        let authority = Authority::open(&base.config.tls)?.map(Arc::new);
        let desk = |authority| Arc::new(Desk { authority, clock: base.clock.clone() }) as Arc<dyn CertificateDesk>;
        let sender = Arc::new(sender);
        let caller = TcecCaller::new(sender.clone(), base.journal.clone(), alerts.clone());
        let partners = Arc::new(Partners::new(unseal(&base.vault)).calling(Arc::new(caller)));
        let tokens = Tokens {
            vault: Arc::clone(&base.vault),
            journal: base.journal.clone(),
            clock: base.clock.clone(),
            partners: Arc::clone(&partners),
        };
        Ok(Directories {
            certificates: authority.map(desk),
            register: Arc::default(),
            partners,
            tokens: Arc::new(tokens),
            sender,
            board: Arc::default(),
            alerts,
        })
    }

    fn queues(&self, base: &Base<'_>) -> QueueParts {
        QueueParts {
            partners: Arc::clone(&self.partners),
            journal: base.journal.clone(),
            deliver: self.sender.clone(),
            board: Arc::clone(&self.board),
            clock: base.clock.clone(),
            settings: Arc::clone(&base.swaps.webhook),
            alerts: self.alerts.clone(),
            vault: Arc::clone(&base.vault),
        }
    }

    fn accounts(
        &self,
        base: &Base<'_>,
        gateway: Arc<dyn PaymentGateway>,
        listener: Arc<dyn DebtListener>,
    ) -> AccountParts {
        AccountParts {
            policy: Arc::clone(&base.swaps.accounts),
            gateway,
            listener,
            partners: Arc::clone(&self.partners),
            alerts: self.alerts.clone(),
            journal: base.journal.clone(),
        }
    }

    fn statements(&self, base: &Base<'_>) -> StatementParts {
        StatementParts {
            policy: Arc::clone(&base.swaps.statements),
            journal: base.journal.clone(),
            partners: Arc::clone(&self.partners),
            alerts: self.alerts.clone(),
        }
    }

    fn chargers(&self, base: &Base<'_>, accounts: Accounts, tariffs: &Arc<Tariffs>) -> ChargerParts {
        ChargerParts {
            register: Arc::clone(&self.register),
            partners: Arc::clone(&self.partners),
            alerts: self.alerts.clone(),
            epoch: base.journal.epoch(),
            policy: Arc::clone(&base.swaps.policy),
            vault: Arc::clone(&base.vault),
            certificates: self.certificates.clone(),
            accounts: Some(Arc::new(OwnAccounts(accounts))),
            tariffs: Arc::clone(tariffs),
        }
    }

    fn connections(&self, clock: &SharedClock) -> Arc<ConnectionParts> {
        Arc::new(ConnectionParts {
            register: Arc::clone(&self.register),
            tokens: Arc::clone(&self.tokens),
            alerts: self.alerts.clone(),
            clock: clock.clone(),
            link_changes: Semaphore::new(LINK_CHANGES),
        })
    }
}

fn unseal(vault: &Arc<Vault>) -> Unseal {
    let vault = Arc::clone(vault);
    Arc::new(move |sealed: &Sealed| {
        let plain = vault.unseal_secret(PARTNER_SECRETS, &sealed.0).ok()?;
        String::from_utf8(plain.expose_secret().to_vec()).ok().map(SecretString::from)
    })
}

/// Operators, and who follows them in memory.
async fn office(
    seed: &Seed,
    arbiters: &[ArbiterHandle],
    alerts: Alerts,
    retry_after: Duration,
) -> Result<(HostAddr<OperatorFamily>, Arc<Operators>), ArbiterGone> {
    let operators = Arc::<Operators>::default();
    let view = Arc::clone(&operators);
    let shell = move || {
        let (operators, alerts) = (Arc::clone(&view), alerts.clone());
        Rc::new(OperatorShell { operators, alerts }) as Rc<dyn Shell<OperatorFamily>>
    };
    Ok((tree::host(arbiters, retry_after, seed.environments(shell)).await?, operators))
}

/// Makes the parts, each family's host on its arbiters.
pub(super) async fn assemble(base: Base<'_>) -> Result<Parts, AssembleError> {
    let engine = &base.config.engine;
    let (alerts, waiting) = alerts::channel();
    let known = Directories::new(&base, alerts)?;
    let journal = &base.config.journal;
    let messages = MessageLog::open(&base.config.message_log, journal.full_floor_bytes + journal.reserve_bytes)?;
    let seed = Seed {
        journal: base.journal.clone(),
        clock: base.clock.clone(),
        config: engine.clone(),
        budget: Arc::new(Mutex::new(RestartBudget::new(engine.process_restarts, engine.restart_window))),
    };
    let arbiters = Arbiters::start(engine.arbiters)?;
    let back_office = [arbiters.back_office()];
    let tariffs = Arc::<Tariffs>::default();
    let view = Arc::clone(&tariffs);
    let platform = seed
        .environments(move || Rc::new(PlatformShell { tariffs: Arc::clone(&view) }) as Rc<dyn Shell<PlatformFamily>>);
    let platform = tree::host(&back_office, engine.retry_after, platform).await?;
    let (office, operators) = office(&seed, &back_office, known.alerts.clone(), engine.retry_after).await?;
    let queues = known.queues(&base);
    let partners =
        seed.environments(move || Rc::new(PartnerShell::new(queues.clone())) as Rc<dyn Shell<PartnerFamily>>);
    let partners = tree::host(&back_office, engine.retry_after, partners).await?;
    let (payment_secret, gateway) = super::payments::gateway(&base.config.payments, &base.clock)?;
    let orders = Arc::new(OrdersHear::new(base.journal.clone()));
    let money = known.accounts(&base, gateway, orders.clone());
    let accounts = seed.environments(move || Rc::new(AccountShell::new(money.clone())) as Rc<dyn Shell<AccountFamily>>);
    let accounts = tree::host(&back_office, engine.retry_after, accounts).await?;
    let accounts = Accounts::new(accounts, base.journal.clone(), engine.retry_after);
    let stating = known.statements(&base);
    let statements =
        seed.environments(move || Rc::new(StatementShell::new(stating.clone())) as Rc<dyn Shell<StatementFamily>>);
    let statements = tree::host(&back_office, engine.retry_after, statements).await?;
    let shells = known.chargers(&base, accounts.clone(), &tariffs);
    let chargers =
        seed.environments(move || Rc::new(ChargerShell::new(shells.clone())) as Rc<dyn Shell<ChargingFamily>>);
    let chargers = tree::host(&arbiters.chargers(), engine.retry_after, chargers).await?;
    orders.join(chargers.clone());
    arbiters.back_office().spawn(alerts::keep(waiting, platform.clone()));
    Ok(Parts {
        arbiters,
        chargers,
        partners,
        platform,
        accounts,
        statements,
        office,
        operators,
        payment_secret,
        connections: known.connections(&base.clock),
        pepper: Arc::new(Pepper::new(base.vault.charger_pepper())),
        register: known.register,
        directory: known.partners,
        tokens: known.tokens,
        tariffs,
        board: known.board,
        sender: known.sender,
        alerts: known.alerts,
        messages,
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
