//! Tables of messages, good and bad.

use super::*;
use crate::clock::Timestamp;
use crate::domain::charger::{Call, Outcome, SealedText, Told};
use crate::ids::{ConnectorId, TransactionId};
use crate::protocol::metering::{Measurand, Unit, Value};
use crate::protocol::ocppj::{CallError, ErrorCode};
use crate::protocol::wire_time::TimeFlag;

fn read(action: &str, payload: &str) -> Result<Decoded, CallError> {
    decode("1", action, payload)
}

fn taken(action: &str, payload: &str) -> (Request, Vec<(String, FlagKind)>) {
    let decoded = read(action, payload).unwrap();
    (decoded.request, decoded.flags.into_iter().map(|flag| (flag.path, flag.kind)).collect())
}

#[test]
fn every_core_message_of_a_charger_is_read() {
    let at = r#""timestamp":"2026-01-01T00:00:00Z""#;
    for (action, payload) in [
        ("Authorize", r#"{"idTag":"TAG"}"#.to_owned()),
        ("BootNotification", r#"{"chargePointVendor":"v","chargePointModel":"m","imsi":"1"}"#.to_owned()),
        ("DataTransfer", r#"{"vendorId":"v","messageId":"m","data":"{}"}"#.to_owned()),
        ("DiagnosticsStatusNotification", r#"{"status":"Uploading"}"#.to_owned()),
        ("FirmwareStatusNotification", r#"{"status":"Installed"}"#.to_owned()),
        ("LogStatusNotification", r#"{"status":"UploadFailure","requestId":7}"#.to_owned()),
        ("SecurityEventNotification", format!(r#"{{"type":"TamperDetectionActivated","techInfo":"door",{at}}}"#)),
        ("SignCertificate", r#"{"csr":"-----BEGIN CERTIFICATE REQUEST-----"}"#.to_owned()),
        ("SignedFirmwareStatusNotification", r#"{"status":"InstallVerificationFailed","requestId":7}"#.to_owned()),
        ("Heartbeat", "{}".to_owned()),
        ("MeterValues", format!(r#"{{"connectorId":1,"meterValue":[{{{at},"sampledValue":[{{"value":"1"}}]}}]}}"#)),
        ("StartTransaction", format!(r#"{{"connectorId":1,"idTag":"T","meterStart":5,{at}}}"#)),
        ("StatusNotification", format!(r#"{{"connectorId":0,"errorCode":"NoError","status":"Available",{at}}}"#)),
        ("StopTransaction", format!(r#"{{"transactionId":7,"meterStop":9,"reason":"Local",{at}}}"#)),
    ] {
        let decoded = read(action, &payload).unwrap_or_else(|e| panic!("{action}: {e}"));
        assert!(decoded.flags.is_empty(), "{action}: {:?}", decoded.flags);
        assert!(!matches!(decoded.request, Request::Unreadable(_)), "{action}");
    }
}

#[test]
fn errors_say_what_is_wrong_where_and_what_is_allowed() {
    for (action, payload, code, text) in [
        ("Authorize", "{}", ErrorCode::OccurenceConstraintViolation, "`idTag` is missing"),
        ("Authorize", r#"{"idTag":null}"#, ErrorCode::TypeConstraintViolation, "`idTag` is null, allowed is a string"),
        (
            "BootNotification",
            r#"{"chargePointVendor":"123456789012345678901","chargePointModel":"m"}"#,
            ErrorCode::PropertyConstraintViolation,
            "`chargePointVendor` is `123456789012345678901`, allowed is at most 20 characters",
        ),
        (
            "StatusNotification",
            r#"{"connectorId":70000,"errorCode":"NoError","status":"Available"}"#,
            ErrorCode::PropertyConstraintViolation,
            "`connectorId` is `70000`, allowed is 0 to 65535",
        ),
        (
            "StatusNotification",
            r#"{"connectorId":1.5,"errorCode":"NoError","status":"Available"}"#,
            ErrorCode::TypeConstraintViolation,
            "`connectorId` is a number, allowed is an integer",
        ),
        (
            "Heartbeat",
            r#"{"a\u001b":1}"#,
            ErrorCode::FormationViolation,
            "`a\\u{1b}` is no member of this message, allowed are ",
        ),
    ] {
        assert_eq!(read(action, payload).err(), Some(CallError::new(code, text)), "{action} {payload}");
    }
}

#[test]
fn unknown_words_of_facts_are_kept() {
    let payload = r#"{"connectorId":1,"errorCode":"Gremlins","status":"Sleeping"}"#;
    let (request, flags) = taken("StatusNotification", payload);
    let Request::StatusNotification(status) = request else { panic!("{request:?}") };
    assert_eq!((status.error_code.as_str(), status.status.as_str()), ("Gremlins", "Sleeping"));
    assert_eq!(flags.len(), 2);
}

#[test]
fn a_sloppy_start_is_taken_and_flagged() {
    let payload = r#"{"connectorId":"1","idTag":"123456789012345678901","meterStart":12.7,"reservationId":null,
        "timestamp":"2026-01-01T00:00:00","vendor":"x"}"#;
    let (request, flags) = taken("StartTransaction", payload);
    let Request::StartTransaction(start) = request else { panic!("{request:?}") };
    assert_eq!((start.connector_id, start.meter_start, start.reservation_id), (ConnectorId(1), 12, None));
    assert_eq!(start.id_tag, "123456789012345678901");
    assert_eq!(start.timestamp.parsed, Some(Timestamp(1_767_225_600_000)));
    assert_eq!(start.timestamp.raw, "2026-01-01T00:00:00");
    let mut kinds: Vec<(&str, FlagKind)> = flags.iter().map(|(path, kind)| (path.as_str(), *kind)).collect();
    kinds.sort_by_key(|(path, _)| *path);
    assert_eq!(
        kinds,
        [
            ("connectorId", FlagKind::WrongType),
            ("idTag", FlagKind::TooLong),
            ("meterStart", FlagKind::Fraction),
            ("reservationId", FlagKind::Null),
            ("timestamp", FlagKind::NoZone),
            ("vendor", FlagKind::ExtraMember),
        ]
    );
}

#[test]
fn a_stop_is_taken_with_whatever_time_reason_and_data_it_has() {
    let payload = r#"{"transactionId":-1,"meterStop":100,"timestamp":"soon","reason":"Boredom","transactionData":[
        {"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{"value":"1"},{"value":null},{"x":1}]}, 7]}"#;
    let (request, flags) = taken("StopTransaction", payload);
    let Request::StopTransaction(stop) = request else { panic!("{request:?}") };
    assert_eq!((stop.transaction_id, stop.meter_stop), (TransactionId(-1), 100));
    assert_eq!(stop.timestamp.flag, Some(TimeFlag::Unreadable));
    assert_eq!(stop.reason.as_ref().map(|r| r.as_str()), Some("Boredom"));
    assert_eq!(stop.transaction_data.len(), 1);
    assert_eq!(stop.transaction_data[0].samples.len(), 1);
    assert!(flags.contains(&("transactionData[1]".into(), FlagKind::BadEntry)), "{flags:?}");
    let (_, flags) = taken("StopTransaction", r#"{"transactionId":3,"meterStop":1,"timestamp":true}"#);
    assert_eq!(flags, [("timestamp".into(), FlagKind::UnreadableTime)]);
    let empty = r#"{"transactionId":3,"meterStop":1,"transactionData":[]}"#;
    let (_, flags) = taken("StopTransaction", empty);
    assert_eq!(flags, [("timestamp".into(), FlagKind::UnreadableTime)]);
}

#[test]
fn a_transaction_message_that_cannot_be_read_is_kept_as_bytes() {
    for (action, payload) in [
        ("StartTransaction", r#"{"connectorId":1}"#),
        ("StartTransaction", r#"{"connectorId":1,"connectorId":2,"idTag":"a","meterStart":1}"#),
        ("StopTransaction", r#"{"transactionId":"x","meterStop":1}"#),
        ("StopTransaction", r#"{"transactionId":99999999999,"meterStop":1}"#),
        ("MeterValues", r#"{"meterValue":"none"}"#),
        ("StopTransaction", r#"{"transactionId":"#),
    ] {
        let (request, _) = taken(action, payload);
        let Request::Unreadable(kept) = request else { panic!("{action} {payload}: {request:?}") };
        assert_eq!((kept.action, kept.bytes.as_slice()), (action, payload.as_bytes()));
        assert!(!kept.why.is_empty());
    }
}

#[test]
fn flags_are_bounded() {
    let members: Vec<String> = (0..100).map(|n| format!("\"x{n}\":1")).collect();
    let payload =
        format!(r#"{{"transactionId":1,"meterStop":1,"timestamp":"2026-01-01T00:00:00Z",{}}}"#, members.join(","));
    assert_eq!(taken("StopTransaction", &payload).1.len(), 32);
}

fn samples(list: &str) -> crate::protocol::metering::MeterReading {
    let payload = format!(
        r#"{{"connectorId":1,"transactionId":5,"meterValue":[{{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{list}]}}]}}"#
    );
    let Request::MeterValues(mut values) = taken("MeterValues", &payload).0 else { panic!("{payload}") };
    values.meter_value.remove(0)
}

#[test]
fn samples_are_brought_to_base_units() {
    for (sample, measurand, milli, unit) in [
        (r#"{"value":"1234"}"#, Measurand::EnergyActiveImportRegister, 1_234_000, Unit::WattHour),
        (r#"{"value":"12.345","unit":"kWh"}"#, Measurand::EnergyActiveImportRegister, 12_345_000, Unit::WattHour),
        (
            r#"{"value":"7.2","unit":"kW","measurand":"Power.Active.Import"}"#,
            Measurand::PowerActiveImport,
            7_200_000,
            Unit::Watt,
        ),
        (r#"{"value":"7200","measurand":"Power.Active.Import"}"#, Measurand::PowerActiveImport, 7_200_000, Unit::Watt),
        (r#"{"value":"55","unit":"Percent","measurand":"SoC"}"#, Measurand::Soc, 55_000, Unit::Percent),
        (
            r#"{"value":"16.1","unit":"A","phase":"L1","measurand":"Current.Import"}"#,
            Measurand::CurrentImport,
            16_100,
            Unit::Ampere,
        ),
        (r#"{"value":"230.4","unit":"V","measurand":"Voltage"}"#, Measurand::Voltage, 230_400, Unit::Volt),
        (r#"{"value":"31","unit":"Celcius","measurand":"Temperature"}"#, Measurand::Temperature, 31_000, Unit::Celsius),
        (
            r#"{"value":12.5,"measurand":"Warp","unit":"c"}"#,
            Measurand::Other("Warp".into()),
            12_500,
            Unit::Other("c".into()),
        ),
    ] {
        let read = &samples(sample).samples[0];
        assert_eq!((&read.measurand, &read.value, &read.unit), (&measurand, &Value::Milli(milli), &unit), "{sample}");
    }
}

#[test]
fn a_reading_yields_energy_power_and_charge() {
    let reading = samples(
        r#"{"value":"12.3456","unit":"kWh","context":"Sample.Periodic","location":"Outlet"},
           {"value":"2.4","unit":"kW","measurand":"Power.Active.Import","phase":"L1"},
           {"value":"2.4","unit":"kW","measurand":"Power.Active.Import","phase":"L2"},
           {"value":"2.4005","unit":"kW","measurand":"Power.Active.Import","phase":"L3"},
           {"value":"80.9","measurand":"SoC","location":"EV"},
           {"value":"AAEC","format":"SignedData","measurand":"Energy.Active.Import.Register"},
           {"value":"broken","measurand":"Voltage"}"#,
    );
    assert_eq!(reading.energy_import_wh(), Some(12_345));
    assert_eq!(reading.power_import_w(), Some(7200));
    assert_eq!(reading.soc_percent(), Some(80));
    assert_eq!(reading.signed().collect::<Vec<_>>(), ["AAEC"]);
    assert_eq!(reading.samples[6].value, Value::Unreadable("broken".into()));
}

#[test]
fn signed_records_are_bounded() {
    let record = |text: &str| format!(r#"{{"value":"{text}","format":"SignedData"}}"#);
    let long = "x".repeat(9000);
    for (list, kept, unreadable) in [
        (vec!["OCMF|1", "OCMF|2"], vec!["OCMF|1", "OCMF|2"], false),
        (vec!["OCMF|1", &long], vec!["OCMF|1"], true),
        (vec!["a", "b", "c", "d", "e"], vec!["a", "b", "c", "d"], true),
    ] {
        let records: Vec<String> = list.iter().map(|text| record(text)).collect();
        let payload = format!(
            r#"{{"connectorId":1,"meterValue":[{{"timestamp":"2026-01-01T00:00:00Z","sampledValue":[{}]}}]}}"#,
            records.join(",")
        );
        let Request::MeterValues(values) = taken("MeterValues", &payload).0 else { panic!("{payload}") };
        let sample = &neutral::meter(values).samples[0];
        assert_eq!(sample.signed.iter().map(|text| &**text).collect::<Vec<_>>(), kept);
        assert_eq!(sample.unreadable, unreadable);
    }
}

#[test]
fn what_we_write_is_what_the_specification_spells() {
    let now = Timestamp(1_767_225_600_123);
    let id_tag_info = id_tag_info::IdTagInfo {
        expiry_date: Some(now),
        parent_id_tag: Some(Text::cut("PARENT")),
        status: id_tag_info::AuthorizationStatus::ConcurrentTx,
    };
    let boot = boot_notification::Confirmation {
        status: boot_notification::RegistrationStatus::Accepted,
        current_time: now,
        interval: 300,
    };
    for (written, expected) in [
        (to_payload(&boot), r#"{"status":"Accepted","currentTime":"2026-01-01T00:00:00.123Z","interval":300}"#),
        (to_payload(&heartbeat::Confirmation { current_time: now }), r#"{"currentTime":"2026-01-01T00:00:00.123Z"}"#),
        (
            to_payload(&start_transaction::Confirmation {
                id_tag_info: id_tag_info.clone(),
                transaction_id: TransactionId(7),
            }),
            r#"{"idTagInfo":{"expiryDate":"2026-01-01T00:00:00.123Z","parentIdTag":"PARENT","status":"ConcurrentTx"},"transactionId":7}"#,
        ),
        (to_payload(&stop_transaction::Confirmation::default()), "{}"),
    ] {
        assert_eq!(written, expected);
    }
}

/// Every command with every member, as an operator would give it.
const COMMANDS: &[(&str, &str)] = &[
    ("CancelReservation", r#"{"reservationId":7}"#),
    ("CertificateSigned", r#"{"certificateChain":"PEM"}"#),
    (
        "DeleteCertificate",
        r#"{"certificateHashData":{"hashAlgorithm":"SHA384","issuerNameHash":"a","issuerKeyHash":"b","serialNumber":"c"}}"#,
    ),
    ("ExtendedTriggerMessage", r#"{"requestedMessage":"SignChargePointCertificate","connectorId":1}"#),
    ("GetInstalledCertificateIds", r#"{"certificateType":"ManufacturerRootCertificate"}"#),
    (
        "GetLog",
        r#"{"logType":"SecurityLog","requestId":7,"retries":1,"retryInterval":60,"log":{"remoteLocation":"https://x/","oldestTimestamp":"2026-01-01T00:00:00.000Z","latestTimestamp":"2026-01-02T00:00:00.000Z"}}"#,
    ),
    ("InstallCertificate", r#"{"certificateType":"CentralSystemRootCertificate","certificate":"PEM"}"#),
    (
        "SignedUpdateFirmware",
        r#"{"retries":1,"retryInterval":60,"requestId":7,"firmware":{"location":"https://x/f","retrieveDateTime":"2026-01-01T00:00:00.000Z","installDateTime":"2026-01-02T00:00:00.000Z","signingCertificate":"PEM","signature":"c2ln"}}"#,
    ),
    ("ChangeAvailability", r#"{"connectorId":0,"type":"Inoperative"}"#),
    ("ChangeConfiguration", r#"{"key":"HeartbeatInterval","value":"300"}"#),
    ("ClearCache", "{}"),
    ("ClearChargingProfile", r#"{"id":1,"connectorId":0,"chargingProfilePurpose":"TxDefaultProfile","stackLevel":2}"#),
    ("GetCompositeSchedule", r#"{"connectorId":1,"duration":60,"chargingRateUnit":"W"}"#),
    (
        "GetDiagnostics",
        r#"{"location":"ftp://x/","retries":1,"retryInterval":60,"startTime":"2026-01-01T00:00:00.000Z","stopTime":"2026-01-02T00:00:00.000Z"}"#,
    ),
    ("GetLocalListVersion", "{}"),
    (
        "ReserveNow",
        r#"{"connectorId":1,"expiryDate":"2026-01-01T00:00:00.000Z","idTag":"T","parentIdTag":"P","reservationId":7}"#,
    ),
    (
        "SendLocalList",
        r#"{"listVersion":3,"localAuthorizationList":[{"idTag":"T","idTagInfo":{"expiryDate":"2026-01-01T00:00:00.000Z","status":"Accepted"}},{"idTag":"U"}],"updateType":"Differential"}"#,
    ),
    (
        "SetChargingProfile",
        r#"{"connectorId":0,"csChargingProfiles":{"chargingProfileId":1,"transactionId":9,"stackLevel":0,"chargingProfilePurpose":"ChargePointMaxProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"W","chargingSchedulePeriod":[{"startPeriod":0,"limit":11000}]}}}"#,
    ),
    (
        "UpdateFirmware",
        r#"{"location":"https://x/f","retries":1,"retrieveDate":"2026-01-01T00:00:00.000Z","retryInterval":60}"#,
    ),
    ("DataTransfer", r#"{"vendorId":"v","messageId":"m","data":"d"}"#),
    ("GetConfiguration", r#"{"key":["a","b"]}"#),
    ("GetConfiguration", "{}"),
    (
        "RemoteStartTransaction",
        r#"{"connectorId":1,"idTag":"T","chargingProfile":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","recurrencyKind":"Daily","validFrom":"2026-01-01T00:00:00.000Z","validTo":"2026-01-02T00:00:00.000Z","chargingSchedule":{"duration":60,"startSchedule":"2026-01-01T00:00:00.000Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16.1,"numberPhases":3},{"startPeriod":30,"limit":8}],"minChargingRate":0.5}}}"#,
    ),
    ("RemoteStopTransaction", r#"{"transactionId":2147483647}"#),
    ("Reset", r#"{"type":"Hard"}"#),
    ("TriggerMessage", r#"{"requestedMessage":"MeterValues","connectorId":1}"#),
    ("UnlockConnector", r#"{"connectorId":1}"#),
];

#[test]
fn commands_are_written_as_they_are_read() {
    for (action, payload) in COMMANDS {
        let command = Command::read(action, payload).unwrap_or_else(|e| panic!("{action}: {e}"));
        assert_eq!((command.action(), command.payload().as_str()), (*action, *payload));
    }
    for (action, payload) in COMMANDS {
        let command = Command::read(action, payload).unwrap();
        let call = neutral::call(command, &|text| SealedText(text.into())).unwrap();
        let back = neutral::command(&call, &|sealed| Some(sealed.0.to_string())).unwrap();
        assert_eq!((call.action(), back.payload().as_str()), (*action, *payload), "through the rules and back");
        let journaled: Call = serde_json::from_str(&serde_json::to_string(&call).unwrap()).unwrap();
        assert_eq!(journaled, call);
    }
    for action in Command::ACTIONS {
        assert!(COMMANDS.iter().any(|(known, _)| known == action), "{action} has no sample");
    }
}

#[test]
fn a_command_that_no_schema_allows_is_refused() {
    for (action, payload, code) in [
        ("Reset", r#"{"type":"Medium"}"#, ErrorCode::PropertyConstraintViolation),
        ("Reset", "{}", ErrorCode::OccurenceConstraintViolation),
        ("ChangeConfiguration", r#"{"key":"a","value":7}"#, ErrorCode::TypeConstraintViolation),
        ("ClearCache", r#"{"really":true}"#, ErrorCode::FormationViolation),
        ("RemoteStartTransaction", r#"{"idTag":"123456789012345678901"}"#, ErrorCode::PropertyConstraintViolation),
        ("Heartbeat", "{}", ErrorCode::NotImplemented),
    ] {
        assert_eq!(Command::read(action, payload).err().map(|e| e.code), Some(code), "{action} {payload}");
    }
}

#[test]
fn answers_are_understood_leniently() {
    let answer = Answer::read("Reset", r#"{"status":"Accepted","note":"bye"}"#).unwrap();
    let expected = Answer::Reset(reset::Confirmation { status: reset::ResetStatus::Accepted });
    assert_eq!((answer.answer, answer.flags.len()), (expected, 1));
    let answer = Answer::read("UnlockConnector", r#"{"status":"Maybe"}"#).unwrap().answer;
    assert!(matches!(answer, Answer::UnlockConnector(c) if c.status.as_str() == "Maybe"));
    let payload = r#"{"configurationKey":[{"key":"a","readonly":"false","value":"1"},{"key":"b"}],"unknownKey":["c"]}"#;
    let Answer::GetConfiguration(got) = Answer::read("GetConfiguration", payload).unwrap().answer else { panic!() };
    assert_eq!((got.configuration_key.len(), got.unknown_key.as_slice()), (1, &["c".to_owned()][..]));
    let payload = r#"{"status":"Accepted","connectorId":1,"scheduleStart":"2026-01-01T00:00:00Z","chargingSchedule":
        {"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":"16.05"}]}}"#;
    let Answer::GetCompositeSchedule(got) = Answer::read("GetCompositeSchedule", payload).unwrap().answer else {
        panic!()
    };
    assert_eq!(got.charging_schedule.unwrap().charging_schedule_period[0].limit.0, 160);
    assert!(Answer::read("Reset", "null").is_err() && Answer::read("Reset", "{}").is_err());
}

#[test]
fn answers_come_to_outcomes() {
    for (action, payload, accepted, told) in [
        ("GetLog", r#"{"status":"AcceptedCanceled","filename":"x"}"#, true, Told::Nothing),
        ("SignedUpdateFirmware", r#"{"status":"InvalidCertificate"}"#, false, Told::Nothing),
        ("GetInstalledCertificateIds", r#"{"status":"NotFound"}"#, false, Told::Nothing),
        ("UpdateFirmware", "{}", true, Told::Nothing),
        ("GetDiagnostics", "{}", true, Told::Nothing),
        ("ReserveNow", r#"{"status":"Occupied"}"#, false, Told::Status("Occupied".into())),
        ("ExtendedTriggerMessage", r#"{"status":"NotImplemented"}"#, false, Told::Nothing),
        ("GetLocalListVersion", r#"{"listVersion":-1}"#, true, Told::ListVersion(-1)),
        ("SendLocalList", r#"{"status":"VersionMismatch"}"#, false, Told::Status("VersionMismatch".into())),
        ("ChangeConfiguration", r#"{"status":"RebootRequired"}"#, true, Told::Status("RebootRequired".into())),
    ] {
        let (outcome, said) = neutral::outcome(action, payload);
        assert_eq!((outcome, said), (Outcome::Answered { accepted, payload: payload.into() }, told), "{action}");
    }
    let payload = r#"{"configurationKey":[{"key":"a","readonly":true,"value":"1"}],"unknownKey":["b"]}"#;
    let (_, Told::Configuration(told)) = neutral::outcome("GetConfiguration", payload) else { panic!() };
    assert_eq!((&*told.keys[0].key, told.keys[0].readonly, &*told.unknown[0]), ("a", true, "b"));
    assert!(matches!(neutral::outcome("GetLog", "[]"), (Outcome::CallError { .. }, Told::Nothing)));
}

mod any_input {
    use super::*;
    use crate::protocol::ocppj::Frame;
    use proptest::prelude::*;

    /// Texts that are nearly messages: pieces of them in any order.
    fn nearly() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            "2",
            "3",
            "4",
            "-1",
            "1e999",
            "null",
            "true",
            "\"",
            "\\u",
            "\\ud800",
            "\"StartTransaction\"",
            "\"MeterValues\"",
            "\"connectorId\"",
            "\"idTag\"",
            "\"meterStart\"",
            "\"timestamp\"",
            "\"meterValue\"",
            "\"sampledValue\"",
            "\"value\"",
            "\"a\"",
            "\u{0}",
            "é",
            " ",
        ]);
        prop::collection::vec(pieces, 0..40).prop_map(|list| list.concat())
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in prop_oneof![any::<String>(), nearly()]) {
            let _ = Frame::read(&text);
            for action in ["StartTransaction", "StopTransaction", "MeterValues"] {
                // Transaction messages are never refused, whatever they hold.
                prop_assert!(decode("1", action, &text).is_ok());
            }
            for action in ["StatusNotification", "BootNotification", "DataTransfer"] {
                let _ = decode("1", action, &text);
            }
            let _ = Answer::read("GetConfiguration", &text);
        }

        #[test]
        fn a_broken_call_is_answerable_as_soon_as_its_id_is_read(rest in nearly()) {
            match Frame::read(&format!("[2,\"id\",{rest}")) {
                Frame::Call { id, .. } | Frame::Bad { id, .. } => prop_assert_eq!(id, "id"),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
