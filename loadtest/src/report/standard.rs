//! The plots and tables that every run's report has. Owns which values are shown and how they are explained.

use super::page::Table;
use super::plot::{Plot, Scale, Unit};
use super::sampler::{LOOK_EVERY, Recorded, Series};
use super::timeline::Point;
use crate::stats::{Measure, Stats, human};

/// Kinds of call whose latency is plotted, in three pictures so that lines can be told apart.
const GROUPS: [(&str, &[Measure]); 3] = [
    ("calls of chargers", &[Measure::Heartbeat, Measure::Boot, Measure::OtherCall]),
    (
        "transaction messages, durable when answered",
        &[Measure::StartTransaction, Measure::Meter, Measure::StopTransaction],
    ),
    (
        "partners and webhooks",
        &[Measure::PartnerCall, Measure::PartnerCallInStorm, Measure::StartAccepted, Measure::CreatedToDelivered],
    ),
];
/// Shares whose latencies make the distribution: the x axis counts nines.
const NINES: [f64; 13] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.3, 1.7, 2.0, 2.5, 3.0];

/// All sections, in order.
pub fn sections(stats: &Stats, recorded: &Recorded) -> Vec<(String, Vec<Plot>)> {
    let series = &recorded.series;
    vec![
        ("Latency over time".to_owned(), latencies(recorded)),
        ("Latency as distribution".to_owned(), vec![distribution(stats)]),
        ("Throughput".to_owned(), throughput(series)),
        ("The server's process".to_owned(), process(series)),
        ("Journal and disk".to_owned(), journal(series)),
        ("Queues".to_owned(), queues(series)),
        ("What was shed and refused".to_owned(), shed(series)),
    ]
}

fn latencies(recorded: &Recorded) -> Vec<Plot> {
    let look_s = LOOK_EVERY.as_secs_f64();
    let mut plots = Vec::new();
    for (which, of) in [("p50", (|p: &Point| p.p50_us) as fn(&Point) -> u64), ("p99", |p: &Point| p.p99_us)] {
        for (group, measures) in GROUPS {
            let mut plot = Plot::over_time(&format!("{which} of {group}"), Unit::Micros, Scale::Log);
            for measure in measures {
                #[allow(clippy::cast_precision_loss, reason = "microseconds for a plot")]
                let points =
                    recorded.timeline.points(*measure, look_s).iter().map(|p| (p.at_s, of(p) as f64)).collect();
                plot = plot.line(measure.label(), points);
            }
            plots.push(plot);
        }
    }
    plots
}

fn distribution(stats: &Stats) -> Plot {
    let shares: Vec<f64> = NINES.iter().map(|n| 1.0 - 10_f64.powf(-n)).collect();
    let mut plot = Plot::over_time("Latency below which a share of all calls stays", Unit::Micros, Scale::Log)
        .noting("Along: from the least over the median (p50) to one in a thousand. Over the whole run.");
    plot.along = Unit::Nines;
    let shown = [
        Measure::Heartbeat,
        Measure::Boot,
        Measure::StartTransaction,
        Measure::Meter,
        Measure::StopTransaction,
        Measure::PartnerCall,
        Measure::CreatedToDelivered,
    ];
    for measure in shown {
        #[allow(clippy::cast_precision_loss, reason = "microseconds for a plot")]
        let points = NINES.iter().copied().zip(stats.quantiles(measure, &shares).into_iter().map(|us| us as f64));
        plot = plot.line(measure.label(), points.collect());
    }
    plot
}

fn throughput(series: &Series) -> Vec<Plot> {
    vec![
        Plot::over_time("Messages a second", Unit::Count, Scale::Linear)
            .line("OCPP calls answered", series.rate("fleet.calls"))
            .line("webhook deliveries", series.rate("fleet.deliveries"))
            .line("HTTP calls", series.rate("api_requests_total")),
        Plot::over_time("Chargers and sessions", Unit::Count, Scale::Linear)
            .line("connected", series.points("fleet.connected"))
            .line("charging", series.points("fleet.charging")),
        Plot::over_time("Sessions ended a second", Unit::Count, Scale::Linear)
            .line("ended", series.rate("fleet.sessions")),
        Plot::over_time("What failed, a second", Unit::Count, Scale::Linear)
            .line("calls without an answer in time", series.rate("fleet.timed_out"))
            .line("CALLERRORs", series.rate("fleet.call_errors"))
            .line("connection attempts", series.rate("fleet.connect_failures")),
    ]
}

fn process(series: &Series) -> Vec<Plot> {
    vec![
        Plot::over_time("Memory of the server", Unit::Bytes, Scale::Linear)
            .noting("Pss: its own pages and its share of common ones.")
            .line("Pss", series.points("server.pss_bytes"))
            .line("RSS", series.points("server.rss_bytes")),
        Plot::over_time("Processor, in cores", Unit::Count, Scale::Linear)
            .noting("Client and server share the machine.")
            .line("server", series.rate("server.cpu_s"))
            .line("this client", series.rate("client.cpu_s")),
        Plot::over_time("Load average of the machine", Unit::Count, Scale::Linear)
            .noting("Over one minute. Well above what client and server take: others were at work too.")
            .line("load", series.points("machine.load")),
        Plot::over_time("Open descriptors of the server", Unit::Count, Scale::Linear)
            .line("descriptors", series.points("server.descriptors")),
        Plot::over_time("Entities in memory", Unit::Count, Scale::Linear)
            .line("actors", series.points("engine_actors"))
            .line("threads", series.points("server.threads")),
    ]
}

fn journal(series: &Series) -> Vec<Plot> {
    let mut disk = Plot::over_time("Data directories on the disk", Unit::Bytes, Scale::Linear)
        .noting("Blocks that the file system counts, kept-aside room included.");
    let names = series.all().flat_map(|s| s.values.keys()).filter_map(|n| n.strip_prefix("disk."));
    let names: std::collections::BTreeSet<&str> = names.collect();
    for name in names {
        disk = disk.line(name.trim_end_matches("_bytes"), series.points(&format!("disk.{name}")));
    }
    let micros = |name: &str| series.points(name).into_iter().map(|(t, s)| (t, s * 1e6)).collect::<Vec<_>>();
    vec![
        Plot::over_time("Records of one group commit", Unit::Count, Scale::Linear)
            .line("mean", series.points("journal_commit_records:mean"))
            .line("p99 (bucket)", series.points("journal_commit_records:p99")),
        Plot::over_time("Time of one group commit", Unit::Micros, Scale::Log)
            .noting("Batch, flush and sync. p99 is the bound of the bucket that holds it.")
            .line("mean", micros("journal_commit_seconds:mean"))
            .line("p99 (bucket)", micros("journal_commit_seconds:p99")),
        disk,
        Plot::over_time("Bytes handed to the store, a second", Unit::Bytes, Scale::Linear)
            .line("journal", series.rate("journal_written_bytes_total")),
        Plot::over_time("Log blocks in the store", Unit::Count, Scale::Linear)
            .line("history", series.points("journal_log_blocks"))
            .line("read by a start", series.points("journal_tail_lag_blocks")),
    ]
}

fn queues(series: &Series) -> Vec<Plot> {
    vec![
        Plot::over_time("Webhook backlog", Unit::Count, Scale::Linear)
            .line("events not settled", series.points("webhook_queue_depth"))
            .line("tries under way", series.points("webhook_in_flight")),
        Plot::over_time("Age of the oldest event, s", Unit::Count, Scale::Linear)
            .line("oldest", series.points("webhook_oldest_seconds")),
        Plot::over_time("One try at a partner's endpoint", Unit::Micros, Scale::Log)
            .noting("From its start to its outcome; at most webhook.in_flight are under way to one partner.")
            .line("mean", seconds(series, "webhook_attempt_seconds:mean"))
            .line("p99 (bucket)", seconds(series, "webhook_attempt_seconds:p99")),
        Plot::over_time("Waiting in the server", Unit::Count, Scale::Linear)
            .line("jobs for the commit thread", series.points("journal_queue_depth"))
            .line("HTTP calls under way", series.points("api_requests_in_flight")),
        Plot::over_time("How long what is ready waits for its thread", Unit::Micros, Scale::Log)
            .noting(
                "Measured by the server every 20 ms on each thread of chargers; above gateway.late_max work is shed.",
            )
            .line("mean", seconds(series, "engine_arbiter_late_seconds:mean"))
            .line("p99 (bucket)", seconds(series, "engine_arbiter_late_seconds:p99")),
    ]
}

fn seconds(series: &Series, name: &str) -> Vec<(f64, f64)> {
    series.points(name).into_iter().map(|(t, s)| (t, s * 1e6)).collect()
}

fn shed(series: &Series) -> Vec<Plot> {
    let mut shed = Plot::over_time("Refused, a second, by bound", Unit::Count, Scale::Linear)
        .noting("Handshakes, calls of partners and commands that were turned away with a clear answer.");
    let names: std::collections::BTreeSet<&String> = series.all().flat_map(|s| s.values.keys()).collect();
    for (prefix, what) in [
        ("gateway_refused_total{", "handshakes"),
        ("api_limited_total{", "calls"),
        ("api_shed_total{", "shed"),
        ("engine_refused_total{", "commands"),
    ] {
        for name in names.iter().filter(|n| n.starts_with(prefix)) {
            let rate = series.rate(name);
            if rate.iter().any(|(_, v)| *v > 0.0) {
                let bound = name.trim_start_matches(prefix).trim_end_matches('}');
                shed = shed.line(&format!("{what}: {bound}"), rate);
            }
        }
    }
    let told = Plot::over_time("Told to the partner, a second", Unit::Count, Scale::Linear)
        .line("429", series.rate("partner.too_many"))
        .line("503", series.rate("partner.unavailable"));
    vec![shed, told]
}

/// Every latency that was measured.
pub fn latency_table(stats: &Stats) -> Table {
    let rows = stats.summaries().into_iter().map(|(measure, s)| {
        let mut row = vec![measure.label().to_owned(), s.count.to_string()];
        row.extend([s.p50_us, s.p90_us, s.p99_us, s.max_us].map(human));
        row
    });
    Table {
        title: "Latencies".into(),
        note: "As the client saw them; closed within one machine.".into(),
        head: ["", "count", "p50", "p90", "p99", "max"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Page, Sample};
    use std::time::Duration;

    #[test]
    fn what_was_looked_at_becomes_plots_and_the_rest_is_left_out() {
        let stats = Stats::default();
        let mut recorded = Recorded::default();
        for i in 0..30_u32 {
            stats.record(Measure::Heartbeat, Duration::from_millis(2));
            recorded.timeline.add(stats.take_recent());
            let t = f64::from(i);
            let values = [
                ("server.pss_bytes", 1e8),
                ("server.cpu_s", t * 0.2),
                ("disk.journal_bytes", 1e6 * t),
                ("journal_commit_records:mean", 3.0),
                ("journal_commit_seconds:p99", 0.01),
                ("webhook_queue_depth", 5.0),
                ("gateway_refused_total{rate}", t),
                ("gateway_refused_total{busy}", 0.0),
                ("fleet.calls", 100.0 * t),
            ];
            let values = values.map(|(n, v)| (n.to_owned(), v)).into();
            recorded.series.push(Sample { at_ms: 0, t_s: t, values });
        }
        let all = sections(&stats, &recorded);
        let lines: Vec<&str> =
            all.iter().flat_map(|(_, p)| p).flat_map(|p| p.lines.iter().map(|l| l.name.as_str())).collect();
        for name in ["heartbeat", "Pss", "server", "journal", "mean", "events not settled", "handshakes: rate"] {
            assert!(lines.contains(&name), "{name}: {lines:?}");
        }
        assert!(!lines.contains(&"handshakes: busy") && !lines.contains(&"boot"));
        let page = Page { sections: all, tables: vec![latency_table(&stats)], ..Page::default() };
        assert!(page.html().unwrap().contains("heartbeat"));
    }
}
