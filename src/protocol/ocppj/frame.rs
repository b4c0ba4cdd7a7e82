//! The three frames of OCPP-J (1.6 §4.2). Owns reading them from text and writing them; never the payload's content.
//!
//! Invariants: nothing that a peer sends makes this fail otherwise than by a value; a bad CALL whose id could be read
//! is answerable, whatever follows the id (CH-2).

use super::call_error::{CallError, DESCRIPTION_MAX, ErrorCode};
use crate::protocol::json::{Key, syntax};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The longest unique message id, in characters (OCPP-J 1.6 §4.1.4: a UUID). Longer ones up to
/// [`MESSAGE_ID_READABLE`] are echoed all the same: refusing them would lose the facts of a sloppy charger.
pub const MESSAGE_ID_MAX: usize = 36;

/// The longest id that is echoed, in bytes.
pub const MESSAGE_ID_READABLE: usize = 255;

/// A frame from a peer. Payloads are the raw JSON text.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame<'a> {
    /// `[2, id, action, payload]`.
    Call {
        /// Unique message id.
        id: Cow<'a, str>,
        /// What is asked.
        action: Cow<'a, str>,
        /// A JSON object, unread.
        payload: &'a str,
    },
    /// `[3, id, payload]`.
    Result {
        /// The id of the CALL that it answers.
        id: Cow<'a, str>,
        /// A JSON value, unread; `null` if there was none.
        payload: &'a str,
    },
    /// `[4, id, code, description, details]`. What is missing is empty.
    Error {
        /// The id of the CALL that it answers.
        id: Cow<'a, str>,
        /// As the peer spelled it.
        code: Cow<'a, str>,
        /// For people.
        description: Cow<'a, str>,
        /// A JSON value, unread.
        details: &'a str,
    },
    /// A CALL that is not well formed but has an id: answer with the error.
    Bad {
        /// Unique message id.
        id: Cow<'a, str>,
        /// What is asked, if that could be read.
        action: Option<Cow<'a, str>>,
        /// The answer.
        error: CallError,
    },
    /// Cannot be answered and is none: count it and go on.
    Ignored(Ignored),
}

/// Why a frame is ignored (CH-2). The connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// Not JSON, or not a JSON array, so that no id could be read.
    NotAFrame,
    /// The message type is none of 2, 3, 4.
    UnknownType,
    /// The id is missing, no string, or beyond any length.
    NoId,
    /// An answer that is broken after its id.
    BrokenAnswer,
}

impl Ignored {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Ignored::NotAFrame => "not_a_frame",
            Ignored::UnknownType => "unknown_type",
            Ignored::NoId => "no_id",
            Ignored::BrokenAnswer => "broken_answer",
        }
    }
}

/// What has been read before it ended or broke.
#[derive(Default)]
struct Parts<'a> {
    kind: Option<u64>,
    id: Option<Cow<'a, str>>,
    /// The action of a CALL, the code of a CALLERROR.
    word: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
    payload: Option<&'a str>,
    /// What is wrong with the shape, the first finding.
    wrong: Option<&'static str>,
}

impl<'a> Frame<'a> {
    /// Reads a frame. Total: every text is a frame of some kind.
    pub fn read(text: &'a str) -> Frame<'a> {
        let mut parts = Parts::default();
        let mut de = serde_json::Deserializer::from_str(text);
        let outcome = Walk(&mut parts).deserialize(&mut de).and_then(|()| de.end());
        let broken = outcome.err().map(|e| syntax(text, &e).to_string());
        match parts.kind {
            None if broken.is_none() && parts.wrong.is_some() => Frame::Ignored(Ignored::UnknownType),
            None => Frame::Ignored(Ignored::NotAFrame),
            Some(kind) => parts.into_frame(kind, broken),
        }
    }
}

impl<'a> Parts<'a> {
    fn into_frame(self, kind: u64, broken: Option<String>) -> Frame<'a> {
        if !matches!(kind, 2..=4) {
            return Frame::Ignored(Ignored::UnknownType);
        }
        let Some(id) = self.id.filter(|id| id.len() <= MESSAGE_ID_READABLE) else {
            return Frame::Ignored(Ignored::NoId);
        };
        if kind == 2 {
            return call(id, self.word, self.payload, self.wrong, broken);
        }
        if broken.is_some() {
            return Frame::Ignored(Ignored::BrokenAnswer);
        }
        let payload = self.payload.unwrap_or("null");
        match kind {
            3 => Frame::Result { id, payload },
            _ => Frame::Error {
                id,
                code: self.word.unwrap_or_default(),
                description: self.description.unwrap_or_default(),
                details: payload,
            },
        }
    }
}

fn call<'a>(
    id: Cow<'a, str>,
    action: Option<Cow<'a, str>>,
    payload: Option<&'a str>,
    wrong: Option<&'static str>,
    broken: Option<String>,
) -> Frame<'a> {
    let bad = |code, action, why: &str| Frame::Bad { id: id.clone(), action, error: CallError::new(code, why) };
    if let Some(why) = broken {
        return bad(ErrorCode::FormationViolation, action, &why);
    }
    if let Some(why) = wrong {
        return bad(ErrorCode::FormationViolation, action, why);
    }
    match (action, payload) {
        (None, _) => bad(ErrorCode::FormationViolation, None, "the action is missing"),
        (action, None) => bad(ErrorCode::ProtocolError, action, "the payload is missing"),
        (Some(action), Some(payload)) if payload.starts_with('{') => Frame::Call { id, action, payload },
        (action, Some(_)) => bad(ErrorCode::FormationViolation, action, "the payload is not a JSON object"),
    }
}

struct Walk<'p, 'a>(&'p mut Parts<'a>);

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an OCPP-J frame")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let parts = self.0;
        let Some(kind) = seq.next_element::<&RawValue>()? else {
            parts.wrong = Some("the frame is empty");
            return Ok(());
        };
        match kind.get().parse::<u64>() {
            Ok(kind) => parts.kind = Some(kind),
            Err(_) => parts.wrong = Some("the message type is no whole number"),
        }
        let id = seq.next_element::<&RawValue>()?;
        parts.id = id.and_then(|raw| text(raw.get()));
        let is_call = parts.kind == Some(2);
        if parts.kind != Some(3) {
            match seq.next_element::<&RawValue>()? {
                None => return Ok(()),
                Some(raw) => parts.word = text(raw.get()),
            }
            if is_call && parts.word.is_none() {
                parts.wrong.get_or_insert("the action is not a string");
            }
        }
        if parts.kind == Some(4) {
            parts.description = seq.next_element::<&RawValue>()?.and_then(|raw| text(raw.get()));
        }
        parts.payload = seq.next_element::<&RawValue>()?.map(RawValue::get);
        while seq.next_element::<&RawValue>()?.is_some() {
            parts.wrong.get_or_insert("the frame has more than four members");
        }
        Ok(())
    }
}

/// The text that a raw JSON value is, if it is one.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    // Raw values are valid JSON: what begins with a quote ends with one, and without a backslash it is the text itself.
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(plain) = inner.filter(|inner| !inner.contains('\\')) {
        return Some(Cow::Borrowed(plain));
    }
    Key.deserialize(&mut serde_json::Deserializer::from_str(raw)).ok()
}

/// Writes a CALL.
pub fn write_call(id: &str, action: &str, payload: &str) -> String {
    let mut out = String::with_capacity(payload.len() + action.len() + id.len() + 12);
    out.push_str("[2,");
    push_text(&mut out, id);
    out.push(',');
    push_text(&mut out, action);
    out.push(',');
    out.push_str(payload);
    out.push(']');
    out
}

/// Writes a CALLRESULT. `payload` is a JSON object.
pub fn write_result(id: &str, payload: &str) -> String {
    let mut out = String::with_capacity(payload.len() + id.len() + 8);
    out.push_str("[3,");
    push_text(&mut out, id);
    out.push(',');
    out.push_str(payload);
    out.push(']');
    out
}

/// Writes a CALLERROR in the spelling of 1.6. The description is cut to what the specification allows.
pub fn write_error(id: &str, error: &CallError) -> String {
    let mut out = String::with_capacity(error.description.len() + id.len() + 48);
    out.push_str("[4,");
    push_text(&mut out, id);
    out.push_str(",\"");
    out.push_str(error.code.as_1_6());
    out.push_str("\",");
    match error.description.char_indices().nth(DESCRIPTION_MAX) {
        Some((end, _)) => push_text(&mut out, &error.description[..end]),
        None => push_text(&mut out, &error.description),
    }
    out.push_str(",{}]");
    out
}

/// Appends a JSON text, escaped where it must be.
pub(crate) fn push_text(out: &mut String, text: &str) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_frames_are_read() {
        assert_eq!(
            Frame::read(r#" [ 2 , "19" , "Heartbeat" , { } ] "#),
            Frame::Call { id: "19".into(), action: "Heartbeat".into(), payload: "{ }" }
        );
        assert_eq!(Frame::read(r#"[3,"a",{"x":1}]"#), Frame::Result { id: "a".into(), payload: r#"{"x":1}"# });
        assert_eq!(Frame::read(r#"[3,"a"]"#), Frame::Result { id: "a".into(), payload: "null" });
        let Frame::Error { code, description, details, .. } = Frame::read(r#"[4,"a","GenericError","no",{"y":2}]"#)
        else {
            panic!("no error frame")
        };
        assert_eq!((&*code, &*description, details), ("GenericError", "no", r#"{"y":2}"#));
        assert!(matches!(Frame::read(r#"[4,"a","GenericError"]"#), Frame::Error { details: "null", .. }));
    }

    #[test]
    fn every_kind_of_bad_frame_is_answered_or_ignored_as_the_table_says() {
        use ErrorCode::*;
        let answered = |text: &str| match Frame::read(text) {
            Frame::Bad { error, .. } => Some(error.code),
            other => panic!("{text}: {other:?}"),
        };
        for (text, code) in [
            (r#"[2,"1","Heartbeat",{]"#, FormationViolation),
            (r#"[2,"1","Heartbeat",{}"#, FormationViolation),
            (r#"[2,"1","Heartbeat",{}] x"#, FormationViolation),
            (r#"[2,"1","Heartbeat",{},{}]"#, FormationViolation),
            (r#"[2,"1","Heartbeat",[]]"#, FormationViolation),
            (r#"[2,"1","Heartbeat",null]"#, FormationViolation),
            (r#"[2,"1",7,{}]"#, FormationViolation),
            (r#"[2,"1"]"#, FormationViolation),
            (r#"[2,"1","Heartbeat"]"#, ProtocolError),
        ] {
            assert_eq!(answered(text), Some(code), "{text}");
        }
        for (text, why) in [
            ("", Ignored::NotAFrame),
            ("hello", Ignored::NotAFrame),
            ("{}", Ignored::NotAFrame),
            ("[", Ignored::NotAFrame),
            ("[]", Ignored::UnknownType),
            (r#"["2","1","Heartbeat",{}]"#, Ignored::UnknownType),
            (r#"[5,"1",{}]"#, Ignored::UnknownType),
            (r#"[-2,"1","Heartbeat",{}]"#, Ignored::UnknownType),
            (r#"[2,1,"Heartbeat",{}]"#, Ignored::NoId),
            (r#"[2]"#, Ignored::NoId),
            (r#"[3,null,{}]"#, Ignored::NoId),
            (r#"[3,"1",{]"#, Ignored::BrokenAnswer),
        ] {
            assert_eq!(Frame::read(text), Frame::Ignored(why), "{text}");
        }
        let long = format!(r#"[2,"{}","Heartbeat",{{}}]"#, "x".repeat(256));
        assert_eq!(Frame::read(&long), Frame::Ignored(Ignored::NoId));
    }

    #[test]
    fn a_broken_payload_leaves_id_and_action_readable() {
        let frame = Frame::read(r#"[2,"7","StartTransaction",{"connectorId":1,"#);
        let Frame::Bad { id, action, .. } = frame else { panic!("{frame:?}") };
        assert_eq!((&*id, action.as_deref()), ("7", Some("StartTransaction")));
    }

    #[test]
    fn a_hundred_thousand_brackets_as_payload_do_no_harm() {
        let text = format!(r#"[2,"7","Heartbeat",{}"#, "[".repeat(100_000));
        assert!(matches!(Frame::read(&text), Frame::Bad { .. }));
        assert_eq!(Frame::read(&"[".repeat(100_000)), Frame::Ignored(Ignored::NotAFrame));
    }

    #[test]
    fn written_frames_read_back_and_stay_within_limits() {
        let id = "quote\" back\\ line\n";
        let text = write_call(id, "Reset", r#"{"type":"Soft"}"#);
        assert!(matches!(Frame::read(&text), Frame::Call { id: read, .. } if read == id));
        let error = CallError::new(ErrorCode::GenericError, "é".repeat(300));
        let text = write_error("1", &error);
        let Frame::Error { description, .. } = Frame::read(&text) else { panic!("{text}") };
        assert_eq!(description.chars().count(), 255);
        assert_eq!(write_result("1", "{}"), r#"[3,"1",{}]"#);
    }
}
