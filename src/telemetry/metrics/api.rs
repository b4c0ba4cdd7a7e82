//! Metrics of the api room.

use super::{Described, Kind, Metric, SECONDS};

/// Classes of calls: what a limit and a dashboard tell apart.
pub const CLASSES: &[&str] = &["read", "write", "events", "operator", "open"];

/// Classes of HTTP status; `gone`: the caller left before there was an answer.
pub const STATUSES: &[&str] = &["2xx", "4xx", "429", "5xx", "503", "gone"];

/// Ways in which a signature fails (EM-3).
pub const SIGNATURE_FAILURES: &[&str] =
    &["missing", "bad", "clock", "replay", "banned", "revoked", "scope", "address", "operator_token", "token"];

/// Answered calls.
pub const REQUESTS: Metric<2> = Metric {
    name: "chargeline_api_requests_total",
    kind: Kind::Counter,
    help: "HTTP calls by class and status.",
    labels: [("class", CLASSES), ("status", STATUSES)],
    page: Some("5xx above 1 % for 5 minutes"),
};

/// Time to answer.
pub const SECONDS_TAKEN: Metric<1> = Metric {
    name: "chargeline_api_request_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "Time from a call's head to its answer, by class.",
    labels: [("class", CLASSES)],
    page: None,
};

/// Calls under way.
pub const IN_FLIGHT: Metric<1> = Metric {
    name: "chargeline_api_requests_in_flight",
    kind: Kind::Gauge,
    help: "HTTP calls under way, by class.",
    labels: [("class", CLASSES)],
    page: None,
};

/// Calls whose caller did not prove who it is.
pub const REFUSED_CALLERS: Metric<1> = Metric {
    name: "chargeline_api_signature_failures_total",
    kind: Kind::Counter,
    help: "Calls refused because of their signature, key or token, by kind (EM-3).",
    labels: [("kind", SIGNATURE_FAILURES)],
    page: Some("a rise of `bad` or `replay`: somebody guesses or replays"),
};

/// Answers of the T/CEC face.
pub const TCEC_ANSWERS: Metric<1> = Metric {
    name: "chargeline_api_tcec_answers_total",
    kind: Kind::Counter,
    help: "T/CEC 102 calls by the `Ret` of their answer (EM-11).",
    labels: [("ret", &["success", "busy", "system_error", "signature", "token", "envelope", "parameter"])],
    page: Some("any `system_error`"),
};

/// Bans set.
pub const BANS: Metric<0> = Metric {
    name: "chargeline_api_bans_total",
    kind: Kind::Counter,
    help: "Bans of a key at an address after failures in a row (EM-3).",
    labels: [],
    page: Some("any, if the key is a partner's own"),
};

/// Keys used in another way than usual.
pub const KEY_CHANGES: Metric<1> = Metric {
    name: "chargeline_api_key_changes_total",
    kind: Kind::Counter,
    help: "Sharp changes of how a partner's key is used, by what changed (EM-4).",
    labels: [("change", &["rate", "source", "pattern"])],
    page: Some("several at once: a key may be in other hands"),
};

/// Calls beyond a bound.
pub const LIMITED: Metric<1> = Metric {
    name: "chargeline_api_limited_total",
    kind: Kind::Counter,
    help: "Calls refused because a bound was hit, by bound (EM-4).",
    labels: [(
        "bound",
        &[
            "rate_read",
            "rate_write",
            "rate_events",
            "in_flight",
            "nonces",
            "body",
            "deadline",
            "connections",
            "applications",
        ],
    )],
    page: None,
};

/// How late the threads of HTTP are.
pub static HTTP_LATE: Metric<0> = Metric {
    name: "chargeline_api_late_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "How long what is ready waits for a thread that answers HTTP, measured every 20 ms; above `api.shed_reads_late` reads of \
           partners are turned away (OP-10).",
    labels: [],
    page: Some("p99 above 0.5 for minutes"),
};

/// Calls turned away because the server is late.
pub const SHED: Metric<1> = Metric {
    name: "chargeline_api_shed_total",
    kind: Kind::Counter,
    help: "Calls of partners turned away because the server was late (api.shed_reads_late, api.shed_starts_late), by class (OP-10).",
    labels: [("class", &["read", "start"])],
    page: Some("any `start` for minutes: people cannot charge"),
};

/// Idempotency.
pub const IDEMPOTENCY: Metric<1> = Metric {
    name: "chargeline_api_idempotency_total",
    kind: Kind::Counter,
    help: "Writes by what their request_id was: new, a repeat, a conflict, or set free after 429 or 503 (EM-5).",
    labels: [("outcome", &["new", "repeat", "conflict", "freed"])],
    page: None,
};

/// Handlers that panicked.
pub const PANICS: Metric<0> = Metric {
    name: "chargeline_api_panics_total",
    kind: Kind::Counter,
    help: "Calls that ended in a panic; the caller got `internal`.",
    labels: [],
    page: Some("any"),
};

/// Open connections.
pub const CONNECTIONS: Metric<1> = Metric {
    name: "chargeline_api_connections",
    kind: Kind::Gauge,
    help: "Open HTTP connections, by listener.",
    labels: [("listener", &["partner", "operator", "metrics"])],
    page: None,
};

/// Every metric of this room.
pub const ALL: &[Described] = &[
    REQUESTS.described(),
    SECONDS_TAKEN.described(),
    IN_FLIGHT.described(),
    REFUSED_CALLERS.described(),
    TCEC_ANSWERS.described(),
    BANS.described(),
    KEY_CHANGES.described(),
    LIMITED.described(),
    HTTP_LATE.described(),
    SHED.described(),
    IDEMPOTENCY.described(),
    PANICS.described(),
    CONNECTIONS.described(),
];
