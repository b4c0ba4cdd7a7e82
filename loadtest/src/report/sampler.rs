//! The task that looks at everything once a second: the client's own counters, the server's `/metrics`, its process and its
//! directories. Owns the samples; never influences the run but by what looking costs.
//!
//! Invariant: memory and `samples.jsonl` stay bounded however long the run is; see [`Series`] and [`Lines`].

use super::process;
use super::scrape::{self, Before};
use super::timeline::Timeline;
use crate::partner::http_client;
use crate::stats::{Measure, Stats, get};
use crate::time::now_ms;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// From one look to the next.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks at memory's pages and at directories, which cost more, come once in so many.
const SLOW_EVERY: u64 = 5;
/// Samples kept in memory; at this number neighbours become one.
const KEPT_MAX: usize = 1_200;
/// Lines written before every second one is left out, then three of four, and so on.
const LINES_MAX: u64 = 10_000;
/// How long the metrics endpoint may take.
const SCRAPE_MAX: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// `http://host:9100/metrics`, if it is to be asked.
    pub metrics_url: Option<String>,
    /// The server's process, if it is on this machine.
    pub pid: Option<u32>,
    /// Directories of its data, each with a name.
    pub directories: Vec<(String, PathBuf)>,
}

/// One look: names and values. Counters count from the beginning of their process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Seconds since the sampler began.
    pub t_s: f64,
    /// The values.
    pub values: BTreeMap<String, f64>,
}

impl Sample {
    /// A value; `None` when this look has none of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }
}

/// Samples in bounded memory: past the bound two neighbours become one.
#[derive(Debug, Clone, Default)]
pub struct Series {
    samples: Vec<Sample>,
    /// Looks that one sample stands for.
    stride: u64,
    pending: Option<(Sample, u64)>,
}

impl Series {
    /// Adds a look.
    pub fn push(&mut self, sample: Sample) {
        self.stride = self.stride.max(1);
        let (merged, looks) = match self.pending.take() {
            Some((before, looks)) => (merge(before, sample), looks + 1),
            None => (sample, 1),
        };
        if looks < self.stride {
            self.pending = Some((merged, looks));
            return;
        }
        self.samples.push(merged);
        if self.samples.len() >= KEPT_MAX {
            let mut old = std::mem::take(&mut self.samples).into_iter();
            while let Some(first) = old.next() {
                self.samples.push(match old.next() {
                    Some(second) => merge(first, second),
                    None => first,
                });
            }
            self.stride *= 2;
        }
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Sample> + Clone {
        self.samples.iter().chain(self.pending.as_ref().map(|(sample, _)| sample))
    }

    /// One value over time, where there is one.
    pub fn points(&self, name: &str) -> Vec<(f64, f64)> {
        self.all().filter_map(|s| Some((s.t_s, s.get(name)?))).collect()
    }

    /// A counter's growth a second between neighbours; a restart of its process counts as none.
    pub fn rate(&self, name: &str) -> Vec<(f64, f64)> {
        let points = self.points(name);
        let step = |w: &[(f64, f64)]| {
            let (before, after) = (w.first()?, w.get(1)?);
            let time = after.0 - before.0;
            (time > 0.0).then(|| (after.0, ((after.1 - before.1) / time).max(0.0)))
        };
        points.windows(2).filter_map(step).collect()
    }

    /// The last value.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.points(name).last().map(|(_, value)| *value)
    }

    /// The first value.
    pub fn first(&self, name: &str) -> Option<f64> {
        self.points(name).first().map(|(_, value)| *value)
    }

    /// The largest value.
    pub fn max(&self, name: &str) -> Option<f64> {
        self.points(name).into_iter().map(|(_, value)| value).max_by(f64::total_cmp)
    }
}

/// Of a queue or a percentile the worse of the two, of all else the mean.
fn merge(a: Sample, b: Sample) -> Sample {
    let worse = |name: &str| {
        name.contains(":p99") || name.contains("depth") || name.contains("oldest") || name.contains("in_flight")
    };
    let mut values = a.values;
    for (name, after) in b.values {
        let before = values.get(&name).copied();
        let both = match before {
            None => after,
            Some(before) if worse(&name) => before.max(after),
            Some(before) => f64::midpoint(before, after),
        };
        values.insert(name, both);
    }
    Sample { at_ms: i64::midpoint(a.at_ms, b.at_ms), t_s: f64::midpoint(a.t_s, b.t_s), values }
}

/// The file of samples; long runs write fewer lines as they go on.
struct Lines {
    out: Option<BufWriter<File>>,
    looks: u64,
    written: u64,
    every: u64,
}

impl Lines {
    fn write(&mut self, sample: &Sample) {
        self.looks += 1;
        let Some(out) = &mut self.out else { return };
        if !self.looks.is_multiple_of(self.every) {
            return;
        }
        let told = serde_json::to_writer(&mut *out, sample).map_err(std::io::Error::from);
        let told = told.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        if let Err(error) = told {
            tracing::error!(%error, "samples.jsonl is incomplete");
        }
        self.written += 1;
        if self.written >= LINES_MAX {
            (self.every, self.written) = (self.every * 2, self.written / 2);
        }
    }
}

/// All that was seen of a run.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Values over time.
    pub series: Series,
    /// Latencies over time.
    pub timeline: Timeline,
}

/// The running task.
#[derive(Debug)]
pub struct Sampler {
    stop: watch::Sender<bool>,
    newest: watch::Receiver<Sample>,
    task: JoinHandle<Recorded>,
}

impl Sampler {
    /// Begins to look; `samples.jsonl` goes into `dir`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn start(stats: Arc<Stats>, watched: Watched, dir: &Path) -> anyhow::Result<Sampler> {
        let out = Some(BufWriter::new(File::create(dir.join("samples.jsonl"))?));
        let lines = Lines { out, looks: 0, written: 0, every: 1 };
        let (stop, stopped) = watch::channel(false);
        let (tell, newest) = watch::channel(Sample::default());
        let http = http_client(SCRAPE_MAX)?;
        let looker = Looker { stats, watched, http, begun: Instant::now(), before: Before::default(), looks: 0 };
        let task = tokio::spawn(looker.run(lines, stopped, tell));
        Ok(Sampler { stop, newest, task })
    }

    /// The newest sample, for a display.
    pub fn newest(&self) -> watch::Receiver<Sample> {
        self.newest.clone()
    }

    /// Ends it and gives back what it saw.
    ///
    /// # Errors
    /// When the task has panicked.
    pub async fn end(self) -> anyhow::Result<Recorded> {
        let _ = self.stop.send(true);
        Ok(self.task.await?)
    }
}

struct Looker {
    stats: Arc<Stats>,
    watched: Watched,
    http: reqwest::Client,
    begun: Instant,
    before: Before,
    looks: u64,
}

impl Looker {
    async fn run(
        mut self,
        mut lines: Lines,
        mut stopped: watch::Receiver<bool>,
        tell: watch::Sender<Sample>,
    ) -> Recorded {
        let mut recorded = Recorded::default();
        let mut beat = tokio::time::interval(LOOK_EVERY);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.tick().await; // the first comes at once, when nothing has happened yet
        let mut last = false;
        while !last {
            tokio::select! {
                _ = beat.tick() => {}
                _ = stopped.changed() => last = true,
            }
            let sample = self.look(&mut recorded.timeline).await;
            lines.write(&sample);
            recorded.series.push(sample.clone());
            tell.send_replace(sample);
        }
        recorded
    }

    async fn look(&mut self, timeline: &mut Timeline) -> Sample {
        let mut values = BTreeMap::new();
        self.client(&mut values, timeline);
        if let Some(url) = &self.watched.metrics_url {
            match self.scrape(url.clone()).await {
                Ok(more) => values.extend(more),
                Err(error) => tracing::debug!(%error, "no metrics this time"),
            }
        }
        let slow = self.looks.is_multiple_of(SLOW_EVERY);
        self.looks += 1;
        let watched = self.watched.clone();
        // Walking pages and directories would hold up the chargers on this thread.
        let outside = tokio::task::spawn_blocking(move || outside(&watched, slow)).await;
        values.extend(outside.unwrap_or_default());
        Sample { at_ms: now_ms(), t_s: self.begun.elapsed().as_secs_f64(), values }
    }

    async fn scrape(&mut self, url: String) -> anyhow::Result<BTreeMap<String, f64>> {
        let text = self.http.get(url).send().await?.error_for_status()?.text().await?;
        scrape::read(&text, &mut self.before)
    }

    #[allow(clippy::cast_precision_loss, reason = "counts for plots")]
    fn client(&self, values: &mut BTreeMap<String, f64>, timeline: &mut Timeline) {
        let stats = &self.stats;
        let (begun, ended) = (get(&stats.begun), get(&stats.ended));
        for (name, value) in [
            ("fleet.connected", get(&stats.connected)),
            ("fleet.charging", begun.saturating_sub(ended)),
            ("fleet.sessions", ended),
            ("fleet.calls", get(&stats.calls_answered)),
            ("fleet.deliveries", get(&stats.deliveries)),
            ("fleet.timed_out", get(&stats.calls_timed_out)),
            ("fleet.call_errors", get(&stats.call_errors)),
            ("fleet.connect_failures", get(&stats.connect_failures)),
            ("partner.starts", get(&stats.starts_accepted)),
            ("partner.too_many", get(&stats.told_too_many)),
            ("partner.unavailable", get(&stats.told_unavailable)),
        ] {
            values.insert(name.to_owned(), value as f64);
        }
        let recent = stats.take_recent();
        for (measure, histogram) in &recent {
            let name = measure.name();
            values.insert(format!("latency.{name}:p50_us"), histogram.value_at_quantile(0.5) as f64);
            values.insert(format!("latency.{name}:p99_us"), histogram.value_at_quantile(0.99) as f64);
            values.insert(format!("latency.{name}:max_us"), histogram.max() as f64);
            values.insert(format!("latency.{name}:count"), histogram.len() as f64);
        }
        timeline.add(recent);
    }
}

#[allow(clippy::cast_precision_loss, reason = "bytes for plots")]
fn outside(watched: &Watched, slow: bool) -> BTreeMap<String, f64> {
    let mut values = BTreeMap::new();
    let me = i32::try_from(std::process::id()).ok();
    let server = watched.pid.and_then(|pid| i32::try_from(pid).ok());
    for (who, pid) in [("server", server), ("client", me)] {
        let Some(pid) = pid else { continue };
        if let Some(m) = process::moment(pid) {
            values.insert(format!("{who}.rss_bytes"), m.rss_bytes as f64);
            values.insert(format!("{who}.cpu_s"), m.cpu_s);
            values.insert(format!("{who}.descriptors"), m.descriptors as f64);
            values.insert(format!("{who}.threads"), m.threads as f64);
        }
        if slow && let Some(pss) = process::pss_bytes(pid) {
            values.insert(format!("{who}.pss_bytes"), pss as f64);
        }
    }
    if slow {
        for (name, dir) in &watched.directories {
            values.insert(format!("disk.{name}_bytes"), process::disk_bytes(dir) as f64);
        }
    }
    if let Ok(load) = <procfs::LoadAverage as procfs::Current>::current() {
        values.insert("machine.load".to_owned(), f64::from(load.one));
    }
    values
}

impl Measure {
    /// Its name in files.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
