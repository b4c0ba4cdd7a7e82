//! What goes on beside charging: networks that go away, firmware, outages of a district, endpoints that have bad hours, and
//! the partner who reads its events as it should. Owns when; the chargers and the sink know how.

use super::file::{Answer, BadHour, Happenings, Outage};
use crate::charger::AtCharger;
use crate::fleet::World;
use crate::partner::{Event, SinkMode};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// From one reading of the event list to the next.
const READ_EVENTS_EVERY: Duration = Duration::from_secs(20);
/// Between two tries to listen again.
const COME_UP_EVERY: Duration = Duration::from_millis(100);
/// The longest wait for the next happening, so that the end is noticed.
const WAIT_MAX: Duration = Duration::from_secs(1);

impl Answer {
    /// What the sink does; `None`: it is not there.
    pub(super) fn mode(self) -> Option<SinkMode> {
        match self {
            Answer::Slow => Some(SinkMode::AnswerAfter(Duration::from_secs(5))),
            Answer::Hangs => Some(SinkMode::AnswerAfter(Duration::from_secs(60))),
            Answer::Fails => Some(SinkMode::Fail(500)),
            Answer::TooMany => Some(SinkMode::TooMany { retry_after_s: 2 }),
            Answer::Sometimes => Some(SinkMode::Sometimes { fail_permille: 100 }),
            Answer::Dead => None,
        }
    }
}

/// Everything beside charging, until `stop`. The endpoint is well again at the end.
pub(super) async fn beside(
    world: &World,
    happenings: &Happenings,
    hours: &[BadHour],
    seed: u64,
    stop: watch::Receiver<bool>,
) {
    let offline = happenings.offline;
    let away = (offline.0.0, offline.1.0);
    let firmware = (happenings.firmware.0, happenings.firmware.0);
    let drop = |offline_ms| AtCharger::Drop { offline_ms };
    let update = |offline_ms| AtCharger::Firmware { offline_ms };
    tokio::join!(
        now_and_then(world, happenings.offline_per_h, away, drop, seed ^ 0x0ff1, stop.clone()),
        now_and_then(world, happenings.firmware_per_h, firmware, update, seed ^ 0xf1, stop.clone()),
        outages(world, &happenings.outages, seed, stop.clone()),
        bad_hours(world, hours, stop.clone()),
    );
}

/// One charger after the other, at a rate that all together have.
async fn now_and_then(
    world: &World,
    per_charger_h: f64,
    away: (Duration, Duration),
    what: impl Fn(u32) -> AtCharger,
    seed: u64,
    mut stop: watch::Receiver<bool>,
) {
    #[allow(clippy::cast_precision_loss, reason = "thousands of chargers")]
    let rate = per_charger_h * world.chargers.len() as f64 / 3_600.0;
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut due = 0.0;
    let begun = Instant::now();
    while rate > 0.0 && !*stop.borrow() {
        // Exponential waits: things happen independently of each other.
        due -= (1.0 - rng.random_range(0.0..1.0_f64)).ln() / rate;
        while begun.elapsed().as_secs_f64() < due {
            let wait = Duration::from_secs_f64(due - begun.elapsed().as_secs_f64().min(due)).min(WAIT_MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => return,
            }
        }
        let n = rng.random_range(0..world.chargers.len().max(1));
        let time = away.0 + (away.1.saturating_sub(away.0)).mul_f64(rng.random_range(0.0..1.0));
        if let Some(charger) = world.chargers.get(n) {
            charger.at_charger(what(u32::try_from(time.as_millis()).unwrap_or(u32::MAX)));
        }
    }
}

async fn outages(world: &World, outages: &[Outage], seed: u64, stop: watch::Receiver<bool>) {
    let mut sorted = outages.to_vec();
    sorted.sort_by_key(|o| o.at);
    let begun = Instant::now();
    for outage in sorted {
        if !waited_until(begun + outage.at.0, stop.clone()).await {
            return;
        }
        let offline_ms = u32::try_from(outage.lasts.0.as_millis()).unwrap_or(u32::MAX);
        let mut rng = SmallRng::seed_from_u64(seed);
        for charger in &world.chargers {
            if rng.random_range(0..100) < outage.percent {
                charger.at_charger(AtCharger::Drop { offline_ms });
            }
        }
    }
}

async fn bad_hours(world: &World, hours: &[BadHour], stop: watch::Receiver<bool>) {
    let mut sorted = hours.to_vec();
    sorted.sort_by_key(|h| h.from);
    let begun = Instant::now();
    for hour in sorted {
        if !waited_until(begun + hour.from.0, stop.clone()).await {
            break;
        }
        match hour.answer.mode() {
            Some(mode) => world.sink.set_mode(mode),
            None => world.sink.go_down(),
        }
        let goes_on = waited_until(begun + hour.from.0 + hour.lasts.0, stop.clone()).await;
        be_well(world).await;
        if !goes_on {
            break;
        }
    }
}

/// The endpoint answers at once again.
async fn be_well(world: &World) {
    world.sink.set_mode(SinkMode::Accept);
    while let Err(error) = world.sink.come_up().await {
        tracing::debug!(%error, "the old listener is not gone yet");
        tokio::time::sleep(COME_UP_EVERY).await;
    }
}

/// Whether the moment came before the end.
pub(super) async fn waited_until(moment: Instant, mut stop: watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep_until(moment.into()) => true,
        _ = stop.wait_for(|over| *over) => false,
    }
}

/// Reads new events every now and then, as a careful partner does, and keeps of each what the checker needs: the server
/// keeps events only for a while, and a long run outlasts that.
pub(super) async fn read_events(world: &World, stop: watch::Receiver<bool>) {
    let mut cursor = None;
    let mut goes_on = true;
    while goes_on {
        goes_on = waited_until(Instant::now() + READ_EVENTS_EVERY, stop.clone()).await;
        match world.partner.events_after(&mut cursor).await {
            Ok(events) => {
                let mut kept = world.read_events.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(events.into_iter().map(slim));
            }
            Err(error) => tracing::warn!(%error, "events could not be read this time"),
        }
    }
}

fn slim(event: Event) -> Event {
    let session_id = event.session_id().map(str::to_owned);
    let data = session_id.map_or(serde_json::Value::Null, |id| serde_json::json!({"session_id": id}));
    Event { data, ..event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slim_event_keeps_what_the_checker_looks_at() {
        let event = Event {
            id: "e".into(),
            event_type: "session.started".into(),
            timestamp: "2026-01-02T03:04:05Z".into(),
            order_key: Some("s".into()),
            sequence: Some(1),
            data: serde_json::json!({"session_id": "s", "energy_wh": 5}),
        };
        let kept = slim(event.clone());
        assert_eq!((kept.session_id(), &kept.order_key, kept.sequence), (Some("s"), &event.order_key, Some(1)));
        assert!(kept.data["energy_wh"].is_null());
    }

    #[tokio::test]
    async fn waiting_ends_with_the_moment_or_with_the_run() {
        let (stop, stopped) = watch::channel(false);
        assert!(waited_until(Instant::now(), stopped.clone()).await);
        stop.send(true).unwrap();
        assert!(!waited_until(Instant::now() + Duration::from_secs(50), stopped).await);
    }
}
