//! Partners' calls that are turned away while the server is late or memory nearly full (OP-10). Owns which call is of which kind, the answer, and
//! the two log lines of a spell; the rule is in `domain::overload`.
//!
//! Invariant: what ends, cancels or pays something, and what a partner tells us, is never turned away here.

use crate::api::catalogue::Code;
use crate::api::port::Refusal;
use crate::clock::Timestamp;
use crate::config::api::Api;
use crate::domain::overload::{Demand, Pressure};
use crate::telemetry::metrics::api as metrics;
use http::Method;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tells what presses just now.
pub type Load = Arc<dyn Fn() -> Pressure + Send + Sync>;

/// What those who are turned away are told to wait, s: at random, or they would come back in one instant.
const WAIT_S: RangeInclusive<u64> = 1..=5;
/// So long without anybody turned away, and the spell is over.
const CALM: Duration = Duration::from_secs(5);

/// Of which kind a call of the native face is. `path` is that of the request, without its query.
pub(in crate::api) fn demand_of(method: &Method, path: &str) -> Demand {
    match path {
        _ if method == Method::GET || method == Method::HEAD => Demand::Query,
        "/api/v1/sessions" | "/api/v1/reservations" => Demand::Start,
        _ => Demand::Kept,
    }
}

/// Turns calls away.
pub(in crate::api) struct Shed {
    load: Load,
    /// A spell lasts: read before the lock is taken.
    lasts: AtomicBool,
    spell: Mutex<Option<Spell>>,
}

/// A time in which somebody was turned away.
#[derive(Debug, Clone, Copy)]
struct Spell {
    began: Timestamp,
    last: Timestamp,
    queries: u64,
    starts: u64,
}

impl Shed {
    /// By this measure.
    pub(super) fn new(load: Load) -> Self {
        Shed { load, lasts: AtomicBool::new(false), spell: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Spell>> {
        self.spell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The refusal of a call of this kind, if it is turned away now.
    pub(in crate::api) fn refusal(&self, demand: Demand, api: &Api, now: Timestamp) -> Option<Refusal> {
        let (bound, class) = match demand {
            Demand::Query => (api.shed_reads_late, "read"),
            Demand::Start => (api.shed_starts_late, "start"),
            Demand::Kept | Demand::Handshake => return None,
        };
        let pressure = (self.load)();
        if !pressure.turns_away(demand, bound, rand::random()) {
            self.calm(now);
            return None;
        }
        metrics::SHED.add(1, [class]);
        self.noted(demand, pressure, now);
        Some(Refusal::from(Code::Busy).after(Duration::from_secs(rand::random_range(WAIT_S))))
    }

    fn noted(&self, demand: Demand, Pressure { late, full }: Pressure, now: Timestamp) {
        let mut spell = self.lock();
        let current = spell.get_or_insert_with(|| {
            tracing::warn!(
                late_ms = late.as_millis(),
                memory_full = full,
                "overload: calls of partners are turned away from now on"
            );
            Spell { began: now, last: now, queries: 0, starts: 0 }
        });
        current.last = now;
        match demand {
            Demand::Query => current.queries += 1,
            Demand::Start => {
                if current.starts == 0 {
                    tracing::warn!(
                        late_ms = late.as_millis(),
                        memory_full = full,
                        "overload: starts by partners are turned away too"
                    );
                }
                current.starts += 1;
            }
            Demand::Kept | Demand::Handshake => {}
        }
        self.lasts.store(true, Ordering::Relaxed);
    }

    /// Tells the end of a spell that nobody was turned away in for a while.
    pub(super) fn calm(&self, now: Timestamp) {
        if !self.lasts.load(Ordering::Relaxed) {
            return;
        }
        let mut spell = self.lock();
        if let Some(over) = spell.take_if(|spell| now.since(spell.last) >= CALM) {
            self.lasts.store(false, Ordering::Relaxed);
            let (reads, starts) = (over.queries, over.starts);
            let lasted_s = over.last.since(over.began).as_secs();
            tracing::info!(reads, starts, lasted_s, "overload is over: calls of partners were turned away");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn api() -> Api {
        let mut api = crate::config::reference::defaults().unwrap().api;
        (api.shed_reads_late, api.shed_starts_late) = (Duration::from_millis(500), Duration::from_secs(1));
        api
    }

    #[test]
    fn every_call_has_its_kind() {
        for (method, path, demand) in [
            (Method::GET, "/api/v1/sessions", Demand::Query),
            (Method::GET, "/api/v1/events", Demand::Query),
            (Method::POST, "/api/v1/sessions", Demand::Start),
            (Method::POST, "/api/v1/reservations", Demand::Start),
            (Method::POST, "/api/v1/sessions/s1/stop", Demand::Kept),
            (Method::POST, "/api/v1/reservations/r1/cancel", Demand::Kept),
            (Method::POST, "/api/v1/orders/o1/pay", Demand::Kept),
            (Method::POST, "/api/v1/keys", Demand::Kept),
        ] {
            assert_eq!(demand_of(&method, path), demand, "{method} {path}");
        }
    }

    #[test]
    fn reads_go_first_then_starts_each_with_a_time_to_come_back_and_the_spell_ends() {
        let late = Arc::new(AtomicU64::new(0));
        let told = late.clone();
        let load = move || Pressure { late: Duration::from_millis(told.load(Ordering::Relaxed)), full: 0.0 };
        let shed = Shed::new(Arc::new(load));
        let api = api();
        let refused = |demand, s: i64| shed.refusal(demand, &api, Timestamp(s * 1_000)).is_some();
        for (late_ms, query, start) in [(0, false, false), (1_000, true, false), (2_000, true, true)] {
            late.store(late_ms, Ordering::Relaxed);
            assert_eq!((refused(Demand::Query, 10), refused(Demand::Start, 10)), (query, start), "{late_ms} ms");
            assert!(!refused(Demand::Kept, 10), "{late_ms} ms");
        }
        let refusal = shed.refusal(Demand::Start, &api, Timestamp(11_000)).unwrap();
        assert_eq!(refusal.code, Code::Busy);
        assert!(refusal.retry_after.is_some_and(|wait| WAIT_S.contains(&wait.as_secs())));
        late.store(0, Ordering::Relaxed);
        assert!(!refused(Demand::Query, 12) && shed.lock().is_some());
        assert!(!refused(Demand::Query, 17) && shed.lock().is_none());
    }
}
