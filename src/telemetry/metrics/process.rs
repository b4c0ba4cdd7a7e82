//! Metrics of the process as a whole, and their sampling.

use super::{Described, Kind, Metric};
use std::time::Instant;

/// What is running.
pub const BUILD_INFO: Metric<1> = Metric {
    name: "chargeline_process_build_info",
    kind: Kind::Gauge,
    help: "Always 1; the label says which version runs.",
    labels: [("version", &[env!("CARGO_PKG_VERSION")])],
    page: None,
};

/// How long it has been running.
pub const UPTIME: Metric<0> = Metric {
    name: "chargeline_process_uptime_seconds",
    kind: Kind::Gauge,
    help: "Seconds since the process started.",
    labels: [],
    page: Some("resets(…[1h]) > 3: the process keeps restarting"),
};

/// Memory.
pub const RESIDENT: Metric<0> = Metric {
    name: "chargeline_process_resident_memory_bytes",
    kind: Kind::Gauge,
    help: "Physical memory that the process holds.",
    labels: [],
    page: None,
};

/// The tightest bound of memory.
pub const MEMORY_MAX: Metric<0> = Metric {
    name: "chargeline_process_memory_max_bytes",
    kind: Kind::Gauge,
    help: "Memory that the process may use by the fullest of its bounds: engine.memory_max, a control group, the machine.",
    labels: [],
    page: None,
};

/// How full it is.
pub const MEMORY_FULL: Metric<0> = Metric {
    name: "chargeline_process_memory_full_ratio",
    kind: Kind::Gauge,
    help: "Share in use of chargeline_process_memory_max_bytes (OP-10). Above 0.9 no further charger is let in, above 0.95 reads and starts \
           by partners are turned away.",
    labels: [],
    page: Some("above 0.9 for 5 minutes: chargers that are not in stay out"),
};

/// Descriptors in use.
pub const DESCRIPTORS: Metric<0> = Metric {
    name: "chargeline_process_open_descriptors",
    kind: Kind::Gauge,
    help: "Open files and sockets; each charger holds one.",
    labels: [],
    page: Some("above 80 % of chargeline_process_limit_descriptors"),
};

/// Descriptors allowed.
pub const DESCRIPTORS_LIMIT: Metric<0> = Metric {
    name: "chargeline_process_limit_descriptors",
    kind: Kind::Gauge,
    help: "The most open files and sockets that the system allows this process.",
    labels: [],
    page: None,
};

/// The configuration in force.
pub const CONFIG_VERSION: Metric<0> = Metric {
    name: "chargeline_process_config_version",
    kind: Kind::Gauge,
    help: "Number of the configuration version in force (RT-10).",
    labels: [],
    page: None,
};

/// Changes of the configuration.
pub const CONFIG_CHANGES: Metric<1> = Metric {
    name: "chargeline_process_config_changes_total",
    kind: Kind::Counter,
    help: "Configurations applied or refused while running.",
    labels: [("outcome", &["applied", "refused"])],
    page: None,
};

/// Log lines lost.
pub const LOG_LINES_DROPPED: Metric<0> = Metric {
    name: "chargeline_process_log_dropped_lines_total",
    kind: Kind::Counter,
    help: "Log lines dropped because the terminal or disk was too slow (telemetry.log_lines_max), or took nothing.",
    labels: [],
    page: Some("rate above 0 for an hour: the log has holes"),
};

/// Label values beyond the bound.
pub const LABEL_VALUES_REFUSED: Metric<0> = Metric {
    name: "chargeline_process_label_refused_values_total",
    kind: Kind::Counter,
    help: "Uses of a label value beyond the bound of 500 names, shown as `other`.",
    labels: [],
    page: None,
};

/// Every metric of the process.
pub const ALL: &[Described] = &[
    BUILD_INFO.described(),
    UPTIME.described(),
    RESIDENT.described(),
    MEMORY_MAX.described(),
    MEMORY_FULL.described(),
    DESCRIPTORS.described(),
    DESCRIPTORS_LIMIT.described(),
    CONFIG_VERSION.described(),
    CONFIG_CHANGES.described(),
    LOG_LINES_DROPPED.described(),
    LABEL_VALUES_REFUSED.described(),
];

/// Bytes of a memory page on every platform that we build for.
const PAGE: f64 = 4096.0;

/// Takes the values that nobody pushes. Costs some microseconds; called before each scrape and with each upkeep.
pub fn sample(started: Instant) {
    BUILD_INFO.set(1.0, [env!("CARGO_PKG_VERSION")]);
    UPTIME.set(started.elapsed().as_secs_f64(), []);
    if let Some(pages) = resident_pages() {
        RESIDENT.set(pages * PAGE, []);
    }
    if let Some(open) = open_descriptors() {
        DESCRIPTORS.set(open as f64, []);
    }
    if let Some(limit) = descriptor_limit() {
        DESCRIPTORS_LIMIT.set(limit, []);
    }
}

fn resident_pages() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// How many descriptors are open. Linux since 6.2 gives the number as the directory's size; before, they are counted.
fn open_descriptors() -> Option<u64> {
    const DIRECTORY: &str = "/proc/self/fd";
    match std::fs::metadata(DIRECTORY).ok()?.len() {
        // The one that reads the directory is not counted.
        0 => std::fs::read_dir(DIRECTORY).ok().map(|all| (all.count() as u64).saturating_sub(1)),
        number => Some(number),
    }
}

fn descriptor_limit() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_counts_its_own_memory_and_descriptors() {
        assert!(resident_pages().is_some_and(|pages| pages > 100.0));
        assert!(descriptor_limit().is_some_and(|limit| limit >= 64.0));
        let before = open_descriptors().unwrap();
        let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/proc/self/statm").unwrap()).collect();
        let after = open_descriptors().unwrap();
        drop(files);
        // Other tests of this process open and close some of their own.
        assert!((before + 30..before + 70).contains(&after), "{before} {after}");
    }
}
