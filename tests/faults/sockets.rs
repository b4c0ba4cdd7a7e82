//! Faults of chargers' sockets: half open, taken over, flapping, not read, all at once (C11 to C13, C20, C21).

use crate::hand::{self, Hand, start_payload};
use crate::proxy::{Flow, Proxy};
use crate::scene::{Fleet, PATIENCE, Scene, all_online, command, started, takes_a_command, until};
use anyhow::{Context as _, Result, ensure};
use futures_util::SinkExt as _;
use loadtest::fleet::World;
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

const CLOSED: &str = "chargeline_gateway_closed_total";

async fn online(world: &World, charger: &str) -> Result<bool> {
    let shown = world.operator.call(Method::GET, &format!("/ops/v1/chargers/{charger}"), None).await?;
    shown["online"].as_bool().with_context(|| format!("online of {shown}"))
}

/// C11: the charger vanishes without a word.
pub(crate) async fn half_open(scene: &mut Scene) -> Result<()> {
    scene.configure("gateway.ping_interval", "300ms")?;
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let proxy = Proxy::before(scene.server.ports().ocpp).await?;
    let idle = Hand::arrive(&world, proxy.port, "CP-c11").await?.idles();
    takes_a_command(&world, "CP-c11").await?;
    proxy.set(Flow::Hold, Flow::Hold);
    let begun = Instant::now();
    let (first, closed) = tokio::join!(
        command(&world, "CP-c11"),
        until("it is noticed", Duration::from_secs(5), async || Ok(scene.metric(CLOSED, &["silent"]).await? == 1))
    );
    closed?;
    let noticed = begun.elapsed();
    let first = first?;
    ensure!(matches!(first.as_str(), "TimedOut" | "LinkLost" | "Offline"), "{first} (I12)");
    // Two intervals and the answer's time, on a busy machine.
    ensure!(noticed < Duration::from_secs(3), "noticed after {noticed:?}");
    scene.count("sockets found silent", scene.metric(CLOSED, &["silent"]).await?);
    until("it counts as gone", PATIENCE, async || Ok(!online(&world, "CP-c11").await?)).await?;
    let refused = command(&world, "CP-c11").await;
    let refused = refused.unwrap_or_else(|error| error.to_string());
    ensure!(refused == "Offline" || refused.contains("offline"), "{refused} (I12)");
    idle.abort();
    proxy.cut();
    proxy.set(Flow::Pass, Flow::Pass);
    let idle = Hand::connect(&world, proxy.port, "CP-c11").await?.idles();
    takes_a_command(&world, "CP-c11").await?;
    idle.abort();
    scene.judge(world).await.map(drop)
}

/// C12: one identity, two devices, both authenticated.
pub(crate) async fn taken_over(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let port = scene.server.ports().ocpp;
    let mut old = Hand::arrive(&world, port, "CP-c12").await?;
    for round in 0..scene.rounds(5, 2) as u64 {
        let payload = start_payload(1, &world.card(0), 100);
        let transaction = old.start(round, &payload).await?;
        let mut new = Hand::connect(&world, port, "CP-c12").await?;
        // What the old one still says is not answered by both.
        let _ = old.send(&json!([2, "late", "Heartbeat", {}])).await;
        old.closed().await?;
        ensure!(new.start_again(round, &payload).await? == transaction, "the newest has the transaction");
        ensure!(new.stray.is_empty(), "answered to the wrong one: {:?}", new.stray);
        new.stop(round, 1, transaction, 150).await?;
        old = new;
    }
    scene.count("takeovers", scene.metric("chargeline_gateway_takeovers_total", &[]).await?);
    let all = world.operator.sessions().await?;
    ensure!(all.iter().all(|session| session.energy_wh == 50), "{all:?}");
    let idle = old.idles();
    takes_a_command(&world, "CP-c12").await?;
    idle.abort();
    scene.judge(world).await.map(drop)
}

/// C13: a charger that connects again and again.
pub(crate) async fn flapping(scene: &mut Scene) -> Result<()> {
    scene.configure("gateway.handshakes_per_second", 50)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    let port = scene.server.ports().ocpp;
    hand::register(&world, "CP-c13").await?;
    let descriptors = "chargeline_process_open_descriptors";
    let (before, lines_before) = (scene.metric(descriptors, &[]).await?, scene.log().lines().count());
    let (mut flaps, mut refused) = (0_u64, 0_u64);
    for flap in 0..scene.rounds(1_500, 300) {
        match hand::dial(port, "CP-c13", None).await {
            Ok(_) => flaps += 1,
            Err(_) => refused += 1,
        }
        if flap == 150 {
            let begun = Instant::now();
            started(&world, "c13", 0, 1).await?;
            ensure!(begun.elapsed() < Duration::from_secs(3), "the others wait (I14): {:?}", begun.elapsed());
        }
    }
    scene.count("connections", flaps);
    scene.count("connections refused by rate", refused);
    let limited = scene.metric("chargeline_gateway_refused_total", &["\"rate\""]).await?;
    ensure!(limited >= refused, "{refused} were refused, {limited} are counted (I15)");
    let lines = scene.log().lines().count() - lines_before;
    ensure!(lines < 1_000 + 3 * flaps as usize, "{lines} lines of log for {flaps} connections");
    ensure!(scene.metric("chargeline_engine_restarts_total", &[]).await? == 0, "restarts (I9)");
    until("descriptors are given back (I10)", PATIENCE, async || {
        Ok(scene.metric(descriptors, &[]).await? <= before + before / 10 + 2)
    })
    .await?;
    until("it can come in and stay", PATIENCE, async || {
        let Ok(hand) = Hand::connect(&world, port, "CP-c13").await else { return Ok(false) };
        let idle = hand.idles();
        takes_a_command(&world, "CP-c13").await?;
        idle.abort();
        Ok(true)
    })
    .await?;
    scene.judge(world).await.map(drop)
}

/// C20: a charger that talks and reads nothing.
pub(crate) async fn reads_nothing(scene: &mut Scene) -> Result<()> {
    scene.configure("gateway.write_timeout", "500ms")?;
    scene.configure("gateway.messages_per_second", 1_000_000)?;
    scene.configure("gateway.messages_burst", 1_000_000)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let port = scene.server.ports().ocpp;
    Hand::arrive(&world, port, "CP-c20").await?.closed_by_us().await;
    let mut socket = hand::dial(port, "CP-c20", Some(4_096)).await?;
    let memory = "chargeline_process_resident_memory_bytes";
    let before = scene.metric(memory, &[]).await?;
    let flood = async {
        // Until the server reads no more, either.
        loop {
            let frame = Message::text(json!([2, "a".repeat(36), "Heartbeat", {}]).to_string());
            let sent = tokio::time::timeout(Duration::from_secs(20), socket.send(frame)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    };
    let seen = async {
        until("it is cut off", Duration::from_secs(60), async || {
            // Its neighbours are served meanwhile (I14).
            let begun = Instant::now();
            let state = command(&world, world.chargers[0].identity()).await?;
            ensure!(state == "Accepted" && begun.elapsed() < Duration::from_secs(5), "{state} {:?}", begun.elapsed());
            Ok(scene.metric(CLOSED, &["stuck"]).await? > 0)
        })
        .await
    };
    tokio::select! {
        seen = seen => seen?,
        () = async { flood.await; std::future::pending().await } => {}
    }
    scene.count("sockets found stuck", scene.metric(CLOSED, &["stuck"]).await?);
    let grown = scene.metric(memory, &[]).await?.saturating_sub(before);
    ensure!(grown < 64 << 20, "{grown} bytes for one that does not read (I10)");
    until("it is gone", PATIENCE, async || Ok(!online(&world, "CP-c20").await?)).await?;
    scene.judge(world).await.map(drop)
}

/// C21: the whole fleet comes back in one instant, without jitter.
pub(crate) async fn storm(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let mut fleet = Fleet { wants_wh: (4_000, 5_000), ..Fleet::of(scene.rounds(400, 40)) };
    fleet.change = |profile| profile.reconnect = (Duration::from_millis(5), Duration::from_millis(10));
    let world = scene.world(fleet).await?;
    for charger in 0..world.chargers.len() {
        started(&world, &format!("c21-{charger}"), charger, 1).await?;
    }
    let charging = || world.chargers.iter().filter(|c| c.view().connectors.iter().any(|at| at.local.is_some())).count();
    until("all charge", PATIENCE, async || Ok(charging() == world.chargers.len())).await?;
    for _ in 0..scene.rounds(3, 1) {
        scene.kill().await?;
        until("all have lost it", PATIENCE, async || Ok(world.chargers.iter().all(|c| !c.view().online))).await?;
        let begun = Instant::now();
        scene.start().await?;
        until("all are back", PATIENCE, async || {
            Ok(all_online(&world) && world.chargers.iter().all(|c| c.view().queued <= 2))
        })
        .await?;
        ensure!(begun.elapsed() < PATIENCE, "back after {:?} (I11)", begun.elapsed());
        scene.count("chargers back at once", world.chargers.len() as u64);
        scene.count("milliseconds until the last was back", u64::try_from(begun.elapsed().as_millis())?);
    }
    let accepted = scene.metric("chargeline_gateway_handshakes_total", &["accepted"]).await?;
    ensure!(accepted >= world.chargers.len() as u64, "{accepted} came in");
    let limit = scene.metric("chargeline_process_limit_descriptors", &[]).await?;
    ensure!(scene.metric("chargeline_process_open_descriptors", &[]).await? < limit, "descriptors (I10)");
    let open = world.operator.sessions().await?.iter().filter(|session| !session.is_over()).count();
    ensure!(open == world.chargers.len(), "{open} sessions are left of {}", world.chargers.len());
    scene.judge(world).await.map(drop)
}
