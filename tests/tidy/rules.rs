//! The rules of the house that a test can see, and planted violations that show that it sees them.

use crate::code::{bare, functions};

/// Most lines of a file: above, split.
const FILE_LINES_MAX: usize = 500;

/// Most lines of a function: above, split.
const FUNCTION_LINES_MAX: usize = 70;

/// What a folder's code may not name: where, what, why.
const FORBIDDEN: [(&str, &[&str], &str); 4] = [
    (
        "src/domain/",
        &[
            "actix",
            "actix_rt",
            "tokio",
            "sled",
            "http",
            "reqwest",
            "axum",
            "hyper",
            "tracing",
            "metrics",
            "rand",
            "SystemTime",
            "Instant",
            "crate::actors",
            "crate::api",
            "crate::gateway",
            "crate::persistence",
            "crate::telemetry",
        ],
        "the rules are pure: everything comes in with the command",
    ),
    (
        "src/protocol/",
        &["actix", "actix_rt", "sled", "tokio", "crate::actors", "crate::api", "crate::gateway"],
        "protocols turn bytes into types and hold no state",
    ),
    (
        "src/persistence/",
        &["actix", "axum", "crate::actors", "crate::api", "crate::gateway"],
        "the store knows nobody above it",
    ),
    ("src/gateway/", &["sled", "crate::api"], "sockets know neither the store nor HTTP calls"),
];

/// What only one place may name: the name, the only place, why.
const ONLY: [(&str, &str, &str); 5] = [
    ("sled", "src/persistence/", "only the store knows its engine"),
    ("SystemTime", "src/clock.rs", "time comes from clock.rs"),
    ("Timestamp::now", "src/clock.rs", "time comes from clock.rs"),
    ("Zoned::now", "src/clock.rs", "time comes from clock.rs"),
    ("backoff", "src/domain/", "an unmaintained crate stays behind one module"),
];

/// Rooms between a meter reading and a bill: there every number is a whole one (MO-1). Tests too.
const MONEY: [&str; 7] = ["money", "tariff", "pricing", "account", "ledger", "order", "statement"];

/// Whether a file belongs to one of [`MONEY`].
fn of_money(path: &str) -> bool {
    let room = path.strip_prefix("src/domain/").and_then(|rest| rest.split(['/', '.']).next());
    room.is_some_and(|room| MONEY.contains(&room))
}

/// Whether a line of code has a floating-point type, method or literal.
fn floats(code: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = code.split(|c| !is_word(c));
    if words.any(|word| ["f32", "f64"].iter().any(|float| word == *float || is_suffixed(word, float))) {
        return true;
    }
    // `1.5`, `1.`: a digit, a dot, and neither a range nor a method nor a tuple's member.
    code.match_indices('.').any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + 1..]);
        let number = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
        let whole = number.starts_with(|c: char| c.is_ascii_digit());
        let member = before[..before.len() - number.len()].ends_with('.');
        whole && !member && after.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Whether a word is a number with the suffix of a floating-point type: `1f64`, `2_f32`, or a method: `as_secs_f64`.
fn is_suffixed(word: &str, float: &str) -> bool {
    word.strip_suffix(float).is_some_and(|rest| rest.ends_with('_') || rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Macros that may not stay in a tree.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

/// Files that talk to a terminal.
fn prints(path: &str) -> bool {
    let talks = path.ends_with("/cli.rs")
        || path.contains("/cli/")
        || path.contains("/demo")
        || path == "src/main.rs"
        || path.ends_with("/sandbox.rs");
    // Random runs tell how far they came; they are tests.
    talks || path.starts_with("src/fuzz/") || !path.starts_with("src/")
}

/// What is wrong with one source file.
pub(crate) fn judge(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = bare(text);
    if !text.starts_with("//!") {
        found.push(format!("{path}:1: no `//!` at the top: what it owns, what it never does, its invariants"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: split it"));
    }
    for function in functions(&code).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let (line, lines, name) = (function.line, function.lines, function.name);
        found.push(format!("{path}:{line}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}: split it"));
    }
    names(path, &code, &mut found);
    for (n, _) in code.lines().enumerate().filter(|(_, line)| of_money(path) && floats(line)) {
        found.push(format!("{path}:{}: no floating point between a meter reading and a bill (MO-1)", n + 1));
    }
    words(path, text, &code, &mut found);
    found
}

/// Whether a file is compiled for tests only, by its name. It may draw random runs and measure them.
fn of_tests(path: &str) -> bool {
    path.contains("/tests/") || ["tests.rs", "simulation.rs", "testkit.rs"].iter().any(|name| path.ends_with(name))
}

/// Names that this file's folder may not use.
fn names(path: &str, code: &str, found: &mut Vec<String>) {
    for (n, line) in code.lines().enumerate() {
        let banned = FORBIDDEN.iter().filter(|(folder, _, _)| path.starts_with(folder) && !of_tests(path));
        for (_, names, why) in banned {
            let named = names.iter().filter(|name| uses(line, name));
            found.extend(named.map(|name| format!("{path}:{}: `{name}` may not be named here: {why}", n + 1)));
        }
        let elsewhere = ONLY.iter().filter(|(_, place, _)| path.starts_with("src/") && !path.starts_with(place));
        for (name, place, why) in elsewhere.filter(|(name, _, _)| uses(line, name)) {
            found.push(format!("{path}:{}: `{name}` is named outside {place}: {why}", n + 1));
        }
    }
}

/// Whether a line of code uses `name` as a path: `use name`, `name::`, or a type by that name.
fn uses(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let alone = !before.ends_with(is_word) && !after.starts_with(is_word);
        let is_crate = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains("::");
        // A crate is named at the start of a path; `crate::x::tokio` or a variable `metrics` is not it.
        let path_start = after.starts_with("::") && !before.ends_with("::") && !before.ends_with('.');
        let imported = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
        alone && (!is_crate || path_start || imported)
    })
}

/// Words that may not stay, and attributes without a reason.
fn words(path: &str, text: &str, code: &str, found: &mut Vec<String>) {
    let itself = path.starts_with("tests/tidy/");
    for (n, (line, code)) in text.lines().zip(code.lines()).enumerate() {
        let mut say = |what: &str| found.push(format!("{path}:{}: {what}", n + 1));
        if let Some(word) = UNFINISHED.iter().find(|word| code.contains(**word)) {
            say(&format!("`{word}` is unfinished work"));
        }
        let comment = line.find("//").map_or("", |at| &line[at..]);
        if !itself && ["TODO", "FIXME", "XXX"].iter().any(|word| comment.contains(word)) {
            say("unfinished work belongs into an issue");
        }
        if !prints(path) && ["println!", "eprintln!", "print!("].iter().any(|word| code.contains(word)) {
            say("only the command line prints: use tracing");
        }
        let attribute = code.trim_start();
        if (attribute.starts_with("#[allow(") || attribute.starts_with("#![allow("))
            && !block(text, n).contains("reason")
        {
            say("an `allow` needs a reason");
        }
        if attribute.starts_with("#[ignore]") {
            say("an ignored test needs a reason");
        }
        if attribute.starts_with("#[should_panic]") {
            say("a test that should panic says with which words");
        }
    }
}

/// An attribute that begins on line `n`, to its end.
fn block(text: &str, n: usize) -> String {
    let mut out = String::new();
    for line in text.lines().skip(n).take(8) {
        out.push_str(line);
        if line.trim_end().ends_with(']') {
            break;
        }
    }
    out
}

/// The prefixes of requirement ids, but for `CP`, which the names of chargers in tests look like.
const PREFIXES: [&str; 9] = ["RT", "CH", "SE", "RS", "EM", "MO", "RC", "OP", "SC"];

/// The requirement ids in a text, each with its line.
pub(crate) fn requirement_ids(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().flat_map(|(n, line)| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        line.split(move |c| !is_word(c)).filter_map(move |word| {
            let (prefix, number) = word.split_once('-')?;
            let number = number.trim_end_matches('-');
            let id = PREFIXES.contains(&prefix) && number.len() <= 2 && number.parse::<u8>().is_ok();
            id.then(|| (n + 1, format!("{prefix}-{number}")))
        })
    })
}

/// The relative links of a Markdown text, each with its line.
pub(crate) fn links(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().flat_map(|(n, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let relative = targets.filter(|to| !to.is_empty() && !to.contains("://") && !to.starts_with("mailto:"));
        relative.map(move |to| (n + 1, to.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(path: &str, text: &str) -> String {
        judge(path, text).join("\n")
    }

    #[test]
    fn a_file_without_a_head_is_caught() {
        assert!(caught("src/a.rs", "use std::fmt;\n").contains("no `//!`"));
        assert_eq!(caught("src/a.rs", "//! Owns.\nuse std::fmt;\n"), "");
    }

    #[test]
    fn a_file_and_a_function_that_are_too_long_are_caught() {
        let long = format!("//! Owns.\n{}", "\n".repeat(FILE_LINES_MAX));
        assert!(caught("src/a.rs", &long).contains("501 lines"));
        let body = |n| format!("//! Owns.\nfn long() {{\n{}}}\n", "    f();\n".repeat(n));
        assert!(caught("src/a.rs", &body(FUNCTION_LINES_MAX - 1)).contains("fn long has 71 lines"));
        assert_eq!(caught("src/a.rs", &body(FUNCTION_LINES_MAX - 2)), "");
    }

    #[test]
    fn what_a_folder_may_not_name_is_caught() {
        for (path, line) in [
            ("src/domain/a.rs", "use tokio::time;"),
            ("src/domain/a.rs", "let now = std::time::Instant::now();"),
            ("src/domain/a.rs", "tracing::info!(\"x\");"),
            ("src/domain/a.rs", "use rand::Rng;"),
            ("src/domain/a.rs", "use crate::persistence::journal;"),
            ("src/protocol/a.rs", "use sled;"),
            ("src/persistence/a.rs", "use actix::prelude::*;"),
            ("src/api/a.rs", "let db = sled::open(path);"),
            ("src/actors/a.rs", "let now = SystemTime::now();"),
            ("src/actors/a.rs", "let now = jiff::Timestamp::now();"),
        ] {
            assert!(caught(path, &format!("//! Owns.\n{line}\n")).contains("named"), "{path}: {line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_forbidden_name_is_not_caught() {
        for (path, line) in [
            ("src/domain/a.rs", "// tokio::time is never used here"),
            ("src/domain/a.rs", "let text = \"sled::Db\";"),
            ("src/domain/a.rs", "self.metrics.len(); let http = 1; operand::add();"),
            ("src/persistence/a.rs", "let db = sled::open(path);"),
            ("src/domain/charging/simulation.rs", "use rand::SeedableRng;"),
            ("src/clock.rs", "jiff::Timestamp::now()"),
            ("loadtest/src/a.rs", "let now = SystemTime::now();"),
        ] {
            assert_eq!(caught(path, &format!("//! Owns.\n{line}\n")), "", "{path}: {line}");
        }
    }

    #[test]
    fn floating_point_near_money_is_caught_and_nowhere_else() {
        for (path, line) in [
            ("src/domain/money.rs", "let x: f64 = total;"),
            ("src/domain/tariff/a.rs", "fn a(x: f32) {}"),
            ("src/domain/pricing/tests.rs", "let x = 1.5;"),
            ("src/domain/account/a.rs", "let x = 1f64 * y;"),
            ("src/domain/ledger/a.rs", "wait.as_secs_f64()"),
            ("src/domain/order/a/b.rs", "x as f64"),
        ] {
            assert!(caught(path, &format!("//! Owns.\n{line}\n")).contains("floating point"), "{path}: {line}");
        }
        for (path, line) in [
            ("src/domain/money.rs", "let x = pair.0.1; (0..10).max(1); a.0.5"),
            ("src/domain/tariff/a.rs", "// an f64 like 1.5"),
            ("src/domain/pricing/a.rs", "let text = \"1.5 f64\";"),
            ("src/domain/session/a.rs", "let x: f64 = 1.5;"),
        ] {
            assert_eq!(caught(path, &format!("//! Owns.\n{line}\n")), "", "{path}: {line}");
        }
    }

    #[test]
    fn unfinished_work_printing_and_reasonless_attributes_are_caught() {
        for line in [
            "todo!()",
            "// TODO later",
            "dbg!(x);",
            "println!(\"x\");",
            "#[allow(dead_code)]",
            "#[ignore]",
            "#[should_panic]",
        ] {
            assert_ne!(caught("src/a.rs", &format!("//! Owns.\n{line}\n")), "", "{line}");
        }
        for (path, line) in [
            ("src/config/cli.rs", "println!(\"x\");"),
            ("xtask/src/a.rs", "println!(\"x\");"),
            ("src/a.rs", "#[allow(dead_code, reason = \"why\")]"),
            ("src/a.rs", "let method = todo();"),
        ] {
            assert_eq!(caught(path, &format!("//! Owns.\n{line}\n")), "", "{line}");
        }
    }

    #[test]
    fn requirement_ids_and_links_are_found() {
        let ids: Vec<_> = requirement_ids("see RT-4, `SE-16`.\nOP-5 … OP-7; T-1, RT-x, SHA-256, RT-4a").collect();
        let want = [(1, "RT-4"), (1, "SE-16"), (2, "OP-5"), (2, "OP-7")];
        assert_eq!(ids, want.map(|(n, id)| (n, id.to_owned())));
        let found: Vec<_> = links("[a](b.md#c) [x](https://x.y)\n![p](c/d.png) [t](#here)").collect();
        assert_eq!(found, [(1, "b.md".to_owned()), (2, "c/d.png".to_owned())]);
    }
}
