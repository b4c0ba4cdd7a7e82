//! The tools on the journal (RT-11), as functions: what they find, ready to be shown. Owns the shape of an export line
//! and of an inspection; the store's own side is in [`super::sled`].

use super::journal::JournalError;
use super::sled::{StoredRecord, Tool};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// A record as one line of an export: JSON bodies as JSON, others as base64.
pub fn line(stored: &StoredRecord) -> Value {
    let StoredRecord { stream, block, record } = stored;
    let mut line = json!({
        "stream": stream,
        "sequence": record.sequence,
        "at": record.at.to_rfc3339(),
        "id": format!("{:032x}", record.id),
        "block": block,
    });
    let (name, body) = shown(&record.body);
    line[name] = body;
    line
}

/// Stored bytes for people: JSON if it is that, text if it is that, else base64.
fn shown(bytes: &[u8]) -> (&'static str, Value) {
    match (serde_json::from_slice::<Value>(bytes), std::str::from_utf8(bytes)) {
        (Ok(value), _) => ("body", value),
        (Err(_), Ok(text)) => ("text", Value::String(text.to_owned())),
        (Err(_), Err(_)) => ("base64", Value::String(STANDARD.encode(bytes))),
    }
}

/// Writes every record (of one stream, if given) as JSON lines. Gives how many.
///
/// # Errors
/// When a record cannot be read, or the output cannot be written.
pub fn export(tool: &Tool, stream: Option<&str>, out: &mut dyn Write) -> Result<u64, JournalError> {
    let mut written = Ok(());
    let count = tool.records(stream, |stored| {
        if written.is_ok() {
            written = writeln!(out, "{}", line(&stored));
        }
        match &written {
            Ok(()) => Ok(()),
            Err(error) => Err(JournalError::Unavailable(format!("writing the export: {error}"))),
        }
    })?;
    Ok(count)
}

/// Writes a stream's snapshot and history. Gives how many records there were, and whether there was a snapshot.
///
/// # Errors
/// When something of it cannot be read, or the output cannot be written.
pub fn inspect(tool: &Tool, stream: &str, out: &mut dyn Write) -> Result<(u64, bool), JournalError> {
    let snapshot = tool.snapshot(stream)?;
    if let Some((snapshot, live)) = &snapshot {
        let (name, state) = shown(&snapshot.state);
        let line = json!({ "snapshot": { "sequence": snapshot.sequence, "live": live, name: state } });
        writeln!(out, "{line}").map_err(|error| JournalError::Unavailable(format!("writing: {error}")))?;
    }
    let records = export(tool, Some(stream), out)?;
    Ok((records, snapshot.is_some()))
}

/// Whether a path may become a backup: missing, or an empty directory.
pub fn is_vacant(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
