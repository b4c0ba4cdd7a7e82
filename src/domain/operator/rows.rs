//! Read-model rows of the partition of operators. Owns their tables and keys; never reads them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `operator` | `<operator>` | [`Operator`](super::account::Operator), digests of tokens included |
//! | `audit` | `<time, ms, 14 digits>-<number, 12 digits>` | [`Entry`](super::trail::Entry) |
//! | `audit-ends` | `main` | [`Trail`](super::trail::Trail) |
//! | `ticket-work` | `<ticket>` | [`Work`](super::ticket::Work) |
//! | `ticket-step` | `<ticket>/<number, 6 digits>` | [`Step`](super::ticket::Step) |
//! | `approval` | `<approval>` | [`Approval`](super::approval::Approval) |
//! | `approval-open` | `<approval>` | the same, as long as somebody must act |

use super::family::{Event, Key, State};
use super::ticket::TicketFact;
use super::trail::TrailFact;
use super::{PARTITION, approval};
use crate::clock::Timestamp;
use crate::domain::charging::case::row;
use crate::domain::entity::Row;

/// Accounts.
pub const OPERATOR: &str = "operator";
/// Lines of the audit trail.
pub const AUDIT: &str = "audit";
/// The two ends of the audit trail.
pub const AUDIT_ENDS: &str = "audit-ends";
/// The work on tickets.
pub const WORK: &str = "ticket-work";
/// The history of tickets.
pub const STEP: &str = "ticket-step";
/// Acts that waited for a second person.
pub const APPROVAL: &str = "approval";
/// Acts that wait for one now.
pub const APPROVAL_OPEN: &str = "approval-open";

/// The key of an audit line: sorts by time and, within it, by number.
pub fn audit_key(at: Timestamp, number: u64) -> String {
    format!("{}-{number:012}", audit_moment(at))
}

/// What the keys of all lines of a moment begin with.
pub fn audit_moment(at: Timestamp) -> String {
    format!("{:014}", at.0.max(0))
}

/// The rows that follow from a step's events.
pub(super) fn project(key: &Key, state: &State, events: &[Event]) -> Vec<Row> {
    let mut rows: Vec<Row> = events.iter().flat_map(|event| of_event(key, event)).collect();
    match (key, state) {
        (Key::Operator(id), State::Operator(operator)) => rows.push(row(OPERATOR, id.to_string(), operator)),
        (Key::Trail, State::Trail(trail)) => rows.push(row(AUDIT_ENDS, PARTITION.to_owned(), trail)),
        (Key::Ticket(id), State::Ticket(work)) => rows.push(row(WORK, id.to_string(), work)),
        (Key::Approval(id), State::Approval(slot)) => {
            rows.push(row(APPROVAL, id.to_string(), slot));
            let open = row(APPROVAL_OPEN, id.to_string(), slot);
            rows.push(if approval::is_open(slot) { open } else { Row { value: None, ..open } });
        }
        // An entity has the state of its kind.
        (Key::Operator(_) | Key::Trail | Key::Ticket(_) | Key::Approval(_), _) => {}
    }
    rows
}

fn of_event(key: &Key, event: &Event) -> Vec<Row> {
    match (key, event) {
        (_, Event::Trail(TrailFact::Noted(entry))) => vec![row(AUDIT, audit_key(entry.at, entry.number), entry)],
        (_, Event::Trail(TrailFact::Pruned { lines, .. })) => {
            let gone = |(number, at): &(u64, Timestamp)| audit_key(*at, *number);
            lines.iter().map(|line| Row { table: AUDIT, key: gone(line), value: None }).collect()
        }
        (Key::Ticket(id), Event::Ticket(TicketFact::Stepped(step))) => {
            vec![row(STEP, format!("{id}/{:06}", step.number), step)]
        }
        (_, Event::Ticket(_) | Event::Operator(_) | Event::Approval(_)) => Vec::new(),
    }
}
