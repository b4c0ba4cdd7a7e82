//! `docs/operator-roles.md`, made from the table of permissions (OP-3).

use super::permissions::TABLE;
use crate::domain::operator::Role;
use std::fmt::Write;

const HEAD: &str = "# Who may call what

Made from `src/api/operator/permissions.rs` by `cargo xtask docs`. An administrator may make every call; a call that has no `x` is for
administrators alone. Whoever agrees to what waits (`/approvals`) also needs a role that may do the act itself: finance for
adjustments and refunds, support for erasing a user. What each call does is in [operator-api.md](operator-api.md).

| call | support | operations | finance |
|---|---|---|---|
";

/// Method, route below `/ops/v1`, roles besides the administrator's.
pub fn roles_of_routes() -> impl Iterator<Item = (&'static str, &'static str, &'static [Role])> {
    TABLE.iter().copied()
}

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for (method, path, roles) in roles_of_routes() {
        let mark = |role| if roles.contains(&role) { "x" } else { "" };
        let [support, operations, finance] = [Role::Support, Role::Operations, Role::Finance].map(mark);
        // Writing to a text cannot fail.
        let _ = writeln!(out, "| `{method} {path}` | {support} | {operations} | {finance} |");
    }
    out
}
