//! The first target: any bytes as a frame. No panic, no hang; what is answered can be read again; a transaction message is
//! never refused (CH-1).

use super::mutate;
use crate::persistence::messages::redact;
use crate::protocol::ocpp16::{self, neutral};
use crate::protocol::ocppj::{Frame, write_error, write_result};
use serde_json::Value;

/// Actions of ours whose answers a charger may break.
const ASKED: &[&str] = &[
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "DataTransfer",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetLocalListVersion",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
];

fn tells_a_password(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| match value {
            Value::String(text) => {
                name.to_ascii_lowercase().contains("password") && !text.is_empty() && text != "[secret]"
            }
            value => tells_a_password(value),
        }),
        Value::Array(items) => items.iter().any(tells_a_password),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Reads one input as the socket does; what came of it, in short.
pub(super) fn read(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // What is kept of a frame that can be read is a frame without passwords (OP-7).
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        let kept = redact::frame(&text);
        match serde_json::from_str::<Value>(&kept) {
            Ok(left) => assert!(left.is_array() == value.is_array() && !tells_a_password(&left), "kept: {kept}"),
            Err(error) => panic!("{error} in what was kept: {kept}"),
        }
    }
    match Frame::read(&text) {
        Frame::Call { id, action, payload } => match ocpp16::decode(&id, &action, payload) {
            Ok(decoded) => {
                assert!(decoded.flags.len() <= 64, "{} flags", decoded.flags.len());
                let known = mutate::CALLS.iter().any(|(name, _)| *name == action);
                assert!(known, "{action} was taken");
                let kind = format!("{:?}", decoded.request);
                let kind = kind.split(['(', ' ']).next().unwrap_or_default();
                format!("call {action} {kind} {}", decoded.flags.len())
            }
            Err(error) => {
                assert!(ocpp16::is_transaction(&action).is_none(), "{action} was refused: {error:?}");
                let answer = write_error(&id, &error);
                assert!(matches!(Frame::read(&answer), Frame::Error { id: told, .. } if told == id), "{answer}");
                let known = mutate::CALLS.iter().any(|(name, _)| *name == action);
                format!("refused {} {:?}", if known { &action } else { "another" }, error.code)
            }
        },
        Frame::Bad { id, action, error } => {
            let answer = write_error(&id, &error);
            assert!(matches!(Frame::read(&answer), Frame::Error { id: told, .. } if told == id), "{answer}");
            let kept = action.and_then(|action| ocpp16::unreadable(&action, bytes, &error.description)).is_some();
            format!("bad {:?} {kept}", error.code)
        }
        Frame::Result { id, payload } => {
            let answer = write_result(&id, "{}");
            assert!(matches!(Frame::read(&answer), Frame::Result { id: told, .. } if told == id), "{answer}");
            let outcomes = ASKED
                .iter()
                .map(|action| format!("{:?}", std::mem::discriminant(&neutral::outcome(action, payload).0)));
            format!("result {}", outcomes.collect::<String>())
        }
        Frame::Error { .. } => "error".to_owned(),
        Frame::Ignored(why) => why.label().to_owned(),
    }
}
