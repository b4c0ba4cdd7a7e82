//! Faults of what decides: panics, poisoned records, races for one connector, deadlines in an outage and under a clock that
//! jumps (S1 to S3, S5, S6, S8, S9).

use crate::chargers::everywhere;
use crate::hand::{Hand, number, start_payload, stop_payload};
use crate::scene::{FLEET, Fleet, PATIENCE, Scene, lively, sessions, started, until};
use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use loadtest::fleet::{World, identity};
use loadtest::history::{FactKind, History};
use loadtest::partner::PartnerClient;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RESTARTS: &str = "chargeline_engine_restarts_total";
const STEPS: &str = "chargeline_engine_steps_total";
const QUARANTINED: &str = "chargeline_engine_quarantined";

/// S1: handlers panic, wherever they are.
pub(crate) async fn panics(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(4)).await?;
    let of = |n| identity(FLEET, n);
    for (place, detail, skip, times) in [
        ("engine.decide", format!("charger/{}", of(0)), 2, 3),
        ("engine.stored", format!("charger/{}", of(1)), 3, 2),
        ("gateway.call", of(2), 4, 2),
        ("engine.decide", format!("partner/{FLEET}"), 3, 2),
        ("engine.stored", format!("partner/{FLEET}"), 6, 1),
        ("api.claimed", "op/".to_owned(), 1, 1),
    ] {
        scene.arm(place, &detail, "panic", skip, times)?;
    }
    let mut begun = 0;
    for wave in 0..2 {
        begun += everywhere(&world, &format!("s1-{wave}")).await? as usize;
        sessions(&world, "all are over", |all| all.len() >= begun && all.iter().all(|s| s.is_over())).await?;
    }
    scene.count("panics hit", scene.hits());
    ensure!(scene.hits() >= 10, "only {} of 11 panics", scene.hits());
    scene.count("entities rebuilt", scene.metric(RESTARTS, &[]).await?);
    scene.count("steps that broke after they were stored", scene.metric(STEPS, &["broken"]).await?);
    ensure!(scene.metric(QUARANTINED, &[]).await? == 0, "three panics a minute are no quarantine");
    let verdict = scene.judge(world).await?;
    ensure!(verdict.figures.starts_found == begun, "{}", verdict.line());
    Ok(())
}

async fn quarantined(world: &World) -> Result<Vec<String>> {
    let listed = world.operator.call(Method::GET, "/ops/v1/quarantine", None).await?;
    let items = listed["items"].as_array().cloned().unwrap_or_default();
    Ok(items.iter().filter_map(|item| item["entity"].as_str().map(str::to_owned)).collect())
}

/// S2: records that panic each time they are folded.
pub(crate) async fn poisoned_record(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet { wants_wh: (3_000, 4_000), ..Fleet::of(3) }).await?;
    let poisoned = identity(FLEET, 0);
    started(&world, "s2-sick", 0, 1).await?;
    sessions(&world, "it charges", |all| all.iter().any(|s| s.status == "Charging")).await?;
    scene.arm("engine.fold", &format!("charger/{poisoned}"), "panic", 0, 100_000)?;
    scene.kill_and_start().await?;
    until("it is left alone", PATIENCE, async || Ok(!quarantined(&world).await?.is_empty())).await?;
    let entities = quarantined(&world).await?;
    ensure!(entities.iter().all(|entity| entity.contains(&poisoned)), "somebody else too: {entities:?}");
    ensure!(scene.metric(QUARANTINED, &[]).await? == entities.len() as u64, "the metric");
    ensure!(scene.metric(RESTARTS, &[]).await? <= 3 * entities.len() as u64, "too many restarts (I9)");
    let alerts = world.operator.call(Method::GET, "/ops/v1/alerts", None).await?.to_string();
    ensure!(alerts.contains("\"quarantined\"") && alerts.contains(&poisoned), "no alert: {alerts}");
    for well in 1..3 {
        until("a charger that is well comes back", PATIENCE, async || {
            Ok(world.operator.call(Method::GET, &format!("/ops/v1/chargers/{}", identity(FLEET, well)), None).await?
                ["online"]
                == true)
        })
        .await?;
        let begun = Instant::now();
        started(&world, &format!("s2-well-{well}"), well, 1).await?;
        ensure!(begun.elapsed() < Duration::from_secs(3), "the others wait (I14): {:?}", begun.elapsed());
    }
    // What cannot be folded hides nobody else (I14).
    for listed in [world.operator.sessions().await?, world.partner.sessions().await?] {
        ensure!(listed.len() == 2 && listed.iter().all(|s| s.charger_id != poisoned), "{listed:?}");
    }
    scene.count("folds that panicked", scene.hits());
    scene.count("entities quarantined", entities.len() as u64);
    scene.disarm()?;
    for entity in entities {
        let release = Some(json!({"entity": entity}));
        world.operator.call(Method::POST, "/ops/v1/quarantine/release", release).await?;
    }
    scene.judge(world).await.map(drop)
}

/// S3: a panic between the append and the answer.
pub(crate) async fn panic_before_the_answer(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let port = scene.server.ports().ocpp;
    let mut hand = Hand::arrive(&world, port, "CP-s3").await?;
    let rounds = scene.rounds(3, 1);
    for round in 0..rounds {
        let (local, payload) = (round as u64, start_payload(1, &world.card(round), 100));
        hand.happened(FactKind::Start, local, 1, 100);
        scene.arm("engine.stored", "charger/CP-s3", "panic", 0, 1)?;
        // What is durable is answered, panic or not; the charger asks again all the same.
        drop(hand.call("StartTransaction", payload.clone()).await);
        hand = hand.again(&world, port).await?;
        let found = |all: &[loadtest::partner::Session]| all.iter().any(|session| !session.is_over());
        sessions(&world, "the record is there", found).await?;
        let known = world.operator.sessions().await?;
        let known = known.iter().find(|session| !session.is_over()).context("the record is not there")?;
        let transaction = hand.start_again(local, &payload).await?;
        ensure!(known.transaction_id == Some(transaction), "{known:?} got {transaction}");
        let stop = stop_payload(transaction, 130);
        hand.happened(FactKind::Stop, local, 1, 130);
        scene.arm("engine.stored", "charger/CP-s3", "panic", 0, 1)?;
        drop(hand.call("StopTransaction", stop.clone()).await);
        hand = hand.again(&world, port).await?;
        let answer = hand.call("StopTransaction", stop).await?;
        hand.confirmed(FactKind::Stop, local, transaction, &answer);
        // Three within a minute are allowed to one entity.
        if round + 1 < rounds {
            scene.kill_and_start().await?;
            hand = hand.again(&world, port).await?;
        }
    }
    scene.count("panics before the answer", scene.hits());
    ensure!(scene.hits() == 2 * rounds as u64, "{} panics", scene.hits());
    sessions(&world, "all are there", |all| all.len() == rounds).await?;
    let all = world.operator.sessions().await?;
    ensure!(all.len() == rounds && all.iter().all(|s| s.energy_wh == 30), "{all:?}");
    drop(hand);
    scene.judge(world).await.map(drop)
}

async fn rival(scene: &Scene, world: &World) -> Result<PartnerClient> {
    world.operator.put_partner("rival", "http://127.0.0.1:9/").await?;
    let key = world.operator.make_key("rival").await?;
    let base = scene.server.endpoints()?.partner;
    PartnerClient::new(&base, key, History::off(), Arc::default(), PATIENCE)
}

/// S5: two partners reserve one connector together.
pub(crate) async fn two_reserve_one(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let rival = rival(scene, &world).await?;
    let idle = Hand::arrive(&world, scene.server.ports().ocpp, "CP-s5").await?.idles();
    let (mut first, mut second) = (0, 0);
    for race in 0..scene.rounds(1_000, 50) {
        let body = |who: &str| {
            json!({"request_id": format!("s5-{who}-{race}"), "charger_id": "CP-s5", "connector_id": 1 + race % 2,
                   "user": {"id": format!("{who}-{race}")}})
        };
        let (ours, theirs) = (body("ours"), body("theirs"));
        let (ours, theirs) =
            tokio::join!(world.partner.post("/reservations", &ours), rival.post("/reservations", &theirs));
        let (ours, theirs) = (ours?, theirs?);
        let (winner, won, lost) = if ours.0 == 202 { (&world.partner, ours, theirs) } else { (&rival, theirs, ours) };
        ensure!((won.0, lost.0) == (202, 409), "race {race}: {won:?} and {lost:?} (I4)");
        if std::ptr::eq(winner, &world.partner) {
            first += 1
        } else {
            second += 1
        }
        let path = format!("/reservations/{}/cancel", won.1["reservation_id"].as_str().context("an id")?);
        let given_up = winner.post(&path, &json!({"request_id": format!("s5-end-{race}")})).await?;
        ensure!(given_up.0 == 202, "{given_up:?}");
    }
    scene.count("races won by the first", first);
    scene.count("races won by the second", second);
    idle.abort();
    scene.judge(world).await.map(drop)
}

/// Reserves connector 1 of a charger; the reservation's id.
async fn reserve(partner: &PartnerClient, name: &str, charger: &str, connector: u16) -> Result<String> {
    let body = json!({"request_id": name, "charger_id": charger, "connector_id": connector, "user": {"id": name}});
    let (status, answer) = partner.post("/reservations", &body).await?;
    ensure!(status == 202, "{status} {answer}");
    Ok(answer["reservation_id"].as_str().context("an id")?.to_owned())
}

/// S6: the reservation's time is over while its user presents the card.
pub(crate) async fn expires_at_the_card(scene: &mut Scene) -> Result<()> {
    scene.configure("reservation.hold", "1s")?;
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let mut hand = Hand::arrive(&world, scene.server.ports().ocpp, "CP-s6").await?;
    let rounds = scene.rounds(24, 8) as i64;
    for round in 0..rounds {
        let name = format!("s6-{round}");
        let made = Instant::now();
        let id = reserve(&world.partner, &name, "CP-s6", 1).await?;
        let (_, command) = hand.asked("ReserveNow").await?;
        let mut payload = start_payload(1, command["idTag"].as_str().context("a tag")?, round * 100);
        payload["reservationId"] = command["reservationId"].clone();
        // From 60 ms before its end to as much after it.
        let at = Duration::from_millis(u64::try_from(940 + round * 120 / rounds.max(1))?);
        tokio::time::sleep_until((made + at).into()).await;
        payload["timestamp"] = crate::hand::now().into();
        let answer = hand.call("StartTransaction", payload).await?;
        let transaction: i64 = number(&answer, "transactionId")?;
        let session = one_of_two(&world, &id, transaction, answer["idTagInfo"]["status"] == "Accepted").await?;
        scene.count(if session { "arrived in time" } else { "came too late" }, 1);
        hand.call("StopTransaction", stop_payload(transaction, round * 100 + 5)).await?;
        hand.status(1, "Available").await?;
        hand.commands.clear();
    }
    drop(hand);
    scene.judge(world).await.map(drop)
}

/// It became this session, or it ended without one; never both. Whether it became one.
async fn one_of_two(world: &World, id: &str, transaction: i64, accepted: bool) -> Result<bool> {
    let mut held = Value::Null;
    until("the reservation has its end", PATIENCE, async || {
        held = world.partner.get(&format!("/reservations/{id}")).await?.context("it is gone")?;
        Ok(held["status"] != "Reserved")
    })
    .await?;
    let all = world.operator.sessions().await?;
    let session = all.iter().find(|session| session.transaction_id == Some(transaction));
    let named = held["session_id"].as_str();
    match held["status"].as_str() {
        Some("Fulfilled") => {
            ensure!(accepted && session.is_some_and(|s| Some(s.session_id.as_str()) == named), "{held} {session:?}");
            Ok(true)
        }
        Some("NoShow") => {
            ensure!(named.is_none() && !accepted, "ended, and yet let in: {held} {session:?}");
            Ok(false)
        }
        _ => anyhow::bail!("another end: {held}"),
    }
}

/// S8: a thousand deadlines pass while the process is down.
pub(crate) async fn deadlines_in_an_outage(scene: &mut Scene) -> Result<()> {
    const A_SECOND: u64 = 100;
    // Long enough to make them all before the first is over.
    let hold = scene.rounds(40, 10);
    scene.configure("reservation.hold", format!("{hold}s"))?;
    let hold = Duration::from_secs(hold as u64);
    scene.configure("engine.arbiters", 1)?;
    scene.configure("engine.overdue_per_second", i64::try_from(A_SECOND)?)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(scene.rounds(500, 20))).await?;
    let begun = Instant::now();
    let wanted = (0..world.chargers.len()).flat_map(|n| [(n, 1), (n, 2)]);
    let made = stream::iter(wanted.map(|(n, connector)| {
        let partner = &world.partner;
        async move { reserve(partner, &format!("s8-{n}-{connector}"), &identity(FLEET, n), connector).await }
    }));
    let made: Vec<String> = made.buffer_unordered(32).try_collect().await?;
    let took = begun.elapsed();
    scene.kill().await?;
    ensure!(took < hold, "{} reservations took {took:?}: some were over before the outage", made.len());
    // All of them so late that they wait in line (`pacer::OVERDUE`), however quick the start is.
    tokio::time::sleep_until((begun + took + hold + Duration::from_secs(2)).into()).await;
    scene.start().await?;
    let (ready, mut last) = (Instant::now(), 0);
    let ended = "chargeline_reservation_states_total";
    until("all are over", Duration::from_secs(90), async || {
        let over = scene.metric(ended, &["no_show"]).await?;
        let most = A_SECOND as f64 * (ready.elapsed().as_secs_f64() + 1.5);
        ensure!(over as f64 <= most, "a burst: {over} within {:?}", ready.elapsed());
        last = over;
        Ok(over >= made.len() as u64)
    })
    .await?;
    scene.count("deadlines of the outage", last);
    ensure!(last == made.len() as u64, "{last} ends of {} (I13)", made.len());
    in_due_order(&world, made.len()).await?;
    scene.judge(world).await.map(drop)
}

/// Each is told once, and about in the order in which they fell due.
async fn in_due_order(world: &World, count: usize) -> Result<()> {
    let events = world.partner.events().await?;
    let over: Vec<_> = events.iter().filter(|event| event.event_type == "reservation.no_show").collect();
    let ids: BTreeSet<&str> = over.iter().filter_map(|event| event.data["reservation_id"].as_str()).collect();
    ensure!((over.len(), ids.len()) == (count, count), "{} events of {} reservations", over.len(), ids.len());
    let due: Vec<i64> = over
        .iter()
        .filter_map(|event| loadtest::time::parse_rfc3339(event.data["until"].as_str().unwrap_or_default()))
        .collect();
    ensure!(due.len() == count, "no `until` in {:?}", over.first());
    let mut latest = 0;
    for at in due {
        ensure!(at >= latest - 1_000, "one that was due {} ms earlier came later", latest - at);
        latest = latest.max(at);
    }
    Ok(())
}

async fn reservation(world: &World, id: &str) -> Result<String> {
    let held = world.operator.call(Method::GET, &format!("/ops/v1/reservations/{id}"), None).await?;
    Ok(held["status"].as_str().unwrap_or_default().to_owned())
}

async fn webhooks(world: &World, what: &str, round: usize) -> Result<()> {
    let body = json!({"request_id": format!("s9-{what}-{round}")});
    let (status, answer) = world.partner.post(&format!("/webhook/{what}"), &body).await?;
    ensure!(status == 202, "{what}: {status} {answer}");
    Ok(())
}

/// S9: the wall clock jumps an hour ahead, and an hour back.
pub(crate) async fn clock_jumps(scene: &mut Scene) -> Result<()> {
    const HOLD: Duration = Duration::from_secs(4);
    scene.configure("reservation.hold", "4s")?;
    scene.preload()?;
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    for (round, hours) in [1, -1].into_iter().enumerate() {
        let begun = Instant::now();
        let id = reserve(&world.partner, &format!("s9-{round}"), &identity(FLEET, 0), 1 + round as u16).await?;
        let before = scene.shim()?.shifted()?;
        // A signature of another hour is rightly refused: events wait until the clock is right.
        webhooks(&world, "pause", round).await?;
        scene.shim()?.shift_clock(hours * 3_600)?;
        scene.count("jumps of the clock", 1);
        while begun.elapsed() < HOLD - Duration::from_millis(300) {
            let status = reservation(&world, &id).await?;
            ensure!(status == "Reserved" || begun.elapsed() >= HOLD, "{status} after {:?} (I13)", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        until("it ends in its time", HOLD, async || Ok(reservation(&world, &id).await? == "NoShow")).await?;
        ensure!(begun.elapsed() < HOLD + Duration::from_secs(3), "only after {:?}", begun.elapsed());
        lively(&world).await?;
        scene.count("readings of the clock elsewhere", scene.shim()?.shifted()? - before);
        scene.shim()?.shift_clock(0)?;
        webhooks(&world, "resume", round).await?;
    }
    // Over a restart the stored time counts: what is over by the clock ends at once, in order.
    let id = reserve(&world.partner, "s9-restart", &identity(FLEET, 1), 1).await?;
    webhooks(&world, "pause", 9).await?;
    scene.kill().await?;
    scene.shim()?.shift_clock(3_600)?;
    scene.start().await?;
    until("it ends", PATIENCE, async || Ok(reservation(&world, &id).await? != "Reserved")).await?;
    scene.shim()?.shift_clock(0)?;
    scene.kill_and_start().await?;
    webhooks(&world, "resume", 9).await?;
    lively(&world).await?;
    started(&world, "s9-after", 1, 2).await?;
    scene.judge(world).await.map(drop)
}
