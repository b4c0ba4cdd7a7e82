//! Operators in memory, and the shell of their partition. Owns the directory that HTTP reads; never decides: it follows the
//! committed states, so that a token that was revoked opens nothing from that moment on.

use super::alerts::{self, Alerts};
use super::engine::{Partition, Shell};
use super::last_use::LastUse;
use crate::clock::Timestamp;
use crate::domain::operator::account::{Digest, Operator, Token};
use crate::domain::operator::trail::{Entry, PRUNED_AT_ONCE};
use crate::domain::operator::{Effect, Key, OperatorFamily, Roles, State, rows};
use crate::ids::{OperatorId, PartnerId};
use crate::persistence::{JournalError, SharedJournal, StreamName};
use dashmap::DashMap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// All operators. One in the process.
#[derive(Debug, Default)]
pub struct Operators {
    known: DashMap<OperatorId, Arc<Operator>>,
    tokens: DashMap<String, OperatorId>,
    used: LastUse,
}

/// What a live token opens.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Whose it is.
    pub operator: OperatorId,
    /// What they may do.
    pub roles: Roles,
    /// What its secret must fit.
    pub digest: Digest,
}

impl Operators {
    /// Takes an operator's newest state.
    pub fn put(&self, id: &OperatorId, operator: &Operator) {
        for token in operator.tokens.keys() {
            self.tokens.insert(token.clone(), id.clone());
        }
        self.known.insert(id.clone(), Arc::new(operator.clone()));
    }

    /// One of them.
    pub fn get(&self, id: &OperatorId) -> Option<Arc<Operator>> {
        self.known.get(id).map(|known| Arc::clone(&known))
    }

    /// All of them, by id.
    pub fn all(&self) -> Vec<(OperatorId, Arc<Operator>)> {
        let mut all: Vec<_> = self.known.iter().map(|known| (known.key().clone(), Arc::clone(&known))).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// What a token opens at `now`, once its secret is proven; `None`: nothing.
    pub fn admitted(&self, token: &str, now: Timestamp) -> Option<Admitted> {
        let operator = self.tokens.get(token)?.clone();
        let known = self.get(&operator)?;
        let roles = known.admits(token, now)?.clone();
        let digest = known.tokens.get(token)?.digest.clone();
        Some(Admitted { operator, roles, digest })
    }

    /// When a token was last used.
    pub fn last_use(&self, id: &str, token: &Token) -> Option<Timestamp> {
        self.used.of(id).max(token.used)
    }

    /// A token was used. Whether it is time to journal that.
    pub fn used(&self, admitted: &Admitted, token: &str, now: Timestamp) -> bool {
        let kept = self.get(&admitted.operator).and_then(|known| known.tokens.get(token)?.used);
        self.used.note(token, now, kept)
    }
}

/// The oldest lines of the audit trail that are from before a moment, as many as one step takes away.
///
/// # Errors
/// When the store cannot be read.
pub async fn old_lines(journal: &SharedJournal, before: Timestamp) -> Result<Vec<Entry>, JournalError> {
    let found = journal.rows(rows::AUDIT, "", None, PRUNED_AT_ONCE).await?;
    let mut old = Vec::new();
    for row in &found {
        let entry: Entry = serde_json::from_slice(&row.value).map_err(|error| JournalError::Corrupt {
            key: format!("{}/{}", rows::AUDIT, row.key),
            why: error.to_string(),
        })?;
        if entry.at >= before {
            break;
        }
        old.push(entry);
    }
    Ok(old)
}

/// The impure half of [`OperatorFamily`].
#[derive(Debug)]
pub struct OperatorShell {
    /// Follows the committed states.
    pub operators: Arc<Operators>,
    /// Told when an entity is left alone.
    pub alerts: Alerts,
}

impl Shell<OperatorFamily> for OperatorShell {
    fn perform(&self, _: &Rc<Partition<OperatorFamily>>, _: &Key, effect: Effect) {
        match effect {
            // `applied` has put the new state there already.
            Effect::Known => {}
        }
    }

    fn refresh(&self, _: &Partition<OperatorFamily>) {}

    fn applied(&self, _: &Rc<Partition<OperatorFamily>>, key: &Key, state: &State) {
        match (key, state) {
            (Key::Operator(id), State::Operator(operator)) if operator.profile.is_some() => {
                self.operators.put(id, operator);
            }
            (Key::Operator(_) | Key::Trail | Key::Ticket(_) | Key::Approval(_), _) => {}
        }
    }

    fn noticed(&self, _: &BTreeSet<PartnerId>) {}

    fn quarantined(&self, stream: &StreamName, key: &Key, cause: &str) {
        self.alerts.raise(alerts::quarantined(stream, key, cause));
    }

    fn pinned(&self, _: &Partition<OperatorFamily>) -> bool {
        // Every write of an operator is a line in it.
        true
    }
}

#[cfg(test)]
mod tests;
