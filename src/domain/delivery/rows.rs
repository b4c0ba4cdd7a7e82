//! Read-model rows of a partner's partition. Owns their tables, keys and shapes; never reads them.
//!
//! | table | key | value |
//! |---|---|---|
//! | `partner` | `<partner>` | [`Partner`]: the whole profile, secrets sealed |
//! | `webhook-dead` | `<partner>/<queue>/<position, 20 digits>` | [`Dead`] |
//! | `webhook-log` | `<partner>/<queue>/<slot, 6 digits>` | [`LogPage`]: a ring, oldest pages overwritten |
//! | `ticket` | `webhook-dead/<partner>/<queue>` | [`Ticket`]: open while there are dead letters |

use super::answer::Logged;
use super::family::{PartnerEvent, QueueId};
use super::partner::Partner;
use super::queue::{Dead, Queue, QueueFact};
use crate::clock::Timestamp;
use crate::domain::charging::case;
use crate::domain::entity::Row;
use serde::{Deserialize, Serialize};

/// Table of partners.
pub const PARTNER: &str = "partner";
/// Table of dead letters.
pub const DEAD: &str = "webhook-dead";
/// Table of the attempt log.
pub const LOG: &str = "webhook-log";
/// Table of tickets.
pub const TICKET: &str = "ticket";

/// A page of the attempt log: the tries of one report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// Its number, rising.
    pub page: u64,
    /// Oldest first.
    pub attempts: Vec<Logged>,
}

/// A ticket about dead letters: one a queue, however many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// What it is about.
    pub kind: String,
    /// Whose.
    pub partner: String,
    /// Which endpoint.
    pub queue: QueueId,
    /// `open` or `closed`.
    pub state: String,
    /// Dead letters now.
    pub count: u64,
    /// Since when there are any.
    pub since: Option<Timestamp>,
    /// The newest dead letter.
    pub last_event_id: Option<String>,
}

/// What all keys of a queue's rows begin with.
pub fn prefix(partner: &str, queue: QueueId) -> String {
    format!("{partner}/{queue}/")
}

/// The key of a dead letter: sorts by position.
pub fn dead_key(partner: &str, queue: QueueId, position: u64) -> String {
    format!("{partner}/{queue}/{position:020}")
}

fn json<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    // Text, numbers and lists: writing them as JSON cannot fail.
    serde_json::to_vec(value).ok()
}

/// The partner's row.
pub(super) fn of_partner(partition: &str, partner: &Partner) -> Vec<Row> {
    vec![Row { table: PARTNER, key: partition.to_owned(), value: json(partner) }]
}

/// Rows that follow from what happened to a queue.
pub(super) fn of_queue(partition: &str, id: QueueId, queue: &Queue, events: &[PartnerEvent]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut last_dead = None;
    let mut dead_changed = false;
    for event in events {
        let PartnerEvent::Queue(fact) = event else { continue };
        match fact {
            QueueFact::DeadLettered(dead) => {
                rows.push(dead_row(partition, id, dead));
                last_dead = Some(dead.entry.event_id.to_string());
                dead_changed = true;
            }
            QueueFact::Replayed { entries, .. } => {
                let revived = entries.iter().filter(|entry| entry.dead);
                rows.extend(revived.map(|again| dropped_row(partition, id, again.entry.position)));
                dead_changed |= entries.iter().any(|entry| entry.dead);
            }
            QueueFact::Logged { page, slot, attempts } => rows.push(Row {
                table: LOG,
                key: format!("{partition}/{id}/{slot:06}"),
                value: json(&LogPage { page: *page, attempts: attempts.clone() }),
            }),
            QueueFact::Discarded { dead } => {
                rows.extend(dead.iter().map(|position| dropped_row(partition, id, *position)));
                dead_changed |= !dead.is_empty();
            }
            QueueFact::Retired { dead, slots, open } => {
                rows.extend(dead.iter().map(|position| dropped_row(partition, id, *position)));
                let log = |slot| Row { table: LOG, key: format!("{partition}/{id}/{slot:06}"), value: None };
                rows.extend((0..*slots).map(log));
                // Nothing of it is left to be done.
                dead_changed |= *open;
            }
            QueueFact::Settled { .. }
            | QueueFact::Failed(_)
            | QueueFact::Advanced { .. }
            | QueueFact::HealthAlerted { .. }
            | QueueFact::Disabled(_)
            | QueueFact::Enabled
            | QueueFact::Unverified(_)
            | QueueFact::Verified
            | QueueFact::Paused
            | QueueFact::Resumed
            | QueueFact::ReplayStarted(_)
            | QueueFact::ReplayAdvanced { .. }
            | QueueFact::ReplayFinished { .. } => {}
        }
    }
    if dead_changed {
        let ticket = ticket_row(partition, id, queue, last_dead);
        if let Some(since) = queue.dead_since {
            rows.extend(case::ticket_index(&ticket.key, since, "webhook-dead", &format!("webhook/{partition}/{id}")));
        }
        rows.push(ticket);
    }
    rows
}

fn dead_row(partition: &str, id: QueueId, dead: &Dead) -> Row {
    Row { table: DEAD, key: dead_key(partition, id, dead.entry.position), value: json(dead) }
}

fn dropped_row(partition: &str, id: QueueId, position: u64) -> Row {
    Row { table: DEAD, key: dead_key(partition, id, position), value: None }
}

fn ticket_row(partition: &str, id: QueueId, queue: &Queue, last_event_id: Option<String>) -> Row {
    let ticket = Ticket {
        kind: "webhook-dead".to_owned(),
        partner: partition.to_owned(),
        queue: id,
        state: if queue.dead == 0 { "closed" } else { "open" }.to_owned(),
        count: queue.dead,
        since: queue.dead_since,
        last_event_id,
    };
    Row { table: TICKET, key: format!("webhook-dead/{partition}/{id}"), value: json(&ticket) }
}
