//! The Prometheus exporter (OP-6): installs the recorder with help texts and buckets, keeps it tidy, serves `/metrics`.
//! Owns that listener; never a metric.

use super::logs;
use super::metrics::{self as table, Described, Kind, handles, process};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::time::{Duration, Instant};

/// How often histograms are folded: unfolded values cost 8 bytes each until then, also when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The text format's media type.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why the exporter could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table of metrics has a bad row, which a test excludes.
    #[error("bad metric table: {0}")]
    Table(#[from] BuildError),
    /// Another recorder is installed already.
    #[error("a metrics recorder is installed already")]
    Installed,
}

/// The installed exporter. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
    started: Instant,
}

/// Builds a recorder that knows the buckets of every metric.
pub(crate) fn recorder() -> Result<PrometheusRecorder, Error> {
    let mut builder = PrometheusBuilder::new();
    for metric in table::all() {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Registers help texts, and every counter whose label values are all known at zero, so that a rate over the first
/// event is seen.
fn describe(all: &[Described]) {
    for metric in all {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
        if metric.kind == Kind::Counter {
            for labels in metric.series() {
                metrics::counter!(metric.name, labels).absolute(0);
            }
        }
    }
}

/// Installs the recorder of the process. Once.
///
/// # Errors
/// When a recorder is installed already.
pub fn install() -> Result<Exporter, Error> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| Error::Installed)?;
    handles::installed();
    describe(&table::all());
    Ok(Exporter { handle, started: Instant::now() })
}

impl Exporter {
    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        process::sample(self.started);
        logs::count_dropped();
        self.handle.render()
    }

    /// Folds histograms now and then, until the process ends. Spawn it once.
    pub async fn upkeep(self) {
        let mut tick = tokio::time::interval(UPKEEP_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.handle.run_upkeep();
        }
    }

    /// `/metrics`, to be served on a listener of its own.
    pub fn router(self) -> Router {
        let render = move || std::future::ready(([(CONTENT_TYPE, TEXT)], self.render()));
        Router::new().route("/metrics", get(render))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{COUNTS, Metric};

    static BATCH: Metric<0> = Metric {
        name: "chargeline_test_batch_records",
        kind: Kind::Histogram(COUNTS),
        help: "h",
        labels: [],
        page: None,
    };
    static SEEN: Metric<1> = Metric {
        name: "chargeline_test_seen_total",
        kind: Kind::Counter,
        help: "What was seen.",
        labels: [("kind", &["a", "b"])],
        page: None,
    };

    #[test]
    fn counters_with_known_labels_begin_at_zero_and_histograms_have_the_tables_buckets() {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(BATCH.name.to_owned()), COUNTS)
            .unwrap()
            .build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe(&[SEEN.described(), BATCH.described()]);
            SEEN.add(3, ["b"]);
            BATCH.record(3.0, []);
        });
        let text = recorder.handle().render();
        for line in [
            "# HELP chargeline_test_seen_total What was seen.",
            "chargeline_test_seen_total{kind=\"a\"} 0",
            "chargeline_test_seen_total{kind=\"b\"} 3",
            "chargeline_test_batch_records_bucket{le=\"2\"} 0",
            "chargeline_test_batch_records_bucket{le=\"4\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let exporter = Exporter { handle: recorder().unwrap().handle(), started: Instant::now() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, exporter.router()).into_future());
        let get = |path: &'static str| async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let answer = get("/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("text/plain; version=0.0.4"), "{answer}");
        assert!(get("/").await.starts_with("HTTP/1.1 404"));
    }
}
