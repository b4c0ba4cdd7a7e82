//! Metrics of the webhook room. No partner is ever a label: the operator API shows single queues.

use super::{COUNTS, Described, Kind, Metric};

/// Create → delivered takes from a millisecond to two days of retries.
const LATENCY: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0,
    86_400.0, 172_800.0,
];

/// Values of the label `outcome` of [`ATTEMPTS`], in this order: see `actors::webhook`.
pub const OUTCOMES: &[&str] = &[
    "delivered",
    "redirect",
    "client_error",
    "gone",
    "slow_down",
    "server_error",
    "other_status",
    "timed_out",
    "name_failed",
    "refused",
    "connect_failed",
    "tls_failed",
    "broken",
    "declined",
    "not_echoed",
    "missing",
];

/// Values of the label `purpose` of [`KNOCKS`].
pub const PURPOSES: &[&str] = &["challenge", "probe"];

/// Values of the label `outcome` of [`KNOCKS`].
pub const KNOCK_OUTCOMES: &[&str] = &["passed", "failed"];

/// Values of the label `by` of [`DISABLED`].
pub const DISABLERS: &[&str] = &["gone", "failing"];

/// Values of the label `reason` of [`REFUSED`].
pub const REFUSALS: &[&str] = &["url", "address"];

/// Finished tries.
pub const ATTEMPTS: Metric<1> = Metric {
    name: "chargeline_webhook_attempts_total",
    kind: Kind::Counter,
    help: "Finished tries to deliver a webhook, by what came of them.",
    labels: [("outcome", OUTCOMES)],
    page: None,
};

/// Questions to endpoints.
pub const KNOCKS: Metric<2> = Metric {
    name: "chargeline_webhook_knocks_total",
    kind: Kind::Counter,
    help: "Questions to endpoints, by what for (a new URL's challenge, a disabled one's probe) and what came of it.",
    labels: [("purpose", PURPOSES), ("outcome", KNOCK_OUTCOMES)],
    page: None,
};

/// Endpoints that were disabled by themselves.
pub const DISABLED: Metric<1> = Metric {
    name: "chargeline_webhook_disabled_total",
    kind: Kind::Counter,
    help: "Endpoints that were disabled without a person: they answered 410, or every try had failed for too long.",
    labels: [("by", DISABLERS)],
    page: None,
};

/// Endpoints whose URL has not proved itself.
pub const UNVERIFIED: Metric<0> = Metric {
    name: "chargeline_webhook_unverified_endpoints",
    kind: Kind::Gauge,
    help: "Endpoints that are sent nothing but challenges, for their URL has not proved itself.",
    labels: [],
    page: None,
};

/// How long one try took.
pub const ATTEMPT_SECONDS: Metric<0> = Metric {
    name: "chargeline_webhook_attempt_seconds",
    kind: Kind::Histogram(LATENCY),
    help: "Time of one try, from its start to its outcome.",
    labels: [],
    page: None,
};

/// Create → delivered.
pub const LATENCY_SECONDS: Metric<0> = Metric {
    name: "chargeline_webhook_latency_seconds",
    kind: Kind::Histogram(LATENCY),
    help: "Time from an event to its delivery, waits for retries, order and rate limits included; replays are left out.",
    labels: [],
    page: Some(
        "p99 above 60 s for 15 minutes while attempts mostly succeed: queues are throttled or the store is slow",
    ),
};

/// Events not yet settled.
pub const DEPTH: Metric<0> = Metric {
    name: "chargeline_webhook_queue_depth",
    kind: Kind::Gauge,
    help: "Events held by all queues that are not yet settled (at most the window of each).",
    labels: [],
    page: None,
};

/// Age of the oldest.
pub const OLDEST_SECONDS: Metric<0> = Metric {
    name: "chargeline_webhook_oldest_seconds",
    kind: Kind::Gauge,
    help: "Age of the oldest event that is not yet settled, of all queues that are not stopped.",
    labels: [],
    page: Some("above 3600: some partner has received nothing of a session for an hour"),
};

/// Tries under way.
pub const IN_FLIGHT: Metric<0> = Metric {
    name: "chargeline_webhook_in_flight",
    kind: Kind::Gauge,
    help: "Tries under way, of all queues.",
    labels: [],
    page: None,
};

/// Queues whose window is full.
pub const WINDOW_FULL: Metric<0> = Metric {
    name: "chargeline_webhook_window_full",
    kind: Kind::Gauge,
    help: "Queues that hold as many events as they may; what comes later waits in the journal.",
    labels: [],
    page: None,
};

/// Stopped queues.
pub const STOPPED: Metric<0> = Metric {
    name: "chargeline_webhook_stopped_queues",
    kind: Kind::Gauge,
    help: "Queues that send nothing: disabled (410, dead for too long, by a person, no endpoint), unverified or paused.",
    labels: [],
    page: None,
};

/// Dead letters now.
pub const DEAD: Metric<0> = Metric {
    name: "chargeline_webhook_dead_letters",
    kind: Kind::Gauge,
    help: "Dead letters that wait for a replay.",
    labels: [],
    page: Some("above 0: a partner misses events for good unless somebody replays them"),
};

/// Dead letters made.
pub const DEAD_TOTAL: Metric<0> = Metric {
    name: "chargeline_webhook_dead_letters_total",
    kind: Kind::Counter,
    help: "Events given up after the last try.",
    labels: [],
    page: None,
};

/// Superseded status events.
pub const COALESCED: Metric<0> = Metric {
    name: "chargeline_webhook_coalesced_total",
    kind: Kind::Counter,
    help: "Status events that were not sent because a newer one of the same connector was waiting.",
    labels: [],
    page: None,
};

/// Refusals of the guard.
pub const REFUSED: Metric<1> = Metric {
    name: "chargeline_webhook_refused_total",
    kind: Kind::Counter,
    help: "Tries that the address guard refused, by what it refused.",
    labels: [("reason", REFUSALS)],
    page: None,
};

/// Held back by rate or 429.
pub const THROTTLED: Metric<0> = Metric {
    name: "chargeline_webhook_throttled_total",
    kind: Kind::Counter,
    help: "Times that a due event was held back by the rate limit or by a partner's 429.",
    labels: [],
    page: None,
};

/// Events put back by replays.
pub const REPLAYED: Metric<0> = Metric {
    name: "chargeline_webhook_replayed_total",
    kind: Kind::Counter,
    help: "Events put back by replays.",
    labels: [],
    page: None,
};

/// Tries in one report.
pub const REPORT_ATTEMPTS: Metric<0> = Metric {
    name: "chargeline_webhook_report_attempts",
    kind: Kind::Histogram(COUNTS),
    help: "Finished tries in one journal record.",
    labels: [],
    page: None,
};

/// Reports that could not be journaled at first.
pub const REPORT_RETRIES: Metric<0> = Metric {
    name: "chargeline_webhook_report_retries_total",
    kind: Kind::Counter,
    help: "Reports of finished tries that the journal did not take at once and that are told again.",
    labels: [],
    page: None,
};

/// Every metric of this room.
pub const ALL: &[Described] = &[
    ATTEMPTS.described(),
    KNOCKS.described(),
    DISABLED.described(),
    UNVERIFIED.described(),
    ATTEMPT_SECONDS.described(),
    LATENCY_SECONDS.described(),
    DEPTH.described(),
    OLDEST_SECONDS.described(),
    IN_FLIGHT.described(),
    WINDOW_FULL.described(),
    STOPPED.described(),
    DEAD.described(),
    DEAD_TOTAL.described(),
    COALESCED.described(),
    REFUSED.described(),
    THROTTLED.described(),
    REPLAYED.described(),
    REPORT_ATTEMPTS.described(),
    REPORT_RETRIES.described(),
];
