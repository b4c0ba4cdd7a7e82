//! Latencies over time in bounded memory. Owns the histograms of stretches of time; when there are too many, each two
//! neighbours become one, so that an hour and a month cost the same.
//!
//! Invariant: percentiles of a stretch are those of everything recorded in it, never averages of percentiles.

use crate::stats::{Brief, Measure, brief};
use serde::Serialize;
use std::collections::BTreeMap;

/// Stretches kept; at this number neighbours are joined.
const STRETCHES_MAX: usize = 240;

/// A point of a plot: what a stretch of time held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The middle of the stretch, s from the beginning.
    pub at_s: f64,
    /// Values in it.
    pub count: u64,
    /// Their median, us.
    pub p50_us: u64,
    /// 99 of a hundred are below, us.
    pub p99_us: u64,
    /// The largest, us.
    pub max_us: u64,
}

/// Histograms of stretches of equal length.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Looks that one stretch holds.
    looks: usize,
    /// Looks that the last stretch holds already.
    last: usize,
    stretches: Vec<BTreeMap<Measure, Brief>>,
}

impl Timeline {
    /// Adds what one look at the statistics found; looks come at equal distances.
    pub fn add(&mut self, recent: BTreeMap<Measure, Brief>) {
        if self.last >= self.looks.max(1) || self.stretches.is_empty() {
            if self.stretches.len() >= STRETCHES_MAX {
                self.halve();
            }
            self.looks = self.looks.max(1);
            self.stretches.push(BTreeMap::new());
            self.last = 0;
        }
        self.last += 1;
        if let Some(stretch) = self.stretches.last_mut() {
            join(stretch, recent);
        }
    }

    fn halve(&mut self) {
        let mut old = std::mem::take(&mut self.stretches).into_iter();
        while let Some(mut first) = old.next() {
            if let Some(second) = old.next() {
                join(&mut first, second);
            }
            self.stretches.push(first);
        }
        self.looks *= 2;
    }

    /// The points of one measure, `look_s` being the time from one look to the next.
    pub fn points(&self, measure: Measure, look_s: f64) -> Vec<Point> {
        #[allow(clippy::cast_precision_loss, reason = "small counts")]
        let width_s = self.looks as f64 * look_s;
        let held = self.stretches.iter().enumerate().filter_map(|(i, s)| Some((i, s.get(&measure)?)));
        held.map(|(i, h)| Point {
            #[allow(clippy::cast_precision_loss, reason = "at most a few hundred")]
            at_s: (i as f64 + 0.5) * width_s,
            count: h.len(),
            p50_us: h.value_at_quantile(0.5),
            p99_us: h.value_at_quantile(0.99),
            max_us: h.max(),
        })
        .collect()
    }

    /// The 99th percentile of the first and of the last quarter of the time, us, with the values in each.
    pub fn first_and_last_quarter(&self, measure: Measure) -> Option<[(u64, u64); 2]> {
        let quarter = self.stretches.len() / 4;
        let of = |stretches: &[BTreeMap<Measure, Brief>]| {
            let mut all = brief();
            stretches.iter().filter_map(|s| s.get(&measure)).for_each(|h| add(&mut all, h));
            (!all.is_empty()).then(|| (all.value_at_quantile(0.99), all.len()))
        };
        let first = of(self.stretches.get(..quarter)?)?;
        let last = of(self.stretches.get(self.stretches.len() - quarter..)?)?;
        Some([first, last])
    }
}

fn join(into: &mut BTreeMap<Measure, Brief>, from: BTreeMap<Measure, Brief>) {
    for (measure, histogram) in from {
        match into.get_mut(&measure) {
            Some(all) => add(all, &histogram),
            None => drop(into.insert(measure, histogram)),
        }
    }
}

fn add(all: &mut Brief, more: &Brief) {
    // Both have the same bounds, so this never fails; if it did, the plot would lack a point and the run none.
    if let Err(error) = all.add(more) {
        tracing::error!(%error, "latencies of a stretch are not shown");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(ms: u64) -> BTreeMap<Measure, Brief> {
        let mut h = brief();
        h.saturating_record(ms * 1_000);
        [(Measure::Heartbeat, h)].into()
    }

    #[test]
    fn a_month_of_looks_keeps_every_value_in_a_bounded_number_of_points() {
        let mut timeline = Timeline::default();
        let looks = 50_000;
        (0..looks).for_each(|i| timeline.add(look(1 + i / 5_000)));
        let points = timeline.points(Measure::Heartbeat, 1.0);
        assert!((STRETCHES_MAX / 2..=STRETCHES_MAX).contains(&points.len()), "{}", points.len());
        assert_eq!(points.iter().map(|p| p.count).sum::<u64>(), looks);
        assert!(points.windows(2).all(|w| w[0].at_s < w[1].at_s && w[0].max_us <= w[1].max_us));
        assert!(points.last().unwrap().at_s < 51_000.0);
    }

    #[test]
    fn quarters_are_percentiles_of_all_that_was_in_them() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.first_and_last_quarter(Measure::Heartbeat), None);
        (0..100).for_each(|i| timeline.add(look(if i < 50 { 2 } else { 8 })));
        let [first, last] = timeline.first_and_last_quarter(Measure::Heartbeat).unwrap();
        assert!((1_950..2_050).contains(&first.0) && (7_900..8_200).contains(&last.0), "{first:?} {last:?}");
        assert_eq!((first.1, last.1), (25, 25));
    }

    #[test]
    fn what_was_not_measured_has_no_points() {
        let mut timeline = Timeline::default();
        timeline.add(look(1));
        timeline.add(BTreeMap::new());
        assert_eq!(timeline.points(Measure::Heartbeat, 1.0).len(), 1);
        assert!(timeline.points(Measure::Boot, 1.0).is_empty());
    }
}
