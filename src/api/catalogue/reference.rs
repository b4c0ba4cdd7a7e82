//! `docs/errors.md`, made from the catalogue (EM-10).

use super::Code;
use std::fmt::Write;

const HEAD: &str = "# Errors

Made from the catalogue in `src/api/catalogue/` by `cargo xtask docs`. An error's body is
`{\"error\": {\"code\", \"message\", \"message_en\", \"message_zh\", \"fault\", \"retry\", \"details\"?, \"request_id\"?, \"trace_id\"}}`.

* `code` is stable; the texts may be improved. `message` is for developers, the other two may be shown to end users.
* `fault`: who has to act: `partner` (the caller or the caller's user), `platform` (we), `device` (charger or vehicle).
* `retry`: `no` (something in the request must change), `same` (the same request, signed anew, at once), `later`
  (after `Retry-After`, or when the state has changed; a write then needs a new `request_id` unless the status was
  429 or 503).
* A refused write is remembered under its `request_id` like an accepted one; statuses 400 and 413 (refused before it
  was taken), 429 and 503 bind nothing.
* Give `trace_id` (also in the header `x-trace-id` of every answer) when you ask for support.

| code | HTTP | fault | retry | for developers | for users | 给用户 |
|---|---|---|---|---|---|---|
";

/// The reference as the OpenAPI document carries it, under `x-errors`: by code, what a client needs to act on it.
pub fn openapi() -> serde_json::Value {
    let shown = |code: &Code| {
        let e = code.entry();
        let texts = serde_json::json!({"status": e.status, "fault": e.fault.as_str(), "retry": e.retry.as_str(),
            "message": e.message, "message_en": e.en, "message_zh": e.zh});
        (e.code.to_owned(), texts)
    };
    Code::ALL.iter().map(shown).collect::<serde_json::Map<_, _>>().into()
}

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for code in Code::ALL {
        let e = code.entry();
        let (fault, retry) = (e.fault.as_str(), e.retry.as_str());
        // Writing to a text cannot fail.
        let _ =
            writeln!(out, "| `{}` | {} | {fault} | {retry} | {} | {} | {} |", e.code, e.status, e.message, e.en, e.zh);
    }
    out
}
