//! StartTransaction and MeterValues at 256 waiting chargers through the whole server: the journal on disk against the one
//! in memory. Both sides are the same program and differ in the journal alone; each charger calls without a pause.

use crate::charge;
use crate::figure::{Limit, median, quantile, tell};
use crate::host::{Host, Wishes};
use crate::process::Process;
use crate::wire::Wire;
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::Duration;

const CHARGERS: usize = 256;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1_500);
/// Durability costs at most half.
const HALF: Limit = Limit::Least(0.5);

struct Side {
    host: Host,
    process: Process,
    wires: Vec<Wire>,
    per_s: Vec<f64>,
    cpu_us: Vec<f64>,
    starts_ms: Vec<f64>,
    meters_per_s: Vec<f64>,
    meter_cpu_us: Vec<f64>,
}

/// The middle one of the ratios of the rounds.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<f64>>())
}

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let mut disk = Side::start(paths, sources, false).await?;
    let mut memory = Side::start(paths, sources, true).await?;
    for round in 0..=ROUNDS {
        disk.round(round > 0).await?;
        memory.round(round > 0).await?;
        disk.meters(round > 0).await?;
        memory.meters(round > 0).await?;
    }
    let (ours, limit) = (median(&disk.per_s), median(&memory.per_s));
    let against = format!("the same server on the journal in memory: {limit:.0} starts/s, each with its stop");
    tell("durable_start_ratio", ratio(&disk.per_s, &memory.per_s), "ratio", HALF, &against);
    tell("durable_starts_per_s", ours, "starts/s", Limit::None, &against);
    let against =
        format!("in memory {:.1} ms; at {CHARGERS} chargers without a pause", quantile(&memory.starts_ms, 0.99));
    tell("durable_start_p99_ms", quantile(&disk.starts_ms, 0.99), "ms", Limit::None, &against);
    let against =
        format!("in memory {:.0} µs; processor time of the server, a start and its stop", median(&memory.cpu_us));
    tell("durable_start_cpu_us", median(&disk.cpu_us), "us", Limit::None, &against);
    let (ours, limit) = (median(&disk.meters_per_s), median(&memory.meters_per_s));
    let against = format!("the same server on the journal in memory: {limit:.0} MeterValues/s; on disk {ours:.0}");
    tell("durable_meter_ratio", ratio(&disk.meters_per_s, &memory.meters_per_s), "ratio", HALF, &against);
    let against =
        format!("in memory {:.0} µs; processor time of the server, a MeterValues", median(&memory.meter_cpu_us));
    tell("durable_meter_cpu_us", median(&disk.meter_cpu_us), "us", Limit::None, &against);
    memory.host.end().await?;
    disk.host.end().await
}

impl Side {
    async fn start(paths: &crate::Paths, sources: &Arc<Sources>, in_memory: bool) -> anyhow::Result<Side> {
        let name = if in_memory { "durable-memory" } else { "durable-disk" };
        let wishes = Wishes { in_memory, same_program: true, ..Wishes::default() };
        let host = Host::start(paths, name, wishes).await?;
        host.register(0, CHARGERS, 1).await?;
        host.partner("a", None).await?;
        let wires = host.fleet(0, CHARGERS, sources).await?;
        let process = host.process()?;
        Ok(Side {
            host,
            process,
            wires,
            per_s: Vec::new(),
            cpu_us: Vec::new(),
            starts_ms: Vec::new(),
            meters_per_s: Vec::new(),
            meter_cpu_us: Vec::new(),
        })
    }

    async fn round(&mut self, counts: bool) -> anyhow::Result<()> {
        let before = self.process.cpu_s()?;
        let round = charge::round(std::mem::take(&mut self.wires), "tag-a", ROUND, u64::MAX).await?;
        self.wires = round.wires;
        if counts {
            self.per_s.push(round.sessions as f64 / round.took.as_secs_f64());
            self.cpu_us.push((self.process.cpu_s()? - before) * 1e6 / round.sessions as f64);
            self.starts_ms.extend(round.starts_ms);
        }
        Ok(())
    }

    async fn meters(&mut self, counts: bool) -> anyhow::Result<()> {
        let mut looks = Vec::new();
        let look = || self.process.cpu_s().map(|seconds| looks.push(seconds));
        let round = charge::metered(std::mem::take(&mut self.wires), "tag-a", ROUND, look).await?;
        self.wires = round.wires;
        if counts {
            self.meters_per_s.push(round.values as f64 / round.took.as_secs_f64());
            self.meter_cpu_us.push((looks[1] - looks[0]) * 1e6 / round.values as f64);
        }
        Ok(())
    }
}
