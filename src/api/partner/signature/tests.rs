//! Tests of the signature scheme: the documented example, malformed headers, and that any change is refused.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

const SECRET: &str = "cs_example-secret-of-the-documentation-000000";

fn headers(key: &str, timestamp: &str, nonce: &str, signature: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in [(KEY, key), (TIMESTAMP, timestamp), (NONCE, nonce), (SIGNATURE, signature)] {
        map.insert(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn presented(method: &str, target: &str, body: &[u8]) -> Presented {
    let (timestamp, nonce) = (1_767_322_995, "0123456789abcdef");
    let text = signed_text(method, target, body, timestamp, nonce);
    Presented { key_id: "ck_a".into(), timestamp, nonce: nonce.into(), signature: sign(SECRET, &text) }
}

#[test]
fn the_documented_example_has_the_documented_signature() {
    let docs = include_str!("../../../../docs/partner-api.md");
    let body = br#"{"request_id":"r-1"}"#;
    let text = signed_text("post", "/api/v1/webhook/test", body, 1_767_322_995, "n-0123456789abcdef");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1]), (6, "v1", "POST"));
    assert!(!text.ends_with('\n'));
    let value = header(SECRET, &text);
    assert!(docs.contains(&value), "docs/partner-api.md should show {value}");
}

#[test]
fn malformed_headers_are_named() {
    let good = format!("v1={}", "0".repeat(64));
    let nonce = "0123456789abcdef";
    let read = |map: &HeaderMap| Presented::read(map).map(|_| "").unwrap_or_else(|Malformed(name)| name);
    assert_eq!(read(&headers("ck_a", "1767322995", nonce, &good)), "");
    for (map, name) in [
        (headers("", "1", nonce, &good), "X-Chargeline-Key"),
        (headers("ck a", "1", nonce, &good), "X-Chargeline-Key"),
        (headers(&"k".repeat(65), "1", nonce, &good), "X-Chargeline-Key"),
        (headers("ck_a", "+1", nonce, &good), "X-Chargeline-Timestamp"),
        (headers("ck_a", " 1", nonce, &good), "X-Chargeline-Timestamp"),
        (headers("ck_a", "1.5", nonce, &good), "X-Chargeline-Timestamp"),
        (headers("ck_a", "9999999999999", nonce, &good), "X-Chargeline-Timestamp"),
        (headers("ck_a", "1", "short", &good), "X-Chargeline-Nonce"),
        (headers("ck_a", "1", "0123456789abcde/", &good), "X-Chargeline-Nonce"),
        (headers("ck_a", "1", &"n".repeat(65), &good), "X-Chargeline-Nonce"),
        (headers("ck_a", "1", nonce, &"0".repeat(64)), "X-Chargeline-Signature"),
        (headers("ck_a", "1", nonce, &format!("v1={}", "A".repeat(64))), "X-Chargeline-Signature"),
        (headers("ck_a", "1", nonce, "v1=00"), "X-Chargeline-Signature"),
        (HeaderMap::new(), "X-Chargeline-Key"),
    ] {
        assert_eq!(read(&map), name);
    }
    let mut doubled = headers("ck_a", "1", nonce, &good);
    doubled.append(NONCE, HeaderValue::from_static("fedcba9876543210"));
    assert_eq!(read(&doubled), "X-Chargeline-Nonce");
}

#[test]
fn the_window_is_closed_at_both_ends() {
    let request = presented("GET", "/", b"");
    let window = Duration::from_secs(300);
    let at = |offset: i64| request.is_timely(Timestamp((request.timestamp + offset) * 1000 + 999), window);
    assert_eq!([-301, -300, 0, 299, 300, 301].map(at), [false, true, true, true, true, false]);
}

#[test]
fn an_unknown_key_fits_nothing_not_even_a_signature_of_the_stand_in() {
    let secret = SecretString::from(SECRET);
    let request = presented("GET", "/x?a=%20b", b"");
    assert!(request.fits(Some(&secret), "GET", "/x?a=%20b", b""));
    assert!(!request.fits(None, "GET", "/x?a=%20b", b""));
    let text = signed_text("GET", "/", b"", request.timestamp, &request.nonce);
    let stand_in = sign("cs_0000000000000000000000000000000000000000000", &text);
    assert!(!Presented { signature: stand_in, ..request }.fits(None, "GET", "/", b""));
}

proptest! {
    #[test]
    fn any_changed_request_is_refused(
        method in "(GET|POST|PUT|DELETE)",
        target in "/[a-z0-9/]{0,20}(\\?[a-z=&%0-9]{0,20})?",
        body in proptest::collection::vec(any::<u8>(), 0..64),
        which in 0..6usize,
        bit in 0..256usize,
        more in "[a-z]{1,3}",
    ) {
        let secret = SecretString::from(SECRET);
        let request = presented(&method, &target, &body);
        prop_assert!(request.fits(Some(&secret), &method, &target, &body));
        let mut changed = request.clone();
        let (mut m, mut t, mut b) = (method, target, body);
        match which {
            0 => m.push_str(&more),
            1 => t.push_str(&more),
            2 => b.push(bit as u8),
            3 => changed.timestamp += 1,
            4 => changed.nonce.push_str(&more),
            _ => changed.signature[bit / 8] ^= 1 << (bit % 8),
        }
        prop_assert!(!changed.fits(Some(&secret), &m, &t, &b));
        let other = SecretString::from(format!("{SECRET}{more}"));
        prop_assert!(!request.fits(Some(&other), &m, &t, &b));
    }
}
