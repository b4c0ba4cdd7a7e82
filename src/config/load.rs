//! Loading a configuration: the compiled-in defaults, a file over them, the environment over both (RT-10). Owns the
//! order and the search for problems, all of them at once; never applies anything.

use super::check::{Problem, Problems};
use super::document::{self, Key};
use super::{Config, DEFAULTS};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "chargeline.toml";

/// What environment variables begin with: `CHARGELINE__GATEWAY__LISTEN` sets `gateway.listen`.
pub const PREFIX: &str = "CHARGELINE__";

/// Largest configuration file, in bytes: the documented defaults are a tenth of it, and a wrong path may name anything.
const FILE_MAX: u64 = 1 << 20;

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment's variables.
    pub environment: Vec<(String, String)>,
}

impl Sources {
    /// The process's own: `named` or else `./chargeline.toml` if it exists, and the process's environment.
    pub fn of_process(named: Option<PathBuf>) -> Self {
        let file = named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()));
        Sources { file, environment: std::env::vars().collect() }
    }
}

/// A configuration that was found good.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The keys that were set, with their values' places: `chargeline.toml:12`.
    pub set: BTreeMap<String, String>,
}

/// Loads a configuration.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let text = match &sources.file {
        Some(file) => Some((file.display().to_string(), read_file(file).map_err(|p| Problems(vec![p]))?)),
        None => None,
    };
    let text = text.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    from_text(text, &sources.environment)
}

fn read_file(file: &Path) -> Result<String, Problem> {
    let place = file.display().to_string();
    let wrong = |what: String| Problem::of_key("", what).at(place.clone());
    let about = std::fs::metadata(file).map_err(|e| wrong(format!("the file cannot be read: {e}")))?;
    if about.len() > FILE_MAX {
        return Err(wrong(format!("the file has {} bytes; at most {FILE_MAX} are allowed", about.len())));
    }
    std::fs::read_to_string(file).map_err(|e| wrong(format!("the file cannot be read: {e}")))
}

/// A value that someone set.
struct Setting {
    key: String,
    value: Value,
    place: String,
}

/// Loads a configuration from texts: a file's name and content, and environment variables.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn from_text(file: Option<(&str, &str)>, environment: &[(String, String)]) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let mut settings = Vec::new();
    let defaults = defaults()?;
    if let Some((name, text)) = file {
        read_settings(name, text, &defaults, &mut settings, &mut problems);
    }
    read_environment(environment, &defaults, &mut settings, &mut problems);
    let documented = documented()?;
    let mut merged = defaults.clone();
    let mut set = BTreeMap::new();
    for Setting { key, value, place } in settings {
        match judge(&defaults, &documented, &key, &value) {
            Some(problem) => problems.push(problem.at(place)),
            None => {
                put(&mut merged, &key, value);
                set.insert(key, place);
            }
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let config = of_table(merged).map_err(|e| Problems(vec![e]))?;
    config.check(&mut problems);
    for problem in &mut problems {
        // `faults.vendor_codes[2].code`: the list was set as a whole.
        let key = problem.key.split('[').next().unwrap_or_default();
        problem.place = set.get(key).cloned();
    }
    if problems.is_empty() { Ok(Loaded { config, set }) } else { Err(Problems(problems)) }
}

/// The configuration that results from `set` values (path and value) over the defaults.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn from_settings(set: &BTreeMap<String, Value>) -> Result<Config, Problems> {
    let (defaults, documented) = (defaults()?, documented()?);
    let mut merged = defaults.clone();
    let mut problems = Vec::new();
    for (key, value) in set {
        match judge(&defaults, &documented, key, value) {
            Some(problem) => problems.push(problem),
            None => put(&mut merged, key, value.clone()),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let config = of_table(merged).map_err(|e| Problems(vec![e]))?;
    config.check(&mut problems);
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

/// Values by path from values by path or by section.
///
/// # Errors
/// When the defaults that are compiled in are no TOML, which a test excludes.
pub fn paths(set: BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, Problems> {
    let documented = documented()?;
    let mut out = BTreeMap::new();
    let mut left: Vec<_> = set.into_iter().collect();
    while let Some((path, value)) = left.pop() {
        match value {
            Value::Table(inner) if !documented.contains_key(&path) => {
                left.extend(inner.into_iter().map(|(name, value)| (format!("{path}.{name}"), value)));
            }
            value => {
                out.insert(path, value);
            }
        }
    }
    Ok(out)
}

/// The keys of `config` that differ from the defaults.
///
/// # Errors
/// When the defaults that are compiled in are no TOML, which a test excludes.
pub fn settings_of(config: &Config) -> Result<BTreeMap<String, Value>, Problems> {
    let unwritable = |e: toml::ser::Error| Problems(vec![Problem::of_key("", e)]);
    let table = Table::try_from(config).map_err(unwritable)?;
    let mut settings = BTreeMap::new();
    differing("", &table, &defaults()?, &mut settings);
    Ok(settings)
}

/// The keys of `new` whose values differ from those in `old`.
fn differing(path: &str, new: &Table, old: &Table, out: &mut BTreeMap<String, Value>) {
    for (name, value) in new {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (value, old.get(name)) {
            (Value::Table(new), Some(Value::Table(old))) if !old.is_empty() => differing(&path, new, old, out),
            (value, Some(old)) if same(value, old) => {}
            (value, _) => {
                out.insert(path, value.clone());
            }
        }
    }
}

/// Whether two values mean the same: `60s` and `1m` do.
fn same(a: &Value, b: &Value) -> bool {
    let duration = |value: &Value| value.as_str().and_then(|text| super::seconds::parse(text).ok());
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b || duration(a).is_some_and(|a| Some(a) == duration(b)),
    }
}

fn defaults() -> Result<Table, Problems> {
    DEFAULTS.parse::<Table>().map_err(|e| Problems(vec![Problem::of_key("", e).at("config.toml")]))
}

/// The documented keys by path.
///
/// # Errors
/// When the defaults that are compiled in are no TOML, which a test excludes.
pub fn documented() -> Result<BTreeMap<String, Key>, Problems> {
    let sections = document::read(DEFAULTS).map_err(|e| Problems(vec![Problem::of_key("", e).at("config.toml")]))?;
    Ok(sections.into_iter().flat_map(|section| section.keys).map(|key| (key.path.clone(), key)).collect())
}

fn of_table(table: Table) -> Result<Config, Problem> {
    table.try_into::<Config>().map_err(|e| Problem::of_key("", e.message()))
}

/// What is wrong with one value alone, over the defaults.
fn judge(defaults: &Table, documented: &BTreeMap<String, Key>, key: &str, value: &Value) -> Option<Problem> {
    let known = documented.get(key);
    if get(defaults, key).is_none() {
        return Some(removed(key).unwrap_or_else(|| unknown(key, documented.keys().map(String::as_str))));
    }
    let mut alone = defaults.clone();
    put(&mut alone, key, value.clone());
    if let Err(problem) = of_table(alone) {
        let allowed = known.filter(|key| key.allowed_text.is_some()).map(Key::allowed_words);
        let allowed = allowed.map_or_else(|| problem.allowed.clone(), |words| format!("{words} ({})", problem.allowed));
        return Some(Problem::new(key, value, allowed.replace('\n', " ").trim()));
    }
    known.and_then(|known| known.judge(value))
}

/// Keys that were there once: which, and what takes their place.
pub(super) const REMOVED: [(&str, &str); 1] = [("gateway.call_timeout", "charger.call_timeout")];

fn removed(key: &str) -> Option<Problem> {
    let (_, successor) = REMOVED.iter().find(|(old, _)| *old == key)?;
    Some(Problem::of_key(key, format!("no such key any more: set `{successor}` instead")))
}

fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    // Two edits find a slip of the finger and no more.
    let near = known.map(|k| (edits(key, k), k)).filter(|(distance, _)| *distance <= 2).min();
    let hint = near.map(|(_, near)| format!(", did you mean `{near}`?")).unwrap_or_default();
    Problem::of_key(key, format!("no such key{hint} (docs/configuration.md lists all)"))
}

/// The edit distance of two texts.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let best = (diagonal + usize::from(ca != *cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        Some((head, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(head) {
                put(inner, rest, value);
            }
        }
        None => {
            table.insert(key.to_owned(), value);
        }
    }
}

fn read_settings(name: &str, text: &str, defaults: &Table, out: &mut Vec<Setting>, problems: &mut Vec<Problem>) {
    let line = |at: usize| text.get(..at).map_or(1, |head| head.matches('\n').count() + 1);
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let places = errors.iter().map(|e| (e.span().map_or(1, |span| line(span.start)), e.message()));
        problems.extend(places.map(|(line, what)| Problem::of_key("", what).at(format!("{name}:{line}"))));
        return;
    }
    let Ok(values) = text.parse::<Table>() else { return };
    let mut walk = Walk { name, line: &line, out, problems };
    walk.table("", root.get_ref(), &values, defaults);
}

struct Walk<'a> {
    name: &'a str,
    line: &'a dyn Fn(usize) -> usize,
    out: &'a mut Vec<Setting>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, path: &str, spans: &DeTable<'_>, values: &Table, defaults: &Table) {
        for (key, span) in spans {
            let name: &str = key.get_ref();
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let place = format!("{}:{}", self.name, (self.line)(key.span().start));
            let Some(value) = values.get(name) else { continue };
            match (span.get_ref(), value, defaults.get(name)) {
                (DeValue::Table(spans), Value::Table(values), Some(Value::Table(inner))) if !inner.is_empty() => {
                    self.table(&path, spans, values, inner);
                }
                (_, value, Some(Value::Table(inner))) if !inner.is_empty() || !value.is_table() => {
                    self.problems.push(Problem::new(&path, value, "a section is allowed").at(place));
                }
                (DeValue::Table(spans), Value::Table(values), None) if path == name && defaults.get(name).is_none() => {
                    // A whole section that does not exist is one problem, an empty one of ours (tests) none.
                    let count = spans.len().max(values.len());
                    let known = defaults.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let what = format!("no such section ({count} keys in it); there are {known}");
                    self.problems.push(Problem::of_key(&path, what).at(place));
                }
                (_, value, _) => self.out.push(Setting { key: path, value: value.clone(), place }),
            }
        }
    }
}

fn read_environment(
    variables: &[(String, String)],
    defaults: &Table,
    out: &mut Vec<Setting>,
    problems: &mut Vec<Problem>,
) {
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let key = rest.to_ascii_lowercase().replace("__", ".");
        let value = match get(defaults, &key) {
            // A text needs no quotes in the environment.
            Some(Value::String(_)) => Value::String(text.clone()),
            Some(Value::Table(inner)) if !inner.is_empty() => {
                problems.push(Problem::new(&key, text, "a section is not set by the environment").at(name.clone()));
                continue;
            }
            Some(_) | None => {
                let read = format!("v = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
                read.unwrap_or_else(|| Value::String(text.clone()))
            }
        };
        out.push(Setting { key, value, place: name.clone() });
    }
}
