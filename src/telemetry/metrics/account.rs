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

/// Orders that were priced again.
pub static ORDERS_CHECKED: Metric<1> = Metric {
    name: "chargeline_account_orders_checked_total",
    kind: Kind::Counter,
    help: "Settled orders that were priced again by a second path in the night, by whether both paths agree (MO-9).",
    labels: [("result", &["same", "differs"])],
    page: Some("any `differs`: a bill is wrong; its ticket says which"),
};

/// The accounts of the ledger, those of partners together.
const LEDGER: &[&str] = &[
    "user:available",
    "user:frozen",
    "user:debt",
    "gateway-clearing",
    "gateway-refunds",
    "revenue-energy",
    "revenue-service",
    "revenue-occupancy",
    "revenue-reservation",
    "coupons",
    "refunds",
    "adjustments",
    "partner-receivable",
];

/// The balance sheet.
pub static BALANCE: Metric<1> = Metric {
    name: "chargeline_account_balance_minor",
    kind: Kind::Gauge,
    help: "What each ledger account has gained over all users in the configured currency, in minor units, at the last look at all \
           books (each night, and when somebody verifies them). They sum to 0; user:frozen are the holds, user:debt the debts.",
    labels: [("account", LEDGER)],
    page: None,
};

/// What is wrong with the books.
pub static BOOKS_WRONG: Metric<0> = Metric {
    name: "chargeline_account_books_wrong",
    kind: Kind::Gauge,
    help: "Problems that the last look at all books has found (MO-1).",
    labels: [],
    page: Some("above 0: the books are wrong"),
};

/// Minor units booked.
pub static BOOKED: Metric<2> = Metric {
    name: "chargeline_account_booked_minor_total",
    kind: Kind::Counter,
    help: "Minor units that this process has booked to a ledger account, by whether it gained or lost them.",
    labels: [("account", LEDGER), ("side", &["gained", "lost"])],
    page: None,
};

/// Frozen amounts.
pub static HOLDS: Metric<1> = Metric {
    name: "chargeline_account_holds_total",
    kind: Kind::Counter,
    help: "Frozen amounts that were opened (or extended) and closed; the difference is under way.",
    labels: [("change", &["set", "closed"])],
    page: None,
};

/// Debts.
pub static DEBTS: Metric<1> = Metric {
    name: "chargeline_account_debts_total",
    kind: Kind::Counter,
    help: "Debts of orders that rose or fell, and those that were paid in full (MO-4).",
    labels: [("change", &["set", "settled"])],
    page: None,
};

/// Top-ups by what became of them.
pub static TOP_UPS: Metric<1> = Metric {
    name: "chargeline_account_top_ups_total",
    kind: Kind::Counter,
    help: "Top-ups that came into a state (MO-3).",
    labels: [("state", &["pending", "last_query", "paid", "failed", "expired"])],
    page: Some("`expired` rising against `paid`: callbacks and answers of the gateway are missing"),
};

/// All of this room.
pub(super) const ALL: &[Described] = &[
    ASKED_AGAIN.described(),
    BALANCE.described(),
    BOOKED.described(),
    BOOKS_WRONG.described(),
    DEBTS.described(),
    HOLDS.described(),
    ORDERS_CHECKED.described(),
    TOP_UPS.described(),
];
