//! The two envelopes of T/CEC 102.4 §4, requests and answers. Owns their members, and the order of proof: signature over the
//! text as sent, then decryption, then JSON.

use super::crypto;
use super::dialect;
use super::ret::{Refused, Ret};
use super::secrets::Secrets;
use super::values::ChinaTime;
use crate::clock::Timestamp;
use crate::domain::delivery::{Dialect, ErrorData};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Longest `Msg` that is sent: enough to find the mistake.
const MSG_MAX: usize = 200;

/// A request's envelope, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who calls.
    pub operator_id: String,
    /// Ciphertext, as sent.
    pub data: String,
    /// `yyyyMMddHHmmss`.
    pub timestamp: String,
    /// A counter within the second; many callers always send `0001`.
    pub seq: String,
    /// The signature.
    pub sig: String,
}

/// A member by name in any case of letters, as text.
fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    let exact = members.get(name);
    let found = exact.or_else(|| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v));
    match found? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Request {
    /// Reads the envelope.
    ///
    /// # Errors
    /// 4003 with the member that is missing or malformed.
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let bad = |why: String| Refused::new(Ret::Envelope, why);
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            bad(format!("the body is no JSON: {error}; an object with OperatorID, Data, TimeStamp, Seq, Sig"))
        })?;
        let Value::Object(members) = value else { return Err(bad("the body is no JSON object".to_owned())) };
        let member = |name: &str| {
            text(&members, name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| bad(format!("{name} is missing, empty, or no text")))
        };
        Ok(Request {
            operator_id: member("OperatorID")?,
            data: member("Data")?,
            timestamp: member("TimeStamp")?,
            seq: member("Seq")?,
            sig: member("Sig")?,
        })
    }

    /// Whether it is signed with this set.
    pub fn is_signed(&self, secrets: &Secrets) -> bool {
        crypto::verify(secrets, &[&self.operator_id, &self.data, &self.timestamp, &self.seq], &self.sig)
    }

    /// When it was made, if that can be read.
    pub fn made_at(&self) -> Option<Timestamp> {
        ChinaTime::compact(&self.timestamp).map(|time| time.0)
    }
}

/// An answer that was proven, or is a failure that nobody signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The code.
    pub ret: i64,
    /// The text.
    pub msg: String,
    /// What it holds: only ever of a signed answer.
    pub data: Option<Value>,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// No envelope.
    #[error("the answer is no envelope: {0}")]
    Envelope(String),
    /// `Ret` 0 with a wrong signature, or none.
    #[error("the answer's Sig is wrong")]
    Signature,
    /// It cannot be decrypted, or holds no JSON object.
    #[error("the answer's Data cannot be read")]
    Data,
    /// A member of it is not as it must be.
    #[error("{0}")]
    Member(#[from] Refused),
}

/// Writes and reads with one partner's secrets in its dialect.
#[derive(Debug, Clone, Copy)]
pub struct Codec<'a> {
    /// The callee's set.
    pub secrets: &'a Secrets,
    /// How the partner speaks.
    pub dialect: &'a Dialect,
}

impl Codec<'_> {
    fn seal(&self, value: Value) -> String {
        let spelt = dialect::write(value, self.dialect);
        crypto::encrypt(self.secrets, spelt.to_string().as_bytes(), self.dialect.wrap_base64)
    }

    fn unseal(&self, data: &str) -> Option<Value> {
        let plain = crypto::decrypt(self.secrets, data)?;
        let value: Value = serde_json::from_slice(&plain).ok()?;
        value.is_object().then(|| dialect::read(value))
    }

    /// A request's body. `seq` counts within the second of `now`.
    pub fn request(&self, operator_id: &str, now: Timestamp, seq: u16, data: &impl Serialize) -> Vec<u8> {
        let data = self.seal(to_value(data));
        let (timestamp, seq) = (ChinaTime(now).to_compact(), format!("{:04}", seq % 10_000));
        let sig = crypto::sign(self.secrets, &[operator_id, &data, &timestamp, &seq]);
        json!({"OperatorID": operator_id, "Data": data, "TimeStamp": timestamp, "Seq": seq, "Sig": sig})
            .to_string()
            .into_bytes()
    }

    /// What a request holds. Its signature must have been checked.
    ///
    /// # Errors
    /// 4004, one text whatever is wrong with the ciphertext; with the member where only that is wrong.
    pub fn open<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Refused> {
        let value = self.unseal(&request.data).ok_or_else(|| {
            Refused::new(Ret::Parameter, "Data cannot be read: Base64 of AES-128-CBC, PKCS#7, of a JSON object")
        })?;
        members(value)
    }

    /// An answer's body.
    pub fn answer(&self, outcome: Result<Value, Refused>) -> Vec<u8> {
        let (ret, msg, value) = match outcome {
            Ok(value) => (Ret::Success, String::new(), Some(value)),
            Err(Refused { ret, msg }) => {
                let empty = (self.dialect.error_data == ErrorData::Empty).then(|| json!({}));
                (ret, msg.chars().filter(|c| !c.is_control()).take(MSG_MAX).collect(), empty)
            }
        };
        let data = value.map(|value| self.seal(value));
        let code = ret.code();
        let sig = crypto::sign(self.secrets, &[&code.to_string(), &msg, data.as_deref().unwrap_or_default()]);
        json!({"Ret": code, "Msg": msg, "Data": data, "Sig": sig}).to_string().into_bytes()
    }

    /// Reads an answer. A failure is believed unsigned, for two peers' stacks leave it so; a success never.
    ///
    /// # Errors
    /// See [`BadReply`].
    pub fn reply(&self, body: &[u8]) -> Result<Reply, BadReply> {
        let value: Value = serde_json::from_slice(body).map_err(|error| BadReply::Envelope(error.to_string()))?;
        let Value::Object(members) = value else { return Err(BadReply::Envelope("no JSON object".to_owned())) };
        let ret = text(&members, "Ret").and_then(|text| text.trim().parse::<i64>().ok());
        let ret = ret.ok_or_else(|| BadReply::Envelope("Ret is missing or no number".to_owned()))?;
        let (msg, data) = (text(&members, "Msg").unwrap_or_default(), text(&members, "Data").unwrap_or_default());
        let sig = text(&members, "Sig").unwrap_or_default();
        let signed = crypto::verify(self.secrets, &[&ret.to_string(), &msg, &data], &sig);
        if ret != 0 {
            let data = if signed { self.unseal(&data) } else { None };
            return Ok(Reply { ret, msg, data });
        }
        if !signed {
            return Err(BadReply::Signature);
        }
        let data = self.unseal(&data).ok_or(BadReply::Data)?;
        Ok(Reply { ret, msg, data: Some(data) })
    }
}

/// An unsigned refusal, for a caller whom nobody knows: there is no secret to sign with.
pub fn unsigned(refused: &Refused) -> Vec<u8> {
    let msg: String = refused.msg.chars().filter(|c| !c.is_control()).take(MSG_MAX).collect();
    json!({"Ret": refused.ret.code(), "Msg": msg, "Data": null, "Sig": ""}).to_string().into_bytes()
}

/// A type's members.
pub fn to_value(data: &impl Serialize) -> Value {
    // Texts, numbers and lists of them: always JSON.
    serde_json::to_value(data).unwrap_or_default()
}

/// The members as a type.
///
/// # Errors
/// 4004 with the member that is missing or wrong.
pub fn members<T: DeserializeOwned>(value: Value) -> Result<T, Refused> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { String::new() } else { format!("{path}: ") };
        Refused::new(Ret::Parameter, format!("{at}{}", error.inner()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::secrets::tests::published;
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Some_ {
        #[serde(rename = "Word")]
        word: String,
    }

    #[test]
    fn what_is_wrong_with_an_envelope_is_named() {
        for (body, said) in [
            ("rubbish", "no JSON"),
            ("[]", "no JSON object"),
            ("{}", "OperatorID is missing"),
            (r#"{"OperatorID":"123456789","Data":"x","TimeStamp":"1","Seq":"1","Sig":null}"#, "Sig is missing"),
            (r#"{"OperatorID":"123456789","Data":{},"TimeStamp":"1","Seq":"1","Sig":"a"}"#, "Data is missing"),
        ] {
            let refused = Request::read(body.as_bytes()).unwrap_err();
            assert_eq!(refused.ret, Ret::Envelope);
            assert!(refused.msg.contains(said), "{body}: {}", refused.msg);
        }
    }

    #[test]
    fn a_lower_case_sig_key_and_value_and_wrapped_base64_are_read() {
        let secrets = published();
        let dialect = Dialect { wrap_base64: true, ..Dialect::default() };
        let codec = Codec { secrets: &secrets, dialect: &dialect };
        let word = "电".repeat(100);
        let body = codec.request("123456789", Timestamp(1_500_000_000_000), 7, &json!({"Word": word}));
        let mut members: Map<String, Value> = serde_json::from_slice(&body).unwrap();
        assert!(members["Data"].as_str().unwrap().contains("\r\n"));
        let sig = members.remove("Sig").unwrap().as_str().unwrap().to_lowercase();
        members.insert("sig".into(), sig.into());
        let request = Request::read(Value::from(members).to_string().as_bytes()).unwrap();
        assert!(request.is_signed(&secrets));
        assert_eq!((request.seq.as_str(), request.made_at()), ("0007", Some(Timestamp(1_500_000_000_000))));
        assert_eq!(codec.open::<Some_>(&request).unwrap(), Some_ { word });
    }

    #[test]
    fn a_changed_member_breaks_the_signature_and_a_foreign_key_the_data() {
        let (secrets, dialect) = (published(), Dialect::default());
        let codec = Codec { secrets: &secrets, dialect: &dialect };
        let body = codec.request("123456789", Timestamp(0), 1, &json!({"Word": "w"}));
        let good = Request::read(&body).unwrap();
        for changed in [
            Request { operator_id: "123456780".into(), ..good.clone() },
            Request { data: good.data.replace('=', "A"), ..good.clone() },
            Request { timestamp: "19700101080001".into(), ..good.clone() },
            Request { seq: "0002".into(), ..good.clone() },
            Request { sig: "745166E8".into(), ..good.clone() },
        ] {
            assert!(!changed.is_signed(&secrets), "{changed:?}");
        }
        let other = Secrets::make(&[7; 56]);
        let refused = Codec { secrets: &other, dialect: &dialect }.open::<Some_>(&good).unwrap_err();
        assert_eq!(refused.ret, Ret::Parameter);
        let wrong = Request { data: codec.seal(json!({"Word": 1})), ..good };
        let refused = codec.open::<Some_>(&wrong).unwrap_err();
        assert!(refused.ret == Ret::Parameter && refused.msg.starts_with("Word: "), "{refused}");
    }

    #[test]
    fn a_failure_is_believed_unsigned_and_a_success_is_not() {
        let (secrets, dialect) = (published(), Dialect::default());
        let codec = Codec { secrets: &secrets, dialect: &dialect };
        let unsigned_failure = codec.reply(br#"{"Ret":"4002","Msg":null}"#).unwrap();
        assert_eq!(unsigned_failure, Reply { ret: 4002, msg: String::new(), data: None });
        let body = codec.answer(Ok(json!({"Status": 0})));
        assert_eq!(codec.reply(&body).unwrap().data, Some(json!({"Status": 0})));
        let forged = String::from_utf8(body).unwrap().replace("\"Msg\":\"\"", "\"Msg\":\"x\"");
        assert_eq!(codec.reply(forged.as_bytes()), Err(BadReply::Signature));
        assert!(matches!(codec.reply(b"<html>"), Err(BadReply::Envelope(_))));
    }

    #[test]
    fn an_error_answer_is_signed_with_or_without_data_as_the_dialect_says() {
        let secrets = published();
        for (error_data, has_data) in [(ErrorData::Empty, true), (ErrorData::Absent, false)] {
            let dialect = Dialect { error_data, ..Dialect::default() };
            let codec = Codec { secrets: &secrets, dialect: &dialect };
            let body = codec.answer(Err(Refused::member("PageNo", "is 0", "1 and up")));
            let shown: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(shown["Ret"], 4004);
            assert_eq!(shown["Data"].is_string(), has_data);
            let reply = codec.reply(&body).unwrap();
            assert_eq!(
                (reply.ret, reply.msg.as_str(), reply.data.is_some()),
                (4004, "PageNo is 0: 1 and up", has_data)
            );
        }
    }
}
