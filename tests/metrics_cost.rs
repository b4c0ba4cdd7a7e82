//! What counting costs once the exporter is installed. In a binary of its own, for the recorder is the process's.

use chargeline::telemetry::exporter;
use chargeline::telemetry::metrics::process::{CONFIG_CHANGES, LOG_LINES_DROPPED};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The cheapest of several rounds, a call: what the code costs, not what the machine does besides.
fn cost(act: impl Fn()) -> Duration {
    const CALLS: u32 = 20_000;
    let round = || {
        let begun = Instant::now();
        (0..CALLS).for_each(|_| act());
        begun.elapsed() / CALLS
    };
    (0..20).map(|_| round()).min().unwrap_or_default()
}

#[test]
fn counting_is_cheap_and_every_count_arrives() {
    let exporter = exporter::install().unwrap();
    assert!(matches!(exporter::install(), Err(exporter::Error::Installed)));
    let plain = cost(|| LOG_LINES_DROPPED.add(black_box(1), []));
    let labelled = cost(|| CONFIG_CHANGES.add(black_box(1), ["applied"]));
    println!("a counter: {plain:?} plain, {labelled:?} with a label");
    // 50 ns is the aim of an optimised build; this one is not optimised.
    assert!(
        plain < Duration::from_millis(1) / 1000 && labelled < Duration::from_millis(1) / 1000,
        "{plain:?} {labelled:?}"
    );
    let text = exporter.render();
    for line in [
        "chargeline_process_log_dropped_lines_total 400000",
        "chargeline_process_config_changes_total{outcome=\"applied\"} 400000",
        "chargeline_process_config_changes_total{outcome=\"refused\"} 0",
        "# HELP chargeline_process_open_descriptors ",
        "chargeline_process_build_info{version=\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| LOG_LINES_DROPPED.add(1, [])));
        }
    });
    assert!(exporter.render().contains("chargeline_process_log_dropped_lines_total 404000"));
}
