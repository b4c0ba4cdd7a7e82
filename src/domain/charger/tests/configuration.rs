//! Settings: read when due, compared, corrected, with results that are kept (CH-6, SE-16).

use crate::domain::charger::configuration::{Difference, Key as Setting, Told as Settings, differences, wanted};
use crate::domain::charger::{BootFact, BootPolicy, Call, Charger, Command, Outcome, Told};
use crate::domain::charging::testkit::*;
use crate::domain::charging::{Key, Policy};
use crate::ids::CommandId;
use std::sync::Arc;

fn setting(key: &str, value: &str, readonly: bool) -> Setting {
    Setting { key: key.into(), value: Some(value.into()), readonly }
}

fn settings(keys: &[(&str, &str, bool)]) -> Told {
    let keys = keys.iter().map(|(key, value, readonly)| setting(key, value, *readonly)).collect();
    Told::Configuration(Box::new(Settings { keys, unknown: Vec::new() }))
}

fn waiting(charger: &Charger) -> Vec<String> {
    let text = |call: &Call| match call {
        Call::ChangeConfiguration { key, value } => format!("{key}={value}"),
        other => other.action().to_owned(),
    };
    charger.queue.iter().map(|pending| text(&pending.call)).filter(|text| text != "TriggerMessage").collect()
}

fn booted() -> World {
    let mut world = World::empty();
    world.tell(register(1, BootPolicy::Accepted));
    world.link_up();
    world.tell(Command::Boot(boot()));
    world.pass(10);
    world
}

/// Lets time pass and answers everything else until the settings are asked for.
fn until_read(world: &mut World) {
    for _ in 0..400 {
        match world.outstanding() {
            Some((_, Call::GetConfiguration { .. })) => return,
            Some(_) => drop(world.answer(accepted())),
            None => world.pass(1),
        }
    }
    panic!("the settings are never asked for");
}

const OWN: [&str; 3] = ["ConnectionTimeOut=50", "StopTransactionOnInvalidId=true", "MeterValueSampleInterval=60"];

#[test]
fn differences_are_named_and_equal_values_are_equal_however_they_are_written() {
    let told = Settings {
        keys: vec![
            setting("A", "TRUE", false),
            setting("B", "x, Y", false),
            setting("C", "1", true),
            setting("D", "1", false),
            Setting { key: "E".into(), value: None, readonly: false },
        ],
        unknown: vec!["F".into()],
    };
    let should = [("A", "true"), ("B", "X,y"), ("C", "2"), ("D", "2"), ("E", ""), ("F", "1")];
    let should = should.map(|(key, value)| (key.into(), value.into()));
    let found = differences(&told, &should);
    let expected =
        [("C", Difference::ReadOnly), ("D", Difference::Other), ("E", Difference::Other), ("F", Difference::Absent)];
    assert_eq!(found, expected.map(|(key, difference)| (key.into(), difference)));
}

#[test]
fn the_operators_settings_join_those_of_the_rules_which_win() {
    let mut policy = Policy::default();
    policy.charger.configuration = vec!["HeartbeatInterval = 300".into(), "StopTransactionOnInvalidId=false".into()];
    let found: Vec<_> = wanted(&policy).iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(found, [OWN[0], OWN[1], OWN[2], "HeartbeatInterval=300"]);
}

#[test]
fn what_differs_is_corrected_and_what_is_read_only_is_left() {
    let mut world = booted();
    assert_eq!(waiting(world.charger()), ["GetConfiguration"]);
    let told = [
        ("ConnectionTimeOut", "50", false),
        ("StopTransactionOnInvalidId", "false", false),
        ("MeterValueSampleInterval", "900", true),
        ("AuthorizationKey", "hunter2", false),
    ];
    world.answer_with(accepted(), settings(&told));
    assert_eq!(waiting(world.charger()), ["StopTransactionOnInvalidId=true"]);
    let row = world.row("configuration", "CP1");
    assert_eq!(
        (row["keys"][2]["readonly"].as_bool(), row["keys"][3]["value"].as_str()),
        (Some(true), Some("[secret]"))
    );
    world.pass(1);
    while !matches!(world.outstanding(), Some((_, Call::ChangeConfiguration { .. }))) {
        world.answer(accepted());
    }
    world.answer_with(accepted(), Told::Status("RebootRequired".into()));
    let change = world.row("configuration-change", "CP1/StopTransactionOnInvalidId");
    assert_eq!((change["status"].as_str(), change["by"].as_str()), (Some("RebootRequired"), Some("system")));
}

#[test]
fn one_that_cannot_tell_is_told_all_of_it() {
    let error = Outcome::CallError { code: "NotSupported".into(), description: "".into() };
    for outcome in [refused(), error] {
        let mut world = booted();
        world.answer(outcome);
        assert_eq!(waiting(world.charger()), OWN);
    }
    let mut world = booted();
    world.pass(31);
    assert_eq!(waiting(world.charger()), OWN, "nor one that does not answer");
}

#[test]
fn a_boot_reads_again_after_a_day_another_firmware_or_another_wanted_set() {
    let mut world = booted();
    world.answer_all();
    world.tell(Command::Boot(boot()));
    assert_eq!(waiting(world.charger()), ["GetConfiguration"], "it has never told");
    world.tell(Command::Boot(boot()));
    assert_eq!(waiting(world.charger()), ["GetConfiguration"], "once");
    until_read(&mut world);
    let good = [
        ("ConnectionTimeOut", "50", false),
        ("StopTransactionOnInvalidId", "true", false),
        ("MeterValueSampleInterval", "60", false),
    ];
    world.answer_with(accepted(), settings(&good));
    world.answer_all();
    world.tell(Command::Boot(boot()));
    assert_eq!(waiting(world.charger()), [""; 0]);
    world.tell(Command::Boot(BootFact { firmware: Some("2.0".into()), ..boot() }));
    assert_eq!(waiting(world.charger()), ["GetConfiguration"]);
    world.pass(1);
    let records = world.rows.get(&("configuration", "CP1".to_owned())).cloned();
    world.answer_with(accepted(), settings(&good));
    assert_eq!(world.rows.get(&("configuration", "CP1".to_owned())).cloned(), records, "the same is not written again");
    world.answer_all();
    let mut policy = Policy::default();
    policy.charger.configuration = vec!["HeartbeatInterval=300".into()];
    world.ambient.policy = Arc::new(policy);
    world.tell(Command::Boot(BootFact { firmware: Some("2.0".into()), ..boot() }));
    assert_eq!(waiting(world.charger()), ["GetConfiguration"]);
    world.pass(1);
    world.answer_with(accepted(), settings(&good));
    assert_eq!(waiting(world.charger()), ["HeartbeatInterval=300"]);
    world.pass(1);
    world.answer_all();
    world.now = crate::clock::Timestamp(world.now.0 + 86_401_000);
    world.tell(Command::Boot(BootFact { firmware: Some("2.0".into()), ..boot() }));
    assert_eq!(waiting(world.charger()), ["GetConfiguration"]);
    let due = world.charger().queue.iter().find(|p| p.call.action() == "GetConfiguration").map(|p| p.not_before);
    assert!(due > Some(world.now) && due < Some(world.now + std::time::Duration::from_secs(300)), "spread: {due:?}");
}

#[test]
fn secrets_are_in_no_row() {
    let mut world = booted();
    world.answer_with(
        accepted(),
        settings(&[("WifiPassword", "hunter2", false), ("AuthorizationKey", "hunter2", false)]),
    );
    world.pass(1);
    world.answer_all();
    let call = Call::ChangeConfiguration { key: "AuthorizationKey".into(), value: "hunter2".into() };
    let command_id = CommandId(uuid::Uuid::from_u128(1));
    world.ask(Key::Charger, Command::Enqueue { command_id, call: call.clone(), by: "op".into() }).unwrap();
    assert_eq!(world.calls().last(), Some(&&call), "the charger gets it");
    world.answer_with(accepted(), Told::Status("Accepted".into()));
    for (place, value) in &world.rows {
        assert!(!String::from_utf8_lossy(value).contains("hunter2"), "{place:?}");
    }
}

#[test]
fn its_own_limits_are_kept_and_follow_changes() {
    let mut world = booted();
    let told = [
        ("SupportedFeatureProfiles", "Core,SmartCharging", true),
        ("ChargeProfileMaxStackLevel", "8", true),
        ("LocalAuthListEnabled", "false", false),
        ("SendLocalListMaxLength", "many", true),
    ];
    world.answer_with(accepted(), settings(&told));
    let limits = world.charger().limits();
    assert_eq!(limits.features.map(|features| features.words()), Some("Core, SmartCharging".to_owned()));
    assert_eq!((limits.stack_level_max, limits.list_enabled, limits.send_list_max), (Some(8), Some(false), None));
    world.pass(1);
    world.answer_all();
    let call = Call::ChangeConfiguration { key: "LocalAuthListEnabled".into(), value: "true".into() };
    let command_id = CommandId(uuid::Uuid::from_u128(1));
    world.ask(Key::Charger, Command::Enqueue { command_id, call, by: "op".into() }).unwrap();
    world.answer_with(accepted(), Told::Status("Accepted".into()));
    assert_eq!(world.charger().limits().list_enabled, Some(true));
    assert_eq!(world.row("configuration-change", "CP1/LocalAuthListEnabled")["by"], "operator");
}
