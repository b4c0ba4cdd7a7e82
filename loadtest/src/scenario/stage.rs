//! What every kind of run shares: the machine is looked at, the sampler and the display run, and at the end there is a
//! report. Owns that frame; the runs fill it.

use super::Report;
use super::display::Display;
use super::file::Scenario;
use crate::report::{Machine, Page, Recorded, Sample, Sampler, Table, Watched, latency_table, sections};
use crate::stats::Stats;
use crate::time::{now_ms, rfc3339};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a run is made with, beside its scenario.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Where histories and reports are kept.
    pub dir: PathBuf,
    /// What the sampler looks at.
    pub watched: Watched,
    /// The command line, for the report.
    pub command: String,
    /// The most that the server's message log may hold, bytes, if that is known.
    pub message_log_max: Option<u64>,
}

/// A run under way.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) stats: Arc<Stats>,
    pub(super) display: Display,
    machine: Machine,
    sampler: Sampler,
    began: String,
    command: String,
    dir: PathBuf,
}

impl Stage {
    pub(super) fn open(scenario: &Scenario, setting: &Setting) -> anyhow::Result<Stage> {
        std::fs::create_dir_all(&setting.dir)?;
        // Beside the data, on its disk, never within the store's own directory.
        let beside = setting.watched.directories.first().and_then(|(_, dir)| dir.parent());
        let beside: &Path = beside.filter(|dir| dir.is_dir()).unwrap_or(&setting.dir);
        let machine = Machine::look(beside);
        let stats = Arc::new(Stats::default());
        let sampler = Sampler::start(stats.clone(), setting.watched.clone(), &setting.dir)?;
        let display = Display::start(stats.clone(), sampler.newest(), scenario.load.duration.0);
        let (command, dir) = (setting.command.clone(), setting.dir.clone());
        Ok(Stage { stats, display, machine, sampler, began: rfc3339(now_ms()), command, dir })
    }

    /// The newest sample, again and again.
    pub(super) fn newest(&self) -> tokio::sync::watch::Receiver<Sample> {
        self.sampler.newest()
    }

    /// Ends looking; what was seen.
    pub(super) async fn seen(self) -> anyhow::Result<Seen> {
        self.display.end();
        let recorded = self.sampler.end().await?;
        let (stats, machine) = (self.stats, self.machine);
        Ok(Seen { stats, machine, recorded, began: self.began, command: self.command, dir: self.dir })
    }
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) stats: Arc<Stats>,
    pub(super) recorded: Recorded,
    machine: Machine,
    began: String,
    command: String,
    dir: PathBuf,
}

impl Seen {
    /// Writes `report.json` and `report.html`, with these remarks and tables of its kind's own.
    pub(super) fn write(
        self,
        scenario: &Scenario,
        report: &(impl Report + Serialize),
        mut remarks: Vec<String>,
        mut tables: Vec<Table>,
    ) -> anyhow::Result<()> {
        std::fs::write(self.dir.join("report.json"), serde_json::to_vec_pretty(report)?)?;
        tables.push(latency_table(&self.stats));
        if let Some((one, ..)) = self.machine.load
            && one > 1.0
        {
            remarks.push(format!(
                "The machine was busy with other work when this run began (load {one:.1}): latencies are upper bounds."
            ));
        }
        let kind = format!("{:?}", scenario.kind).to_lowercase();
        let page = Page {
            kind,
            scenario: (scenario.name.clone(), scenario.about.clone()),
            command: self.command,
            began: self.began,
            holds: report.holds(),
            line: report.line(),
            wrong: report.wrong(),
            limits: report.ending().limits.clone(),
            facts: facts(scenario),
            remarks,
            machine: self.machine,
            tables,
            sections: sections(&self.stats, &self.recorded),
        };
        page.write(&self.dir)
    }
}

fn facts(scenario: &Scenario) -> Vec<(String, String)> {
    let (fleet, load) = (&scenario.fleet, &scenario.load);
    let mut facts = vec![
        ("Seed".to_owned(), scenario.seed.to_string()),
        (
            "Chargers".to_owned(),
            format!("{} of {} connectors, {} switched on a second", fleet.chargers, fleet.connectors, fleet.ramp_per_s),
        ),
        (
            "Load".to_owned(),
            format!("{:?}, {} sessions begun a second in the mean", load.duration.0, load.starts_per_s),
        ),
        (
            "Sessions".to_owned(),
            format!(
                "{:?} to {:?} long, a reading every {:?}, {} % begun by card",
                load.length.0.0, load.length.1.0, fleet.meter_interval.0, load.local_percent
            ),
        ),
        ("Connectors that misbehave".to_owned(), format!("{} of a thousand", scenario.behaviours.permille())),
    ];
    let h = &scenario.happenings;
    if h.offline_per_h > 0.0 || h.firmware_per_h > 0.0 || !h.outages.is_empty() {
        let text = format!(
            "offline {} times and new firmware {} times an hour and charger, {} outages",
            h.offline_per_h,
            h.firmware_per_h,
            h.outages.len()
        );
        facts.push(("Chargers' troubles".to_owned(), text));
    }
    if !scenario.bad_hours.is_empty() {
        let one =
            |h: &super::file::BadHour| format!("{:?} from {:?} for {:?}", h.answer, h.from.0, h.lasts.0).to_lowercase();
        let all: Vec<String> = scenario.bad_hours.iter().map(one).collect();
        facts.push(("Bad hours of the partner".to_owned(), all.join(", ")));
    }
    let neighbours: usize = scenario.neighbours.iter().map(|n| n.count).sum();
    if neighbours > 0 {
        facts.push(("Further partners".to_owned(), neighbours.to_string()));
    }
    facts
}
