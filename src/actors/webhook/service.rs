//! What the APIs ask about webhooks: `GET /events`, the log of attempts, dead letters, replay. Owns paging and look-ups;
//! never HTTP, and never a decision: replays are asked of the queue's entity.

use super::board::{QueueBoard, QueueView};
use super::driver::{FactsError, QueueFacts};
use super::replay::{Whose, entry_of, read_dead};
use crate::clock::Timestamp;
use crate::domain::delivery::{Dead, Logged, QueueCommand, QueueId, QueueReply, ReplayEntry, Selection, rows};
use crate::ids::PartnerId;
use crate::persistence::{JournalError, OutboxEntry, SharedJournal};
use crate::protocol::webhook::{CursorError, EventCursor, event_json};
use std::collections::HashSet;
use std::sync::Arc;

/// Events named one by one in a replay.
pub const REPLAY_IDS_MAX: usize = 100;
/// Items in a page of any list here.
pub const PAGE_MAX: usize = 500;
/// Rows read from the store at once.
const ROWS: usize = 64;

/// Which events an endpoint takes.
pub type Taken<'a> = dyn Fn(&OutboxEntry) -> bool + Send + Sync + 'a;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The caller's cursor is of no use (400).
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The caller names too many events (400).
    #[error("at most {REPLAY_IDS_MAX} event ids in one replay")]
    TooManyIds,
    /// The caller asks for nothing, or for two things at once (400).
    #[error("a replay names either event_ids, or from and to, or all_dead")]
    Selection,
    /// None of these events is in the outbox (404).
    #[error("unknown event: {0}")]
    UnknownEvent(String),
    /// The queue's entity (503, or 409 when rejected).
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The store (503).
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it back for the rest; `None`: there is no more.
    pub next: Option<String>,
}

/// What to send again (`POST /webhook/replay`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayRequest {
    /// These events.
    pub event_ids: Vec<String>,
    /// Events from this moment on …
    pub from: Option<Timestamp>,
    /// … to this one.
    pub to: Option<Timestamp>,
    /// All dead letters.
    pub all_dead: bool,
    /// Only count.
    pub dry_run: bool,
}

/// What a replay comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayAnswer {
    /// Events selected; those that are outstanding anyway are not sent twice.
    pub selected: u64,
    /// The replay's number when it goes on in the background.
    pub replay: Option<u64>,
}

/// The functions behind the APIs. Cheap to clone.
#[derive(Clone)]
pub struct WebhookService {
    journal: SharedJournal,
    board: Arc<QueueBoard>,
}

impl WebhookService {
    /// On this journal and this board.
    pub fn new(journal: SharedJournal, board: Arc<QueueBoard>) -> Self {
        WebhookService { journal, board }
    }

    /// Depth, age and health of a queue, if it runs in this process.
    pub fn queue(&self, partner: &PartnerId, queue: QueueId) -> Option<QueueView> {
        self.board.view(partner, queue)
    }

    /// `GET /events`: what a webhook's body would be, oldest first. `next` is always there: there may be more later.
    ///
    /// # Errors
    /// A bad cursor, or the store.
    pub async fn events(
        &self,
        partner: &PartnerId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<serde_json::Value>, ServiceError> {
        let start = match after {
            Some(text) => EventCursor::decode(text, partner)?,
            None => EventCursor { position: 0 },
        };
        let found = self.journal.outbox(partner, start.position, limit.clamp(1, PAGE_MAX)).await?;
        let last = EventCursor { position: found.last().map_or(start.position, |row| row.position) };
        Ok(Page { items: found.iter().map(event_json).collect(), next: Some(last.encode(partner)) })
    }

    /// The log of attempts, newest first.
    ///
    /// # Errors
    /// A bad cursor, or the store.
    pub async fn deliveries(
        &self,
        partner: &PartnerId,
        queue: QueueId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Logged>, ServiceError> {
        let before = cursor.map(read_log_cursor).transpose()?.unwrap_or((u64::MAX, u64::MAX));
        let mut pages = self.log_pages(partner, queue).await?;
        pages.sort_by_key(|page| std::cmp::Reverse(page.page));
        let all = pages.into_iter().flat_map(|page| {
            let numbered = page.attempts.into_iter().enumerate().rev();
            numbered.map(move |(n, attempt)| ((page.page, n as u64), attempt))
        });
        let mut left = all.filter(|(at, _)| *at < before);
        let taken: Vec<_> = left.by_ref().take(limit.clamp(1, PAGE_MAX)).collect();
        let more = left.next().is_some();
        let next = taken.last().filter(|_| more).map(|((page, n), _)| format!("{page:x}-{n:x}"));
        Ok(Page { items: taken.into_iter().map(|(_, attempt)| attempt).collect(), next })
    }

    async fn log_pages(&self, partner: &PartnerId, queue: QueueId) -> Result<Vec<rows::LogPage>, ServiceError> {
        let prefix = rows::prefix(partner.as_str(), queue);
        let mut pages: Vec<rows::LogPage> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let found = self.journal.rows(rows::LOG, &prefix, after.as_deref(), ROWS).await?;
            for row in &found {
                let page = serde_json::from_slice(&row.value).map_err(|e| JournalError::Corrupt {
                    key: format!("{}/{}", rows::LOG, row.key),
                    why: e.to_string(),
                })?;
                pages.push(page);
            }
            if found.len() < ROWS {
                return Ok(pages);
            }
            after = found.last().map(|row| row.key.clone());
        }
    }

    /// Dead letters, oldest first.
    ///
    /// # Errors
    /// A bad cursor, or the store.
    pub async fn dead_letters(
        &self,
        partner: &PartnerId,
        queue: QueueId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Dead>, ServiceError> {
        let prefix = rows::prefix(partner.as_str(), queue);
        let limit = limit.clamp(1, PAGE_MAX);
        let after = match cursor {
            Some(text) => {
                let position = EventCursor::decode(text, partner)?.position;
                Some(rows::dead_key(partner.as_str(), queue, position))
            }
            None => None,
        };
        let found = self.journal.rows(rows::DEAD, &prefix, after.as_deref(), limit).await?;
        let items = found.iter().map(|row| read_dead(&row.key, &row.value)).collect::<Result<Vec<_>, _>>()?;
        let last = items.last().filter(|_| found.len() == limit).map(|dead| dead.entry.position);
        Ok(Page { next: last.map(|position| EventCursor { position }.encode(partner)), items })
    }

    /// Sends events again under their own ids, or counts them. The caller has made sure that the request is new (EM-5).
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn replay(
        &self,
        facts: &dyn QueueFacts,
        partner: &PartnerId,
        queue: QueueId,
        request: &ReplayRequest,
        taken: &Taken<'_>,
    ) -> Result<ReplayAnswer, ServiceError> {
        let whose = Whose { partner: partner.clone(), queue };
        let ranged = request.from.is_some() || request.to.is_some();
        match (request.event_ids.is_empty(), ranged, request.all_dead) {
            (false, false, false) => self.replay_some(facts, &whose, request).await,
            (true, true, false) => {
                let from = request.from.unwrap_or(Timestamp(i64::MIN));
                let to = request.to.unwrap_or(Timestamp(i64::MAX));
                self.replay_many(facts, &whose, Selection::Times { from, to }, request.dry_run, taken).await
            }
            (true, false, true) => self.replay_many(facts, &whose, Selection::Dead, request.dry_run, taken).await,
            (true | false, true | false, true | false) => Err(ServiceError::Selection),
        }
    }

    async fn replay_many(
        &self,
        facts: &dyn QueueFacts,
        whose: &Whose,
        selection: Selection,
        dry_run: bool,
        taken: &Taken<'_>,
    ) -> Result<ReplayAnswer, ServiceError> {
        // Counting first also finds where the replay ends: what comes later is not part of it.
        let (mut selected, mut cursor) = (0, 0);
        loop {
            let page = whose.page(self.journal.as_ref(), &selection, cursor, u64::MAX, taken).await?;
            selected += page.entries.len() as u64;
            cursor = page.cursor;
            if page.finished {
                break;
            }
        }
        if dry_run || selected == 0 {
            return Ok(ReplayAnswer { selected, replay: None });
        }
        match facts.ask(QueueCommand::StartReplay { selection, until: cursor }).await? {
            QueueReply::ReplayStarted(id) => Ok(ReplayAnswer { selected, replay: Some(id) }),
            other => Err(FactsError::Stopped(format!("unexpected answer {other:?}")).into()),
        }
    }

    /// How many events after `from` are kept for this partner and taken by an endpoint, and where the newest is.
    ///
    /// # Errors
    /// The store.
    pub async fn ahead(&self, partner: &PartnerId, from: u64, taken: &Taken<'_>) -> Result<(u64, u64), ServiceError> {
        let (mut count, mut newest) = (0, from);
        loop {
            let found = self.journal.outbox(partner, newest, PAGE_MAX).await?;
            count += found.iter().filter(|row| taken(row)).count() as u64;
            newest = found.last().map_or(newest, |last| last.position);
            if found.len() < PAGE_MAX {
                return Ok((count, newest));
            }
        }
    }

    async fn replay_some(
        &self,
        facts: &dyn QueueFacts,
        whose: &Whose,
        request: &ReplayRequest,
    ) -> Result<ReplayAnswer, ServiceError> {
        if request.event_ids.len() > REPLAY_IDS_MAX {
            return Err(ServiceError::TooManyIds);
        }
        let mut wanted: HashSet<&str> = request.event_ids.iter().map(String::as_str).collect();
        let mut entries = Vec::with_capacity(wanted.len());
        let mut cursor = 0;
        while !wanted.is_empty() {
            let found = self.journal.outbox(&whose.partner, cursor, PAGE_MAX).await?;
            for row in found.iter().filter(|row| wanted.remove(row.id.as_str())) {
                let dead = whose.dead(self.journal.as_ref(), row.position).await?.is_some();
                entries.push(ReplayEntry { entry: entry_of(row), dead });
            }
            match found.last() {
                Some(last) if found.len() == PAGE_MAX => cursor = last.position,
                Some(_) | None => break,
            }
        }
        if let Some(unknown) = wanted.into_iter().next() {
            return Err(ServiceError::UnknownEvent(unknown.chars().take(100).collect()));
        }
        let selected = entries.len() as u64;
        if !request.dry_run {
            facts.ask(QueueCommand::Resend(entries)).await?;
        }
        Ok(ReplayAnswer { selected, replay: None })
    }
}

fn read_log_cursor(text: &str) -> Result<(u64, u64), CursorError> {
    let (page, n) = text.split_once('-').ok_or(CursorError::Rubbish)?;
    let number = |text| u64::from_str_radix(text, 16).map_err(|_| CursorError::Rubbish);
    Ok((number(page)?, number(n)?))
}

#[cfg(test)]
mod tests;
