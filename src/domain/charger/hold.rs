//! Connectors that are held for users, as the charger knows them (RS-1): which reservation holds which connector, and how
//! far the device itself has been told. Owns the shape, its events and their fold; the rules are in [`super::holds`].

use super::state::Charger;
use super::{Status, UserRef};
use crate::clock::Timestamp;
use crate::ids::{ConnectorId, PartnerId, ReservationId, SessionId};
use serde::{Deserialize, Serialize};

/// How far the device knows of a hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    /// It has not been told, or what was told is lost.
    #[default]
    Untold,
    /// ReserveNow waits or is on its way.
    Asked,
    /// It holds the connector as well.
    Holds,
    /// It does not know reservations, or will not: the platform holds alone.
    Declined,
}

/// One connector that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// By which reservation.
    pub reservation: ReservationId,
    /// Which connector.
    pub connector: ConnectorId,
    /// For whose user.
    pub partner: PartnerId,
    /// For whom.
    pub user: UserRef,
    /// Its number towards the device: `reservationId`.
    pub number: i32,
    /// Its tag towards the device, as remote starts have one (SE-16); the parent of the user's own cards.
    pub id_tag: Box<str>,
    /// Since when.
    #[serde(default)]
    pub since: Timestamp,
    /// From when on the user may come.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The deposit is there, or none is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// How far the device knows.
    #[serde(default)]
    pub device: Device,
    /// A start of the user's is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arriving: Option<SessionId>,
}

impl Hold {
    /// Whether it is that user's.
    pub fn is_of(&self, partner: &PartnerId, user: &str) -> bool {
        self.partner == *partner && *self.user == *user
    }
}

/// What has happened to the holds of a charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum HoldEvent {
    /// A connector is held.
    Taken(Hold),
    /// Its reservation stands.
    Confirmed {
        /// Which.
        reservation: ReservationId,
    },
    /// The device knows more, or less.
    Device {
        /// Of which.
        reservation: ReservationId,
        /// How far.
        device: Device,
    },
    /// A start of its user's is under way, or has failed.
    Arriving {
        /// Which.
        reservation: ReservationId,
        /// The session.
        session: Option<SessionId>,
    },
    /// It is over.
    Freed {
        /// Which.
        reservation: ReservationId,
    },
}

impl Charger {
    pub(super) fn fold_hold(&mut self, event: &HoldEvent) {
        let mut with = |id: &ReservationId, change: &dyn Fn(&mut Hold)| {
            self.holds.iter_mut().filter(|hold| hold.reservation == *id).for_each(change);
        };
        match event {
            HoldEvent::Taken(hold) => self.holds.push(hold.clone()),
            HoldEvent::Confirmed { reservation } => with(reservation, &|hold| hold.confirmed = true),
            HoldEvent::Device { reservation, device } => with(reservation, &|hold| hold.device = *device),
            HoldEvent::Arriving { reservation, session } => with(reservation, &|hold| hold.arriving = *session),
            HoldEvent::Freed { reservation } => self.holds.retain(|hold| hold.reservation != *reservation),
        }
    }

    /// The hold of a reservation.
    pub fn hold(&self, reservation: ReservationId) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.reservation == reservation)
    }

    /// What holds a connector at `now`.
    pub fn held_at(&self, connector: ConnectorId, now: Timestamp) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.connector == connector && (hold.until >= now || hold.arriving.is_some()))
    }

    /// What holds a connector, its time being over or not.
    pub fn held(&self, connector: ConnectorId) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.connector == connector)
    }

    /// A connector that a user could take at once.
    pub fn is_free(&self, connector: ConnectorId) -> bool {
        self.live_on(connector).is_none() && self.shown_status(connector) == Status::Available
    }
}
