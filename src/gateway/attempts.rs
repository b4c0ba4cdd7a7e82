//! How many failed logins are tried (control 6). Owns the limits per id, per address and in all; never whether a
//! password is right.
//!
//! Only failures use up a limit, so a storm of good logins meets none. Beyond a limit a login is refused whether it is right
//! or not, with two exceptions: from the address from which the charger came in last, and for a charger that has not come
//! in since we started, the right password still counts, so that someone who guesses keeps nobody out. Wrong ones get the
//! same refusal in every case.
//!
//! A TLS handshake that fails counts against its address too. Beyond that limit the handshakes of an address are not begun
//! at all, for nothing is known of who is there; but where a charger has come in from, and for a while after the start anywhere, a
//! few at once are, so that one bad device behind a shared address locks nobody out. Memory is bounded: ids and addresses are counted in a fixed number of slots by a keyed hash,
//! so two may share a slot, and strangers create no state (control 18).

use crate::config::gateway::Gateway as Settings;
use crate::ids::ChargerId;
use dashmap::DashMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots for ids and for addresses. 16,384 × 2 × some 100 bytes at most.
const SLOTS: u64 = 16_384;

/// The part of an address that counts: IPv6 hosts own a whole /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(u64);

impl From<IpAddr> for Origin {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            // Tagged with a prefix of fe80::/10, which no global address has.
            IpAddr::V4(v4) => Origin(0xfe80_0000_0000_0000 | u64::from(u32::from(v4))),
            IpAddr::V6(v6) => Origin((u128::from(v6) >> 64) as u64),
        }
    }
}

/// Which limit stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// That id has failed too often.
    Id,
    /// That address has failed too often.
    Address,
    /// All logins together have failed too often.
    Total,
}

impl Limited {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Limited::Id => "id_limit",
            Limited::Address => "address_limit",
            Limited::Total => "total_limit",
        }
    }
}

/// What a login is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// No limit is reached.
    Open,
    /// Beyond a limit: only the right password gets another answer than a barred one.
    Strict(Limited),
    /// Beyond a limit: refused, right or not.
    Barred(Limited),
}

/// What the TLS handshake of an address is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// No limit is reached.
    Open,
    /// Beyond the limit, but a charger has come in from there, or none could yet: a few at once.
    Few,
    /// Beyond the limit, and nobody ever came in from there: none.
    None,
}

/// One limit over slots: counts failures, and remembers which slots are barred until when.
struct Slots {
    limiter: DefaultKeyedRateLimiter<u64>,
    barred: DashMap<u64, u64>,
}

impl Slots {
    fn new(per_minute: NonZeroU32) -> Self {
        Slots { limiter: RateLimiter::keyed(Quota::per_minute(per_minute)), barred: DashMap::new() }
    }

    fn is_barred(&self, slot: u64, now: u64) -> bool {
        self.barred.get(&slot).is_some_and(|until| *until > now)
    }

    /// The failure that empties the bucket bars the slot until the bucket holds one again.
    fn failed(&self, slot: u64, now: u64) {
        let wait = |limiter: &DefaultKeyedRateLimiter<u64>| {
            limiter.check_key(&slot).err().map(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
        };
        if let Some(wait) = wait(&self.limiter) {
            self.barred.insert(slot, now.saturating_add(nanos(wait)));
        }
    }

    fn prune(&self, now: u64) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.barred.retain(|_, until| *until > now);
    }
}

/// The limits of one gateway.
pub struct Attempts {
    ids: Slots,
    addresses: Slots,
    total: DefaultDirectRateLimiter,
    total_barred: AtomicU64,
    /// Where each charger came in last. Known chargers only, so as many as there are chargers.
    last: DashMap<ChargerId, Origin>,
    /// How many chargers came in last from an address: no more entries than `last` has.
    homes: DashMap<Origin, u32>,
    /// Until then nobody can be expected to have come in.
    homecoming: u64,
    hasher: RandomState,
    began: std::time::Instant,
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts").field("known", &self.last.len()).finish_non_exhaustive()
    }
}

fn nanos(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

fn at_least_one(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

impl Attempts {
    /// Limits as configured, all unused.
    pub fn new(settings: &Settings) -> Self {
        Attempts {
            ids: Slots::new(at_least_one(settings.auth_failures_per_id)),
            addresses: Slots::new(at_least_one(settings.auth_failures_per_address)),
            total: RateLimiter::direct(Quota::per_minute(at_least_one(settings.auth_failures_total))),
            total_barred: AtomicU64::new(0),
            last: DashMap::new(),
            homes: DashMap::new(),
            homecoming: nanos(settings.homecoming),
            hasher: RandomState::new(),
            began: std::time::Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    fn slot(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value) % SLOTS
    }

    /// What a login is worth at present.
    pub fn judge(&self, id: &ChargerId, from: IpAddr) -> Trial {
        let origin = Origin::from(from);
        let Some(limited) = self.limited(id, origin) else { return Trial::Open };
        if self.last.get(id).is_none_or(|last| *last == origin) {
            Trial::Strict(limited)
        } else {
            Trial::Barred(limited)
        }
    }

    fn limited(&self, id: &ChargerId, origin: Origin) -> Option<Limited> {
        let now = self.now();
        if self.total_barred.load(Ordering::Relaxed) > now {
            return Some(Limited::Total);
        }
        if self.addresses.is_barred(self.slot(&origin), now) {
            return Some(Limited::Address);
        }
        self.ids.is_barred(self.slot(id), now).then_some(Limited::Id)
    }

    /// Counts a failure.
    pub fn failed(&self, id: &ChargerId, from: IpAddr) {
        let now = self.now();
        self.ids.failed(self.slot(id), now);
        self.addresses.failed(self.slot(&Origin::from(from)), now);
        if let Err(not_until) = self.total.check() {
            let wait = nanos(not_until.wait_time_from(DefaultClock::default().now()));
            self.total_barred.store(now.saturating_add(wait), Ordering::Relaxed);
        }
    }

    /// Remembers from where a charger came in.
    pub fn succeeded(&self, id: &ChargerId, from: IpAddr) {
        let origin = Origin::from(from);
        if self.last.get(id).is_none_or(|last| *last != origin) {
            *self.homes.entry(origin).or_insert(0) += 1;
            if let Some(before) = self.last.insert(id.clone(), origin) {
                self.homes.remove_if_mut(&before, |_, chargers| {
                    *chargers = chargers.saturating_sub(1);
                    *chargers == 0
                });
            }
        }
    }

    /// What a TLS handshake from there is worth at present.
    pub fn judge_tls(&self, from: IpAddr) -> Secure {
        let origin = Origin::from(from);
        let now = self.now();
        let home = now < self.homecoming || self.homes.contains_key(&origin);
        match (self.addresses.is_barred(self.slot(&origin), now), home) {
            (false, _) => Secure::Open,
            (true, true) => Secure::Few,
            (true, false) => Secure::None,
        }
    }

    /// Counts a TLS handshake that failed. Nobody has said who it is, so it counts against the address alone.
    pub fn failed_tls(&self, from: IpAddr) {
        self.addresses.failed(self.slot(&Origin::from(from)), self.now());
    }

    /// Gives memory back. Called now and then.
    pub fn prune(&self) {
        let now = self.now();
        self.ids.prune(now);
        self.addresses.prune(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts {
        let all: toml::Table = crate::config::DEFAULTS.parse().unwrap();
        Attempts::new(&all["gateway"].clone().try_into().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn of_a_hundred_thousand_guesses_about_ten_are_tried_and_the_charger_still_comes_in() {
        let attempts = attempts();
        let id: ChargerId = "CP-1".parse().unwrap();
        attempts.succeeded(&id, ip("10.0.0.7"));
        let (mut tried, began) = (0, std::time::Instant::now());
        for n in 0..100_000u32 {
            let from = IpAddr::from(std::net::Ipv4Addr::from(0xc000_0200 + n % 200));
            if attempts.judge(&id, from) == Trial::Open {
                tried += 1;
                attempts.failed(&id, from);
            }
        }
        // One more every six seconds that this takes.
        assert!((10..=12 + began.elapsed().as_secs() / 6).contains(&tried), "{tried}");
        assert_eq!(attempts.judge(&id, ip("192.0.2.1")), Trial::Barred(Limited::Id));
        assert_eq!(attempts.judge(&id, ip("10.0.0.7")), Trial::Strict(Limited::Id));
    }

    #[test]
    fn an_address_that_tries_many_ids_is_barred_and_memory_stays_bounded() {
        let attempts = attempts();
        let (mut tried, began) = (0, std::time::Instant::now());
        for n in 0..100_000u32 {
            let id: ChargerId = format!("X{n}").parse().unwrap();
            if attempts.judge(&id, ip("192.0.2.1")) == Trial::Open {
                tried += 1;
                attempts.failed(&id, ip("192.0.2.1"));
            }
        }
        // One more every second that this takes.
        assert!((60..=62 + began.elapsed().as_secs()).contains(&tried), "{tried}");
        assert!(attempts.ids.limiter.len() <= 100 && attempts.last.is_empty());
        let id: ChargerId = "CP-1".parse().unwrap();
        let slot = |from: IpAddr| attempts.slot(&Origin::from(from));
        let mut others = (2..200u8).map(|n| IpAddr::from([192, 0, 2, n]));
        let other = others.find(|other| slot(*other) != slot(ip("192.0.2.1"))).unwrap();
        assert_eq!(attempts.judge(&id, other), Trial::Open);
        assert_eq!(attempts.judge(&id, ip("192.0.2.1")), Trial::Strict(Limited::Address), "it has not come in yet");
    }

    #[test]
    fn failed_tls_bars_an_address_and_where_a_charger_came_in_a_few_still_may() {
        let mut attempts = attempts();
        (0..200).for_each(|_| attempts.failed_tls(ip("10.1.0.1")));
        assert_eq!(attempts.judge_tls(ip("10.1.0.1")), Secure::Few, "nobody had the time to come in");
        attempts.homecoming = 0;
        assert_eq!(attempts.judge_tls(ip("10.1.0.1")), Secure::None);
        let (home, other) = (ip("10.0.0.7"), ip("192.0.2.1"));
        let fail = |from| (0..200).for_each(|_| attempts.failed_tls(from));
        fail(other);
        assert_eq!((attempts.judge_tls(other), attempts.judge_tls(home)), (Secure::None, Secure::Open));
        let (one, two): (ChargerId, ChargerId) = ("CP-1".parse().unwrap(), "CP-2".parse().unwrap());
        attempts.succeeded(&one, home);
        attempts.succeeded(&two, home);
        fail(home);
        assert_eq!(attempts.judge_tls(home), Secure::Few);
        assert_eq!(attempts.judge(&one, home), Trial::Strict(Limited::Address), "the right password counts");
        // They move away, one after the other.
        attempts.succeeded(&one, other);
        assert_eq!((attempts.judge_tls(home), attempts.judge_tls(other)), (Secure::Few, Secure::Few));
        attempts.succeeded(&two, other);
        assert_eq!((attempts.judge_tls(home), attempts.homes.len()), (Secure::None, 1));
    }

    #[test]
    fn hosts_of_one_ipv6_network_are_one_origin_and_mapped_addresses_are_ipv4() {
        assert_eq!(Origin::from(ip("2001:db8::1")), Origin::from(ip("2001:db8::ffff")));
        assert_ne!(Origin::from(ip("2001:db8::1")), Origin::from(ip("2001:db8:0:1::1")));
        assert_eq!(Origin::from(ip("::ffff:10.0.0.1")), Origin::from(ip("10.0.0.1")));
    }
}
