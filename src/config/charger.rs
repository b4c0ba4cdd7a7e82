//! The section `[charger]` of `config.toml`: what is expected of chargers.

use super::check::{Checked, Problem, between};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `[charger]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charger {
    /// A CALL without an answer for so long has timed out (CH-2).
    #[serde(with = "crate::config::seconds")]
    pub call_timeout: Duration,
    /// The socket closed for so long, and the charger is offline (CH-4).
    #[serde(with = "crate::config::seconds")]
    pub offline_after: Duration,
    /// So long after a reconnect the last known status returns where none was reported (CH-4).
    #[serde(with = "crate::config::seconds")]
    pub status_fallback: Duration,
    /// The heartbeat interval given to accepted chargers.
    #[serde(with = "crate::config::seconds")]
    pub heartbeat: Duration,
    /// The interval after which a pending or rejected charger boots again.
    #[serde(with = "crate::config::seconds")]
    pub boot_retry: Duration,
    /// Both intervals are lengthened by up to this share, so that a fleet does not speak in chorus (CH-5). Percent.
    pub interval_spread_percent: u8,
    /// No CALL is sent to a fresh connection before this time or its BootNotification (CH-2).
    #[serde(with = "crate::config::seconds")]
    pub first_call_delay: Duration,
    /// Calls of our own after a connect or boot are spread over this (CH-5).
    #[serde(with = "crate::config::seconds")]
    pub first_call_spread: Duration,
    /// A CALL caused by a charger's own request waits so long, so that our answer is read first (CH-2).
    #[serde(with = "crate::config::seconds")]
    pub answer_lead: Duration,
    /// A message whose time is older than this is backlog: it changes no present status (CH-7).
    #[serde(with = "crate::config::seconds")]
    pub backlog_after: Duration,
    /// A command caused by backlog waits so long for the backlog to make it needless (CH-7).
    #[serde(with = "crate::config::seconds")]
    pub backlog_grace: Duration,
    /// A charger's time further ahead of ours than this is implausible (CH-11).
    #[serde(with = "crate::config::seconds")]
    pub clock_ahead: Duration,
    /// A charger's time further behind ours than this is implausible (CH-11).
    #[serde(with = "crate::config::seconds")]
    pub clock_behind: Duration,
    /// Faulted or offline so often within `flapping_window`: maintenance (CH-9).
    pub flapping_count: u8,
    /// See `flapping_count`.
    #[serde(with = "crate::config::seconds")]
    pub flapping_window: Duration,
    /// How many commands may wait for one charger (RT-8).
    pub command_queue: u8,
    /// Whether chargers are configured at their first boot (SE-16).
    pub configure: bool,
    /// Further settings that chargers should have, each `KEY=VALUE` (CH-6).
    pub configuration: Vec<String>,
    /// Hosts from and to which chargers may be told to transfer files (control 19).
    pub file_hosts: Vec<String>,
    /// Whether firmware may be installed that nobody has signed (control 19).
    pub unsigned_firmware: bool,
}

impl Default for Charger {
    fn default() -> Self {
        Charger {
            call_timeout: Duration::from_secs(30),
            offline_after: Duration::from_secs(60),
            status_fallback: Duration::from_secs(60),
            heartbeat: Duration::from_secs(300),
            boot_retry: Duration::from_secs(60),
            interval_spread_percent: 10,
            first_call_delay: Duration::from_secs(5),
            first_call_spread: Duration::from_secs(5),
            answer_lead: Duration::from_millis(500),
            backlog_after: Duration::from_secs(900),
            backlog_grace: Duration::from_secs(30),
            clock_ahead: Duration::from_secs(300),
            clock_behind: Duration::from_secs(400 * 86_400),
            flapping_count: 5,
            flapping_window: Duration::from_secs(86_400),
            command_queue: 16,
            configure: true,
            configuration: Vec::new(),
            file_hosts: Vec::new(),
            unsigned_firmware: false,
        }
    }
}

/// Most settings of one's own: each is a message to every charger.
const CONFIGURATION_MAX: usize = 32;

/// Most hosts.
const HOSTS_MAX: usize = 64;

impl Checked for Charger {
    fn check(&self, problems: &mut Vec<Problem>) {
        between(problems, "charger.configuration", self.configuration.len(), 0, CONFIGURATION_MAX);
        between(problems, "charger.file_hosts", self.file_hosts.len(), 0, HOSTS_MAX);
        for entry in &self.configuration {
            let (key, value) = entry.split_once('=').unwrap_or_default();
            let good = (1..=50).contains(&key.trim().chars().count()) && value.trim().chars().count() <= 500;
            if !good {
                let allowed = "KEY=VALUE with a key of 1 to 50 and a value of up to 500 characters is allowed";
                problems.push(Problem::new("charger.configuration", entry, allowed));
            }
            if key.trim() == "AuthorizationKey" {
                let allowed = "a password is no setting of all chargers";
                problems.push(Problem::new("charger.configuration", "AuthorizationKey=…", allowed));
            }
        }
        for host in &self.file_hosts {
            if url::Host::parse(host).is_err() {
                let allowed = "a host name or address without scheme, port and path is allowed";
                problems.push(Problem::new("charger.file_hosts", host, allowed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_hosts_are_checked_one_by_one() {
        let found = |configuration: &[&str], file_hosts: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
            let section =
                Charger { configuration: texts(configuration), file_hosts: texts(file_hosts), ..Charger::default() };
            let mut problems = Vec::new();
            section.check(&mut problems);
            problems.into_iter().map(|problem| problem.key).collect::<Vec<_>>()
        };
        assert_eq!(found(&["HeartbeatInterval=300", "Empty="], &["files.example.org", "10.0.0.1", "[::1]"]), [""; 0]);
        for bad in ["HeartbeatInterval", "=300", "AuthorizationKey=0123456789abcdef"] {
            assert_eq!(found(&[bad], &[]), ["charger.configuration"], "{bad}");
        }
        for bad in ["https://files.example.org", "a b", ""] {
            assert_eq!(found(&[], &[bad]), ["charger.file_hosts"], "{bad}");
        }
        let many = vec!["a=b"; CONFIGURATION_MAX + 1];
        assert_eq!(found(&many, &[]), ["charger.configuration"]);
    }
}
