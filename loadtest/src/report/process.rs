//! A process seen from outside through `/proc`: memory, processor time, descriptors, and the size of its directories.
//! Only reads.

use procfs::process::{FDTarget, Process, all_processes};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Directories below each other that are counted; deeper ones are left out.
const DEPTH_MAX: usize = 8;
/// What `st_blocks` counts in.
const BLOCK_BYTES: u64 = 512;

/// A moment of a process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moment {
    /// Resident memory, bytes.
    pub(super) rss_bytes: u64,
    /// Processor time since it began, s.
    pub(super) cpu_s: f64,
    /// Open descriptors.
    pub(super) descriptors: usize,
    /// Threads.
    pub(super) threads: i64,
}

/// What costs little to ask; `None` when the process is gone.
pub(super) fn moment(pid: i32) -> Option<Moment> {
    let process = Process::new(pid).ok()?;
    let stat = process.stat().ok()?;
    #[allow(clippy::cast_precision_loss, reason = "hundredths of seconds of one run")]
    let cpu_s = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    let rss_bytes = stat.rss * procfs::page_size();
    Some(Moment { rss_bytes, cpu_s, descriptors: process.fd_count().ok()?, threads: stat.num_threads })
}

/// Its share of memory (Pss), bytes: the kernel walks its pages for that, so it is asked for less often.
pub(super) fn pss_bytes(pid: i32) -> Option<u64> {
    let rollup = Process::new(pid).ok()?.smaps_rollup().ok()?;
    let all = rollup.memory_map_rollup.0;
    all.first()?.extension.map.get("Pss").copied()
}

/// The process that listens at a TCP port of this machine, if it is one of ours to see.
pub fn listening_at(port: u16) -> Option<u32> {
    let both = [procfs::net::tcp().unwrap_or_default(), procfs::net::tcp6().unwrap_or_default()];
    let listens =
        |e: &&procfs::net::TcpNetEntry| e.local_address.port() == port && e.state == procfs::net::TcpState::Listen;
    let inode = both.iter().flatten().find(listens)?.inode;
    let holds = |p: &Process| p.fd().is_ok_and(|all| all.flatten().any(|d| d.target == FDTarget::Socket(inode)));
    let holder = all_processes().ok()?.flatten().find(holds)?;
    u32::try_from(holder.pid()).ok()
}

/// Bytes on the disk below a directory, as the file system counts them.
pub fn disk_bytes(dir: &Path) -> u64 {
    fn below(dir: &Path, depth: usize) -> u64 {
        let Ok(entries) = fs::read_dir(dir) else { return 0 };
        let one = |entry: fs::DirEntry| match entry.metadata() {
            Ok(m) if m.is_dir() && depth > 0 => below(&entry.path(), depth - 1),
            Ok(m) => m.blocks() * BLOCK_BYTES,
            Err(_) => 0, // deleted meanwhile
        };
        entries.flatten().map(one).sum()
    }
    below(dir, DEPTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_descriptors_and_one_that_is_gone_has_none() {
        let me = i32::try_from(std::process::id()).unwrap();
        let now = moment(me).unwrap();
        assert!(now.rss_bytes > 1 << 20 && now.descriptors > 2 && now.threads >= 1, "{now:?}");
        assert!(pss_bytes(me).unwrap() > 1 << 19);
        assert_eq!(moment(i32::MAX), None);
        assert_eq!(pss_bytes(i32::MAX), None);
    }

    #[test]
    fn who_listens_is_found_by_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening_at(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(listening_at(port), None);
    }

    #[test]
    fn a_directory_weighs_what_is_below_it() {
        let dir = std::env::temp_dir().join(format!("weigh-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(dir.join("a/b")).unwrap();
        fs::write(dir.join("a/b/c"), vec![1; 100_000]).unwrap();
        let bytes = disk_bytes(&dir);
        fs::remove_dir_all(&dir).unwrap();
        assert!((100_000..200_000).contains(&bytes), "{bytes}");
        assert_eq!(disk_bytes(&dir), 0);
    }
}
