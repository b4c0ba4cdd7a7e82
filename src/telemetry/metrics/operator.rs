//! Metrics of operators and their audit trail.

use super::{Described, Kind, Metric, SECONDS};

/// Lines of the audit trail.
pub static AUDIT_LINES: Metric<1> = Metric {
    name: "chargeline_operator_audit_lines_total",
    kind: Kind::Counter,
    help: "Lines for the audit trail: `kept` in the journal before the call was answered, or `lost`: only the log has them (OP-3).",
    labels: [("outcome", &["kept", "lost"])],
    page: Some("any `lost` outside a start"),
};

/// What the durability of a line costs a call.
pub static AUDIT_SECONDS: Metric<0> = Metric {
    name: "chargeline_operator_audit_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "How long an operator's call waited for its line of the audit trail to be durable.",
    labels: [],
    page: None,
};

/// Lines that were old.
pub static AUDIT_PRUNED: Metric<0> = Metric {
    name: "chargeline_operator_audit_pruned_total",
    kind: Kind::Counter,
    help: "Lines of the audit trail that were older than `operators.audit_kept` and are gone.",
    labels: [],
    page: None,
};

/// Calls that were refused before they were looked at.
pub static REFUSED: Metric<1> = Metric {
    name: "chargeline_operator_refused_total",
    kind: Kind::Counter,
    help: "Operators' calls refused at the door: an unknown or dead `token`, a `ban` after such, a `role` that may not make the call, \
           a `name` that is not the token's; `early`: before all operators were read.",
    labels: [("cause", &["token", "ban", "role", "name", "early"])],
    page: Some("`token` above a few an hour"),
};

/// All of this room.
pub(super) const ALL: &[Described] =
    &[AUDIT_LINES.described(), AUDIT_SECONDS.described(), AUDIT_PRUNED.described(), REFUSED.described()];
