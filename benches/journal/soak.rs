//! A million records: what sled makes of them on disk and at the next start.

use chargeline::clock::Timestamp;
use chargeline::config::journal::Journal as Config;
use chargeline::persistence::sled::Tool;
use chargeline::persistence::{Append, Journal, NewRecord, SledJournal, Snapshot, StreamName, Token};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STREAMS: u64 = 15_000;
const WRITERS: u64 = 250;
const RECORDS: u64 = 1_000_000;
const STATE: usize = 1024;

/// Records of a stream between two snapshots.
const SNAPSHOT_EVERY: u64 = 20;

/// History goes at once, so that what is left is live state.
fn adjust(config: &mut Config) {
    config.retention = Duration::ZERO;
    config.upkeep_interval = Duration::from_millis(200);
    config.snapshot_blocks = 8192;
}

pub(crate) fn run(path: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let journal = super::open(path, adjust)?;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        writers.push(runtime.block_on(claim(&journal, writer))?);
    }
    for quarter in 1..=4u64 {
        let begun = Instant::now();
        let tasks: Vec<_> = writers.drain(..).map(|tokens| runtime.spawn(write(journal.clone(), tokens))).collect();
        for task in tasks {
            writers.push(runtime.block_on(task)??);
        }
        let rate = (RECORDS / 4) as f64 / begun.elapsed().as_secs_f64();
        let stats = runtime.block_on(journal.stats())?;
        tell(&format!("soak_rate_{quarter}"), rate, "records/s");
        tell(&format!("soak_disk_{quarter}"), stats.disk_bytes as f64 / 1e6, "MB");
        tell(&format!("soak_log_blocks_{quarter}"), stats.log_blocks as f64, "blocks");
    }
    drop(journal);
    reopen(path, &runtime)?;
    let tool = Tool::open(path)?;
    let begun = Instant::now();
    let findings = tool.verify();
    anyhow::ensure!(findings.sound(), "{findings}");
    tell("soak_verify", begun.elapsed().as_secs_f64(), "s");
    let clock: chargeline::clock::SharedClock = Arc::new(chargeline::clock::WallClock);
    let begun = Instant::now();
    let (_, before, after) = tool.compact(&clock, Duration::ZERO)?;
    tell("soak_compact", begun.elapsed().as_secs_f64(), "s");
    tell("soak_disk_before_compact", before as f64 / 1e6, "MB");
    tell("soak_disk_after_compact", after as f64 / 1e6, "MB");
    reopen(path, &runtime)
}

/// Opens, then claims every stream as recovery does.
fn reopen(path: &Path, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let begun = Instant::now();
    let journal = super::open(path, adjust)?;
    tell("soak_open", begun.elapsed().as_secs_f64(), "s");
    let begun = Instant::now();
    for writer in 0..WRITERS {
        runtime.block_on(claim(&journal, writer))?;
    }
    tell("soak_claim_all", begun.elapsed().as_secs_f64(), "s");
    Ok(())
}

async fn claim(journal: &Arc<SledJournal>, writer: u64) -> anyhow::Result<Vec<(Token, u64)>> {
    let mut tokens = Vec::new();
    for n in 0..STREAMS / WRITERS {
        let name = StreamName::new("charger", &format!("CP-{writer:04}-{n:04}"));
        let claimed = journal.claim(&name).await?;
        tokens.push((claimed.token, claimed.sequence));
    }
    Ok(tokens)
}

/// A quarter of the writer's share, round and round over its streams.
async fn write(journal: Arc<SledJournal>, mut tokens: Vec<(Token, u64)>) -> anyhow::Result<Vec<(Token, u64)>> {
    let share = RECORDS / 4 / WRITERS;
    for n in 0..share {
        let at = usize::try_from(n)? % tokens.len();
        let (token, sequence) = &mut tokens[at];
        let id = u128::from(*sequence + 1);
        let record = NewRecord { at: Timestamp(0), id, body: vec![b'x'; super::RECORD], notices: Vec::new() };
        let append = Append { after: *sequence, records: vec![record], rows: Vec::new() };
        *sequence = journal.append(token, append).await?.sequence;
        if sequence.is_multiple_of(SNAPSHOT_EVERY) {
            journal.snapshot(token, Snapshot { sequence: *sequence, state: vec![b's'; STATE] }, true).await?;
        }
    }
    Ok(tokens)
}

fn tell(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({ "name": name, "value": (value * 100.0).round() / 100.0, "unit": unit }));
}
