//! Whether a partner who answers after 20 seconds delays another: two servers with two partners each, of which one server's
//! second partner is slow; rounds alternate between the servers.

use crate::figure::{Limit, quantile, tell};
use crate::host::{Host, Wishes};
use crate::sink::Sink;
use crate::webhook::{PACED, paced};
use crate::wire::Wire;
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::Duration;

/// Beyond the 15 s that a try may take.
const SLOW: Duration = Duration::from_secs(20);
/// A neighbour that blocks shows as a hundred or more; a few milliseconds up or down are the machine's own.
const SLOWER_MAX: f64 = 2.0;
/// Enough that one event in a hundred is found on both sides: between 2 and 5 ms it depends on the moment in which it comes.
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_secs(4);

struct Side {
    host: Host,
    healthy: Sink,
    other: Sink,
    wires: [Vec<Wire>; 2],
    ways_ms: Vec<f64>,
}

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let mut without = Side::start(paths, sources, "slow-without", Duration::ZERO).await?;
    let mut with = Side::start(paths, sources, "slow-with", SLOW).await?;
    for round in 0..=ROUNDS {
        without.round(round > 0).await?;
        with.round(round > 0).await?;
    }
    let p99 = |side: &Side| quantile(&side.ways_ms, 0.99).max(1.0);
    let against = format!(
        "p99 of the healthy partner {:.0} ms beside a quick one, {:.0} ms beside one that answers after 20 s; 50 events/s each, {} and {} events",
        p99(&without),
        p99(&with),
        without.ways_ms.len(),
        with.ways_ms.len()
    );
    tell("slow_neighbour_ratio", p99(&with) / p99(&without), "ratio", Limit::Most(SLOWER_MAX), &against);
    anyhow::ensure!(with.other.count() < without.other.count(), "the slow partner was not slow");
    with.host.end().await?;
    without.host.end().await
}

impl Side {
    async fn start(paths: &crate::Paths, sources: &Arc<Sources>, name: &str, wait: Duration) -> anyhow::Result<Side> {
        let (healthy, other) = (Sink::start(Duration::ZERO).await?, Sink::start(wait).await?);
        let host = Host::start(paths, name, Wishes::default()).await?;
        host.register(0, 2 * PACED, 1).await?;
        host.partner("a", Some(&healthy.url)).await?;
        host.partner("b", Some(&other.url)).await?;
        let mut first = host.fleet(0, 2 * PACED, sources).await?;
        let second = first.split_off(PACED);
        Ok(Side { host, healthy, other, wires: [first, second], ways_ms: Vec::new() })
    }

    async fn round(&mut self, counts: bool) -> anyhow::Result<()> {
        let [first, second] = std::mem::take(&mut self.wires);
        let (first, second) = tokio::join!(paced(first, "tag-a", ROUND), paced(second, "tag-b", ROUND));
        self.wires = [first?, second?];
        tokio::time::sleep(Duration::from_millis(200)).await;
        let ways = self.healthy.take();
        if counts {
            self.ways_ms.extend(ways.into_iter().map(|(_, ms)| ms));
        }
        Ok(())
    }
}
