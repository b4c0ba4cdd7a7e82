//! The audit trail: written, searched, verified, pruned (OP-3; control 41).

use super::LOOKED_THROUGH;
use super::operators::read;
use crate::actors::operators::old_lines;
use crate::actors::service::Service;
use crate::api::port::{AuditSearch, Page, PageRequest, Refusal};
use crate::domain::operator::trail::{Entry, Findings, Line, PRUNED_AT_ONCE, Trail, TrailOrder, Verifying};
use crate::domain::operator::{Command, Key, PARTITION, person, rows};
use crate::telemetry::metrics::operator as metrics;
use serde_json::{Value, json};

/// Lines read at a time.
const CHUNK: usize = 500;

fn shown(entry: &Entry) -> Value {
    let line = &entry.line;
    json!({"number": entry.number, "at": entry.at.to_rfc3339(), "actor": line.actor, "token_id": line.token,
        "address": line.address, "action": line.action, "target": line.target, "status": line.status,
        "code": line.code, "request_id": line.request_id, "trace_id": line.trace_id, "chain": entry.chain})
}

fn fits(search: &AuditSearch, entry: &Entry) -> bool {
    let line = &entry.line;
    let by = |wanted: &String| *line.actor == **wanted || (wanted == person::ROOT && person::is_root(&line.actor));
    search.actor.as_ref().is_none_or(by)
        && search.action.as_ref().is_none_or(|text| line.action.contains(text.as_str()))
        && search.target.as_ref().is_none_or(|text| line.target.contains(text.as_str()))
}

impl Service {
    pub(super) async fn note_line(&self, line: Line) -> Result<(), Refusal> {
        self.ask_desk(Key::Trail, Command::Trail(TrailOrder::Note(Box::new(line)))).await.map(drop)
    }

    pub(super) async fn audit_lines(&self, search: AuditSearch, page: &PageRequest) -> Result<Page<Value>, Refusal> {
        let mut before = page.cursor.clone().or_else(|| search.to.map(|to| rows::audit_moment(to.0)));
        let mut items = Vec::new();
        for _ in 0..LOOKED_THROUGH.div_ceil(page.limit.max(1)) {
            let found = self.journal.rows_back(rows::AUDIT, "", before.as_deref(), page.limit).await?;
            let exhausted = found.len() < page.limit;
            for row in found {
                before = Some(row.key.clone());
                let entry: Entry = read(rows::AUDIT, &row.key, &row.value)?;
                if search.from.is_some_and(|from| entry.at < from.0) {
                    return Ok(Page { items, next: None });
                }
                if fits(&search, &entry) {
                    items.push(shown(&entry));
                }
                if items.len() == page.limit {
                    return Ok(Page { items, next: before });
                }
            }
            if exhausted {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next: before })
    }

    async fn trail_ends(&self) -> Result<Trail, Refusal> {
        match self.journal.row(rows::AUDIT_ENDS, PARTITION).await? {
            Some(row) => read(rows::AUDIT_ENDS, PARTITION, &row),
            None => Ok(Trail::default()),
        }
    }

    pub(super) async fn verify_trail(&self) -> Result<Findings, Refusal> {
        self.working()?;
        let mut verifying = Verifying::begin(self.trail_ends().await?);
        let mut after: Option<String> = None;
        loop {
            let found = self.journal.rows(rows::AUDIT, "", after.as_deref(), CHUNK).await?;
            for row in &found {
                let Ok(entry) = serde_json::from_slice::<Entry>(&row.value) else {
                    verifying.unreadable();
                    return Ok(verifying.end());
                };
                if !verifying.line(&entry) {
                    return Ok(verifying.end());
                }
            }
            match found.last() {
                Some(last) if found.len() == CHUNK => after = Some(last.key.clone()),
                Some(_) | None => return Ok(verifying.end()),
            }
        }
    }

    /// Takes lines away that are older than they are kept; how many.
    ///
    /// # Errors
    /// When the store cannot be read or written; what is left is taken the next time.
    pub async fn prune_trail(&self) -> Result<usize, Refusal> {
        let kept = self.configuration.live.current().operators.audit_kept;
        let before = self.clock.now() - kept;
        let mut gone = 0;
        loop {
            let old = old_lines(&self.journal, before).await?;
            let count = old.len();
            if count > 0 {
                self.ask_desk(Key::Trail, Command::Trail(TrailOrder::Prune(old))).await?;
                metrics::AUDIT_PRUNED.add(count as u64, []);
            }
            gone += count;
            if count < PRUNED_AT_ONCE {
                return Ok(gone);
            }
        }
    }
}
