//! The section `[operators]` of `config.toml`: how long the audit trail is kept, what needs a second person.

use super::check::{Checked, Problem, not_above};
use crate::domain::operator::approval::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// The section `[operators]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// How long a line of the audit trail is kept (OP-3).
    #[serde(with = "crate::config::seconds")]
    pub audit_kept: Duration,
    /// Acts that wait for a second person, by name: [`Kind::as_str`].
    pub second_person: Vec<String>,
    /// How long such an act waits.
    #[serde(with = "crate::config::seconds")]
    pub approval_valid: Duration,
    /// How long a token counts if nobody says otherwise.
    #[serde(with = "crate::config::seconds")]
    pub token_valid: Duration,
    /// The longest that a token can count.
    #[serde(with = "crate::config::seconds")]
    pub token_valid_max: Duration,
}

impl Operators {
    /// Whether acts of this kind wait for a second person.
    pub fn waits(&self, kind: Kind) -> bool {
        self.second_person.iter().any(|name| name == kind.as_str())
    }
}

impl Checked for Operators {
    fn check(&self, problems: &mut Vec<Problem>) {
        let known: BTreeSet<&str> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        for name in self.second_person.iter().filter(|name| !known.contains(name.as_str())) {
            let allowed = format!("only {} are allowed", Vec::from_iter(known.iter().copied()).join(", "));
            problems.push(Problem::new("operators.second_person", format!("{name:?}"), allowed));
        }
        let max = ("operators.token_valid_max", self.token_valid_max);
        not_above(problems, "operators.token_valid", self.token_valid, max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_that_is_not_there_cannot_wait_for_a_second_person() {
        let mut operators = crate::config::reference::defaults().unwrap().operators;
        assert!(operators.waits(Kind::EraseUser) && !operators.waits(Kind::RollBackConfig));
        for (names, bad) in [(&["roll_back_config"][..], 0), (&[], 0), (&["erase_user", "refund", "x"], 2)] {
            operators.second_person = names.iter().map(ToString::to_string).collect();
            let mut problems = Vec::new();
            operators.check(&mut problems);
            assert_eq!(problems.len(), bad, "{names:?}");
        }
    }
}
