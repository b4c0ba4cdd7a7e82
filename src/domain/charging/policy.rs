//! The limits that rules of a charger's partition are decided with. Owns nothing but a copy of five sections of the
//! configuration, so that a change at run time reaches the rules as a volatile fact (RT-10).

use crate::config::{self, Config};
use std::time::Duration;

/// Sections `[session]`, `[charger]`, `[faults]`, `[order]` and `[reservation]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Limits of sessions.
    pub session: config::session::Session,
    /// What is expected of chargers.
    pub charger: config::charger::Charger,
    /// What faults mean and what is tried.
    pub faults: config::faults::Faults,
    /// What is set aside, looked at and waited for.
    pub order: config::order::Order,
    /// How long reservations last and what they cost.
    pub reservation: config::reservation::Reservation,
}

impl From<&Config> for Policy {
    fn from(config: &Config) -> Self {
        Policy {
            session: config.session.clone(),
            charger: config.charger.clone(),
            faults: config.faults.clone(),
            order: config.order.clone(),
            reservation: config.reservation.clone(),
        }
    }
}

impl Policy {
    /// How long a charger may wait for the plug after a remote start: below our own deadline, so that it gives up
    /// first (SE-16).
    pub fn connection_timeout(&self) -> Duration {
        let deadline = self.session.start_deadline;
        // A sixth below: 50 s of 60 s leaves time for the message's way.
        deadline.saturating_sub(deadline / 6)
    }

    /// Silence of a running session's meter that counts as missed samples (SE-9).
    pub fn missed_after(&self) -> Duration {
        self.session.sample_interval.saturating_mul(u32::from(self.session.missed_samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_in_code_are_those_of_the_documented_file() {
        let value: toml::Table = config::DEFAULTS.parse().unwrap();
        let session: config::session::Session = value["session"].clone().try_into().unwrap();
        let charger: config::charger::Charger = value["charger"].clone().try_into().unwrap();
        let faults: config::faults::Faults = value["faults"].clone().try_into().unwrap();
        let reservation: config::reservation::Reservation = value["reservation"].clone().try_into().unwrap();
        let order: config::order::Order = value["order"].clone().try_into().unwrap();
        assert_eq!(Policy::default(), Policy { session, charger, faults, order, reservation });
    }

    #[test]
    fn a_charger_gives_up_waiting_for_the_plug_before_we_do() {
        assert_eq!(Policy::default().connection_timeout(), Duration::from_secs(50));
    }
}
