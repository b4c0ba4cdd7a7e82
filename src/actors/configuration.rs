//! Applied configurations (RT-10): proposes, stores, adopts, and brings the new values where they are used. Owns the order
//! durable first, then in force.

use super::engine::HostAddr;
use crate::clock::SharedClock;
use crate::config::accounts::policy;
use crate::config::check::{Problem, Problems};
use crate::config::gateway::Gateway;
use crate::config::live::{AdoptError, LiveConfig, Version};
use crate::config::load::Sources;
use crate::config::{Config, webhook::Webhook};
use crate::domain::account;
use crate::domain::charging::Policy;
use crate::domain::platform::{Command, PARTITION, Platform, PlatformFamily};
use crate::domain::statement;
use crate::telemetry::logs::Logs;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The table of applied configurations.
pub const TABLE: &str = "config-version";

/// Why a configuration is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It is not good.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// Another one came in between.
    #[error("another configuration was applied meanwhile")]
    Stale,
    /// It could not be stored.
    #[error("the configuration could not be stored: {0}")]
    NotStored(String),
}

/// Where live values are read.
#[derive(Clone)]
pub struct Swaps {
    /// Rules of charging.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Webhooks.
    pub webhook: Arc<ArcSwap<Webhook>>,
    /// Sockets.
    pub gateway: Arc<ArcSwap<Gateway>>,
    /// Rules of accounts.
    pub accounts: Arc<ArcSwap<account::Policy>>,
    /// Rules of statements.
    pub statements: Arc<ArcSwap<statement::Policy>>,
}

impl Swaps {
    /// The values of this configuration.
    pub fn new(config: &Config) -> Self {
        Swaps {
            policy: Arc::new(ArcSwap::from_pointee(Policy::from(config))),
            webhook: Arc::new(ArcSwap::from_pointee(config.webhook.clone())),
            gateway: Arc::new(ArcSwap::from_pointee(config.gateway.clone())),
            accounts: Arc::new(ArcSwap::from_pointee(policy(&config.accounts, &config.payments))),
            statements: Arc::new(ArcSwap::from_pointee(config.statement.policy())),
        }
    }

    fn set(&self, config: &Config) {
        self.policy.store(Arc::new(Policy::from(config)));
        self.webhook.store(Arc::new(config.webhook.clone()));
        self.gateway.store(Arc::new(config.gateway.clone()));
        self.accounts.store(Arc::new(policy(&config.accounts, &config.payments)));
        self.statements.store(Arc::new(config.statement.policy()));
    }
}

/// The configuration in force and the way to another.
pub struct Configuration {
    /// What is in force, and was.
    pub live: Arc<LiveConfig>,
    /// Where live values are read.
    pub swaps: Swaps,
    /// Keeps versions.
    pub platform: HostAddr<PlatformFamily>,
    /// Where SIGHUP reads.
    pub sources: Sources,
    /// Whose filter can change.
    pub logs: Option<Logs>,
    /// The time.
    pub clock: SharedClock,
}

impl Configuration {
    /// Applies settings given as a TOML text.
    ///
    /// # Errors
    /// See [`ApplyError`]; nothing is changed then.
    pub async fn apply(&self, text: &str, by: &str) -> Result<u64, ApplyError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Problems(vec![Problem::new("toml", error.message(), "a TOML text of the keys to change")])
        })?;
        let set: BTreeMap<String, toml::Value> = table.into_iter().collect();
        let version = self.live.propose_settings(set, by, self.clock.now())?;
        self.adopt(version).await
    }

    /// Goes back to a version.
    ///
    /// # Errors
    /// See [`ApplyError`]; nothing is changed then.
    pub async fn rollback(&self, number: u64, by: &str) -> Result<u64, ApplyError> {
        let version = self.live.propose_rollback(number, by, self.clock.now())?;
        self.adopt(version).await
    }

    /// Reads the sources again (SIGHUP).
    ///
    /// # Errors
    /// See [`ApplyError`]; nothing is changed then.
    pub async fn reload(&self) -> Result<u64, ApplyError> {
        let version = self.live.propose_reload(&self.sources, self.clock.now())?;
        self.adopt(version).await
    }

    /// Stores a version, then puts it in force.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn adopt(&self, version: Version) -> Result<u64, ApplyError> {
        let number = self.keep(&version).await?;
        self.live.adopt(version).map_err(|error| match error {
            AdoptError::Stale(_) => ApplyError::Stale,
            AdoptError::Problems(problems) => ApplyError::Problems(problems),
        })?;
        let config = self.live.current();
        self.swaps.set(&config);
        if let Some(Err(error)) = self.logs.as_ref().map(|logs| logs.set_filter(&config.telemetry.log_filter)) {
            tracing::error!(%error, "the log filter could not be changed");
        }
        tracing::info!(version = number, "a configuration is in force");
        Ok(number)
    }

    /// Stores a version.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn keep(&self, version: &Version) -> Result<u64, ApplyError> {
        let document = serde_json::to_value(version).map_err(|error| ApplyError::NotStored(error.to_string()))?;
        let command = Command::KeepConfig { number: version.number, document };
        match self.platform.ask(PARTITION, Platform, command).await {
            Ok(Some(number)) => Ok(number),
            Ok(None) => Err(ApplyError::Stale),
            Err(refusal) => Err(ApplyError::NotStored(refusal.to_string())),
        }
    }
}
