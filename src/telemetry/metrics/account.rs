//! Metrics of users' accounts and of the books (MO-1, MO-3, MO-9).

use super::{Described, Kind, Metric};

/// What was asked again.
pub static ASKED_AGAIN: Metric<1> = Metric {
    name: "chargeline_account_asked_again_total",
    kind: Kind::Counter,
    help: "Requests of orders and reservations to users' accounts that were asked again: not answered in time, or not before this \
           process was started. Each is booked once all the same (MO-3).",
    labels: [(
        "request",
        &[
            "freeze",
            "extend",
            "capture",
            "charge",
            "release",
            "pay_debt",
            "refund",
            "note_failed_start",
            "deposit",
            "settle",
        ],
    )],
    page: Some("rising for minutes: accounts do not answer"),
};

/// All of this room.
pub(super) const ALL: &[Described] = &[ASKED_AGAIN.described()];
