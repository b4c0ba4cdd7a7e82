//! Whether two acts are those of two persons (MO-6, OP-3, control 40). Owns that one question, for all acts that need a second
//! person: adjustments, refunds, and what `operators.second_person` names.
//!
//! Who acts is written as a text: an account's id, or `root` or `root/<name>` for who holds the key of the installation and may
//! say any name. Invariant: one credential is never two persons, so whoever agrees has an account of their own.

/// The credential in the installation's token file.
pub const ROOT: &str = "root";

/// Why somebody cannot be the second person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnother {
    /// The same one.
    #[error("whoever has proposed it cannot agree to it")]
    Same,
    /// The installation's token names nobody for certain.
    #[error("an account of one's own is needed to agree to it")]
    Root,
}

/// How an act under the installation's token is signed.
pub fn under_root(name: Option<&str>) -> String {
    name.map_or_else(|| ROOT.to_owned(), |name| format!("{ROOT}/{name}"))
}

/// Whether `by` was the installation's token, whatever name was said.
pub fn is_root(by: &str) -> bool {
    by == ROOT || by.strip_prefix(ROOT).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether `agreeing` may agree to what `proposing` has proposed.
///
/// # Errors
/// [`NotAnother`] says why not. Names differ by more than case and blanks.
pub fn another(proposing: &str, agreeing: &str) -> Result<(), NotAnother> {
    if is_root(agreeing.trim()) {
        return Err(NotAnother::Root);
    }
    // Somebody who proposed under the installation's token and gave their own name is known by it.
    let named = proposing.trim().rsplit('/').next().unwrap_or(proposing);
    if named.eq_ignore_ascii_case(agreeing.trim()) { Err(NotAnother::Same) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_acts_are_two_persons_only_with_two_credentials_and_two_names() {
        use NotAnother::{Root, Same};
        for (proposing, agreeing, expected) in [
            ("ada", "bob", Ok(())),
            ("ada", "ada", Err(Same)),
            ("ada", " ADA ", Err(Same)),
            ("root/ada", "bob", Ok(())),
            ("root/ada", "ada", Err(Same)),
            ("root", "bob", Ok(())),
            ("root/ada", "root/bob", Err(Root)),
            ("ada", "root", Err(Root)),
            ("ada", "root/bob", Err(Root)),
            ("ada", "rooted", Ok(())),
        ] {
            assert_eq!(another(proposing, agreeing), expected, "{proposing} {agreeing}");
        }
        assert_eq!((under_root(None), under_root(Some("ada"))), ("root".into(), "root/ada".into()));
    }
}
