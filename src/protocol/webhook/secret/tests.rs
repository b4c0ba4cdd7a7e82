//! The published vectors, and a verifier that we did not write.

use super::*;
use crate::clock::{Clock, WallClock};
use http::HeaderMap;
use standardwebhooks::{Webhook, WebhookError};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn now() -> i64 {
    WallClock.now().as_seconds()
}

fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("webhook-id", id.parse().unwrap());
    map.insert("webhook-timestamp", timestamp.parse().unwrap());
    map.insert("webhook-signature", signature.parse().unwrap());
    map
}

fn signed(secrets: &[&str], timestamp: i64) -> HeaderMap {
    let secrets: Vec<_> = secrets.iter().map(|s| SigningSecret::parse(s).unwrap()).collect();
    headers("msg_1", &timestamp.to_string(), &signature_header(&secrets, "msg_1", timestamp, BODY))
}

#[test]
fn the_three_published_vectors_come_out() {
    let key = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let email = br#"{"email":"test@example.com","username":"test_user"}"#;
    let table: [(&str, &str, i64, &[u8], &str); 3] = [
        (
            SECRET,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            BODY,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            OTHER,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            email,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            BODY,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        ),
    ];
    for (secret, id, timestamp, body, expected) in table {
        assert_eq!(SigningSecret::parse(secret).unwrap().sign(id, timestamp, body), expected);
    }
}

#[test]
fn a_foreign_verifier_accepts_old_and_new_secret_during_an_overlap() {
    let headers = signed(&[OTHER, SECRET], now());
    for secret in [SECRET, OTHER] {
        Webhook::new(secret).unwrap().verify(BODY, &headers).unwrap();
    }
    let stranger = SigningSecret::make(&[7; MADE_BYTES]);
    let refused = Webhook::new(&stranger).unwrap().verify(BODY, &headers);
    assert!(matches!(refused, Err(WebhookError::InvalidSignature)), "{refused:?}");
}

#[test]
fn a_made_secret_reads_back_and_its_signature_is_accepted() {
    let text = SigningSecret::make(&[42; MADE_BYTES]);
    Webhook::new(&text).unwrap().verify(BODY, &signed(&[text.as_str()], now())).unwrap();
}

#[test]
fn a_foreign_verifier_refuses_what_was_tampered_with() {
    let webhook = Webhook::new(SECRET).unwrap();
    let good = signed(&[SECRET], now());
    webhook.verify(BODY, &good).unwrap();
    assert!(webhook.verify(b"{}", &good).is_err());
    for (header, value) in [
        ("webhook-id", "msg_2"),
        ("webhook-timestamp", "tomorrow"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v9,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ] {
        let mut bad = good.clone();
        bad.insert(header, value.parse().unwrap());
        assert!(webhook.verify(BODY, &bad).is_err(), "{header}: {value}");
        bad.remove(header);
        assert!(matches!(webhook.verify(BODY, &bad), Err(WebhookError::MissingHeader(_))), "{header}");
    }
    for (age, expected) in [(301, "too old"), (-305, "future")] {
        let error = webhook.verify(BODY, &signed(&[SECRET], now() - age)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn two_wrong_signatures_beside_a_right_one_do_no_harm() {
    let secrets = [SigningSecret::make(&[1; MADE_BYTES]), SigningSecret::make(&[2; MADE_BYTES])];
    let headers = signed(&[secrets[0].as_str(), secrets[1].as_str(), SECRET], now());
    Webhook::new(SECRET).unwrap().verify(BODY, &headers).unwrap();
}

#[test]
fn rubbish_is_no_secret_and_is_never_repeated_in_the_error() {
    for (text, expected) in [
        ("", SecretError::Prefix),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", SecretError::Prefix),
        ("whsec_", SecretError::Length),
        ("whsec_c2hvcnQ=", SecretError::Length),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", SecretError::Base64),
        ("whsec_???", SecretError::Base64),
        ("whsk_c2hvcnQ=", SecretError::Length),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", SecretError::Prefix),
    ] {
        let error = SigningSecret::parse(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(text.len() < 8 || !error.to_string().contains(text));
    }
    let mismatched = format!("whsk_{}", STANDARD.encode([9u8; 64]));
    assert_eq!(SigningSecret::parse(&mismatched).unwrap_err(), SecretError::Pair);
}

#[test]
fn a_secret_does_not_show_in_debug_output() {
    let shown = format!("{:?}", SigningSecret::parse(SECRET).unwrap());
    assert_eq!(shown, "SigningSecret(whsec_…)");
}
