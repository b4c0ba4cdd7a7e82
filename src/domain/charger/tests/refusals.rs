//! What a charger is not asked: by its own limits, its state, and the configuration (control 19).

use crate::clock::Timestamp;
use crate::config::charger::Charger as Policy;
use crate::domain::charger::device::{Device, Features, Limits, Transfers};
use crate::domain::charger::{Call, Charger, Command, Retry, SealedText, SignedFirmware, check};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Rejection};
use crate::ids::{CommandId, ConnectorId};

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";

fn policy() -> Policy {
    Policy { file_hosts: vec!["files.example.org".into(), "10.0.0.1".into()], ..Policy::default() }
}

fn charger(limits: Limits) -> Charger {
    let mut charger = World::ready().charger().clone();
    charger.device = Some(Box::new(Device { limits, ..Device::default() }));
    charger
}

fn fields(call: &Call, charger: &Charger) -> Vec<(String, bool)> {
    check(call, charger, &policy(), START).into_iter().map(|flaw| (flaw.field, flaw.state)).collect()
}

fn diagnostics(location: &str) -> Call {
    Call::GetDiagnostics { location: location.into(), retry: Retry::default(), from: None, to: None }
}

fn reserve(connector: u16, in_s: i64) -> Call {
    Call::ReserveNow {
        connector: ConnectorId(connector),
        expires: Timestamp(START.0 + in_s * 1000),
        reservation: 1,
        holder: SealedText("".into()),
        tag: None,
    }
}

#[test]
fn a_feature_profile_that_the_charger_does_not_have_is_refused_with_its_name() {
    let (retry, location) = (Retry::default(), "https://files.example.org/x");
    let samples = [
        (diagnostics(location), "FirmwareManagement"),
        (Call::GetLocalListVersion, "LocalAuthListManagement"),
        (Call::CancelReservation { reservation: 1 }, "Reservation"),
        (Call::ClearChargingProfile { id: None, connector: None, purpose: None, stack_level: None }, "SmartCharging"),
        (Call::GetCompositeSchedule { connector: ConnectorId(0), duration_s: 60, unit: None }, "SmartCharging"),
        (Call::Trigger { message: "Heartbeat".into(), connector: None }, "RemoteTrigger"),
        (Call::ClearCache, ""),
        (Call::GetLog { security: true, request: 1, location: location.into(), retry, from: None, to: None }, ""),
    ];
    let core = charger(Limits { features: Some(Features::read("Core")), ..Limits::default() });
    for (call, needed) in samples {
        assert_eq!(fields(&call, &charger(Limits::default())), [], "{}: not told", call.action());
        let said = charger(Limits { features: Some(Features::read(&format!("Core, {needed}"))), ..Limits::default() });
        assert_eq!(fields(&call, &said), [], "{}: told that it has it", call.action());
        let found = check(&call, &core, &policy(), START);
        assert_eq!(found.is_empty(), needed.is_empty(), "{}", call.action());
        assert!(found.iter().all(|flaw| flaw.state && flaw.problem.contains(needed)), "{found:?}");
    }
}

#[test]
fn files_go_only_where_the_configuration_allows() {
    let known = charger(Limits { transfers: Some(Transfers::read("HTTPS,FTP")), ..Limits::default() });
    for (location, wrong) in [
        ("https://files.example.org/log", None),
        ("ftp://user:word@10.0.0.1:2121/", None),
        ("https://FILES.example.org/", None),
        ("https://evil.example.org/log", Some(("location", true))),
        ("https://files.example.org.evil.org/", Some(("location", true))),
        ("http://files.example.org/", Some(("location", true))),
        ("file:///etc/passwd", Some(("location", false))),
        ("files.example.org/x", Some(("location", false))),
    ] {
        let wrong: Vec<_> = wrong.into_iter().map(|(field, state)| (field.to_owned(), state)).collect();
        assert_eq!(fields(&diagnostics(location), &known), wrong, "{location}");
    }
    let none = check(&diagnostics("https://files.example.org/"), &known, &Policy::default(), START);
    assert!(none[0].allowed.contains("charger.file_hosts"), "{none:?}");
}

#[test]
fn only_signed_firmware_unless_the_configuration_says_otherwise() {
    let call = Call::UpdateFirmware {
        location: "https://files.example.org/f".into(),
        retrieve_at: START,
        retry: Retry::default(),
    };
    let charger = charger(Limits::default());
    assert_eq!(fields(&call, &charger), [("kind".to_owned(), true)]);
    assert_eq!(check(&call, &charger, &Policy { unsigned_firmware: true, ..policy() }, START), []);
    let signed = |certificate: &str, install_at| Call::SignedUpdateFirmware {
        request: 1,
        firmware: Box::new(SignedFirmware {
            location: "https://files.example.org/f".into(),
            retrieve_at: START,
            install_at,
            certificate: certificate.into(),
            signature: "c2ln".into(),
        }),
        retry: Retry::default(),
    };
    assert_eq!(fields(&signed(PEM, Some(START)), &charger), []);
    assert_eq!(fields(&signed("no", None), &charger), [("firmware.signingCertificate".to_owned(), false)]);
    let early = Some(Timestamp(START.0 - 1));
    assert_eq!(fields(&signed(PEM, early), &charger), [("firmware.installDateTime".to_owned(), false)]);
}

#[test]
fn reservations_connectors_triggers_and_schedules_are_possible() {
    let device = charger(Limits { reserve_zero: Some(false), chain_max: Some(100), ..Limits::default() });
    let composite = |connector, duration_s| Call::GetCompositeSchedule {
        connector: ConnectorId(connector),
        duration_s,
        unit: None,
    };
    let trigger = |message: &str, connector: Option<u16>| Call::ExtendedTrigger {
        message: message.into(),
        connector: connector.map(ConnectorId),
    };
    let chain = |n: usize| Call::CertificateSigned { chain: PEM.repeat(n).into() };
    for (call, wrong) in [
        (reserve(1, 60), None),
        (reserve(0, 60), Some(("connectorId", true))),
        (reserve(3, 60), Some(("connectorId", false))),
        (reserve(1, 0), Some(("expiryDate", false))),
        (reserve(1, 400 * 86_400), Some(("expiryDate", false))),
        (composite(2, 60), None),
        (composite(3, 60), Some(("connectorId", false))),
        (composite(0, 0), Some(("duration", false))),
        (trigger("MeterValues", Some(2)), None),
        (trigger("MeterValues", Some(3)), Some(("connectorId", false))),
        (trigger("Heartbeat", Some(1)), Some(("connectorId", false))),
        (trigger("Heartbeat", None), None),
        (Call::UnlockConnector { connector: ConnectorId(0) }, Some(("connectorId", false))),
        (Call::InstallCertificate { manufacturer: false, certificate: PEM.into() }, None),
        (Call::InstallCertificate { manufacturer: false, certificate: "x".into() }, Some(("certificate", false))),
        (chain(1), None),
        (chain(2), Some(("certificateChain", true))),
    ] {
        let wrong: Vec<_> = wrong.into_iter().map(|(field, state)| (field.to_owned(), state)).collect();
        assert_eq!(fields(&call, &device), wrong, "{call:?}");
    }
}

#[test]
fn the_rules_refuse_what_their_caller_should_have() {
    let mut world = World::ready();
    let command_id = CommandId(uuid::Uuid::from_u128(1));
    let asked = world.ask(Key::Charger, Command::Enqueue { command_id, call: reserve(9, 60), by: "op".into() });
    assert_eq!(asked, Err(Rejection::CommandRefused));
}
