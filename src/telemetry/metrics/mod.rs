//! All metrics in one place (OP-6). Owns every name, help text and label value; never a charger, session or user id as
//! a label. `docs/metrics.md` is generated from the tables here.
//!
//! A metric is a constant of its room's file; its labels are closed lists, so that no call can invent a series.

pub mod api;
pub mod engine;
pub mod gateway;
pub mod journal;
pub mod webhook;

/// What kind of series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// A present value.
    Gauge,
    /// A distribution, with these bucket bounds.
    Histogram(&'static [f64]),
}

/// Bounds, in seconds, for things that take from a tenth of a millisecond to ten seconds.
pub const SECONDS: &[f64] =
    &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds for counts of things handled at once.
pub const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// One metric with `N` labels.
#[derive(Debug)]
pub struct Metric<const N: usize> {
    /// `chargeline_<room>_<thing>_<unit>[_total]`.
    pub name: &'static str,
    /// What kind of series.
    pub kind: Kind,
    /// One sentence for the reader of a dashboard.
    pub help: &'static str,
    /// Label names, each with every value it can have (an empty list: bounded elsewhere, said in the help).
    pub labels: [(&'static str, &'static [&'static str]); N],
    /// Which value should wake someone, if any.
    pub page: Option<&'static str>,
}

/// A metric as a row of the generated table.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What kind of series.
    pub kind: Kind,
    /// Its help text.
    pub help: &'static str,
    /// Its labels and their values.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// Which value should wake someone.
    pub page: Option<&'static str>,
}

impl<const N: usize> Metric<N> {
    /// The row of the generated table.
    pub const fn described(&'static self) -> Described {
        Described { name: self.name, kind: self.kind, help: self.help, labels: &self.labels, page: self.page }
    }

    fn labels(&self, values: [&'static str; N]) -> Vec<metrics::Label> {
        let pairs = self.labels.iter().zip(values);
        pairs.map(|((name, _), value)| metrics::Label::from_static_parts(name, value)).collect()
    }

    /// Adds to a counter.
    pub fn add(&self, n: u64, values: [&'static str; N]) {
        metrics::counter!(self.name, self.labels(values)).increment(n);
    }

    /// The counter itself, for hot paths that keep it: looking one up costs more than counting.
    pub fn counter(&self, values: [&'static str; N]) -> metrics::Counter {
        metrics::counter!(self.name, self.labels(values))
    }

    /// Sets a gauge.
    pub fn set(&self, value: f64, values: [&'static str; N]) {
        metrics::gauge!(self.name, self.labels(values)).set(value);
    }

    /// Moves a gauge by `delta`.
    pub fn shift(&self, delta: f64, values: [&'static str; N]) {
        metrics::gauge!(self.name, self.labels(values)).increment(delta);
    }

    /// Records a value of a distribution.
    pub fn record(&self, value: f64, values: [&'static str; N]) {
        metrics::histogram!(self.name, self.labels(values)).record(value);
    }
}

/// Every metric of the product.
pub fn all() -> Vec<Described> {
    [api::ALL, engine::ALL, gateway::ALL, journal::ALL, webhook::ALL].concat()
}
