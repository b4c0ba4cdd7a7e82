//! Label values that are not known when the program is built, such as a partner's id. Owns their bound.

use super::process::LABEL_VALUES_REFUSED;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Most such values in the life of a process, 64 bytes each at most: the partners of a large operator, and few enough
/// series for any Prometheus (OP-6: the partner label is capped).
pub const NAMES_MAX: usize = 500;

/// What stands for all values beyond the bound.
pub const OTHER: &str = "other";

static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// `name` as a label value. The first [`NAMES_MAX`] names are kept for the life of the process, all further ones are
/// [`OTHER`] and are counted. Only for names that an operator gave out, never for what a stranger sent.
pub fn label(name: &str) -> &'static str {
    // A set of texts is whole at any moment.
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    if names.len() >= NAMES_MAX || name.len() > 64 {
        LABEL_VALUES_REFUSED.add(1, []);
        return OTHER;
    }
    let known: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(known);
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_share_one_series() {
        assert_eq!(label("partner-a").as_ptr(), label("partner-a").as_ptr());
        for n in 0..2 * NAMES_MAX {
            label(&format!("partner-{n}"));
        }
        assert_eq!(label("one-more"), OTHER);
        assert_eq!(label("partner-a"), "partner-a", "those known stay");
        assert_eq!(label(&"x".repeat(65)), OTHER);
    }
}
