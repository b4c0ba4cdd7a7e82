//! Memory of a connected charger that does nothing: the slope between 1,000 and 15,000 real connections, of the server's
//! process alone. Every charger is registered, booted, configured and has told the status of its connectors.

use crate::figure::{Limit, tell};
use crate::host::{self, Host, Wishes};
use crate::process::Process;
use crate::wire::Wire;
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::Duration;

const FEW: usize = 1_000;
const MANY: usize = 15_000;

/// After a process has nothing to do, the last sockets go to rest (20 s after their last message at most), and what they gave back
/// goes to the system (within a second).
const SETTLE: Duration = Duration::from_secs(30);

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let host = Host::start(paths, "idle", Wishes { small_cache: true, ..Wishes::default() }).await?;
    let process = host.process()?;
    let empty = process.memory()?;
    host.register(0, FEW, 1).await?;
    keep(host.fleet(0, FEW, sources).await?);
    let few = at_rest(process).await?;
    host.register(FEW, MANY, 1).await?;
    let registered = process.memory()?;
    let wires = host.connect(FEW, MANY, sources).await?;
    let connected = process.memory()?;
    keep(host::boot(wires, 1).await?);
    let booted = process.memory()?;
    let many = at_rest(process).await?;
    let each = |bytes: f64| bytes / (MANY - FEW) as f64;
    let against = format!(
        "8 KiB a charger; of it registering {:.0}, connecting {:.0}, boot and statuses {:.0}, configuring {:.0}; Pss of the process \
         {:.0} MB empty, {:.0} MB at {FEW}, {:.0} MB at {MANY}",
        each(registered - few),
        each(connected - registered),
        each(booted - connected),
        each(many - booted),
        empty / 1e6,
        few / 1e6,
        many / 1e6
    );
    tell("idle_charger_bytes", each(many - few), "bytes", Limit::Most(8_192.0), &against);
    host.end().await
}

/// What a process takes once its chargers are silent.
async fn at_rest(process: Process) -> anyhow::Result<f64> {
    process.quiet().await?;
    tokio::time::sleep(SETTLE).await;
    process.memory()
}

/// Each connection lives on and answers.
fn keep(wires: Vec<Wire>) {
    for wire in wires {
        tokio::spawn(wire.idle());
    }
}
