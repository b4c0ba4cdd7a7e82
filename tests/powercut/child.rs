//! The process whose power is cut: writers on a journal, and the parent's end of their pipe. Owns what is written.

use chargeline::clock::{SharedClock, Timestamp, WallClock};
use chargeline::config::{DEFAULTS, journal::Journal as Config};
use chargeline::domain::entity::{Notice, Row};
use chargeline::ids::PartnerId;
use chargeline::persistence::{Append, Journal, NewRecord, SledJournal, Snapshot, StreamName};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub(crate) const WRITERS: u64 = 16;

/// A snapshot every so many records.
const SNAPSHOT_EVERY: u64 = 40;

pub(crate) fn stream(writer: u64) -> StreamName {
    StreamName::new("charger", &format!("CP{writer}"))
}

pub(crate) fn partner() -> PartnerId {
    "p1".parse().expect("a valid partner id")
}

/// Every record's content follows from its place; some are larger than a page.
pub(crate) fn body(writer: u64, sequence: u64) -> Vec<u8> {
    let size = if sequence.is_multiple_of(17) { 10_000 } else { 300 };
    format!("{writer}/{sequence}/").into_bytes().into_iter().cycle().take(size).collect()
}

pub(crate) fn config(data: &Path) -> Config {
    #[derive(serde::Deserialize)]
    struct Sections {
        journal: Config,
    }
    let mut config = toml::from_str::<Sections>(DEFAULTS).expect("the defaults").journal;
    config.path = data.to_owned();
    (config.reserve_bytes, config.full_floor_bytes) = (1 << 20, 1 << 20);
    (config.cache_bytes, config.upkeep_interval) = (16 << 20, Duration::from_millis(100));
    config.list_after_bytes = 64 << 10;
    // History goes at once: compaction is cut in the middle, too (J4).
    (config.retention, config.alive_interval) = (Duration::ZERO, Duration::from_millis(50));
    // Several commits are under way at each moment.
    config.batch_max = 3;
    config
}

/// What the child told.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(HashMap<u64, u64>);

impl Acknowledged {
    pub(crate) fn of(&self, writer: u64) -> u64 {
        self.0.get(&writer).copied().unwrap_or(0)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

/// The child process as its parent sees it.
pub(crate) struct Child {
    process: std::process::Child,
    lines: Receiver<(u64, u64)>,
    first: Receiver<()>,
}

impl Child {
    pub(crate) fn start(data: &Path, sync: bool) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.env("POWERCUT_CHILD", data).stdout(Stdio::piped()).stderr(Stdio::null());
        if !sync {
            command.env("POWERCUT_WITHOUT_SYNC", "1");
        }
        let mut process = command.spawn().map_err(|e| e.to_string())?;
        let output = process.stdout.take().ok_or("no pipe")?;
        let ((tell, lines), (tell_first, first)) = (channel(), channel());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let place = line.split_once(' ').and_then(|(w, s)| Some((w.parse().ok()?, s.parse().ok()?)));
                let _ = tell_first.send(());
                // A line cut in the middle by the kill is no acknowledgement that anyone got.
                if let Some(place) = place {
                    let _ = tell.send(place);
                }
            }
        });
        Ok(Child { process, lines, first })
    }

    pub(crate) fn wait_for_first(&self, most: Duration) -> Result<(), String> {
        self.first.recv_timeout(most).map_err(|_| "the child acknowledged nothing".to_owned())
    }

    /// Kills it and takes note of all that it acknowledged.
    pub(crate) fn kill(mut self, known: &mut Acknowledged) -> Result<(), String> {
        self.process.kill().and_then(|()| self.process.wait()).map_err(|e| e.to_string())?;
        for (writer, sequence) in self.lines.iter() {
            let highest = known.0.entry(writer).or_default();
            *highest = sequence.max(*highest);
        }
        Ok(())
    }
}

/// The child: writes until it is killed. A failing journal ends it, as it would end the product (RT-7).
pub(crate) fn run(data: &Path, without_sync: bool) -> ExitCode {
    let clock: SharedClock = Arc::new(WallClock);
    let opened = if without_sync {
        SledJournal::open_without_sync(&config(data), &clock)
    } else {
        SledJournal::open(&config(data), &clock)
    };
    let Ok(journal) = opened else { return ExitCode::FAILURE };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(journal.clone(), writer))).collect();
        for writer in writers {
            let _ = writer.await;
        }
    });
    ExitCode::FAILURE
}

async fn write(journal: Arc<SledJournal>, writer: u64) -> Option<()> {
    let claimed = journal.claim(&stream(writer)).await.ok()?;
    for after in claimed.sequence.. {
        let sequence = after + 1;
        let notice = Notice {
            partner: partner(),
            kind: "session.progress".into(),
            order_key: stream(writer).to_string(),
            sequence: Some(sequence),
            at: Timestamp(1),
            data: serde_json::Value::Null,
        };
        let id = u128::from(writer) << 64 | u128::from(sequence);
        let record = NewRecord { at: Timestamp(1), id, body: body(writer, sequence), notices: vec![notice] };
        let key = stream(writer).to_string();
        let row = Row { table: "powercut", key, value: Some(sequence.to_string().into_bytes()) };
        journal.append(&claimed.token, Append { after, records: vec![record], rows: vec![row] }).await.ok()?;
        println!("{writer} {sequence}");
        if sequence.is_multiple_of(SNAPSHOT_EVERY) {
            let snapshot = Snapshot { sequence, state: vec![b's'; 6000] };
            journal.snapshot(&claimed.token, snapshot, true).await.ok()?;
        }
    }
    None
}
