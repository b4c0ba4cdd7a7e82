//! The section `[tls]` of `config.toml`.

use super::check::{ADDRESS, Checked, Problem};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The section `[tls]`: security profiles 2 and 3 (CH-3). Units and reasons of every key are in `config.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "config.toml documents every key")]
pub struct Tls {
    pub listen: String,
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    pub client_ca_file: PathBuf,
    pub client_crl_file: PathBuf,
    pub organisation: String,
    #[serde(with = "crate::config::seconds")]
    pub check_interval: Duration,
    #[serde(with = "crate::config::seconds")]
    pub expiry_alert: Duration,
    pub authority_certificate_file: PathBuf,
    pub authority_key_file: PathBuf,
    #[serde(with = "crate::config::seconds")]
    pub certificate_validity: Duration,
}

impl Tls {
    /// Where TLS listens; `None`: nowhere.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}

impl Checked for Tls {
    fn check(&self, problems: &mut Vec<Problem>) {
        let empty = |path: &PathBuf| path.as_os_str().is_empty();
        if !self.listen.is_empty() && self.address().is_none() {
            problems.push(Problem::new("tls.listen", format!("{:?}", self.listen), ADDRESS));
        }
        if !self.listen.is_empty() {
            for (key, path) in [("tls.certificate_file", &self.certificate_file), ("tls.key_file", &self.key_file)] {
                if empty(path) {
                    problems.push(Problem::new(key, "empty", "a file in PEM is required where tls.listen is set"));
                }
            }
        }
        if !empty(&self.client_crl_file) && empty(&self.client_ca_file) {
            let allowed = "only with tls.client_ca_file, whose certificates it revokes";
            problems.push(Problem::new("tls.client_crl_file", self.client_crl_file.display(), allowed));
        }
        for (key, one, other) in [
            ("tls.authority_key_file", &self.authority_key_file, &self.authority_certificate_file),
            ("tls.authority_certificate_file", &self.authority_certificate_file, &self.authority_key_file),
        ] {
            if empty(one) && !empty(other) {
                problems.push(Problem::new(key, "empty", "both files of the authority, or neither"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::from_text;

    #[test]
    fn what_does_not_fit_together_is_refused_with_what_is_allowed() {
        for (text, expected) in [
            ("listen = \"here\"", "`tls.listen` is \"here\": an IP address with port"),
            ("listen = \"127.0.0.1:0\"", "`tls.certificate_file` is empty: a file in PEM is required"),
            ("client_crl_file = \"crl.pem\"", "`tls.client_crl_file` is crl.pem: only with tls.client_ca_file"),
            ("authority_key_file = \"\"", "`tls.authority_key_file` is empty: both files"),
            ("certificate_validity = \"1s\"", "is allowed"),
        ] {
            let problems = from_text(Some(("x.toml", &format!("[tls]\n{text}"))), &[]).map(drop).unwrap_err();
            assert!(problems.to_string().contains(expected), "{text}: {problems}");
        }
    }
}
