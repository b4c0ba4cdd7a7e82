//! Vehicles that stay at a connector after their charging, as the charger knows them (SE-13): who is there, and who wants to
//! know. Owns no minute and no fee: the order does.

use super::state::{Charger, Link};
use super::{ChargerStep, Event, Status, subject};
use crate::domain::charging::{Case, Command as FamilyCommand, Key, Level};
use crate::domain::order::{self, Presence};
use crate::ids::{ConnectorId, OrderId};
use serde::{Deserialize, Serialize};

/// Stays watched at once: one a connector, and one more each whose order is on its way out.
const STAYS_MAX: usize = 32;

/// A connector that an order watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Which order.
    pub order: OrderId,
    /// Where.
    pub connector: ConnectorId,
    /// What it was told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Presence>,
}

/// What happens to a stay, as the charger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StayEvent {
    /// An order wants to know.
    Began(Stay),
    /// It was told.
    Told {
        /// Which.
        order: OrderId,
        /// What.
        presence: Presence,
    },
    /// It need not know any more.
    Over {
        /// Which.
        order: OrderId,
    },
}

impl Charger {
    pub(super) fn fold_stay(&mut self, event: &StayEvent) {
        match event {
            StayEvent::Began(stay) => self.stays.push(stay.clone()),
            StayEvent::Told { order, presence } => {
                let known = self.stays.iter_mut().find(|stay| stay.order == *order);
                known.into_iter().for_each(|stay| stay.told = Some(*presence));
            }
            StayEvent::Over { order } => self.stays.retain(|stay| stay.order != *order),
        }
    }

    /// Who is at a connector whose charging is over. Without a connection nobody knows.
    fn presence(&self, connector: ConnectorId) -> Presence {
        if self.live_on(connector).is_some() {
            return Presence::Free;
        }
        if matches!(self.link, Link::Down { .. }) {
            return Presence::Unknown;
        }
        match self.connector(connector).map_or(Status::Unknown, |known| known.status) {
            Status::Available | Status::Reserved => Presence::Free,
            Status::Preparing | Status::Charging | Status::SuspendedEv | Status::SuspendedEvse | Status::Finishing => {
                Presence::Occupied
            }
            Status::Unavailable | Status::Faulted | Status::Unknown => Presence::Unknown,
        }
    }
}

/// An order wants to know who is at a connector.
pub(super) fn began(step: &mut ChargerStep<'_>, order: OrderId, connector: ConnectorId) {
    // A connector has one vehicle: an older stay there is over, whatever it was told.
    let older: Vec<_> = step.state.stays.iter().filter(|stay| stay.connector == connector).cloned().collect();
    for stay in older {
        tell(step, &stay, Presence::Free);
        over(step, stay.order);
    }
    if step.state.stays.len() < STAYS_MAX {
        step.emit(Event::Stay(StayEvent::Began(Stay { order, connector, told: None })));
    }
}

/// It need not know any more.
pub(super) fn over(step: &mut ChargerStep<'_>, order: OrderId) {
    if step.state.stays.iter().any(|stay| stay.order == order) {
        step.emit(Event::Stay(StayEvent::Over { order }));
    }
}

/// What has changed is told: looked at after each command.
pub(super) fn watch(step: &mut ChargerStep<'_>) {
    if step.state.stays.is_empty() {
        return;
    }
    let stays = step.state.stays.to_vec();
    for stay in stays {
        let presence = step.state.presence(stay.connector);
        if stay.told != Some(presence) {
            step.emit(Event::Stay(StayEvent::Told { order: stay.order, presence }));
            tell(step, &stay, presence);
        }
    }
}

fn tell(step: &mut ChargerStep<'_>, stay: &Stay, presence: Presence) {
    let id = stay.order;
    if step.context.ambient.quarantined_orders.contains(&id) {
        let text = format!("it is quarantined; its connector is {presence:?}");
        let case = Case::alert(Level::Critical, "order_quarantined", format!("order/{id}"), text);
        let seen = subject(step);
        step.raise(case.ticket("release the order, then settle by hand what it missed").with(&seen));
        return;
    }
    step.also(Key::Order(id), FamilyCommand::Order(order::Command::Seen(presence)));
}
