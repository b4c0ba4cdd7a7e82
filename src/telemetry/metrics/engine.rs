//! Metrics of the engine room.

use super::{COUNTS, Described, Kind, Metric, SECONDS};

/// The kinds of partitions.
const FAMILIES: &[&str] = &["charger", "partner", "platform", "account", "statement", "operator", "counter"];

/// Commands decided.
pub static STEPS: Metric<2> = Metric {
    name: "chargeline_engine_steps_total",
    kind: Kind::Counter,
    help: "Commands that were decided, rejected by a rule, made a rule panic, or were stored and panicked before their answer (`broken`).",
    labels: [("family", FAMILIES), ("outcome", &["decided", "rejected", "panicked", "broken"])],
    page: Some("any `panicked` or `broken`"),
};

/// Commands refused before any rule saw them.
pub static REFUSED: Metric<2> = Metric {
    name: "chargeline_engine_refused_total",
    kind: Kind::Counter,
    help: "Commands refused because a queue or mailbox was full or the entity is quarantined.",
    labels: [("family", FAMILIES), ("bound", &["queue", "mailbox", "host", "quarantine"])],
    page: Some("a lasting rate of `queue` or `host`"),
};

/// Appends that came to nothing.
pub static APPENDS_LOST: Metric<1> = Metric {
    name: "chargeline_engine_appends_lost_total",
    kind: Kind::Counter,
    help: "Turns whose records were not stored; their senders were told.",
    labels: [("family", FAMILIES)],
    page: Some("any"),
};

/// How many steps shared one append.
pub static RECORDS_A_TURN: Metric<1> = Metric {
    name: "chargeline_engine_turn_records",
    kind: Kind::Histogram(COUNTS),
    help: "Records that one turn of a partition's writer stored together.",
    labels: [("family", FAMILIES)],
    page: None,
};

/// How late the chargers' threads are.
pub static ARBITER_LATE: Metric<0> = Metric {
    name: "chargeline_engine_arbiter_late_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "How long what is ready waits on a charger arbiter, measured every 20 ms on each; above `gateway.late_max` chargers that \
           come are turned away.",
    labels: [],
    page: Some("p99 above 0.1 for minutes"),
};

/// Actors in memory.
pub static ACTORS: Metric<1> = Metric {
    name: "chargeline_engine_actors",
    kind: Kind::Gauge,
    help: "Entities in memory, each with its actor.",
    labels: [("family", FAMILIES)],
    page: None,
};

/// Entities rebuilt from the journal.
pub static RESTARTS: Metric<1> = Metric {
    name: "chargeline_engine_restarts_total",
    kind: Kind::Counter,
    help: "Entities rebuilt from the journal after a rule panicked.",
    labels: [("family", FAMILIES)],
    page: Some("any"),
};

/// Entities left alone.
pub static QUARANTINED: Metric<1> = Metric {
    name: "chargeline_engine_quarantined",
    kind: Kind::Gauge,
    help: "Entities that failed too often and wait for a person.",
    labels: [("family", FAMILIES)],
    page: Some("above 0"),
};

/// Partitions that lost their right to write, or left memory.
pub static PARTITIONS_CLOSED: Metric<2> = Metric {
    name: "chargeline_engine_partitions_closed_total",
    kind: Kind::Counter,
    help: "Partitions that left memory: idle, fenced by another writer, or with an append of unknown outcome.",
    labels: [("family", FAMILIES), ("cause", &["idle", "fenced", "unknown", "shutdown"])],
    page: Some("any `fenced` or `unknown`"),
};

/// Snapshots.
pub static SNAPSHOTS: Metric<2> = Metric {
    name: "chargeline_engine_snapshots_total",
    kind: Kind::Counter,
    help: "Snapshots of a partition's states.",
    labels: [("family", FAMILIES), ("outcome", &["written", "failed"])],
    page: Some("a lasting rate of `failed`"),
};

/// Timers.
pub static TIMERS: Metric<1> = Metric {
    name: "chargeline_engine_timers_fired_total",
    kind: Kind::Counter,
    help: "Deadlines that were reached.",
    labels: [("family", FAMILIES)],
    page: None,
};

/// How late timers fire.
pub static TIMER_LATENESS: Metric<0> = Metric {
    name: "chargeline_engine_timer_lateness_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "Time from a deadline to its firing; after a restart it holds the downtime too.",
    labels: [],
    page: Some("p99 above 1 s outside a restart"),
};

/// Recovery.
pub static RECOVERY: Metric<0> = Metric {
    name: "chargeline_engine_recovery_seconds",
    kind: Kind::Gauge,
    help: "How long the last recovery took, from opening the journal to ready.",
    labels: [],
    page: None,
};

/// Alerts raised.
pub static ALERTS: Metric<1> = Metric {
    name: "chargeline_engine_alerts_total",
    kind: Kind::Counter,
    help: "Alerts raised to operators.",
    labels: [("level", &["info", "warning", "critical"])],
    page: Some("any `critical`"),
};

/// Alerts that are in the log only.
pub static ALERTS_NOT_KEPT: Metric<0> = Metric {
    name: "chargeline_engine_alerts_not_kept_total",
    kind: Kind::Counter,
    help: "Alerts that could not be kept in the journal; the log has them.",
    labels: [],
    page: Some("any"),
};

/// Every metric of this room.
pub static ALL: &[Described] = &[
    STEPS.described(),
    ARBITER_LATE.described(),
    REFUSED.described(),
    APPENDS_LOST.described(),
    RECORDS_A_TURN.described(),
    ACTORS.described(),
    RESTARTS.described(),
    QUARANTINED.described(),
    PARTITIONS_CLOSED.described(),
    SNAPSHOTS.described(),
    TIMERS.described(),
    TIMER_LATENESS.described(),
    RECOVERY.described(),
    ALERTS.described(),
    ALERTS_NOT_KEPT.described(),
];
