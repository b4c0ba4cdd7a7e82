//! Alerts and tickets that the rules of a charger's partition raise (OP-2, OP-5). Owns their shape and their rows.
//!
//! Invariant: a case's id is made of the partition, the step's sequence, the entity and the entity's own count, so that it is
//! unique for ever and a replay gives the same one.

use crate::clock::Timestamp;
use crate::domain::entity::Row;
use serde::{Deserialize, Serialize};

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

/// The rows of a raised case: `alert/<id>`, and `ticket/<id>` where a person must act.
pub fn rows(raised: &Raised) -> Vec<Row> {
    let Raised { id, at, case } = raised;
    let mut value = serde_json::json!({"id": id, "at": at.to_rfc3339(), "level": case.level, "code": case.code,
        "subject": case.subject, "text": case.text});
    let mut rows = vec![row("alert", id.to_string(), &value)];
    if let (Some(proposal), Some(members)) = (&case.proposal, value.as_object_mut()) {
        members.insert("state".to_owned(), "open".into());
        members.insert("proposal".to_owned(), proposal.to_string().into());
        if let Some(evidence) = &case.evidence {
            members.insert("evidence".to_owned(), evidence.to_string().into());
        }
        rows.push(row("ticket", id.to_string(), &value));
    }
    rows
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
        for (case, tables) in [(alert.clone(), vec!["alert"]), (alert.ticket("look"), vec!["alert", "ticket"])] {
            let raised = Raised { id: "CP1-1-c0".into(), at: Timestamp(0), case };
            assert_eq!(rows(&raised).iter().map(|row| row.table).collect::<Vec<_>>(), tables);
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(&*clip("充电桩", 2), "充电");
        assert_eq!(&*clip("ab", 2), "ab");
    }
}
