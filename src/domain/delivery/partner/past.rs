//! Which sites a partner could see before (EM-6): what it may see no longer must be told to it as removed. Owns this short
//! memory; a partner whose mirror is older than it begins anew.

use super::Sites;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Changes that are remembered.
const CHANGES_KEPT: usize = 16;
/// Site ids that are remembered in all of them together.
const IDS_KEPT: usize = 20_000;

/// What a partner could see, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The sites.
    pub sites: Sites,
    /// Until then.
    pub until: Timestamp,
}

/// The grants of a partner, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// How often its sites were changed: the number of the grant in force.
    pub number: u32,
    /// Those before it, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Past>,
}

fn size(past: &Past) -> usize {
    match &past.sites {
        Sites::All => 1,
        Sites::Only(sites) => sites.len(),
    }
}

impl Grants {
    /// Takes a grant that is over.
    pub(super) fn over(&mut self, sites: Sites, until: Timestamp) {
        self.number = self.number.saturating_add(1);
        self.past.push(Past { sites, until });
        while self.past.len() > CHANGES_KEPT || (self.past.iter().map(size).sum::<usize>() > IDS_KEPT) {
            self.past.remove(0);
        }
    }

    /// The sites of an earlier grant; `None`: it is in force, or was never, or is forgotten.
    pub fn before(&self, number: u32) -> Option<&Sites> {
        let back = usize::try_from(self.number.checked_sub(number)?).ok()?;
        let at = self.past.len().checked_sub(back)?;
        self.past.get(at).map(|past| &past.sites)
    }

    /// The number of the grant that was in force then; `None`: that is forgotten.
    pub fn at(&self, then: Timestamp) -> Option<u32> {
        let newer = self.past.iter().filter(|past| past.until > then).count();
        if newer == self.past.len() && u32::try_from(newer).is_ok_and(|newer| newer < self.number) {
            return None;
        }
        self.number.checked_sub(u32::try_from(newer).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(sites: &[&str]) -> Sites {
        Sites::Only(sites.iter().map(|site| site.parse().unwrap()).collect())
    }

    #[test]
    fn earlier_grants_are_found_by_number_and_time_until_they_are_forgotten() {
        let mut grants = Grants::default();
        assert_eq!((grants.before(0), grants.at(Timestamp(5))), (None, Some(0)));
        grants.over(Sites::All, Timestamp(10));
        grants.over(only(&["a"]), Timestamp(20));
        assert_eq!((grants.before(0), grants.before(1)), (Some(&Sites::All), Some(&only(&["a"]))));
        assert_eq!((grants.before(2), grants.before(3)), (None, None));
        let at = [9, 10, 19, 20].map(|at| grants.at(Timestamp(at)));
        assert_eq!(at, [Some(0), Some(1), Some(1), Some(2)]);
        for n in 0..20 {
            grants.over(only(&["b"]), Timestamp(30 + n));
        }
        assert_eq!((grants.past.len(), grants.number), (16, 22));
        assert_eq!((grants.before(5), grants.before(6).is_some(), grants.at(Timestamp(5))), (None, true, None));
        let many: Vec<String> = (0..15_000).map(|n| format!("s{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        grants.over(only(&many), Timestamp(60));
        grants.over(only(&many), Timestamp(70));
        assert_eq!(grants.past.len(), 1, "two long lists are too much");
    }
}
