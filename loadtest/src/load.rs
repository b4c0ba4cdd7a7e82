//! The load that a world makes: sessions begun at a rate that may rise and fall. Owns when and where; never judges.

use crate::charger::{AtCharger, ChargerHandle, Status};
use crate::fleet::{CARDS, World, card};
use crate::partner::{Outcome, PartnerClient, StartCall};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Partner calls on the way at once; above it starts are skipped.
const CALLS_MAX: usize = 2_000;
/// So far behind, and what was missed is left out.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// The longest wait for the next session: the rate may have risen meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// How much happens.
#[derive(Debug, Clone)]
pub struct Load {
    /// Sessions begun a second in the mean.
    pub starts_per_s: f64,
    /// Of a hundred, begun by a card at the charger.
    pub local_percent: u32,
    /// Of a hundred of the partner's, stopped by the partner (the rest until the car is full).
    pub stopped_percent: u32,
    /// From the 202 to the stop, shortest and longest.
    pub length: (Duration, Duration),
    /// How the rate moves around its mean: weights at equal distances over `period`, joined by lines; empty: it does not.
    pub shape: Vec<f64>,
    /// After so long the shape begins again.
    pub period: Duration,
    /// Set from outside while it runs: then this is the rate.
    pub level: Option<Arc<Level>>,
}

/// A rate that somebody else sets while load is made.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// So many a second from now on.
    pub fn set(&self, per_s: f64) {
        self.0.store(per_s.to_bits(), Ordering::Relaxed);
    }

    /// How many a second now.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Load {
    /// The rate at a moment after the beginning, sessions a second.
    pub fn rate_at(&self, elapsed: Duration) -> f64 {
        if let Some(level) = &self.level {
            return level.get();
        }
        let count = self.shape.len();
        let sum: f64 = self.shape.iter().sum();
        if count == 0 || sum <= 0.0 || self.period.is_zero() {
            return self.starts_per_s;
        }
        #[allow(clippy::cast_precision_loss, reason = "a few weights")]
        let n = count as f64;
        let place = (elapsed.as_secs_f64() / self.period.as_secs_f64()).fract() * n;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the number of weights")]
        let i = (place.floor() as usize).min(count - 1);
        let (here, next) = (self.shape[i], self.shape[(i + 1) % count]);
        let weight = here + (next - here) * place.fract();
        self.starts_per_s * weight * n / sum
    }
}

impl World {
    /// Begins sessions at random until `stop` turns true or its sender is gone.
    pub async fn drive(&self, load: Load, seed: u64, mut stop: watch::Receiver<bool>) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut calls = JoinSet::new();
        let prefix = uuid::Uuid::new_v4().simple().to_string();
        let number = AtomicU64::new(0);
        let begun = Instant::now();
        let mut due = begun;
        while !*stop.borrow() {
            let wait = Duration::from_secs_f64(1.0 / load.rate_at(begun.elapsed()).max(0.001)).min(WAIT_MAX);
            let rate_is_low = wait == WAIT_MAX && load.rate_at(begun.elapsed()) < 1.0;
            due = (due + wait).max(Instant::now().checked_sub(BEHIND_MAX).unwrap_or(begun));
            tokio::select! {
                () = until(due, &mut calls) => {}
                _ = stop.changed() => break,
            }
            // A rate below one a second is met by chance, looked at once a second.
            if rate_is_low && !rng.random_bool(load.rate_at(begun.elapsed()).clamp(0.0, 1.0)) {
                continue;
            }
            let Some((charger, connector)) = self.pick(&mut rng) else { continue };
            if rng.random_range(0..100) < load.local_percent {
                let id_tag = card(&self.partner_id, rng.random_range(0..CARDS)).into();
                charger.at_charger(AtCharger::Card { connector, id_tag });
            } else if calls.len() < CALLS_MAX {
                let n = number.fetch_add(1, Ordering::Relaxed);
                let call = StartCall {
                    request_id: format!("{prefix}-{n}"),
                    charger_id: charger.identity().to_owned(),
                    connector_id: connector,
                    user_id: format!("user-{}", rng.random_range(0..10_000)),
                };
                let (from, to) = load.length;
                let length = from + (to.saturating_sub(from)).mul_f64(rng.random_range(0.0..1.0));
                let stops = rng.random_range(0..100) < load.stopped_percent;
                calls.spawn(one_session(self.partner.clone(), call, stops.then_some(length), stop.clone()));
            }
        }
        while calls.join_next().await.is_some() {} // each ends within its patience and length
    }

    /// A connector that looks free; any at all now and then, because partners do that.
    pub(crate) fn pick(&self, rng: &mut SmallRng) -> Option<(&ChargerHandle, u16)> {
        let mut any = None;
        for _ in 0..16 {
            let charger = self.chargers.get(rng.random_range(0..self.chargers.len().max(1)))?;
            let view = charger.view();
            if view.connectors.is_empty() {
                continue;
            }
            let i = rng.random_range(0..view.connectors.len());
            let connector = u16::try_from(i + 1).unwrap_or(1);
            any = Some((charger, connector));
            let free = view.connectors[i].status == Status::Available;
            if view.online && free || rng.random_bool(0.02) {
                break;
            }
        }
        any
    }
}

/// Waits until then, taking in what has ended meanwhile.
async fn until(due: Instant, calls: &mut JoinSet<()>) {
    let wait = tokio::time::sleep_until(due.into());
    tokio::pin!(wait);
    loop {
        tokio::select! {
            () = &mut wait => return,
            Some(_) = calls.join_next() => {}
        }
    }
}

/// A start and perhaps, later or when the load ends, its stop.
async fn one_session(
    partner: PartnerClient,
    call: StartCall,
    stops_after: Option<Duration>,
    mut load_ends: watch::Receiver<bool>,
) {
    let outcome = partner.start(&call).await;
    if let (Outcome::Accepted { session_id }, Some(after)) = (outcome, stops_after) {
        // Either way it is time to stop; an error of the watch means that the load is over too.
        let _ = tokio::time::timeout(after, load_ends.wait_for(|over| *over)).await;
        partner.stop(&format!("{}-stop", call.request_id), &session_id).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(shape: &[f64]) -> Load {
        Load {
            starts_per_s: 6.0,
            local_percent: 0,
            stopped_percent: 0,
            length: (Duration::ZERO, Duration::ZERO),
            shape: shape.to_vec(),
            period: Duration::from_secs(100),
            level: None,
        }
    }

    #[test]
    fn the_rate_follows_its_shape_and_keeps_its_mean() {
        assert_eq!(load(&[]).rate_at(Duration::from_secs(7)), 6.0);
        let rush = load(&[1.0, 3.0]);
        for (at, rate) in [(0, 3.0), (25, 6.0), (50, 9.0), (75, 6.0), (100, 3.0), (150, 9.0)] {
            assert!((rush.rate_at(Duration::from_secs(at)) - rate).abs() < 1e-9, "{at}");
        }
        let day = load(&[0.0, 0.0, 5.0, 1.0, 2.0, 0.5]);
        let mean: f64 = (0..1_000).map(|ms| day.rate_at(Duration::from_millis(ms * 100))).sum::<f64>() / 1_000.0;
        assert!((mean - 6.0).abs() < 0.05, "{mean}");
        assert_eq!(day.rate_at(Duration::ZERO), 0.0);
        let level = Arc::new(Level::default());
        level.set(42.0);
        assert_eq!(Load { level: Some(level), ..load(&[1.0]) }.rate_at(Duration::ZERO), 42.0);
    }
}
