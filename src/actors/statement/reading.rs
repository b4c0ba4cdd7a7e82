//! Lines from the store, page by page, and statements' files made of them as they are sent. Owns the bound on memory: one page
//! at a time, however long the statement is.

use crate::clock::Timestamp;
use crate::domain::statement::Open;
use crate::domain::statement::file::{File, Format, Sum};
use crate::domain::statement::line::{self, Line};
use crate::ids::PartnerId;
use crate::persistence::{JournalError, SharedJournal};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

/// Lines read at a time.
const PAGE: usize = 500;

/// The lines of a partner between two moments, in order.
pub struct Lines {
    journal: SharedJournal,
    prefix: String,
    after: String,
    border: String,
    over: bool,
}

impl Lines {
    /// Those from `from` on and before `until`.
    pub fn between(journal: SharedJournal, partner: &PartnerId, from: Timestamp, until: Timestamp) -> Self {
        let (after, border) = (line::border(partner, from), line::border(partner, until));
        Lines { journal, prefix: format!("{partner}/"), after, border, over: false }
    }

    /// From this key on, not included.
    #[must_use]
    pub fn after(mut self, key: String) -> Self {
        self.after = key;
        self
    }

    /// The next page of keys and lines, at most so many; empty at the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn keyed(&mut self, limit: usize) -> Result<Vec<(String, Line)>, JournalError> {
        if self.over {
            return Ok(Vec::new());
        }
        let rows = self.journal.rows(line::TABLE, &self.prefix, Some(&self.after), limit).await?;
        self.over = rows.len() < limit;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            if row.key >= self.border {
                self.over = true;
                break;
            }
            let read = serde_json::from_slice(&row.value).map_err(|error| {
                let key = format!("{}/{}", line::TABLE, row.key);
                JournalError::Corrupt { key, why: error.to_string() }
            })?;
            lines.push((row.key, read));
        }
        if let Some((key, _)) = lines.last() {
            self.after.clone_from(key);
        }
        Ok(lines)
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn page(&mut self) -> Result<Vec<Line>, JournalError> {
        Ok(self.keyed(PAGE).await?.into_iter().map(|(_, line)| line).collect())
    }
}

/// Why a file breaks off: whoever downloads it sees a broken transfer, never a whole file with wrong contents.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The store.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A line.
    #[error(transparent)]
    Form(#[from] crate::domain::statement::file::NoForm),
    /// The bytes are not those that were stated.
    #[error("the bytes are not those that were stated: {given}, not {stated}")]
    Changed {
        /// The digest of the bytes.
        given: Box<str>,
        /// The journaled digest.
        stated: Box<str>,
    },
}

/// The bytes of a file, as they are made.
pub type Content = BoxStream<'static, Result<Bytes, FileError>>;

enum Stage {
    Begin,
    Lines(Box<File>),
    Over,
}

struct Sending {
    lines: Lines,
    stage: Stage,
    format: Format,
    partner: PartnerId,
    open: Open,
    stated: Sum,
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>, FileError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Begin => {
                let (file, bytes) = File::begin(self.format, &self.partner, &self.open)?;
                self.stage = Stage::Lines(Box::new(file));
                Ok(Some(bytes.into()))
            }
            Stage::Lines(mut file) => {
                let lines = self.lines.page().await?;
                if !lines.is_empty() {
                    let bytes = file.lines(&lines)?;
                    self.stage = Stage::Lines(file);
                    return Ok(Some(bytes.into()));
                }
                let (bytes, sum) = file.end()?;
                if sum == self.stated {
                    return Ok(Some(bytes.into()));
                }
                let (given, stated) = (sum.sha256, self.stated.sha256.clone());
                tracing::error!(target: "alert", partner = %self.partner, statement = %self.open.id, %given, %stated, "a statement's bytes have changed");
                Err(FileError::Changed { given, stated })
            }
            Stage::Over => Ok(None),
        }
    }
}

/// A statement's file, made again from its lines and checked against the digest that was stated.
pub fn file(journal: SharedJournal, partner: PartnerId, open: Open, format: Format, stated: Sum) -> Content {
    let lines = Lines::between(journal, &partner, open.from, open.until);
    let sending = Sending { lines, stage: Stage::Begin, format, partner, open, stated };
    stream::unfold(sending, |mut sending| async move {
        let next = sending.next().await.transpose()?;
        Some((next, sending))
    })
    .boxed()
}
