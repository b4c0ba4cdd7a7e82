//! The section `[gateway]` of `config.toml`.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// The section `[gateway]`: OCPP sockets. Units and reasons of every key are in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.toml documents every key")]
pub struct Gateway {
    pub listen: SocketAddr,
    pub connections_max: usize,
    pub handshakes_per_second: u32,
    pub handshakes_in_flight: usize,
    pub handshakes_per_address: usize,
    #[serde(with = "crate::config::seconds")]
    pub handshake_timeout: Duration,
    pub head_bytes_max: usize,
    pub headers_max: usize,
    #[serde(with = "crate::config::seconds")]
    pub retry_after_min: Duration,
    #[serde(with = "crate::config::seconds")]
    pub retry_after_max: Duration,
    pub auth_failures_per_id: u32,
    pub auth_failures_per_address: u32,
    pub auth_failures_total: u32,
    pub read_buffer_bytes: usize,
    pub message_bytes_max: usize,
    pub message_bytes_small: usize,
    pub large_message_bytes_total: usize,
    pub fragments_max: u32,
    pub control_frames_per_minute: u32,
    pub messages_per_second: u32,
    pub messages_burst: u32,
    pub read_ahead: usize,
    pub outgoing_queue: usize,
    #[serde(with = "crate::config::seconds")]
    pub write_timeout: Duration,
    #[serde(with = "crate::config::seconds")]
    pub close_timeout: Duration,
    #[serde(with = "crate::config::seconds")]
    pub ping_interval: Duration,
    #[serde(with = "crate::config::seconds")]
    pub call_timeout: Duration,
    #[serde(with = "crate::config::seconds")]
    pub call_grace: Duration,
    pub alternation_takeovers: u32,
    #[serde(with = "crate::config::seconds")]
    pub alternation_window: Duration,
}

/// One range check: the key, its value, and what is allowed.
struct Range(&'static str, u64, u64, u64);

impl Gateway {
    /// Checks every value against its range (RT-10).
    ///
    /// # Errors
    /// Names the key, the value, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let ranges = [
            Range("connections_max", size(self.connections_max), 1, 1_000_000),
            Range("handshakes_per_second", self.handshakes_per_second.into(), 1, 100_000),
            Range("handshakes_in_flight", size(self.handshakes_in_flight), 1, 65_536),
            Range("handshakes_per_address", size(self.handshakes_per_address), 1, 65_536),
            Range("handshake_timeout (ms)", millis(self.handshake_timeout), 100, 60_000),
            Range("head_bytes_max", size(self.head_bytes_max), 512, 65_536),
            Range("headers_max", size(self.headers_max), 8, 128),
            Range("retry_after_min (ms)", millis(self.retry_after_min), 1000, millis(self.retry_after_max)),
            Range("retry_after_max (ms)", millis(self.retry_after_max), 1000, 3_600_000),
            Range("auth_failures_per_id", self.auth_failures_per_id.into(), 1, 10_000),
            Range("auth_failures_per_address", self.auth_failures_per_address.into(), 1, 100_000),
            Range("auth_failures_total", self.auth_failures_total.into(), 1, 1_000_000),
            Range("read_buffer_bytes", size(self.read_buffer_bytes), 512, 65_536),
            Range("message_bytes_max", size(self.message_bytes_max), 65_536, 16 << 20),
            Range("message_bytes_small", size(self.message_bytes_small), 1024, size(self.message_bytes_max)),
            Range(
                "large_message_bytes_total",
                size(self.large_message_bytes_total),
                size(self.message_bytes_max),
                1 << 32,
            ),
            Range("fragments_max", self.fragments_max.into(), 1, 4096),
            Range("control_frames_per_minute", self.control_frames_per_minute.into(), 10, 100_000),
            Range("messages_per_second", self.messages_per_second.into(), 1, 1_000_000),
            Range("messages_burst", self.messages_burst.into(), 1, 1_000_000),
            Range("read_ahead", size(self.read_ahead), 1, 256),
            Range("outgoing_queue", size(self.outgoing_queue), 1, 1024),
            Range("write_timeout (ms)", millis(self.write_timeout), 100, 300_000),
            Range("close_timeout (ms)", millis(self.close_timeout), 10, 60_000),
            Range("ping_interval (ms)", millis(self.ping_interval), 100, 3_600_000),
            Range("call_timeout (ms)", millis(self.call_timeout), 100, 600_000),
            Range("call_grace (ms)", millis(self.call_grace), 0, 600_000),
            Range("alternation_takeovers", self.alternation_takeovers.into(), 2, 1000),
            Range("alternation_window (ms)", millis(self.alternation_window), 1000, 86_400_000),
        ];
        match ranges.iter().find(|Range(_, value, min, max)| !(min..=max).contains(&value)) {
            None => Ok(()),
            Some(Range(key, value, min, max)) => Err(format!("gateway.{key} is {value}: {min} to {max} is allowed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Gateway {
        let all: toml::Table = crate::config::DEFAULTS.parse().unwrap();
        all["gateway"].clone().try_into().unwrap()
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        assert_eq!(defaults().check(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_what_is_allowed() {
        let bad = Gateway { read_buffer_bytes: 1, ..defaults() };
        assert!(bad.check().is_err_and(|e| e.contains("read_buffer_bytes is 1") && e.contains("is allowed")));
    }
}
