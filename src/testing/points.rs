//! Named places at which a test makes the process fail: a panic, or the end of the process without a word. In a release build
//! the places are not there (`fault_point!` expands to nothing without the feature `testing`).
//!
//! `FAULT_POINTS` names a file of lines `NAME DETAIL WHAT SKIP TIMES`, read at every place: `DETAIL` is what the place must
//! begin with (`*`: any), `WHAT` is `panic` or `abort`, `SKIP` hits are let pass, then `TIMES` act. What has acted is appended
//! to the file's neighbour `.hits` first, so that it counts across the process's lives.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The variable that names the file.
pub const VARIABLE: &str = "FAULT_POINTS";

/// What a place does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Panic,
    Abort,
}

#[derive(Debug, Default)]
struct Points {
    file: PathBuf,
    /// Hits of each line so far, in this life.
    seen: HashMap<String, u64>,
}

static POINTS: LazyLock<Option<Mutex<Points>>> = LazyLock::new(|| {
    let file = PathBuf::from(std::env::var_os(VARIABLE)?);
    Some(Mutex::new(Points { file, seen: HashMap::new() }))
});

/// Whether a test has named a file.
pub fn armed() -> bool {
    POINTS.is_some()
}

/// The process is at this place; `detail` tells one entity's from another's.
///
/// # Panics
/// When a test has asked for that.
pub fn hit(name: &str, detail: &str) {
    let Some(points) = &*POINTS else { return };
    let act = points.lock().unwrap_or_else(PoisonError::into_inner).due(name, detail);
    match act {
        Some(Act::Panic) => panic!("injected at {name} {detail}"),
        Some(Act::Abort) => std::process::abort(),
        None => {}
    }
}

impl Points {
    fn due(&mut self, name: &str, detail: &str) -> Option<Act> {
        let armed = std::fs::read_to_string(&self.file).ok()?;
        for line in armed.lines() {
            let Some((place, of, act, skip, times)) = read(line) else { continue };
            if place != name || !(of == "*" || detail.starts_with(of)) {
                continue;
            }
            let seen = self.seen.entry(line.to_owned()).or_default();
            *seen += 1;
            if *seen > skip && acted(&self.hits(), line) < times {
                self.note(line);
                return Some(act);
            }
        }
        None
    }

    fn hits(&self) -> PathBuf {
        self.file.with_extension("hits")
    }

    fn note(&self, line: &str) {
        let file = OpenOptions::new().create(true).append(true).open(self.hits());
        // A rig whose file cannot be written sees a count that did not move.
        let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    }
}

fn read(line: &str) -> Option<(&str, &str, Act, u64, u64)> {
    let mut words = line.split_whitespace();
    let (place, of) = (words.next()?, words.next()?);
    let act = match words.next()? {
        "panic" => Act::Panic,
        "abort" => Act::Abort,
        _ => return None,
    };
    Some((place, of, act, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// How often a line has acted, in all lives.
fn acted(hits: &Path, line: &str) -> u64 {
    let text = std::fs::read_to_string(hits).unwrap_or_default();
    text.lines().filter(|of| *of == line).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_acts_after_so_many_hits_so_often_and_for_its_detail_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("points");
        let line = "engine.stored charger/CP-1 abort 1 2";
        std::fs::write(&file, format!("rubbish\n{line}\n")).unwrap();
        let mut points = Points { file: file.clone(), seen: HashMap::new() };
        assert_eq!(points.due("engine.stored", "charger/CP-2"), None);
        assert_eq!(points.due("engine.decide", "charger/CP-1"), None);
        let acts: Vec<bool> = (0..4).map(|_| points.due("engine.stored", "charger/CP-1").is_some()).collect();
        assert_eq!(acts, [false, true, true, false]);
        let mut next_life = Points { file, seen: HashMap::new() };
        assert!((0..3).all(|_| next_life.due("engine.stored", "charger/CP-1").is_none()), "spent in the last life");
    }
}
