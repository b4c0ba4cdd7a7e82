//! The configuration in force. Owns the one that is applied, its numbered versions, and the rule which keys may change
//! while running (RT-10); never reads a file and never stores a version: the caller makes a version durable between
//! [`LiveConfig::propose`] and [`LiveConfig::adopt`].
//!
//! Invariants: version numbers rise by one; only keys marked `(live)` in `config.toml` ever differ between what the
//! process started with and what is in force.

use super::check::{Problem, Problems};
use super::{Config, load};
use crate::clock::Timestamp;
use crate::telemetry::metrics::process::{CONFIG_CHANGES, CONFIG_VERSION};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Versions kept in memory for listing and rolling back: a year of weekly changes. Older ones are still in the store.
const VERSIONS_KEPT: usize = 64;

/// Why a version came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The process started with it.
    Started,
    /// SIGHUP: the file was read again.
    Reloaded,
    /// An operator applied it.
    Applied,
    /// An operator went back to that version.
    RolledBack(u64),
}

/// A configuration that was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// From 1, rising by one, over restarts too.
    pub number: u64,
    /// When it was applied.
    pub at: Timestamp,
    /// Who did it: an operator's name, `SIGHUP`, `start`.
    pub by: String,
    /// Why.
    pub cause: Cause,
    /// The keys that differ from the defaults, by path. Defaults of a newer build thus reach older versions.
    pub settings: BTreeMap<String, toml::Value>,
    /// The keys that this version changed.
    pub changed: Vec<String>,
}

/// A version proposed before another was adopted in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the configuration changed meanwhile: version {current} is in force")]
pub struct Stale {
    /// The version in force.
    pub current: u64,
}

/// The configuration in force, shared by the whole process.
#[derive(Debug)]
pub struct LiveConfig {
    current: ArcSwap<Config>,
    versions: Mutex<VecDeque<Version>>,
    changed: watch::Sender<u64>,
}

impl LiveConfig {
    /// Begins with `config`. `kept` are the stored versions, oldest first. The second part is a new version to store, if
    /// the process started with something else than what was last in force.
    ///
    /// # Errors
    /// When `config` cannot be written as TOML, which a test excludes.
    pub fn start(config: Config, kept: Vec<Version>, now: Timestamp) -> Result<(Self, Option<Version>), Problems> {
        let settings = load::settings_of(&config)?;
        let last = kept.last();
        let number = last.map_or(0, |version| version.number);
        let fresh = (last.map(|version| &version.settings) != Some(&settings)).then(|| Version {
            number: number + 1,
            at: now,
            by: "start".into(),
            cause: Cause::Started,
            changed: last.map(|version| changes(&version.settings, &settings)).unwrap_or_default(),
            settings,
        });
        let skip = kept.len().saturating_sub(VERSIONS_KEPT);
        let versions = kept.into_iter().skip(skip).chain(fresh.clone()).collect();
        let number = fresh.as_ref().map_or(number, |version| version.number);
        let (changed, _) = watch::channel(number);
        CONFIG_VERSION.set(number as f64, []);
        Ok((LiveConfig { current: ArcSwap::from_pointee(config), versions: Mutex::new(versions), changed }, fresh))
    }

    /// The configuration in force. Cheap: ask again rather than keep it.
    pub fn current(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// The number of the version in force.
    pub fn version(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Tells of every new version, for what must be rebuilt when a value changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The applied versions, oldest first.
    pub fn versions(&self) -> Vec<Version> {
        self.lock().iter().cloned().collect()
    }

    /// The version that applying `new` would make. Nothing changes yet: store it, then [`adopt`](Self::adopt) it.
    ///
    /// # Errors
    /// A key that is not live would change, or `new` is not good.
    pub fn propose(&self, new: &Config, cause: Cause, by: &str, now: Timestamp) -> Result<Version, Problems> {
        let old = load::settings_of(&self.current())?;
        let settings = load::settings_of(new)?;
        let changed = changes(&old, &settings);
        let documented = load::documented()?;
        let fixed = changed.iter().filter(|key| !documented.get(*key).is_some_and(|key| key.live));
        let restart = |key: &String| {
            let value = settings.get(key).map_or_else(|| "the default".to_owned(), ToString::to_string);
            Problem::new(key, value, "this key takes effect at a restart only; keys marked (live) change while running")
        };
        let mut problems: Vec<_> = fixed.map(restart).collect();
        new.check(&mut problems);
        if !problems.is_empty() {
            return Err(refused(Problems(problems)));
        }
        Ok(Version { number: self.version() + 1, at: now, by: by.to_owned(), cause, settings, changed })
    }

    /// The version that setting some keys over what is in force would make. Keys are paths (`webhook.timeout`) or sections
    /// with keys in them.
    ///
    /// # Errors
    /// As [`propose`](Self::propose), and all that is wrong with the values.
    pub fn propose_settings(
        &self,
        set: BTreeMap<String, toml::Value>,
        by: &str,
        now: Timestamp,
    ) -> Result<Version, Problems> {
        let mut settings = load::settings_of(&self.current())?;
        settings.extend(load::paths(set)?);
        self.propose(&load::from_settings(&settings).map_err(refused)?, Cause::Applied, by, now)
    }

    /// The version that reading the sources again would make (SIGHUP).
    ///
    /// # Errors
    /// As [`propose`](Self::propose), and all that is wrong with the sources.
    pub fn propose_reload(&self, sources: &load::Sources, now: Timestamp) -> Result<Version, Problems> {
        self.propose(&load::load(sources).map_err(refused)?.config, Cause::Reloaded, "SIGHUP", now)
    }

    /// The version that going back to version `number` would make: its live keys, with the others as they are.
    ///
    /// # Errors
    /// There is no such version, or this build no longer takes one of its values.
    pub fn propose_rollback(&self, number: u64, by: &str, now: Timestamp) -> Result<Version, Problems> {
        let Some(target) = self.lock().iter().find(|version| version.number == number).cloned() else {
            let known = self.lock().iter().map(|version| version.number.to_string()).collect::<Vec<_>>().join(", ");
            return Err(Problems(vec![Problem::new("version", number, format!("one of {known} is allowed"))]));
        };
        let documented = load::documented()?;
        let live = |key: &String| documented.get(key).is_some_and(|key| key.live);
        let mut settings = load::settings_of(&self.current())?;
        settings.retain(|key, _| !live(key));
        settings.extend(target.settings.into_iter().filter(|(key, _)| live(key)));
        self.propose(&load::from_settings(&settings)?, Cause::RolledBack(number), by, now)
    }

    /// Puts a proposed version in force.
    ///
    /// # Errors
    /// Another one came in between.
    pub fn adopt(&self, version: Version) -> Result<(), AdoptError> {
        let config = load::from_settings(&version.settings)?;
        let mut versions = self.lock();
        let current = self.version();
        if version.number != current + 1 {
            return Err(Stale { current }.into());
        }
        self.current.store(Arc::new(config));
        self.changed.send_replace(version.number);
        CONFIG_VERSION.set(version.number as f64, []);
        CONFIG_CHANGES.add(1, ["applied"]);
        versions.push_back(version);
        while versions.len() > VERSIONS_KEPT {
            versions.pop_front();
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Version>> {
        // Nothing panics while it is held, and a list of versions is whole at any moment.
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(problems: Problems) -> Problems {
    CONFIG_CHANGES.add(1, ["refused"]);
    problems
}

/// Why a version is not put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// Another one came in between.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// It is not good.
    #[error(transparent)]
    Problems(#[from] Problems),
}

fn changes(old: &BTreeMap<String, toml::Value>, new: &BTreeMap<String, toml::Value>) -> Vec<String> {
    let keys = old.keys().chain(new.keys()).collect::<std::collections::BTreeSet<_>>();
    keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}
