//! What was done and what was answered, as JSON lines, for the offline checker (faults-and-security B1).
//!
//! Owns the record types and the writer. Never judges. Invariant: an *invoke* without an *ok* or *fail* is an unknown
//! outcome, and stays one.

use crate::time::now_ms;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A record with the moment at which it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped<T> {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The record.
    #[serde(flatten)]
    pub it: T,
}

/// The kind of a transaction message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// StartTransaction.
    Start,
    /// MeterValues within a transaction.
    Meter,
    /// StopTransaction.
    Stop,
}

/// What a charger did and learnt. `local` is the charger's own number of a transaction, never reused by that charger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum ChargerRecord {
    /// The socket is open.
    Connected {
        /// Its identity.
        charger: String,
    },
    /// The socket is gone.
    Disconnected {
        /// Its identity.
        charger: String,
        /// The cause as the charger saw it.
        why: String,
    },
    /// A BootNotification was answered.
    Boot {
        /// Its identity.
        charger: String,
        /// `Accepted`, `Pending` or `Rejected`.
        status: String,
        /// The interval given, in seconds.
        interval_s: i64,
    },
    /// Something happened at the connector that the server has to learn (before it is sent).
    Fact {
        /// Its identity.
        charger: String,
        /// 1, 2, ….
        connector: u16,
        /// The charger's number of the transaction.
        local: u64,
        /// Start, meter or stop.
        kind: FactKind,
        /// The energy register at that moment, whole Wh.
        meter_wh: i64,
        /// The token, for a start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id_tag: Option<String>,
        /// The OCPP reason, for a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The message went out on a socket.
    Sent {
        /// Its identity.
        charger: String,
        /// The charger's number of the transaction.
        local: u64,
        /// Start, meter or stop.
        kind: FactKind,
        /// The OCPP-J message id.
        message_id: String,
        /// 1 for the first try.
        attempt: u32,
    },
    /// The server confirmed it.
    Acked {
        /// Its identity.
        charger: String,
        /// The charger's number of the transaction.
        local: u64,
        /// Start, meter or stop.
        kind: FactKind,
        /// The server's transaction id that the message carries (stop, meter) or got (start).
        transaction_id: i64,
        /// `idTagInfo.status`, where the answer has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_status: Option<String>,
    },
    /// The server answered with a CALLERROR.
    Refused {
        /// Its identity.
        charger: String,
        /// The charger's number of the transaction.
        local: u64,
        /// Start, meter or stop.
        kind: FactKind,
        /// The CALLERROR's code.
        code: String,
    },
    /// The charger gave the message up after its last attempt.
    Discarded {
        /// Its identity.
        charger: String,
        /// The charger's number of the transaction.
        local: u64,
        /// Start, meter or stop.
        kind: FactKind,
    },
    /// A RemoteStartTransaction came and was answered so (`silent` when it was not).
    RemoteStart {
        /// Its identity.
        charger: String,
        /// The connector meant.
        connector: u16,
        /// The token of this start.
        id_tag: String,
        /// `Accepted`, `Rejected` or `silent`.
        answer: String,
    },
    /// A RemoteStopTransaction came and was answered so.
    RemoteStop {
        /// Its identity.
        charger: String,
        /// The server's transaction id.
        transaction_id: i64,
        /// `Accepted` or `Rejected`.
        answer: String,
    },
    /// How the charger stood when the run ended.
    Final {
        /// Its identity.
        charger: String,
        /// The transactions that still run, as the charger's numbers.
        running: Vec<u64>,
        /// Messages that no answer has come for.
        queued: usize,
    },
}

/// The kind of a partner's write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteKind {
    /// `POST /sessions`.
    Start,
    /// `POST /sessions/{id}/stop`.
    Stop,
}

/// What the partner asked and was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum PartnerRecord {
    /// About to be sent for the first time.
    Invoke {
        /// The idempotency key.
        request_id: String,
        /// Start or stop.
        kind: WriteKind,
        /// The charger, for a start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charger: Option<String>,
        /// The connector, for a start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connector: Option<u16>,
        /// The session, for a stop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_id: Option<String>,
    },
    /// Answered 202.
    Ok {
        /// The idempotency key.
        request_id: String,
        /// Start or stop.
        kind: WriteKind,
        /// The session named by the answer.
        session_id: String,
        /// From the first try to the answer.
        latency_us: u64,
        /// Tries, the last one included.
        attempts: u32,
    },
    /// Refused for good: nothing may have come of it.
    Fail {
        /// The idempotency key.
        request_id: String,
        /// Start or stop.
        kind: WriteKind,
        /// The HTTP status.
        http: u16,
        /// `error.code`.
        code: String,
    },
    /// No answer that binds: it may have happened or not.
    Unknown {
        /// The idempotency key.
        request_id: String,
        /// Start or stop.
        kind: WriteKind,
        /// The last error seen.
        reason: String,
    },
}

/// What the webhook sink received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum SinkRecord {
    /// One attempt, written before it is answered.
    Delivery {
        /// `webhook-id`, which is the body's `id`.
        event_id: String,
        /// The body's `type`.
        event_type: String,
        /// The body's `order_key`; empty when it has none.
        order_key: String,
        /// The body's `sequence`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequence: Option<u64>,
        /// `data.session_id`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_id: Option<String>,
        /// 1 for the first time that this id came.
        attempt: u32,
        /// The signature held and header and body agree on the id.
        verified: bool,
        /// The status it is answered with.
        answer: u16,
        /// The sink's own count at the arrival.
        arrival: u64,
        /// The sink's own count at the answer, from the same counter.
        answered: u64,
        /// The body's `timestamp`.
        created_ms: i64,
        /// When it arrived.
        arrived_ms: i64,
    },
}

enum Target {
    Off,
    Memory(Vec<String>),
    File(BufWriter<File>),
}

/// A shared writer of one history; cheap to clone. Writing is a short lock and a copy into a buffer.
#[derive(Clone)]
pub struct History {
    target: Arc<Mutex<Target>>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("History")
    }
}

impl History {
    /// Keeps nothing.
    pub fn off() -> Self {
        History { target: Arc::new(Mutex::new(Target::Off)) }
    }

    /// Keeps the lines in memory, for tests.
    pub fn memory() -> Self {
        History { target: Arc::new(Mutex::new(Target::Memory(Vec::new()))) }
    }

    /// Appends to a file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(History { target: Arc::new(Mutex::new(Target::File(BufWriter::new(file)))) })
    }

    fn lock(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether lines are kept at all, so that callers may spare themselves the making of one.
    pub fn is_on(&self) -> bool {
        !matches!(*self.lock(), Target::Off)
    }

    /// Appends one record, stamped with the present moment. An error of the disk shows at [`History::flush`].
    pub fn write<T: Serialize>(&self, record: T) {
        let mut target = self.lock();
        if matches!(*target, Target::Off) {
            return;
        }
        let Ok(mut line) = serde_json::to_string(&Stamped { at_ms: now_ms(), it: record }) else { return };
        match &mut *target {
            Target::Off => {}
            Target::Memory(lines) => lines.push(line),
            Target::File(out) => {
                line.push('\n');
                if let Err(error) = out.write_all(line.as_bytes()) {
                    tracing::error!(%error, "history is incomplete");
                }
            }
        }
    }

    /// Hands all lines to the operating system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&self) -> io::Result<()> {
        match &mut *self.lock() {
            Target::File(out) => out.flush(),
            Target::Off | Target::Memory(_) => Ok(()),
        }
    }

    /// The records kept in memory; empty for the other kinds.
    pub fn records<T: DeserializeOwned>(&self) -> Vec<Stamped<T>> {
        match &*self.lock() {
            Target::Memory(lines) => lines.iter().filter_map(|l| serde_json::from_str(l).ok()).collect(),
            Target::Off | Target::File(_) => Vec::new(),
        }
    }
}

/// Reads a history file; a torn last line (the writer was killed) is left out, any other bad line is an error.
///
/// # Errors
/// When the file cannot be read or a line before the last is no record.
pub fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<Stamped<T>>> {
    let file = File::open(path).map_err(|e| anyhow::anyhow!("cannot open {}: {e}", path.display()))?;
    let lines = BufReader::new(file).lines().collect::<Result<Vec<_>, _>>()?;
    let mut records = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(_) if i + 1 == lines.len() => break,
            Err(e) => anyhow::bail!("{} line {}: {e}", path.display(), i + 1),
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(id: &str) -> PartnerRecord {
        PartnerRecord::Unknown { request_id: id.into(), kind: WriteKind::Start, reason: "timed out".into() }
    }

    #[test]
    fn a_written_history_reads_back_and_a_torn_tail_is_left_out() {
        let path = std::env::temp_dir().join(format!("history-{}.jsonl", uuid::Uuid::new_v4()));
        let history = History::file(&path).unwrap();
        history.write(unknown("a"));
        history.write(unknown("b"));
        history.flush().unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at_ms\":1,\"wh").unwrap();
        let back: Vec<Stamped<PartnerRecord>> = read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(back.iter().map(|r| r.it.clone()).collect::<Vec<_>>(), vec![unknown("a"), unknown("b")]);
    }

    #[test]
    fn a_bad_line_in_the_middle_is_an_error() {
        let path = std::env::temp_dir().join(format!("history-{}.jsonl", uuid::Uuid::new_v4()));
        std::fs::write(&path, "rubbish\n{}\n").unwrap();
        let read = read::<PartnerRecord>(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(read.unwrap_err().to_string().contains("line 1"));
    }
}
