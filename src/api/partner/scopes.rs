//! Which scope each route asks of a key (EM-2). Owns the table, made from the routes' own entries in the OpenAPI document: a
//! route names its scope in its `security`, and one that names none opens to nobody.

use crate::domain::access::Scope;
use http::Method;
use std::collections::HashMap;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;

/// The scheme that carries the scope in the document.
const SCHEME: &str = "key";

/// Route and method to scope.
#[derive(Debug, Default)]
pub(super) struct RouteScopes(HashMap<(Method, String), Option<Scope>>);

impl RouteScopes {
    /// Of all routes of the document.
    pub(super) fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let mut table = HashMap::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in operations(item) {
                table.insert((method, path.clone()), scope_of(operation));
            }
        }
        RouteScopes(table)
    }

    /// The scope of a call; `Some(None)`: its route names none; `None`: there is no such route.
    pub(super) fn get(&self, method: &Method, route: &str) -> Option<Option<Scope>> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, route.to_owned())).copied()
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn scope_of(operation: &Operation) -> Option<Scope> {
    let written = serde_json::to_value(operation.security.as_ref()?).ok()?;
    written.get(0)?.get(SCHEME)?.get(0)?.as_str()?.parse().ok()
}

/// Writes out what every call needs beside its scope: a route names the scope only.
pub(super) fn complete(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in all.into_iter().flatten() {
            if let Some(scope) = scope_of(operation) {
                let none: [&str; 0] = [];
                let needed = SecurityRequirement::new(SCHEME, [scope.as_str()]);
                let needed = needed.add("timestamp", none).add("nonce", none).add("signature", none);
                operation.security = Some(vec![needed]);
            }
        }
    }
}
