//! An ext4 file system in a file, and the ioctl that cuts its power. Owns mounting and unmounting.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// `EXT4_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`.
const SHUTDOWN: libc::c_ulong = 0x8004_587d;

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: what the journal of the file system has not written is lost.
const NO_LOG_FLUSH: u32 = 2;

const SIZE: u64 = 256 << 20;

pub(crate) struct Disk {
    directory: TempDir,
    mounted: bool,
}

/// Whether the rig can work here.
pub(crate) fn available() -> Result<(), String> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err("needs root".into());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Err("needs loop devices".into());
    }
    let disk = Disk::new()?;
    drop(disk);
    Ok(())
}

impl Disk {
    pub(crate) fn new() -> Result<Self, String> {
        Self::of(SIZE)
    }

    /// A new file system of so many bytes.
    pub(crate) fn of(size: u64) -> Result<Self, String> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|e| e.to_string())?;
        let mut disk = Disk { directory, mounted: false };
        let image = disk.image();
        File::create(&image).and_then(|file| file.set_len(size)).map_err(|e| e.to_string())?;
        for made in [disk.mount_point(), disk.beside()] {
            std::fs::create_dir(made).map_err(|e| e.to_string())?;
        }
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("disk.img")
    }

    /// The top of the file system.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// A directory beside the image, on the disk of the machine.
    pub(crate) fn beside(&self) -> PathBuf {
        self.directory.path().join("beside")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.mount_point().join("data")
    }

    fn mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.image()).arg(self.mount_point()))?;
        self.mounted = true;
        Ok(())
    }

    /// Bytes that are still free, as `df` tells them; `None` where it does not.
    pub(crate) fn free(&self) -> Option<u64> {
        let told = Command::new("df").args(["--output=avail", "-B1"]).arg(self.mount_point()).output().ok()?;
        String::from_utf8_lossy(&told.stdout).lines().nth(1)?.trim().parse().ok()
    }

    /// Leaves everything where it is, for a look. Gives where that is.
    pub(crate) fn keep(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    /// The power goes.
    pub(crate) fn cut(&self) -> Result<(), String> {
        let directory = File::open(self.mount_point()).map_err(|e| e.to_string())?;
        // SAFETY: the descriptor is open for the call and the argument points to a u32, as the ioctl wants.
        let outcome = unsafe { libc::ioctl(directory.as_raw_fd(), SHUTDOWN, &NO_LOG_FLUSH) };
        if outcome == 0 { Ok(()) } else { Err(format!("shutdown: {}", std::io::Error::last_os_error())) }
    }

    /// The power comes back.
    pub(crate) fn remount(&mut self) -> Result<(), String> {
        self.unmount()?;
        self.mount()
    }

    fn unmount(&mut self) -> Result<(), String> {
        run(Command::new("umount").arg(self.mount_point()))?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted && self.unmount().is_err() {
            // Something still holds it, after a panic of the store for instance: let go as soon as it ends.
            let _ = run(Command::new("umount").arg("-l").arg(self.mount_point()));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
