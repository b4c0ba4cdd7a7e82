//! OCPP-J frames. Owns their shape; never their meaning.

use serde_json::{Value, json};

/// A frame as received.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    /// `[2, id, action, payload]`.
    Call {
        /// The message id.
        id: String,
        /// The action.
        action: String,
        /// The payload.
        payload: Value,
    },
    /// `[3, id, payload]`.
    Result {
        /// The id of the call.
        id: String,
        /// The payload.
        payload: Value,
    },
    /// `[4, id, code, description, details]`.
    Error {
        /// The id of the call.
        id: String,
        /// The error code.
        code: String,
    },
}

/// Reads a frame; `None` when it is none.
pub(super) fn parse(text: &str) -> Option<Frame> {
    let Value::Array(mut parts) = serde_json::from_str(text).ok()? else { return None };
    let kind = parts.first()?.as_u64()?;
    let id = parts.get(1)?.as_str()?.to_owned();
    match (kind, parts.len()) {
        (2, 4) => {
            let action = parts.get(2)?.as_str()?.to_owned();
            Some(Frame::Call { id, action, payload: parts.swap_remove(3) })
        }
        (3, 3) => Some(Frame::Result { id, payload: parts.swap_remove(2) }),
        (4, _) => Some(Frame::Error { id, code: parts.get(2)?.as_str()?.to_owned() }),
        _ => None,
    }
}

/// A CALL.
pub(super) fn call(id: &str, action: &str, payload: &Value) -> String {
    json!([2, id, action, payload]).to_string()
}

/// A CALLRESULT.
pub(super) fn result(id: &str, payload: &Value) -> String {
    json!([3, id, payload]).to_string()
}

/// A CALLERROR.
pub(super) fn error(id: &str, code: &str, description: &str) -> String {
    json!([4, id, code, description, {}]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_written_are_read_back() {
        let payload = json!({"a": 1});
        let read = parse(&call("1", "Heartbeat", &payload)).unwrap();
        assert_eq!(read, Frame::Call { id: "1".into(), action: "Heartbeat".into(), payload: payload.clone() });
        assert_eq!(parse(&result("1", &payload)).unwrap(), Frame::Result { id: "1".into(), payload });
        let error = parse(&error("1", "NotImplemented", "")).unwrap();
        assert_eq!(error, Frame::Error { id: "1".into(), code: "NotImplemented".into() });
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for text in ["", "{}", "[]", "[2,1,\"A\",{}]", "[2,\"1\",\"A\"]", "[9,\"1\",{}]", "[3,\"1\"]"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
