//! All metrics in one place (OP-6). Owns every name, help text and label value; never a charger, session or user id as
//! a label. `docs/metrics.md` is generated from the tables here.
//!
//! A metric is a constant of its room's file; its labels are closed lists, so that no call can invent a series.

pub mod account;
pub mod api;
pub mod engine;
pub mod gateway;
pub(crate) mod handles;
pub mod journal;
pub mod messages;
pub mod names;
pub mod operator;
pub mod process;
pub mod reference;
pub mod reservation;
pub mod statement;
#[cfg(test)]
mod tests;
pub mod webhook;

use metrics::Label;

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

    fn labels_of(&self, values: &[&'static str; N]) -> Vec<Label> {
        for ((name, allowed), value) in self.labels.iter().zip(values) {
            debug_assert!(
                allowed.is_empty() || allowed.contains(value),
                "`{value}` is not among the values of label `{name}` of {}",
                self.name
            );
        }
        let pairs = self.labels.iter().zip(values);
        pairs.map(|((name, _), value)| Label::from_static_parts(name, value)).collect()
    }

    /// Adds to a counter. About 10 ns.
    pub fn add(&self, n: u64, values: [&'static str; N]) {
        handles::counter(self.name, &values, || self.labels_of(&values), |counter| counter.increment(n));
    }

    /// The counter itself, for hot paths that keep it: looking one up costs more than counting.
    pub fn counter(&self, values: [&'static str; N]) -> metrics::Counter {
        metrics::counter!(self.name, self.labels_of(&values))
    }

    /// Sets a gauge.
    pub fn set(&self, value: f64, values: [&'static str; N]) {
        handles::gauge(self.name, &values, || self.labels_of(&values), |gauge| gauge.set(value));
    }

    /// Moves a gauge by `delta`.
    pub fn shift(&self, delta: f64, values: [&'static str; N]) {
        handles::gauge(self.name, &values, || self.labels_of(&values), |gauge| gauge.increment(delta));
    }

    /// Records a value of a distribution.
    pub fn record(&self, value: f64, values: [&'static str; N]) {
        handles::histogram(self.name, &values, || self.labels_of(&values), |histogram| histogram.record(value));
    }
}

impl Described {
    /// The labels of every series that the metric can have; none if a label is bounded elsewhere.
    pub fn series(&self) -> Vec<Vec<Label>> {
        let mut all = vec![Vec::new()];
        for (name, values) in self.labels {
            let with = |labels: &Vec<Label>, value: &'static str| {
                labels.iter().cloned().chain([Label::from_static_parts(name, value)]).collect()
            };
            all = all.iter().flat_map(|labels| values.iter().map(move |value| with(labels, value))).collect();
        }
        all
    }
}

/// Every metric of the product.
pub fn all() -> Vec<Described> {
    [
        account::ALL,
        api::ALL,
        engine::ALL,
        gateway::ALL,
        journal::ALL,
        messages::ALL,
        process::ALL,
        reservation::ALL,
        statement::ALL,
        operator::ALL,
        webhook::ALL,
    ]
    .concat()
}
