//! Faults of partners and of their endpoints (W1, W2, W4, W5, P1 to P3).

use crate::chargers::everywhere;
use crate::scene::{Fleet, PATIENCE, Scene, sessions, start, started, until};
use anyhow::{Context as _, Result, ensure};
use axum::http::{HeaderMap, StatusCode, header::LOCATION};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::future::join_all;
use loadtest::fleet::World;
use loadtest::history::{History, SinkRecord, Stamped};
use loadtest::partner::{Outcome, Sink, SinkMode, StartCall};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// Waits between the tries of an event: one second each.
fn every_second() -> toml::Value {
    toml::Value::Array(vec!["1s".into(); 20])
}

/// Another partner, with a sink of its own.
async fn beside(world: &World, id: &str) -> Result<Sink> {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), 1, History::off(), Arc::default()).await?;
    world.operator.put_partner(id, &sink.url()).await?;
    sink.set_secrets(vec![world.operator.make_webhook_secret(id).await?]);
    until("its endpoint has proved itself", PATIENCE, async || Ok(sink.challenges() > 0)).await?;
    Ok(sink)
}

/// What the fleet's sink heard, oldest first.
fn heard(scene: &Scene) -> Result<Vec<Stamped<SinkRecord>>> {
    loadtest::history::read(&scene.histories.join("sink.jsonl"))
}

/// W1: the endpoint answers 500 for a while, then it is well.
pub(crate) async fn failing_endpoint(scene: &mut Scene) -> Result<()> {
    scene.configure("webhook.schedule", every_second())?;
    scene.configure("webhook.jitter", 0.5)?;
    scene.configure("webhook.probe_after", 0)?;
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    started(&world, "w1-first", 0, 1).await?;
    until("the endpoint has proved itself", PATIENCE, async || Ok(world.sink.counts().0 > 0)).await?;
    world.sink.set_mode(SinkMode::Fail(500));
    everywhere_else(&world).await?;
    let rounds = scene.rounds(5, 3) as u64;
    let name = "chargeline_webhook_attempts_total";
    until("tries fail again and again", PATIENCE, async || {
        Ok(scene.metric(name, &["server_error"]).await? > rounds * 4)
    })
    .await?;
    let waiting = world.queue().await.0.unwrap_or(0);
    ensure!(waiting > 0, "nothing waits for an endpoint that fails");
    scene.count("tries that failed", scene.metric(name, &["server_error"]).await?);
    world.sink.set_mode(SinkMode::Accept);
    scene.judge(world).await?;
    let waits = waits(&heard(scene)?);
    scene.count("waits between two tries", waits.len() as u64);
    ensure!(waits.iter().all(|wait| *wait >= 950), "tried again too early: {waits:?}");
    let spread = waits.iter().max().zip(waits.iter().min()).map_or(0, |(most, least)| most - least);
    ensure!(waits.len() < 3 || spread > 20, "no jitter: {waits:?}");
    Ok(())
}

async fn everywhere_else(world: &World) -> Result<()> {
    for (charger, connector) in [(0, 2), (1, 1), (1, 2)] {
        started(world, &format!("else-{charger}-{connector}"), charger, connector).await?;
    }
    Ok(())
}

/// From one try of an event to its next, ms.
fn waits(records: &[Stamped<SinkRecord>]) -> Vec<i64> {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let mut waits = Vec::new();
    for record in records {
        let SinkRecord::Delivery { event_id, arrived_ms, .. } = &record.it;
        waits.extend(last.insert(event_id, *arrived_ms).map(|before| arrived_ms - before));
    }
    waits
}

/// W2: the endpoint takes the event and answers after a minute.
pub(crate) async fn slow_endpoint(scene: &mut Scene) -> Result<()> {
    scene.configure("webhook.schedule", every_second())?;
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    let other = beside(&world, "beside").await?;
    world.sink.set_mode(SinkMode::AnswerAfter(Duration::from_secs(60)));
    everywhere(&world, "w2").await?;
    let name = "chargeline_webhook_attempts_total";
    until("tries time out", PATIENCE, async || Ok(scene.metric(name, &["timed_out"]).await? > 4)).await?;
    scene.count("tries that timed out", scene.metric(name, &["timed_out"]).await?);
    let late = |sink: &Sink| sink.recent().iter().map(|seen| seen.arrived_ms - seen.created_ms).max().unwrap_or(0);
    scene.count("events of the endpoint beside it", other.counts().0);
    ensure!(late(&other) < 2_000, "the endpoint beside it waited {} ms (I14)", late(&other));
    world.sink.set_mode(SinkMode::Accept);
    scene.judge(world).await.map(drop)
}

/// An endpoint that proves itself and from then on answers 301 to another address of ours.
async fn redirecting(trap: u16) -> Result<(String, Arc<AtomicU64>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let answer = move |Json(event): Json<Value>| {
        let count = Arc::clone(&count);
        async move { redirect(&event, trap, &count) }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(answer))).await });
    Ok((url, sent))
}

fn redirect(event: &Value, trap: u16, count: &AtomicU64) -> Response {
    if event["type"] == "webhook.verification" {
        return Json(json!({"challenge": event["data"]["challenge"]})).into_response();
    }
    count.fetch_add(1, Ordering::Relaxed);
    let mut headers = HeaderMap::new();
    headers.extend(format!("http://127.0.0.1:{trap}/").parse().map(|to| (LOCATION, to)));
    (StatusCode::MOVED_PERMANENTLY, headers).into_response()
}

/// W4: 410, a redirect inwards, an endpoint that speaks no TLS, a name that is nobody's.
pub(crate) async fn hopeless_endpoints(scene: &mut Scene) -> Result<()> {
    scene.configure("webhook.schedule", every_second())?;
    scene.configure("webhook.challenge_schedule", every_second())?;
    scene.start().await?;
    let world = scene.world(Fleet::of(1)).await?;
    let gone = beside(&world, "gone").await?;
    gone.set_mode(SinkMode::Gone);
    let trap = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (url, redirected) = redirecting(trap.local_addr()?.port()).await?;
    let plain = TcpListener::bind(("127.0.0.1", 0)).await?;
    let plain_url = format!("https://127.0.0.1:{}/", plain.local_addr()?.port());
    tokio::spawn(async move { while plain.accept().await.is_ok() {} });
    for (id, url) in [("elsewhere", url.as_str()), ("no-tls", &plain_url), ("no-name", "https://nobody.invalid/hook")] {
        world.operator.put_partner(id, url).await?;
        world.operator.make_webhook_secret(id).await?;
    }
    everywhere(&world, "w4").await?;
    let disabled = "chargeline_webhook_disabled_total";
    until("410 disables", PATIENCE, async || Ok(scene.metric(disabled, &["gone"]).await? == 1)).await?;
    until("redirects were answered", PATIENCE, async || Ok(redirected.load(Ordering::Relaxed) > 2)).await?;
    let knocks = "chargeline_webhook_knocks_total";
    until("the others are tried again", PATIENCE, async || Ok(scene.metric(knocks, &["failed"]).await? >= 4)).await?;
    scene.count("endpoints disabled by 410", scene.metric(disabled, &["gone"]).await?);
    scene.count("redirects answered", redirected.load(Ordering::Relaxed));
    scene.count("failed challenges", scene.metric(knocks, &["failed"]).await?);
    let followed = tokio::time::timeout(Duration::from_millis(200), trap.accept()).await;
    ensure!(followed.is_err(), "a redirect was followed");
    scene.judge(world).await.map(drop)
}

/// W5: the process ends after a delivery and before it is written down.
pub(crate) async fn crash_after_delivery(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    let rounds = scene.rounds(10, 3);
    for round in 0..rounds {
        let told = ["session.started", "session.ended", "connector.status"][round % 3];
        scene.arm("webhook.delivered", told, "abort", 0, 1)?;
        let name = format!("w5-{round}");
        let (begun, fell) =
            tokio::join!(started(&world, &name, round % 2, 1), scene.falls_and_rises(Duration::from_secs(20)));
        begun?;
        ensure!(fell?, "it did not end");
        sessions(&world, "the session is over", |all| all.iter().filter(|s| s.is_over()).count() > round).await?;
    }
    scene.count("crashes after a delivery", scene.hits());
    let verdict = scene.judge(world).await?;
    scene.count("redeliveries", verdict.figures.duplicate_deliveries as u64);
    Ok(())
}

/// P1: one request id, a hundred times at once, each from a connection of its own.
pub(crate) async fn one_request_many_times(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    for round in 0..scene.rounds(4, 1) {
        let call = StartCall {
            request_id: format!("p1-{round}"),
            charger_id: world.chargers[round % 2].identity().to_owned(),
            connector_id: 1 + round as u16 / 2,
            user_id: "user".into(),
        };
        let clients: Vec<_> = (0..100).map(|_| world.partner.clone().afresh()).collect::<Result<_>>()?;
        let answers = join_all(clients.iter().map(|client| client.start(&call))).await;
        ensure!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        ensure!(matches!(answers[0], Outcome::Accepted { .. }), "{:?}", answers[0]);
        let all = world.operator.sessions().await?;
        let ours = all.iter().filter(|session| session.request_id.as_ref() == Some(&call.request_id)).count();
        ensure!(ours == 1, "{ours} sessions");
    }
    let name = "chargeline_api_idempotency_total";
    scene.count("repeats", scene.metric(name, &["\"repeat\""]).await?);
    scene.judge(world).await.map(drop)
}

/// P2: the process ends between the claim of a request id and the append, or between the append and the answer.
pub(crate) async fn crash_in_a_request(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet::of(2)).await?;
    let mut begun = 0;
    for (round, (place, detail, what)) in [
        ("api.claimed", "op/", "abort"),
        ("engine.stored", "charger/", "abort"),
        ("journal.flushed", "*", "abort"),
        ("api.claimed", "op/", "panic"),
        ("engine.stored", "charger/", "panic"),
    ]
    .into_iter()
    .enumerate()
    {
        let (charger, connector) = (round % 2, 1 + (round / 2 % 2) as u16);
        let before = scene.hits();
        scene.arm(place, detail, what, 0, 1)?;
        let name = format!("p2-{round}");
        let ends = async {
            match what {
                "abort" => scene.falls_and_rises(Duration::from_secs(20)).await,
                _ => Ok(true),
            }
        };
        let (outcome, ended) = tokio::join!(started(&world, &name, charger, connector), ends);
        let session = outcome?;
        ensure!(ended? && scene.hits() == before + 1, "{place} did not act");
        ensure!(started(&world, &name, charger, connector).await? == session, "another order for {name}");
        begun += 1;
        sessions(&world, "one order a request", |all| {
            all.len() == begun && all.iter().all(loadtest::partner::Session::is_over)
        })
        .await?;
    }
    scene.count("crashes in a request", scene.hits());
    scene.judge(world).await.map(drop)
}

/// P3: the same request id with another body.
pub(crate) async fn one_id_two_bodies(scene: &mut Scene) -> Result<()> {
    scene.start().await?;
    let world = scene.world(Fleet { wants_wh: (3_000, 4_000), ..Fleet::of(2) }).await?;
    let session = started(&world, "p3", 0, 1).await?;
    let conflict = Outcome::Refused { http: 409, code: "request_id_conflict".into() };
    for kill in [false, true] {
        if kill {
            scene.kill_and_start().await?;
        }
        for (charger, connector) in [(0, 2), (1, 1)] {
            let answer = start(&world, "p3", charger, connector).await;
            ensure!(answer == conflict, "{answer:?}");
        }
        let stop = world.partner.stop("p3", &session).await;
        ensure!(stop == conflict, "another call under the id: {stop:?}");
        ensure!(started(&world, "p3", 0, 1).await? == session, "the first body, another order");
    }
    let all = world.operator.sessions().await?;
    ensure!(all.len() == 1 && !all[0].is_over(), "{all:?}");
    let name = "chargeline_api_idempotency_total";
    scene.count("conflicts", scene.metric(name, &["\"conflict\""]).await.context("metrics")?);
    scene.judge(world).await.map(drop)
}
