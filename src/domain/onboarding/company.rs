//! The unified social credit code of an organisation (统一社会信用代码, GB 32100-2015). Owns its check digits: its own, and that
//! of the organisation code inside it (GB 11714). Whether such an organisation exists is for a person to look up.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The alphabet of GB 32100: digits and capitals without I, O, S, V, Z. A character's place is its value.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// The weights of the first 17 characters: powers of 3 modulo 31.
const WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// The weights of the organisation code's eight characters (GB 11714).
const INNER_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
/// Characters of a code.
const LENGTH: usize = 18;

/// A code whose check digits are right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CreditCode(String);

/// Why a text is no such code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreditCodeError {
    /// Not 18 characters.
    #[error("has not 18 characters")]
    Length,
    /// A character that the standard does not use.
    #[error("has a character that is none of 0-9 and A-Z without I, O, S, V, Z, at place {0}")]
    Character(usize),
    /// The administrative division, places 3 to 8, is six digits.
    #[error("has no administrative division of six digits at places 3 to 8")]
    Division,
    /// The organisation code's own check character, at place 17, is wrong.
    #[error("has an organisation code, places 9 to 17, whose check character is wrong")]
    Organisation,
    /// The last character is wrong.
    #[error("has a wrong check character at its end")]
    Check,
}

/// What is allowed where a code is read.
pub const CREDIT_CODE_FORM: &str =
    "the 18 characters of a unified social credit code (GB 32100), such as 91110000600037341L";

impl CreditCode {
    /// The code, in capitals.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn value(character: u8) -> Option<u32> {
    ALPHABET.iter().position(|known| *known == character).and_then(|place| u32::try_from(place).ok())
}

/// The check character of the organisation code: 11 less the sum modulo 11; 10 is written `X`, 11 `0`.
fn inner_check(values: &[u32]) -> u8 {
    let sum: u32 = values.iter().zip(INNER_WEIGHTS).map(|(value, weight)| value * weight).sum();
    match (11 - sum % 11) % 11 {
        10 => b'X',
        // 0 to 9.
        digit => ALPHABET[digit as usize],
    }
}

/// The last character: 31 less the sum modulo 31.
fn check(values: &[u32]) -> u8 {
    let sum: u32 = values.iter().zip(WEIGHTS).map(|(value, weight)| value * weight).sum();
    ALPHABET[((31 - sum % 31) % 31) as usize]
}

impl FromStr for CreditCode {
    type Err = CreditCodeError;

    fn from_str(text: &str) -> Result<Self, CreditCodeError> {
        let code = text.trim().to_ascii_uppercase();
        let characters = code.as_bytes();
        if code.chars().count() != LENGTH {
            return Err(CreditCodeError::Length);
        }
        let mut values = Vec::with_capacity(LENGTH);
        for (n, character) in code.chars().enumerate() {
            let known = u8::try_from(character).ok().and_then(value);
            values.push(known.ok_or(CreditCodeError::Character(n + 1))?);
        }
        if !characters[2..8].iter().all(u8::is_ascii_digit) {
            return Err(CreditCodeError::Division);
        }
        if inner_check(&inner_values(&characters[8..16])) != characters[16] {
            return Err(CreditCodeError::Organisation);
        }
        if check(&values[..17]) != characters[17] {
            return Err(CreditCodeError::Check);
        }
        Ok(CreditCode(code))
    }
}

/// In GB 11714 a letter counts from 10 without a gap: unlike in GB 32100, every capital has its place.
fn inner_values(characters: &[u8]) -> Vec<u32> {
    let value = |c: &u8| if c.is_ascii_digit() { u32::from(c - b'0') } else { u32::from(c - b'A') + 10 };
    characters.iter().map(value).collect()
}

impl fmt::Display for CreditCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CreditCode {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CreditCode {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_known_organisations_are_right_and_each_mistake_is_told_apart() {
        for good in [
            "91110000600037341L",
            "91330100799655058B",
            "9144030071526726XG",
            "914403001922038216",
            "91440300192317458F",
            " 91110108551385082q ",
        ] {
            assert_eq!(good.parse::<CreditCode>().map(|code| code.0), Ok(good.trim().to_uppercase()), "{good}");
        }
        for (bad, error) in [
            ("91110000600037342L", CreditCodeError::Organisation),
            ("91110000600037341M", CreditCodeError::Check),
            ("81110000600037341L", CreditCodeError::Check),
            ("91110000600037341", CreditCodeError::Length),
            ("91110000600037341LL", CreditCodeError::Length),
            ("911100006000373I1L", CreditCodeError::Character(16)),
            ("9111000060003734企L", CreditCodeError::Character(17)),
            ("9111A000600037341L", CreditCodeError::Division),
            ("", CreditCodeError::Length),
        ] {
            assert_eq!(bad.parse::<CreditCode>(), Err(error), "{bad}");
        }
    }

    #[test]
    fn one_wrong_character_or_two_neighbours_swapped_are_always_found() {
        let good = "91330100799655058B";
        for place in 0..LENGTH {
            for other in ALPHABET {
                let mut text = good.as_bytes().to_vec();
                if text[place] != *other {
                    text[place] = *other;
                    assert!(String::from_utf8(text).unwrap().parse::<CreditCode>().is_err(), "{place} {other}");
                }
            }
            let mut text = good.as_bytes().to_vec();
            if place + 1 < LENGTH && text[place] != text[place + 1] {
                text.swap(place, place + 1);
                assert!(String::from_utf8(text).unwrap().parse::<CreditCode>().is_err(), "{place}");
            }
        }
    }
}
