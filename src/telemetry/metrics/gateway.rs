//! Metrics of the gateway room.

use super::{Described, Kind, Metric, SECONDS};

/// Chargers connected now.
pub const CONNECTIONS: Metric<0> = Metric {
    name: "chargeline_gateway_connections",
    kind: Kind::Gauge,
    help: "Charger sockets open now.",
    labels: [],
    page: Some("a fall of more than a tenth within a minute; above 80 % of chargeline_gateway_limit_connections"),
};

/// How many may be.
pub const CONNECTIONS_MOST: Metric<0> = Metric {
    name: "chargeline_gateway_limit_connections",
    kind: Kind::Gauge,
    help: "Charger sockets that may be open at once: gateway.connections_max, or fewer where the system allows the process too few open files.",
    labels: [],
    page: None,
};

/// What became of handshakes.
pub const HANDSHAKES: Metric<1> = Metric {
    name: "chargeline_gateway_handshakes_total",
    kind: Kind::Counter,
    help: "Handshakes by outcome.",
    labels: [(
        "outcome",
        &[
            "accepted",
            "bad_request",
            "not_found",
            "head_too_large",
            "timeout",
            "gone",
            "unauthorized",
            "throttled",
            "no_subprotocol",
            "not_ready",
            "tls_failed",
        ],
    )],
    page: None,
};

/// How long a handshake took.
pub const HANDSHAKE_SECONDS: Metric<0> = Metric {
    name: "chargeline_gateway_handshake_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "From accept to the decision about a handshake.",
    labels: [],
    page: None,
};

/// Connections turned away before a byte was read.
pub const REFUSED: Metric<1> = Metric {
    name: "chargeline_gateway_refused_total",
    kind: Kind::Counter,
    help: "Connections refused at admission (CH-5), by the limit that was hit.",
    labels: [(
        "limit",
        &["connections", "rate", "busy", "memory", "in_flight", "address", "tls_failures", "accept_error", "silent"],
    )],
    page: Some("`connections` or `accept_error` above 0"),
};

/// Failed logins.
pub const AUTH_FAILURES: Metric<1> = Metric {
    name: "chargeline_gateway_auth_failures_total",
    kind: Kind::Counter,
    help: "Logins refused: wrong (password, unknown id, none given), a certificate for another identity, none where one is \
           required, secured worse than the charger's least profile, or not tried because of a limit.",
    labels: [(
        "cause",
        &["wrong", "foreign_certificate", "no_certificate", "downgrade", "id_limit", "address_limit", "total_limit"],
    )],
    page: Some("a sustained rate of *_limit: someone guesses passwords; any downgrade or foreign_certificate"),
};

/// TLS handshakes that failed.
pub const TLS_FAILURES: Metric<1> = Metric {
    name: "chargeline_gateway_tls_failures_total",
    kind: Kind::Counter,
    help: "TLS handshakes of chargers that came to nothing, by cause (CH-3).",
    labels: [(
        "cause",
        &[
            "unknown_issuer",
            "expired_certificate",
            "revoked_certificate",
            "bad_certificate",
            "not_tls",
            "incompatible",
            "alert",
            "gone",
            "other",
        ],
    )],
    page: Some("a sustained rate of *_certificate or unknown_issuer: chargers' certificates have ended, or are forged"),
};

/// How long certificates last.
pub const CERTIFICATE_DAYS: Metric<1> = Metric {
    name: "chargeline_gateway_certificate_expires_days",
    kind: Kind::Gauge,
    help: "Days until a certificate ends; below 0: it has ended, infinite: there is none.",
    labels: [("certificate", &["server", "client_ca"])],
    page: Some("below 14"),
};

/// Reading certificates anew.
pub const TLS_RELOADS: Metric<1> = Metric {
    name: "chargeline_gateway_tls_reloads_total",
    kind: Kind::Counter,
    help: "Changed files of TLS by outcome: taken, or not usable, so that the old ones stay.",
    labels: [("outcome", &["taken", "refused"])],
    page: Some("any refused"),
};

/// Frames.
pub const FRAMES: Metric<1> = Metric {
    name: "chargeline_gateway_messages_total",
    kind: Kind::Counter,
    help: "OCPP messages by direction.",
    labels: [("direction", &["in", "out"])],
    page: None,
};

/// Bytes of frames.
pub const BYTES: Metric<1> = Metric {
    name: "chargeline_gateway_message_bytes_total",
    kind: Kind::Counter,
    help: "Bytes of OCPP messages by direction, without framing.",
    labels: [("direction", &["in", "out"])],
    page: None,
};

/// Heartbeats answered without the charger's actor.
pub const HEARTBEATS: Metric<0> = Metric {
    name: "chargeline_gateway_heartbeats_total",
    kind: Kind::Counter,
    help: "Heartbeats answered by the socket itself.",
    labels: [],
    page: None,
};

/// CALLERRORs sent.
pub const CALL_ERRORS: Metric<1> = Metric {
    name: "chargeline_gateway_call_errors_total",
    kind: Kind::Counter,
    help: "CALLERRORs sent to chargers, by code (CH-2).",
    labels: [(
        "code",
        &[
            "NotImplemented",
            "NotSupported",
            "InternalError",
            "ProtocolError",
            "SecurityError",
            "FormationViolation",
            "PropertyConstraintViolation",
            "OccurenceConstraintViolation",
            "TypeConstraintViolation",
            "GenericError",
        ],
    )],
    page: Some("a sustained rate of InternalError"),
};

/// Frames ignored.
pub const IGNORED: Metric<1> = Metric {
    name: "chargeline_gateway_ignored_total",
    kind: Kind::Counter,
    help: "Messages that were ignored because nothing could be answered (CH-2).",
    labels: [("kind", &["not_a_frame", "unknown_type", "no_id", "broken_answer", "unknown_answer", "binary"])],
    page: None,
};

/// Transaction messages taken although their form is wrong.
pub const FLAGGED: Metric<1> = Metric {
    name: "chargeline_gateway_flagged_total",
    kind: Kind::Counter,
    help: "Messages taken with flags, or kept as bytes because they cannot be read (CH-1).",
    labels: [("kind", &["flagged", "unreadable", "reused_id", "repeated"])],
    page: Some("`unreadable` above 0"),
};

/// Calls of ours and what became of them.
pub const CALLS_OUT: Metric<1> = Metric {
    name: "chargeline_gateway_calls_total",
    kind: Kind::Counter,
    help: "Calls to chargers by outcome.",
    labels: [("outcome", &["result", "error", "timeout", "late", "not_sent", "uncertain", "queue_full"])],
    page: None,
};

/// Takeovers.
pub const TAKEOVERS: Metric<0> = Metric {
    name: "chargeline_gateway_takeovers_total",
    kind: Kind::Counter,
    help: "Connections replaced by a newer one of the same identity (CH-3).",
    labels: [],
    page: None,
};

/// Alternation.
pub const ALTERNATIONS: Metric<0> = Metric {
    name: "chargeline_gateway_alternations_total",
    kind: Kind::Counter,
    help: "Alarms that two devices seem to share one identity (CH-3).",
    labels: [],
    page: Some("above 0"),
};

/// Pings.
pub const PINGS: Metric<0> =
    Metric { name: "chargeline_gateway_pings_total", kind: Kind::Counter, help: "Pings sent.", labels: [], page: None };

/// Why sockets ended.
pub const CLOSED: Metric<1> = Metric {
    name: "chargeline_gateway_closed_total",
    kind: Kind::Counter,
    help: "Charger sockets ended, by reason.",
    labels: [(
        "reason",
        &[
            "peer_closed",
            "peer_gone",
            "silent",
            "stuck",
            "replaced",
            "shutdown",
            "restart",
            "ordered",
            "not_durable",
            "too_big",
            "no_budget",
            "fragments",
            "control_flood",
            "protocol",
            "bad_utf8",
            "aborted",
        ],
    )],
    page: Some("`aborted` above 0, a sustained rate of not_durable"),
};

/// Reading slowed down.
pub const THROTTLED: Metric<0> = Metric {
    name: "chargeline_gateway_throttled_total",
    kind: Kind::Counter,
    help: "Times that a charger was read more slowly because it sent too fast (control 17).",
    labels: [],
    page: None,
};

/// Every metric of this room.
pub const ALL: &[Described] = &[
    CONNECTIONS.described(),
    CONNECTIONS_MOST.described(),
    HANDSHAKES.described(),
    HANDSHAKE_SECONDS.described(),
    REFUSED.described(),
    AUTH_FAILURES.described(),
    TLS_FAILURES.described(),
    CERTIFICATE_DAYS.described(),
    TLS_RELOADS.described(),
    FRAMES.described(),
    BYTES.described(),
    HEARTBEATS.described(),
    CALL_ERRORS.described(),
    IGNORED.described(),
    FLAGGED.described(),
    CALLS_OUT.described(),
    TAKEOVERS.described(),
    ALTERNATIONS.described(),
    PINGS.described(),
    CLOSED.described(),
    THROTTLED.described(),
];
