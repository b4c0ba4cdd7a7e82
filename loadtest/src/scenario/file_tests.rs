//! Scenario files: each that is shipped, the table in the README, and what bad ones are told.

use super::*;
use std::collections::BTreeSet;

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_shipped_scenario_loads_says_what_it_is_for_and_stands_in_the_table() {
    let readme = std::fs::read_to_string(here("README.md")).unwrap();
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(here("scenarios")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.insert(name.strip_suffix(".toml").expect("only scenarios lie there").to_owned());
    }
    let shipped: BTreeSet<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, shipped);
    for name in shipped {
        let scenario = Scenario::load(&name).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert!(scenario.about.len() > 20, "{name} does not say what it is for");
        let row = format!("| `{name}` | {} |", scenario.about);
        assert!(readme.contains(&row), "loadtest/README.md lacks the row\n{row}");
        assert!(scenario.limits != Limits::default() || scenario.kind != RunKind::Run, "{name} cannot fail");
    }
}

#[test]
fn what_is_left_out_is_what_the_command_line_has_without_options() {
    assert_eq!(Scenario::read("", "").unwrap(), Scenario::default());
    assert!(Scenario::default().wrong().is_empty());
}

#[test]
fn an_error_names_the_place_the_value_and_what_is_allowed() {
    for (text, says) in [
        ("chargers = 1", &["unknown field `chargers`", "line 1", "fleet"][..]),
        ("[fleet]\nchargers = 0", &["fleet.chargers is 0; allowed: 1 to 19000"]),
        (
            "[fleet]\nchargers = 20000\nconnectors = 9",
            &["fleet.chargers is 20000", "fleet.connectors is 9; allowed: 1 to 8"],
        ),
        ("[load]\nduration = \"soon\"", &["`soon` is no time; allowed: such as", "line 2"]),
        ("[load]\nduration = \"-5s\"", &["`-5s` is no time"]),
        ("kind = \"walk\"", &["unknown variant `walk`", "`run`", "`overload`"]),
        ("[behaviours]\nloses_answer = 600\nrefuses_start = 600", &["behaviours is 1200 of a thousand"]),
        ("[behaviours]\nsings = 1", &["unknown field `sings`", "loses_answer"]),
        ("[[bad_hours]]\nfrom = \"1s\"\nlasts = \"2s\"\nanswer = \"sulks\"", &["unknown variant `sulks`", "`dead`"]),
        ("[[bad_hours]]\nfrom = \"1s\"", &["missing field `lasts`"]),
        ("[overload]\nfactor = 1.0", &["overload.factor is 1; allowed: above 1 to 10"]),
        ("[load]\nshape = [0.0]", &["load.shape is [0.0]; allowed: weights"]),
    ] {
        let error = format!("{:#}", Scenario::read("x", text).unwrap_err());
        for part in says {
            assert!(error.contains(part), "{text:?}: {part:?} is not in {error:?}");
        }
    }
    let error = format!("{:#}", Scenario::load("no-such").unwrap_err());
    assert!(error.contains("smoke, steady") && error.contains("no readable file"), "{error}");
}
