//! From SIGKILL to ready: a large fleet with a session at every charger, and the orders of years (RT-5).

use crate::figure::{Limit, median, tell};
use crate::host::{Host, Wishes};
use crate::{charge, stored};
use futures_util::{StreamExt, TryStreamExt, stream};
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chargers, each with an open session.
const CHARGERS: usize = 100_000;
/// Chargers that connect together: a process may have 20,000 open files.
const WAVE: usize = 10_000;
/// Stored orders, and how many times as many there are afterwards: a million, 5 GB of rows.
const ORDERS: usize = 100_000;
const MORE: usize = 10;
const KILLS: usize = 3;

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let given = |name: &str, usual| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let (chargers, orders) = (given("READY_CHARGERS", CHARGERS), given("READY_ORDERS", ORDERS));
    let more = given("READY_MORE", MORE);
    let template = stored::template(paths, sources).await?;
    let mut host = Host::start(paths, "ready", Wishes::default()).await?;
    host.partner("a", None).await?;
    stored::tariff(&host).await?;
    host.register(0, chargers, 1).await?;
    for from in (0..chargers).step_by(WAVE) {
        let wires = host.fleet(from, chargers.min(from + WAVE), sources).await?;
        let one = |mut wire| async move { charge::start(&mut wire, "tag-a").await.map(|_| wire) };
        stream::iter(wires.into_iter().map(one)).buffer_unordered(256).try_collect::<Vec<_>>().await?;
    }
    host.kill().await?;
    template.store(&host, 0, orders, chargers).await?;
    let (_, few) = kills(&mut host).await?;
    let each = template.bytes();
    eprintln!("{orders} stored orders of {each} bytes: {few:.2?} s");
    template.store(&host, orders, orders * more, chargers).await?;
    let (first, many) = kills(&mut host).await?;
    let what = format!("{chargers} chargers, an open session at each");
    let against = format!("kill -9 with {what}, {} stored orders of {each} bytes; all: {many:.2?}", orders * more);
    tell("ready_after_kill_s", median(&many), "s", Limit::Most(5.0), &against);
    let against =
        "the first start after those orders were written, all without one in between; the same fleet and sessions";
    tell("ready_first_s", first, "s", Limit::Most(5.0), against);
    let against =
        format!("{:.2} s with {orders} orders, {:.2} s with {more} times as many", median(&few), median(&many));
    tell("ready_growth_ratio", median(&many) / median(&few), "ratio", Limit::Most(1.2), &against);
    host.end().await
}

/// Seconds of the first start, and from each kill after it to ready. The server is left dead.
async fn kills(host: &mut Host) -> anyhow::Result<(f64, Vec<f64>)> {
    let mut took = Vec::new();
    let begun = Instant::now();
    host.again().await?;
    let first = begun.elapsed().as_secs_f64();
    for _ in 0..KILLS {
        // What comes after a start (snapshots, deadlines that fell due) is in the midst of it or over, as it happens.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let killed = Instant::now();
        host.kill().await?;
        host.again().await?;
        took.push(killed.elapsed().as_secs_f64());
    }
    host.kill().await?;
    Ok((first, took))
}
