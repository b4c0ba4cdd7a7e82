//! Sessions begun and ended by a card at the charger, one after the other. Owns the payloads and the loop.

use crate::wire::Wire;
use anyhow::Context;
use loadtest::time::{now_ms, rfc3339};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A meter that never shows the same twice, so that no start looks like the repetition of another.
static METER_WH: AtomicU64 = AtomicU64::new(1);

/// How many starts, stops and meter values were sent so far.
pub(crate) fn sent() -> u64 {
    METER_WH.load(Ordering::Relaxed) - 1
}

/// A StartTransaction; the transaction that it was given.
pub(crate) async fn start(wire: &mut Wire, tag: &str) -> anyhow::Result<i64> {
    let (meter, at) = (METER_WH.fetch_add(1, Ordering::Relaxed), rfc3339(now_ms()));
    let payload = format!(r#"{{"connectorId":1,"idTag":"{tag}","meterStart":{meter},"timestamp":"{at}"}}"#);
    let answer = wire.call("StartTransaction", &payload).await?;
    let told: Value = serde_json::from_str(&answer)?;
    anyhow::ensure!(told[2]["idTagInfo"]["status"] == "Accepted", "a start was answered {answer}");
    told[2]["transactionId"].as_i64().with_context(|| format!("a start was answered {answer}"))
}

/// Its StopTransaction.
pub(crate) async fn stop(wire: &mut Wire, transaction: i64) -> anyhow::Result<()> {
    let (meter, at) = (METER_WH.fetch_add(1, Ordering::Relaxed), rfc3339(now_ms()));
    let payload =
        format!(r#"{{"transactionId":{transaction},"meterStop":{meter},"timestamp":"{at}","reason":"Local"}}"#);
    wire.call("StopTransaction", &payload).await.map(drop)
}

/// A MeterValues of a running transaction.
async fn meter(wire: &mut Wire, transaction: i64) -> anyhow::Result<()> {
    let (meter, at) = (METER_WH.fetch_add(1, Ordering::Relaxed), rfc3339(now_ms()));
    let payload = format!(
        r#"{{"connectorId":1,"transactionId":{transaction},"meterValue":[{{"timestamp":"{at}","sampledValue":[{{"value":"{meter}","measurand":"Energy.Active.Import.Register","unit":"Wh"}}]}}]}}"#
    );
    wire.call("MeterValues", &payload).await.map(drop)
}

/// What a round of meter values gave.
pub(crate) struct Metered {
    /// The chargers, for the next round.
    pub(crate) wires: Vec<Wire>,
    /// Meter values acknowledged.
    pub(crate) values: u64,
    /// From the first of them to the last answer; the sessions around them are not in it.
    pub(crate) took: Duration,
}

/// Every charger starts a session, sends meter values without a pause until the time is up, and stops. `between` is called
/// just before the first and just after the last of them.
pub(crate) async fn metered(
    wires: Vec<Wire>,
    tag: &str,
    time: Duration,
    mut between: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Metered> {
    let starts = wires.into_iter().map(|mut wire| {
        let tag = tag.to_owned();
        tokio::spawn(async move { start(&mut wire, &tag).await.map(|transaction| (wire, transaction)) })
    });
    let mut running = Vec::new();
    for one in starts.collect::<Vec<_>>() {
        running.push(one.await??);
    }
    between()?;
    let begun = Instant::now();
    let tasks: Vec<_> = running
        .into_iter()
        .map(|(mut wire, transaction)| {
            tokio::spawn(async move {
                let mut values = 0;
                while begun.elapsed() < time {
                    meter(&mut wire, transaction).await?;
                    values += 1;
                }
                anyhow::Ok((wire, transaction, values))
            })
        })
        .collect();
    let (mut after, mut values) = (Vec::new(), 0);
    for task in tasks {
        let (wire, transaction, sent) = task.await??;
        after.push((wire, transaction));
        values += sent;
    }
    let took = begun.elapsed();
    between()?;
    let mut wires = Vec::new();
    for (mut wire, transaction) in after {
        stop(&mut wire, transaction).await?;
        wires.push(wire);
    }
    Ok(Metered { wires, values, took })
}

/// What a round of sessions gave.
pub(crate) struct Round {
    /// The chargers, for the next round.
    pub(crate) wires: Vec<Wire>,
    /// Starts and stops acknowledged.
    pub(crate) sessions: u64,
    /// From the first call to the last answer.
    pub(crate) took: Duration,
    /// How long each start waited for its answer, in milliseconds.
    pub(crate) starts_ms: Vec<f64>,
}

/// Every charger starts and stops without a pause until the time is up, or `most` sessions are begun.
pub(crate) async fn round(wires: Vec<Wire>, tag: &str, time: Duration, most: u64) -> anyhow::Result<Round> {
    let (begun, tag) = (Instant::now(), tag.to_owned());
    let left = std::sync::Arc::new(AtomicU64::new(most));
    let tasks: Vec<_> = wires
        .into_iter()
        .map(|mut wire| {
            let (tag, left) = (tag.clone(), left.clone());
            tokio::spawn(async move {
                let mut waited = Vec::new();
                while begun.elapsed() < time
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
                {
                    let asked = Instant::now();
                    let transaction = start(&mut wire, &tag).await?;
                    waited.push(asked.elapsed().as_secs_f64() * 1e3);
                    stop(&mut wire, transaction).await?;
                }
                anyhow::Ok((wire, waited))
            })
        })
        .collect();
    let mut round = Round { wires: Vec::new(), sessions: 0, took: Duration::ZERO, starts_ms: Vec::new() };
    for task in tasks {
        let (wire, waited) = task.await??;
        round.wires.push(wire);
        round.sessions += waited.len() as u64;
        round.starts_ms.extend(waited);
    }
    round.took = begun.elapsed();
    Ok(round)
}
