//! Reading requests: JSON bodies, query parameters and path identifiers, with errors that name the member. Owns how a
//! malformed request is told apart; never what a value means.

use super::catalogue::Code;
use super::error::ApiError;
use super::port::{Detail, PageRequest, Refusal};
use http::Uri;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// Longest problem text that is sent back: enough to find the mistake, too little to echo an attack.
const PROBLEM_MAX: usize = 200;

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(PROBLEM_MAX).collect()
}

/// Reads a JSON body, refusing unknown members (control 24). An empty body reads as `{}`.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| refused(&e))?;
    reader.end().map_err(|_| Code::BadJson)?;
    Ok(value)
}

fn refused(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    use serde_json::error::Category;
    match error.inner().classify() {
        Category::Syntax | Category::Eof | Category::Io => return Code::BadJson.into(),
        Category::Data => {}
    }
    let whole = error.inner().to_string();
    // The position in the text is of no use beside the member's path.
    let problem = whole.split(" at line ").next().unwrap_or_default();
    let path = error.path().to_string();
    let within = |member: &str| if path == "." { member.to_owned() } else { format!("{path}.{member}") };
    let quoted = problem.split('`').nth(1).unwrap_or_default();
    let allowed = problem.split_once(", ").map_or("", |(_, rest)| rest).to_owned();
    if problem.starts_with("unknown field") {
        // serde_path_to_error counts the unknown member itself as part of the path.
        let field = if path.ends_with(quoted) { path.clone() } else { within(quoted) };
        return detailed(Code::UnknownField, &field, "is not known here", &allowed);
    }
    if problem.starts_with("missing field") {
        return detailed(Code::InvalidField, &within(quoted), "is missing", "a value");
    }
    if problem.starts_with("duplicate field") {
        let field = if path.ends_with(quoted) { path.clone() } else { within(quoted) };
        return detailed(Code::InvalidField, &field, "is there twice", "once");
    }
    detailed(Code::InvalidField, &path, problem, &allowed)
}

fn detailed(code: Code, field: &str, problem: &str, allowed: &str) -> ApiError {
    let detail = Detail { field: cut(field), problem: cut(problem), allowed: cut(allowed) };
    Refusal { code, retry_after: None, details: vec![detail] }.into()
}

/// Collects what is wrong with the members of a request, so that all of it is told at once.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Detail>);

impl Findings {
    /// Notes `field` unless it is `good`.
    pub(crate) fn check(&mut self, good: bool, field: &str, problem: &str, allowed: impl Display) {
        if !good {
            let allowed = allowed.to_string();
            self.0.push(Detail { field: field.to_owned(), problem: problem.to_owned(), allowed });
        }
    }

    /// A text of `min` to `max` characters without control characters.
    pub(crate) fn text(&mut self, field: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        let good = (min..=max).contains(&length) && !text.chars().any(char::is_control);
        let allowed = format!("{min} to {max} characters, no control characters");
        self.check(good, field, "is too short, too long, or holds control characters", allowed);
    }

    /// The request is good, or all that is wrong with it.
    pub(crate) fn done(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Refusal { code: Code::InvalidField, retry_after: None, details: self.0 })
    }
}

/// The parameters of a query, each at most once.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the query; only `known` parameters are allowed.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let mut found = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(detailed(Code::UnknownField, &name, "is not known here", &known.join(", ")));
            }
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(detailed(Code::InvalidField, &name, "is there twice", "once"));
            }
        }
        Ok(Query(found))
    }

    /// A parameter as text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A parameter of type `T`; `allowed` is told when it is not.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str, allowed: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| detailed(Code::InvalidField, name, "is not valid", allowed))
    }

    /// The page asked for: `cursor_name`, and `limit` within the bounds.
    pub(crate) fn page(&mut self, cursor_name: &str, bounds: Pages) -> Result<PageRequest, ApiError> {
        let allowed = format!("1 to {}", bounds.max);
        let limit = self.value::<usize>("limit", &allowed)?.unwrap_or(bounds.default);
        if !(1..=bounds.max).contains(&limit) {
            return Err(detailed(Code::InvalidField, "limit", "is out of range", &allowed));
        }
        let cursor = self.text(cursor_name);
        if cursor.as_ref().is_some_and(|c| c.is_empty() || c.len() > CURSOR_MAX) {
            return Err(detailed(Code::InvalidField, cursor_name, "is no cursor", "the `next` of an earlier page"));
        }
        Ok(PageRequest { cursor, limit })
    }
}

/// Longest cursor that is looked at: ours are far shorter.
const CURSOR_MAX: usize = 256;

/// Page sizes in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pages {
    /// Without `limit`.
    pub(crate) default: usize,
    /// The largest `limit`.
    pub(crate) max: usize,
}

/// An identifier in a path; one that is not well formed names nothing, so `code` is a 404.
pub(crate) fn path_id<T: FromStr>(text: &str, code: Code) -> Result<T, ApiError> {
    text.parse().map_err(|_| code.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read from JSON")]
    struct Outer {
        a: u8,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read from JSON")]
    struct Inner {
        b: String,
    }

    fn told(body: &str) -> (Code, String) {
        let error = json::<Outer>(body.as_bytes()).unwrap_err().refusal;
        (error.code, error.details.first().map(|d| d.field.clone()).unwrap_or_default())
    }

    #[test]
    fn each_kind_of_bad_body_is_told_apart_and_names_its_member() {
        for (body, code, field) in [
            ("{", Code::BadJson, ""),
            ("\u{fffd}", Code::BadJson, ""),
            (r#"{"a":1} x"#, Code::BadJson, ""),
            (r"{}", Code::InvalidField, "a"),
            (r"", Code::InvalidField, "a"),
            (r#"{"a":300}"#, Code::InvalidField, "a"),
            (r#"{"a":1,"a":2}"#, Code::InvalidField, "a"),
            (r#"{"a":1,"price":2}"#, Code::UnknownField, "price"),
            (r#"{"a":1,"inner":{}}"#, Code::InvalidField, "inner.b"),
            (r#"{"a":1,"inner":{"b":1}}"#, Code::InvalidField, "inner.b"),
            (r#"{"a":1,"inner":{"b":"x","tenant_id":1}}"#, Code::UnknownField, "inner.tenant_id"),
        ] {
            assert_eq!(told(body), (code, field.to_owned()), "{body}");
        }
        let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(told(&deep).0, Code::InvalidField);
    }

    #[test]
    fn queries_refuse_unknown_doubled_and_unreadable_parameters() {
        let read = |q: &str| -> Result<PageRequest, Code> {
            let uri: Uri = format!("/x?{q}").parse().unwrap();
            let mut query = Query::read(&uri, &["limit", "cursor"]).map_err(|e| e.refusal.code)?;
            query.page("cursor", Pages { default: 100, max: 500 }).map_err(|e| e.refusal.code)
        };
        assert_eq!(read(""), Ok(PageRequest { cursor: None, limit: 100 }));
        assert_eq!(read("limit=500&cursor=a%20b"), Ok(PageRequest { cursor: Some("a b".into()), limit: 500 }));
        for bad in ["limit=0", "limit=501", "limit=x", "limit=1&limit=2", "cursor="] {
            assert_eq!(read(bad), Err(Code::InvalidField), "{bad}");
        }
        assert_eq!(read("page=2"), Err(Code::UnknownField));
    }
}
