//! The head of the OpenAPI document (EM-13): what is said of the API as a whole. Owns its texts; paths and schemas come from
//! the handlers and types.

use crate::api::catalogue::reference;
use crate::api::error::{ErrorBody, ErrorView};
use axum::response::IntoResponse;
use http::header;
use std::sync::Arc;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

const ABOUT: &str = "Start and stop charging, follow sessions, read sites and chargers, receive events.

**Signing.** Every call under `/api/v1` carries four headers: `X-Chargeline-Key` (`ck_…`), `X-Chargeline-Timestamp` \
(Unix seconds, within the window), `X-Chargeline-Nonce` (16 to 64 characters of `A-Za-z0-9_-`, used once) and \
`X-Chargeline-Signature`: `v1=` and the lower-case hex of HMAC-SHA256 over six lines joined by a line feed: `v1`, the \
method in upper case, path and query exactly as sent, the lower-case hex SHA-256 of the body, the timestamp, the nonce. \
The key of the HMAC is the text of the secret (`cs_…`).

**Scopes.** A key may do what its scopes say: `query`, `control`, `settlement`, `accounts`, `push`, `credentials`. What a call \
needs is in its `security`, beside `key`; without it: 403 `scope`.

**Writes** are idempotent by `request_id` for 7 days: the same id with the same body gets the first answer again, with \
another body 409; 429 and 503 bind nothing.

**Whole numbers** are written without a fraction or exponent: `100`, never `100.0`.

**Limits** count each key and class of calls (`read`, `write`, `events`): `RateLimit-Policy` and `RateLimit` of every answer say \
the limit and what is left; 429 has `Retry-After`.

**Errors** have one shape; `x-errors` of this document lists every code with its texts, whose fault it is, and whether a retry helps. Every answer has a trace id in `x-trace-id`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Chargeline partner API", description = ABOUT),
    tags(
        (name = "applications", description = "Becoming a partner: no key yet, your own token instead"),
        (name = "sessions", description = "Starting, stopping and following sessions"),
        (name = "reservations", description = "Holding a connector for a user"),
        (name = "orders", description = "What sessions come to, and what is paid of it"),
        (name = "accounts", description = "The accounts of your users, where you have them here"),
        (name = "fleet", description = "Sites and chargers with live status"),
        (name = "statements", description = "Statements, disputes and settlement"),
        (name = "keys", description = "Your own keys: make, rotate, revoke, confine to addresses"),
        (name = "events", description = "Events and the webhook that carries them"),
        (name = "endpoints", description = "Your webhook endpoints: several, each with what it gets")
    ),
    components(schemas(ErrorBody, ErrorView)),
    security(("key" = [], "timestamp" = [], "nonce" = [], "signature" = [])),
    modifiers(&Signing)
)]
struct Head;

struct Signing;

impl Modify for Signing {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, header, about) in [
            ("key", "X-Chargeline-Key", "The key's id"),
            ("timestamp", "X-Chargeline-Timestamp", "Unix time, whole seconds"),
            ("nonce", "X-Chargeline-Nonce", "Used once"),
            ("signature", "X-Chargeline-Signature", "v1= and the hex of the HMAC"),
        ] {
            let scheme = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(header, about)));
            components.add_security_scheme(name, scheme);
        }
        let token =
            Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("The token of an application")).build();
        components.add_security_scheme("application", SecurityScheme::Http(token));
    }
}

/// The document without paths.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    let mut head = Head::openapi();
    head.extensions = Some(Extensions::from_iter([("x-errors", reference::openapi())]));
    head
}

/// `GET /openapi.json`.
pub(super) async fn json(text: Arc<String>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text.as_ref().clone())
}
