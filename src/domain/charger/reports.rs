//! What a charger reports of itself: firmware, diagnostics and log transfers, security events, its wish for a certificate.
//! Owns which of it operators are told at once; the reports themselves are rows, not state.

use super::facts::{WireTime, print};
use super::state::TEXT_MAX;
use super::{Call, ChargerStep, DeviceEvent, Event, Purpose, queue, subject};
use crate::domain::charging::case::clip;
use crate::domain::charging::{Case, Effect, Level, Reply};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Security events of one charger that are kept; newer ones take the oldest's place.
pub(super) const SECURITY_EVENTS_KEPT: u32 = 64;

/// The same again within this time is kept, and raises no second alert.
const ALERT_AGAIN: Duration = Duration::from_secs(600);

/// The same certificate request again within this time is not handed over again.
const CSR_AGAIN: Duration = Duration::from_secs(60);

/// What a transfer's report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// FirmwareStatusNotification.
    Firmware,
    /// SignedFirmwareStatusNotification.
    SignedFirmware,
    /// DiagnosticsStatusNotification.
    Diagnostics,
    /// LogStatusNotification.
    Log,
}

impl ReportKind {
    /// Every kind.
    pub const ALL: [ReportKind; 4] =
        [ReportKind::Firmware, ReportKind::SignedFirmware, ReportKind::Diagnostics, ReportKind::Log];

    /// As in rows and views.
    pub const fn name(self) -> &'static str {
        match self {
            ReportKind::Firmware => "firmware",
            ReportKind::SignedFirmware => "signed_firmware",
            ReportKind::Diagnostics => "diagnostics",
            ReportKind::Log => "log",
        }
    }
}

/// SecurityEventNotification.
#[derive(Debug, Clone, PartialEq)]
pub struct SecurityFact {
    /// `type`.
    pub kind: Box<str>,
    /// When, by the charger's clock.
    pub at: WireTime,
    /// `techInfo`.
    pub info: Option<Box<str>>,
}

/// How far a transfer is.
pub(super) fn reported(step: &mut ChargerStep<'_>, kind: ReportKind, status: &str, request: Option<i32>) {
    let (status, at) = (clip(status, TEXT_MAX), step.context.now);
    step.emit(Event::Device(DeviceEvent::Reported { kind, status: status.clone(), request, at }));
    if failed(&status) {
        let text = format!("{} ended with {status}", kind.name().replace('_', " "));
        alert(step, Level::Warning, "transfer_failed", text);
    }
}

/// Tells operators, unless they were told the same just now.
fn alert(step: &mut ChargerStep<'_>, level: Level, code: &str, text: String) {
    let (at, print) = (step.context.now, print(&[code, &text]));
    let last = step.state.device.as_ref().and_then(|device| device.alerted);
    if last.is_some_and(|(last, told)| last == print && told > at - ALERT_AGAIN) {
        return;
    }
    step.emit(Event::Device(DeviceEvent::Alerted { print, at }));
    step.raise(Case::alert(level, code, subject(step), text));
}

/// The words of all four messages that say that it came to nothing.
fn failed(status: &str) -> bool {
    [
        "DownloadFailed",
        "InstallationFailed",
        "InstallVerificationFailed",
        "InvalidSignature",
        "UploadFailed",
        "UploadFailure",
        "BadMessage",
        "NotSupportedOperation",
        "PermissionDenied",
    ]
    .contains(&status)
}

/// How bad a security event is: those that the white paper calls critical (§5, table of security events) raise an alert,
/// the others are kept. Of the critical ones those that an operator causes himself are told as information.
pub fn severity(kind: &str) -> Option<Level> {
    match kind {
        "SecurityLogWasCleared" | "MemoryExhaustion" | "TamperDetectionActivated" => Some(Level::Critical),
        "FirmwareUpdated" | "SettingSystemTime" | "StartupOfTheDevice" | "ResetOrReboot" => Some(Level::Info),
        // Not critical by the white paper, or the vendor's own.
        _ => None,
    }
}

/// Something happened that concerns security.
pub(super) fn secured(step: &mut ChargerStep<'_>, fact: &SecurityFact) {
    let now = step.context.now;
    let kind = clip(&fact.kind, TEXT_MAX);
    let info = fact.info.as_ref().map(|info| clip(info, 255));
    let device_at = clip(&fact.at.raw, TEXT_MAX);
    let number = step.state.device.as_ref().map_or(0, |device| device.security_events).wrapping_add(1);
    let (of, more) = (kind.clone(), info.clone());
    step.emit(Event::Device(DeviceEvent::SecurityEvent { number, kind, info, device_at, at: now }));
    if let Some(level) = severity(&of) {
        let text = format!("security event {of}: {}", more.as_deref().unwrap_or("no further information"));
        alert(step, level, "security_event", text);
    }
}

/// The charger wants a certificate.
pub(super) fn certificate_requested(step: &mut ChargerStep<'_>, csr: &str) -> Reply {
    let now = step.context.now;
    if !step.context.ambient.certificates {
        let text = "the charger asks for a certificate, and no certificate authority is configured".to_owned();
        alert(step, Level::Warning, "certificate_refused", text);
        return Reply::Certificate { accepted: false };
    }
    let print = print(&[csr]);
    let last = step.state.device.as_ref().and_then(|device| device.csr);
    if last.is_some_and(|(last, at)| last == print && at > now - CSR_AGAIN) {
        return Reply::Certificate { accepted: true };
    }
    step.emit(Event::Device(DeviceEvent::CertificateRequested { csr: csr.into(), print, at: now }));
    step.effect(Effect::SignCertificate { csr: csr.into() });
    Reply::Certificate { accepted: true }
}

/// The authority has signed, or has said why not.
pub(super) fn certificate_answered(step: &mut ChargerStep<'_>, outcome: Result<Box<str>, Box<str>>) {
    match outcome {
        Ok(chain) => queue::push(step, Call::CertificateSigned { chain }, Purpose::System, step.context.now),
        Err(why) => {
            let text = format!("the charger asked for a certificate and gets none: {}", clip(&why, 255));
            alert(step, Level::Warning, "certificate_refused", text);
        }
    }
}
