//! Alerts and tickets that the rules of a charger's partition raise (OP-2, OP-5). Owns their shape and their rows.
//!
//! Invariant: a case's id is made of the partition, the step's sequence, the entity and the entity's own count, so that it is
//! unique for ever and a replay gives the same one.

use crate::clock::Timestamp;
use crate::domain::entity::Row;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Look at it today.
    Warning,
    /// Wake someone.
    Critical,
}

/// Something that operators are told; with `proposal`, something that a person must act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How bad.
    pub level: Level,
    /// Stable code, snake case.
    pub code: Box<str>,
    /// What it is about: `charger/<id>`, `session/<id>`.
    pub subject: Box<str>,
    /// One sentence, with the figures that matter.
    pub text: Box<str>,
    /// What a person should do; present: a ticket is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Box<str>>,
    /// What proves it, cut to [`Case::EVIDENCE_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<str>>,
}

impl Case {
    /// Characters of evidence kept in a case: with the rest it stays below a stored value's 4 KiB.
    pub const EVIDENCE_MAX: usize = 2048;

    /// A case that nobody must act on.
    pub fn alert(level: Level, code: &str, subject: String, text: String) -> Self {
        Case { level, code: code.into(), subject: subject.into(), text: text.into(), proposal: None, evidence: None }
    }

    /// A case for a person.
    #[must_use]
    pub fn ticket(mut self, proposal: &str) -> Self {
        self.proposal = Some(proposal.into());
        self
    }

    /// Adds what proves it.
    #[must_use]
    pub fn with(mut self, evidence: &str) -> Self {
        self.evidence = Some(clip(evidence, Self::EVIDENCE_MAX));
        self
    }
}

/// A case as it was raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// `<charger>-<sequence>-<entity><count>`.
    pub id: Box<str>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub case: Case,
}

/// Table of occurrences that need a person, by the id they were raised under.
pub const TICKET: &str = "ticket";
/// Table of tickets, each with its newest occurrence.
pub const TICKET_CASE: &str = "ticket-case";
/// Table of tickets by time: the key begins with the occurrence's.
pub const TICKET_AT: &str = "ticket-at";
/// Table of all occurrences of a ticket.
pub const TICKET_SEEN: &str = "ticket-seen";

/// What the ids of all tickets about one subject begin with.
pub fn tickets_about(subject: &str) -> String {
    // 64 bits: two subjects of one installation do not meet there.
    format!("{}-", &hex::encode(Sha256::digest(subject))[..16])
}

/// The ticket of a case: the same kind about the same thing is the same ticket (OP-2).
pub fn ticket_of(subject: &str, code: &str) -> String {
    format!("{}{code}", tickets_about(subject))
}

/// The rows of a raised case: `alert/<id>`, and those of its ticket where a person must act.
pub fn rows(raised: &Raised) -> Vec<Row> {
    let Raised { id, at, case } = raised;
    let value = serde_json::json!({"id": id, "at": at.to_rfc3339(), "level": case.level, "code": case.code,
        "subject": case.subject, "text": case.text});
    let mut rows = vec![row("alert", id.to_string(), &value)];
    if let Some(proposal) = &case.proposal {
        let mut more = vec![("proposal", proposal.to_string())];
        more.extend(case.evidence.iter().map(|evidence| ("evidence", evidence.to_string())));
        rows.extend(ticket_rows(value, *at, more));
    }
    rows
}

/// The rows of an occurrence that needs a person: itself, and where its ticket is found. `told` is the alert's row.
pub fn ticket_rows(told: serde_json::Value, at: Timestamp, more: Vec<(&str, String)>) -> Vec<Row> {
    let mut value = told;
    let text = |value: &serde_json::Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let (id, code, subject) = (text(&value, "id"), text(&value, "code"), text(&value, "subject"));
    let ticket = ticket_of(&subject, &code);
    if let Some(members) = value.as_object_mut() {
        members.insert("state".to_owned(), "open".into());
        members.insert("ticket".to_owned(), ticket.clone().into());
        members.extend(more.into_iter().map(|(name, text)| (name.to_owned(), text.into())));
    }
    let mut rows = ticket_index(&id, at, &code, &subject);
    rows.push(row(TICKET, id, &value));
    rows
}

/// Where the ticket is found whose newest occurrence has this row in [`TICKET`].
pub fn ticket_index(occurrence: &str, at: Timestamp, code: &str, subject: &str) -> Vec<Row> {
    let ticket = ticket_of(subject, code);
    let newest =
        serde_json::json!({"ticket": ticket, "occurrence": occurrence, "at": at, "code": code, "subject": subject});
    let moment = format!("{:014}", at.0.max(0));
    vec![
        row(TICKET_SEEN, format!("{ticket}/{moment}-{occurrence}"), &newest),
        row(TICKET_AT, format!("{moment}-{ticket}"), &newest),
        row(TICKET_CASE, ticket, &newest),
    ]
}

/// A row with a JSON value.
pub fn row(table: &'static str, key: String, value: &impl Serialize) -> Row {
    // Plain structs of texts and numbers: they are always JSON.
    Row { table, key, value: serde_json::to_vec(value).ok() }
}

/// The first `max` characters of a text that came from outside.
pub fn clip(text: &str, max: usize) -> Box<str> {
    match text.char_indices().nth(max) {
        Some((end, _)) => text[..end].into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_case_with_a_proposal_opens_a_ticket() {
        let alert = Case::alert(Level::Warning, "x", "charger/CP1".into(), "text".into());
        let opened = vec!["alert", TICKET_SEEN, TICKET_AT, TICKET_CASE, TICKET];
        for (case, tables) in [(alert.clone(), vec!["alert"]), (alert.ticket("look"), opened)] {
            let raised = Raised { id: "CP1-1-c0".into(), at: Timestamp(0), case };
            assert_eq!(rows(&raised).iter().map(|row| row.table).collect::<Vec<_>>(), tables);
        }
    }

    #[test]
    fn the_same_case_is_the_same_ticket_and_every_occurrence_stays() {
        let case = Case::alert(Level::Warning, "x", "charger/CP1".into(), "text".into()).ticket("look");
        let keys = |id: &str, at: i64, case: &Case| {
            let raised = Raised { id: id.into(), at: Timestamp(at), case: case.clone() };
            let rows = rows(&raised).into_iter();
            rows.map(|row| (row.table, row.key)).collect::<std::collections::BTreeMap<_, _>>()
        };
        let (first, second) = (keys("CP1-1-c0", 1, &case), keys("CP1-2-c1", 2, &case));
        assert_eq!(first[TICKET_CASE], second[TICKET_CASE]);
        assert!(first[TICKET] != second[TICKET] && first[TICKET_SEEN] != second[TICKET_SEEN]);
        assert!(first[TICKET_CASE].parse::<crate::ids::TicketId>().is_ok());
        let other = Case { subject: "charger/CP2".into(), ..case };
        assert_ne!(keys("CP2-1-c0", 1, &other)[TICKET_CASE], first[TICKET_CASE]);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(&*clip("充电桩", 2), "充电");
        assert_eq!(&*clip("ab", 2), "ab");
    }
}
