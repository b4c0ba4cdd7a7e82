//! Faults of money and of running the thing: ends in the middle of a settlement, everything told twice, restarts under load, a
//! storm of restarts (M1, M2, O1, O2).

use crate::chargers::everywhere;
use crate::journal::LOAD;
use crate::scene::{FLEET, Fleet, PATIENCE, Scene, all_online, lively, sessions, started, under_load, until};
use anyhow::{Context as _, Result, ensure};
use loadtest::check::Verdict;
use loadtest::fleet::{World, identity};
use loadtest::money::{self, Town};
use loadtest::partner::Session;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Where a process ends while sessions close, and for whom.
const PLACES: [(&str, &str); 6] = [
    ("engine.stored", "charger/"),
    ("engine.stored", "account/"),
    ("engine.decide", "account/"),
    ("engine.decide", "charger/"),
    ("journal.flushed", "*"),
    ("webhook.delivered", "*"),
];

/// M1: the process ends anywhere in the closing of a session.
pub(crate) async fn ends_while_closing(scene: &mut Scene) -> Result<()> {
    let histories = scene.histories.clone();
    let prepared = money::prepare(&scene.server, &histories).await?;
    // Its sections came behind those of the scene.
    scene.start().await?;
    let mut fleet = Fleet { wants_wh: (100, 300), ..Fleet::of(12) };
    fleet.change = |profile| profile.reconnect = (Duration::from_millis(20), Duration::from_millis(200));
    let world = scene.world(fleet).await?;
    let town = Town::build(&scene.server.endpoints()?, prepared, &world, (money::USERS, &histories)).await?;
    let (stop, stopped) = watch::channel(false);
    let seeds = scene.rounds(150, 5);
    let mut wrong = Vec::new();
    let ending = async {
        for seed in 0..seeds {
            let (place, detail) = PLACES[seed % PLACES.len()];
            scene.arm(place, detail, "abort", rand::random_range(0..12), 1)?;
            let ended = scene.server.ended(PATIENCE).await?;
            ensure!(ended.is_some(), "{place} {detail} was never reached");
            scene.start().await?;
            wrong.extend(town.books_wrong().await?);
            scene.count("looks at the books", 1);
        }
        Ok(())
    };
    let load = loadtest::fleet::Load { starts_per_s: 6.0, ..LOAD };
    let users = town.drive(&world, 11, stopped.clone());
    let load = async {
        tokio::join!(world.drive(load, 11, stopped), users);
    };
    under_load(load, stop, ending).await?;
    ensure!(wrong.is_empty(), "the books after an end: {wrong:?}");
    scene.count("ends in a closing", scene.hits());
    scene.disarm()?;
    ensure!(world.settle(Duration::from_secs(90)).await, "charging does not come to rest");
    ensure!(town.settle(Duration::from_secs(90)).await, "money does not come to rest");
    let mut verdict = Verdict::default();
    let figures = town.verify(&mut verdict).await?;
    ensure!(verdict.holds(), "{:?}", verdict.violations);
    scene.count("payments", figures.payments_found as u64);
    scene.count("orders settled", figures.orders.values().map(|count| *count as u64).sum());
    scene.judge_without_life(world).await.map(drop)
}

async fn books(scene: &Scene, world: &World) -> Result<(Value, Vec<Session>)> {
    let sums = world.operator.call(Method::GET, "/ops/v1/ledger/verify", None).await?;
    ensure!(sums["sound"] == true, "{sums}");
    let mut all = world.operator.sessions().await?;
    all.sort_by(|a, b| a.session_id.cmp(&b.session_id));
    ensure!(!all.is_empty(), "nothing to compare in {}", scene.folder.display());
    Ok((sums, all))
}

/// M2: all records are folded twice more, all events are delivered twice more.
pub(crate) async fn everything_twice(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    let tariff = json!({"id": "m2", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [{"name": "flat",
        "from": "00:00", "to": "24:00", "electricity": 12_000, "service": 8_000}]});
    world.operator.call(Method::PUT, "/ops/v1/tariffs/m2", Some(tariff)).await?;
    world.operator.call(Method::POST, "/ops/v1/tariffs/m2/roll-out", Some(json!({"version": 1}))).await?;
    let begun = everywhere(&world, "m2").await? as usize;
    sessions(&world, "all are over", |all| all.len() >= begun && all.iter().all(Session::is_over)).await?;
    until("all is told", PATIENCE, async || Ok(world.queue().await.0 == Some(0))).await?;
    let before = books(scene, &world).await?;
    let orders = orders(&world, &before.1).await?;
    for _ in 0..2 {
        let (events, heard) = (world.partner.events().await?, world.sink.counts().0);
        for ids in events.chunks(100).map(|events| events.iter().map(|event| &event.id).collect::<Vec<_>>()) {
            let path = format!("/ops/v1/partners/{FLEET}/webhook/replay");
            let told = world.operator.call(Method::POST, &path, Some(json!({"event_ids": ids}))).await?;
            scene.count("events replayed", told["replayed"].as_u64().with_context(|| told.to_string())?);
        }
        until("they are told again", PATIENCE, async || {
            Ok(world.sink.counts().0 >= heard + events.len() as u64 && world.queue().await.0 == Some(0))
        })
        .await?;
        scene.kill_and_start().await?;
        scene.count("folds of the whole journal", 1);
        ensure!(books(scene, &world).await? == before, "the books or sessions are others (I5, I7)");
        ensure!(self::orders(&world, &before.1).await? == orders, "the bills are others (I5)");
    }
    scene.judge(world).await.map(drop)
}

/// Their bills.
async fn orders(world: &World, sessions: &[Session]) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for session in sessions {
        let path = format!("/orders/{}", session.session_id);
        all.push(world.partner.get(&path).await?.with_context(|| path.clone())?);
    }
    Ok(all)
}

/// O1: restarts in good order, under load.
pub(crate) async fn rolling_restart(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(10)).await?;
    let (stop, stopped) = watch::channel(false);
    let mut longest = Duration::ZERO;
    let restarting = async {
        for _ in 0..scene.rounds(10, 2) {
            tokio::time::sleep(Duration::from_millis(rand::random_range(300..1_200))).await;
            let begun = Instant::now();
            ensure!(scene.server.stop(Duration::from_secs(10)).await?, "it did not end well within 10 s");
            longest = longest.max(begun.elapsed());
            scene.start().await?;
            scene.count("restarts", 1);
        }
        Ok(())
    };
    under_load(world.drive(LOAD, 3, stopped), stop, restarting).await?;
    ensure!(longest < Duration::from_secs(10), "{longest:?} until it had drained");
    scene.count("milliseconds of the longest drain", u64::try_from(longest.as_millis())?.max(1));
    until("all are back (I11)", PATIENCE, async || Ok(all_online(&world))).await?;
    let verdict = scene.judge(world).await?;
    scene.count("acknowledged starts", verdict.figures.starts_found as u64);
    Ok(())
}

/// O2: every charger's actor fails, again and again.
pub(crate) async fn restart_storm(scene: &mut Scene) -> Result<()> {
    const BUDGET: u64 = 10;
    scene.configure("engine.process_restarts", i64::try_from(BUDGET)?)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(20)).await?;
    scene.arm("engine.decide", "charger/", "panic", 0, 1_000_000)?;
    scene.kill_and_start().await?;
    let quarantined = "chargeline_engine_quarantined";
    until("the budget is spent", PATIENCE, async || Ok(scene.metric(quarantined, &[]).await? >= 15)).await?;
    scene.count("rules that panicked", scene.hits());
    let restarts = scene.metric("chargeline_engine_restarts_total", &[]).await?;
    scene.count("restarts of actors", restarts);
    ensure!(restarts <= BUDGET, "{restarts} restarts of at most {BUDGET} (I9)");
    let alerts = world.operator.call(Method::GET, "/ops/v1/alerts", None).await?.to_string();
    ensure!(alerts.contains("\"quarantined\""), "nobody is told: {alerts}");
    let partner = world.partner.get("/sessions?limit=1").await?;
    ensure!(partner.is_some(), "partners are served no more");
    scene.disarm()?;
    scene.kill_and_start().await?;
    until("all are back", PATIENCE, async || Ok(all_online(&world))).await?;
    lively(&world).await?;
    ensure!(scene.metric(quarantined, &[]).await? == 0, "a start begins anew");
    started(&world, "o2-after", 3, 1).await?;
    ensure!(world.chargers[3].identity() == identity(FLEET, 3), "the fleet's order");
    scene.judge(world).await.map(drop)
}
