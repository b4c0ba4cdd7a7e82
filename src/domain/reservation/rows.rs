//! The read models that follow from a reservation's events: `reservation/<id>` (where it is; at its end, all of it),
//! `user-reservation/<partner>/<user>/<reservation>`, `user-hold/<partner>/<user>/<reservation>` as long as it is live,
//! `alert`, `ticket`. Owns their shape.

use super::{Event, Reservation};
use crate::domain::charging::case::{self, row};
use crate::domain::entity::Row;
use crate::ids::ReservationId;

/// The live reservations of users: what keeps a user from having two (RS-1).
pub const HELD: &str = "user-hold";

/// The rows that follow from a step's events.
pub fn project<'a>(
    partition: &str,
    id: ReservationId,
    reservation: &Reservation,
    events: impl Iterator<Item = &'a Event>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut born, mut over, mut settled) = (false, false, false);
    for event in events {
        match event {
            Event::Placed(_) => born = true,
            Event::Over(_) => over = true,
            Event::AccountAnswered { .. } => settled |= !reservation.is_open(),
            Event::Raised(raised) => rows.extend(case::rows(raised)),
            Event::Confirmed { .. }
            | Event::Arriving { .. }
            | Event::AccountAsked { .. }
            | Event::WasDown { .. }
            | Event::Told { .. } => {}
        }
    }
    let (Some(partner), Some(user)) = (&reservation.partner, &reservation.user) else { return rows };
    let key = format!("{partner}/{user}/{id}");
    if over || settled {
        rows.push(row("reservation", id.to_string(), &shown(partition, id, reservation, false)));
    } else if born {
        rows.push(row("reservation", id.to_string(), &shown(partition, id, reservation, true)));
    }
    if born || over {
        let value = serde_json::json!({"reservation_id": id, "charger_id": partition, "open": !over});
        rows.push(row("user-reservation", key.clone(), &value));
    }
    if over {
        rows.push(Row { table: HELD, key, value: None });
    } else if born {
        rows.push(row(HELD, key, &serde_json::json!({"reservation_id": id, "charger_id": partition})));
    }
    rows
}

/// All of it; of an open one its actor tells what has changed since.
fn shown(partition: &str, id: ReservationId, reservation: &Reservation, open: bool) -> serde_json::Value {
    // Texts and numbers: always JSON.
    let mut value = serde_json::to_value(reservation.view(id, partition)).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("open".to_owned(), open.into());
    }
    value
}
