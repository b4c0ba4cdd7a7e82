//! Reading JSON that a stranger wrote (control 16). Owns the limits and the value they yield; never what a value means.
//!
//! Invariants: no value nests deeper than [`Limits::depth`], no object has a key twice, no array, object or text is
//! longer than its limit. serde_json's own recursion limit stays on. Texts without escapes are borrowed from the input.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// How much a JSON text may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of arrays and objects.
    pub depth: u16,
    /// Members of one array. CH-2: 20,000, so that a large `transactionData` can be taken.
    pub array: u32,
    /// Members of one object. No OCPP object has 20; duplicates are sought linearly, so this stays small.
    pub object: u32,
    /// Bytes of one text.
    pub text: u32,
}

impl Limits {
    /// The limits of an OCPP payload (control 16 as amended by CH-2).
    pub const OCPP: Limits = Limits { depth: 16, array: 20_000, object: 128, text: 10_240 };

    /// For transaction messages, which must be readable if at all possible: signed meter data can be long.
    pub const OCPP_TRANSACTION: Limits = Limits { depth: 16, array: 20_000, object: 128, text: 131_072 };
}

/// A JSON value that borrows what it can.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent that fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, in the order of the text. Keys are distinct.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Json<'_> {
    /// The value's type in words, for messages to a developer.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Integer(_) => "an integer",
            Json::Float(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("not valid JSON at byte {at}: {why}")]
    Syntax {
        /// Where, counted from the start of the text.
        at: usize,
        /// What the parser said.
        why: String,
    },
    /// An object has one key twice.
    #[error("an object has the member `{0}` twice")]
    DuplicateKey(String),
    /// Beyond a limit.
    #[error("{what} has more than {max} {unit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The limit.
        max: u32,
        /// Counted in.
        unit: &'static str,
    },
}

/// Reads one JSON value that fills the whole text.
///
/// # Errors
/// Syntax, a duplicate key, or a limit.
pub fn read<'a>(text: &'a str, limits: &Limits) -> Result<Json<'a>, JsonError> {
    let hit = Cell::new(None);
    let seed = Seed { limits, depth: 0, hit: &hit };
    let mut de = serde_json::Deserializer::from_str(text);
    let result = seed.deserialize(&mut de).and_then(|value| de.end().map(|()| value));
    result.map_err(|e| hit.take().unwrap_or_else(|| syntax(text, &e)))
}

/// A serde_json error as ours. Lines count from one, columns in bytes.
pub fn syntax(text: &str, error: &serde_json::Error) -> JsonError {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut why = error.to_string();
    if let Some(end) = why.rfind(" at line ") {
        why.truncate(end);
    }
    JsonError::Syntax { at: before + error.column(), why }
}

#[derive(Clone, Copy)]
struct Seed<'l> {
    limits: &'l Limits,
    depth: u16,
    hit: &'l Cell<Option<JsonError>>,
}

impl Seed<'_> {
    fn stop<E: serde::de::Error>(&self, error: JsonError) -> E {
        self.hit.set(Some(error));
        E::custom("limit")
    }

    fn over<E: serde::de::Error>(&self, what: &'static str, max: u32, unit: &'static str) -> E {
        self.stop(JsonError::Limit { what, max, unit })
    }

    fn text<E: serde::de::Error>(&self, length: usize) -> Result<(), E> {
        if length > self.limits.text as usize {
            return Err(self.over("a string", self.limits.text, "bytes"));
        }
        Ok(())
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= self.limits.depth {
            return Err(self.over("the value", u32::from(self.limits.depth), "levels"));
        }
        Ok(Seed { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Json<'de>, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(v).map_or(Json::Float(v as f64), Json::Integer))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(v))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, v: &'de str) -> Result<Json<'de>, E> {
        self.text(v.len())?;
        Ok(Json::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Json<'de>, E> {
        self.text(v.len())?;
        Ok(Json::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut members = Vec::new();
        while let Some(member) = seq.next_element_seed(inner)? {
            if members.len() >= self.limits.array as usize {
                return Err(self.over("an array", self.limits.array, "members"));
            }
            members.push(member);
        }
        Ok(Json::Array(members))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let inner = self.deeper()?;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::with_capacity(4);
        while let Some(key) = map.next_key_seed(Key)? {
            self.text(key.len())?;
            if members.iter().any(|(known, _)| *known == key) {
                let shown: String = key.chars().take(64).collect();
                return Err(self.stop(JsonError::DuplicateKey(shown.escape_debug().to_string())));
            }
            if members.len() >= self.limits.object as usize {
                return Err(self.over("an object", self.limits.object, "members"));
            }
            members.push((key, map.next_value_seed(inner)?));
        }
        Ok(Json::Object(members))
    }
}

/// Reads a text, borrowed where it has no escapes.
#[derive(Clone, Copy)]
pub(crate) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Cow<'de, str>, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(v.to_owned()))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Cow<'de, str>, E> {
        Err(E::custom("expected a string"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ocpp(text: &str) -> Result<Json<'_>, JsonError> {
        read(text, &Limits::OCPP)
    }

    #[test]
    fn values_are_read_and_plain_texts_borrowed() {
        let value = ocpp(r#"{"a":1,"b":[true,null,-2,1.5,"x","\u00e9\n"]}"#).unwrap();
        let Json::Object(members) = value else { panic!("no object") };
        assert_eq!(members[0], ("a".into(), Json::Integer(1)));
        let Json::Array(list) = &members[1].1 else { panic!("no array") };
        assert_eq!(list[..4], [Json::Bool(true), Json::Null, Json::Integer(-2), Json::Float(1.5)]);
        assert!(matches!(&list[4], Json::Text(Cow::Borrowed("x"))));
        assert_eq!(list[5], Json::Text("é\n".into()));
    }

    #[test]
    fn deep_nesting_is_refused_at_the_limit_and_not_before() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(ocpp(&nested(16)).is_ok());
        assert!(matches!(ocpp(&nested(17)), Err(JsonError::Limit { what: "the value", .. })));
        assert!(ocpp(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn a_key_given_twice_is_refused_even_when_escaped() {
        assert_eq!(ocpp(r#"{"a":1,"\u0061":2}"#), Err(JsonError::DuplicateKey("a".into())));
    }

    #[test]
    fn long_texts_and_lists_are_refused() {
        assert!(matches!(ocpp(&format!("\"{}\"", "x".repeat(10_241))), Err(JsonError::Limit { .. })));
        assert!(ocpp(&format!("\"{}\"", "x".repeat(10_240))).is_ok());
        let list = |n: usize| format!("[{}1]", "1,".repeat(n - 1));
        assert!(ocpp(&list(20_000)).is_ok());
        assert!(matches!(ocpp(&list(20_001)), Err(JsonError::Limit { .. })));
        let members: Vec<String> = (0..129).map(|n| format!("\"k{n}\":1")).collect();
        assert!(matches!(ocpp(&format!("{{{}}}", members.join(","))), Err(JsonError::Limit { .. })));
    }

    #[test]
    fn broken_texts_are_refused_with_their_place() {
        for text in ["", "{", "[1,]", "nul", "\"\\ud800\"", "{\"a\" 1}", "1 2", "01", "1e999", "\"\u{1}\""] {
            assert!(matches!(ocpp(text), Err(JsonError::Syntax { .. })), "{text:?}");
        }
        assert!(matches!(ocpp("[1,\n x]"), Err(JsonError::Syntax { at: 6, .. })), "{:?}", ocpp("[1,\n x]"));
        assert!(ocpp(&"9".repeat(1_000_000)).is_err());
    }
}
