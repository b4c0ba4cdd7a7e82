//! The first target: any bytes as a frame. No panic, no hang; what is answered can be read again; a transaction message is
//! never refused (CH-1).

use super::{mutate, one_of, rounds};
use crate::protocol::ocpp16::{self, neutral};
use crate::protocol::ocppj::{Frame, write_error, write_result};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use std::collections::HashSet;

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
/// Inputs kept because their outcome was new.
const KEPT_MAX: usize = 4_096;
/// Inputs of a round.
const ROUND: u64 = 500;

/// Reads one input as the socket does; what came of it, in short.
fn read(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
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

fn seed(rng: &mut SmallRng) -> Vec<u8> {
    let words = mutate::words(rng);
    match rng.random_range(0..10) {
        0 => br#"[3,"7",{"status":"Accepted","configurationKey":[{"key":"a","readonly":true,"value":"1"}]}]"#.to_vec(),
        1 => br#"[4,"7","GenericError","no",{"a":[1]}]"#.to_vec(),
        2 => (0..rng.random_range(0..200)).map(|_| rng.random()).collect(),
        _ => mutate::call(rng, "7", &words).into_bytes(),
    }
}

#[test]
fn frames() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut seen = HashSet::new();
    let replays = std::env::var_os("FUZZ_SEED").is_some();
    rounds("frames", |rng| {
        for _ in 0..ROUND {
            // A seed alone must give the same round again, so that one which failed can be repeated: what was kept is
            // printed with a failure instead.
            let grown = !replays && !kept.is_empty() && rng.random_bool(0.5);
            let mut bytes = if grown { one_of(rng, &kept).clone() } else { seed(rng) };
            if rng.random_bool(0.9) {
                let other = seed(rng);
                mutate::mutate(rng, &mut bytes, &other);
            }
            let outcome = std::panic::catch_unwind(|| read(&bytes));
            let Ok(outcome) = outcome else { panic!("this input: {:?}", String::from_utf8_lossy(&bytes)) };
            if kept.len() < KEPT_MAX && seen.insert(outcome) {
                kept.push(bytes);
            }
        }
        ROUND
    });
    assert!(replays || seen.len() > 40, "too few outcomes: {seen:?}");
}
