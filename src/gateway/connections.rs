//! The one connection that counts for each identity (CH-3). Owns generations, takeover and the alarm on alternation;
//! never touches a socket but through its link.
//!
//! Invariants: generations ascend; a connection is replaced only by one of a higher generation; the end of a replaced one
//! changes nothing.

use super::link::LinkHandle;
use super::ports::{CloseReason, Generation};
use crate::ids::ChargerId;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// What attaching came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// It is the current connection now.
    Current {
        /// It replaced another one.
        took_over: bool,
        /// So many takeovers that two devices seem to share the identity.
        alternating: bool,
    },
    /// A newer one is there already.
    Outdated,
}

#[derive(Debug)]
struct Present {
    link: LinkHandle,
    /// When it was taken over lately; as many as the alarm needs. Empty for nearly all.
    takeovers: Vec<Instant>,
}

/// The current connections.
#[derive(Debug, Default)]
pub struct Connections {
    present: DashMap<ChargerId, Present>,
    last: AtomicU64,
}

impl Connections {
    /// The generation of a connection that has just authenticated.
    pub fn next_generation(&self) -> Generation {
        Generation(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Makes a connection the current one and ends the one before.
    pub fn attach(&self, link: &LinkHandle, alarm_at: u32, window: Duration) -> Attached {
        let now = Instant::now();
        match self.present.entry(link.charger().clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Present { link: link.clone(), takeovers: Vec::new() });
                Attached::Current { took_over: false, alternating: false }
            }
            Entry::Occupied(mut occupied) => {
                let present = occupied.get_mut();
                if present.link.generation() > link.generation() {
                    return Attached::Outdated;
                }
                present.link.close(CloseReason::Replaced);
                present.link = link.clone();
                present.takeovers.retain(|at| now.duration_since(*at) < window);
                present.takeovers.push(now);
                let alternating = present.takeovers.len() >= alarm_at as usize;
                if alternating {
                    // One alarm for so many takeovers.
                    present.takeovers.clear();
                }
                Attached::Current { took_over: true, alternating }
            }
        }
    }

    /// Forgets a connection that has ended, if it is still the current one.
    pub fn detach(&self, link: &LinkHandle) {
        self.present.remove_if(link.charger(), |_, present| present.link.generation() == link.generation());
    }

    /// The current connection of a charger.
    pub fn current(&self, charger: &ChargerId) -> Option<LinkHandle> {
        self.present.get(charger).map(|present| present.link.clone())
    }

    /// How many chargers are connected.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether no charger is connected.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// All current links, to be ended by the caller at its pace.
    pub fn links(&self) -> Vec<LinkHandle> {
        self.present.iter().map(|entry| entry.value().link.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::charger::SecurityProfile;
    use crate::gateway::Proof;
    use std::task::{Context, Poll, Waker};

    const WINDOW: Duration = Duration::from_secs(300);

    fn link(generation: u64) -> LinkHandle {
        let remote = "127.0.0.1:1".parse().unwrap();
        let proof = Proof { profile: SecurityProfile::Basic, key: None };
        LinkHandle::new("CP-1".parse().unwrap(), Generation(generation), (remote, proof), "ocpp1.6", 4, Timestamp(0))
    }

    fn ordered_to_close(link: &LinkHandle) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        matches!(link.poll_order(&mut cx, true), Poll::Ready(super::super::link::Order::Close(CloseReason::Replaced)))
    }

    #[test]
    fn the_newest_wins_and_the_end_of_the_old_one_harms_nothing() {
        let connections = Connections::default();
        let (old, new) = (link(1), link(2));
        connections.attach(&old, 3, WINDOW);
        let outcome = connections.attach(&new, 3, WINDOW);
        assert_eq!(outcome, Attached::Current { took_over: true, alternating: false });
        assert!(ordered_to_close(&old) && !ordered_to_close(&new));
        connections.detach(&old);
        assert_eq!(connections.current(new.charger()).map(|l| l.generation()), Some(Generation(2)));
        connections.detach(&new);
        assert!(connections.is_empty());
    }

    #[test]
    fn an_older_connection_that_arrives_late_is_outdated() {
        let connections = Connections::default();
        let new = link(2);
        connections.attach(&new, 3, WINDOW);
        assert_eq!(connections.attach(&link(1), 3, WINDOW), Attached::Outdated);
        assert!(!ordered_to_close(&new));
    }

    #[tokio::test(start_paused = true)]
    async fn alternation_raises_one_alarm_for_so_many_takeovers() {
        let connections = Connections::default();
        let mut alarms = Vec::new();
        for generation in 1..=9 {
            if let Attached::Current { alternating: true, .. } = connections.attach(&link(generation), 3, WINDOW) {
                alarms.push(generation);
            }
        }
        assert_eq!(alarms, [4, 7]);
        tokio::time::advance(WINDOW).await;
        for generation in 10..=20 {
            tokio::time::advance(Duration::from_secs(200)).await;
            let outcome = connections.attach(&link(generation), 3, WINDOW);
            assert_eq!(outcome, Attached::Current { took_over: true, alternating: false }, "{generation}");
        }
    }
}
