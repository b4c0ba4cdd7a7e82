//! Named places at which a test makes the process fail, holds it, or has a step left out. In a release build the places are not
//! there (`fault_point!` expands to nothing without the feature `testing`).
//!
//! `FAULT_POINTS` names a file of lines `NAME DETAIL WHAT SKIP TIMES SERIAL`, read at every place and written by
//! [`super::Orders`]: `DETAIL` is what the place must begin with (`*`: any), `WHAT` is `panic`, `abort` (the end of the process
//! without a word), `hold` (it stays there until the line is gone) or `omit`, `SKIP` hits are let pass, then `TIMES` act. What
//! has acted is appended to the file's neighbour `.hits` first, so that it counts across the process's lives.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// The variable that names the file.
pub const VARIABLE: &str = "FAULT_POINTS";

/// Between two looks whether a held place may go on.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a place does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Panic,
    Abort,
    Hold,
    Omit,
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

/// The process is at this place; `detail` tells one entity's from another's. Gives whether the step there is to be left out.
///
/// # Panics
/// When a test has asked for that.
pub fn hit(name: &str, detail: &str) -> bool {
    let Some(points) = &*POINTS else { return false };
    // The lock goes before anything is done: other threads come to other places meanwhile.
    let due = points.lock().unwrap_or_else(PoisonError::into_inner).due(name, detail);
    let Some((act, line, file)) = due else { return false };
    match act {
        Act::Panic => panic!("injected at {name} {detail}"),
        Act::Abort => std::process::abort(),
        Act::Hold => {
            while lines(&file).lines().any(|of| of == line) {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        Act::Omit => {}
    }
    act == Act::Omit
}

impl Points {
    /// What is to be done here, by which line of which file.
    fn due(&mut self, name: &str, detail: &str) -> Option<(Act, String, PathBuf)> {
        for line in lines(&self.file).lines() {
            let Some((place, of, act, skip, times)) = read(line) else { continue };
            if place != name || !(of == "*" || detail.starts_with(of)) {
                continue;
            }
            let seen = self.seen.entry(line.to_owned()).or_default();
            *seen += 1;
            if *seen > skip && acted(&self.file, line) < times {
                note(&self.file, line);
                return Some((act, line.to_owned(), self.file.clone()));
            }
        }
        None
    }
}

/// The orders; none where there is no file.
pub(super) fn lines(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// Where it is told what has acted.
pub(super) fn hits(file: &Path) -> PathBuf {
    file.with_extension("hits")
}

/// How often a line has acted, in all lives.
pub(super) fn acted(file: &Path, line: &str) -> u64 {
    lines(&hits(file)).lines().filter(|of| *of == line).count() as u64
}

fn note(file: &Path, line: &str) {
    let hits = OpenOptions::new().create(true).append(true).open(hits(file));
    // A rig whose file cannot be written sees a count that did not move.
    let _ = hits.and_then(|mut hits| hits.write_all(format!("{line}\n").as_bytes()));
}

fn read(line: &str) -> Option<(&str, &str, Act, u64, u64)> {
    let mut words = line.split_whitespace();
    let (place, of) = (words.next()?, words.next()?);
    let act = match words.next()? {
        "panic" => Act::Panic,
        "abort" => Act::Abort,
        "hold" => Act::Hold,
        "omit" => Act::Omit,
        _ => return None,
    };
    Some((place, of, act, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Orders;

    #[test]
    fn a_place_acts_after_so_many_hits_so_often_and_for_its_detail_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("points");
        let orders = Orders::new(file.clone()).unwrap();
        let order = orders.give("engine.stored", "charger/CP-1", "abort", 1, 2).unwrap();
        let mut points = Points { file: file.clone(), seen: HashMap::new() };
        assert_eq!(points.due("engine.stored", "charger/CP-2"), None);
        assert_eq!(points.due("engine.decide", "charger/CP-1"), None);
        let acts: Vec<bool> = (0..4).map(|_| points.due("engine.stored", "charger/CP-1").is_some()).collect();
        assert_eq!(acts, [false, true, true, false]);
        assert_eq!((orders.acted(&order), orders.hits()), (2, 2));
        let mut next_life = Points { file, seen: HashMap::new() };
        assert!((0..3).all(|_| next_life.due("engine.stored", "charger/CP-1").is_none()), "spent in the last life");
    }

    #[test]
    fn an_order_that_is_given_again_acts_again_and_one_that_is_withdrawn_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("points");
        let orders = Orders::new(file.clone()).unwrap();
        let mut points = Points { file, seen: HashMap::new() };
        let first = orders.give("journal.commit.begun", "*", "hold", 0, 1).unwrap();
        assert!(matches!(points.due("journal.commit.begun", ""), Some((Act::Hold, ..))));
        orders.withdraw(&first).unwrap();
        let again = orders.give("journal.commit.begun", "*", "hold", 0, 1).unwrap();
        assert_eq!((orders.acted(&first), orders.acted(&again)), (1, 0));
        assert!(points.due("journal.commit.begun", "").is_some() && points.due("journal.commit.begun", "").is_none());
        orders.give("journal.opened", "*", "omit", 0, 9).unwrap();
        orders.withdraw_all().unwrap();
        assert_eq!(points.due("journal.opened", ""), None);
    }
}
