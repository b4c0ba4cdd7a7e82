//! `docs/metrics.md`, made from the tables.

use super::{Kind, all};
use std::fmt::Write;

/// The reference of all metrics, as Markdown.
pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    let mut rows = all();
    rows.sort_by_key(|metric| metric.name);
    let mut room = "";
    for metric in rows {
        let of = metric.name.split('_').nth(1).unwrap_or_default();
        if of != room {
            room = of;
            let _ = write!(
                out,
                "\n## {room}\n\n| metric | kind | labels | what | page someone when |\n|---|---|---|---|---|\n"
            );
        }
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels = metric.labels.iter().map(|(name, values)| match values {
            [] => format!("`{name}`"),
            values => format!("`{name}`: {}", values.join(", ")),
        });
        let labels = labels.collect::<Vec<_>>().join("; ");
        let page = metric.page.unwrap_or_default();
        let cell = |text: &str| text.replace('|', "\\|");
        let (help, page) = (cell(metric.help), cell(page));
        let _ = writeln!(out, "| `{}` | {kind} | {labels} | {help} | {page} |", metric.name);
    }
    out
}

const HEAD: &str = "# Metrics

Made from `src/telemetry/metrics/` by `cargo xtask docs`. Served in Prometheus' text format at `/metrics` on
`telemetry.metrics_listen`. A histogram has series with `_bucket`, `_sum` and `_count`. Label values are closed lists;
no label ever holds a charger, a session or a user.
";
