//! What a replay selects (EM-8). Owns the reading of outbox and dead letters page by page; never puts anything back itself.

use super::service::Taken;
use crate::domain::delivery::{Dead, Entry, QueueId, ReplayEntry, Selection, rows};
use crate::ids::PartnerId;
use crate::persistence::{Journal, JournalError, OutboxEntry};

/// Events looked at in one page: bounds the memory and the size of one journal record.
pub(super) const PAGE: usize = 256;

/// A page of what is selected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) entries: Vec<ReplayEntry>,
    /// Everything up to here has been looked at.
    pub(super) cursor: u64,
    /// There is no more.
    pub(super) finished: bool,
}

/// An event without its payload.
pub(super) fn entry_of(row: &OutboxEntry) -> Entry {
    Entry {
        position: row.position,
        event_id: row.id.as_str().into(),
        order_key: row.notice.order_key.as_str().into(),
        kind: row.notice.kind.as_str().into(),
        sequenced: row.notice.sequence.is_some(),
        at: row.notice.at,
    }
}

/// Whose events, and of which endpoint.
#[derive(Debug, Clone)]
pub(super) struct Whose {
    pub(super) partner: PartnerId,
    pub(super) queue: QueueId,
}

impl Whose {
    /// The next page after `cursor`, at most up to position `until`. Of events that were not given up those that the endpoint takes.
    pub(super) async fn page(
        &self,
        journal: &dyn Journal,
        selection: &Selection,
        cursor: u64,
        until: u64,
        taken: &Taken<'_>,
    ) -> Result<Page, JournalError> {
        match selection {
            Selection::Dead => self.dead_page(journal, cursor, until).await,
            Selection::Positions { from, to } => {
                let (from, to) = (*from, *to);
                let until = until.min(to);
                self.outbox_page(journal, cursor.max(from.saturating_sub(1)), until, taken).await
            }
            Selection::Times { from, to } => {
                self.outbox_page(journal, cursor, until, |row| (*from..=*to).contains(&row.notice.at) && taken(row))
                    .await
            }
        }
    }

    async fn outbox_page(
        &self,
        journal: &dyn Journal,
        cursor: u64,
        until: u64,
        wanted: impl Fn(&OutboxEntry) -> bool,
    ) -> Result<Page, JournalError> {
        let found = journal.outbox(&self.partner, cursor, PAGE).await?;
        let last = found.last().map_or(cursor, |row| row.position);
        let finished = found.len() < PAGE || last >= until;
        let mut entries = Vec::new();
        for row in found.iter().filter(|row| row.position <= until && wanted(row)) {
            let dead = self.dead(journal, row.position).await?.is_some();
            entries.push(ReplayEntry { entry: entry_of(row), dead });
        }
        Ok(Page { entries, cursor: last.min(until).max(cursor), finished })
    }

    async fn dead_page(&self, journal: &dyn Journal, cursor: u64, until: u64) -> Result<Page, JournalError> {
        let prefix = rows::prefix(self.partner.as_str(), self.queue);
        let after = rows::dead_key(self.partner.as_str(), self.queue, cursor);
        let found = journal.rows(rows::DEAD, &prefix, Some(&after), PAGE).await?;
        let mut page = Page { entries: Vec::new(), cursor, finished: found.len() < PAGE };
        for row in &found {
            let dead = read_dead(&row.key, &row.value)?;
            if dead.entry.position > until {
                page.finished = true;
                break;
            }
            page.cursor = dead.entry.position;
            page.entries.push(ReplayEntry { entry: dead.entry, dead: true });
        }
        Ok(page)
    }

    /// The dead letter at a position, if it is one.
    pub(super) async fn dead(&self, journal: &dyn Journal, position: u64) -> Result<Option<Dead>, JournalError> {
        let key = rows::dead_key(self.partner.as_str(), self.queue, position);
        let row = journal.row(rows::DEAD, &key).await?;
        row.map(|value| read_dead(&key, &value)).transpose()
    }
}

/// Reads a dead letter's row.
pub(super) fn read_dead(key: &str, value: &[u8]) -> Result<Dead, JournalError> {
    serde_json::from_slice(value)
        .map_err(|e| JournalError::Corrupt { key: format!("{}/{key}", rows::DEAD), why: e.to_string() })
}
