//! A control group of the system, of either version, that bounds a server's memory and counts its killings. Never knows what the
//! server makes of it.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Where groups that count memory may be made, and what their files are called: bound, use, and the line of what is cached of files.
const VERSIONS: [(&str, [&str; 3]); 2] = [
    ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache "]),
    ("/sys/fs/cgroup", ["memory.max", "memory.current", "file "]),
];

/// Where a group tells how often the system killed in it.
const KILLINGS: [&str; 2] = ["memory.oom_control", "memory.events"];

/// A group; removed when it is dropped, if nobody is in it any more.
pub(crate) struct Group {
    directory: PathBuf,
    names: [&'static str; 3],
}

impl Drop for Group {
    fn drop(&mut self) {
        // One that is still in use stays: nothing depends on it.
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Whether groups can be made here.
pub(crate) fn available() -> Result<(), String> {
    Group::new("probe").map(drop)
}

impl Group {
    /// An empty one without a bound.
    ///
    /// # Errors
    /// What is missing here.
    pub(crate) fn new(name: &str) -> Result<Group, String> {
        for (root, names) in VERSIONS {
            let directory = Path::new(root).join(format!("chargeline-{name}-{}", std::process::id()));
            // The second version counts in a group what its parent passes on.
            let _ = fs::write(Path::new(root).join("cgroup.subtree_control"), "+memory");
            if fs::create_dir(&directory).is_err() {
                continue;
            }
            let group = Group { directory, names };
            if group.directory.join(names[0]).exists() {
                return Ok(group);
            }
        }
        Err("control groups that bound memory: root is needed, and /sys/fs/cgroup writable".to_owned())
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn read(&self, name: &str) -> Result<String> {
        let file = self.directory.join(name);
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    }

    /// Bytes that the system cannot take back.
    pub(crate) fn used(&self) -> Result<u64> {
        let [_, used, cache] = self.names;
        let stat = self.read("memory.stat")?;
        let cached = stat.lines().find_map(|line| line.strip_prefix(cache)).context("no line of the cache")?;
        Ok(self.read(used)?.trim().parse::<u64>()?.saturating_sub(cached.trim().parse()?))
    }

    /// Bounds it.
    pub(crate) fn bound(&self, bytes: u64) -> Result<()> {
        Ok(fs::write(self.directory.join(self.names[0]), bytes.to_string())?)
    }

    /// How often the system killed somebody in it.
    pub(crate) fn killings(&self) -> Result<u64> {
        let told = KILLINGS.iter().find_map(|name| self.read(name).ok()).context("nothing tells of killings")?;
        let line = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(line.context("no line of killings")?.trim().parse()?)
    }
}
