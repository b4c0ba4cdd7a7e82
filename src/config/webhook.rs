//! The section `[webhook]` of `config.toml`: delivery to partners (EM-8, EM-9).

use crate::config::seconds;
use crate::domain::delivery::{Pace, Policy};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[webhook]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Waits after the first, second … failed try.
    #[serde(with = "durations")]
    pub schedule: Vec<Duration>,
    /// The part of a wait that is added at random, 0 to 1.
    pub jitter: f64,
    /// The longest `Retry-After` that is honoured.
    #[serde(with = "seconds")]
    pub retry_after_max: Duration,
    /// The shortest pause of a queue after a 429.
    #[serde(with = "seconds")]
    pub slow_min: Duration,
    /// The longest pause of a queue after a 429.
    #[serde(with = "seconds")]
    pub slow_max: Duration,
    /// A whole try.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Its connection, TLS included.
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
    /// How long the rest of an answer is read once its status is known.
    #[serde(with = "seconds")]
    pub drain_timeout: Duration,
    /// Bytes of an answer that are read.
    pub response_bytes_max: usize,
    /// Idle connections kept to one host.
    pub idle_per_host: usize,
    /// How long they are kept.
    #[serde(with = "seconds")]
    pub idle_timeout: Duration,
    /// Names being resolved at once, for all partners.
    pub lookups: usize,
    /// Tries under way at once to one endpoint.
    pub in_flight: usize,
    /// Tries begun in a second to one endpoint; 0 for no limit.
    pub rate_per_s: u32,
    /// Tries that may begin at once after a rest.
    pub burst: u32,
    /// Failures in a row after which one try at a time is made; 0 for never.
    pub probe_after: u32,
    /// Events of one queue held in memory.
    pub window: usize,
    /// Events whose payload a queue holds ready.
    pub read_ahead: usize,
    /// How long a success may wait for its journal record.
    #[serde(with = "seconds")]
    pub settle_delay: Duration,
    /// Finished tries that are journaled without waiting.
    pub settle_batch: usize,
    /// Rows of the attempt log kept for a queue.
    pub log_pages: u64,
    /// Fewer tries than this say nothing about an endpoint's health.
    pub health_samples_min: u32,
    /// How long old secrets sign on after a rotation, unless the caller says otherwise.
    #[serde(with = "seconds")]
    pub overlap: Duration,
    /// The longest such overlap.
    #[serde(with = "seconds")]
    pub overlap_max: Duration,
    /// Secrets of an endpoint that overlap.
    pub secrets_max: usize,
    /// Live API keys of a partner.
    pub keys_max: usize,
    /// Replays of a queue that can wait for their turn.
    pub replays_max: usize,
    /// Ports that webhooks may go to; empty for any.
    pub ports: Vec<u16>,
    /// Non-public networks that webhooks may go to all the same.
    pub allow_cidrs: Vec<IpNet>,
    /// Plain HTTP to addresses in `allow_cidrs`.
    pub allow_http: bool,
}

impl Webhook {
    /// What the decisions need.
    pub fn policy(&self) -> Policy {
        Policy {
            schedule: self.schedule.clone(),
            jitter: self.jitter,
            retry_after_max: self.retry_after_max,
            health_samples_min: self.health_samples_min,
            log_pages: self.log_pages,
            keys_max: self.keys_max,
            secrets_max: self.secrets_max,
            replays_max: self.replays_max,
            overlap_max: self.overlap_max,
        }
    }

    /// What the scheduler of a queue needs.
    pub fn pace(&self) -> Pace {
        Pace {
            window: self.window,
            in_flight: self.in_flight,
            rate_per_s: self.rate_per_s,
            burst: self.burst,
            probe_after: self.probe_after,
            slow_min: self.slow_min,
            slow_max: self.slow_max,
        }
    }

    /// What types alone cannot check.
    ///
    /// # Errors
    /// Names the key, the value, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let day = Duration::from_secs(24 * 3600);
        let second = Duration::from_secs(1);
        range("jitter", self.jitter, 0.0, 1.0)?;
        range("schedule (number of steps)", self.schedule.len(), 1, 20)?;
        for step in &self.schedule {
            span("schedule", *step, second, 7 * day)?;
        }
        span("retry_after_max", self.retry_after_max, second, 7 * day)?;
        span("slow_min", self.slow_min, Duration::from_millis(1), self.slow_max)?;
        span("slow_max", self.slow_max, self.slow_min, day)?;
        span("timeout", self.timeout, second, Duration::from_secs(60))?;
        span("connect_timeout", self.connect_timeout, Duration::from_millis(100), self.timeout)?;
        span("drain_timeout", self.drain_timeout, Duration::ZERO, self.timeout)?;
        span("settle_delay", self.settle_delay, Duration::ZERO, 5 * second)?;
        span("overlap", self.overlap, Duration::ZERO, self.overlap_max)?;
        span("overlap_max", self.overlap_max, Duration::ZERO, 30 * day)?;
        range("response_bytes_max", self.response_bytes_max, 0, 1 << 20)?;
        range("idle_per_host", self.idle_per_host, 0, 1000)?;
        range("lookups", self.lookups, 1, 256)?;
        range("in_flight", self.in_flight, 1, 1000)?;
        range("burst", self.burst, 1, 100_000)?;
        range("window", self.window, 16, 1_000_000)?;
        range("read_ahead", self.read_ahead, 1, 10_000)?;
        range("settle_batch", self.settle_batch, 1, 1000)?;
        range("log_pages", self.log_pages, 1, 100_000)?;
        range("secrets_max", self.secrets_max, 1, 10)?;
        range("keys_max", self.keys_max, 1, 100)?;
        range("replays_max", self.replays_max, 1, 100)
    }
}

fn range<T: PartialOrd + std::fmt::Display>(key: &str, value: T, min: T, max: T) -> Result<(), String> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(format!("webhook.{key} = {value} is not allowed: {min} to {max}"))
}

fn span(key: &str, value: Duration, min: Duration, max: Duration) -> Result<(), String> {
    if value >= min && value <= max {
        return Ok(());
    }
    let [value, min, max] = [value, min, max].map(seconds::format);
    Err(format!("webhook.{key} = {value} is not allowed: {min} to {max}"))
}

/// Lists of duration texts.
mod durations {
    use crate::config::seconds;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Duration>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| seconds::parse(text)).collect::<Result<_, _>>().map_err(serde::de::Error::custom)
    }

    pub(super) fn serialize<S: Serializer>(durations: &[Duration], s: S) -> Result<S::Ok, S::Error> {
        durations.iter().map(|d| seconds::format(*d)).collect::<Vec<_>>().serialize(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULTS;

    fn defaults() -> Webhook {
        let mut table: toml::Table = DEFAULTS.parse().unwrap();
        table.remove("webhook").unwrap().try_into().unwrap()
    }

    #[test]
    fn the_documented_defaults_are_allowed_and_are_those_of_the_rules() {
        let webhook = defaults();
        assert_eq!(webhook.check(), Ok(()));
        assert_eq!(webhook.policy(), Policy::default());
        let text = toml::to_string(&webhook).unwrap();
        assert_eq!(toml::from_str::<Webhook>(&text).unwrap(), webhook);
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_key_value_and_range() {
        let jitter = Webhook { jitter: 1.5, ..defaults() };
        assert_eq!(jitter.check(), Err("webhook.jitter = 1.5 is not allowed: 0 to 1".into()));
        let window = Webhook { window: 1, ..defaults() };
        assert_eq!(window.check(), Err("webhook.window = 1 is not allowed: 16 to 1000000".into()));
        let timeout = Webhook { timeout: Duration::from_secs(600), ..defaults() };
        assert_eq!(timeout.check(), Err("webhook.timeout = 10m is not allowed: 1s to 1m".into()));
        let steps = Webhook { schedule: vec![], ..defaults() };
        assert!(steps.check().is_err_and(|e| e.contains("schedule")));
    }
}
