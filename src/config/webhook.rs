//! The section `[webhook]` of `config.toml`: delivery to partners (EM-8, EM-9).

use super::check::{Checked, Problem, between, not_above};
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
    /// Tries under way at once to all endpoints of a partner.
    pub in_flight: usize,
    /// Tries begun in a second to all endpoints of a partner; 0 for no limit.
    pub rate_per_s: u32,
    /// Tries that may begin at once after a rest.
    pub burst: u32,
    /// Failures in a row after which one try at a time is made; 0 for never.
    pub probe_after: u32,
    /// Events of one partner held in memory.
    pub window: usize,
    /// Events of one partner whose payload is held ready.
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
    /// The newest tries that an endpoint's health is made of.
    pub health_window: u32,
    /// Shares of failing tries, in percent, at which an alert goes out.
    pub health_levels: Vec<u8>,
    /// Below this share an alerted endpoint counts as recovered.
    pub health_recovered: u8,
    /// When every try has failed for so long the endpoint is disabled; zero for never.
    #[serde(with = "seconds")]
    pub disable_after: Duration,
    /// How often such an endpoint is asked whether it is there again; zero for never.
    #[serde(with = "seconds")]
    pub probe_every: Duration,
    /// Waits after the first, second … challenge to a new URL that was not answered rightly.
    #[serde(with = "durations")]
    pub challenge_schedule: Vec<Duration>,
    /// Endpoints that a partner can have.
    pub endpoints_max: usize,
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
            health_window: self.health_window,
            health_levels: self.health_levels.clone(),
            health_recovered: self.health_recovered,
            disable_after: self.disable_after,
            probe_every: self.probe_every,
            challenge_schedule: self.challenge_schedule.clone(),
            endpoints_max: self.endpoints_max,
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
}

/// Most steps of a schedule: the waits of the default already add up to two days.
const STEPS_MAX: usize = 20;
/// Most levels of alerts.
const LEVELS_MAX: usize = 10;

impl Checked for Webhook {
    fn check(&self, problems: &mut Vec<Problem>) {
        between(problems, "webhook.schedule", self.schedule.len(), 1, STEPS_MAX);
        between(problems, "webhook.challenge_schedule", self.challenge_schedule.len(), 1, STEPS_MAX);
        between(problems, "webhook.health_levels", self.health_levels.len(), 1, LEVELS_MAX);
        self.check_levels(problems);
        not_above(problems, "webhook.slow_min", self.slow_min, ("webhook.slow_max", self.slow_max));
        not_above(problems, "webhook.connect_timeout", self.connect_timeout, ("webhook.timeout", self.timeout));
        not_above(problems, "webhook.drain_timeout", self.drain_timeout, ("webhook.timeout", self.timeout));
        not_above(problems, "webhook.overlap", self.overlap, ("webhook.overlap_max", self.overlap_max));
    }
}

impl Webhook {
    fn check_levels(&self, problems: &mut Vec<Problem>) {
        let levels = &self.health_levels;
        let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || levels.iter().any(|level| !(1..=100).contains(level)) {
            let given = format!("{levels:?}");
            problems.push(Problem::new("webhook.health_levels", given, "rising percentages, 1 to 100, are allowed"));
        }
        if levels.first().is_some_and(|first| self.health_recovered >= *first) {
            let allowed =
                format!("only what is above `webhook.health_recovered` ({}) is allowed", self.health_recovered);
            problems.push(Problem::new("webhook.health_levels", format!("{levels:?}"), allowed));
        }
        let samples = (self.health_samples_min, self.health_window);
        not_above(problems, "webhook.health_samples_min", samples.0, ("webhook.health_window", samples.1));
    }
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
    use crate::config::load::from_text;

    fn defaults() -> Webhook {
        let mut table: toml::Table = DEFAULTS.parse().unwrap();
        table.remove("webhook").unwrap().try_into().unwrap()
    }

    #[test]
    fn the_documented_defaults_are_allowed_and_are_those_of_the_rules() {
        let webhook = defaults();
        assert_eq!(webhook.policy(), Policy::default());
        let text = toml::to_string(&webhook).unwrap();
        assert_eq!(toml::from_str::<Webhook>(&text).unwrap(), webhook);
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_key_value_and_range() {
        for (text, wanted) in [
            ("jitter = 1.5", "`webhook.jitter` is 1.5: 0 to 1 is allowed"),
            ("window = 1", "`webhook.window` is 1: 16 to 1000000 is allowed"),
            ("timeout = \"10m\"", "`webhook.timeout` is \"10m\": 1s to 1m is allowed"),
            ("schedule = []", "`webhook.schedule` is 0: 1 to 20 is allowed"),
            ("schedule = [\"8d\"]", "1s to 7d is allowed"),
            ("health_levels = [50, 40]", "rising percentages, 1 to 100, are allowed"),
            ("health_levels = [20, 50]", "only what is above `webhook.health_recovered` (25) is allowed"),
            ("health_window = 7", "8 to 64 is allowed"),
            (
                "health_samples_min = 9\nhealth_window = 8",
                "at most the value of `webhook.health_window` (8) is allowed",
            ),
            ("endpoints_max = 0", "1 to 20 is allowed"),
            ("connect_timeout = \"20s\"", "at most the value of `webhook.timeout` (15s) is allowed"),
        ] {
            let text = format!("[webhook]\n{text}");
            let problems = from_text(Some(("x.toml", &text)), &[]).map(|_| ()).unwrap_err().to_string();
            assert!(problems.starts_with("x.toml:2: ") && problems.contains(wanted), "{problems}");
        }
    }
}
