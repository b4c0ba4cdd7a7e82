//! Which connectors misbehave, and how: shares of a thousand become scripts. Owns the spread over the fleet.

use crate::charger::Behaviour;
use crate::fleet::Script;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many of a thousand connectors misbehave in each way; each is one after which everything must still come right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviours {
    /// Cut the socket right after the first sending of a StartTransaction.
    pub loses_answer: u32,
    /// Send every transaction message twice.
    pub repeats_messages: u32,
    /// Lose their network 5 s after the start, for 20 s.
    pub drops_in_charge: u32,
    /// Have their plug pulled after 10 s.
    pub unplugs_in_charge: u32,
    /// Reject remote starts.
    pub refuses_start: u32,
    /// Accept and never start.
    pub never_starts: u32,
    /// Send impossible readings among good ones.
    pub rubbish_readings: u32,
    /// Report a fault after 10 s.
    pub faults_in_charge: u32,
}

/// Coprime with 1,000: neighbours in the fleet get different scripts.
const SPREAD: usize = 619;

impl Behaviours {
    /// One connector in eight, each way alike.
    pub const MIXED: Behaviours = Behaviours {
        loses_answer: 16,
        repeats_messages: 16,
        drops_in_charge: 16,
        unplugs_in_charge: 16,
        refuses_start: 16,
        never_starts: 16,
        rubbish_readings: 16,
        faults_in_charge: 16,
    };

    fn all(&self) -> [(u32, Behaviour); 8] {
        let s = Duration::from_secs;
        [
            (self.loses_answer, Behaviour::LosesAnswer),
            (self.repeats_messages, Behaviour::RepeatsMessages),
            (self.drops_in_charge, Behaviour::DropsInCharge { after: s(5), offline: s(20) }),
            (self.unplugs_in_charge, Behaviour::UnplugsInCharge { after: s(10) }),
            (self.refuses_start, Behaviour::RefusesStart),
            (self.never_starts, Behaviour::NeverStarts),
            (self.rubbish_readings, Behaviour::RubbishReadings),
            (self.faults_in_charge, Behaviour::FaultsInCharge { after: s(10) }),
        ]
    }

    /// All of them together, of a thousand.
    pub fn permille(&self) -> u32 {
        self.all().iter().map(|(share, _)| *share).fold(0, u32::saturating_add)
    }

    /// What the connector of this number in the fleet does.
    pub fn of(&self, connector: usize) -> Behaviour {
        let place = u32::try_from(connector.wrapping_mul(SPREAD) % 1_000).unwrap_or(0);
        let mut end = 0;
        for (share, behaviour) in self.all() {
            end += share;
            if place < end {
                return behaviour;
            }
        }
        Behaviour::Normal
    }

    /// The same for a whole fleet.
    pub fn script(self) -> Script {
        Script::new(move |connector| self.of(connector))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_thousand_connectors_exactly_so_many_misbehave() {
        let some = Behaviours { loses_answer: 3, never_starts: 7, ..Behaviours::default() };
        let count = |b: Behaviour| (0..1_000).filter(|c| some.of(*c) == b).count();
        assert_eq!((count(Behaviour::LosesAnswer), count(Behaviour::NeverStarts)), (3, 7));
        assert_eq!(count(Behaviour::Normal), 990);
        assert_eq!(Behaviours::MIXED.permille(), 128);
        let early = (0..100).filter(|c| Behaviours::MIXED.of(*c) != Behaviour::Normal).count();
        assert!((5..25).contains(&early), "a small fleet has its share too: {early}");
    }
}
