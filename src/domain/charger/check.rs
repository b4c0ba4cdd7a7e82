//! What an operator's command must be before it is sent (CH-6): possible at this charger, by its own limits and state. Owns
//! the findings: what is wrong, where, and what is allowed; never the wire's form, which the protocol has checked.

use super::device::{Features, Limits, Transfers};
use super::smart_charging::{self, Known, Way};
use super::{Call, Charger};
use crate::clock::Timestamp;
use crate::config::charger::Charger as Policy;
use crate::ids::ConnectorId;

/// The longest that a reservation or a composite schedule may reach ahead: a year. Beyond, numbers are mistakes.
const AHEAD_MAX_S: i64 = 366 * 86_400;

/// One thing that is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The member's path in the payload.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// What is allowed.
    pub allowed: String,
    /// The payload is good, but not for this charger, or not now.
    pub state: bool,
}

impl Flaw {
    /// The payload is wrong whatever the charger is.
    pub(super) fn bad(field: impl Into<String>, problem: impl Into<String>, allowed: impl Into<String>) -> Self {
        Flaw { field: field.into(), problem: problem.into(), allowed: allowed.into(), state: false }
    }

    /// The charger does not allow it, or not now.
    pub(super) fn state(field: impl Into<String>, problem: impl Into<String>, allowed: impl Into<String>) -> Self {
        Flaw { state: true, ..Flaw::bad(field, problem, allowed) }
    }
}

/// Everything that is wrong with a command to this charger.
pub fn check(call: &Call, charger: &Charger, policy: &Policy, now: Timestamp) -> Vec<Flaw> {
    let limits = charger.limits();
    let mut found = Vec::new();
    feature(call, &limits, &mut found);
    match call {
        Call::RemoteStart { connector, profile, .. } => {
            connector.iter().for_each(|at| known_connector(*at, 1, charger, &mut found));
            if let Some(profile) = profile {
                let known = Known { limits: &limits, installed: &[] };
                found.extend(smart_charging::check(profile, Way::Start, known, "chargingProfile"));
            }
        }
        Call::ChangeAvailability { connector, .. } => known_connector(*connector, 0, charger, &mut found),
        Call::UnlockConnector { connector } => known_connector(*connector, 1, charger, &mut found),
        Call::Trigger { connector, message } | Call::ExtendedTrigger { connector, message } => {
            trigger(message, *connector, charger, &mut found);
        }
        Call::GetDiagnostics { .. }
        | Call::UpdateFirmware { .. }
        | Call::GetLog { .. }
        | Call::SignedUpdateFirmware { .. } => file(call, &limits, policy, &mut found),
        Call::SendLocalList { version, full, count, .. } => {
            super::local_list::check(*version, *full, *count, charger, &mut found);
        }
        Call::ReserveNow { connector, expires, .. } => reserve(*connector, *expires, charger, now, &mut found),
        Call::SetChargingProfile { connector, profile } => {
            known_connector(*connector, 0, charger, &mut found);
            let running = charger.live_on(*connector).and_then(|live| live.transaction);
            let installed = charger.device.as_ref().map_or(&[][..], |device| &device.installed);
            let known = Known { limits: &limits, installed };
            found.extend(smart_charging::check(profile, Way::Set(*connector, running), known, "csChargingProfiles"));
        }
        Call::ClearChargingProfile { connector, .. } => {
            connector.iter().for_each(|at| known_connector(*at, 0, charger, &mut found));
        }
        Call::GetCompositeSchedule { connector, duration_s, unit } => {
            known_connector(*connector, 0, charger, &mut found);
            if !(1..=AHEAD_MAX_S).contains(&i64::from(*duration_s)) {
                let allowed = format!("1 to {AHEAD_MAX_S} seconds");
                found.push(Flaw::bad("duration", format!("is {duration_s}"), allowed));
            }
            smart_charging::unit(*unit, &limits, "chargingRateUnit", &mut found);
        }
        Call::InstallCertificate { certificate, .. } => pem("certificate", certificate, &mut found),
        Call::CertificateSigned { chain } => {
            pem("certificateChain", chain, &mut found);
            let max = limits.chain_max.and_then(|max| usize::try_from(max).ok()).filter(|max| chain.len() > *max);
            if let Some(max) = max {
                let allowed = format!("at most {max} (its CertificateSignedMaxChainSize)");
                found.push(Flaw::state("certificateChain", format!("has {} bytes", chain.len()), allowed));
            }
        }
        Call::RemoteStop { .. }
        | Call::Reset { .. }
        | Call::GetConfiguration { .. }
        | Call::ChangeConfiguration { .. }
        | Call::SetAuthorizationKey { .. }
        | Call::ClearCache
        | Call::DataTransfer { .. }
        | Call::GetLocalListVersion
        | Call::CancelReservation { .. }
        | Call::DeleteCertificate { .. }
        | Call::GetInstalledCertificateIds { .. } => {}
    }
    found
}

/// A call about a file.
fn file(call: &Call, limits: &Limits, policy: &Policy, found: &mut Vec<Flaw>) {
    match call {
        Call::GetDiagnostics { location, from, to, .. } => {
            place("location", location, limits, policy, found);
            span("stopTime", *from, *to, found);
        }
        Call::UpdateFirmware { location, .. } => {
            place("location", location, limits, policy, found);
            if !policy.unsigned_firmware {
                let allowed = "SignedUpdateFirmware, or `charger.unsigned_firmware = true` in the configuration";
                found.push(Flaw::state("kind", "is UpdateFirmware, whose firmware nobody has signed", allowed));
            }
        }
        Call::GetLog { location, from, to, .. } => {
            place("log.remoteLocation", location, limits, policy, found);
            span("log.latestTimestamp", *from, *to, found);
        }
        Call::SignedUpdateFirmware { firmware, .. } => {
            place("firmware.location", &firmware.location, limits, policy, found);
            pem("firmware.signingCertificate", &firmware.certificate, found);
            span("firmware.installDateTime", Some(firmware.retrieve_at), firmware.install_at, found);
        }
        _ => {}
    }
}

/// A charger that has said which feature profiles it has is not asked for others. The security extension is none of them.
fn feature(call: &Call, limits: &Limits, found: &mut Vec<Flaw>) {
    let needed = match call {
        Call::GetDiagnostics { .. } | Call::UpdateFirmware { .. } => Features::FIRMWARE,
        Call::GetLocalListVersion | Call::SendLocalList { .. } => Features::LOCAL_LIST,
        Call::ReserveNow { .. } | Call::CancelReservation { .. } => Features::RESERVATION,
        Call::SetChargingProfile { .. } | Call::ClearChargingProfile { .. } | Call::GetCompositeSchedule { .. } => {
            Features::SMART_CHARGING
        }
        Call::RemoteStart { profile: Some(_), .. } => Features::SMART_CHARGING,
        Call::Trigger { .. } => Features::TRIGGER,
        Call::RemoteStart { profile: None, .. }
        | Call::RemoteStop { .. }
        | Call::Reset { .. }
        | Call::GetConfiguration { .. }
        | Call::ChangeConfiguration { .. }
        | Call::SetAuthorizationKey { .. }
        | Call::ChangeAvailability { .. }
        | Call::UnlockConnector { .. }
        | Call::ClearCache
        | Call::DataTransfer { .. }
        | Call::ExtendedTrigger { .. }
        | Call::GetLog { .. }
        | Call::SignedUpdateFirmware { .. }
        | Call::InstallCertificate { .. }
        | Call::DeleteCertificate { .. }
        | Call::GetInstalledCertificateIds { .. }
        | Call::CertificateSigned { .. } => return,
    };
    if let Some(known) = limits.features.filter(|known| !known.has(needed)) {
        let problem =
            format!("is {}, of the feature profile {}, which the charger does not have", call.action(), needed.words());
        let allowed = format!("what belongs to {} (its SupportedFeatureProfiles)", known.words());
        found.push(Flaw::state("kind", problem, allowed));
    }
}

fn known_connector(connector: ConnectorId, least: u16, charger: &Charger, found: &mut Vec<Flaw>) {
    let last = u16::try_from(charger.connectors.len()).unwrap_or(u16::MAX);
    if !(least..=last).contains(&connector.0) {
        found.push(Flaw::bad("connectorId", format!("is {}", connector.0), format!("{least} to {last}")));
    }
}

/// Only meters and statuses are a connector's (OCPP 1.6 §5.17).
fn trigger(message: &str, connector: Option<ConnectorId>, charger: &Charger, found: &mut Vec<Flaw>) {
    let Some(connector) = connector else { return };
    match message {
        "StatusNotification" => known_connector(connector, 0, charger, found),
        "MeterValues" => known_connector(connector, 0, charger, found),
        other => found.push(Flaw::bad(
            "connectorId",
            format!("is given with {other}"),
            "only with StatusNotification and MeterValues",
        )),
    }
}

/// A file's place is one that the configuration allows and the charger can reach (control 19).
fn place(field: &str, location: &str, limits: &Limits, policy: &Policy, found: &mut Vec<Flaw>) {
    let Ok(url) = url::Url::parse(location) else {
        found.push(Flaw::bad(field, "is no URL", "an absolute URL such as https://files.example.org/x"));
        return;
    };
    let needed = match url.scheme() {
        "ftp" => Transfers::FTP,
        "ftps" => Transfers::FTPS,
        "http" => Transfers::HTTP,
        "https" => Transfers::HTTPS,
        "sftp" => Transfers::SFTP,
        other => {
            let problem = format!("has the scheme {other}");
            found.push(Flaw::bad(field, problem, "one of ftp, ftps, http, https, sftp"));
            return;
        }
    };
    let host = url.host_str().unwrap_or_default();
    if !policy.file_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
        let allowed = match policy.file_hosts.is_empty() {
            true => "no host until `charger.file_hosts` of the configuration names it".to_owned(),
            false => format!("{} (`charger.file_hosts` of the configuration)", policy.file_hosts.join(", ")),
        };
        found.push(Flaw::state(field, format!("has the host {host}"), allowed));
    }
    if let Some(known) = limits.transfers.filter(|known| !known.has(needed)) {
        let allowed = format!("{} (its SupportedFileTransferProtocols)", known.words());
        found.push(Flaw::state(
            field,
            format!("has the scheme {}, which the charger does not speak", url.scheme()),
            allowed,
        ));
    }
}

fn span(field: &str, from: Option<Timestamp>, to: Option<Timestamp>, found: &mut Vec<Flaw>) {
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        found.push(Flaw::bad(field, format!("is {to}"), format!("not before {from}")));
    }
}

/// Looks like PEM: what is in it only the charger can judge.
fn pem(field: &str, text: &str, found: &mut Vec<Flaw>) {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let whole = text.matches(begin).count();
    if whole == 0 || whole != text.matches(end).count() {
        found.push(Flaw::bad(field, "is no PEM", format!("`{begin}` … `{end}`")));
    }
}

fn reserve(connector: ConnectorId, expires: Timestamp, charger: &Charger, now: Timestamp, found: &mut Vec<Flaw>) {
    known_connector(connector, 0, charger, found);
    if connector.0 == 0 && charger.limits().reserve_zero == Some(false) {
        let allowed = "a connector's number (its ReserveConnectorZeroSupported is false)";
        found.push(Flaw::state("connectorId", "is 0", allowed));
    }
    let last = Timestamp(now.0 + AHEAD_MAX_S * 1000);
    if expires <= now || expires > last {
        found.push(Flaw::bad("expiryDate", format!("is {expires}"), format!("after {now}, at most {last}")));
    }
}
