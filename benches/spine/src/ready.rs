//! From SIGKILL to ready: thousands of registered chargers, hundreds of open sessions.

use crate::charge;
use crate::figure::{Limit, median, tell};
use crate::host::{Host, Wishes};
use futures_util::{StreamExt, TryStreamExt, stream};
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::{Duration, Instant};

const REGISTERED: usize = 5_000;
const SESSIONS: usize = 400;
const KILLS: usize = 3;

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let mut host = Host::start(paths, "ready", Wishes::default()).await?;
    host.register(0, REGISTERED, 1).await?;
    host.partner("a", None).await?;
    let wires = host.fleet(0, SESSIONS, sources).await?;
    let one = |mut wire| async move { charge::start(&mut wire, "tag-a").await.map(|_| wire) };
    let wires: Vec<_> = stream::iter(wires.into_iter().map(one)).buffer_unordered(64).try_collect().await?;
    // Sessions and their alike have come to rest; what is in memory only must not matter.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut took = Vec::new();
    for _ in 0..KILLS {
        let killed = Instant::now();
        host.kill().await?;
        host.again().await?;
        took.push(killed.elapsed().as_secs_f64());
    }
    drop(wires);
    let against =
        format!("kill -9 with {REGISTERED} chargers registered and {SESSIONS} sessions open; all: {took:.2?}");
    tell("ready_after_kill_s", median(&took), "s", Limit::Most(10.0), &against);
    host.end().await
}
