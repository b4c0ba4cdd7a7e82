//! The files: one for a span of time, named by its begin. Owns their making, their order, and their end: the oldest go
//! when they are too old or all together are too large.

use super::writer::Row;
use crate::config::message_log::MessageLog as Settings;
use crate::telemetry::metrics::messages as metrics;
use rusqlite::{Connection, OpenFlags, params};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Spans that the retention is divided into: so much of it may be kept too long.
const SPANS: u64 = 16;

/// A part of the room that one file may take, before a new one is begun: so much may go at once.
const PARTS: u64 = 16;

/// What SQLite may need besides the rows: a page more of each index, and its own log.
const AMPLIFICATION: u64 = 3;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS frames (charger TEXT NOT NULL, at INTEGER NOT NULL, upto INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS frames_of ON frames (charger, at);
";

/// The files that are there, oldest first: when each begins, and where it is.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let begin = name.strip_prefix("messages-").and_then(|name| name.strip_suffix(".sqlite"));
        if let Some(begin) = begin.and_then(|begin| begin.parse().ok()) {
            found.push((begin, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Opens a file to be read.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// A file's bytes, with those of its own log.
fn size(path: &Path) -> u64 {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    bytes(path) + bytes(&path.with_extension("sqlite-wal"))
}

fn remove(path: &Path) -> io::Result<()> {
    for extension in ["sqlite-wal", "sqlite-shm"] {
        match fs::remove_file(path.with_extension(extension)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    fs::remove_file(path)
}

pub(super) struct Segments {
    settings: Settings,
    floor: u64,
    current: Option<(i64, PathBuf, Connection)>,
}

impl Segments {
    pub(super) fn open(settings: &Settings, floor: u64) -> io::Result<Self> {
        let total: u64 = list(&settings.path)?.iter().map(|(_, path)| size(path)).sum();
        metrics::STORED_BYTES.set(total as f64, []);
        Ok(Segments { settings: settings.clone(), floor, current: None })
    }

    /// Writes rows in one transaction. `false`: there is no room for them.
    pub(super) fn write(&mut self, rows: &[Row]) -> Result<bool, rusqlite::Error> {
        let Some(newest) = rows.iter().map(|row| row.upto).max() else { return Ok(true) };
        let bytes: u64 = rows.iter().map(|row| row.body.len() as u64).sum();
        // A file system that cannot tell does not stop the log.
        let free = fs4::available_space(&self.settings.path).unwrap_or(u64::MAX);
        if free < self.floor.saturating_add(bytes * AMPLIFICATION) {
            self.current = None;
            self.tidy(newest);
            return Ok(false);
        }
        let written = self.insert(newest, rows);
        if written.is_err() {
            // The file may be damaged or gone: the next rows get another.
            self.current = None;
        }
        written.map(|()| true)
    }

    fn insert(&mut self, newest: i64, rows: &[Row]) -> Result<(), rusqlite::Error> {
        let connection = self.connection(newest)?;
        let transaction = connection.transaction()?;
        {
            let sql = "INSERT INTO frames (charger, at, upto, body) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare(sql)?;
            for row in rows {
                insert.execute(params![row.charger.as_str(), row.at, row.upto, row.body])?;
            }
        }
        transaction.commit()
    }

    /// The file for what comes now.
    fn connection(&mut self, now: i64) -> Result<&mut Connection, rusqlite::Error> {
        let span = i64::try_from(self.settings.retention.as_millis() / u128::from(SPANS)).unwrap_or(i64::MAX).max(1);
        let part = self.settings.max_bytes / PARTS;
        let full = |begin: i64, path: &Path| now.saturating_sub(begin) >= span || size(path) >= part;
        if self.current.as_ref().is_some_and(|(begin, path, _)| full(*begin, path)) {
            self.current = None;
        }
        if self.current.is_none() {
            self.tidy(now);
            // After a restart the newest one goes on, if it is not full.
            let known = list(&self.settings.path).unwrap_or_default();
            let newest = known.last().filter(|(begin, path)| *begin <= now && !full(*begin, path)).cloned();
            let after = known.last().map_or(i64::MIN, |(begin, _)| begin + 1);
            let (begin, path) = newest.unwrap_or_else(|| {
                let begin = now.max(after);
                (begin, self.settings.path.join(format!("messages-{begin}.sqlite")))
            });
            let connection = Connection::open(&path)?;
            connection.execute_batch(SCHEMA)?;
            self.current = Some((begin, path, connection));
        }
        match &mut self.current {
            Some((_, _, connection)) => Ok(connection),
            None => Err(rusqlite::Error::InvalidQuery),
        }
    }

    /// Deletes what is too old or too much. Called while no file is open for writing.
    fn tidy(&self, now: i64) {
        let Ok(mut files) = list(&self.settings.path) else { return };
        let keep = i64::try_from(self.settings.retention.as_millis()).unwrap_or(i64::MAX);
        let mut total: u64 = files.iter().map(|(_, path)| size(path)).sum();
        // Room for the file that is begun.
        let most = self.settings.max_bytes - self.settings.max_bytes / PARTS;
        while let Some((_, oldest)) = files.first() {
            // What a file holds ends where the next one begins; the newest one has no next.
            let ended = files.get(1).map_or(i64::MAX, |(begin, _)| *begin);
            if total <= most && now.saturating_sub(ended) <= keep {
                break;
            }
            let bytes = size(oldest);
            if let Err(error) = remove(oldest) {
                tracing::warn!(path = %oldest.display(), %error, "an old part of the message log cannot be removed");
                break;
            }
            total = total.saturating_sub(bytes);
            files.remove(0);
        }
        metrics::STORED_BYTES.set(total as f64, []);
    }
}
