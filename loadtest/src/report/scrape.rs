//! The server's own figures: Prometheus' text format read by its crate, and of it what a report shows.
//!
//! Owns the list of what is kept and how histograms become numbers. Never asks anybody.

use prometheus_parse::{HistogramCount, Sample, Scrape, Value};
use std::collections::BTreeMap;

/// The prefix that all names have and reports leave out.
const PREFIX: &str = "chargeline_";

/// Counters and gauges that are kept, all labels added up; where a label is named, by its value too.
const KEPT: [(&str, Option<&str>); 34] = [
    ("gateway_connections", None),
    ("gateway_handshakes_total", Some("outcome")),
    ("gateway_refused_total", Some("limit")),
    ("gateway_closed_total", Some("reason")),
    ("gateway_messages_total", Some("direction")),
    ("gateway_heartbeats_total", None),
    ("journal_queue_depth", None),
    ("journal_log_blocks", None),
    ("journal_tail_lag_blocks", None),
    ("journal_full", None),
    ("journal_written_bytes_total", None),
    ("journal_compactions_total", None),
    ("journal_removed_total", Some("kind")),
    ("journal_refused_total", Some("reason")),
    ("webhook_queue_depth", None),
    ("webhook_oldest_seconds", None),
    ("webhook_in_flight", None),
    ("webhook_attempts_total", Some("outcome")),
    ("webhook_dead_letters", None),
    ("webhook_stopped_queues", None),
    ("webhook_window_full", None),
    ("api_requests_in_flight", Some("class")),
    ("api_requests_total", Some("class")),
    ("api_limited_total", Some("bound")),
    ("api_shed_total", Some("class")),
    ("engine_actors", Some("family")),
    ("engine_refused_total", Some("bound")),
    ("engine_restarts_total", None),
    ("engine_quarantined", None),
    ("engine_timers_fired_total", None),
    ("engine_snapshots_total", Some("outcome")),
    ("messages_kept_total", None),
    ("messages_dropped_total", None),
    ("messages_stored_bytes", None),
];
/// Histograms of which each look keeps the mean and the 99th percentile of what came since the look before.
const HISTOGRAMS: [&str; 6] = [
    "journal_commit_records",
    "journal_commit_seconds",
    "journal_commit_waiters",
    "engine_arbiter_late_seconds",
    "api_late_seconds",
    "webhook_attempt_seconds",
];

/// Of each histogram what has been counted so far: sum, count and buckets.
#[derive(Debug, Clone, Default)]
pub(super) struct Before(BTreeMap<&'static str, Counted>);

#[derive(Debug, Clone, Default)]
struct Counted {
    sum: f64,
    count: f64,
    /// Upper bound and how many are below, rising.
    buckets: Vec<(f64, f64)>,
}

/// Reads the text; `before` is what the last look left and takes what this one leaves.
///
/// # Errors
/// When the text is not in Prometheus' format.
pub(super) fn read(text: &str, before: &mut Before) -> anyhow::Result<BTreeMap<String, f64>> {
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
    let mut values = BTreeMap::new();
    for sample in &scrape.samples {
        let name = sample.metric.strip_prefix(PREFIX).unwrap_or(&sample.metric);
        keep(sample, name, &mut values);
    }
    for name in HISTOGRAMS {
        let now = counted(&scrape.samples, name);
        let last = before.0.insert(name, now.clone()).unwrap_or_default();
        let count = now.count - last.count;
        if count > 0.0 {
            values.insert(format!("{name}:mean"), (now.sum - last.sum) / count);
            values.insert(format!("{name}:p99"), quantile(&last, &now, 0.99));
        }
    }
    Ok(values)
}

fn keep(sample: &Sample, name: &str, values: &mut BTreeMap<String, f64>) {
    let Some((_, label)) = KEPT.iter().find(|(kept, _)| *kept == name) else { return };
    let (Value::Counter(v) | Value::Gauge(v) | Value::Untyped(v)) = &sample.value else { return };
    *values.entry(name.to_owned()).or_insert(0.0) += v;
    if let Some(value) = label.and_then(|l| sample.labels.get(l)) {
        *values.entry(format!("{name}{{{value}}}")).or_insert(0.0) += v;
    }
}

fn counted(samples: &[Sample], name: &str) -> Counted {
    let full = format!("{PREFIX}{name}");
    let mut all = Counted::default();
    let mut below: BTreeMap<u64, f64> = BTreeMap::new();
    for sample in samples.iter().filter(|s| s.metric.starts_with(&full)) {
        match (&sample.value, sample.metric.strip_prefix(&full)) {
            (Value::Histogram(buckets), Some("")) => {
                for HistogramCount { less_than, count } in buckets {
                    *below.entry(less_than.to_bits()).or_insert(0.0) += count;
                }
            }
            (Value::Untyped(v) | Value::Counter(v) | Value::Gauge(v), Some("_sum")) => all.sum += v,
            (Value::Untyped(v) | Value::Counter(v) | Value::Gauge(v), Some("_count")) => all.count += v,
            _ => {}
        }
    }
    // Positive floats, infinity too, sort as their bits do.
    all.buckets = below.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect();
    all
}

/// The upper bound of the bucket that holds this share of what came between two looks.
fn quantile(last: &Counted, now: &Counted, share: f64) -> f64 {
    let was = |bound: f64| last.buckets.iter().find(|(b, _)| b.total_cmp(&bound).is_eq()).map_or(0.0, |(_, c)| *c);
    let wanted = (now.count - last.count) * share;
    let finite: Vec<_> = now.buckets.iter().filter(|(bound, _)| bound.is_finite()).collect();
    let holds = finite.iter().find(|(bound, count)| count - was(*bound) >= wanted);
    holds.or(finite.last()).map_or(0.0, |(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "# TYPE chargeline_gateway_connections gauge\nchargeline_gateway_connections 12\n\
        # TYPE chargeline_api_limited_total counter\nchargeline_api_limited_total{bound=\"rate_read\"} 3\n\
        chargeline_api_limited_total{bound=\"in_flight\"} 4\n\
        # TYPE chargeline_journal_commit_records histogram\n\
        chargeline_journal_commit_records_bucket{le=\"1\"} 10\nchargeline_journal_commit_records_bucket{le=\"8\"} 10\n\
        chargeline_journal_commit_records_bucket{le=\"+Inf\"} 10\nchargeline_journal_commit_records_sum 10\n\
        chargeline_journal_commit_records_count 10\n# TYPE other gauge\nother 5\n";

    #[test]
    fn labels_are_added_up_and_told_apart_and_strangers_left_out() {
        let values = read(FIRST, &mut Before::default()).unwrap();
        assert_eq!(values["gateway_connections"], 12.0);
        assert_eq!((values["api_limited_total"], values["api_limited_total{in_flight}"]), (7.0, 4.0));
        assert!(!values.contains_key("other"));
        assert_eq!((values["journal_commit_records:mean"], values["journal_commit_records:p99"]), (1.0, 1.0));
    }

    #[test]
    fn a_histogram_tells_what_came_since_the_last_look() {
        let mut before = Before::default();
        read(FIRST, &mut before).unwrap();
        let second = FIRST
            .replace("le=\"8\"} 10", "le=\"8\"} 20")
            .replace("le=\"+Inf\"} 10", "le=\"+Inf\"} 20")
            .replace("records_sum 10", "records_sum 90")
            .replace("records_count 10", "records_count 20");
        let values = read(&second, &mut before).unwrap();
        assert_eq!((values["journal_commit_records:mean"], values["journal_commit_records:p99"]), (8.0, 8.0));
        let none = read(&second, &mut before).unwrap();
        assert!(!none.contains_key("journal_commit_records:mean"), "nothing came");
    }
}
