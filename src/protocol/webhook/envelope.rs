//! The JSON body of a webhook and of an item of `GET /events`: one and the same (`docs/partner-api.md`). Owns its shape;
//! never what `data` holds: the domain makes that complete and within 20 kB (EM-7).

use crate::persistence::OutboxEntry;
use serde::Serialize;

/// The members in the order of the documentation. `sequence` is absent for events that may be coalesced.
#[derive(Debug, Serialize)]
struct Envelope<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    partner_id: &'a str,
    order_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u64>,
    data: &'a serde_json::Value,
}

impl<'a> Envelope<'a> {
    fn of(entry: &'a OutboxEntry) -> Self {
        let notice = &entry.notice;
        Envelope {
            id: &entry.id,
            kind: &notice.kind,
            timestamp: notice.at.to_rfc3339(),
            partner_id: notice.partner.as_str(),
            order_key: &notice.order_key,
            sequence: notice.sequence,
            data: &notice.data,
        }
    }
}

/// The bytes that are signed and sent.
pub fn body(entry: &OutboxEntry) -> Vec<u8> {
    // Every member is text, a number or JSON already, so writing cannot fail; an empty body would be refused by the
    // receiver's signature check and shows in the log of attempts.
    serde_json::to_vec(&Envelope::of(entry)).unwrap_or_default()
}

/// The same as a JSON value, for `GET /events`.
pub fn event_json(entry: &OutboxEntry) -> serde_json::Value {
    serde_json::to_value(Envelope::of(entry)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::entity::Notice;
    use serde_json::json;

    fn entry(sequence: Option<u64>) -> OutboxEntry {
        let notice = Notice {
            partner: "acme".parse().unwrap(),
            kind: "session.ended".into(),
            order_key: "session/1".into(),
            sequence,
            at: Timestamp(1_767_323_045_678),
            data: json!({"energy_wh": 1200}),
        };
        OutboxEntry { position: 9, id: "evt_1-charger_CP1-7-0".into(), notice }
    }

    #[test]
    fn the_body_is_the_documented_envelope() {
        let expected = concat!(
            r#"{"id":"evt_1-charger_CP1-7-0","type":"session.ended","timestamp":"2026-01-02T03:04:05.678Z","#,
            r#""partner_id":"acme","order_key":"session/1","sequence":4,"data":{"energy_wh":1200}}"#
        );
        assert_eq!(String::from_utf8(body(&entry(Some(4)))).unwrap(), expected);
        assert_eq!(event_json(&entry(Some(4))), serde_json::from_str::<serde_json::Value>(expected).unwrap());
    }

    #[test]
    fn an_event_that_may_be_coalesced_has_no_sequence_at_all() {
        assert!(event_json(&entry(None)).get("sequence").is_none());
    }
}
