//! Hostile URLs and addresses (control 32).

use super::*;

fn policy() -> TargetPolicy {
    TargetPolicy { ports: vec![443, 8443], allow: vec![], http: false }
}

fn internal() -> TargetPolicy {
    TargetPolicy { ports: vec![], allow: vec!["10.20.0.0/16".parse().unwrap()], http: true }
}

#[test]
fn hostile_urls_are_refused() {
    use UrlRefused::{Credentials, Fragment, Port, Scheme};
    let address = |text: &str| Some(UrlRefused::Address(text.parse().unwrap()));
    for (text, expected) in [
        ("https://example.com/hook", None),
        ("https://example.com:8443/hook?x=1", None),
        ("https://93.184.215.14/", None),
        ("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", None),
        ("http://example.com/", Some(Scheme)),
        ("ftp://example.com/", Some(Scheme)),
        ("file:///etc/passwd", Some(Scheme)),
        ("gopher://example.com/", Some(Scheme)),
        ("https://user@example.com/", Some(Credentials)),
        ("https://user:pass@example.com/", Some(Credentials)),
        ("https://example.com/#x", Some(Fragment)),
        ("https://example.com:22/", Some(Port(22))),
        ("https://example.com:8081/", Some(Port(8081))),
        ("https://127.0.0.1/", address("127.0.0.1")),
        ("https://127.1/", address("127.0.0.1")),
        ("https://0x7f.1/", address("127.0.0.1")),
        ("https://0177.0.0.1/", address("127.0.0.1")),
        ("https://2130706433/", address("127.0.0.1")),
        ("https://0x7f000001/", address("127.0.0.1")),
        ("https://１２７.0.0.1/", address("127.0.0.1")),
        ("https://127。0。0。1/", address("127.0.0.1")),
        ("https://0/", address("0.0.0.0")),
        ("https://0.0.0.0/", address("0.0.0.0")),
        ("https://10.0.0.1/", address("10.0.0.1")),
        ("https://172.16.0.1/", address("172.16.0.1")),
        ("https://192.168.1.1/", address("192.168.1.1")),
        ("https://169.254.169.254/latest/meta-data", address("169.254.169.254")),
        ("https://100.64.0.1/", address("100.64.0.1")),
        ("https://100.100.100.200/", address("100.100.100.200")),
        ("https://198.18.0.1/", address("198.18.0.1")),
        ("https://224.0.0.1/", address("224.0.0.1")),
        ("https://255.255.255.255/", address("255.255.255.255")),
        ("https://[::1]/", address("::1")),
        ("https://[::]/", address("::")),
        ("https://[::ffff:127.0.0.1]/", address("::ffff:127.0.0.1")),
        ("https://[::ffff:7f00:1]/", address("::ffff:127.0.0.1")),
        ("https://[::ffff:169.254.169.254]/", address("::ffff:169.254.169.254")),
        ("https://[::127.0.0.1]/", address("::127.0.0.1")),
        ("https://[64:ff9b::7f00:1]/", address("64:ff9b::7f00:1")),
        ("https://[64:ff9b:1::a00:1]/", address("64:ff9b:1::a00:1")),
        ("https://[2002:7f00:1::]/", address("2002:7f00:1::")),
        ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", address("2001:0:4136:e378:8000:63bf:3fff:fdd2")),
        ("https://[fd00::1]/", address("fd00::1")),
        ("https://[fc00::1]/", address("fc00::1")),
        ("https://[fe80::1]/", address("fe80::1")),
        ("https://[fec0::1]/", address("fec0::1")),
        ("https://[ff02::1]/", address("ff02::1")),
        ("https://[2001:db8::1]/", address("2001:db8::1")),
        ("https://[3fff::1]/", address("3fff::1")),
        ("https://[100::1]/", address("100::1")),
        ("https://[fd00:ec2::254]/", address("fd00:ec2::254")),
    ] {
        assert_eq!(policy().check_url(text).err(), expected, "{text}");
    }
}

#[test]
fn what_is_no_url_or_too_long_is_refused() {
    let no_urls =
        ["", "example.com", "https://", "//example.com", "https://exa mple.com/", "https://[::1", "https://1.2.3.4.5/"];
    for text in no_urls {
        let refused = policy().check_url(text);
        assert!(matches!(refused, Err(UrlRefused::Malformed(_))), "{text}: {refused:?}");
    }
    let long = format!("https://example.com/{}", "a".repeat(3000));
    assert_eq!(policy().check_url(&long).err(), Some(UrlRefused::TooLong));
}

#[test]
fn an_allow_listed_network_opens_itself_and_nothing_else() {
    let policy = internal();
    for (text, allowed) in [
        ("https://10.20.3.4/", true),
        ("http://10.20.3.4:9000/", true),
        ("https://[::ffff:10.20.3.4]/", true),
        ("https://10.21.0.1/", false),
        ("http://10.21.0.1/", false),
        ("http://93.184.215.14/", false),
        ("https://93.184.215.14/", true),
        ("https://127.0.0.1/", false),
    ] {
        assert_eq!(policy.check_url(text).is_ok(), allowed, "{text}");
    }
}

#[test]
fn the_edges_of_special_ranges_are_exact() {
    for (text, public) in [
        ("9.255.255.255", true),
        ("11.0.0.0", true),
        ("100.63.255.255", true),
        ("100.128.0.0", true),
        ("126.255.255.255", true),
        ("128.0.0.0", true),
        ("169.253.255.255", true),
        ("169.255.0.0", true),
        ("172.15.255.255", true),
        ("172.32.0.0", true),
        ("192.0.1.0", true),
        ("192.0.0.255", false),
        ("192.167.255.255", true),
        ("192.169.0.0", true),
        ("198.17.255.255", true),
        ("198.20.0.0", true),
        ("223.255.255.255", true),
        ("224.0.0.0", false),
        ("1fff::", false),
        ("2000::", true),
        ("2001:1ff::", false),
        ("2001:200::", true),
        ("2001:db7::", true),
        ("2001:db9::", true),
        ("2003::", true),
        ("3ffe::", true),
        ("3fff:1000::", true),
        ("4000::", false),
    ] {
        assert_eq!(is_public(text.parse().unwrap()), public, "{text}");
    }
}
