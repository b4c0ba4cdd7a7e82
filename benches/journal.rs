//! The journal against a bare append + fdatasync of the same bytes in the same batches.
//!
//! `cargo bench --bench journal [-- NAME …]` prints one JSON object a line. With W writers that each wait for their
//! record, the bare side writes W records of 300 bytes with one `write` and one `fdatasync`, in one thread, without
//! anyone to answer: the limit of the disk. Both sides alternate within a run; the ratio is the median of the rounds'.
//! `BENCH_DIR` names another place to write to.
//!
//! `journal_soak`, only when named, writes a million records over 15,000 streams and tells disk use and reopening time
//! (ADR 2).

#[path = "journal/soak.rs"]
mod soak;

use chargeline::clock::{SharedClock, WallClock};
use chargeline::config::{DEFAULTS, journal::Journal as Config};
use chargeline::persistence::{Append, Journal, NewRecord, SledJournal, StreamName, Token};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The program's allocator.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const RECORD: usize = 300;

/// Short rounds, so that both sides of a pair meet the same weather on a shared disk.
const ROUNDS: usize = 31;

struct Case {
    name: &'static str,
    writers: usize,
    round: Duration,
    /// Below this the bench fails.
    limit: f64,
}

const CASES: [Case; 3] = [
    Case { name: "journal_ratio_1", writers: 1, round: Duration::from_millis(100), limit: 0.45 },
    Case { name: "journal_ratio_64", writers: 64, round: Duration::from_millis(150), limit: 0.5 },
    Case { name: "journal_ratio_256", writers: 256, round: Duration::from_millis(150), limit: 0.5 },
];

fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let place = std::env::var_os("BENCH_DIR").map_or(PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let directory = place.join("bench-journal");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory)?;
    let mut short = 0;
    for case in CASES.iter().filter(|case| wanted.is_empty() || wanted.iter().any(|name| name == case.name)) {
        short += usize::from(!run(case, &directory)?);
    }
    if wanted.iter().any(|name| name == "journal_soak") {
        soak::run(&directory.join("soak"))?;
    }
    fs::remove_dir_all(&directory)?;
    anyhow::ensure!(short == 0, "{short} figures fall short of their limit");
    Ok(())
}

fn run(case: &Case, directory: &Path) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = directory.join(case.name);
    let journal = open(&store, |_| {})?;
    let mut bare = Bare::new(&directory.join("bare"))?;
    let mut writers = Vec::new();
    for n in 0..case.writers {
        let claimed = runtime.block_on(journal.claim(&StreamName::new("charger", &format!("CP-{n:06}"))))?;
        writers.push((claimed.token, claimed.sequence));
    }
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (rate, after) = runtime.block_on(write(&journal, writers, case.round));
        writers = after;
        let limit = bare.write(case.writers, case.round)?;
        // The first round warms up.
        if round > 0 {
            ours.push(rate);
            theirs.push(limit);
            ratios.push(rate / limit);
        }
    }
    drop(journal);
    fs::remove_dir_all(&store)?;
    let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratios));
    let against =
        format!("bare append+fdatasync, {} records a sync: {theirs:.0} records/s; journal {ours:.0}", case.writers);
    let line = serde_json::json!({
        "name": case.name, "value": (ratio * 1000.0).round() / 1000.0, "unit": "ratio", "limit": case.limit, "against": against,
    });
    println!("{line}");
    Ok(ratio >= case.limit)
}

fn open(path: &Path, adjust: impl FnOnce(&mut Config)) -> anyhow::Result<Arc<SledJournal>> {
    #[derive(serde::Deserialize)]
    struct Sections {
        journal: Config,
    }
    let mut config = toml::from_str::<Sections>(DEFAULTS)?.journal;
    config.path = path.to_owned();
    adjust(&mut config);
    let clock: SharedClock = Arc::new(WallClock);
    Ok(SledJournal::open(&config, &clock)?)
}

/// Every writer appends, waits, and appends again, until the time is up. Records a second.
async fn write(journal: &Arc<SledJournal>, writers: Vec<(Token, u64)>, time: Duration) -> (f64, Vec<(Token, u64)>) {
    let begun = Instant::now();
    let tasks: Vec<_> = (0u64..)
        .zip(writers)
        .map(|(n, (token, mut sequence))| {
            let journal = Arc::clone(journal);
            tokio::spawn(async move {
                let before = sequence;
                while begun.elapsed() < time {
                    let id = u128::from(n) << 64 | u128::from(sequence + 1);
                    let at = chargeline::clock::Timestamp(1_800_000_000_000);
                    let record = NewRecord { at, id, body: vec![b'x'; RECORD], notices: Vec::new() };
                    let append = Append { after: sequence, records: vec![record], rows: Vec::new() };
                    // A bench has nobody to hand an error to: it ends.
                    match journal.append(&token, append).await {
                        Ok(appended) => sequence = appended.sequence,
                        Err(error) => panic!("an append failed: {error}"),
                    }
                }
                (token, sequence, sequence - before)
            })
        })
        .collect();
    let (mut after, mut written) = (Vec::new(), 0);
    for task in tasks {
        if let Ok((token, sequence, count)) = task.await {
            after.push((token, sequence));
            written += count;
        }
    }
    (written as f64 / begun.elapsed().as_secs_f64(), after)
}

/// A file that is appended to and synced: what the disk can do.
struct Bare {
    file: File,
    path: PathBuf,
}

impl Bare {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Bare { file, path: path.to_owned() })
    }

    fn write(&mut self, batch: usize, time: Duration) -> anyhow::Result<f64> {
        let bytes = vec![b'x'; RECORD * batch];
        let (begun, mut records) = (Instant::now(), 0);
        while begun.elapsed() < time {
            self.file.write_all(&bytes)?;
            self.file.sync_data()?;
            records += batch;
        }
        Ok(records as f64 / begun.elapsed().as_secs_f64())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
