//! The live display of a run: progress and the figures that move. Draws on a terminal; elsewhere it writes a line now and
//! then.

use crate::report::Sample;
use crate::stats::{Measure, Stats, get, human};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The figures are refreshed this often.
const REFRESH: Duration = Duration::from_millis(500);
/// Refreshments between two lines where there is no terminal: 10 s.
const LINE_EVERY: u64 = 20;

/// A display that refreshes itself until it is ended or dropped.
#[derive(Debug)]
pub(super) struct Display {
    shown: Arc<Mutex<Shown>>,
    bar: ProgressBar,
    task: JoinHandle<()>,
}

/// What it tells beside the figures.
#[derive(Debug)]
struct Shown {
    phase: String,
    /// When the phase began and how long it lasts, if that is known.
    clock: (Instant, Option<Duration>),
}

impl Drop for Display {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

impl Display {
    pub(super) fn start(stats: Arc<Stats>, newest: watch::Receiver<Sample>, duration: Duration) -> Self {
        let bar = ProgressBar::new(duration.as_secs());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} s\n{msg}") {
            bar.set_style(style);
        }
        let shown = Arc::new(Mutex::new(Shown { phase: "connecting".into(), clock: (Instant::now(), None) }));
        bar.set_prefix("connecting");
        let task = tokio::spawn(refresh(stats, newest, bar.clone(), shown.clone()));
        Display { shown, bar, task }
    }

    /// A phase whose end is known, or not.
    pub(super) fn phase(&self, name: &str, lasts: Option<Duration>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        (shown.phase, shown.clock) = (name.to_owned(), (Instant::now(), lasts));
        self.bar.set_prefix(name.to_owned());
        self.bar.set_length(lasts.map_or(0, |l| l.as_secs()));
    }

    pub(super) fn end(self) {}
}

async fn refresh(stats: Arc<Stats>, newest: watch::Receiver<Sample>, bar: ProgressBar, shown: Arc<Mutex<Shown>>) {
    let terminal = std::io::stderr().is_terminal();
    let (mut calls, mut at) = (get(&stats.calls_answered), Instant::now());
    let mut times: u64 = 0;
    loop {
        tokio::time::sleep(REFRESH).await;
        times += 1;
        if !terminal && !times.is_multiple_of(LINE_EVERY) {
            continue;
        }
        let now = get(&stats.calls_answered);
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (now - calls) as f64 / at.elapsed().as_secs_f64();
        (calls, at) = (now, Instant::now());
        let (phase, elapsed, lasts) = {
            let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            (shown.phase.clone(), shown.clock.0.elapsed(), shown.clock.1)
        };
        let text = figures(&stats, &newest.borrow(), rate);
        if terminal {
            bar.set_position(elapsed.as_secs());
            bar.set_message(text);
        } else {
            let left = lasts.map(|l| format!(", {} s left", l.saturating_sub(elapsed).as_secs())).unwrap_or_default();
            // Nobody to tell if standard error is gone.
            let _ = writeln!(std::io::stderr(), "{phase} {} s{left}: {}", elapsed.as_secs(), text.replace('\n', "  "));
        }
    }
}

fn figures(stats: &Stats, sample: &Sample, calls_per_s: f64) -> String {
    let p99 = |m| stats.summary(m).map_or_else(|| "-".to_owned(), |s| human(s.p99_us));
    let value = |name: &str| sample.get(name).map_or_else(|| "-".to_owned(), |v| format!("{v:.0}"));
    let megabytes = sample.get("server.rss_bytes").map_or_else(|| "-".to_owned(), |v| format!("{:.0} MB", v / 1e6));
    format!(
        "connected {}  charging {}  messages/s {calls_per_s:.0}  starts {} (refused {}, unknown {})  stops {}  \
         errors {}  timed out {}  webhooks {}  backlog {}  memory {megabytes}\n\
         p99: heartbeat {}  start 202 {}  start transaction {}  meter {}  webhook {}",
        get(&stats.connected),
        get(&stats.begun).saturating_sub(get(&stats.ended)),
        get(&stats.starts_accepted),
        get(&stats.starts_refused),
        get(&stats.unknown),
        get(&stats.stops_accepted),
        get(&stats.call_errors),
        get(&stats.calls_timed_out),
        get(&stats.deliveries),
        value("webhook_queue_depth"),
        p99(Measure::Heartbeat),
        p99(Measure::StartAccepted),
        p99(Measure::StartTransaction),
        p99(Measure::Meter),
        p99(Measure::CreatedToDelivered),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_without_a_measurement_are_dashes() {
        let stats = Stats::default();
        let none = figures(&stats, &Sample::default(), 0.0);
        assert!(none.contains("heartbeat -") && none.contains("backlog -") && none.contains("memory -"));
        stats.record(Measure::Heartbeat, Duration::from_millis(2));
        let values = [("webhook_queue_depth".to_owned(), 7.0), ("server.rss_bytes".to_owned(), 2.5e8)].into();
        let some = figures(&stats, &Sample { values, ..Sample::default() }, 12.3);
        for part in ["messages/s 12", "heartbeat 2.0 ms", "backlog 7", "memory 250 MB"] {
            assert!(some.contains(part), "{some}");
        }
    }
}
