//! Rate limits for each key and class of call, and calls of one partner at the same time (EM-4). Owns the counting; the
//! figures are configuration.
//!
//! Only proven keys are counted, so the memory is bounded by the keys there are; idle ones are pruned.

use crate::api::error::seconds;
use crate::api::trace::Class;
use crate::config::api::Api;
use crate::ids::PartnerId;
use arc_swap::ArcSwap;
use dashmap::DashMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderMap, HeaderValue};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

type Keyed = RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// The figures of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    fn limiter(self) -> Keyed {
        let whole = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(whole(self.per_second)).allow_burst(whole(self.burst));
        RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>()
    }
}

/// The figures of all classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rates {
    read: Rate,
    write: Rate,
    events: Rate,
}

impl Rates {
    fn of(api: &Api) -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Rates {
            read: rate(api.read_rate, api.read_burst),
            write: rate(api.write_rate, api.write_burst),
            events: rate(api.events_rate, api.events_burst),
        }
    }
}

struct Limiters {
    rates: Rates,
    read: Keyed,
    write: Keyed,
    events: Keyed,
}

impl Limiters {
    fn new(rates: Rates) -> Self {
        let (read, write, events) = (rates.read.limiter(), rates.write.limiter(), rates.events.limiter());
        Limiters { rates, read, write, events }
    }

    fn of(&self, class: Class) -> (&Keyed, Rate) {
        match class {
            Class::Read | Class::Operator | Class::Open => (&self.read, self.rates.read),
            Class::Write => (&self.write, self.rates.write),
            Class::Events => (&self.events, self.rates.events),
        }
    }
}

/// What the limit of a class leaves to a key: headers of every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Of which class.
    pub class: Class,
    /// How many calls come back in a second.
    pub per_second: u32,
    /// Calls at once.
    pub limit: u32,
    /// Calls left now.
    pub remaining: u32,
    /// The call is refused, and for how long.
    pub wait: Option<Duration>,
}

impl Allowance {
    /// The limit of the class and what is left of it: `RateLimit-Policy` and `RateLimit` of the IETF's draft
    /// (draft-ietf-httpapi-ratelimit-headers-10), and beside them the three headers of its earlier versions, which more
    /// clients read.
    pub fn write(self, headers: &mut HeaderMap) {
        let reset = self.wait.map_or(0, seconds);
        let back = |calls: u32| u64::from(calls.div_ceil(self.per_second.max(1))).max(reset);
        let (class, limit, left) = (self.class.label(), self.limit, self.remaining);
        let policy = format!("\"{class}\";q={limit};w={}", back(limit).max(1));
        let state = format!("\"{class}\";r={left};t={}", back(limit.saturating_sub(left)));
        for (name, text) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(reset));
    }
}

/// The limits of all keys and partners.
pub struct Limits {
    limiters: ArcSwap<Limiters>,
    clock: DefaultClock,
    in_flight: DashMap<PartnerId, Arc<AtomicUsize>>,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("rates", &self.limiters.load().rates).finish_non_exhaustive()
    }
}

impl Limits {
    /// With the figures of `api`.
    pub fn new(api: &Api) -> Self {
        let limiters = ArcSwap::from_pointee(Limiters::new(Rates::of(api)));
        Limits { limiters, clock: DefaultClock::default(), in_flight: DashMap::new() }
    }

    /// Counts a call of `key_id`. Changed figures take effect at once, with all allowances full again.
    pub fn count(&self, key_id: &str, class: Class, api: &Api) -> Allowance {
        let rates = Rates::of(api);
        if self.limiters.load().rates != rates {
            self.limiters.store(Arc::new(Limiters::new(rates)));
        }
        let limiters = self.limiters.load();
        let (limiter, rate) = limiters.of(class);
        let (remaining, wait) = match limiter.check_key(&key_id.to_owned()) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(not_until) => (0, Some(not_until.wait_time_from(self.clock.now()))),
        };
        Allowance { class, per_second: rate.per_second, limit: rate.burst, remaining, wait }
    }

    /// Takes one of the partner's places; `None`: all are taken.
    pub fn enter(&self, partner: &PartnerId, most: usize) -> Option<Place> {
        let count = Arc::clone(&self.in_flight.entry(partner.clone()).or_default());
        let more = |n: usize| (n < most).then_some(n + 1);
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Place(count))
    }

    /// Forgets keys that are at rest. Called now and then.
    pub fn prune(&self) {
        let limiters = self.limiters.load();
        for limiter in [&limiters.read, &limiters.write, &limiters.events] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// One of a partner's places, until dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::config;

    #[test]
    fn each_key_and_class_has_its_own_allowance() {
        let api = Api { write_rate: 1, write_burst: 2, read_rate: 1, read_burst: 1, ..config() };
        let limits = Limits::new(&api);
        let wait = |key: &str, class| limits.count(key, class, &api).wait.is_some();
        assert_eq!([wait("a", Class::Write), wait("a", Class::Write), wait("a", Class::Write)], [false, false, true]);
        assert_eq!([wait("a", Class::Read), wait("b", Class::Write)], [false, false]);
        let refused = limits.count("a", Class::Write, &api);
        assert!(refused.wait.is_some_and(|w| w > Duration::ZERO && w <= Duration::from_secs(1)), "{refused:?}");
    }

    #[test]
    fn new_figures_take_effect_at_once() {
        let api = Api { read_rate: 1, read_burst: 1, ..config() };
        let limits = Limits::new(&api);
        assert!(limits.count("a", Class::Read, &api).wait.is_none());
        assert!(limits.count("a", Class::Read, &api).wait.is_some());
        let more = Api { read_burst: 10, ..api };
        let now = Allowance { class: Class::Read, per_second: 1, limit: 10, remaining: 9, wait: None };
        assert_eq!(limits.count("a", Class::Read, &more), now);
    }

    #[test]
    fn the_headers_say_limit_and_rest_in_both_forms() {
        let (read, wait) = (Class::Read, Some(Duration::from_millis(1500)));
        for (allowance, policy, state, older) in [
            ((50, 100, 99, None), "\"read\";q=100;w=2", "\"read\";r=99;t=1", "100 99 0"),
            ((50, 100, 100, None), "\"read\";q=100;w=2", "\"read\";r=100;t=0", "100 100 0"),
            ((1, 3, 0, wait), "\"read\";q=3;w=3", "\"read\";r=0;t=3", "3 0 2"),
        ] {
            let (per_second, limit, remaining, wait) = allowance;
            let mut headers = HeaderMap::new();
            Allowance { class: read, per_second, limit, remaining, wait }.write(&mut headers);
            let said = |name: &str| headers[name].to_str().unwrap().to_owned();
            assert_eq!((said("ratelimit-policy").as_str(), said("ratelimit").as_str()), (policy, state));
            let all = ["limit", "remaining", "reset"].map(|end| said(&format!("ratelimit-{end}")));
            assert_eq!(all.join(" "), older);
        }
    }

    #[test]
    fn a_partner_has_so_many_places_and_gets_them_back() {
        let limits = Limits::new(&config());
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let places: Vec<_> = (0..3).map(|_| limits.enter(&a, 3)).collect();
        assert!(places.iter().all(Option::is_some) && limits.enter(&a, 3).is_none() && limits.enter(&b, 3).is_some());
        drop(places);
        assert!(limits.enter(&a, 3).is_some());
    }
}
