//! `config.toml` as a document: its sections, keys, comments, ranges and `(live)` marks, read from the very text that is
//! compiled in. Owns the reading of comments; never a value that is in force.
//!
//! The form of a key's comment: sentences that give unit, range and reason, and `(live)` if the key can change at run
//! time. The range is `LOW to HIGH` (numbers such as `1 to 64`, `0 to 1 MiB`, or durations such as `1s to 1h`, whichever
//! the default is) or what follows `Allowed:`; see [`Allowed`]. It is checked, so the comment cannot lie.

use super::check::{ADDRESS, Problem};
use super::seconds;
use std::net::SocketAddr;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// What a key's comment allows.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowed {
    /// `Allowed: 1s to 1h.`
    Durations(Duration, Duration),
    /// `Allowed: 1 to 64.`
    Numbers(f64, f64),
    /// ``Allowed: one of `text`, `json`.``
    OneOf(Vec<String>),
    /// `Allowed: an address.`: IP address and port.
    Address,
    /// `Allowed: true or false.`
    Flag,
    /// `Allowed: any …`: the type says it all, or the section's own check does.
    Any,
}

/// A key of the documented defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The whole path: `gateway.listen`.
    pub path: String,
    /// The comment, as one line, without the marks.
    pub about: String,
    /// The default as TOML text.
    pub default: String,
    /// What is allowed, if the comment says it.
    pub allowed: Option<Allowed>,
    /// The words after `Allowed:`.
    pub allowed_text: Option<String>,
    /// It can change at run time.
    pub live: bool,
}

/// A section of the documented defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name: `gateway`.
    pub name: String,
    /// The comment above it.
    pub about: String,
    /// Its keys, in the order of the file.
    pub keys: Vec<Key>,
}

/// Reads a documented configuration.
///
/// # Errors
/// When the text is no TOML.
pub fn read(text: &str) -> Result<Vec<Section>, toml::de::Error> {
    let root = DeTable::parse(text)?;
    let mut sections = Vec::new();
    for (name, value) in root.get_ref() {
        let DeValue::Table(table) = value.get_ref() else { continue };
        let mut keys = Vec::new();
        collect(text, name.get_ref(), table, &mut keys);
        keys.sort_by_key(|(at, _)| *at);
        let keys = keys.into_iter().map(|(_, key)| key).collect();
        let about = comment_above(text, name.span().start).join(" ");
        sections.push((name.span().start, Section { name: name.get_ref().to_string(), about, keys }));
    }
    sections.sort_by_key(|(at, _)| *at);
    Ok(sections.into_iter().map(|(_, section)| section).collect())
}

fn collect(text: &str, path: &str, table: &DeTable<'_>, keys: &mut Vec<(usize, Key)>) {
    for (name, value) in table {
        let path = format!("{path}.{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => collect(text, &path, inner, keys),
            _ => keys.push((name.span().start, key(text, path, name.span().start, value.span()))),
        }
    }
}

fn key(text: &str, path: String, at: usize, value: std::ops::Range<usize>) -> Key {
    let mut comment = comment_above(text, at);
    let rest = text.get(value.end..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    if let Some(trailing) = rest.trim().strip_prefix('#') {
        comment.push(trailing.trim().to_owned());
    }
    let whole = comment.join(" ");
    let live = whole.contains("(live)");
    let plain = whole.replace("(live)", "").split_whitespace().collect::<Vec<_>>().join(" ");
    let (about, stated) = match plain.split_once("Allowed:") {
        Some((about, allowed)) => (about.trim().to_owned(), Some(allowed.trim().trim_end_matches('.'))),
        None => (plain.clone(), None),
    };
    let default = text.get(value).unwrap_or_default().to_owned();
    let read = format!("v = {default}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    let range = read.and_then(|default| range(stated, &about, &default));
    let (allowed, words) = range.unzip();
    Key { path, default, allowed, allowed_text: words.or(stated.map(str::to_owned)), about, live }
}

/// The lines of comment directly above the line of `at`.
fn comment_above(text: &str, at: usize) -> Vec<String> {
    let line_start = text.get(..at).and_then(|head| head.rfind('\n')).map_or(0, |end| end + 1);
    let above = text.get(..line_start).unwrap_or_default();
    let lines = above.lines().rev().take_while(|line| line.trim_start().starts_with('#'));
    let mut lines: Vec<_> = lines.map(|line| line.trim_start().trim_start_matches('#').trim().to_owned()).collect();
    lines.reverse();
    lines
}

/// The range that a comment states for a key with this default.
fn range(stated: Option<&str>, about: &str, default: &toml::Value) -> Option<(Allowed, String)> {
    if let Some(allowed) = stated.and_then(named) {
        return Some((allowed, stated.unwrap_or_default().to_owned()));
    }
    // Of a list, each element has the range.
    let default = match default {
        toml::Value::Array(values) => values.first()?,
        value => value,
    };
    if let Some(text) = stated {
        return between(text, default).map(|allowed| (allowed, text.to_owned()));
    }
    if default.is_bool() {
        return Some((Allowed::Flag, "true or false".to_owned()));
    }
    let allowed = between(about, default)?;
    let words = match &allowed {
        Allowed::Durations(low, high) => format!("{} to {}", seconds::format(*low), seconds::format(*high)),
        Allowed::Numbers(low, high) => format!("{low} to {high}"),
        Allowed::OneOf(_) | Allowed::Address | Allowed::Flag | Allowed::Any => return None,
    };
    Some((allowed, words))
}

fn named(text: &str) -> Option<Allowed> {
    if text.starts_with("any") {
        return Some(Allowed::Any);
    }
    if text.starts_with("an address") {
        return Some(Allowed::Address);
    }
    if text.starts_with("true or false") {
        return Some(Allowed::Flag);
    }
    let list = text.strip_prefix("one of")?;
    let names = list.split([',', ' ', ';']).filter_map(|word| word.trim().strip_prefix('`')?.strip_suffix('`'));
    let names: Vec<_> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(Allowed::OneOf(names))
}

/// The last `LOW to HIGH` in a text that is of the default's kind. The last: what comes first may count the elements.
fn between(text: &str, default: &toml::Value) -> Option<Allowed> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut ranges = words.windows(3).enumerate().filter(|(_, three)| three[1] == "to").filter_map(|(n, three)| {
        let low = three[0].trim_start_matches(['(', '`']);
        let high = three[2].trim_end_matches(['.', ',', ';', ':', ')', '`']);
        if default.is_str() {
            return Some(Allowed::Durations(seconds::parse(low).ok()?, seconds::parse(high).ok()?));
        }
        let unit = words.get(n + 3).map_or("", |word| word.trim_end_matches(['.', ',', ';', ':', ')']));
        let factor = match unit {
            "KiB" => 1024.0,
            "MiB" => 1_048_576.0,
            "GiB" => 1_073_741_824.0,
            _ => 1.0,
        };
        let number = |word: &str| word.replace(['_', '\''], "").parse::<f64>().ok();
        Some(Allowed::Numbers(number(low)?, number(high)? * factor))
    });
    ranges.next_back()
}

impl Key {
    /// What is wrong with `value`, if its comment does not allow it. Elements of an array are judged one by one.
    pub fn judge(&self, value: &toml::Value) -> Option<Problem> {
        if let toml::Value::Array(values) = value {
            return values.iter().find_map(|value| self.judge(value));
        }
        let good = match (self.allowed.as_ref()?, value) {
            (Allowed::Durations(min, max), toml::Value::String(text)) => {
                seconds::parse(text).is_ok_and(|d| (*min..=*max).contains(&d))
            }
            (Allowed::Numbers(min, max), value) => {
                let number = value.as_float().or(value.as_integer().map(|n| n as f64));
                number.is_some_and(|n| (*min..=*max).contains(&n))
            }
            (Allowed::OneOf(names), toml::Value::String(text)) => names.contains(text),
            (Allowed::Address, toml::Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Allowed::Flag, value) => value.is_bool(),
            (Allowed::Any, _) => true,
            (Allowed::Durations(..) | Allowed::OneOf(_) | Allowed::Address, _) => false,
        };
        (!good).then(|| Problem::new(&self.path, value, self.allowed_words()))
    }

    /// What is allowed, as a clause: `1s to 1h is allowed`.
    pub fn allowed_words(&self) -> String {
        match (&self.allowed, &self.allowed_text) {
            (Some(Allowed::Address), _) => ADDRESS.to_owned(),
            (_, Some(text)) => format!("{text} is allowed"),
            (_, None) => format!("a value like the default {} is allowed", self.default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"
# The head of the file says (live) and means nothing.

# What the section is for.
[a]
# How long. Two lines
# of it. Allowed: 1s to 1h. (live)
wait = "60s"
# How many, 1 to 20_000 (at 300 bytes each).
many = 64
kind = "text"   # Which one. Allowed: one of `text`, `json`. (live)
# Where. Allowed: an address.
listen = "127.0.0.1:1"

[a.b]
# Whether. Allowed: true or false.
on = true
# Which. Allowed: any list of names.
names = [
  "x",
]
# Waits, one each. 1 to 20 steps of 1s to 7d.
waits = ["1m", "5m"]
# Bytes kept, 0 to 1 MiB; from first to last.
bytes = 65536
"#;

    fn keys() -> Vec<Key> {
        read(SAMPLE).unwrap().remove(0).keys
    }

    #[test]
    fn comments_ranges_and_live_marks_are_read() {
        let sections = read(SAMPLE).unwrap();
        assert_eq!(sections[0].about, "What the section is for.");
        let keys = keys();
        let paths: Vec<_> = keys.iter().map(|k| (k.path.as_str(), k.live)).collect();
        let want = [("a.wait", true), ("a.many", false), ("a.kind", true), ("a.listen", false), ("a.b.on", false)];
        assert_eq!(paths[..5], want);
        assert_eq!(keys[0].about, "How long. Two lines of it.");
        assert_eq!(keys[0].allowed, Some(Allowed::Durations(Duration::from_secs(1), Duration::from_secs(3600))));
        assert_eq!(keys[1].allowed, Some(Allowed::Numbers(1.0, 20_000.0)));
        assert_eq!(keys[2].allowed, Some(Allowed::OneOf(vec!["text".into(), "json".into()])));
        assert_eq!(keys[3].allowed, Some(Allowed::Address));
        assert_eq!(keys[4].allowed, Some(Allowed::Flag));
        assert_eq!(keys[5].allowed, Some(Allowed::Any));
        assert_eq!(keys[6].allowed, Some(Allowed::Durations(Duration::from_secs(1), Duration::from_secs(7 * 86_400))));
        assert_eq!(keys[7].allowed, Some(Allowed::Numbers(0.0, 1_048_576.0)));
        assert_eq!(keys[7].allowed_text.as_deref(), Some("0 to 1048576"));
    }

    #[test]
    fn a_value_outside_its_documented_range_is_a_problem() {
        let keys = keys();
        let bad: [(usize, toml::Value); 5] =
            [(0, "2h".into()), (1, 0.into()), (2, "xml".into()), (3, "localhost".into()), (4, 1.into())];
        for (n, value) in bad {
            let problem = keys[n].judge(&value).map(|p| p.to_string());
            assert!(
                problem.as_ref().is_some_and(|p| p.contains(&keys[n].path) && p.contains("allowed")),
                "{problem:?}"
            );
        }
        let good: [(usize, toml::Value); 4] =
            [(0, "1h".into()), (1, 20_000.into()), (2, "json".into()), (3, "[::]:0".into())];
        for (n, value) in good {
            assert_eq!(keys[n].judge(&value), None);
        }
    }
}
