//! What a run was made on: the figures mean nothing without it. Reads `/proc`; never changes anything but one small file of
//! its own in the directory whose disk it tries.

use procfs::Current;
use serde::Serialize;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Writes and syncs that the disk is tried with.
const SYNCS: usize = 64;
/// Bytes of each, the size of one of the journal's blocks.
const SYNC_BYTES: usize = 4_096;

/// The machine's facts, as text for people; what could not be learnt says so.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory of the machine, bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Type and device of the file system below the data directory, and its mount options.
    pub file_system: String,
    /// Where `fdatasync` was tried.
    pub disk_tried_in: String,
    /// Median and 99th percentile of a 4 KiB write with fdatasync there, us.
    pub fdatasync_us: Option<(u64, u64)>,
    /// Load averages over 1, 5 and 15 minutes before the run began.
    pub load: Option<(f32, f32, f32)>,
}

impl Machine {
    /// Learns them; `data` is the directory of the server's data, or any on the same disk.
    pub fn look(data: &Path) -> Machine {
        let cpus = procfs::CpuInfo::current().ok();
        let load = procfs::LoadAverage::current().ok();
        Machine {
            cpu: cpus.and_then(|c| c.model_name(0).map(str::to_owned)).unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: procfs::Meminfo::current().map_or(0, |m| m.mem_total),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or("unknown".into(), |k| k.trim().into()),
            file_system: file_system(data).unwrap_or_else(|| "unknown".into()),
            disk_tried_in: data.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            fdatasync_us: syncs(data).ok(),
            load: load.map(|l| (l.one, l.five, l.fifteen)),
        }
    }

    /// Names and values for people.
    pub fn rows(&self) -> Vec<(String, String)> {
        let sync = match self.fdatasync_us {
            Some((p50, p99)) => format!("4 KiB write + fdatasync: p50 {p50} us, p99 {p99} us, {SYNCS} tries"),
            None => "could not be tried".into(),
        };
        let load = match self.load {
            Some((one, five, fifteen)) => format!("{one:.2}, {five:.2}, {fifteen:.2} (1, 5, 15 minutes)"),
            None => "unknown".into(),
        };
        #[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let memory = format!("{:.1} GiB", self.memory_bytes as f64 / f64::from(1 << 30));
        [
            ("Processor", self.cpu.clone()),
            ("Cores", self.cores.to_string()),
            ("Memory", memory),
            ("Kernel", self.kernel.clone()),
            ("File system of the data", self.file_system.clone()),
            ("Disk at the start", sync),
            ("Load at the start", load),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// The mount that the directory lies below: the longest mount point that it begins with.
fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    let below = mounts.into_iter().filter(|m| dir.starts_with(&m.mount_point));
    let mount = below.max_by_key(|m| m.mount_point.as_os_str().len())?;
    let device = mount.mount_source.unwrap_or_else(|| "no device".into());
    let mut options: Vec<String> =
        mount.super_options.into_iter().map(|(k, v)| v.map_or(k.clone(), |v| format!("{k}={v}"))).collect();
    options.sort();
    Some(format!("{} on {device} ({})", mount.fs_type, options.join(",")))
}

fn syncs(dir: &Path) -> std::io::Result<(u64, u64)> {
    let path = dir.join(format!("sync-{}.tmp", uuid::Uuid::new_v4()));
    let mut file = File::options().create_new(true).write(true).open(&path)?;
    let tried = try_syncs(&mut file);
    std::fs::remove_file(&path)?;
    let mut all = tried?;
    all.sort_unstable();
    let us = |share: usize| all.get((all.len() * share / 100).min(all.len() - 1)).map_or(0, micros);
    Ok((us(50), us(99)))
}

fn micros(duration: &Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn try_syncs(file: &mut File) -> std::io::Result<Vec<Duration>> {
    let block = [0x5a; SYNC_BYTES];
    (0..SYNCS)
        .map(|n| {
            let begun = Instant::now();
            file.seek(SeekFrom::Start(u64::try_from(n * SYNC_BYTES).unwrap_or(0)))?;
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(begun.elapsed())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_processor_memory_and_a_disk_that_was_tried() {
        let dir = std::env::temp_dir().join(format!("machine-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        let machine = Machine::look(&dir);
        let left = std::fs::read_dir(&dir).unwrap().count();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(machine.cores > 0 && machine.memory_bytes > 1 << 20 && !machine.kernel.is_empty(), "{machine:?}");
        assert!(machine.file_system.contains(" on "), "{machine:?}");
        let (p50, p99) = machine.fdatasync_us.unwrap();
        assert!(p50 <= p99);
        assert_eq!(left, 0, "the file that was tried is gone");
        assert_eq!(machine.rows().len(), 7);
    }

    #[test]
    fn what_cannot_be_learnt_is_said() {
        let machine = Machine::look(Path::new("/nonexistent/directory"));
        assert_eq!((machine.file_system.as_str(), machine.fdatasync_us), ("unknown", None));
        assert!(machine.rows().iter().any(|(_, v)| v == "could not be tried"));
    }
}
