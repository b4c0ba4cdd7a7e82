//! The idTag that each remote start carries of its own, so that starts can be told apart (SE-16). Owns its form.

use crate::ids::SessionId;
use sha2::{Digest, Sha256};

/// What every such tag begins with.
pub const PREFIX: &str = "CL";

/// OCPP 1.6 `IdToken`: at most 20 characters, compared without regard to case.
pub const LENGTH: usize = 20;

/// Crockford's base 32: no letter is mistaken for a digit on a charger's screen.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The tag of a session: 18 characters, 90 bits, of a hash of the session's id and 128 random bits, so that knowing
/// the id is not enough to forge it.
pub fn of(session: SessionId, entropy: u128) -> Box<str> {
    let digest = Sha256::new().chain_update(session.0.as_bytes()).chain_update(entropy.to_be_bytes()).finalize();
    let letters = digest.iter().take(LENGTH - PREFIX.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    PREFIX.chars().chain(letters).collect::<String>().into()
}

/// Whether an idTag has the form of such a tag. Chargers may change its case.
pub fn looks_like(text: &str) -> bool {
    let text = text.as_bytes();
    let (head, tail) = text.split_at(PREFIX.len().min(text.len()));
    text.len() == LENGTH
        && head.eq_ignore_ascii_case(PREFIX.as_bytes())
        && tail.iter().all(|byte| ALPHABET.contains(&byte.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_fits_and_is_recognised_in_any_case() {
        let tag = of(SessionId(uuid::Uuid::from_u128(7)), 1);
        assert_eq!(tag.len(), LENGTH);
        assert!(looks_like(&tag) && looks_like(&tag.to_lowercase()), "{tag}");
        for other in ["", "CL", "04A2B3C4", "CLIIIIIIIIIIIIIIIIII", "XL000000000000000000", "CL0000000000000000000"] {
            assert!(!looks_like(other), "{other}");
        }
    }

    #[test]
    fn tags_differ_by_session_and_by_chance() {
        let tags: std::collections::BTreeSet<_> = (0..100)
            .flat_map(|n| [of(SessionId(uuid::Uuid::from_u128(n)), 1), of(SessionId(uuid::Uuid::from_u128(n)), 2)])
            .collect();
        assert_eq!(tags.len(), 200);
    }
}
