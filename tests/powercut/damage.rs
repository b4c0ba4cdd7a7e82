//! What a disk may do to the journal's file beyond forgetting: half of a write that nobody waited for (J10), and a flipped bit
//! (J9). Owns the tearing and the flipping, and what the product may say to it.

use super::fresh::{READY_MAX, last_line};
use anyhow::{Context, ensure};
use chargeline::persistence::sled::{Tool, store_raw};
use loadtest::server::Server;
use rand::RngExt;
use rand::rngs::SmallRng;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Bytes of a segment of sled's file, and the most of the message that a commit begins with.
const SEGMENT: usize = 512 << 10;
const MANIFEST_MAX: usize = 40;

/// The kind of that message.
const MANIFEST: u8 = 3;

/// The file of the store that counts.
pub(crate) fn store_file(data: &Path) -> anyhow::Result<PathBuf> {
    let journal = data.join("journal");
    let current = std::fs::read_to_string(journal.join("CURRENT")).context("CURRENT")?;
    Ok(journal.join(current.trim()).join("db"))
}

/// The journal's file around one commit that is not acknowledged: without what a power cut takes of it, and with it.
pub(crate) struct Commit {
    pub(crate) before: Vec<u8>,
    pub(crate) written: Vec<u8>,
}

/// What was torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tear {
    /// Bytes from the first that the commit changed to the last.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Bytes of it that are there, from the first on without a gap.
    pub(crate) kept: usize,
    /// Whether rubbish follows.
    pub(crate) rubbish: bool,
    /// Where the last message begins without which the commit counts for nothing, if it begins with its manifest. What lies
    /// behind it are pages that were moved.
    pub(crate) needed: Option<usize>,
}

impl Tear {
    /// Whether a commit was cut off, and its beginning is there for the server to tell of: its manifest, and all in one segment
    /// of the store, because segments do not follow each other in the file.
    pub(crate) fn is_to_be_told(&self) -> bool {
        let cut_off = self.needed.is_some_and(|at| self.first + self.kept <= at);
        cut_off && self.kept >= MANIFEST_MAX && self.first / SEGMENT == self.last / SEGMENT
    }
}

impl Commit {
    /// The sectors that it changed.
    fn changed(&self) -> Vec<usize> {
        let sectors = self.written.len().div_ceil(SECTOR);
        (0..sectors).filter(|sector| sector_of(&self.before, *sector) != sector_of(&self.written, *sector)).collect()
    }

    /// What is on the disk if of the commit's sectors only some, the first ones, were written, and perhaps rubbish in place of
    /// the next. What was there before is not touched.
    pub(crate) fn tear(&self, rng: &mut SmallRng) -> Option<(Vec<u8>, Tear)> {
        let changed = self.changed();
        let first = (0..self.written.len()).find(|at| self.before.get(*at) != self.written.get(*at))?;
        let last = (0..self.written.len()).rfind(|at| self.before.get(*at) != self.written.get(*at))?;
        let mut torn = self.before.clone();
        torn.resize(self.written.len().max(self.before.len()), 0);
        let kept = rng.random_range(0..changed.len());
        let rubbish = rng.random_bool(0.5);
        for (n, sector) in changed.iter().enumerate() {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.written.len());
            // Sliced first: skipping to a place of a file of hundreds of megabytes takes seconds in a build without optimisation.
            for ((byte, written), at) in torn[from..to].iter_mut().zip(&self.written[from..to]).zip(from..) {
                *byte = match n.cmp(&kept) {
                    std::cmp::Ordering::Less => *written,
                    std::cmp::Ordering::Equal if rubbish && at >= first => rng.random(),
                    _ => self.before.get(at).copied().unwrap_or(0),
                };
            }
        }
        let whole = changed[..kept].windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count() + 1;
        let kept = if kept == 0 { 0 } else { (changed[0] + whole) * SECTOR - first };
        Some((torn, Tear { first, last, kept, rubbish, needed: self.needed(first) }))
    }

    /// Where the last message of the batch begins whose manifest begins here. sled's format is told in the product's `sled::tail`.
    fn needed(&self, first: usize) -> Option<usize> {
        let number = |at: usize| self.written.get(at..at + 8)?.try_into().ok().map(i64::from_le_bytes);
        let segment = first / SEGMENT * SEGMENT;
        let mut body = first + 5;
        if *self.written.get(body - 1)? != MANIFEST {
            return None;
        }
        // The length, the segment's number and the page's.
        for _ in 0..3 {
            body += match *self.written.get(body)? {
                0..=240 => 1,
                241..=248 => 2,
                249 => 3,
                more => usize::from(more) - 246,
            };
        }
        let of_segment = number(segment + 4)? ^ i64::MAX;
        Some(segment + usize::try_from(number(body)? - of_segment).ok()?)
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> &[u8] {
    let from = (sector * SECTOR).min(bytes.len());
    &bytes[from..(from + SECTOR).min(bytes.len())]
}

/// Overwrites a file and syncs it.
pub(crate) fn overwrite(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::options().write(true).truncate(true).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What the product made of a flipped bit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing that is in use was hit.
    Harmless,
    /// `journal verify` names it, and the server refuses to start.
    Refused(String),
    /// `journal verify` names it, and the server serves without it.
    Isolated(String),
    /// Something is missing, and nobody says so.
    Silent(String),
}

/// Copies the data, flips one bit in it, and hears what the tools and the server say.
pub(crate) async fn flip(binary: &Path, data: &Path, beside: &Path, rng: &mut SmallRng) -> anyhow::Result<Answer> {
    let whole = Copy::make(binary, data, beside, "whole")?;
    let checked = Copy::make(binary, data, beside, "checked")?;
    let mut served = Copy::make(binary, data, beside, "served")?;
    let at = aim(&whole, rng)?;
    let bit = 1 << rng.random_range(0..8);
    for copy in [&checked, &served] {
        let file = store_file(&copy.data)?;
        let mut bytes = std::fs::read(&file)?;
        bytes[at] ^= bit;
        std::fs::write(&file, bytes)?;
    }
    let (sound, before) = whole.server.journal_verify().await?;
    ensure!(sound, "the journal does not verify before the flip: {before}");
    let (sound, after) = checked.server.journal_verify().await?;
    let answer = match (sound, after == before) {
        (true, true) if whole.content()? == checked.content()? => Answer::Harmless,
        (true, true) => Answer::Silent(format!("byte {at}: as many of everything, but not the same")),
        (true, false) => Answer::Silent(format!("byte {at}: {before} became {after}")),
        (false, _) => served.serve(format!("byte {at}: {after}")).await?,
    };
    std::fs::remove_dir_all(beside.join("copies"))?;
    Ok(answer)
}

/// A copy of the data, with a server of its own.
struct Copy {
    server: Server,
    data: PathBuf,
}

impl Copy {
    fn make(binary: &Path, data: &Path, beside: &Path, name: &str) -> anyhow::Result<Self> {
        let dir = beside.join("copies").join(name);
        let server = Server::keeping(binary, &dir, &dir.join("data"))?;
        copy_all(data, &dir.join("data"))?;
        Ok(Copy { server, data: dir.join("data") })
    }

    /// Everything that is in it.
    fn content(&self) -> anyhow::Result<String> {
        let mut content = String::new();
        store_raw(&self.data.join("journal"), &mut content)?;
        Ok(content)
    }

    async fn serve(&mut self, named: String) -> anyhow::Result<Answer> {
        self.server.start()?;
        let answer = match self.server.ready(READY_MAX).await {
            Ok(_) => Answer::Isolated(named),
            Err(_) => Answer::Refused(format!("{named}; {}", last_line(&self.server.log()))),
        };
        self.server.kill().await?;
        Ok(answer)
    }
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_all(&entry.path(), &target)?,
            false if entry.file_name() == "reserve" => {}
            false => std::fs::copy(entry.path(), target).map(drop)?,
        }
    }
    Ok(())
}

/// Commits at the end that may not be told from some that were never acknowledged, as none behind them names them as synced.
const UNPROVEN: u64 = 8;

/// A place in the middle of acknowledged records, mostly; now and then any that is not empty.
fn aim(whole: &Copy, rng: &mut SmallRng) -> anyhow::Result<usize> {
    let bytes = std::fs::read(store_file(&whole.data)?)?;
    let mut records = Vec::new();
    let tool = Tool::open(&whole.data.join("journal"))?;
    tool.records(None, |stored| {
        records.push((stored.block, stored.record.body));
        Ok(())
    })?;
    drop(tool);
    let newest = records.iter().map(|(block, _)| *block).max().context("there are no records")?;
    let (older, unproven): (Vec<_>, Vec<_>) = records.iter().partition(|(block, _)| block + UNPROVEN < newest);
    ensure!(!older.is_empty(), "all records lie in the newest blocks");
    let places = |body: &[u8]| -> Vec<usize> {
        let part = &body[..body.len().min(64)];
        bytes.windows(part.len()).enumerate().filter(|(_, w)| *w == part).map(|(at, _)| at).collect()
    };
    if rng.random_ratio(1, 4) {
        // Where each segment ceases to be proven.
        let mut ends = HashMap::new();
        for place in unproven.iter().flat_map(|(_, body)| places(body)) {
            let end = ends.entry(place / SEGMENT).or_insert(place);
            *end = place.min(*end);
        }
        let is_proven = |at: usize| ends.get(&(at / SEGMENT)).is_none_or(|end| at < *end);
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0 && is_proven(*at)).collect();
        return Ok(used[rng.random_range(0..used.len())]);
    }
    let (_, body) = older[rng.random_range(0..older.len())];
    let places = places(body);
    ensure!(!places.is_empty(), "a record of {} bytes is not in the file as it is", body.len());
    Ok(places[rng.random_range(0..places.len())] + rng.random_range(0..body.len().min(64)))
}
