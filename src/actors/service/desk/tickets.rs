//! Tickets: the cases that were raised, joined with what people have done with them (OP-2). Owns the joining; a case's rows are its
//! raiser's (`domain::charging::case`), the work on it is the operators' partition's.

use super::LOOKED_THROUGH;
use super::operators::read;
use crate::actors::service::admin::quarantine;
use crate::actors::service::{Service, bad_cursor};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, Page, PageRequest, Refusal, TicketAct, TicketSearch};
use crate::clock::Timestamp;
use crate::domain::charging::case::{TICKET, TICKET_AT, TICKET_CASE, TICKET_SEEN, tickets_about};
use crate::domain::operator::ticket::{Act, STEPS_MAX, Step, TicketOrder, Work};
use crate::domain::operator::{Command, Key, rows};
use crate::domain::order::REVIEWS;
use crate::ids::TicketId;
use serde::Deserialize;
use serde_json::{Value, json};

/// Occurrences shown of one ticket: the newest.
const SEEN_SHOWN: usize = 100;

/// Cursors of tickets of the time before kinds of cases were one ticket begin so.
const OLD: &str = "old/";

/// Where a ticket's newest occurrence is.
#[derive(Debug, Clone, Deserialize)]
struct Newest {
    ticket: String,
    occurrence: String,
    at: Timestamp,
    code: String,
    subject: String,
}

impl Newest {
    /// A ticket whose row says all there is.
    fn old(id: &TicketId, row: &Value) -> Self {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let at = text("at").parse::<jiff::Timestamp>().map_or(Timestamp(0), |at| Timestamp(at.as_millisecond()));
        Newest { ticket: id.to_string(), occurrence: id.to_string(), at, code: text("code"), subject: text("subject") }
    }

    /// What a ticket is closed on: another occurrence, or the same one beginning anew, opens it again.
    fn mark(&self) -> String {
        format!("{}@{}", self.occurrence, self.at.0)
    }
}

/// A ticket with all that is known of it.
struct Found {
    newest: Newest,
    row: Value,
    work: Option<Work>,
}

impl Found {
    fn is_open(&self) -> bool {
        // Some raisers close what they have raised: a dispute that was decided, dead letters that were sent.
        let raised = self.row["state"] != "closed";
        raised && self.work.as_ref().is_none_or(|work| work.is_open(&self.newest.mark()))
    }

    fn fits(&self, search: &TicketSearch) -> bool {
        let assignee = self.work.as_ref().and_then(|work| work.assignee.as_deref());
        search.open.is_none_or(|open| open == self.is_open())
            && search.code.as_ref().is_none_or(|code| *code == self.newest.code)
            && search.assignee.as_ref().is_none_or(|wanted| assignee.unwrap_or("none") == wanted)
            && search.subject.as_ref().is_none_or(|subject| *subject == self.newest.subject)
    }

    fn view(&self) -> Value {
        let closed = self
            .work
            .as_ref()
            .and_then(|work| work.closed.as_ref())
            .map(|closed| json!({"reason": closed.reason, "by": closed.by, "at": closed.at.to_rfc3339()}));
        let mut view = json!({"id": self.newest.ticket, "state": if self.is_open() { "open" } else { "closed" },
            "code": self.newest.code, "subject": self.newest.subject, "at": self.newest.at.to_rfc3339(),
            "assignee": self.work.as_ref().and_then(|work| work.assignee.clone()),
            "reopened": closed.is_some() && self.is_open(), "closed": closed});
        let Some(members) = view.as_object_mut() else { return view };
        for name in ["text", "level", "proposal", "evidence", "count", "resolution"] {
            if let Some(value) = self.row.get(name) {
                members.insert(name.to_owned(), value.clone());
            }
        }
        members.retain(|_, value| !value.is_null());
        view
    }

    /// In a list: without what only one who works on it needs.
    fn short(&self) -> Value {
        let mut view = self.view();
        if let Some(members) = view.as_object_mut() {
            members.remove("evidence");
        }
        view
    }
}

impl Service {
    async fn joined(&self, newest: Newest) -> Result<Option<Found>, Refusal> {
        let Some(row) = self.journal.row(TICKET, &newest.occurrence).await? else { return Ok(None) };
        let row = read(TICKET, &newest.occurrence, &row)?;
        let work = match self.journal.row(rows::WORK, &newest.ticket).await? {
            Some(row) => Some(read(rows::WORK, &newest.ticket, &row)?),
            None => None,
        };
        Ok(Some(Found { newest, row, work }))
    }

    async fn found(&self, id: &TicketId) -> Result<Found, Refusal> {
        let newest = match self.journal.row(TICKET_CASE, id.as_str()).await? {
            Some(row) => read(TICKET_CASE, id.as_str(), &row)?,
            // One of the time before cases of a kind were one ticket: its occurrence is itself.
            None => {
                let row = self.journal.row(TICKET, id.as_str()).await?.ok_or(Code::TicketUnknown)?;
                Newest::old(id, &read(TICKET, id.as_str(), &row)?)
            }
        };
        self.joined(newest).await?.ok_or(Code::TicketUnknown.into())
    }

    pub(super) async fn ticket_page(&self, search: &TicketSearch, page: &PageRequest) -> Result<Page<Value>, Refusal> {
        let (mut items, mut looked) = (Vec::new(), 0);
        let about = search.subject.as_deref().map(tickets_about);
        let (table, prefix) = about.map_or((TICKET_AT, String::new()), |prefix| (TICKET_CASE, prefix));
        let old = page.cursor.as_deref().and_then(|cursor| cursor.strip_prefix(OLD));
        let mut before = page.cursor.clone().filter(|_| old.is_none());
        while old.is_none() && looked < LOOKED_THROUGH {
            let rows = self.journal.rows_back(table, &prefix, before.as_deref(), page.limit).await?;
            let exhausted = rows.len() < page.limit;
            looked += rows.len();
            for row in rows {
                before = Some(row.key.clone());
                let seen: Newest = read(table, &row.key, &row.value)?;
                if let Some(found) = self.newest_of(table, seen).await?.filter(|found| found.fits(search)) {
                    items.push(found.short());
                }
                if items.len() == page.limit {
                    return Ok(Page { items, next: before });
                }
            }
            if exhausted {
                before = None;
                break;
            }
        }
        if before.is_some() {
            return Ok(Page { items, next: before });
        }
        self.old_tickets(search, page, items, old).await
    }

    /// The ticket at this place of a list; `None` where a newer occurrence is its place.
    async fn newest_of(&self, table: &str, seen: Newest) -> Result<Option<Found>, Refusal> {
        if table == TICKET_AT
            && let Some(row) = self.journal.row(TICKET_CASE, &seen.ticket).await?
        {
            let newest: Newest = read(TICKET_CASE, &seen.ticket, &row)?;
            if newest.mark() != seen.mark() {
                return Ok(None);
            }
        }
        self.joined(seen).await
    }

    /// The rest of a list: tickets of the time before cases of a kind were one ticket.
    async fn old_tickets(
        &self,
        search: &TicketSearch,
        page: &PageRequest,
        mut items: Vec<Value>,
        cursor: Option<&str>,
    ) -> Result<Page<Value>, Refusal> {
        if cursor.is_some_and(|cursor| cursor.parse::<TicketId>().is_err()) {
            return Err(bad_cursor());
        }
        let mut before = cursor.map(str::to_owned);
        let mut looked = 0;
        while looked < LOOKED_THROUGH {
            let rows = self.journal.rows_back(TICKET, "", before.as_deref(), page.limit).await?;
            let exhausted = rows.len() < page.limit;
            looked += rows.len();
            for row in rows {
                before = Some(row.key.clone());
                let value: Value = read(TICKET, &row.key, &row.value)?;
                let Some(id) = row.key.parse::<TicketId>().ok().filter(|_| value.get("ticket").is_none()) else {
                    continue;
                };
                let found = self.found(&id).await?;
                if found.fits(search) {
                    items.push(found.short());
                }
                if items.len() == page.limit {
                    return Ok(Page { items, next: before.map(|key| format!("{OLD}{key}")) });
                }
            }
            if exhausted {
                return Ok(Page { items, next: None });
            }
        }
        Ok(Page { items, next: before.map(|key| format!("{OLD}{key}")) })
    }

    /// The tickets about something, open ones only.
    pub(in crate::actors::service) async fn open_tickets_about(&self, subject: &str) -> Result<Vec<String>, Refusal> {
        let rows = self.journal.rows(TICKET_CASE, &tickets_about(subject), None, SEEN_SHOWN).await?;
        let mut open = Vec::new();
        for row in rows {
            let newest: Newest = read(TICKET_CASE, &row.key, &row.value)?;
            if self.joined(newest).await?.is_some_and(|found| found.is_open()) {
                open.push(row.key);
            }
        }
        Ok(open)
    }

    pub(super) async fn ticket_in_full(&self, id: &TicketId) -> Result<Value, Refusal> {
        let found = self.found(id).await?;
        let cause = self.cause(&found).await?;
        let seen = self.journal.rows_back(TICKET_SEEN, &format!("{id}/"), None, SEEN_SHOWN).await?;
        let mut history = Vec::new();
        for row in &seen {
            let raised: Newest = read(TICKET_SEEN, &row.key, &row.value)?;
            let event = json!({"at": raised.at.to_rfc3339(), "what": "raised", "occurrence": raised.occurrence});
            history.push((raised.at, event));
        }
        let all = usize::try_from(STEPS_MAX).unwrap_or(usize::MAX);
        for row in self.journal.rows(rows::STEP, &format!("{id}/"), None, all).await? {
            let step: Step = read(rows::STEP, &row.key, &row.value)?;
            let mut event = serde_json::to_value(&step.act).unwrap_or_default();
            if let Some(members) = event.as_object_mut() {
                members.remove("occurrence");
                members.insert("at".to_owned(), step.at.to_rfc3339().into());
                members.insert("by".to_owned(), step.by.to_string().into());
            }
            history.push((step.at, event));
        }
        history.sort_by_key(|(at, _)| *at);
        let mut view = found.view();
        if let Some(members) = view.as_object_mut() {
            members.insert("cause".to_owned(), cause.into());
            members.insert("history".to_owned(), history.into_iter().map(|(_, event)| event).collect());
        }
        Ok(view)
    }

    /// Whether what led to the ticket is still so: `still_there`, `gone`, or `unknown` where only a person can tell.
    async fn cause(&self, found: &Found) -> Result<&'static str, Refusal> {
        let entity = found.newest.subject.as_str();
        let order = entity.strip_prefix("order/");
        let there = match (found.newest.code.as_str(), order) {
            _ if found.row["state"] == "closed" => Some(false),
            ("refund_proposed", Some(order)) => {
                Some(self.journal.row(rows::APPROVAL_OPEN, &format!("refund-{order}")).await?.is_some())
            }
            ("order_under_review", Some(order)) => Some(self.journal.row(REVIEWS, order).await?.is_some()),
            ("quarantined", _) => Some(quarantine::list(self).await.iter().any(|it| it["entity"] == entity)),
            ("journal_full", _) => Some(self.journal.is_full()),
            // Whoever raised these closes them.
            ("statement_disputed" | "webhook-dead", _) => Some(true),
            _ => None,
        };
        Ok(there.map_or("unknown", |there| if there { "still_there" } else { "gone" }))
    }

    pub(super) async fn act_on_ticket(&self, id: &TicketId, act: TicketAct, actor: &Actor) -> Result<Value, Refusal> {
        self.working()?;
        // People are slow: one at a time, so that what a row says is still so when it is used.
        let guard = self.ticketing.lock().await;
        let found = self.found(id).await?;
        if let TicketAct::Assign(Some(to)) = &act
            && self.operators.get(to).is_none()
        {
            return Err(Refusal::field("to", "no such operator", "the id of an operator, or null"));
        }
        let newest: Box<str> = found.newest.mark().into();
        let act = match act {
            TicketAct::Assign(to) => Act::Assigned { to: to.map(|to| to.as_str().into()) },
            TicketAct::Note(text) => Act::Noted { text: text.into() },
            TicketAct::Close(_) if !found.is_open() => return Err(Code::TicketClosed.into()),
            TicketAct::Close(reason) => Act::Closed { reason: reason.into(), occurrence: newest.clone() },
        };
        let order = TicketOrder { act, by: actor.name.as_str().into(), kept: found.work, newest };
        self.ask_desk(Key::Ticket(id.clone()), Command::Ticket(order)).await?;
        drop(guard);
        self.ticket_in_full(id).await
    }
}
