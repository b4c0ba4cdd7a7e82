//! What a rig counts, read as Prometheus would: each rig has a recorder of its own, so that tests side by side do not
//! count for each other. And the proof that docs/abuse.md, its tests and the counters belong together.

use super::PATIENCE;
use crate::telemetry::exporter;
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};
use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

thread_local! {
    /// The recorder of the rigs of this thread, where a test runs on several.
    static SHARED: Cell<Option<&'static PrometheusRecorder>> = const { Cell::new(None) };
}

/// The counters of one rig.
#[derive(Clone)]
pub(in crate::gateway) struct Meters(&'static PrometheusRecorder, PrometheusHandle);

impl Meters {
    /// Counters at zero. Whatever this thread counts from now on is theirs.
    pub(super) fn begin() -> Self {
        let recorder = SHARED.get().unwrap_or_else(fresh);
        let meters = Meters(recorder, recorder.handle());
        meters.join();
        meters
    }

    /// Has this thread count here, to its end.
    pub(super) fn join(&self) {
        // A thread of a test ends with it.
        std::mem::forget(metrics::set_default_local_recorder(self.0));
    }

    /// What a series of the gateway has counted so far: `closed_total{reason="silent"}`.
    pub(super) fn now(&self, series: &str) -> u64 {
        let name = format!("chargeline_gateway_{series} ");
        let text = self.1.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |value| value.trim().parse().unwrap())
    }

    /// Waits until a series has counted `least` or more; what it has counted then.
    pub(super) async fn counts(&self, series: &str, least: u64) -> u64 {
        let counted = async {
            loop {
                match self.now(series) {
                    enough if enough >= least => return enough,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        let counted = tokio::time::timeout(PATIENCE, counted).await;
        counted.unwrap_or_else(|_| panic!("{series} is {}, not {least}:\n{}", self.now(series), self.1.render()))
    }
}

fn fresh() -> &'static PrometheusRecorder {
    Box::leak(Box::new(exporter::recorder().unwrap()))
}

/// Runs a test on two worker threads that count as one.
pub(super) fn on_two_threads(test: impl Future<Output = ()>) {
    let recorder = fresh();
    let share = move || {
        SHARED.set(Some(recorder));
        std::mem::forget(metrics::set_default_local_recorder(recorder));
    };
    share();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().on_thread_start(share).build().unwrap();
    runtime.block_on(test);
    SHARED.set(None);
}

const SOURCES: [(&str, &str); 5] = [
    ("frames", include_str!("frames.rs")),
    ("handshake", include_str!("handshake.rs")),
    ("storm", include_str!("storm.rs")),
    ("takeover", include_str!("takeover.rs")),
    ("tls", include_str!("tls.rs")),
];

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The series that a cell names; `{limit="silent"}` is another of the one before.
fn series(cell: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in quoted(cell) {
        let name = found.last().filter(|_| part.starts_with('{')).and_then(|last| last.split('{').next());
        found.push(format!("{}{part}", name.unwrap_or_default()));
    }
    found
}

/// The text of a test's function.
fn body(test: &str) -> &'static str {
    let (file, name) = test.split_once("::").unwrap();
    let (_, text) = SOURCES.iter().find(|(known, _)| *known == file).unwrap_or_else(|| panic!("no file {file}"));
    let named = name.strip_suffix('…').map_or_else(|| format!("fn {name}("), |begun| format!("fn {begun}"));
    let at = text.find(&named).unwrap_or_else(|| panic!("{file} has no test {name}"));
    let end = text[at..].find("\n}\n").unwrap();
    &text[at..at + end]
}

#[test]
fn every_attack_in_the_documents_has_a_test_that_reads_its_counters() {
    // The table of attacks is the first one.
    let document = include_str!("../../../docs/abuse.md");
    let rows: Vec<_> = document.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows.len() > 20, "the table was not found");
    for row in &rows[1..] {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let [_, _, counters, tests] = cells[..] else { panic!("four columns: {row}") };
        let (counters, tests) = (series(counters), quoted(tests));
        assert!(!counters.is_empty() && !tests.is_empty(), "{row}");
        let read: String = tests.iter().map(|test| body(test)).collect();
        for counter in counters {
            let asked = [format!("r#\"{counter}\"#"), format!("\"{counter}\"")];
            assert!(asked.iter().any(|asked| read.contains(asked)), "{tests:?} do not read {counter}");
        }
    }
}
