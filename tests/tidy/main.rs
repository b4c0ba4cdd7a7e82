//! The house style as a test: sizes, head comments, what each folder may name, words that may not stay, requirement ids
//! that exist, links that lead somewhere. The rules are in `rules.rs`, tried on planted violations there.

#![allow(clippy::unwrap_used, reason = "a test")]

mod code;
mod rules;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The top of the tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with this extension: path from the top, and text.
fn files(folders: &[&str], extension: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), extension, &mut found);
    }
    found.sort();
    let named = found.into_iter().map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text)
    });
    named.collect()
}

fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" && !name.to_string_lossy().starts_with('.') {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// The error catalogue is generated from the API's code and comes with it.
const PENDING: &str = "errors.md";

const CODE: [&str; 6] = ["src", "loadtest", "xtask", "tests", "benches", "fuzz"];

fn show(violations: &[String]) {
    assert!(violations.is_empty(), "{} against the house style:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn every_source_file_keeps_the_house_style() {
    let files = files(&CODE, "rs");
    assert!(files.len() > 20, "the sources were not found");
    show(&files.iter().flat_map(|(path, text)| rules::judge(path, text)).collect::<Vec<_>>());
}

#[test]
fn every_requirement_that_is_cited_is_listed_in_the_coverage_table() {
    let listed = std::fs::read_to_string(root().join("docs/requirements-coverage.md")).unwrap();
    let listed: BTreeSet<_> = rules::requirement_ids(&listed).map(|(_, id)| id).collect();
    let mut cited = files(&CODE, "rs");
    cited.extend(files(&["docs", "loadtest"], "md"));
    for name in ["config.toml", "README.md", "ARCHITECTURE.md"] {
        cited.push((name.to_owned(), std::fs::read_to_string(root().join(name)).unwrap()));
    }
    let unknown = cited.iter().filter(|(path, _)| path != "tests/tidy/rules.rs").flat_map(|(path, text)| {
        let unknown = rules::requirement_ids(text).filter(|(_, id)| !listed.contains(id));
        unknown.map(move |(line, id)| format!("{path}:{line}: {id} is not in docs/requirements-coverage.md"))
    });
    show(&unknown.collect::<Vec<_>>());
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut documents = files(&["docs", "loadtest", "tests"], "md");
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        documents.push((name.to_owned(), std::fs::read_to_string(root().join(name)).unwrap()));
    }
    let dead = documents.iter().flat_map(|(path, text)| {
        let folder = root().join(path).parent().unwrap().to_path_buf();
        let links = rules::links(text).filter(move |(_, to)| to != PENDING && !folder.join(to).exists());
        links.map(move |(line, to)| format!("{path}:{line}: {to} does not exist"))
    });
    show(&dead.collect::<Vec<_>>());
}

#[test]
fn every_metric_in_the_alert_rules_exists() {
    let rules = std::fs::read_to_string(root().join("docs/alerts.yml")).unwrap();
    let known: BTreeSet<_> = chargeline::telemetry::metrics::all().into_iter().map(|metric| metric.name).collect();
    let words = rules.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let of_histogram = |word: &str| word.strip_suffix("_bucket").or(word.strip_suffix("_count")).map(str::to_owned);
    let used: Vec<_> = words.filter(|word| word.starts_with("chargeline_")).collect();
    assert!(used.len() >= 3, "the rules were not found");
    let unknown = used
        .into_iter()
        .filter(|word| !known.contains(word) && !of_histogram(word).is_some_and(|name| known.contains(name.as_str())));
    show(&unknown.map(|word| format!("docs/alerts.yml: no metric {word}")).collect::<Vec<_>>());
}
