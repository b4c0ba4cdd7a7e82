//! What of personal data and secrets may reach a log (OP-7): helpers that shorten them. Owns the form; never decides what
//! is personal.

use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::OnceLock;

/// A secret: only that there is one is shown.
#[derive(Clone, Copy)]
pub struct Secret<T>(pub T);

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Something of a person, such as an id tag, a phone number or a plate: shown as a short mark that is the same for the
/// same text while this process lives, so that lines can be followed but nobody is named.
#[derive(Clone, Copy)]
pub struct Personal<'a>(pub &'a str);

/// 128 random bits of this process: without them a phone number could be found by trying all.
fn salt() -> &'static [u8; 16] {
    static SALT: OnceLock<[u8; 16]> = OnceLock::new();
    SALT.get_or_init(rand::random)
}

impl fmt::Display for Personal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = Sha256::new().chain_update(salt()).chain_update(self.0).finalize();
        write!(f, "p#{}", hex::encode(&mark[..4]))
    }
}

impl fmt::Debug for Personal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_secrets_nor_persons_are_shown() {
        assert_eq!(format!("{} {:?}", Secret("hunter2"), Secret(3)), "[secret] [secret]");
        let mark = Personal("13800138000").to_string();
        assert!(mark.len() == 10 && !mark.contains("138001"), "{mark}");
    }

    #[test]
    fn the_same_person_has_the_same_mark_and_another_another() {
        assert_eq!(Personal("a").to_string(), format!("{:?}", Personal("a")));
        assert_ne!(Personal("a").to_string(), Personal("b").to_string());
    }
}
