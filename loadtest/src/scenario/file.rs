//! Scenario files: what a run is, in TOML. Owns their shape, their bounds and the errors that say what, where and what is
//! allowed. Never runs anything.

use super::behaviours::Behaviours;
use anyhow::{Context, bail};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;
use std::time::Duration;

/// The scenarios that come with the tool, by name; README.md's table says what each is for.
pub const SHIPPED: [(&str, &str); 9] = [
    ("smoke", include_str!("../../scenarios/smoke.toml")),
    ("steady", include_str!("../../scenarios/steady.toml")),
    ("morning-rush", include_str!("../../scenarios/morning-rush.toml")),
    ("storm", include_str!("../../scenarios/storm.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
    ("soak-short", include_str!("../../scenarios/soak-short.toml")),
    ("overload", include_str!("../../scenarios/overload.toml")),
    ("bad-partners", include_str!("../../scenarios/bad-partners.toml")),
    ("offline-backlog", include_str!("../../scenarios/offline-backlog.toml")),
];

/// A time written as people write it: `500ms`, `60s`, `5m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    pub const fn secs(s: u64) -> Span {
        Span(Duration::from_secs(s))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let wrong = || {
            serde::de::Error::custom(format!(
                "`{text}` is no time; allowed: such as \"500ms\", \"60s\", \"5m\", \"1h\""
            ))
        };
        let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        Duration::try_from(span).map(Span).map_err(|_| wrong())
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&format!("{:?}", self.0))
    }
}

/// What kind of run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Load for a while.
    #[default]
    Run,
    /// All drop and come back.
    Storm,
    /// Long, with days; memory and disk are judged.
    Soak,
    /// More than the machine can carry, then less again.
    Overload,
}

/// A whole scenario.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Its name; taken from the file's.
    #[serde(skip_deserializing)]
    pub name: String,
    /// What it is for, in one sentence.
    pub about: String,
    /// What kind of run.
    pub kind: RunKind,
    /// Decides every random choice.
    pub seed: u64,
    /// The chargers.
    pub fleet: Fleet,
    /// What they and the partner do.
    pub load: LoadPart,
    /// What goes wrong at connectors, of a thousand.
    pub behaviours: Behaviours,
    /// What happens to chargers beside charging.
    pub happenings: Happenings,
    /// When the partner's endpoint is bad.
    pub bad_hours: Vec<BadHour>,
    /// Further partners, who are told every status.
    pub neighbours: Vec<Neighbour>,
    /// What makes the run fail.
    pub limits: Limits,
    /// Of a storm.
    pub storm: StormPart,
    /// Of a soak.
    pub soak: SoakPart,
    /// Of an overload.
    pub overload: OverloadPart,
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario {
            name: String::new(),
            about: String::new(),
            kind: RunKind::Run,
            seed: 1,
            fleet: Fleet::default(),
            load: LoadPart::default(),
            behaviours: Behaviours::default(),
            happenings: Happenings::default(),
            bad_hours: Vec::new(),
            neighbours: Vec::new(),
            limits: Limits::default(),
            storm: StormPart::default(),
            soak: SoakPart::default(),
            overload: OverloadPart::default(),
        }
    }
}

/// The chargers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// How many, 1 to 19000: a process may hold 20,000 descriptors on most machines.
    pub chargers: usize,
    /// Connectors of each, 1 to 8.
    pub connectors: usize,
    /// Switched on a second, 1 to 100000.
    pub ramp_per_s: u32,
    /// From one MeterValues to the next of a session, 100ms to 24h.
    pub meter_interval: Span,
    /// The least and the most energy that a car wants, Wh.
    pub wants_wh: (u32, u32),
}

impl Default for Fleet {
    fn default() -> Self {
        let meter_interval = Span::secs(10);
        Fleet { chargers: 200, connectors: 2, ramp_per_s: 500, meter_interval, wants_wh: (300, 2_000) }
    }
}

/// How much happens.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadPart {
    /// How long load is made, 1s to 60d.
    pub duration: Span,
    /// Sessions begun a second in the mean, above 0 to 10000.
    pub starts_per_s: f64,
    /// Of a hundred, begun by a card at the charger, 0 to 100.
    pub local_percent: u32,
    /// Of a hundred of the partner's, stopped by the partner, 0 to 100.
    pub stopped_percent: u32,
    /// From the 202 to the stop, shortest and longest.
    pub length: (Span, Span),
    /// How the rate moves around its mean over `period`: weights at equal distances, joined by lines; empty: it does not.
    pub shape: Vec<f64>,
    /// How long the shape lasts before it begins again; 0s: once over the whole run.
    pub period: Span,
    /// How long the end of the run may take, 1s to 1h.
    pub settle_max: Span,
}

impl Default for LoadPart {
    fn default() -> Self {
        LoadPart {
            duration: Span::secs(60),
            starts_per_s: 5.0,
            local_percent: 20,
            stopped_percent: 70,
            length: (Span::secs(5), Span::secs(60)),
            shape: Vec::new(),
            period: Span::default(),
            // The start deadline of 60 s and two webhook retries are within.
            settle_max: Span::secs(600),
        }
    }
}

/// What happens to chargers beside charging.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Happenings {
    /// How often a charger's network goes away, an hour, 0 to 3600.
    pub offline_per_h: f64,
    /// How long it stays away, shortest and longest.
    pub offline: (Span, Span),
    /// How often a charger restarts into new firmware, an hour, 0 to 3600.
    pub firmware_per_h: f64,
    /// How long that restart takes.
    pub firmware: Span,
    /// Many at once.
    pub outages: Vec<Outage>,
}

/// A part of the fleet loses its network at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// When, from the beginning of the load.
    pub at: Span,
    /// How much of the fleet, 1 to 100.
    pub percent: u32,
    /// For how long.
    pub lasts: Span,
}

/// What a bad endpoint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Answers after 5 s.
    Slow,
    /// Never answers within the server's patience.
    Hangs,
    /// Answers 500.
    Fails,
    /// Answers 429 with Retry-After 2.
    TooMany,
    /// Answers 500 to one in ten.
    Sometimes,
    /// Refuses connections.
    Dead,
}

/// The partner's endpoint is bad for a while.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BadHour {
    /// From when, from the beginning of the load.
    pub from: Span,
    /// For how long.
    pub lasts: Span,
    /// What it does.
    pub answer: Answer,
}

/// Further partners.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// How many, 1 to 50.
    pub count: usize,
    /// What their endpoints do all the time; left out: they answer at once.
    #[serde(default)]
    pub answer: Option<Answer>,
}

/// What makes a run fail; what is left out is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// 99 of a hundred heartbeats are answered within.
    pub heartbeat_p99: Option<Span>,
    /// The same of BootNotification.
    pub boot_p99: Option<Span>,
    /// The same of StartTransaction.
    pub start_transaction_p99: Option<Span>,
    /// The same of MeterValues.
    pub meter_p99: Option<Span>,
    /// The same of StopTransaction.
    pub stop_transaction_p99: Option<Span>,
    /// The same of a partner's call.
    pub partner_call_p99: Option<Span>,
    /// From an event to its receipt.
    pub webhook_p99: Option<Span>,
    /// CALLERRORs in all.
    pub call_errors: Option<u64>,
    /// Sessions that must have come to their end, or nothing was shown.
    pub sessions_least: Option<u64>,
    /// The most that the server's memory (Pss) may take, MB.
    pub memory_mb: Option<u64>,
}

/// Of a storm.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StormPart {
    /// How often all drop, 1 to 1000.
    pub rounds: u32,
    /// The most that a round may take, as a multiple of as many bare WebSocket handshakes.
    pub ratio_max: f64,
    /// The most that the partner's calls may take in a storm, p99.
    pub partner_p99_max: Span,
}

impl Default for StormPart {
    fn default() -> Self {
        StormPart { rounds: 3, ratio_max: 25.0, partner_p99_max: Span::secs(1) }
    }
}

/// Of a soak.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoakPart {
    /// How long a day lasts in the run: 24h / this is how much faster people come and go. Times on the wire are real.
    pub day: Span,
    /// How long the server keeps history in the run, instead of the days that it ships with: disk can only be seen bounded
    /// once that has passed.
    pub retention: Span,
    /// The most that memory (Pss) may grow an hour over the second half, MB, by a robust fit.
    pub memory_growth_mb_per_h: f64,
    /// The most that the journal may grow for each stored order in the second half, bytes.
    pub disk_bytes_per_order: f64,
    /// The most that open descriptors, beyond those of chargers, may grow an hour over the second half.
    pub descriptors_per_h: f64,
    /// The most that p99 may grow from the first quarter to the last; differences below `latency_floor` count as none.
    pub latency_growth: f64,
    /// See above.
    pub latency_floor: Span,
}

impl Default for SoakPart {
    fn default() -> Self {
        SoakPart {
            day: Span::secs(3_600),
            retention: Span::secs(600),
            memory_growth_mb_per_h: 24.0,
            disk_bytes_per_order: 8_192.0,
            descriptors_per_h: 60.0,
            latency_growth: 2.0,
            latency_floor: Span(Duration::from_millis(50)),
        }
    }
}

/// Of an overload.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OverloadPart {
    /// What the machine carries, in units of load; left out: it is looked for.
    pub capacity: Option<f64>,
    /// How long each step of that search lasts, 2s to 5m.
    pub step: Span,
    /// How long the overload lasts, 5s to 1h.
    pub lasts: Span,
    /// How much is offered then, as a multiple of what the machine carries, above 1 to 10.
    pub factor: f64,
    /// How long after its end everything may take to be as before.
    pub recovers_within: Span,
    /// How long after its end webhooks that had to wait may take to be delivered, while half the load goes on.
    pub drains_within: Span,
    /// The most that what is never shed may take in the overload, p99.
    pub kept_p99: Span,
}

impl Default for OverloadPart {
    fn default() -> Self {
        OverloadPart {
            capacity: None,
            step: Span::secs(8),
            lasts: Span::secs(60),
            factor: 2.0,
            recovers_within: Span::secs(10),
            drains_within: Span::secs(300),
            kept_p99: Span::secs(10),
        }
    }
}

impl Scenario {
    /// A scenario by name, or from a file.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or something in it is not allowed.
    pub fn load(name_or_file: &str) -> anyhow::Result<Scenario> {
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_file) {
            return Scenario::read(name, text);
        }
        let path = Path::new(name_or_file);
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{name_or_file} is no scenario ({}) and no readable file", names.join(", ")))?;
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        Scenario::read(&name, &text).with_context(|| path.display().to_string())
    }

    /// A scenario from its text.
    ///
    /// # Errors
    /// When something in it is not allowed; all of it is told at once.
    pub fn read(name: &str, text: &str) -> anyhow::Result<Scenario> {
        let mut scenario: Scenario = toml::from_str(text).with_context(|| format!("scenario {name}"))?;
        name.clone_into(&mut scenario.name);
        let wrong = scenario.wrong();
        if !wrong.is_empty() {
            bail!("scenario {name}: {}", wrong.join("; "));
        }
        Ok(scenario)
    }

    /// Everything that is outside its bounds: what, where, what is allowed.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |good: bool, key: &str, value: String, allowed: &str| {
            if !good {
                wrong.push(format!("{key} is {value}; allowed: {allowed}"));
            }
        };
        let (f, l, h) = (&self.fleet, &self.load, &self.happenings);
        check((1..=19_000).contains(&f.chargers), "fleet.chargers", f.chargers.to_string(), "1 to 19000");
        check((1..=8).contains(&f.connectors), "fleet.connectors", f.connectors.to_string(), "1 to 8");
        check((1..=100_000).contains(&f.ramp_per_s), "fleet.ramp_per_s", f.ramp_per_s.to_string(), "1 to 100000");
        let meter = f.meter_interval.0;
        let allowed = Duration::from_millis(100)..=Duration::from_secs(86_400);
        check(allowed.contains(&meter), "fleet.meter_interval", format!("{meter:?}"), "100ms to 24h");
        check(f.wants_wh.0 <= f.wants_wh.1, "fleet.wants_wh", format!("{:?}", f.wants_wh), "the least, then the most");
        let duration = l.duration.0;
        let allowed = Duration::from_secs(1)..=Duration::from_secs(60 * 86_400);
        check(allowed.contains(&duration), "load.duration", format!("{duration:?}"), "1s to 60d");
        let rate = l.starts_per_s;
        check(rate > 0.0 && rate <= 10_000.0, "load.starts_per_s", rate.to_string(), "above 0 to 10000");
        for (key, percent) in [("load.local_percent", l.local_percent), ("load.stopped_percent", l.stopped_percent)] {
            check(percent <= 100, key, percent.to_string(), "0 to 100");
        }
        check(l.length.0 <= l.length.1, "load.length", format!("{:?}", l.length), "the shortest, then the longest");
        let weights = l.shape.iter().all(|w| w.is_finite() && *w >= 0.0)
            && (l.shape.is_empty() || l.shape.iter().any(|w| *w > 0.0));
        check(weights, "load.shape", format!("{:?}", l.shape), "weights of 0 and more, at least one above");
        let settle = l.settle_max.0;
        let allowed = Duration::from_secs(1)..=Duration::from_secs(3_600);
        check(allowed.contains(&settle), "load.settle_max", format!("{settle:?}"), "1s to 1h");
        for (key, rate) in
            [("happenings.offline_per_h", h.offline_per_h), ("happenings.firmware_per_h", h.firmware_per_h)]
        {
            check((0.0..=3_600.0).contains(&rate), key, rate.to_string(), "0 to 3600");
        }
        check(
            h.offline.0 <= h.offline.1,
            "happenings.offline",
            format!("{:?}", h.offline),
            "the shortest, then the longest",
        );
        for outage in &h.outages {
            let good = (1..=100).contains(&outage.percent);
            check(good, "happenings.outages.percent", outage.percent.to_string(), "1 to 100");
        }
        let all = self.behaviours.permille();
        check(all <= 1_000, "behaviours", format!("{all} of a thousand together"), "at most 1000");
        for neighbour in &self.neighbours {
            check((1..=50).contains(&neighbour.count), "neighbours.count", neighbour.count.to_string(), "1 to 50");
        }
        self.wrong_parts(&mut check);
        wrong
    }

    fn wrong_parts(&self, check: &mut impl FnMut(bool, &str, String, &str)) {
        let (storm, o) = (&self.storm, &self.overload);
        check((1..=1_000).contains(&storm.rounds), "storm.rounds", storm.rounds.to_string(), "1 to 1000");
        let good = o.factor > 1.0 && o.factor <= 10.0;
        check(good, "overload.factor", o.factor.to_string(), "above 1 to 10");
        let step = Duration::from_secs(2)..=Duration::from_secs(300);
        check(step.contains(&o.step.0), "overload.step", format!("{:?}", o.step.0), "2s to 5m");
        let lasts = Duration::from_secs(5)..=Duration::from_secs(3_600);
        check(lasts.contains(&o.lasts.0), "overload.lasts", format!("{:?}", o.lasts.0), "5s to 1h");
        let capacity = o.capacity.is_none_or(|c| c > 0.0 && c <= 100_000.0);
        check(capacity, "overload.capacity", format!("{:?}", o.capacity), "above 0 to 100000");
        let day = self.soak.day.0 >= Duration::from_secs(60) && self.soak.day.0 <= Duration::from_secs(86_400);
        check(day, "soak.day", format!("{:?}", self.soak.day.0), "1m to 24h");
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
