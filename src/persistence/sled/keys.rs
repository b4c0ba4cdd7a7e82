//! The layout of the one tree (format version 1). Owns every key; never a value.
//!
//! One tree, because sled's batches are atomic within one tree only. The first byte says what lies there:
//!
//! | key | value |
//! |---|---|
//! | `m` name | meta: format, epoch, alive, horizon |
//! | `l` number u64 | a log block ([`crate::persistence::envelope`]) |
//! | `h` stream | head: snapshot sequence, live flag, pieces of the state |
//! | `s` stream | the snapshot's state |
//! | `r` table 0 key | a read-model row |
//! | `o` partner 0 last position u64 | notices of one commit to one partner |
//! | `k` key | expiry and value of a create-once key |
//! | `p` owner's key 0 index u16 | a piece of a value too large for its own key |
//!
//! All values but log blocks are framed ([`super::values`]). Neither ids nor tables hold a zero byte.

pub(super) const META: u8 = b'm';
pub(super) const LOG: u8 = b'l';
pub(super) const HEAD: u8 = b'h';
pub(super) const STATE: u8 = b's';
pub(super) const ROW: u8 = b'r';
pub(super) const OUTBOX: u8 = b'o';
pub(super) const ONCE: u8 = b'k';
pub(super) const PIECE: u8 = b'p';

pub(super) const META_FORMAT: &[u8] = b"mformat";
pub(super) const META_EPOCH: &[u8] = b"mepoch";
pub(super) const META_ALIVE: &[u8] = b"malive";
pub(super) const META_HORIZON: &[u8] = b"mhorizon";

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(super) fn log(number: u64) -> [u8; 9] {
    let mut key = [LOG; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The number in a log block's key.
pub(super) fn log_number(key: &[u8]) -> Option<u64> {
    key.strip_prefix(&[LOG]).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes)
}

pub(super) fn head(stream: &str) -> Vec<u8> {
    key(HEAD, &[stream.as_bytes()])
}

pub(super) fn state(stream: &str) -> Vec<u8> {
    key(STATE, &[stream.as_bytes()])
}

pub(super) fn row(table: &str, row: &str) -> Vec<u8> {
    key(ROW, &[table.as_bytes(), b"\0", row.as_bytes()])
}

pub(super) fn outbox_prefix(partner: &str) -> Vec<u8> {
    key(OUTBOX, &[partner.as_bytes(), b"\0"])
}

pub(super) fn outbox(partner: &str, last: u64) -> Vec<u8> {
    key(OUTBOX, &[partner.as_bytes(), b"\0", &last.to_be_bytes()])
}

pub(super) fn once(name: &str) -> Vec<u8> {
    key(ONCE, &[name.as_bytes()])
}

pub(super) fn piece(owner: &[u8], index: u16) -> Vec<u8> {
    key(PIECE, &[owner, b"\0", &index.to_be_bytes()])
}

/// The owner's key and the index in a piece's key.
pub(super) fn piece_owner(key: &[u8]) -> Option<(&[u8], u16)> {
    let rest = key.strip_prefix(&[PIECE])?;
    let (owner, index) = rest.split_at_checked(rest.len().checked_sub(3)?)?;
    Some((owner, u16::from_be_bytes([index[1], index[2]])))
}

/// A key as people read it: `log/12`, `row/session/…`.
pub(super) fn shown(key: &[u8]) -> String {
    let Some((kind, rest)) = key.split_first() else { return "(empty)".into() };
    let name = match *kind {
        META => "meta",
        LOG => "log",
        HEAD => "head",
        STATE => "snapshot",
        ROW => "row",
        OUTBOX => "outbox",
        ONCE => "once",
        PIECE => return format!("piece/{}", shown(rest)),
        _ => "unknown",
    };
    if let Some(number) = log_number(key) {
        return format!("log/{number}");
    }
    let text: String = rest
        .iter()
        .map(|byte| match byte {
            0 => "/".to_owned(),
            32..=126 => char::from(*byte).to_string(),
            1..=31 | 127..=255 => format!("\\x{byte:02x}"),
        })
        .collect();
    format!("{name}/{text}")
}
