//! How fast partners are told: the way of an event from its creation to the partner's endpoint and what it costs, at 50, 500
//! and 2,000 a second, and the most deliveries a second at one partner, each of which makes room for the next.

use crate::charge;
use crate::figure::{Limit, median, quantile, tell};
use crate::host::{Host, Wishes};
use crate::sink::Sink;
use crate::wire::Wire;
use loadtest::net::Sources;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chargers of the even load: each makes one event a second, started and ended in turn.
pub(crate) const PACED: usize = 50;
const PACED_FOR: Duration = Duration::from_secs(10);
const WARM_FOR: Duration = Duration::from_secs(2);
/// Events a second, each charger one a second.
const RATES: [usize; 3] = [PACED, 500, 2_000];
const CHARGERS: usize = 2_000;
/// The bound, all told.
const CPU_MAX_MS: f64 = 0.3;
/// Chargers that make a backlog.
const BACKLOG_CHARGERS: usize = 128;
/// Sessions of a backlog, each with two events.
const SESSIONS: u64 = 3_000;
const BACKLOGS: usize = 3;
/// Longest wait for a backlog to be delivered.
const DRAIN_MAX: Duration = Duration::from_secs(15);

pub(crate) async fn run(paths: &crate::Paths, sources: &Arc<Sources>) -> anyhow::Result<()> {
    let sink = Sink::start(Duration::ZERO).await?;
    let host = Host::start(paths, "webhook", Wishes::default()).await?;
    host.register(0, CHARGERS, 1).await?;
    host.partner("a", Some(&sink.url)).await?;
    // The same events without anywhere to send them: what the sessions themselves cost.
    host.partner("b", None).await?;
    let mut wires = host.fleet(0, CHARGERS, sources).await?;
    host.process()?.quiet().await?;
    for rate in RATES {
        let rest = wires.split_off(rate);
        wires = even(&host, &sink, wires).await?;
        wires.extend(rest);
    }
    let rest = wires.split_off(BACKLOG_CHARGERS);
    let mut rates = Vec::new();
    for _ in 0..BACKLOGS {
        let (rate, after) = backlog(&sink, wires).await?;
        wires = after;
        rates.push(rate);
    }
    let against = format!("a backlog of {} events at one partner who answers at once; all: {rates:.0?}", SESSIONS * 2);
    tell("webhook_per_s", median(&rates), "deliveries/s", Limit::None, &against);
    drop(rest);
    host.end().await
}

/// Evenly spread sessions for a while: all processor time of the server in ms, and its share of a processor in percent.
async fn cost(host: &Host, wires: Vec<Wire>, tag: &str, time: Duration) -> anyhow::Result<(f64, f64, Vec<Wire>)> {
    let (begun, before) = (Instant::now(), host.process()?.cpu_all_s()?);
    let wires = paced(wires, tag, time).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cpu_s = host.process()?.cpu_all_s()? - before;
    Ok((cpu_s * 1e3, cpu_s * 100.0 / begun.elapsed().as_secs_f64(), wires))
}

/// As many events a second as there are chargers, for a while: how long each took, and what it cost the server.
async fn even(host: &Host, sink: &Sink, wires: Vec<Wire>) -> anyhow::Result<Vec<Wire>> {
    let rate = wires.len();
    let wires = paced(wires, "tag-b", WARM_FOR).await?;
    let before = charge::sent();
    let (without, _, wires) = cost(host, wires, "tag-b", PACED_FOR / 2).await?;
    let session = without / (charge::sent() - before) as f64;
    let wires = paced(wires, "tag-a", WARM_FOR).await?;
    sink.take();
    let (cpu_ms, share, wires) = cost(host, wires, "tag-a", PACED_FOR).await?;
    let ways: Vec<f64> = sink.take().into_iter().map(|(_, ms)| ms).collect();
    let count = ways.len();
    let against = format!("created to delivered, {count} events at {rate}/s; clocks in whole ms");
    tell(&format!("webhook_p50_ms_{rate}"), quantile(&ways, 0.5), "ms", Limit::None, &against);
    tell(&format!("webhook_p99_ms_{rate}"), quantile(&ways, 0.99), "ms", Limit::Most(1_000.0), &against);
    let each = cpu_ms / count as f64;
    let against = format!(
        "all processor time of the server by its deliveries, {rate}/s: the transaction message, its journal records and idle work \
         are in it; {share:.0} % of a processor; {session:.3} ms of it without anywhere to deliver"
    );
    let limit = if rate == PACED { Limit::None } else { Limit::Most(CPU_MAX_MS) };
    tell(&format!("webhook_cpu_ms_{rate}"), each, "ms", limit, &against);
    if rate == RATES[1] {
        tell("webhook_cpu_ms", each, "ms", limit, &against);
    }
    let against = "the delivery alone: what an event costs more than the same one without anywhere to deliver";
    tell(&format!("webhook_cpu_alone_ms_{rate}"), each - session, "ms", Limit::None, against);
    Ok(wires)
}

/// Holds the endpoint while sessions are made, opens it, and counts.
async fn backlog(sink: &Sink, wires: Vec<Wire>) -> anyhow::Result<(f64, Vec<Wire>)> {
    sink.take();
    sink.open(false);
    // Under the time-out of a try, so that none fails.
    let round = charge::round(wires, "tag-a", Duration::from_secs(10), SESSIONS).await?;
    let expected = usize::try_from(round.sessions * 2)?;
    let begun = Instant::now();
    sink.open(true);
    while sink.count() < expected && begun.elapsed() < DRAIN_MAX {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let arrivals = sink.take();
    anyhow::ensure!(arrivals.len() >= expected, "{} of {expected} events came", arrivals.len());
    let last = arrivals.iter().map(|(at, _)| *at).max().unwrap_or(begun);
    Ok((arrivals.len() as f64 / (last - begun).as_secs_f64(), round.wires))
}

/// Each charger starts or stops once a second, all evenly spread.
pub(crate) async fn paced(wires: Vec<Wire>, tag: &str, time: Duration) -> anyhow::Result<Vec<Wire>> {
    let begun = tokio::time::Instant::now();
    let step = Duration::from_secs(1) / u32::try_from(wires.len())?;
    let mut tasks = Vec::new();
    for (n, mut wire) in (0_u32..).zip(wires) {
        let tag = tag.to_owned();
        tasks.push(tokio::spawn(async move {
            let mut beat = tokio::time::interval_at(begun + step * n, Duration::from_secs(1));
            let mut running = None;
            while begun.elapsed() < time {
                beat.tick().await;
                running = match running {
                    None => Some(charge::start(&mut wire, &tag).await?),
                    Some(transaction) => charge::stop(&mut wire, transaction).await.map(|()| None)?,
                };
            }
            if let Some(transaction) = running {
                charge::stop(&mut wire, transaction).await?;
            }
            anyhow::Ok(wire)
        }));
    }
    let mut wires = Vec::new();
    for task in tasks {
        wires.push(task.await??);
    }
    Ok(wires)
}
