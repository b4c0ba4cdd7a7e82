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
fn the_fault_reference_agrees_with_the_table() {
    agrees("docs/fault-codes.md", &chargeline::domain::fault::reference::markdown());
}
