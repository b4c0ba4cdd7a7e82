//! What is wrong with a configuration, and the checks that find it (RT-10). Owns [`Problem`], the trait [`Checked`] and
//! helper functions for ranges; never reads a file.
//!
//! The plain range of a key stands in its comment in `config.toml` (`Allowed: 1s to 1h.`) and is checked from there
//! (see [`super::document`]); a section's [`Checked`] says what one comment cannot: how keys depend on each other.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

/// One thing that is wrong: the key, the value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The path to the key: `gateway.listen`.
    pub key: String,
    /// The value as given, escaped and cut; none for a key that does not exist.
    pub given: Option<String>,
    /// What is allowed instead.
    pub allowed: String,
    /// Where it was given: `chargeline.toml:12`, `CHARGELINE__GATEWAY__LISTEN`. Filled in by the loader.
    pub place: Option<String>,
}

impl Problem {
    /// A value that is not allowed.
    pub fn new(key: &str, given: impl Display, allowed: impl Display) -> Self {
        Problem { key: key.into(), given: Some(shown(&given.to_string())), allowed: allowed.to_string(), place: None }
    }

    /// A problem of no particular value.
    pub fn of_key(key: &str, allowed: impl Display) -> Self {
        Problem { key: key.into(), given: None, allowed: allowed.to_string(), place: None }
    }

    /// The same problem, with where its value was given.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Problem { place: Some(place.into()), ..self }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        match (&self.given, self.key.is_empty()) {
            (_, true) => f.write_str(&self.allowed),
            (Some(given), false) => write!(f, "`{}` is {given}: {}", self.key, self.allowed),
            (None, false) => write!(f, "`{}`: {}", self.key, self.allowed),
        }
    }
}

/// Everything that is wrong with a configuration, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// Longest value shown in a problem, in characters: enough to find it, too little to flood a log.
const SHOWN_MAX: usize = 120;

fn shown(text: &str) -> String {
    let cut = text.chars().count() > SHOWN_MAX;
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let head: String = text.chars().take(SHOWN_MAX).map(plain).collect();
    format!("{head}{}", if cut { "…" } else { "" })
}

/// A section that has rules between its keys.
pub trait Checked {
    /// Adds what is wrong with the section. Keys are named by their whole path.
    fn check(&self, problems: &mut Vec<Problem>);
}

/// `min <= value <= max`, for numbers.
pub fn between<T: PartialOrd + Display>(problems: &mut Vec<Problem>, key: &str, value: T, min: T, max: T) {
    if value < min || value > max {
        problems.push(Problem::new(key, value, format!("{min} to {max} is allowed")));
    }
}

/// `min <= value <= max`, for durations.
pub fn duration_between(problems: &mut Vec<Problem>, key: &str, value: Duration, min: Duration, max: Duration) {
    use super::seconds::format;
    if value < min || value > max {
        let allowed = format!("{} to {} is allowed", format(min), format(max));
        problems.push(Problem::new(key, format(value), allowed));
    }
}

/// The value of `key` is not above that of `other`.
pub fn not_above<T: PartialOrd + Written>(problems: &mut Vec<Problem>, key: &str, value: T, other: (&str, T)) {
    if value > other.1 {
        let allowed = format!("at most the value of `{}` ({}) is allowed", other.0, other.1.written());
        problems.push(Problem::new(key, value.written(), allowed));
    }
}

/// What has a form in the configuration file.
pub trait Written {
    /// That form.
    fn written(&self) -> String;
}

impl Written for Duration {
    fn written(&self) -> String {
        super::seconds::format(*self)
    }
}

macro_rules! written_as_shown {
    ($($number:ty),*) => {
        $(impl Written for $number {
            fn written(&self) -> String {
                self.to_string()
            }
        })*
    };
}

written_as_shown!(u16, u32, u64, usize, i32, i64, f64);

/// A text that is not empty.
pub fn not_empty(problems: &mut Vec<Problem>, key: &str, value: &str) {
    if value.trim().is_empty() {
        problems.push(Problem::new(key, "empty", "a text is required"));
    }
}

/// An address to listen on: `127.0.0.1:9100`, `[::]:9000`.
pub fn listen_address(problems: &mut Vec<Problem>, key: &str, value: &str) {
    if value.parse::<SocketAddr>().is_err() {
        problems.push(Problem::new(key, format!("{value:?}"), ADDRESS));
    }
}

/// What is said of a bad address.
pub(super) const ADDRESS: &str = "an IP address with port is allowed, such as 127.0.0.1:9100 or [::]:9000";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_place_key_value_and_what_is_allowed() {
        let mut problems = Vec::new();
        between(&mut problems, "a.b", 11, 1, 10);
        duration_between(&mut problems, "a.c", Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3600));
        not_above(&mut problems, "a.d", 3, ("a.e", 2));
        listen_address(&mut problems, "a.f", "localhost");
        not_empty(&mut problems, "a.g", " ");
        let text: Vec<_> = problems.into_iter().map(|p| p.at("x.toml:3").to_string()).collect();
        assert_eq!(text[0], "x.toml:3: `a.b` is 11: 1 to 10 is allowed");
        assert_eq!(text[1], "x.toml:3: `a.c` is 0ms: 1s to 1h is allowed");
        assert_eq!(text[2], "x.toml:3: `a.d` is 3: at most the value of `a.e` (2) is allowed");
        assert!(text[3].contains("`a.f` is \"localhost\": an IP address"), "{}", text[3]);
        assert_eq!(text[4], "x.toml:3: `a.g` is empty: a text is required");
    }

    #[test]
    fn values_within_range_are_no_problem() {
        let mut problems = Vec::new();
        between(&mut problems, "a", 1, 1, 10);
        between(&mut problems, "a", 10, 1, 10);
        not_above(&mut problems, "a", 2, ("b", 2));
        listen_address(&mut problems, "a", "[::1]:0");
        assert_eq!(problems, []);
    }

    #[test]
    fn a_hostile_value_is_shown_short_and_without_control_characters() {
        let shown = shown(&format!("\u{1b}[31m\n{}", "x".repeat(500)));
        assert!(shown.chars().count() <= SHOWN_MAX + 1 && !shown.chars().any(char::is_control), "{shown}");
    }
}
