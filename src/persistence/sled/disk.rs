//! Directories, locks and syncs. Owns the layout of the journal's directory; never what is in a store.
//!
//! ```text
//! <path>/CURRENT      the name of the store that counts, replaced atomically
//! <path>/store-1/     a sled store: conf, db, blobs/, snap.*
//! <path>/reserve      room to give free (RT-7)
//! <path>/lock         held by the one process that has the journal open
//! ```
//! A store counts only once it is whole and synced and CURRENT names it: a power cut while one is made (at first
//! start, by compaction or restore) leaves the old one, or none, and the next start removes the rest.

use crate::persistence::JournalError;
use fs4::FileExt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CURRENT: &str = "CURRENT";

/// How long an opener waits for the lock: a process that is just ending still holds it.
const LOCK_WAIT: Duration = Duration::from_secs(1);

pub(super) fn unavailable(what: &str, path: &Path, error: &dyn std::fmt::Display) -> JournalError {
    JournalError::Unavailable(format!("{what} {}: {error}", path.display()))
}

/// How a store's file is named to people.
pub(super) fn file_key(store: &Path) -> String {
    format!("{}/db", store.file_name().unwrap_or_default().display())
}

/// Creates the directory if need be and locks it.
pub(super) fn lock(path: &Path) -> Result<File, JournalError> {
    fs::create_dir_all(path).map_err(|e| unavailable("creating", path, &e))?;
    let place = path.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&place);
    let file = file.map_err(|e| unavailable("opening", &place, &e))?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(fs4::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(fs4::TryLockError::WouldBlock) => {
                return Err(JournalError::Unavailable(format!(
                    "another process has the journal {} open",
                    path.display()
                )));
            }
            Err(fs4::TryLockError::Error(error)) => return Err(unavailable("locking", &place, &error)),
        }
    }
}

/// The directory of the store that counts, if there is one.
pub(super) fn current(path: &Path) -> Result<Option<PathBuf>, JournalError> {
    let place = path.join(CURRENT);
    match fs::read_to_string(&place) {
        Ok(name) if number(name.trim()).is_some() => Ok(Some(path.join(name.trim()))),
        Ok(name) => Err(JournalError::Corrupt { key: CURRENT.into(), why: format!("`{name}` names no store") }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable("reading", &place, &error)),
    }
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("store-")?.parse().ok()
}

/// All stores in the directory, counting or not.
fn stores(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(number) {
            found.push((number, entry.path()));
        }
    }
    Ok(found)
}

/// Where a new store is to be made.
pub(super) fn fresh(path: &Path) -> Result<PathBuf, JournalError> {
    let stores = stores(path).map_err(|e| unavailable("listing", path, &e))?;
    let next = stores.iter().map(|(number, _)| number + 1).max().unwrap_or(1);
    Ok(path.join(format!("store-{next}")))
}

/// Removes stores that do not count: what a power cut or a swap left.
pub(super) fn sweep(path: &Path) -> Result<(), JournalError> {
    let keep = current(path)?;
    for (_, store) in stores(path).map_err(|e| unavailable("listing", path, &e))? {
        if Some(&store) != keep.as_ref() {
            fs::remove_dir_all(&store).map_err(|e| unavailable("removing", &store, &e))?;
        }
    }
    Ok(())
}

/// Makes `store` the one that counts. It must be whole.
pub(super) fn install(path: &Path, store: &Path) -> Result<(), JournalError> {
    sync_store(store).map_err(|e| unavailable("syncing", store, &e))?;
    let name = store.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let next = path.join("CURRENT.next");
    let write = || {
        let mut file = File::create(&next)?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path.join(CURRENT))?;
        sync_directory(path)?;
        // The directory itself must outlive a power cut, too.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_directory(parent)
    };
    write().map_err(|e| unavailable("installing", store, &e))
}

/// Syncs everything that sled made: it never syncs `conf` or the directories itself.
fn sync_store(store: &Path) -> io::Result<()> {
    for entry in fs::read_dir(store)? {
        let path = entry?.path();
        if path.is_file() {
            File::open(&path)?.sync_all()?;
        } else {
            sync_directory(&path)?;
        }
    }
    sync_directory(store)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// sled's own file of pages, to sync.
pub(super) fn db_file(store: &Path) -> Result<File, JournalError> {
    let place = store.join("db");
    File::open(&place).map_err(|e| unavailable("opening", &place, &e))
}

/// Says what will be read soon: the disk reads it meanwhile, and places that lie far from each other side by side. Only a hint.
pub(super) fn will_read(file: &File, offset: u64, len: u64) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, offset, std::num::NonZeroU64::new(len), rustix::fs::Advice::WillNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, len);
}

/// Bytes that sled's list of its pages may take, which it writes anew at each start: 32 for a page, and pages are of 4 KiB and more but for
/// a few. Measured: a 250th of the file.
pub(super) fn list_bytes(store: &Path) -> Result<u64, JournalError> {
    match fs::metadata(store.join("db")) {
        Ok(file) => Ok(file.len() / 128),
        Err(error) => Err(unavailable("reading", store, &error)),
    }
}

/// Files in `blobs/`: there must be none, sled never syncs them.
pub(super) fn blobs(store: &Path) -> io::Result<usize> {
    let blobs = store.join("blobs");
    if blobs.exists() { Ok(fs::read_dir(blobs)?.count()) } else { Ok(0) }
}

/// Bytes that the files of a directory take on the disk's books.
pub(super) fn size(path: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(sum)
}
