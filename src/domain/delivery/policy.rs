//! The numbers of delivery, as the shell read them from the configuration. Owns their names; never their reading.

use std::time::Duration;

/// Ambient of the partner family: what decisions need to know besides state (all keys of `[webhook]`).
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Waits after the first, second … failure. One more try than steps is made (EM-8).
    pub schedule: Vec<Duration>,
    /// The part of a step that is added at random, 0 to 1: events that failed together do not return together.
    pub jitter: f64,
    /// The longest `Retry-After` that is honoured.
    pub retry_after_max: Duration,
    /// Waits after the first, second … challenge to a new URL that was not answered rightly; then none is sent any more.
    pub challenge_schedule: Vec<Duration>,
    /// The newest tries that an endpoint's health is made of, 8 to 64.
    pub health_window: u32,
    /// Shares of failing tries, in percent and rising, at which an alert goes out.
    pub health_levels: Vec<u8>,
    /// Below this share an alerted endpoint counts as recovered; lower than the first level, so that it does not flap.
    pub health_recovered: u8,
    /// When every try has failed for so long the endpoint is disabled; zero: never.
    pub disable_after: Duration,
    /// How often such an endpoint is asked whether it is there again; zero: never.
    pub probe_every: Duration,
    /// Endpoints that a partner can have.
    pub endpoints_max: usize,
    /// Fewer recent attempts than this say nothing about health.
    pub health_samples_min: u32,
    /// Rows of the attempt log that are kept a queue; each holds the attempts of one report.
    pub log_pages: u64,
    /// API keys a partner can have that are not revoked.
    pub keys_max: usize,
    /// Secrets of an endpoint that overlap.
    pub secrets_max: usize,
    /// Replays that can wait for their turn.
    pub replays_max: usize,
    /// The longest overlap of an old secret.
    pub overlap_max: Duration,
}

impl Default for Policy {
    /// EM-8's own numbers, and the defaults of `config.toml`.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 3600;
        let seconds = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR];
        Policy {
            schedule: seconds.into_iter().map(Duration::from_secs).collect(),
            jitter: 0.1,
            challenge_schedule: [10, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR]
                .into_iter()
                .map(Duration::from_secs)
                .collect(),
            health_window: 64,
            health_levels: vec![50, 70, 90, 100],
            health_recovered: 25,
            disable_after: Duration::from_secs(24 * HOUR),
            probe_every: Duration::from_secs(15 * MINUTE),
            endpoints_max: 5,
            retry_after_max: Duration::from_secs(24 * HOUR),
            health_samples_min: 8,
            log_pages: 256,
            keys_max: 10,
            secrets_max: 5,
            replays_max: 4,
            overlap_max: Duration::from_secs(7 * 24 * HOUR),
        }
    }
}
