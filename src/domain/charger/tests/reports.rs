//! Reports of transfers, security events, certificate requests.

use crate::domain::charger::device::Device;
use crate::domain::charger::{Call, Charger, Command, Event, ReportKind, SecurityFact};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Effect, Reply};

fn alerts(world: &World) -> Vec<(String, String)> {
    let alert = |effect: &Effect| match effect {
        Effect::Alert(case) => Some((case.code.to_string(), format!("{:?}", case.level))),
        _ => None,
    };
    world.effects.iter().filter_map(alert).collect()
}

fn happened(world: &mut World, kind: &str) {
    let fact = SecurityFact { kind: kind.into(), at: time(world.now), info: Some("door".into()) };
    world.tell(Command::SecurityEvent(fact));
}

#[test]
fn the_last_word_of_each_transfer_is_kept_and_a_failure_is_told() {
    let mut world = World::ready();
    for (kind, status, request, name, told) in [
        (ReportKind::Firmware, "Downloading", None, "firmware", false),
        (ReportKind::SignedFirmware, "InvalidSignature", Some(7), "signed_firmware", true),
        (ReportKind::Diagnostics, "Uploaded", None, "diagnostics", false),
        (ReportKind::Diagnostics, "UploadFailed", None, "diagnostics", true),
        (ReportKind::Log, "PermissionDenied", Some(8), "log", true),
        (ReportKind::Log, "SomethingOfTheVendor", Some(8), "log", false),
    ] {
        world.clear();
        world.tell(Command::Report { kind, status: status.into(), request });
        let row = world.row("report", &format!("CP1/{name}"));
        assert_eq!((row["status"].as_str(), row["request_id"].as_i64()), (Some(status), request.map(i64::from)));
        let expected: Vec<_> = told.then(|| ("transfer_failed".to_owned(), "Warning".to_owned())).into_iter().collect();
        assert_eq!(alerts(&world), expected, "{status}");
    }
}

#[test]
fn security_events_are_kept_and_the_critical_ones_told() {
    let mut world = World::ready();
    for (kind, level) in [
        ("FirmwareUpdated", Some("Info")),
        ("FailedToAuthenticateAtCentralSystem", None),
        ("CentralSystemFailedToAuthenticate", None),
        ("SettingSystemTime", Some("Info")),
        ("StartupOfTheDevice", Some("Info")),
        ("ResetOrReboot", Some("Info")),
        ("SecurityLogWasCleared", Some("Critical")),
        ("ReconfigurationOfSecurityParameters", None),
        ("MemoryExhaustion", Some("Critical")),
        ("InvalidMessages", None),
        ("AttemptedReplayAttacks", None),
        ("TamperDetectionActivated", Some("Critical")),
        ("InvalidFirmwareSignature", None),
        ("InvalidFirmwareSigningCertificate", None),
        ("InvalidCentralSystemCertificate", None),
        ("InvalidChargePointCertificate", None),
        ("InvalidTLSVersion", None),
        ("InvalidTLSCipherSuite", None),
        ("VendorSpecial", None),
    ] {
        world.clear();
        happened(&mut world, kind);
        let expected: Vec<_> = level.map(|level| ("security_event".to_owned(), level.to_owned())).into_iter().collect();
        assert_eq!(alerts(&world), expected, "{kind}");
        let number = world.charger().device.as_ref().unwrap().security_events;
        let row = world.row("security-event", &format!("CP1/{number:02}"));
        assert_eq!((row["type"].as_str(), row["critical"].as_bool()), (Some(kind), Some(level.is_some())));
    }
}

#[test]
fn the_same_event_over_and_over_is_told_once_in_ten_minutes_and_kept_in_a_ring() {
    let mut world = World::ready();
    for _ in 0..70 {
        happened(&mut world, "TamperDetectionActivated");
    }
    assert_eq!(alerts(&world).len(), 1);
    assert_eq!(world.rows.keys().filter(|(table, _)| *table == "security-event").count(), 64);
    assert_eq!(world.row("security-event", "CP1/06")["number"], 70);
    world.pass(601);
    world.clear();
    happened(&mut world, "TamperDetectionActivated");
    assert_eq!(alerts(&world).len(), 1);
}

#[test]
fn without_an_authority_a_certificate_is_refused_and_operators_know_why() {
    let mut world = World::ready();
    let asked = world.tell(Command::CertificateRequest { csr: "csr".into() });
    assert_eq!(asked, Reply::Certificate { accepted: false });
    assert_eq!(alerts(&world), [("certificate_refused".to_owned(), "Warning".to_owned())]);
    assert!(!world.rows.contains_key(&("certificate-request", "CP1".to_owned())));
}

#[test]
fn a_certificate_request_is_journaled_handed_over_once_and_its_chain_sent() {
    let mut world = World::ready();
    world.ambient.certificates = true;
    for _ in 0..2 {
        let asked = world.tell(Command::CertificateRequest { csr: "csr".into() });
        assert_eq!(asked, Reply::Certificate { accepted: true });
    }
    let handed =
        world.effects.iter().filter(|effect| matches!(effect, Effect::SignCertificate { csr } if **csr == *"csr"));
    assert_eq!(handed.count(), 1);
    assert_eq!(world.row("certificate-request", "CP1")["csr"], "csr");
    world.tell(Command::CertificateAnswered { outcome: Ok("chain".into()) });
    assert_eq!(world.calls(), [&Call::CertificateSigned { chain: "chain".into() }]);
    world.clear();
    world.tell(Command::CertificateAnswered { outcome: Err("its name is another's".into()) });
    assert_eq!(alerts(&world), [("certificate_refused".to_owned(), "Warning".to_owned())]);
}

#[test]
fn records_from_before_device_events_are_read() {
    for text in [
        r#"{"FirmwareStatus":"Installed"}"#,
        r#"{"DiagnosticsStatus":"Uploaded"}"#,
        r#"{"CommandQueued":{"id":"00000000-0000-0000-0000-000000000001","call":{"RemoteStart":{"connector":1,"id_tag":"x"}},"purpose":"System","queued_at":0,"not_before":0}}"#,
    ] {
        serde_json::from_str::<Event>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let snapshot = r#"{"firmware_status":"Installed","diagnostics_status":null,"next_transaction":7}"#;
    let charger: Charger = serde_json::from_str(snapshot).unwrap();
    assert_eq!((charger.next_transaction, charger.device), (7, None));
}

#[test]
fn what_is_kept_in_memory_of_a_device_is_small() {
    let size = std::mem::size_of::<Device>();
    assert!(size <= 256, "{size} bytes");
}
