//! Tests of the tables and of what counting costs.

use super::handles::LABELS_MAX;
use super::{Kind, Metric, all, api, engine, gateway, journal, messages, process, webhook};
use std::collections::BTreeSet;

/// `chargeline`, the room, the thing; of what is counted the thing is the unit (`…_restarts_total`).
const WORDS_MIN: usize = 3;

/// Units of what is measured rather than counted.
const UNITS: [&str; 5] = ["seconds", "bytes", "ratio", "watts", "info"];

/// Words for a moment or an amount that hide the unit.
const NO_UNITS: [&str; 8] = ["ms", "millis", "latency", "time", "duration", "size", "age", "percent"];

#[test]
fn every_metric_is_named_after_its_room_thing_and_unit_and_has_help() {
    let rooms = [
        ("api", api::ALL),
        ("engine", engine::ALL),
        ("gateway", gateway::ALL),
        ("journal", journal::ALL),
        ("messages", messages::ALL),
        ("process", process::ALL),
        ("webhook", webhook::ALL),
    ];
    for (room, metrics) in rooms {
        for metric in metrics {
            let name = metric.name;
            let words: Vec<_> = name.trim_end_matches("_total").split('_').collect();
            assert!(words[0] == "chargeline" && words[1] == room, "{name}: chargeline_{room}_<thing>_<unit>[_total]");
            assert!(words.len() >= WORDS_MIN, "{name}: chargeline_{room}_<thing>_<unit>[_total]");
            let unit = words.last().copied().unwrap_or_default();
            let measured = matches!(metric.kind, Kind::Histogram(_)) && !unit.ends_with('s');
            assert!(UNITS.contains(&unit) || !(measured || NO_UNITS.contains(&unit)), "{name}: `{unit}` is no unit");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            assert_eq!(
                metric.kind == Kind::Counter,
                name.ends_with("_total"),
                "{name}: counters and only they end in _total"
            );
            assert!(metric.help.len() >= 10 && metric.help.ends_with('.'), "{name}: help is a sentence");
            assert!(metric.labels.len() <= LABELS_MAX, "{name}: at most {LABELS_MAX} labels");
            for (label, values) in metric.labels {
                let forbidden = ["charger", "charger_id", "session", "session_id", "user", "user_id", "id_tag"];
                assert!(!forbidden.contains(label), "{name}: label {label}");
                assert_eq!(
                    values.iter().collect::<BTreeSet<_>>().len(),
                    values.len(),
                    "{name}: {label} repeats a value"
                );
            }
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(!bounds.is_empty() && bounds.is_sorted_by(|a, b| a < b), "{name}: buckets rise");
            }
        }
    }
}

#[test]
fn no_two_metrics_share_a_name() {
    let names: Vec<_> = all().into_iter().map(|metric| metric.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
#[should_panic(expected = "is not among the values of label")]
fn a_label_value_outside_the_closed_list_is_a_bug() {
    const SEEN: Metric<1> = Metric {
        name: "chargeline_test_closed_things_total",
        kind: Kind::Counter,
        help: "What was seen.",
        labels: [("kind", &["a", "b"])],
        page: None,
    };
    SEEN.add(1, ["c"]);
}

#[test]
fn every_series_of_closed_labels_is_listed() {
    const SEEN: Metric<2> = Metric {
        name: "chargeline_test_pairs_things_total",
        kind: Kind::Counter,
        help: "What was seen.",
        labels: [("a", &["1", "2"]), ("b", &["x", "y", "z"])],
        page: None,
    };
    assert_eq!(SEEN.described().series().len(), 6);
    const OPEN: Metric<1> =
        Metric { name: "n", kind: Kind::Counter, help: "h", labels: [("partner", &[])], page: None };
    assert!(OPEN.described().series().is_empty());
}
