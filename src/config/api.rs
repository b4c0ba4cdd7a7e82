//! The section `[api]` of `config.toml`.

use super::check::{Checked, Problem, not_above};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The section `[api]`: partner and operator HTTP. Units, ranges and reasons of every key are in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.toml documents every key")]
pub struct Api {
    pub partner_listen: SocketAddr,
    pub operator_listen: SocketAddr,
    pub operator_token_file: PathBuf,
    pub connections_max: usize,
    pub connections_per_address: usize,
    pub trusted_proxies: Vec<ipnet::IpNet>,
    #[serde(with = "crate::config::seconds")]
    pub header_timeout: Duration,
    #[serde(with = "crate::config::seconds")]
    pub request_deadline: Duration,
    #[serde(with = "crate::config::seconds")]
    pub drain_timeout: Duration,
    pub body_bytes_max: usize,
    pub page_default: usize,
    pub page_max: usize,
    pub in_flight_per_partner: usize,
    #[serde(with = "crate::config::seconds")]
    pub signature_window: Duration,
    pub nonces_per_key: usize,
    pub failures_before_ban: u32,
    #[serde(with = "crate::config::seconds")]
    pub ban_time: Duration,
    pub failures_tracked: usize,
    pub read_rate: u32,
    pub read_burst: u32,
    pub write_rate: u32,
    pub write_burst: u32,
    pub events_rate: u32,
    pub events_burst: u32,
    #[serde(with = "crate::config::seconds")]
    pub shed_reads_late: Duration,
    #[serde(with = "crate::config::seconds")]
    pub shed_starts_late: Duration,
    #[serde(with = "crate::config::seconds")]
    pub request_id_kept: Duration,
    pub applications: bool,
    pub applications_waiting_max: usize,
    pub applications_per_hour: u32,
}

impl Api {
    /// Nonces that are remembered for one key: what its rates let it sign while one is kept, up to twice the window, or it would be
    /// refused everything, stops too, by another limit than its rates.
    pub fn nonces_bound(&self) -> usize {
        let rates = [self.read_rate, self.write_rate, self.events_rate].map(u64::from).iter().sum::<u64>();
        let bursts = [self.read_burst, self.write_burst, self.events_burst].map(u64::from).iter().sum::<u64>();
        let signed = rates * self.signature_window.as_secs() * 2 + bursts;
        usize::try_from(signed).unwrap_or(usize::MAX).max(self.nonces_per_key)
    }
}

impl Checked for Api {
    fn check(&self, problems: &mut Vec<Problem>) {
        not_above(problems, "api.page_default", self.page_default, ("api.page_max", self.page_max));
        let both = ("api.connections_max", self.connections_max);
        not_above(problems, "api.connections_per_address", self.connections_per_address, both);
        if self.request_id_kept < self.signature_window * 2 {
            let allowed = "at least twice `api.signature_window` is allowed, or a replay could act twice";
            problems.push(Problem::new("api.request_id_kept", format!("{:?}", self.request_id_kept), allowed));
        }
    }
}
