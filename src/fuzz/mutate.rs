//! Frames and what becomes of them: valid ones of every action, and their mutations by byte, by token and by value.

use super::one_of;
use rand::{Rng, RngExt as _};

/// One valid payload of each request of a charger. `@T` a transaction, `@M` a meter value, `@C` a connector, `@I` an idTag,
/// `@D` a time.
pub(super) const CALLS: &[(&str, &str)] = &[
    ("Authorize", r#"{"idTag":"@I"}"#),
    ("BootNotification", r#"{"chargePointVendor":"V","chargePointModel":"M","firmwareVersion":"1.0","meterType":"x"}"#),
    ("DataTransfer", r#"{"vendorId":"v","messageId":"m","data":"{\"a\":1}"}"#),
    ("DiagnosticsStatusNotification", r#"{"status":"Uploading"}"#),
    ("FirmwareStatusNotification", r#"{"status":"Installed"}"#),
    ("Heartbeat", "{}"),
    (
        "MeterValues",
        r#"{"connectorId":@C,"transactionId":@T,"meterValue":[{"timestamp":"@D","sampledValue":[{"value":"@M","unit":"Wh","measurand":"Energy.Active.Import.Register"},{"value":"7.2","unit":"kW","measurand":"Power.Active.Import","phase":"L1"}]}]}"#,
    ),
    ("StartTransaction", r#"{"connectorId":@C,"idTag":"@I","meterStart":@M,"timestamp":"@D"}"#),
    ("StatusNotification", r#"{"connectorId":@C,"errorCode":"NoError","status":"@S","timestamp":"@D"}"#),
    (
        "StatusNotification",
        r#"{"connectorId":@C,"errorCode":"GroundFailure","status":"Faulted","vendorErrorCode":"E1"}"#,
    ),
    (
        "StopTransaction",
        r#"{"transactionId":@T,"meterStop":@M,"timestamp":"@D","reason":"Local","idTag":"@I","transactionData":[{"timestamp":"@D","sampledValue":[{"value":"@M"}]}]}"#,
    ),
];

const STATUSES: &[&str] = &[
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEV",
    "SuspendedEVSE",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
];

/// What tends to break readers.
const NASTY: &[&str] = &[
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "-0",
    "9223372036854775808",
    "99999999999999999999999999",
    "0.1e-400",
    "\"\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[]",
    "{}",
    "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]",
    "\"NaN\"",
    "{\"a\":1,\"a\":2}",
    "\"1970-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:60+14:00\"",
    "\"2026-01-02T00:00:00\"",
    "-2147483649",
    "65536",
    "\"\u{202e}\u{0}{{7*7}}<script>\"",
];

/// What placeholders stand for.
pub(super) struct Words {
    pub(super) transaction: String,
    pub(super) meter: String,
    pub(super) connector: String,
    pub(super) id_tag: String,
    pub(super) time: String,
}

/// A valid CALL.
pub(super) fn call(rng: &mut dyn Rng, id: &str, words: &Words) -> String {
    let (action, payload) = one_of(rng, CALLS);
    let payload = fill(payload, words).replace("@S", one_of::<&str>(rng, STATUSES));
    format!(r#"[2,"{id}","{action}",{payload}]"#)
}

/// A text with its placeholders replaced.
pub(super) fn fill(text: &str, words: &Words) -> String {
    text.replace("@T", &words.transaction)
        .replace("@M", &words.meter)
        .replace("@C", &words.connector)
        .replace("@I", &words.id_tag)
        .replace("@D", &words.time)
}

/// Any words, of no session in particular.
pub(super) fn words(rng: &mut dyn Rng) -> Words {
    Words {
        transaction: rng.random_range(-2..5_i64).to_string(),
        meter: rng.random_range(-5..100_000_i64).to_string(),
        connector: rng.random_range(0..4_u16).to_string(),
        id_tag: (*one_of(rng, &["CARD-1", "card-1", "CL0000000000000001", "x"])).to_owned(),
        time: (*one_of(rng, &["2026-01-02T00:00:00Z", "2026-01-02T08:00:00+08:00", "2026-01-02T00:00:00.123", "now"]))
            .to_owned(),
    }
}

/// Mutates `bytes` a few times; `other` is what pieces are taken from.
pub(super) fn mutate(rng: &mut dyn Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..32)).min(bytes.len());
        match rng.random_range(0..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, rng.random()),
            3 => {
                let piece = bytes[at..end].to_vec();
                (0..rng.random_range(1..40)).for_each(|_| drop(bytes.splice(at..at, piece.iter().copied())));
            }
            4 => {
                let from = rng.random_range(0..=other.len());
                let piece = &other[from..(from + 64).min(other.len())];
                drop(bytes.splice(at..end, piece.iter().copied()));
            }
            5 => bytes.truncate(at),
            6 => drop(bytes.splice(at..at, one_of(rng, &[&b"["[..], b"{", b"\"", b",", b"\\u"]).repeat(20))),
            _ => replace_value(rng, bytes),
        }
    }
    bytes.truncate(1 << 17);
}

/// Puts something nasty where a value stands.
fn replace_value(rng: &mut dyn Rng, bytes: &mut Vec<u8>) {
    let starts: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, b)| matches!(b, b':' | b',' | b'[')).map(|(i, _)| i).collect();
    let Some(start) = (!starts.is_empty()).then(|| *one_of(rng, &starts) + 1) else { return };
    let length = bytes[start..].iter().position(|b| matches!(b, b',' | b'}' | b']')).unwrap_or(0);
    drop(bytes.splice(start..start + length, one_of(rng, NASTY).bytes()));
}
