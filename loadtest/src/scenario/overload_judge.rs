//! What an overload shows: phases from samples, whether a level is carried, whether all is as before, and the limits. Pure.

use super::{READS, refused_stops};
use crate::report::{Judged, Sample, Table};
use crate::scenario::file::OverloadPart;
use crate::scenario::judge::{at_most, latency};
use crate::stats::{Measure, Stats, human};
use serde::Serialize;
use std::time::Duration;

/// A level is carried when the messages of chargers are answered within this, p99 of most seconds, …
const CARRIED_US: f64 = 500_000.0;
/// … when so many of the sessions offered have begun, …
const CARRIED_SHARE: f64 = 0.8;
/// … and when what is ready waits for less than this: later, the server begins to turn strangers away.
const CARRIED_LATE_S: f64 = 0.25;
/// … when hardly any read is turned away (a busy neighbour on the machine makes some), …
const CARRIED_SHED: f64 = 0.05;
/// … and when no more webhooks than this wait: they have to keep up.
const CARRIED_BACKLOG: f64 = 500.0;
/// As before: within so many times of what it was, or within the floor beyond it.
const AS_BEFORE: f64 = 2.0;
const FLOOR_US: f64 = 100_000.0;
/// So many samples in a row have to be as before.
const IN_A_ROW: usize = 3;
/// Webhooks that may wait in calm beyond those that did before.
const BACKLOG: f64 = 200.0;

/// What is never shed.
const KEPT: [Measure; 3] = [Measure::StartTransaction, Measure::Meter, Measure::StopTransaction];

/// A stretch of the run at one level.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Phase {
    /// `search`, `calm`, `overload` or `after`.
    pub name: String,
    /// Sessions offered a second.
    pub offered: f64,
    /// Sessions begun a second.
    pub begun: f64,
    /// OCPP calls answered a second.
    pub calls: f64,
    /// Of what is never shed: the p99 of the median second and of the worst, us.
    pub kept_p99_us: Option<(u64, u64)>,
    /// The same of the partner's calls.
    pub partner_p99_us: Option<(u64, u64)>,
    /// How long what is ready waited in the server, p99 of the median second and of the worst, s.
    pub late_s: (f64, f64),
    /// Handshakes turned away a second.
    pub handshakes_shed: f64,
    /// Reads of the partner turned away a second.
    pub reads_shed: f64,
    /// Starts by the partner turned away a second.
    pub starts_shed: f64,
    /// Calls refused for other bounds (places, rates) a second.
    pub calls_limited: f64,
    /// Webhooks delivered a second.
    pub delivered: f64,
    /// One try to deliver, mean of the median second, s.
    pub try_s: f64,
    /// Webhooks waiting, at most.
    pub backlog: f64,
}

impl Phase {
    /// What was shed, for the closing line.
    pub(super) fn shed_text(&self) -> String {
        format!(
            "shed {:.0} handshakes/s, {:.0} reads/s, {:.1} starts/s; charger messages p99 {}",
            self.handshakes_shed,
            self.reads_shed,
            self.starts_shed,
            self.kept_p99_us.map_or_else(|| "-".to_owned(), |(p50, _)| human(p50))
        )
    }
}

/// How it was before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calm {
    kept_us: f64,
    connected: f64,
    backlog: f64,
}

impl Calm {
    pub(super) fn of(phase: &Phase, samples: &[Sample]) -> Calm {
        let connected = samples.iter().filter_map(|s| s.get("fleet.connected")).fold(f64::INFINITY, f64::min);
        #[allow(clippy::cast_precision_loss, reason = "microseconds")]
        let kept_us = phase.kept_p99_us.map_or(0.0, |(median, _)| median as f64);
        Calm { kept_us, connected: if connected.is_finite() { connected } else { 0.0 }, backlog: phase.backlog }
    }
}

/// The worst p99 of some measures in one sample.
fn p99(sample: &Sample, of: &[Measure]) -> Option<f64> {
    of.iter().filter_map(|m| sample.get(&format!("latency.{}:p99_us", m.name()))).max_by(f64::total_cmp)
}

fn median_and_worst(samples: &[Sample], of: &[Measure]) -> Option<(u64, u64)> {
    let mut all: Vec<f64> = samples.iter().filter_map(|s| p99(s, of)).collect();
    all.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "microseconds of minutes at most")]
    let us = |v: f64| v as u64;
    Some((us(*all.get(all.len() / 2)?), us(*all.last()?)))
}

/// Of the highest of these values in each sample: the median second and the worst.
fn seconds(samples: &[Sample], names: &[&str]) -> (f64, f64) {
    let of = |s: &Sample| names.iter().filter_map(|name| s.get(name)).max_by(f64::total_cmp);
    let mut all: Vec<f64> = samples.iter().filter_map(of).collect();
    all.sort_by(f64::total_cmp);
    (all.get(all.len() / 2).copied().unwrap_or(0.0), all.last().copied().unwrap_or(0.0))
}

/// Growth of a counter a second over the samples.
fn rate(samples: &[Sample], name: &str) -> f64 {
    let seen: Vec<(f64, f64)> = samples.iter().filter_map(|s| Some((s.t_s, s.get(name)?))).collect();
    match (seen.first(), seen.last()) {
        (Some(first), Some(last)) if last.0 > first.0 => ((last.1 - first.1) / (last.0 - first.0)).max(0.0),
        _ => 0.0,
    }
}

fn highest(samples: &[Sample], name: &str) -> f64 {
    samples.iter().filter_map(|s| s.get(name)).fold(0.0, f64::max)
}

/// What the samples of a stretch say.
pub(super) fn phase_of(name: &str, offered: f64, samples: &[Sample]) -> Phase {
    // What ended and what runs more than before.
    let begun = rate(samples, "fleet.sessions") + rate_of_change(samples, "fleet.charging");
    Phase {
        name: name.to_owned(),
        offered,
        begun: begun.max(0.0),
        calls: rate(samples, "fleet.calls"),
        kept_p99_us: median_and_worst(samples, &KEPT),
        partner_p99_us: median_and_worst(samples, &[Measure::PartnerCall]),
        // Of the threads of chargers or of HTTP, whichever was later.
        late_s: seconds(samples, &["engine_arbiter_late_seconds:p99", "api_late_seconds:p99"]),
        handshakes_shed: rate(samples, "gateway_refused_total"),
        reads_shed: rate(samples, "api_shed_total{read}"),
        starts_shed: rate(samples, "api_shed_total{start}"),
        calls_limited: rate(samples, "api_limited_total"),
        delivered: rate(samples, "webhook_attempts_total{delivered}"),
        try_s: seconds(samples, &["webhook_attempt_seconds:mean"]).0,
        backlog: highest(samples, "webhook_queue_depth"),
    }
}

/// Like [`rate`], of a value that may fall.
fn rate_of_change(samples: &[Sample], name: &str) -> f64 {
    let seen: Vec<(f64, f64)> = samples.iter().filter_map(|s| Some((s.t_s, s.get(name)?))).collect();
    match (seen.first(), seen.last()) {
        (Some(first), Some(last)) if last.0 > first.0 => (last.1 - first.1) / (last.0 - first.0),
        _ => 0.0,
    }
}

/// Whether the machine carried it.
pub(super) fn carried(phase: &Phase) -> bool {
    #[allow(clippy::cast_precision_loss, reason = "microseconds")]
    let quick = phase.kept_p99_us.is_none_or(|(median, _)| median as f64 <= CARRIED_US);
    let told = phase.backlog <= CARRIED_BACKLOG && phase.reads_shed <= phase.offered * READS * CARRIED_SHED;
    quick && told && phase.begun >= phase.offered * CARRIED_SHARE && phase.late_s.0 <= CARRIED_LATE_S
}

/// After how many seconds of `after` all was as before, and stayed so for some samples.
pub(super) fn recovered(before: &Calm, overload: &[Sample], after: &[Sample]) -> Option<f64> {
    let fell = overload.last().or(after.first())?.t_s;
    let mut row = 0;
    let mut last = overload.last();
    for sample in after {
        row = if as_before(before, last, sample) { row + 1 } else { 0 };
        last = Some(sample);
        if row == IN_A_ROW {
            let first = after.iter().position(|s| s.t_s.total_cmp(&sample.t_s).is_eq())? + 1 - IN_A_ROW;
            return Some((after.get(first)?.t_s - fell).max(0.0));
        }
    }
    None
}

fn as_before(before: &Calm, last: Option<&Sample>, now: &Sample) -> bool {
    let shed = |name: &str| last.is_some_and(|last| now.get(name).unwrap_or(0.0) > last.get(name).unwrap_or(0.0));
    let quick = p99(now, &KEPT).is_none_or(|us| us <= (before.kept_us * AS_BEFORE).max(before.kept_us + FLOOR_US));
    let here = now.get("fleet.connected").unwrap_or(0.0) >= before.connected * 0.98;
    quick && here && !shed("api_shed_total") && !shed("gateway_refused_total")
}

/// Whether no more webhooks wait than before.
pub(super) fn is_drained(before: &Calm, now: &Sample) -> bool {
    now.get("webhook_queue_depth").unwrap_or(0.0) <= before.backlog + BACKLOG
}

/// After how many seconds of `after` the webhooks that had to wait were delivered.
pub(super) fn drained(before: &Calm, overload: &[Sample], after: &[Sample]) -> Option<f64> {
    let fell = overload.last().or(after.first())?.t_s;
    after.iter().find(|s| is_drained(before, s)).map(|s| (s.t_s - fell).max(0.0))
}

/// The rows of the report.
pub(super) fn judged(
    part: &OverloadPart,
    phases: &[Phase],
    (recovered_s, drained_s): (Option<f64>, Option<f64>),
    stats: &Stats,
) -> Vec<Judged> {
    let overload = phases.iter().find(|p| p.name == "overload").cloned().unwrap_or_default();
    let (stops, without_wait) = refused_stops(stats);
    let most = |what: &str, seen: f64| at_most(what, seen, 0.0, "");
    #[allow(clippy::cast_precision_loss, reason = "counts for people")]
    let number = |n: u64| n as f64;
    let back = |what: &str, after: Option<f64>, within: Duration| Judged {
        what: what.into(),
        allowed: format!("within {within:?}"),
        seen: after.map_or_else(|| "not while it was watched".to_owned(), |s| format!("{s:.0} s")),
        met: after.is_some_and(|s| Duration::from_secs_f64(s) <= within),
    };
    let shed = overload.handshakes_shed + overload.reads_shed + overload.starts_shed + overload.calls_limited;
    vec![
        latency("charger messages in the overload, most seconds", overload.kept_p99_us.map(|k| k.0), part.kept_p99.0),
        Judged {
            what: "something was shed, or nothing was shown".into(),
            allowed: "more than none".into(),
            seen: format!("{shed:.1} a second"),
            met: shed > 0.0,
        },
        most("stops of partners turned away", number(stops)),
        most("answers 429 or 503 without Retry-After", number(without_wait)),
        back("as before after the load fell", recovered_s, part.recovers_within.0),
        back("webhooks that had to wait delivered after the load fell", drained_s, part.drains_within.0),
    ]
}

/// The phases for the report.
pub(super) fn table(phases: &[Phase]) -> Table {
    let pair =
        |p: Option<(u64, u64)>| p.map_or_else(|| "-".to_owned(), |(a, b)| format!("{} / {}", human(a), human(b)));
    let row = |p: &Phase| {
        vec![
            p.name.clone(),
            format!("{:.0}", p.offered),
            format!("{:.1}", p.begun),
            format!("{:.0}", p.calls),
            pair(p.kept_p99_us),
            pair(p.partner_p99_us),
            format!("{:.0} / {:.0} ms", p.late_s.0 * 1e3, p.late_s.1 * 1e3),
            format!("{:.1}", p.handshakes_shed),
            format!("{:.1}", p.reads_shed),
            format!("{:.1}", p.starts_shed),
            format!("{:.1}", p.calls_limited),
            format!("{:.0}", p.delivered),
            format!("{:.0} ms", p.try_s * 1e3),
            format!("{:.0}", p.backlog),
        ]
    };
    let head = [
        "",
        "sessions/s offered",
        "begun",
        "OCPP calls/s",
        "charger messages p99 (median / worst second)",
        "partner calls p99",
        "late (median / worst second)",
        "handshakes shed/s",
        "reads shed/s",
        "starts shed/s",
        "calls limited/s",
        "webhooks delivered/s",
        "a try took",
        "backlog",
    ];
    Table {
        title: "Phases".into(),
        note: "Charger messages: StartTransaction, MeterValues and StopTransaction, which are never shed.".into(),
        head: head.map(str::to_owned).to_vec(),
        rows: phases.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(t_s: f64, p99_us: f64, shed: f64, sessions: f64) -> Sample {
        let values = [
            ("latency.meter:p99_us", p99_us),
            ("api_shed_total", shed),
            ("api_shed_total{read}", shed),
            ("fleet.connected", 100.0),
            ("fleet.sessions", sessions),
        ];
        Sample { at_ms: 0, t_s, values: values.map(|(n, v)| (n.to_owned(), v)).into() }
    }

    #[test]
    fn a_level_is_carried_when_it_is_answered_soon_begun_and_not_shed() {
        let steady = |p99_us, shed, per_s| -> Vec<Sample> {
            (0..10).map(|t| sample(f64::from(t), p99_us, shed * f64::from(t), per_s * f64::from(t))).collect()
        };
        for (p99_us, shed, per_s, good) in [
            (9_000.0, 0.0, 10.0, true),
            (900_000.0, 0.0, 10.0, false),
            (9_000.0, 3.0, 10.0, false),
            (9_000.0, 1.0, 10.0, true),
            (9_000.0, 0.0, 6.0, false),
        ] {
            let phase = phase_of("search", 10.0, &steady(p99_us, shed, per_s));
            assert_eq!(carried(&phase), good, "{phase:?}");
        }
    }

    #[test]
    fn it_is_as_before_once_latency_is_and_nothing_more_is_shed_for_three_looks() {
        let before = Calm { kept_us: 10_000.0, connected: 100.0, backlog: 0.0 };
        let overload = [sample(59.0, 4e6, 50.0, 0.0)];
        let after: Vec<Sample> = [
            (60.0, 3e6, 60.0),
            (61.0, 20_000.0, 61.0),
            (62.0, 20_000.0, 61.0),
            (63.0, 20_000.0, 61.0),
            (64.0, 20_000.0, 61.0),
        ]
        .into_iter()
        .map(|(t, p99, shed)| sample(t, p99, shed, 0.0))
        .collect();
        assert_eq!(recovered(&before, &overload, &after), Some(3.0));
        assert_eq!(recovered(&before, &overload, &after[..4]), None, "two looks are not enough");
        let waiting: Vec<Sample> = [9_000.0, 300.0, 100.0]
            .into_iter()
            .zip(60_u32..)
            .map(|(depth, t)| {
                let values = [("webhook_queue_depth".to_owned(), depth)].into();
                Sample { at_ms: 0, t_s: f64::from(t), values }
            })
            .collect();
        assert_eq!(drained(&before, &overload, &waiting), Some(3.0));
        assert_eq!(drained(&before, &overload, &waiting[..2]), None);
    }

    #[test]
    fn every_promise_has_its_row() {
        let part = OverloadPart::default();
        let stats = Stats::default();
        let overload = Phase {
            name: "overload".into(),
            kept_p99_us: Some((90_000, 900_000)),
            reads_shed: 3.0,
            ..Phase::default()
        };
        let rows = judged(&part, std::slice::from_ref(&overload), (Some(4.0), Some(60.0)), &stats);
        assert!(rows.iter().all(|r| r.met), "{rows:#?}");
        crate::stats::count(&stats.stops_turned_away);
        let quiet = Phase { reads_shed: 0.0, kept_p99_us: Some((20_000_000, 20_000_000)), ..overload };
        let rows = judged(&part, &[quiet], (None, None), &stats);
        assert_eq!(rows.iter().filter(|r| r.met).count(), 1, "{rows:#?}");
    }
}
