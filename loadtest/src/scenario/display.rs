//! The live display of a run: progress and the figures that move. Draws only on a terminal.

use crate::stats::{Measure, Stats, get, human};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// The figures are refreshed this often.
const REFRESH: Duration = Duration::from_millis(500);

/// A display that refreshes itself until it is ended or dropped.
#[derive(Debug)]
pub(super) struct Display {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Drop for Display {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

impl Display {
    pub(super) fn start(stats: Arc<Stats>, duration: Duration) -> Self {
        let bar = ProgressBar::new(duration.as_secs());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} s\n{msg}") {
            bar.set_style(style);
        }
        bar.set_prefix("load");
        let shown = bar.clone();
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let (mut calls, mut at) = (get(&stats.calls_answered), Instant::now());
            loop {
                tokio::time::sleep(REFRESH).await;
                let now = get(&stats.calls_answered);
                #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
                let rate = (now - calls) as f64 / at.elapsed().as_secs_f64();
                (calls, at) = (now, Instant::now());
                shown.set_position(begun.elapsed().as_secs());
                shown.set_message(figures(&stats, rate));
            }
        });
        Display { bar, task }
    }

    pub(super) fn phase(&self, name: &'static str) {
        self.bar.set_prefix(name);
    }

    pub(super) fn end(self) {}
}

fn figures(stats: &Stats, calls_per_s: f64) -> String {
    let p99 = |m| stats.summary(m).map_or_else(|| "-".to_owned(), |s| human(s.p99_us));
    format!(
        "connected {}  calls/s {calls_per_s:.0}  starts {} (refused {}, unknown {})  stops {}  webhooks {}\n\
         p99: heartbeat {}  start 202 {}  start transaction {}  webhook {}",
        get(&stats.connected),
        get(&stats.starts_accepted),
        get(&stats.starts_refused),
        get(&stats.unknown),
        get(&stats.stops_accepted),
        get(&stats.deliveries),
        p99(Measure::Heartbeat),
        p99(Measure::StartAccepted),
        p99(Measure::StartTransaction),
        p99(Measure::CreatedToDelivered),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_without_a_measurement_are_dashes() {
        let stats = Stats::default();
        assert!(figures(&stats, 0.0).contains("heartbeat -"));
        stats.record(Measure::Heartbeat, Duration::from_millis(2));
        assert!(figures(&stats, 12.3).contains("calls/s 12") && figures(&stats, 0.0).contains("heartbeat 2.0 ms"));
    }
}
