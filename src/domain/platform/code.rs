//! What a QR text or a typed number can mean (EM-6): candidates, the likeliest first. Owns the forms; never whether there is
//! such a connector.

use super::equipment::number_key;
use crate::ids::{ChargerId, ConnectorId};
use std::collections::BTreeSet;

/// Longest text that is looked at: more than any printed code holds.
pub const TEXT_MAX: usize = 300;

/// One thing that a text can mean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// The number printed beside a connector, as it is looked up.
    Number(String),
    /// A connector of a charger; without one the only connector there is.
    Place(ChargerId, Option<ConnectorId>),
}

/// Everything that `text` can mean, the likeliest first.
pub fn readings(text: &str) -> Vec<Reading> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_MAX {
        return Vec::new();
    }
    let mut found = Vec::new();
    match text.split_once("://") {
        // T/CEC 102: `hlht://<ConnectorID>.<OperatorID>/…`.
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("hlht") => {
            plain(rest.split(['.', '/']).next().unwrap_or_default(), &mut found);
        }
        Some((_, rest)) => link(rest, &mut found),
        None => plain(text, &mut found),
    }
    let mut seen = BTreeSet::new();
    found.retain(|reading| seen.insert(reading.clone()));
    found
}

/// A link: what its query says, then the end of its path.
fn link(rest: &str, found: &mut Vec<Reading>) {
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    for value in query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value) {
        plain(value, found);
    }
    // The first part is the host.
    let segments: Vec<&str> = path.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    if let [.., charger, connector] = segments.as_slice() {
        place(charger, Some(connector), found);
    }
    if let Some(last) = segments.last() {
        plain(last, found);
    }
}

fn plain(text: &str, found: &mut Vec<Reading>) {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !text.is_empty() {
        found.push(Reading::Number(number_key(text)));
    }
    for separator in ['*', '/', ':', '-', '_'] {
        if let Some((charger, connector)) = text.rsplit_once(separator) {
            place(charger, Some(connector), found);
        }
    }
    place(text, None, found);
    // T/CEC's `ConnectorID`: the charger's id and two digits.
    if let Some((charger, connector)) = text.len().checked_sub(2).and_then(|at| text.split_at_checked(at)) {
        place(charger, Some(connector), found);
    }
}

fn place(charger: &str, connector: Option<&str>, found: &mut Vec<Reading>) {
    let Ok(charger) = charger.parse() else { return };
    match connector {
        None => found.push(Reading::Place(charger, None)),
        Some(digits) if (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            if let Ok(number @ 1..) = digits.parse::<u16>() {
                found.push(Reading::Place(charger, Some(ConnectorId(number))));
            }
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(charger: &str, connector: u16) -> Reading {
        Reading::Place(charger.parse().unwrap(), (connector > 0).then_some(ConnectorId(connector)))
    }

    #[test]
    fn the_forms_that_are_printed_and_typed_are_read() {
        for (text, wanted) in [
            ("00123456", Reading::Number("00123456".into())),
            (" ab-12cd ", Reading::Number("AB-12CD".into())),
            ("CP-1*2", at("CP-1", 2)),
            ("CP-1/2", at("CP-1", 2)),
            ("CP-1-2", at("CP-1", 2)),
            ("CP-1", at("CP-1", 0)),
            ("CP-102", at("CP-1", 2)),
            ("hlht://CP-102.MA0123456/", at("CP-1", 2)),
            ("HLHT://00123456.MA0123456", Reading::Number("00123456".into())),
            ("https://pay.example.org/c/CP-1/2", at("CP-1", 2)),
            ("https://pay.example.org/c/CP-1/2?utm=x#top", at("CP-1", 2)),
            ("https://pay.example.org/q?n=00123456", Reading::Number("00123456".into())),
            ("https://pay.example.org/00123456", Reading::Number("00123456".into())),
        ] {
            assert!(readings(text).contains(&wanted), "{text}: {:?}", readings(text));
        }
        assert_eq!(readings("00123456")[0], Reading::Number("00123456".into()));
    }

    #[test]
    fn what_is_no_code_means_nothing() {
        for text in ["", "   ", "https://pay.example.org/", "https://", "\u{1b}[31m", "充电", &"9".repeat(400)] {
            let found = readings(text);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
        assert!(!readings("CP-1*0").contains(&at("CP-1", 0)));
    }
}
