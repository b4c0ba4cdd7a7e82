//! Read-model rows of a partner's statements. Owns their tables and keys; never reads them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `statement` | `<partner>/<statement>` | [`View`](super::view::View) |
//! | `statement-dispute` | `<partner>/<statement>/<order>` | [`DisputeView`](super::view::DisputeView) |
//! | `revenue-rule` | `<partner>/<from, ms, 13 digits>/<site or ->` | [`Rule`](super::shares::Rule) |
//! | `settled`, `settled-order` | see [`line`](super::line) | a correction that a dispute has led to |
//! | `alert`, `ticket` | `statement-<partner>-…` | a case; its ticket closes with the dispute |

use super::book::{Book, BookFact};
use super::family::Event;
use super::period::{Period, PeriodFact};
use super::{line, view};
use crate::domain::charging::case::{self, row};
use crate::domain::entity::Row;
use crate::ids::PartnerId;

/// Statements.
pub const STATEMENT: &str = "statement";
/// Disputes.
pub const DISPUTE: &str = "statement-dispute";
/// Revenue rules.
pub const RULE: &str = "revenue-rule";

/// The rows that follow from a statement's events.
pub(super) fn of_period(partition: &str, period: &Period, events: &[Event]) -> Vec<Row> {
    let Ok(partner) = partition.parse::<PartnerId>() else { return Vec::new() };
    let Some(shown) = view::view(&partner, period) else { return Vec::new() };
    let mut rows = Vec::new();
    for event in events {
        let Event::Period(fact) = event else { continue };
        match fact {
            PeriodFact::Raised(raised) => rows.extend(case::rows(raised)),
            PeriodFact::Disputed { order, .. } | PeriodFact::Resolved { order, .. } => {
                let Some(dispute) = period.disputes.get(order) else { continue };
                let key = format!("{partner}/{}/{order}", shown.statement_id);
                rows.push(row(DISPUTE, key, &view::dispute(*order, dispute)));
                let Some(resolution) = &dispute.resolution else { continue };
                rows.extend(resolution.line.iter().flat_map(|it| line::rows(&partner, it)));
                rows.extend(closed(&dispute.ticket, &resolution.by, &resolution.note));
            }
            PeriodFact::Stated { .. }
            | PeriodFact::OrderConfirmed(_)
            | PeriodFact::Confirmed { .. }
            | PeriodFact::Settled { .. }
            | PeriodFact::Noted(_)
            | PeriodFact::Archived
            | PeriodFact::Told { .. } => {}
        }
    }
    rows.push(row(STATEMENT, format!("{partner}/{}", shown.statement_id), &shown));
    rows
}

/// A ticket whose dispute is decided.
fn closed(ticket: &case::Raised, by: &str, note: &str) -> Option<Row> {
    let open = case::rows(ticket).into_iter().find(|row| row.table == "ticket")?;
    let mut value: serde_json::Value = serde_json::from_slice(open.value.as_deref()?).ok()?;
    let members = value.as_object_mut()?;
    for (name, text) in [("state", "closed"), ("closed_by", by), ("resolution", note)] {
        members.insert(name.to_owned(), text.into());
    }
    Some(row("ticket", open.key, &value))
}

/// The rows that follow from a book's events.
pub(super) fn of_book(partition: &str, _: &Book, events: &[Event]) -> Vec<Row> {
    let rule = |event: &Event| match event {
        Event::Book(BookFact::RuleSet(rule)) => {
            let site = rule.site.as_ref().map_or("-", |site| site.as_str());
            Some(row(RULE, format!("{partition}/{:013}/{site}", rule.from.0.max(0)), rule))
        }
        Event::Book(_) | Event::Period(_) => None,
    };
    events.iter().filter_map(rule).collect()
}
