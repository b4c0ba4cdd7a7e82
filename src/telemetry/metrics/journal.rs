//! Metrics of the journal room.

use super::{COUNTS, Described, Kind, Metric, SECONDS};

/// Time of one commit.
pub static COMMIT_SECONDS: Metric<0> = Metric {
    name: "chargeline_journal_commit_seconds",
    kind: Kind::Histogram(SECONDS),
    help: "Time of one group commit: batch, flush and sync of the store's file, with the wait for the sync before.",
    labels: [],
    page: Some("p99 above 0.5 for 5 minutes"),
};

/// Records of one commit.
pub static COMMIT_RECORDS: Metric<0> = Metric {
    name: "chargeline_journal_commit_records",
    kind: Kind::Histogram(COUNTS),
    help: "Records written by one group commit.",
    labels: [],
    page: None,
};

/// Waiters of one commit.
pub static COMMIT_WAITERS: Metric<0> = Metric {
    name: "chargeline_journal_commit_waiters",
    kind: Kind::Histogram(COUNTS),
    help: "Callers that one group commit answered.",
    labels: [],
    page: None,
};

/// Commits of one sync.
pub static SYNC_COMMITS: Metric<0> = Metric {
    name: "chargeline_journal_sync_commits",
    kind: Kind::Histogram(COUNTS),
    help: "Group commits that one sync of the store's file made durable: those that came while the one before was under way.",
    labels: [],
    page: None,
};

/// Bytes handed to the store.
pub static BYTES: Metric<0> = Metric {
    name: "chargeline_journal_written_bytes_total",
    kind: Kind::Counter,
    help: "Bytes of keys and values handed to the store; what reaches the disk is several times that.",
    labels: [],
    page: None,
};

/// What was moved.
pub static MOVED: Metric<0> = Metric {
    name: "chargeline_journal_moved_bytes_total",
    kind: Kind::Counter,
    help: "Bytes of pages moved out of parts of the store's file that were mostly dead, so that these can be used again.",
    labels: [],
    page: None,
};

/// Waiting jobs.
pub static QUEUE_DEPTH: Metric<0> = Metric {
    name: "chargeline_journal_queue_depth",
    kind: Kind::Gauge,
    help: "Jobs that were waiting for the commit thread when it last looked.",
    labels: [],
    page: None,
};

/// Calls refused.
pub static REFUSED: Metric<1> = Metric {
    name: "chargeline_journal_refused_total",
    kind: Kind::Counter,
    help: "Calls that the journal refused, by reason.",
    labels: [("reason", &["queue_full", "no_room", "failed", "fenced", "too_large"])],
    page: Some("queue_full or no_room rising"),
};

/// Whether new work is refused for want of room.
pub static FULL: Metric<0> = Metric {
    name: "chargeline_journal_full",
    kind: Kind::Gauge,
    help: "1 while free space is under the floor and new work is refused.",
    labels: [],
    page: Some("1"),
};

/// Free space.
pub static FREE_BYTES: Metric<0> = Metric {
    name: "chargeline_journal_free_bytes",
    kind: Kind::Gauge,
    help: "Bytes free on the store's file system.",
    labels: [],
    page: Some("below journal.full_floor_bytes times 2"),
};

/// Whether the journal has stopped itself.
pub static SYNC_FAILURES: Metric<0> = Metric {
    name: "chargeline_journal_sync_failures_total",
    kind: Kind::Counter,
    help: "Failed writes, flushes or syncs. One is enough: the process stops.",
    labels: [],
    page: Some("above 0"),
};

/// How far the oldest uncovered tail lies behind.
pub static TAIL_LAG_BLOCKS: Metric<0> = Metric {
    name: "chargeline_journal_tail_lag_blocks",
    kind: Kind::Gauge,
    help: "Log blocks from the horizon to the newest: what a start has to read.",
    labels: [],
    page: Some("above journal.snapshot_blocks times 2"),
};

/// What a start reads of the store's log.
pub static UNLISTED_BYTES: Metric<0> = Metric {
    name: "chargeline_journal_unlisted_bytes",
    kind: Kind::Gauge,
    help: "Bytes of the store's log behind the last list of its pages: what the store itself reads at a start.",
    labels: [],
    page: Some("above 1000000000"),
};

/// Log blocks stored.
pub static LOG_BLOCKS: Metric<0> = Metric {
    name: "chargeline_journal_log_blocks",
    kind: Kind::Gauge,
    help: "Log blocks in the store, history included.",
    labels: [],
    page: None,
};

/// What compaction removed.
pub static REMOVED: Metric<1> = Metric {
    name: "chargeline_journal_removed_total",
    kind: Kind::Counter,
    help: "Entries that compaction removed, by kind.",
    labels: [("kind", &["log_block", "outbox", "once_key"])],
    page: None,
};

/// Compaction passes.
pub static COMPACTIONS: Metric<0> = Metric {
    name: "chargeline_journal_compactions_total",
    kind: Kind::Counter,
    help: "Compaction passes that removed something.",
    labels: [],
    page: None,
};

/// Every metric of this room.
pub const ALL: &[Described] = &[
    COMMIT_SECONDS.described(),
    COMMIT_RECORDS.described(),
    COMMIT_WAITERS.described(),
    SYNC_COMMITS.described(),
    BYTES.described(),
    MOVED.described(),
    QUEUE_DEPTH.described(),
    REFUSED.described(),
    FULL.described(),
    FREE_BYTES.described(),
    SYNC_FAILURES.described(),
    TAIL_LAG_BLOCKS.described(),
    UNLISTED_BYTES.described(),
    LOG_BLOCKS.described(),
    REMOVED.described(),
    COMPACTIONS.described(),
];
