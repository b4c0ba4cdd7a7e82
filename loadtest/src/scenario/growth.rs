//! What grew over a soak, and what a month would come to. Pure arithmetic over samples.

use crate::report::{Judged, Recorded, Series, Table};
use crate::scenario::file::SoakPart;
use crate::scenario::judge::{at_most, slope};
use crate::stats::{Measure, human};
use serde::Serialize;
use std::time::Duration;

/// What the product keeps by default: journal history and events, and OCPP frames, days; and the frames' bytes at most.
const HISTORY_DAYS: f64 = 7.0;
const FRAMES_DAYS: f64 = 14.0;
const FRAMES_BYTES_MAX: f64 = 10_737_418_240.0;
/// Days that are extrapolated to.
const MONTH_DAYS: f64 = 30.0;
/// The message log begins a new file before it drops an old one, so it may hold a little more than its bound.
const FRAMES_SLACK: f64 = 1.25;
/// Latencies that are compared.
const COMPARED: [Measure; 5] = [
    Measure::Heartbeat,
    Measure::StartTransaction,
    Measure::Meter,
    Measure::StopTransaction,
    Measure::CreatedToDelivered,
];

/// How things moved while load was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Growth {
    /// Pss over the second half, bytes an hour.
    pub memory_per_h: Option<f64>,
    /// Pss at its highest, bytes.
    pub memory_max: Option<f64>,
    /// Open descriptors over the second half beyond those of connected chargers, an hour.
    pub descriptors_per_h: Option<f64>,
    /// Growth of the journal's directory for each session that ended, before anything was old enough to be removed, bytes.
    pub early_per_order: Option<f64>,
    /// The same over the second half, when as much was removed as came: what stays of an order for good.
    pub late_per_order: Option<f64>,
    /// Whether the run was long enough for the late figure: it begins a retention and a half after the beginning.
    pub retention_passed: bool,
    /// Growth of the message log's directory for each frame kept, bytes.
    pub frame_bytes: Option<f64>,
    /// The message log at its largest, bytes.
    pub frames_max: Option<f64>,
    /// Sessions that ended while load was made.
    pub orders: f64,
    /// Frames that the message log kept meanwhile.
    pub frames: f64,
    /// How long that was, s.
    pub lasted_s: f64,
    /// Of each latency the p99 of the first and of the last quarter, us.
    pub quarters: Vec<(Measure, u64, u64)>,
    /// What must be 0 at the end: restarts of entities, quarantined ones, dead letters, commands to the journal refused.
    pub must_be_zero: Vec<(String, f64)>,
}

fn within(points: Vec<(f64, f64)>, from: f64, to: f64) -> Vec<(f64, f64)> {
    points.into_iter().filter(|p| p.0 >= from && p.0 <= to).collect()
}

/// Open descriptors of the server but for those of chargers, who come and go.
fn beyond_chargers(series: &Series) -> Vec<(f64, f64)> {
    let one = |s: &crate::report::Sample| Some((s.t_s, s.get("server.descriptors")? - s.get("fleet.connected")?));
    series.all().filter_map(one).collect()
}

/// Points of one value over another, both as they were seen at the same moments.
fn against(series: &Series, y: &str, x: &str, from: f64, to: f64) -> Vec<(f64, f64)> {
    let seen = series.all().filter(|s| s.t_s >= from && s.t_s <= to);
    seen.filter_map(|s| Some((s.get(x)?, s.get(y)?))).collect()
}

/// From the first point to the last: growth of one for each of the other.
fn per(points: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    (last.0 > first.0).then(|| (last.1 - first.1) / (last.0 - first.0))
}

impl Growth {
    /// From what was looked at, while load was made (s after the beginning) with history kept for `retention`.
    pub fn of(recorded: &Recorded, (from, to): (f64, f64), retention: Duration) -> Growth {
        let series = &recorded.series;
        let half = f64::midpoint(from, to);
        let kept = retention.as_secs_f64();
        let steady = half.max(from + kept * 1.5);
        let per_h = |name: &str| slope(&within(series.points(name), half, to)).map(|s| s * 3_600.0);
        let journal = |a: f64, b: f64| slope(&against(series, "disk.journal_bytes", "fleet.sessions", a, b));
        let difference = |name: &str| {
            let points = within(series.points(name), from, to);
            points.last().map_or(0.0, |l| l.1) - points.first().map_or(0.0, |f| f.1)
        };
        let zero = ["engine_restarts_total", "engine_quarantined", "webhook_dead_letters", "journal_refused_total"];
        let early_end = (from + kept).min(to);
        Growth {
            memory_per_h: per_h("server.pss_bytes"),
            memory_max: series.max("server.pss_bytes"),
            descriptors_per_h: slope(&within(beyond_chargers(series), half, to)).map(|s| s * 3_600.0),
            early_per_order: journal(from, early_end),
            late_per_order: journal(steady, to),
            retention_passed: to - steady >= (to - from) * 0.25,
            // Half as long: the message log has a bound of its own, which it may reach sooner.
            frame_bytes: per(&against(
                series,
                "disk.messages_bytes",
                "messages_kept_total",
                from,
                f64::midpoint(from, early_end),
            )),
            frames_max: series.max("disk.messages_bytes"),
            orders: difference("fleet.sessions"),
            frames: difference("messages_kept_total"),
            lasted_s: to - from,
            quarters: quarters(recorded),
            must_be_zero: zero.iter().filter_map(|n| Some(((*n).to_owned(), series.last(n)?))).collect(),
        }
    }

    /// Against the limits.
    pub fn judged(&self, part: &SoakPart, message_log_max: Option<u64>) -> Vec<Judged> {
        let not_seen = |what: &str| Judged {
            what: what.into(),
            allowed: "to be seen".into(),
            seen: "not seen: the server's process, directories or metrics were not found, or the run was too short"
                .into(),
            met: false,
        };
        let mut rows = Vec::new();
        let what = "memory (Pss), growth an hour over the second half";
        rows.push(match self.memory_per_h {
            Some(slope) => at_most(what, slope / 1e6, part.memory_growth_mb_per_h, " MB"),
            None => not_seen(what),
        });
        let what = "open descriptors beyond chargers', growth an hour over the second half";
        rows.push(match self.descriptors_per_h {
            Some(slope) => at_most(what, slope, part.descriptors_per_h, ""),
            None => not_seen(what),
        });
        let what = "journal, growth for each order once history is removed as fast as it comes";
        rows.push(match self.late_per_order.filter(|_| self.retention_passed) {
            Some(bytes) => at_most(what, bytes, part.disk_bytes_per_order, " bytes"),
            None => not_seen(what),
        });
        #[allow(clippy::cast_precision_loss, reason = "megabytes for people")]
        if let (Some(max), Some(seen)) = (message_log_max, self.frames_max) {
            rows.push(at_most("message log, largest", seen / 1e6, max as f64 * FRAMES_SLACK / 1e6, " MB"));
        }
        rows.extend(self.quarters.iter().map(|quarter| grown(quarter, part)));
        rows.extend(self.must_be_zero.iter().map(|(name, value)| at_most(name, *value, 0.0, "")));
        rows
    }

    /// The memory's growth for the closing line.
    pub fn memory_text(&self) -> String {
        match (self.memory_max, self.memory_per_h) {
            (Some(max), Some(per_h)) => format!("{:.0} MB at most, {:+.1} MB/h", max / 1e6, per_h / 1e6),
            _ => "not seen".to_owned(),
        }
    }

    /// What 30 days like those of the run would cost; `None` when the run was too short to tell.
    pub fn month(&self, day: Duration) -> Option<Month> {
        let (early, late) = (self.early_per_order?, self.late_per_order.filter(|_| self.retention_passed)?.max(0.0));
        let days = self.lasted_s / day.as_secs_f64();
        let (orders_a_day, frames_a_day) = (self.orders / days, self.frames / days);
        let history_per_order = (early - late).max(0.0);
        let orders_bytes = late * orders_a_day * MONTH_DAYS;
        let history_bytes = history_per_order * orders_a_day * HISTORY_DAYS;
        let frames_bytes = (self.frame_bytes.unwrap_or(0.0) * frames_a_day * FRAMES_DAYS).min(FRAMES_BYTES_MAX);
        Some(Month {
            orders_a_day,
            bytes_per_order: late,
            history_per_order,
            frames_per_order: if orders_a_day > 0.0 { frames_a_day / orders_a_day } else { 0.0 },
            frame_bytes: self.frame_bytes.unwrap_or(0.0),
            orders_bytes,
            history_bytes,
            frames_bytes,
            all_bytes: orders_bytes + history_bytes + frames_bytes,
        })
    }

    /// For the report.
    pub fn table(&self) -> Table {
        let text = |v: Option<f64>, unit: &str| v.map_or_else(|| "not seen".to_owned(), |v| format!("{v:.1} {unit}"));
        let mut rows = vec![
            vec!["memory (Pss), highest".into(), text(self.memory_max.map(|v| v / 1e6), "MB")],
            vec!["memory, growth over the second half".into(), text(self.memory_per_h.map(|v| v / 1e6), "MB/h")],
            vec!["open descriptors, growth over the second half".into(), text(self.descriptors_per_h, "an hour")],
            vec!["journal for each order, before anything is removed".into(), text(self.early_per_order, "bytes")],
            vec!["journal for each order, once history is removed".into(), text(self.late_per_order, "bytes")],
            vec!["message log for each frame".into(), text(self.frame_bytes, "bytes")],
        ];
        for (measure, first, last) in &self.quarters {
            let quarters = format!("{} then {}", human(*first), human(*last));
            rows.push(vec![format!("{}, p99 of the first and the last quarter", measure.label()), quarters]);
        }
        Table {
            title: "What grew".into(),
            note:
                "Slopes are medians of the slopes of all pairs of samples (Theil and Sen), which outliers do not move."
                    .into(),
            head: vec![String::new(), "seen".into()],
            rows,
        }
    }
}

fn quarters(recorded: &Recorded) -> Vec<(Measure, u64, u64)> {
    let of = |m: Measure| {
        let [first, last] = recorded.timeline.first_and_last_quarter(m)?;
        Some((m, first.0, last.0))
    };
    COMPARED.into_iter().filter_map(of).collect()
}

fn grown((measure, first, last): &(Measure, u64, u64), part: &SoakPart) -> Judged {
    let (before, after) = (Duration::from_micros(*first), Duration::from_micros(*last));
    let most = before.mul_f64(part.latency_growth).max(before + part.latency_floor.0);
    Judged {
        what: format!("{}, p99 of the last quarter against the first", measure.label()),
        allowed: format!("at most {most:.1?}"),
        seen: format!("{after:.1?} against {before:.1?}"),
        met: after <= most,
    }
}

/// What 30 days would cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Month {
    /// Orders on one day of the run.
    pub orders_a_day: f64,
    /// What stays of an order for good, bytes.
    pub bytes_per_order: f64,
    /// What there is of an order besides while history is kept, bytes.
    pub history_per_order: f64,
    /// Frames in the message log for each order.
    pub frames_per_order: f64,
    /// Bytes of a frame there.
    pub frame_bytes: f64,
    /// Orders of 30 days.
    pub orders_bytes: f64,
    /// History of 7 days.
    pub history_bytes: f64,
    /// Frames of 14 days, at most 10 GiB.
    pub frames_bytes: f64,
    /// All of it.
    pub all_bytes: f64,
}

impl Month {
    /// For the report.
    pub fn table(&self) -> Table {
        let row = |what: &str, how: String, bytes: f64| vec![what.to_owned(), how, format!("{:.2} GB", bytes / 1e9)];
        let orders = format!("{:.0} orders a day x 30 days x {:.0} bytes", self.orders_a_day, self.bytes_per_order);
        let history = format!("{:.0} orders a day x 7 days x {:.0} bytes", self.orders_a_day, self.history_per_order);
        let frames = format!(
            "{:.0} orders a day x {:.0} frames x 14 days x {:.0} bytes, at most 10 GiB",
            self.orders_a_day, self.frames_per_order, self.frame_bytes
        );
        Table {
            title: "What 30 days would cost on the disk".into(),
            note: "Extrapolated from this run with the retention that the product ships with; the journal's log and events are kept \
                   7 days, OCPP frames 14 days."
                .into(),
            head: ["", "how", "bytes"].map(str::to_owned).to_vec(),
            rows: vec![
                row("orders and sessions, kept for good", orders, self.orders_bytes),
                row("history and delivered events", history, self.history_bytes),
                row("message log", frames, self.frames_bytes),
                row("all", String::new(), self.all_bytes),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Sample;

    /// An hour: 2 sessions a second; each leaves 1,000 bytes for good and 9,000 for ten minutes; memory by `memory`.
    fn hour(memory: impl Fn(f64) -> f64) -> Recorded {
        let mut recorded = Recorded::default();
        for i in 0..3_600 {
            let t = f64::from(i);
            let orders = 2.0 * t;
            let values = [
                ("fleet.sessions", orders),
                ("disk.journal_bytes", 5e6 + 1_000.0 * orders + 9_000.0 * orders.min(1_200.0)),
                ("disk.messages_bytes", 300.0 * orders * 10.0),
                ("messages_kept_total", orders * 10.0),
                ("server.pss_bytes", memory(t)),
                ("server.descriptors", 3_050.0 + f64::from(i % 7) - t / 10.0),
                ("fleet.connected", 3_000.0 - t / 10.0),
                ("engine_restarts_total", 0.0),
            ];
            let values = values.map(|(n, v)| (n.to_owned(), v)).into();
            recorded.series.push(Sample { at_ms: 0, t_s: t, values });
        }
        recorded
    }

    const RETENTION: Duration = Duration::from_secs(600);

    #[test]
    fn what_stays_and_what_goes_are_told_apart_and_make_the_month() {
        let flat = hour(|t| 2e8 + if t % 60.0 < 1.0 { 5e7 } else { 0.0 });
        let growth = Growth::of(&flat, (0.0, 3_600.0), RETENTION);
        let near = |seen: Option<f64>, wanted: f64| (seen.unwrap() - wanted).abs() < wanted * 0.02;
        assert!(near(growth.early_per_order, 10_000.0) && near(growth.late_per_order, 1_000.0), "{growth:?}");
        assert!(near(growth.frame_bytes, 300.0) && growth.memory_per_h.unwrap().abs() < 1e6, "{growth:?}");
        let rows = growth.judged(&SoakPart::default(), Some(100_000_000));
        assert!(rows.iter().all(|r| r.met), "{rows:#?}");
        let month = growth.month(Duration::from_secs(3_600)).unwrap();
        assert!((month.orders_a_day - 7_198.0).abs() < 20.0, "{month:?}");
        assert!((month.orders_bytes - 216e6).abs() < 10e6 && (month.history_bytes - 453e6).abs() < 20e6, "{month:?}");
        assert!((month.frames_bytes - 302e6).abs() < 10e6, "{month:?}");
    }

    #[test]
    fn memory_that_creeps_is_found_and_so_is_disk_that_does() {
        let growth = Growth::of(&hour(|t| 2e8 + t * 30_000.0), (0.0, 3_600.0), RETENTION);
        assert!((growth.memory_per_h.unwrap() - 108e6).abs() < 2e6);
        let strict = SoakPart { disk_bytes_per_order: 900.0, ..SoakPart::default() };
        let rows = growth.judged(&strict, Some(1_000_000));
        let missed: Vec<&str> = rows.iter().filter(|r| !r.met).map(|r| r.what.as_str()).collect();
        assert_eq!(missed.len(), 3, "{missed:?}");
    }

    #[test]
    fn a_run_too_short_or_blind_shows_nothing_and_says_so() {
        let short = Growth::of(&hour(|_| 2e8), (0.0, 700.0), RETENTION);
        assert!(!short.retention_passed && short.month(RETENTION).is_none());
        let blind = Growth::default();
        assert!(blind.judged(&SoakPart::default(), None).iter().all(|r| !r.met && r.seen.contains("not seen")));
    }

    #[test]
    fn a_latency_may_double_or_grow_by_the_floor() {
        let part = SoakPart::default();
        for (first, last, met) in
            [(10_000, 55_000, true), (10_000, 65_000, false), (100_000, 190_000, true), (100_000, 210_000, false)]
        {
            assert_eq!(grown(&(Measure::Meter, first, last), &part).met, met, "{first} {last}");
        }
    }
}
