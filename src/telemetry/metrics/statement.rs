//! Metrics of statements.

use super::{Described, Kind, Metric};

/// Statements by what became of making them.
pub static MADE: Metric<1> = Metric {
    name: "chargeline_statement_made_total",
    kind: Kind::Counter,
    help: "Statements made; those that could not be made or kept are tried `again` (RC-3).",
    labels: [("outcome", &["made", "again"])],
    page: Some("any `again` that does not stop within the hour"),
};

/// Disputes.
pub static DISPUTES: Metric<0> = Metric {
    name: "chargeline_statement_disputes_total",
    kind: Kind::Counter,
    help: "Orders that partners have disputed in statements (RC-4).",
    labels: [],
    page: None,
};

/// All of this room.
pub(super) const ALL: &[Described] = &[MADE.described(), DISPUTES.described()];
