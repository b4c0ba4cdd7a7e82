//! StartTransaction at 256 waiting chargers through the whole server: the journal on disk against the one in memory.
//! Both sides are the same program and differ in the journal alone; each charger starts and stops without a pause.

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

struct Side {
    host: Host,
    process: Process,
    wires: Vec<Wire>,
    per_s: Vec<f64>,
    cpu_us: Vec<f64>,
    starts_ms: Vec<f64>,
}

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let mut disk = Side::start(paths, sources, false).await?;
    let mut memory = Side::start(paths, sources, true).await?;
    for round in 0..=ROUNDS {
        disk.round(round > 0).await?;
        memory.round(round > 0).await?;
    }
    let ratios: Vec<f64> = disk.per_s.iter().zip(&memory.per_s).map(|(disk, memory)| disk / memory).collect();
    let (ours, limit) = (median(&disk.per_s), median(&memory.per_s));
    let against = format!("the same server on the journal in memory: {limit:.0} starts/s, each with its stop");
    tell("durable_start_ratio", median(&ratios), "ratio", Limit::None, &against);
    tell("durable_starts_per_s", ours, "starts/s", Limit::None, &against);
    let against =
        format!("in memory {:.1} ms; at {CHARGERS} chargers without a pause", quantile(&memory.starts_ms, 0.99));
    tell("durable_start_p99_ms", quantile(&disk.starts_ms, 0.99), "ms", Limit::None, &against);
    let against =
        format!("in memory {:.0} µs; processor time of the server, a start and its stop", median(&memory.cpu_us));
    tell("durable_start_cpu_us", median(&disk.cpu_us), "us", Limit::None, &against);
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
        Ok(Side { host, process, wires, per_s: Vec::new(), cpu_us: Vec::new(), starts_ms: Vec::new() })
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
}
