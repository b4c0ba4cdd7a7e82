//! Faults of what chargers say: answers that are lost, messages that come twice or in the wrong order, commands that are not
//! answered (C1 to C5, C7, C15).

use crate::hand::{Hand, start_payload, stop_payload};
use crate::proxy::{Flow, Proxy};
use crate::scene::{Fleet, PATIENCE, Scene, sessions, start, started, until};
use anyhow::{Context as _, Result, ensure};
use loadtest::charger::Behaviour;
use loadtest::fleet::World;
use loadtest::history::FactKind;
use loadtest::partner::Outcome;
use serde_json::json;

/// A session at both connectors of every charger of the fleet, begun by the partner.
pub(crate) async fn everywhere(world: &World, name: &str) -> Result<u64> {
    let mut begun = 0;
    for charger in 0..world.chargers.len() {
        for connector in 1..=2 {
            started(world, &format!("{name}-{charger}-{connector}"), charger, connector).await?;
            begun += 1;
        }
    }
    Ok(begun)
}

/// C1: the socket drops after the request and before the answer.
pub(crate) async fn drop_after_request(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let fleet = Fleet { script: |_| Behaviour::LosesAnswer, ..Fleet::of(scene.rounds(24, 6)) };
    let world = scene.world(fleet).await?;
    // One connector each: a charger that has just cut its socket is offline for the other.
    let begun = world.chargers.len();
    for charger in 0..begun {
        started(&world, &format!("c1-{charger}"), charger, 1).await?;
    }
    sessions(&world, "all have ended", |all| all.len() >= begun && all.iter().all(|s| s.status == "Ended")).await?;
    let verdict = scene.judge(world).await?;
    scene.count("answers lost", verdict.figures.repeated_facts as u64);
    ensure!(verdict.figures.transactions_found == begun, "{}", verdict.line());
    Ok(())
}

/// C2: the answer is thrown away on its way, then the socket is cut.
pub(crate) async fn answer_lost(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let proxy = Proxy::before(scene.server.ports().ocpp).await?;
    let mut hand = Hand::arrive(&world, proxy.port, "CP-c2").await?;
    for round in 0..3 {
        let payload = start_payload(1, &world.card(round), 1_000);
        let local = round as u64;
        hand.happened(FactKind::Start, local, 1, 1_000);
        hand = lost(&world, &proxy, hand, "StartTransaction", &payload, round + 1).await?;
        scene.count("answers lost", 1);
        let transaction = hand.start_again(local, &payload).await?;
        hand.meter(1, transaction, 1_010).await?;
        let payload = stop_payload(transaction, 1_020);
        hand.happened(FactKind::Stop, local, 1, 1_020);
        let before = proxy.discarded();
        hand = lost(&world, &proxy, hand, "StopTransaction", &payload, round + 1).await?;
        ensure!(proxy.discarded() > before, "nothing was thrown away");
        scene.count("answers lost", 1);
        let answer = hand.call("StopTransaction", payload).await?;
        hand.confirmed(FactKind::Stop, local, transaction, &answer);
    }
    let all = world.operator.sessions().await?;
    ensure!(all.len() == 3, "three transactions made {} sessions", all.len());
    drop(hand);
    scene.judge(world).await.map(drop)
}

/// Sends a message whose answer never comes, waits until the server has it, and comes back on a new socket.
async fn lost(
    world: &World,
    proxy: &Proxy,
    mut hand: Hand,
    action: &str,
    payload: &serde_json::Value,
    sessions_then: usize,
) -> Result<Hand> {
    proxy.set(Flow::Pass, Flow::Discard);
    let id = hand.fresh();
    hand.send(&json!([2, id, action, payload])).await?;
    let ended = action == "StopTransaction";
    sessions(world, "the message was taken", |all| {
        all.len() == sessions_then && all.iter().filter(|s| !s.is_over()).count() == usize::from(!ended)
    })
    .await?;
    let before = proxy.discarded();
    until("its answer is thrown away", PATIENCE, async || Ok(proxy.discarded() > 0 || before > 0)).await?;
    proxy.cut();
    proxy.set(Flow::Pass, Flow::Pass);
    hand.again(world, proxy.port).await
}

/// C3: the same message id with the same body.
pub(crate) async fn same_message_twice(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-c3").await?;
    let payload = start_payload(1, &world.card(0), 500);
    hand.happened(FactKind::Start, 1, 1, 500);
    let id = hand.fresh();
    let first = hand.call_as(&id, "StartTransaction", &payload).await?;
    let second = hand.call_as(&id, "StartTransaction", &payload).await?;
    ensure!(first == second, "{first} then {second}");
    let transaction: i64 = crate::hand::number(&first, "transactionId")?;
    hand.confirmed(FactKind::Start, 1, transaction, &first);
    hand.happened(FactKind::Stop, 1, 1, 520);
    let (id, payload) = (hand.fresh(), stop_payload(transaction, 520));
    let first = hand.call_as(&id, "StopTransaction", &payload).await?;
    let second = hand.call_as(&id, "StopTransaction", &payload).await?;
    ensure!(first == second, "{first} then {second}");
    hand.confirmed(FactKind::Stop, 1, transaction, &first);
    scene.count("repeats seen", scene.metric("chargeline_gateway_flagged_total", &["kind=\"repeated\""]).await?);
    let all = world.operator.sessions().await?;
    ensure!(all.len() == 1 && all[0].energy_wh == 20, "{all:?}");
    drop(hand);
    scene.judge(world).await.map(drop)
}

/// C4: the same message id with another body. CH-7 settles what the catalogue left open: a board that counts its ids anew after a
/// power cycle must not lose a charge, so it is another message, flagged, and what was there does not change.
pub(crate) async fn same_id_other_body(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-c4").await?;
    let id = hand.fresh();
    let bodies = [start_payload(1, &world.card(0), 500), start_payload(2, &world.card(1), 900)];
    let mut transactions = Vec::new();
    for (local, (body, meter)) in bodies.iter().zip([500, 900]).enumerate() {
        let (local, connector) = (local as u64, local as u16 + 1);
        hand.happened(FactKind::Start, local, connector, meter);
        let answer = hand.call_as(&id, "StartTransaction", body).await?;
        let transaction: i64 = crate::hand::number(&answer, "transactionId")?;
        hand.confirmed(FactKind::Start, local, transaction, &answer);
        transactions.push(transaction);
    }
    ensure!(transactions[0] != transactions[1], "two starts, one transaction");
    scene.count("reused ids seen", scene.metric("chargeline_gateway_flagged_total", &["kind=\"reused_id\""]).await?);
    let all = world.operator.sessions().await?;
    let of = |transaction| all.iter().find(|s| s.transaction_id == Some(transaction));
    let (first, second) = (of(transactions[0]).context("the first")?, of(transactions[1]).context("the second")?);
    ensure!((first.connector_id, first.meter_start_wh) == (1, Some(500)) && first.flags.is_empty(), "{first:?}");
    ensure!(second.flags.iter().any(|flag| flag == "message_id_reused"), "{second:?}");
    for (local, meter) in [(0, 510), (1, 930)] {
        hand.stop(local, local as u16 + 1, transactions[local as usize], meter).await?;
    }
    drop(hand);
    scene.judge(world).await.map(drop)
}

/// C5: a start told again under a new id: same connector, time and register.
pub(crate) async fn start_twice(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-c5").await?;
    let payload = start_payload(1, &world.card(0), 500);
    let transaction = hand.start(1, &payload).await?;
    for _ in 0..3 {
        let again = hand.start_again(1, &payload).await?;
        ensure!(again == transaction, "{transaction} then {again}");
        scene.count("starts repeated", 1);
    }
    scene.kill_and_start().await?;
    let port = scene.server.ports().ocpp;
    let mut hand = hand.again(&world, port).await?;
    ensure!(hand.start_again(1, &payload).await? == transaction, "another id after a kill");
    hand.stop(1, 1, transaction, 560).await?;
    ensure!(hand.start_again(1, &payload).await? == transaction, "another id after its stop");
    let all = world.operator.sessions().await?;
    ensure!(all.len() == 1 && all[0].status == "Ended" && all[0].energy_wh == 60, "{all:?}");
    drop(hand);
    scene.judge(world).await.map(drop)
}

/// C7: the stop comes before its start, from an offline queue that lost its order.
pub(crate) async fn stop_before_start(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-c7").await?;
    let card = world.card(3);
    let begun = loadtest::time::rfc3339(loadtest::time::now_ms() - 60_000);
    let start = json!({"connectorId": 1, "idTag": card, "meterStart": 100, "timestamp": begun});
    let stop = json!({"transactionId": -1, "idTag": card, "meterStop": 160, "timestamp": crate::hand::now(),
                      "reason": "Local"});
    hand.call("StopTransaction", stop).await?;
    scene.count("stops before their start", 1);
    let before = world.operator.sessions().await?;
    ensure!(before.is_empty(), "a stop alone makes no session: {before:?}");
    let transaction = hand.start(1, &start).await?;
    hand.happened(FactKind::Stop, 1, 1, 160);
    hand.confirmed(FactKind::Stop, 1, transaction, &json!({}));
    sessions(&world, "they are joined", |all| all.len() == 1 && all[0].status == "Ended").await?;
    let all = world.operator.sessions().await?;
    ensure!(all[0].energy_wh == 60 && all[0].flags.iter().any(|flag| flag == "stop_before_start"), "{all:?}");
    drop(hand);
    scene.judge(world).await.map(drop)
}

/// C15: RemoteStartTransaction is never answered; the acceptance and the start come after the deadline.
pub(crate) async fn silent_on_remote_start(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-c15").await?;
    hand.answers = false;
    let call = loadtest::partner::StartCall {
        request_id: "c15".into(),
        charger_id: hand.id.clone(),
        connector_id: 1,
        user_id: "user".into(),
    };
    let Outcome::Accepted { session_id } = world.partner.start(&call).await else {
        anyhow::bail!("the start is not taken")
    };
    let (id, command) = hand.asked("RemoteStartTransaction").await?;
    // The socket lives while nothing is answered.
    let mut failed = false;
    let begun = std::time::Instant::now();
    while !failed && begun.elapsed() < PATIENCE {
        hand.frame(std::time::Duration::from_millis(100)).await?;
        failed = world.partner.session(&session_id).await?.is_some_and(|session| session.status == "Failed");
    }
    ensure!(failed, "the start never fails");
    scene.count("commands without answer", scene.metric("chargeline_gateway_calls_total", &["\"timeout\""]).await?);
    let operation = world.partner.operation("c15").await?.context("the operation")?;
    ensure!(operation.status == "Failed", "{operation:?}");
    hand.send(&json!([3, id, {"status": "Accepted"}])).await?;
    let tag = command["idTag"].as_str().context("a tag")?.to_owned();
    let begun_late = start_payload(1, &tag, 10);
    let answer = hand.call("StartTransaction", begun_late).await?;
    scene.count("late acceptances", scene.metric("chargeline_gateway_calls_total", &["\"late\""]).await?);
    let transaction: i64 = crate::hand::number(&answer, "transactionId")?;
    hand.answers = true;
    // Neither ghost nor second order: it is recorded and stopped (SE-5).
    let (_, stop) = hand.asked("RemoteStopTransaction").await?;
    ensure!(stop["transactionId"] == transaction, "{stop}");
    hand.call("StopTransaction", stop_payload(transaction, 12)).await?;
    let again = hand.commands.iter().filter(|(_, action, _)| action == "RemoteStartTransaction").count();
    ensure!(again == 0, "the remote start was sent again");
    let all = world.operator.sessions().await?;
    ensure!(all.len() == 1, "one order: {all:?}");
    drop(hand);
    let refused = start(&world, "c15-next", 0, 1).await;
    ensure!(matches!(refused, Outcome::Accepted { .. }), "{refused:?}");
    scene.judge(world).await.map(drop)
}
