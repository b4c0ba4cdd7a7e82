//! Enumerations and bounded texts of OCPP 1.6. Owns their spelling; never what they mean.

use serde::{Serialize, Serializer};
use std::fmt;

/// Makes an enumeration of the specification: its words, and `Unlisted` for one that no edition has.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $(= $text:literal)?),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the specification's own words")]
        pub enum $name {
            $($variant,)+
            /// A word that the specification does not have, as received.
            Unlisted(String),
        }

        impl $name {
            /// The words of the official schema.
            pub const ALLOWED: &'static [&'static str] = &[$(words!(@text $variant $($text)?)),+];

            /// Reads a word.
            pub fn read(word: &str) -> Self {
                match word {
                    $(words!(@text $variant $($text)?) => $name::$variant,)+
                    other => $name::Unlisted(other.to_owned()),
                }
            }

            /// The word as on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => words!(@text $variant $($text)?),)+
                    $name::Unlisted(word) => word,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Ok($name::read(&std::borrow::Cow::<'de, str>::deserialize(d)?))
            }
        }
    };
    (@text $variant:ident) => { stringify!($variant) };
    (@text $variant:ident $text:literal) => { $text };
}
pub(crate) use words;

/// A text is longer than the schema allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text has more than {max} characters")]
pub struct TooLong {
    /// The limit.
    pub max: usize,
}

/// A text of at most `N` characters, so that what is written is valid under the schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text<const N: usize>(String);

impl<const N: usize> Text<N> {
    /// Takes a text that fits.
    ///
    /// # Errors
    /// When it has more than `N` characters.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        if text.len() > N && text.chars().count() > N {
            return Err(TooLong { max: N });
        }
        Ok(Text(text))
    }

    /// Takes as much of a text as fits.
    pub fn cut(text: &str) -> Self {
        Text(text.chars().take(N).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

/// An identifier of a user or vehicle: at most 20 characters, compared without regard to case by chargers.
pub type IdTag = Text<20>;

/// A time as written to chargers.
pub(crate) fn time<S: Serializer>(at: &crate::clock::Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(at)
}

/// An optional time as written to chargers.
pub(crate) fn opt_time<S: Serializer>(at: &Option<crate::clock::Timestamp>, s: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => s.collect_str(at),
        None => s.serialize_none(),
    }
}

#[cfg(test)]
#[allow(unreachable_pub, reason = "the macro makes public enumerations")]
mod tests {
    use super::*;

    words!(
        /// For the test.
        Word { Plain, Dotted = "Dotted.Word" }
    );

    #[test]
    fn words_keep_their_spelling_and_unknown_ones() {
        assert_eq!(Word::ALLOWED, ["Plain", "Dotted.Word"]);
        for word in ["Plain", "Dotted.Word", "Weird"] {
            assert_eq!(Word::read(word).as_str(), word);
        }
        assert_eq!(Word::read("plain"), Word::Unlisted("plain".into()));
    }

    #[test]
    fn bounded_texts_count_characters_not_bytes() {
        assert!(Text::<3>::new("äöü").is_ok());
        assert_eq!(Text::<3>::new("abcd"), Err(TooLong { max: 3 }));
        assert_eq!(Text::<3>::cut("äöüß").as_str(), "äöü");
    }
}
