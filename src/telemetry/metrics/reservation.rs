//! Metrics of reservations.

use super::{Described, Kind, Metric};

/// Connectors held now.
pub static HELD: Metric<0> = Metric {
    name: "chargeline_reservation_held",
    kind: Kind::Gauge,
    help: "Connectors that are held for users now, their deposits being there or not (RS-1).",
    labels: [],
    page: None,
};

/// Reservations by what became of them.
pub static STATES: Metric<1> = Metric {
    name: "chargeline_reservation_states_total",
    kind: Kind::Counter,
    help: "Reservations that came into a state; those of charger_failed were given up because charger or connector failed \
           (RS-6).",
    labels: [("state", &["reserved", "failed", "fulfilled", "cancelled", "charger_failed", "no_show", "disputed"])],
    page: Some("a share of `disputed` or `charger_failed` that is unlike other days"),
};

/// Requests to accounts.
pub static ACCOUNT_ASKED: Metric<1> = Metric {
    name: "chargeline_reservation_account_requests_total",
    kind: Kind::Counter,
    help: "Requests to users' accounts, repeated ones too, by what was asked.",
    labels: [(
        "request",
        &["freeze", "extend", "capture", "charge", "release", "pay_debt", "refund", "note_failed_start"],
    )],
    page: None,
};

/// All of this room.
pub(super) const ALL: &[Described] = &[HELD.described(), STATES.described(), ACCOUNT_ASKED.described()];
