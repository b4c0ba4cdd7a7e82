//! Faults of time: a charger that was away for days, a charge that goes on for months (C8, S12).

use crate::hand::{Hand, number};
use crate::scene::{Fleet, PATIENCE, Scene, sessions, takes_a_command};
use anyhow::{Context as _, Result, ensure};
use loadtest::history::FactKind;
use loadtest::time::{now_ms, rfc3339};
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::{Duration, Instant};

const DAY_MS: i64 = 86_400_000;

/// Longest that another charger may wait meanwhile (I14).
const OTHERS_WAIT: Duration = Duration::from_secs(3);

/// Messages that are sent before an answer is waited for.
const AHEAD: usize = 50;

/// A message with these registers, Wh, each with its time.
fn readings(transaction: i64, values: impl IntoIterator<Item = (i64, i64)>) -> Value {
    let value = |(wh, at): (i64, i64)| {
        let sampled = json!({"value": wh.to_string(), "measurand": "Energy.Active.Import.Register", "unit": "Wh"});
        json!({"timestamp": rfc3339(at), "sampledValue": [sampled]})
    };
    let values: Vec<Value> = values.into_iter().map(value).collect();
    json!({"connectorId": 1, "transactionId": transaction, "meterValue": values})
}

/// Sends them without waiting for each, and reads their answers, which come in order.
async fn pour(hand: &mut Hand, payloads: &[Value]) -> Result<()> {
    for some in payloads.chunks(AHEAD) {
        let ids: Vec<String> = some.iter().map(|_| hand.fresh()).collect();
        for (id, payload) in ids.iter().zip(some) {
            hand.send(&json!([2, id, "MeterValues", payload])).await?;
        }
        for id in ids {
            let answer = hand.answer_to(&id).await?;
            ensure!(answer[0] == 3, "{answer}");
        }
    }
    Ok(())
}

/// C8: three days of messages come at once.
pub(crate) async fn days_offline(scene: &mut Scene) -> Result<()> {
    const TRANSACTIONS: i64 = 100;
    const READINGS: i64 = 48;
    const RATE: i64 = 250;
    const BURST: i64 = 500;
    scene.configure("gateway.messages_per_second", RATE)?;
    scene.configure("gateway.messages_burst", BURST)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-c8").await?;
    let away_since = now_ms() - 3 * DAY_MS;
    let (begun, card, over) = (Instant::now(), world.card(0), Cell::new(false));
    let days = async {
        for local in 0..TRANSACTIONS {
            let (at, meter) = (away_since + local * 3 * DAY_MS / (TRANSACTIONS + 1), local * 1_000);
            hand.happened(FactKind::Start, local as u64, 1, meter);
            let start = json!({"connectorId": 1, "idTag": card, "meterStart": meter, "timestamp": rfc3339(at)});
            let answer = hand.call("StartTransaction", start).await?;
            let transaction = number(&answer, "transactionId")?;
            hand.confirmed(FactKind::Start, local as u64, transaction, &answer);
            let one = |n| readings(transaction, [(meter + n * 20, at + n * 30_000)]);
            pour(&mut hand, &(1..=READINGS).map(one).collect::<Vec<Value>>()).await?;
            hand.happened(FactKind::Stop, local as u64, 1, meter + 1_000);
            let end = rfc3339(at + (READINGS + 1) * 30_000);
            let stop = json!({"transactionId": transaction, "meterStop": meter + 1_000, "timestamp": end});
            let answer = hand.call("StopTransaction", stop).await?;
            hand.confirmed(FactKind::Stop, local as u64, transaction, &answer);
            if local == 0 {
                // Those of the arrival.
                hand.commands.clear();
            }
        }
        over.set(true);
        anyhow::Ok(begun.elapsed())
    };
    let others = async {
        let (mut longest, mut times) = (Duration::ZERO, 0);
        while !over.get() && longest < OTHERS_WAIT {
            let asked = Instant::now();
            takes_a_command(&world, world.chargers[0].identity()).await?;
            longest = longest.max(asked.elapsed());
            times += 1;
        }
        anyhow::Ok((longest, times))
    };
    let (took, (longest, commands)) = tokio::try_join!(days, others)?;
    let messages = TRANSACTIONS * (READINGS + 2);
    ensure!(longest < OTHERS_WAIT, "another charger waited {longest:?} (I14)");
    let least = Duration::from_secs(((messages - BURST) / RATE).unsigned_abs());
    ensure!(took >= least, "{messages} messages within {took:?}, faster than {RATE} a second");
    scene.count("messages of three days", messages.unsigned_abs());
    scene.count("commands of another charger meanwhile", commands);
    let asked = hand.commands.iter().find(|(_, action, _)| action == "TriggerMessage");
    ensure!(asked.is_none(), "old messages make the server ask: {asked:?}");
    let idle = hand.idles();
    sessions(&world, "all are there, and over", |all| {
        all.len() == TRANSACTIONS as usize && all.iter().all(|s| s.is_over())
    })
    .await?;
    let all = world.operator.sessions().await?;
    ensure!(all.iter().all(|session| session.energy_wh == 1_000), "{all:?}");
    takes_a_command(&world, "CP-c8").await?;
    idle.abort();
    scene.judge(world).await.map(drop)
}

/// S12: a charge of sixty days with a hundred thousand readings, ten a message.
pub(crate) async fn sixty_days(scene: &mut Scene) -> Result<()> {
    const READINGS: i64 = 100_000;
    const TOGETHER: usize = 10;
    const DAYS: i64 = 60;
    scene.configure("gateway.messages_per_second", 1_000_000)?;
    scene.configure("gateway.messages_burst", 1_000_000)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let port = scene.server.ports().ocpp;
    let mut hand = Hand::arrive(&world, port, "CP-s12").await?;
    let begun = now_ms() - DAYS * DAY_MS;
    hand.happened(FactKind::Start, 1, 1, 0);
    let start = json!({"connectorId": 1, "idTag": world.card(0), "meterStart": 0, "timestamp": rfc3339(begun)});
    let answer = hand.call("StartTransaction", start).await?;
    let transaction = number(&answer, "transactionId")?;
    hand.confirmed(FactKind::Start, 1, transaction, &answer);
    let memory = "chargeline_process_resident_memory_bytes";
    let (mut early, mut first_start) = (0, Duration::ZERO);
    for tenth in 0..10 {
        let of = tenth * READINGS / 10..(tenth + 1) * READINGS / 10;
        let values: Vec<(i64, i64)> = of.map(|n| (n, begun + n * DAYS * DAY_MS / (READINGS + 1))).collect();
        let one = |some: &[(i64, i64)]| readings(transaction, some.iter().copied());
        pour(&mut hand, &values.chunks(TOGETHER).map(one).collect::<Vec<Value>>()).await?;
        if tenth == 0 {
            first_start = scene.kill_and_start().await?;
            hand = hand.again(&world, port).await?;
        }
        if tenth == 1 {
            early = scene.metric(memory, &[]).await?;
        }
    }
    let late = scene.metric(memory, &[]).await?;
    ensure!(late < early + (24 << 20), "memory grew from {early} to {late} bytes with the readings (I10)");
    scene.count("readings", READINGS.unsigned_abs());
    let last_start = scene.kill_and_start().await?;
    ensure!(last_start < first_start + Duration::from_secs(1), "ready after {last_start:?}, {first_start:?} before");
    hand = hand.again(&world, port).await?;
    let open = |all: &[loadtest::partner::Session]| all.iter().any(|s| !s.is_over() && s.energy_wh == READINGS - 1);
    sessions(&world, "it is open, with its last reading", open).await?;
    hand.stop(1, 1, transaction, READINGS).await?;
    sessions(&world, "it is over", |all| all.iter().any(|s| s.is_over() && s.energy_wh == READINGS)).await?;
    let shown = world.operator.sessions().await?.pop().context("a session")?;
    ensure!(shown.energy_wh == READINGS, "{shown:?} within {PATIENCE:?}");
    let idle = hand.idles();
    takes_a_command(&world, "CP-s12").await?;
    idle.abort();
    scene.judge(world).await.map(drop)
}
