//! Generated documents agree with what they are made from. `cargo xtask docs` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

/// The file at `path` holds `text`; with `CHARGELINE_WRITE_DOCS` set it is written instead.
fn agrees(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("CHARGELINE_WRITE_DOCS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let line = found.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1;
    assert!(found == text, "{path}:{line} does not agree with the code: run `cargo xtask docs`");
}

#[test]
fn the_configuration_reference_agrees_with_config_toml() {
    agrees("docs/configuration.md", &chargeline::config::reference::markdown().unwrap());
}

#[test]
fn the_metrics_reference_agrees_with_the_tables() {
    agrees("docs/metrics.md", &chargeline::telemetry::metrics::reference::markdown());
}

#[test]
fn the_error_reference_agrees_with_the_catalogue() {
    agrees("docs/errors.md", &chargeline::api::catalogue::reference::markdown());
}

#[test]
fn the_reference_of_roles_agrees_with_the_table() {
    agrees("docs/operator-roles.md", &chargeline::api::operator::reference::markdown());
}

#[test]
fn the_fault_reference_agrees_with_the_table() {
    agrees("docs/fault-codes.md", &chargeline::domain::fault::reference::markdown());
}

#[test]
fn the_event_reference_agrees_with_the_types() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/events/examples.json");
    let examples = serde_json::from_slice(&std::fs::read(examples).unwrap()).unwrap();
    agrees("docs/events.md", &chargeline::api::events::reference::markdown(&examples));
}

/// All Rust sources below a folder, as one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn every_odd_transaction_cites_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/odd-transactions.md")).unwrap();
    let code = sources(&root.join("src"));
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 30, "{} rows", rows.len());
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names: Vec<&str> = tests.split(", ").map(|name| name.trim_matches('`')).collect();
        for name in names {
            assert!(
                code.contains(&format!("#[test]\n    fn {name}(")) || code.contains(&format!("#[test]\nfn {name}(")),
                "{row}"
            );
        }
    }
}
