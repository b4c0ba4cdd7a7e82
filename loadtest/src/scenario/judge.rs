//! Limits against figures: each becomes a row that says what was allowed, what was seen, and whether that is within. Pure.

use super::file::{Limits, Span};
use crate::report::Judged;
use crate::stats::{Measure, Stats, get, human};
use std::time::Duration;

/// One row: `seen` is within when it is at most `most`.
pub(super) fn at_most(what: &str, seen: f64, most: f64, unit: &str) -> Judged {
    let met = seen <= most;
    Judged {
        what: what.into(),
        allowed: format!("at most {}{unit}", short(most)),
        seen: format!("{}{unit}", short(seen)),
        met,
    }
}

fn short(v: f64) -> String {
    if v.fract().abs() < 0.005 { format!("{v:.0}") } else { format!("{v:.2}") }
}

/// A row of latency; without a measurement it is not met, for then nothing was shown.
pub(super) fn latency(what: &str, p99_us: Option<u64>, most: Duration) -> Judged {
    let seen = p99_us.map_or_else(|| "nothing measured".to_owned(), human);
    let met = p99_us.is_some_and(|us| Duration::from_micros(us) <= most);
    Judged { what: format!("{what}, p99"), allowed: format!("at most {most:?}"), seen, met }
}

/// The limits of a scenario against what was measured; `pss_max` is the most memory that the server took, bytes.
pub(super) fn limits(limits: &Limits, stats: &Stats, pss_max: Option<f64>) -> Vec<Judged> {
    let mut rows = Vec::new();
    let measured: [(Option<Span>, Measure); 7] = [
        (limits.heartbeat_p99, Measure::Heartbeat),
        (limits.boot_p99, Measure::Boot),
        (limits.start_transaction_p99, Measure::StartTransaction),
        (limits.meter_p99, Measure::Meter),
        (limits.stop_transaction_p99, Measure::StopTransaction),
        (limits.partner_call_p99, Measure::PartnerCall),
        (limits.webhook_p99, Measure::CreatedToDelivered),
    ];
    for (limit, measure) in measured {
        if let Some(most) = limit {
            rows.push(latency(measure.label(), stats.summary(measure).map(|s| s.p99_us), most.0));
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "counts and megabytes for people")]
    let number = |n: u64| n as f64;
    if let Some(most) = limits.call_errors {
        rows.push(at_most("CALLERRORs", number(get(&stats.call_errors)), number(most), ""));
    }
    if let Some(least) = limits.sessions_least {
        let seen = get(&stats.ended);
        let (allowed, met) = (format!("at least {least}"), seen >= least);
        rows.push(Judged { what: "sessions that ended".into(), allowed, seen: seen.to_string(), met });
    }
    if let Some(most) = limits.memory_mb {
        rows.push(match pss_max {
            Some(bytes) => at_most("memory of the server (Pss), highest", bytes / 1e6, number(most), " MB"),
            None => Judged {
                what: "memory of the server (Pss), highest".into(),
                allowed: format!("at most {most} MB"),
                seen: "not seen: its process was not found".into(),
                met: false,
            },
        });
    }
    rows
}

/// The slope of points by Theil and Sen: the median of the slopes of all pairs. Outliers, a third of all points even, do
/// not move it. `None` with fewer than eight points.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    /// Points of which every pair is taken: 45,000 pairs.
    const TAKEN: usize = 300;
    if points.len() < 8 {
        return None;
    }
    let step = points.len().div_ceil(TAKEN).max(1);
    let taken: Vec<_> = points.iter().step_by(step).collect();
    let mut slopes = Vec::with_capacity(taken.len() * taken.len() / 2);
    for (i, a) in taken.iter().enumerate() {
        slopes.extend(taken[i + 1..].iter().filter(|b| b.0 > a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    let middle = slopes.len() / 2;
    if slopes.is_empty() {
        return None;
    }
    let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_most_points_whatever_a_few_do() {
        let mut points: Vec<_> = (0..1_000).map(|i| (f64::from(i), 50.0 + 0.25 * f64::from(i))).collect();
        for i in (0..1_000).step_by(5) {
            points[i].1 += 10_000.0;
        }
        assert!((slope(&points).unwrap() - 0.25).abs() < 0.05, "{:?}", slope(&points));
        assert_eq!(slope(&[(0.0, 1.0); 9]), None, "all at one moment");
        assert_eq!(slope(&points[..7]), None);
    }

    #[test]
    fn limits_are_met_missed_or_not_judged() {
        let stats = Stats::default();
        assert!(super::limits(&Limits::default(), &stats, None).is_empty());
        stats.record(Measure::Heartbeat, Duration::from_millis(30));
        let some = Limits {
            heartbeat_p99: Some(Span(Duration::from_millis(50))),
            boot_p99: Some(Span::secs(1)),
            call_errors: Some(0),
            sessions_least: Some(1),
            memory_mb: Some(100),
            ..Limits::default()
        };
        let rows = super::limits(&some, &stats, Some(120e6));
        let met: Vec<bool> = rows.iter().map(|r| r.met).collect();
        assert_eq!(met, [true, false, true, false, false], "{rows:#?}");
        assert_eq!((rows[1].seen.as_str(), rows[4].seen.as_str()), ("nothing measured", "120 MB"));
        assert!(!super::limits(&some, &stats, None)[4].met);
    }
}
