//! The challenge to a new URL (control 37): an event like any other, signed like any other, whose random text has to come back in
//! the answer's body. Owns its shape and what counts as having come back; never when it is sent.

use crate::clock::Timestamp;
use crate::domain::delivery::VERIFICATION_KIND;
use crate::domain::entity::Notice;
use crate::ids::{EndpointName, PartnerId};
use crate::persistence::OutboxEntry;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The text that has to come back, of these random bits.
pub fn text(random: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// The event that asks for it. It is in nobody's outbox.
pub fn event(partner: &PartnerId, endpoint: &EndpointName, challenge: &str, at: Timestamp) -> OutboxEntry {
    let id = format!("whv_{}", challenge.chars().take(22).collect::<String>());
    let notice = Notice {
        partner: partner.clone(),
        kind: VERIFICATION_KIND.to_owned(),
        order_key: format!("webhook/{endpoint}"),
        sequence: None,
        at,
        data: serde_json::json!({"endpoint": endpoint, "challenge": challenge}),
    };
    OutboxEntry { position: 0, id, notice }
}

/// Whether an answer's body gives the challenge back: as it is, as a JSON text, or as the member `challenge` of a JSON object.
pub fn comes_back(body: &[u8], challenge: &str) -> bool {
    use serde_json::Value;
    let plain = std::str::from_utf8(body).map(str::trim);
    plain == Ok(challenge)
        || match serde_json::from_slice(body) {
            Ok(Value::String(text)) => text == challenge,
            Ok(Value::Object(members)) => members.get("challenge").and_then(Value::as_str) == Some(challenge),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_comes_back_in_three_forms_and_in_no_other() {
        let challenge = text(&[7; 32]);
        assert_eq!(challenge.len(), 43);
        for (body, right) in [
            (challenge.clone(), true),
            (format!(" {challenge}\r\n"), true),
            (format!("\"{challenge}\""), true),
            (format!("{{\"challenge\": \"{challenge}\"}}"), true),
            (format!("{{\n \"ok\": true, \"challenge\": \"{challenge}\"\n}}\n"), true),
            (String::new(), false),
            ("{}".to_owned(), false),
            (challenge[1..].to_owned(), false),
            (format!("{challenge}{challenge}"), false),
            (format!("<p>{challenge}</p>"), false),
            (format!("{{\"data\": {{\"challenge\": \"{challenge}\"}}}}"), false),
            (format!("[\"{challenge}\"]"), false),
        ] {
            assert_eq!(comes_back(body.as_bytes(), &challenge), right, "{body}");
        }
        assert!(!comes_back(&[0xff; 43], &challenge));
    }

    #[test]
    fn the_event_carries_the_challenge_and_an_id_of_its_own() {
        let at = Timestamp(1_767_322_995_000);
        let event = event(&"acme".parse().unwrap(), &"west".parse().unwrap(), &text(&[1; 32]), at);
        let body: serde_json::Value = serde_json::from_slice(&super::super::body(&event)).unwrap();
        assert_eq!(body["type"], "webhook.verification");
        assert_eq!(body["data"]["challenge"], text(&[1; 32]));
        assert_eq!(body["id"], format!("whv_{}", &text(&[1; 32])[..22]));
    }
}
