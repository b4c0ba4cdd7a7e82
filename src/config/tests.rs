//! Tests of loading, judging and applying configurations.

use super::check::Problems;
use super::live::{AdoptError, Cause, LiveConfig, Stale};
use super::load::{Sources, documented, from_text, settings_of};
use super::{Config, DEFAULTS, document, reference};
use crate::clock::Timestamp;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    from_text(Some(("x.toml", text)), &environment).map(|loaded| loaded.config)
}

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load(text, environment).map_or_else(|e| e.0.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

#[test]
fn the_defaults_are_good_and_equal_to_what_is_written_back() {
    let defaults = reference::defaults().unwrap();
    assert_eq!(settings_of(&defaults).unwrap().into_keys().collect::<Vec<_>>(), Vec::<String>::new());
    for key in documented().unwrap().into_values() {
        let value: toml::Table = format!("v = {}", key.default).parse().unwrap();
        assert_eq!(key.judge(&value["v"]), None);
    }
}

#[test]
fn the_defaults_that_rules_are_tested_with_are_those_of_the_file() {
    let defaults = reference::defaults().unwrap();
    assert_eq!(defaults.charger, super::charger::Charger::default());
    assert_eq!(defaults.session, super::session::Session::default());
    let policy = super::accounts::policy(&defaults.accounts, &defaults.payments);
    assert_eq!(policy, crate::domain::account::Policy::default());
}

#[test]
fn every_key_has_a_comment_and_says_what_is_allowed() {
    for section in document::read(DEFAULTS).unwrap() {
        for key in section.keys {
            assert!(key.about.len() > 15, "`{}` needs a comment: unit and reason", key.path);
            assert!(key.allowed.is_some(), "`{}` needs `Allowed: …` (src/config/document.rs): {key:?}", key.path);
        }
    }
}

#[test]
fn a_file_wins_over_the_defaults_and_the_environment_over_both() {
    let text = "[telemetry]\nlog_lines_max = 500\nlog_filter = \"debug\"";
    let config = load(text, &[("CHARGELINE__TELEMETRY__LOG_FILTER", "warn"), ("PATH", "/bin")]).unwrap();
    assert_eq!((config.telemetry.log_lines_max, config.telemetry.log_filter.as_str()), (500, "warn"));
    let numbers = load("", &[("CHARGELINE__TELEMETRY__LOG_LINES_MAX", "700")]).unwrap();
    assert_eq!(numbers.telemetry.log_lines_max, 700);
}

#[test]
fn all_problems_are_found_at_once_each_with_its_place() {
    let text = "[telemetry]\nlog_filtre = \"debug\"\nlog_lines_max = 5\nmetrics_listen = 80\n\n[telemetri]\na = 1\n";
    let found = problems(text, &[("CHARGELINE__TELEMETRY__LOG_FORMAT", "xml"), ("CHARGELINE__NO__SUCH", "1")]);
    assert_eq!(found.len(), 6, "{found:#?}");
    let has = |part: &str| assert!(found.iter().any(|p| p.contains(part)), "{part}: {found:#?}");
    has("x.toml:2: `telemetry.log_filtre`: no such key, did you mean `telemetry.log_filter`?");
    has("x.toml:3: `telemetry.log_lines_max` is 5: 100 to 1000000 is allowed");
    has("x.toml:4: `telemetry.metrics_listen` is 80: an IP address with port is allowed");
    has("x.toml:6: `telemetri`: no such section");
    has("CHARGELINE__TELEMETRY__LOG_FORMAT: `telemetry.log_format` is \"xml\": one of `text`, `json` is allowed");
    has("CHARGELINE__NO__SUCH: `no.such`: no such key");
}

#[test]
fn a_key_that_was_removed_names_its_successor() {
    let found = problems("[gateway]\ncall_timeout = \"30s\"\n", &[("CHARGELINE__GATEWAY__CALL_TIMEOUT", "20s")]);
    let said = "`gateway.call_timeout`: no such key any more: set `charger.call_timeout` instead";
    assert_eq!(found, [format!("x.toml:2: {said}"), format!("CHARGELINE__GATEWAY__CALL_TIMEOUT: {said}")]);
    for (_, successor) in super::load::REMOVED {
        assert!(documented().unwrap().contains_key(successor), "{successor}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let found = problems("[telemetry]\nlog_filter = debug\n", &[]);
    assert!(found.len() == 1 && found[0].starts_with("x.toml:2: "), "{found:?}");
    assert!(problems("[telemetry\n", &[])[0].starts_with("x.toml:1: "));
}

#[test]
fn a_rule_between_keys_names_its_place_too() {
    let found = problems("[telemetry]\n\nlog_filter = \"a=b=c\"\n", &[]);
    assert!(found.len() == 1 && found[0].starts_with("x.toml:3: `telemetry.log_filter` is"), "{found:?}");
}

fn live() -> LiveConfig {
    let (live, first) = LiveConfig::start(reference::defaults().unwrap(), vec![], Timestamp(1)).unwrap();
    assert_eq!(first.map(|v| (v.number, v.cause)), Some((1, Cause::Started)));
    live
}

fn with_filter(filter: &str) -> Config {
    load(&format!("[telemetry]\nlog_filter = \"{filter}\""), &[]).unwrap()
}

#[test]
fn a_live_key_changes_at_once_and_can_be_rolled_back() {
    let live = live();
    let mut told = live.subscribe();
    let version = live.propose(&with_filter("debug"), Cause::Applied, "ada", Timestamp(2)).unwrap();
    assert_eq!((version.number, version.changed.clone()), (2, vec!["telemetry.log_filter".to_owned()]));
    assert_eq!(live.current().telemetry.log_filter, "info", "nothing changes before it is stored");
    live.adopt(version).unwrap();
    assert_eq!((live.current().telemetry.log_filter.as_str(), live.version()), ("debug", 2));
    assert!(told.has_changed().unwrap());
    let back = live.propose_rollback(1, "ada", Timestamp(3)).unwrap();
    assert_eq!(back.cause, Cause::RolledBack(1));
    live.adopt(back).unwrap();
    assert_eq!((live.current().telemetry.log_filter.as_str(), live.version()), ("info", 3));
    assert_eq!(live.versions().iter().map(|v| v.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(*told.borrow_and_update(), 3);
}

#[test]
fn a_key_that_is_not_live_is_refused_by_name() {
    let live = live();
    let new = load("[telemetry]\nlog_format = \"json\"\nlog_filter = \"warn\"", &[]).unwrap();
    let refused = live.propose(&new, Cause::Reloaded, "SIGHUP", Timestamp(2)).unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with("`telemetry.log_format` is \"json\": this key takes effect at a restart only"), "{text}");
    assert_eq!((refused.0.len(), live.version()), (1, 1));
}

#[test]
fn a_version_that_does_not_exist_is_refused() {
    let refused = live().propose_rollback(7, "ada", Timestamp(2)).unwrap_err();
    assert_eq!(refused.to_string(), "`version` is 7: one of 1 is allowed");
}

#[test]
fn of_two_concurrent_changes_the_second_is_stale() {
    let live = live();
    let one = live.propose(&with_filter("debug"), Cause::Applied, "ada", Timestamp(2)).unwrap();
    let two = live.propose(&with_filter("warn"), Cause::Applied, "bob", Timestamp(2)).unwrap();
    live.adopt(one).unwrap();
    assert_eq!(live.adopt(two), Err(AdoptError::Stale(Stale { current: 2 })));
    assert_eq!(live.current().telemetry.log_filter, "debug");
}

#[test]
fn versions_go_on_counting_over_a_restart_and_read_back_from_json() {
    let first = live();
    let kept: Vec<_> = first.versions();
    let kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
    let (second, fresh) = LiveConfig::start(with_filter("debug"), kept, Timestamp(9)).unwrap();
    assert_eq!(fresh.map(|v| (v.number, v.changed)), Some((2, vec!["telemetry.log_filter".to_owned()])));
    let (third, fresh) = LiveConfig::start(with_filter("debug"), second.versions(), Timestamp(9)).unwrap();
    assert_eq!((fresh, third.version()), (None, 2));
}

#[test]
fn an_operator_sets_some_keys_over_what_is_in_force() {
    let live = live();
    live.adopt(live.propose(&with_filter("debug"), Cause::Applied, "ada", Timestamp(2)).unwrap()).unwrap();
    let set = |json: &str| serde_json::from_str(json).unwrap();
    let nested = live.propose_settings(set(r#"{"telemetry": {"log_filter": "warn"}}"#), "bob", Timestamp(3)).unwrap();
    assert_eq!((nested.number, nested.changed), (3, vec!["telemetry.log_filter".to_owned()]));
    let path = live.propose_settings(set(r#"{"telemetry.log_filter": "warn"}"#), "bob", Timestamp(3)).unwrap();
    assert_eq!(path.settings, nested.settings);
    let wrong =
        live.propose_settings(set(r#"{"telemetry": {"log_filter": 7, "nonsense": true}}"#), "bob", Timestamp(3));
    assert_eq!(wrong.map_err(|problems| problems.0.len()), Err(2));
    assert_eq!(live.version(), 2);
}

#[test]
fn a_reload_reads_the_file_again_and_a_bad_file_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chargeline.toml");
    let sources = Sources { file: Some(file.clone()), environment: vec![] };
    let live = live();
    std::fs::write(&file, "[telemetry]\nlog_filter = \"warn\"\n").unwrap();
    live.adopt(live.propose_reload(&sources, Timestamp(2)).unwrap()).unwrap();
    assert_eq!(live.current().telemetry.log_filter, "warn");
    std::fs::write(&file, "[telemetry]\nlog_filter = 1\n").unwrap();
    assert!(live.propose_reload(&sources, Timestamp(3)).is_err());
    assert_eq!((live.current().telemetry.log_filter.as_str(), live.version()), ("warn", 2));
    assert_eq!(
        live.versions().last().map(|v| (v.by.clone(), v.cause.clone())),
        Some(("SIGHUP".into(), Cause::Reloaded))
    );
}

#[test]
fn a_key_has_nonces_for_all_that_its_rates_let_it_sign() {
    for (text, bound) in [
        ("", 200_000),
        ("[api]\nread_rate = 5000", 600 * (5_000 + 20 + 5) + 150),
        ("[api]\nread_rate = 5000\nsignature_window = \"30s\"", 60 * 5_025 + 150),
        ("[api]\nnonces_per_key = 1000", 45_150),
    ] {
        assert_eq!(load(text, &[]).unwrap().api.nonces_bound(), bound, "{text}");
    }
}
