//! Who gets as far as a handshake (CH-5). Owns the limits on strangers: rate, number at once, number an address,
//! connections in all; never what they say.
//!
//! Invariant: a permit gives back what it took when it is dropped.

use super::attempts::{Origin, Secure};
use crate::config::gateway::Gateway as Settings;
use dashmap::DashMap;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limit that was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Connections in all.
    Connections,
    /// Handshakes a second.
    Rate,
    /// Handshakes a second while those who are in already are served late.
    Busy,
    /// The memory that the process may use.
    Memory,
    /// Handshakes at once.
    InFlight,
    /// Handshakes at once from one address.
    Address,
    /// TLS handshakes of an address that failed too often.
    TlsFailures,
}

impl Refused {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Refused::Connections => "connections",
            Refused::Rate => "rate",
            Refused::Busy => "busy",
            Refused::Memory => "memory",
            Refused::InFlight => "in_flight",
            Refused::Address => "address",
            Refused::TlsFailures => "tls_failures",
        }
    }
}

/// TLS handshakes at once from an address that has failed too often, where chargers have come in from before.
const FEW: usize = 4;

/// The gate before all handshakes.
#[derive(Debug)]
pub struct Admission {
    rate: DefaultDirectRateLimiter,
    /// What is let in however busy we are, so that nobody waits for ever.
    rate_busy: DefaultDirectRateLimiter,
    in_flight: AtomicUsize,
    in_flight_max: usize,
    per_address: DashMap<Origin, usize>,
    per_address_max: usize,
    connections: AtomicUsize,
}

/// Leave to shake hands.
#[derive(Debug)]
pub struct HandshakePermit {
    gate: Arc<Admission>,
    origin: Origin,
}

/// Leave to be connected.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<Admission>);

impl Admission {
    /// A gate with the limits as configured.
    pub fn new(settings: &Settings) -> Self {
        let limiter = |n: u32| {
            let n = NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(n))
        };
        Admission {
            rate: limiter(settings.handshakes_per_second),
            rate_busy: limiter(settings.handshakes_per_second_busy),
            in_flight: AtomicUsize::new(0),
            in_flight_max: settings.handshakes_in_flight,
            per_address: DashMap::new(),
            per_address_max: settings.handshakes_per_address,
            connections: AtomicUsize::new(0),
        }
    }

    /// Lets a connection in, or not. `busy`: those who are in already are served later than they should be.
    ///
    /// # Errors
    /// The limit that was hit.
    pub fn admit(
        self: &Arc<Self>,
        from: IpAddr,
        connections_max: usize,
        busy: bool,
    ) -> Result<(HandshakePermit, ConnectionPermit), Refused> {
        self.let_in(from, connections_max, busy, (self.per_address_max, Refused::Address))
    }

    /// The same for one who will speak TLS, by what that is worth.
    ///
    /// # Errors
    /// The limit that was hit.
    pub fn admit_tls(
        self: &Arc<Self>,
        from: IpAddr,
        connections_max: usize,
        busy: bool,
        worth: Secure,
    ) -> Result<(HandshakePermit, ConnectionPermit), Refused> {
        match worth {
            Secure::Open => self.admit(from, connections_max, busy),
            Secure::Few => {
                self.let_in(from, connections_max, busy, (FEW.min(self.per_address_max), Refused::TlsFailures))
            }
            Secure::None => Err(Refused::TlsFailures),
        }
    }

    fn let_in(
        self: &Arc<Self>,
        from: IpAddr,
        connections_max: usize,
        busy: bool,
        (here_max, beyond): (usize, Refused),
    ) -> Result<(HandshakePermit, ConnectionPermit), Refused> {
        let connection = take(&self.connections, connections_max).ok_or(Refused::Connections);
        let connection = connection.map(|()| ConnectionPermit(self.clone()))?;
        take(&self.in_flight, self.in_flight_max).ok_or(Refused::InFlight)?;
        let origin = Origin::from(from);
        let here = {
            let mut here = self.per_address.entry(origin).or_insert(0);
            *here += 1;
            *here
        };
        // From here on the permit gives back both.
        let handshake = HandshakePermit { gate: self.clone(), origin };
        if here > here_max {
            return Err(beyond);
        }
        self.rate.check().map_err(|_| Refused::Rate)?;
        if busy {
            self.rate_busy.check().map_err(|_| Refused::Busy)?;
        }
        Ok((handshake, connection))
    }

    /// Handshakes and connections at present.
    pub fn present(&self) -> (usize, usize) {
        (self.in_flight.load(Ordering::Relaxed), self.connections.load(Ordering::Relaxed))
    }
}

fn take(count: &AtomicUsize, max: usize) -> Option<()> {
    let more = |n: usize| (n < max).then_some(n + 1);
    count.try_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| ())
}

impl Drop for HandshakePermit {
    fn drop(&mut self) {
        self.gate.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.gate.per_address.remove_if_mut(&self.origin, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(change: impl FnOnce(&mut Settings)) -> Arc<Admission> {
        let all: toml::Table = crate::config::DEFAULTS.parse().unwrap();
        let mut settings = all["gateway"].clone().try_into().unwrap();
        change(&mut settings);
        Arc::new(Admission::new(&settings))
    }

    #[test]
    fn every_limit_holds_and_permits_give_back() {
        let gate = gate(|s| {
            s.handshakes_in_flight = 3;
            s.handshakes_per_address = 2;
        });
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = gate.admit(a, 10, false).unwrap();
        let second = gate.admit(a, 10, false).unwrap();
        assert_eq!(gate.admit(a, 10, false).err(), Some(Refused::Address));
        let third = gate.admit(b, 10, false).unwrap();
        assert_eq!(gate.admit(b, 10, false).err(), Some(Refused::InFlight));
        assert_eq!(gate.admit(b, 3, false).err(), Some(Refused::Connections));
        drop((first, second, third));
        assert_eq!((gate.present(), gate.per_address.len()), ((0, 0), 0));
        assert!(gate.admit(a, 1, false).is_ok());
    }

    #[test]
    fn an_address_whose_tls_failed_too_often_gets_none_or_a_few_at_once() {
        let gate = gate(|_| {});
        let from = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(gate.admit_tls(from, 100, false, Secure::None).err(), Some(Refused::TlsFailures));
        let few: Vec<_> = (0..FEW).map(|_| gate.admit_tls(from, 100, false, Secure::Few).unwrap()).collect();
        assert_eq!(gate.admit_tls(from, 100, false, Secure::Few).err(), Some(Refused::TlsFailures));
        assert!(gate.admit_tls(from, 100, false, Secure::Open).is_ok());
        drop(few);
        assert_eq!(gate.present(), (0, 0));
        assert!(gate.admit_tls(from, 100, false, Secure::Few).is_ok());
    }

    #[test]
    fn the_rate_limits_a_storm() {
        let gate = gate(|s| s.handshakes_per_second = 50);
        let began = std::time::Instant::now();
        let admitted = (0..1000).filter(|_| gate.admit(IpAddr::from([10, 0, 0, 1]), 10, false).is_ok()).count() as u128;
        let most = 52 + 50 * began.elapsed().as_millis() / 1000;
        assert!((50..=most).contains(&admitted), "{admitted}");
        assert_eq!(gate.present(), (0, 0));
    }

    #[test]
    fn while_we_are_busy_only_a_few_are_let_in_but_they_are() {
        let gate = gate(|s| s.handshakes_per_second_busy = 5);
        let from = IpAddr::from([10, 0, 0, 1]);
        let refusals: Vec<_> = (0..100).filter_map(|_| gate.admit(from, 1_000, true).err()).collect();
        assert!((90..=95).contains(&refusals.len()), "{}", refusals.len());
        assert!(refusals.iter().all(|refused| *refused == Refused::Busy));
        assert!(gate.admit(from, 1_000, false).is_ok(), "what the busy were refused takes nothing from the calm");
    }
}
