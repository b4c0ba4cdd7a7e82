//! Finding frames of one charger: by time, action and text, page by page. Owns the order and the cursor.

use super::{Direction, Frame, MessageLogError, segments};
use crate::clock::Timestamp;
use crate::ids::ChargerId;
use rusqlite::params;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

/// Frames that one page looks at, so that a search for what is rare ends; `next` goes on from there.
const LOOK_MAX: usize = 5_000;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As it happened, backwards.
    #[default]
    NewestFirst,
    /// As it happened.
    OldestFirst,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// Whose.
    pub charger: ChargerId,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Calls of this action, and their answers.
    pub action: Option<String>,
    /// Frames that contain this text, whatever the case of its letters.
    pub text: Option<String>,
    /// Which way.
    pub order: Order,
    /// Most frames.
    pub limit: usize,
    /// What an earlier page gave.
    pub cursor: Option<String>,
}

/// A page of frames.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// In the order asked for.
    pub frames: Vec<Frame>,
    /// For the rest; `None`: there is no more.
    pub next: Option<String>,
}

/// A place in the log: the frame before which a page ends. File, time and number of the row, frame of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    file: i64,
    at: i64,
    row: i64,
    frame: usize,
}

impl FromStr for Place {
    type Err = MessageLogError;

    fn from_str(text: &str) -> Result<Self, MessageLogError> {
        let numbers: Vec<i64> = text.split('.').map_while(|part| part.parse().ok()).collect();
        match numbers[..] {
            [file, at, row, frame] if text.split('.').count() == 4 => {
                let frame = usize::try_from(frame).map_err(|_| MessageLogError::Cursor)?;
                Ok(Place { file, at, row, frame })
            }
            _ => Err(MessageLogError::Cursor),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}.{}", self.file, self.at, self.row, self.frame)
    }
}

pub(super) fn run(directory: &Path, search: &Search) -> Result<Found, MessageLogError> {
    let failed = |source| MessageLogError::Directory { path: directory.to_owned(), source };
    let place = search.cursor.as_deref().map(Place::from_str).transpose()?;
    let mut files = segments::list(directory).map_err(failed)?;
    let ends: Vec<i64> = files.iter().skip(1).map(|(begin, _)| *begin).chain([i64::MAX]).collect();
    // A row may hold frames of a second before the file was begun.
    let mut files: Vec<_> = files.drain(..).zip(ends).filter(|(_, end)| *end >= search.from.0).collect();
    if search.order == Order::NewestFirst {
        files.reverse();
    }
    let mut looked = Vec::new();
    for ((begin, path), _) in files {
        let before = match (place, search.order) {
            (Some(place), Order::NewestFirst) => begin > place.file,
            (Some(place), Order::OldestFirst) => begin < place.file,
            (None, _) => false,
        };
        if before {
            continue;
        }
        let from = place.filter(|place| place.file == begin);
        look(&path, begin, from, search, &mut looked)?;
        if looked.len() > LOOK_MAX {
            break;
        }
    }
    Ok(page(looked, search))
}

/// The frames of one file from `from` on, until enough have been looked at.
fn look(
    path: &Path,
    file: i64,
    from: Option<Place>,
    search: &Search,
    looked: &mut Vec<(Place, Frame)>,
) -> Result<(), MessageLogError> {
    let (compare, order) = match search.order {
        Order::NewestFirst => ("<=", "DESC"),
        Order::OldestFirst => (">=", "ASC"),
    };
    let (at, number) = match (from, search.order) {
        (Some(place), _) => (place.at, place.row),
        (None, Order::NewestFirst) => (i64::MAX, i64::MAX),
        (None, Order::OldestFirst) => (i64::MIN, i64::MIN),
    };
    let sql = format!(
        "SELECT at, rowid, body FROM frames WHERE charger = ?1 AND at <= ?2 AND upto >= ?3 AND (at, rowid) {compare} (?4, ?5) \
         ORDER BY at {order}, rowid {order}"
    );
    let connection = segments::reader(path)?;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params![search.charger.as_str(), search.to.0, search.from.0, at, number])?;
    while let Some(row) = rows.next()? {
        let (at, number, body): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // A line that another build wrote and this one does not know is passed over.
        let frames = body.lines().enumerate().filter_map(|(n, line)| Some((n, serde_json::from_str(line).ok()?)));
        let mut frames: Vec<(usize, Frame)> = frames.collect();
        if search.order == Order::NewestFirst {
            frames.reverse();
        }
        for (n, frame) in frames {
            let place = Place { file, at, row: number, frame: n };
            let passed = from.is_some_and(|from| {
                (from.at, from.row) == (at, number)
                    && match search.order {
                        Order::NewestFirst => n > from.frame,
                        Order::OldestFirst => n < from.frame,
                    }
            });
            let last = frame.heartbeats.map_or(frame.at, |(_, last)| last);
            if !passed && frame.at <= search.to.0 && last >= search.from.0 {
                looked.push((place, frame));
            }
        }
        if looked.len() > LOOK_MAX {
            looked.truncate(LOOK_MAX + 1);
            return Ok(());
        }
    }
    Ok(())
}

/// Of what was looked at, what was looked for.
fn page(mut looked: Vec<(Place, Frame)>, search: &Search) -> Found {
    // The next page begins with what was one too many.
    let next = if looked.len() > LOOK_MAX { looked.pop().map(|(place, _)| place) } else { None };
    let calls = search.action.as_deref().map(|action| ids_of(&looked, action));
    let text = search.text.as_ref().map(|text| text.to_lowercase());
    let mut found = Found { frames: Vec::new(), next: next.map(|place| place.to_string()) };
    for (place, frame) in looked {
        let by_action = match (&calls, &search.action) {
            (Some(ids), Some(action)) => of_action(&frame, action, ids),
            (Some(_), None) | (None, _) => true,
        };
        let by_text = text.as_ref().is_none_or(|text| frame.text.to_lowercase().contains(text));
        if !(by_action && by_text) {
            continue;
        }
        if found.frames.len() >= search.limit {
            found.next = Some(place.to_string());
            return found;
        }
        found.frames.push(frame);
    }
    found
}

/// The message id of a frame, and its action if it is a call.
fn head(text: &str) -> Option<(String, Option<String>)> {
    let frame: Value = serde_json::from_str(text).ok()?;
    let id = frame.get(1)?.as_str()?.to_owned();
    let action = (frame.get(0)?.as_i64()? == 2).then(|| frame.get(2)?.as_str().map(str::to_owned)).flatten();
    Some((id, action))
}

fn other(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
        Direction::Link => Direction::Link,
    }
}

/// The ids of the calls of an action, with the way that their answers go.
fn ids_of(looked: &[(Place, Frame)], action: &str) -> HashSet<(String, Direction)> {
    let calls = looked.iter().filter_map(|(_, frame)| match head(&frame.text)? {
        (id, Some(of)) if of == action => Some((id, other(frame.direction))),
        (_, Some(_) | None) => None,
    });
    calls.collect()
}

fn of_action(frame: &Frame, action: &str, ids: &HashSet<(String, Direction)>) -> bool {
    if frame.heartbeats.is_some() {
        return action == "Heartbeat";
    }
    match head(&frame.text) {
        Some((_, Some(of))) => of == action,
        Some((id, None)) => ids.contains(&(id, frame.direction)),
        None => false,
    }
}
