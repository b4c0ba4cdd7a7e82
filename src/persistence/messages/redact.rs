//! What must not be kept of a frame (OP-7, OP-9): secrets, the texts of tokens, passwords in addresses. Pure.
//!
//! Nearly all frames hold nothing of that and are kept as they came; the others are read and written anew. A frame that
//! cannot be read but might hold a secret is not kept at all.

use serde_json::Value;
use std::borrow::Cow;

/// What is put in place of a secret.
const SECRET: &str = "[secret]";

/// Parts of a configuration key's name, in lower case, whose value is a secret.
const SECRET_KEYS: [&str; 6] = ["authorizationkey", "password", "passwd", "secret", "psk", "token"];

/// Members that hold a token's text.
const TOKENS: [&str; 4] = ["idtag", "parentidtag", "idtoken", "groupidtoken"];

/// Characters of a token that stay, so that people can tell them apart.
const TOKEN_TAIL: usize = 4;

/// How deep texts within texts are looked into (DataTransfer).
const NESTED_MAX: u8 = 2;

/// The frame without what must not be kept; `Owned` if anything had to go.
pub fn frame(text: &str) -> Cow<'_, str> {
    if !suspicious(text) {
        return Cow::Borrowed(text);
    }
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return Cow::Owned(format!("[{} bytes that cannot be read and may hold a secret]", text.len()));
    };
    if strike(&mut value, NESTED_MAX) { Cow::Owned(value.to_string()) } else { Cow::Borrowed(text) }
}

fn suspicious(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    TOKENS[..].iter().chain(&SECRET_KEYS).any(|word| lower.contains(word))
        || (lower.contains("://") && lower.contains('@'))
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_KEYS.iter().any(|word| lower.contains(word))
}

/// Strikes out; whether there was anything.
fn strike(value: &mut Value, nested: u8) -> bool {
    match value {
        Value::Array(items) => {
            let mut struck = false;
            for item in items {
                struck |= strike(item, nested);
            }
            struck
        }
        Value::Object(members) => {
            // A configuration key and its value.
            let secret_key = members.get("key").and_then(Value::as_str).is_some_and(is_secret);
            let mut struck = false;
            for (name, value) in members.iter_mut() {
                let token = TOKENS.contains(&name.to_ascii_lowercase().as_str());
                struck |= match value {
                    Value::String(text) if token => mask(text),
                    Value::String(text) if is_secret(name) || (secret_key && name == "value") => hide(text),
                    _ => strike(value, nested),
                };
            }
            struck
        }
        Value::String(text) => strike_text(text, nested),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn hide(text: &mut String) -> bool {
    let struck = !text.is_empty() && text != SECRET;
    if struck {
        SECRET.clone_into(text);
    }
    struck
}

/// Leaves the end of a token.
fn mask(text: &mut String) -> bool {
    let length = text.chars().count();
    if length == 0 {
        return false;
    }
    let tail: String =
        if length > 2 * TOKEN_TAIL { text.chars().skip(length - TOKEN_TAIL).collect() } else { String::new() };
    *text = format!("…{tail}");
    true
}

/// A text may be JSON itself, or an address with a password.
fn strike_text(text: &mut String, nested: u8) -> bool {
    if nested > 0 && text.starts_with(['{', '[']) && suspicious(text) {
        return match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                let struck = strike(&mut value, nested - 1);
                if struck {
                    *text = value.to_string();
                }
                struck
            }
            Err(_) => hide(text),
        };
    }
    match url::Url::parse(text) {
        Ok(mut url) if url.password().is_some() || !url.username().is_empty() => {
            // An address that can have a password can be given another.
            if url.set_password(None).and_then(|()| url.set_username("…")).is_err() {
                return hide(text);
            }
            *text = url.to_string();
            true
        }
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_kept_is_struck_out_and_the_rest_stays_byte_for_byte() {
        let cases = [
            (r#"[2,"1","Heartbeat",{}]"#, None),
            (r#"[2, "1", "StatusNotification", {"connectorId":1,"errorCode":"NoError","status":"Available"}]"#, None),
            (r#"[2,"1","Authorize",{"idTag":"04A1B2C3D4E5"}]"#, Some(r#"[2,"1","Authorize",{"idTag":"…D4E5"}]"#)),
            (r#"[2,"1","Authorize",{"idTag":"1234"}]"#, Some(r#"[2,"1","Authorize",{"idTag":"…"}]"#)),
            (
                r#"[3,"1",{"idTagInfo":{"parentIdTag":"04A1B2C3D4E5","status":"Accepted"}}]"#,
                Some(r#"[3,"1",{"idTagInfo":{"parentIdTag":"…D4E5","status":"Accepted"}}]"#),
            ),
            (
                r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"6f70656e"}]"#,
                Some(r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"[secret]"}]"#),
            ),
            (
                r#"[3,"1",{"configurationKey":[{"key":"WifiPassword","readonly":false,"value":"x"},{"key":"MeterValueSampleInterval","value":"60"}]}]"#,
                Some(
                    r#"[3,"1",{"configurationKey":[{"key":"WifiPassword","readonly":false,"value":"[secret]"},{"key":"MeterValueSampleInterval","value":"60"}]}]"#,
                ),
            ),
            (
                r#"[2,"1","GetDiagnostics",{"location":"ftp://me:word@logs.example/up"}]"#,
                Some(r#"[2,"1","GetDiagnostics",{"location":"ftp://%E2%80%A6@logs.example/up"}]"#),
            ),
            (
                r#"[2,"1","DataTransfer",{"data":"{\"idTag\":\"04A1B2C3D4E5\"}","vendorId":"v"}]"#,
                Some(r#"[2,"1","DataTransfer",{"data":"{\"idTag\":\"…D4E5\"}","vendorId":"v"}]"#),
            ),
            (
                r#"[2,"1","DataTransfer",{"data":"{broken secret","vendorId":"v"}]"#,
                Some(r#"[2,"1","DataTransfer",{"data":"[secret]","vendorId":"v"}]"#),
            ),
            (r#"[2,"1","Authorize",{"idTag":"04A1B2"#, Some("[35 bytes that cannot be read and may hold a secret]")),
            (r#"[2,"1","StopTransaction",{"reason":"DeAuthorized","transactionId":1}]"#, None),
        ];
        for (given, kept) in cases {
            match (frame(given), kept) {
                (Cow::Borrowed(text), None) => assert_eq!(text, given),
                (Cow::Owned(text), Some(kept)) => assert_eq!(text, kept),
                (other, _) => panic!("{given}: {other:?}"),
            }
        }
    }

    #[test]
    fn nothing_is_struck_out_twice() {
        let once = frame(r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"6f70656e"}]"#).into_owned();
        assert!(matches!(frame(&once), Cow::Borrowed(_)), "{once}");
    }
}
