//! Metrics of the message log.

use super::{Described, Kind, Metric};

/// Frames written.
pub static KEPT: Metric<0> = Metric {
    name: "chargeline_messages_kept_total",
    kind: Kind::Counter,
    help: "OCPP frames written to the message log; a run of heartbeats counts as one.",
    labels: [],
    page: None,
};

/// Frames not kept.
pub static DROPPED: Metric<1> = Metric {
    name: "chargeline_messages_dropped_total",
    kind: Kind::Counter,
    help: "OCPP frames that the message log did not keep, by reason. They were served all the same.",
    labels: [("reason", &["queue", "no_room", "failed"])],
    page: Some("rate above 0 for an hour: the log has holes"),
};

/// What the files hold.
pub static STORED_BYTES: Metric<0> = Metric {
    name: "chargeline_messages_stored_bytes",
    kind: Kind::Gauge,
    help: "Bytes of the message log's files when a new one was last begun.",
    labels: [],
    page: None,
};

/// Every metric of this room.
pub const ALL: &[Described] = &[KEPT.described(), DROPPED.described(), STORED_BYTES.described()];
