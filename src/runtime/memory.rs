//! How full the memory is that the process may use (fault O4, OP-10). Owns the measuring; who is turned away when is in
//! `domain::overload`.
//!
//! Three things bound it, and the fullest counts: `engine.memory_max`, the machine, and the control groups that the process is in,
//! as a container or a unit of systemd is. The system kills in a group that is full, so a group counts as the system does, with
//! the kernel's own memory for sockets; without the files in its cache, which it gives back.

use crate::domain::overload::{self, Demand, crowded};
use crate::telemetry::metrics::process::{MEMORY_FULL, MEMORY_MAX};
use procfs::process::Process;
use procfs::{Current as _, Meminfo};
use smallvec::SmallVec;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From one look to the next. Newcomers of a storm fill some megabytes meanwhile; a look reads a few small files.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Where the system shows control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// Beyond this a bound is none: the first version's `unlimited` is a number, the largest of whole pages.
const UNBOUNDED: u64 = 1 << 60;

/// Below this share a shortage counts as over. Under the bound, so that the log is not filled by a use that sways about it.
const OVER: f64 = 0.88;

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    used: u64,
    max: u64,
    bound: &'static str,
}

impl Look {
    fn full(self) -> f64 {
        self.used as f64 / self.max as f64
    }
}

/// A control group that counts its memory: its directory, and what its files are called.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    directory: PathBuf,
    names: &'static Names,
}

/// What the files of a group are called, and the line with what it holds of files.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    max: &'static str,
    used: &'static str,
    cache: &'static str,
}

const FIRST: Names = Names { max: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cache: "total_cache " };
const SECOND: Names = Names { max: "memory.max", used: "memory.current", cache: "file " };

impl Group {
    /// The groups of the process, of either version: its own and those around it. `/` is what a container sees of its own.
    fn all(root: &Path, membership: &[(Vec<String>, String)]) -> Vec<Group> {
        let mut found = Vec::new();
        for (controllers, path) in membership {
            let (root, names) = match controllers.as_slice() {
                [] => (root.to_owned(), &SECOND),
                some if some.iter().any(|name| name == "memory") => (root.join("memory"), &FIRST),
                _ => continue,
            };
            let within = Path::new(path.trim_start_matches('/'));
            let directories = within.ancestors().map(|part| root.join(part));
            found.extend(directories.map(|directory| Group { directory, names }));
        }
        found
    }

    /// Nothing: it has no bound, or is not shown here.
    fn look(&self) -> Option<Look> {
        let read = |name: &str| fs::read_to_string(self.directory.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let max = number(self.names.max).filter(|max| (1..UNBOUNDED).contains(max))?;
        let used = number(self.names.used)?;
        let stat = read("memory.stat")?;
        let cache = stat.lines().find_map(|line| line.strip_prefix(self.names.cache))?.trim().parse().ok()?;
        Some(Look { used: used.saturating_sub(cache), max, bound: "its control group" })
    }
}

/// The memory that the process may use.
pub(super) struct Memory {
    own: Option<(u64, &'static str)>,
    groups: Vec<Group>,
    /// What was found: the bits of the share in use, and the tightest bound.
    full: AtomicU64,
    max: AtomicU64,
}

impl Memory {
    fn within(own: Option<(u64, &'static str)>, groups: Vec<Group>) -> Memory {
        Memory { own, groups, full: AtomicU64::new(0), max: AtomicU64::new(u64::MAX) }
    }

    /// Bounded by `configured` bytes if that is not zero, and by what the system has.
    pub(super) fn new(configured: u64) -> Arc<Memory> {
        let machine = Meminfo::current().ok().map(|info| (info.mem_total, "the machine"));
        let set = (configured > 0).then_some((configured, "engine.memory_max"));
        let membership: Vec<_> = Process::myself()
            .and_then(|own| own.cgroups())
            .map(|groups| groups.0.into_iter().map(|group| (group.controllers, group.pathname)).collect())
            .unwrap_or_default();
        let groups = Group::all(Path::new(GROUPS), &membership);
        let memory = Memory::within(set.into_iter().chain(machine).min(), groups);
        memory.look();
        Arc::new(memory)
    }

    /// By the last look. Where nothing can be read, it is endless.
    pub(super) fn now(&self) -> overload::Memory {
        let full = f64::from_bits(self.full.load(Ordering::Relaxed));
        overload::Memory { full, max: self.max.load(Ordering::Relaxed) }
    }

    fn look(&self) -> Option<Look> {
        let own = self.own.and_then(|(max, bound)| Some(Look { used: resident()?, max, bound }));
        let looks: SmallVec<[Look; 4]> = own.into_iter().chain(self.groups.iter().filter_map(Group::look)).collect();
        let fullest = *looks.iter().max_by(|one, other| one.full().total_cmp(&other.full()))?;
        let tightest = looks.iter().map(|look| look.max).min().unwrap_or(u64::MAX);
        self.full.store(fullest.full().to_bits(), Ordering::Relaxed);
        self.max.store(tightest, Ordering::Relaxed);
        MEMORY_FULL.set(fullest.full(), []);
        MEMORY_MAX.set(fullest.max as f64, []);
        Some(fullest)
    }

    /// Looks for as long as the process runs, and says when memory begins to be short and when it no longer is.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut short = false;
        loop {
            looks.tick().await;
            let Some(look) = self.look() else { continue };
            let Look { used, max, bound } = look;
            match (short, crowded(Demand::Handshake, look.full()), look.full() < OVER) {
                (false, true, _) => {
                    tracing::warn!(used, max, bound, "memory is short: no further charger is let in");
                    short = true;
                }
                (true, _, true) => {
                    tracing::info!(used, max, bound, "memory is no longer short");
                    short = false;
                }
                _ => {}
            }
        }
    }
}

/// Bytes of physical memory that the process holds.
fn resident() -> Option<u64> {
    let pages = Process::myself().and_then(|own| own.statm()).ok()?.resident;
    Some(pages * procfs::page_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(directory: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(directory).unwrap();
        files.iter().for_each(|(name, text)| fs::write(directory.join(name), text).unwrap());
    }

    #[test]
    fn a_group_of_either_version_and_those_around_it_count_without_their_files() {
        let root = tempfile::tempdir().unwrap();
        let (root, member) = (root.path(), |controllers: &[&str], path: &str| {
            (controllers.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), path.to_owned())
        });
        let look = |used, max| Some(Look { used, max, bound: "its control group" });
        let looks = |membership: &[(Vec<String>, String)]| {
            Group::all(root, membership).iter().map(Group::look).collect::<Vec<_>>()
        };
        // The first version: a bound of its own, none around it, and one at the root.
        let stat = "cache 1\nrss 2\ntotal_cache 300\ntotal_rss 5\n";
        let unlimited = "9223372036854771712\n";
        for (path, max, used) in [("", "5000\n", "4000\n"), ("a", unlimited, "3000\n"), ("a/b", "2000\n", "1500\n")] {
            let files = [("memory.limit_in_bytes", max), ("memory.usage_in_bytes", used), ("memory.stat", stat)];
            put(&root.join("memory").join(path), &files);
        }
        let first = [member(&["cpu"], "/x"), member(&["memory"], "/a/b")];
        assert_eq!(looks(&first), [look(1_200, 2_000), None, look(3_700, 5_000)]);
        // The second: a unit with a bound in a slice with none; its root has no such file.
        let stat = "anon 700\nfile 250\nfile_mapped 90\n";
        for (path, max, used) in [("s", "max\n", "2000\n"), ("s/unit", "1000\n", "950\n")] {
            put(&root.join(path), &[("memory.max", max), ("memory.current", used), ("memory.stat", stat)]);
        }
        assert_eq!(looks(&[member(&[], "/s/unit")]), [look(700, 1_000), None, None]);
        assert_eq!(looks(&[member(&[], "/not/shown")]), [None, None, None]);
        // What cannot be read bounds nothing.
        put(&root.join("s/unit"), &[("memory.max", "\n")]);
        assert_eq!(looks(&[member(&[], "/s/unit")]), [None, None, None]);
    }

    #[test]
    fn the_fullest_bound_counts() {
        let resident = resident().unwrap();
        let own = Some((resident * 2, "engine.memory_max"));
        let alone = Memory::within(own, Vec::new());
        assert_eq!(alone.now(), overload::Memory::ENDLESS);
        let found = alone.look().unwrap();
        assert!((0.4..0.7).contains(&found.full()), "{found:?}");
        assert_eq!(alone.now(), overload::Memory { full: found.full(), max: resident * 2 });
        let root = tempfile::tempdir().unwrap();
        let files = [("memory.max", "100"), ("memory.current", "99"), ("memory.stat", "file 2\n")];
        put(root.path(), &files);
        let memory = Memory::within(own, Group::all(root.path(), &[(Vec::new(), "/".into())]));
        assert_eq!(memory.look(), Some(Look { used: 97, max: 100, bound: "its control group" }));
        assert_eq!(memory.now(), overload::Memory { full: 0.97, max: 100 });
    }

    #[test]
    fn without_a_setting_the_machine_is_the_bound_and_a_larger_setting_is_none() {
        let machine = Meminfo::current().unwrap().mem_total;
        for (configured, max, bound) in
            [(0, machine, "the machine"), (64 << 20, 64 << 20, "engine.memory_max"), (u64::MAX, machine, "the machine")]
        {
            assert_eq!(Memory::new(configured).own, Some((max, bound)), "{configured}");
        }
        assert!(Memory::new(1).now().full > 1.0, "measured before the first newcomer");
    }
}
