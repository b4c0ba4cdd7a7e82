//! The section `[gateway]` of `config.toml`.

use super::check::{Checked, Problem, not_above};
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
    #[serde(with = "crate::config::seconds")]
    pub late_max: Duration,
    pub handshakes_per_second_busy: u32,
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
    #[serde(with = "crate::config::seconds")]
    pub homecoming: Duration,
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
    pub call_grace: Duration,
    pub alternation_takeovers: u32,
    #[serde(with = "crate::config::seconds")]
    pub alternation_window: Duration,
}

impl Checked for Gateway {
    fn check(&self, problems: &mut Vec<Problem>) {
        let retry = ("gateway.retry_after_max", self.retry_after_max);
        not_above(problems, "gateway.retry_after_min", self.retry_after_min, retry);
        let message = ("gateway.message_bytes_max", self.message_bytes_max);
        not_above(problems, "gateway.message_bytes_small", self.message_bytes_small, message);
        let total = ("gateway.large_message_bytes_total", self.large_message_bytes_total);
        not_above(problems, "gateway.message_bytes_max", self.message_bytes_max, total);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_text;

    fn problem(text: &str) -> String {
        let problems = from_text(Some(("x.toml", &format!("[gateway]\n{text}"))), &[]).map(|_| ()).unwrap_err();
        problems.to_string()
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_what_is_allowed() {
        assert_eq!(
            problem("read_buffer_bytes = 1"),
            "x.toml:2: `gateway.read_buffer_bytes` is 1: 512 to 65536 is allowed"
        );
        assert!(
            problem("listen = \"localhost\"").contains("`gateway.listen` is \"localhost\": an IP address with port")
        );
    }

    #[test]
    fn a_least_above_its_most_is_refused() {
        assert!(problem("retry_after_min = \"90s\"").contains("at most the value of `gateway.retry_after_max`"));
        assert!(problem("large_message_bytes_total = 1000000").contains("`gateway.message_bytes_max` is 1048576"));
    }
}
