//! What the OpenAPI document says beyond the types (EM-13): the lengths, ranges and forms that members and parameters must
//! have, which statuses a call can end with, and which headers its answers carry. Owns this table; the rules themselves are
//! where requests are read, and `cargo xtask contract` finds every difference between the two.

use super::accounts::USER_ID_MAX;
use super::credentials::OVERLAP_MAX;
use super::endpoints::URL_MAX;
use crate::domain::access::Scope;
use crate::domain::platform::code::TEXT_MAX;
use crate::ids::{ChargerId, EndpointName, RequestId, SiteId};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// What a member or parameter may be.
enum Shape {
    /// A name of 1 to so many characters of `A-Za-z0-9_-`.
    Name(usize),
    /// A text of 1 to so many characters without control characters.
    Text(usize),
    /// The same, of at least so many.
    Between(usize, usize),
    /// A whole number of this range.
    Whole(u64, u64),
    /// A list of so many to so many.
    List(usize, usize),
    /// One of these words.
    Words(Vec<&'static str>),
    /// A list of these words.
    ListOf(Vec<&'static str>),
    /// A list of so many to so many texts of this form, of at most so many characters.
    EachOf(usize, usize, &'static str, usize),
    /// A text of this form.
    Form(&'static str),
}

impl Shape {
    fn keywords(&self) -> Value {
        match self {
            Shape::Name(max) => json!({"minLength": 1, "maxLength": max, "pattern": "^[A-Za-z0-9_-]+$"}),
            Shape::Text(max) => Shape::Between(1, *max).keywords(),
            Shape::Between(min, max) => {
                json!({"minLength": min, "maxLength": max, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"})
            }
            Shape::Whole(min, max) => json!({"minimum": min, "maximum": max}),
            Shape::List(min, max) => json!({"minItems": min, "maxItems": max}),
            Shape::Words(words) => json!({"enum": words}),
            Shape::ListOf(words) => json!({"minItems": 1, "items": {"type": "string", "enum": words}}),
            Shape::EachOf(min, max, pattern, longest) => {
                json!({"minItems": min, "maxItems": max, "items": {"type": "string", "pattern": pattern, "maxLength": longest}})
            }
            Shape::Form(pattern) => json!({"pattern": pattern}),
        }
    }
}

/// The members of requests: type, member, what it may be.
fn members() -> Vec<(&'static str, &'static str, Shape)> {
    let currency = || Shape::Form("^[A-Z]{3}$");
    let text = |of, member, max| (of, member, Shape::Text(max));
    vec![
        ("StartRequest", "charger_id", Shape::Name(ChargerId::MAX)),
        ("StartRequest", "connector_id", Shape::Whole(1, 64)),
        ("ReserveRequest", "charger_id", Shape::Name(ChargerId::MAX)),
        ("ReserveRequest", "connector_id", Shape::Whole(1, 64)),
        ("ReserveRequest", "hold_s", Shape::Whole(60, 86_400)),
        ("ReserveRequest", "ahead_s", Shape::Whole(0, 86_400)),
        ("Limits", "energy_wh", Shape::Whole(100, 1_000_000)),
        ("Limits", "duration_s", Shape::Whole(60, 86_400)),
        ("Limits", "soc_percent", Shape::Whole(10, 100)),
        ("Limits", "amount", Shape::Whole(1, 10_000_000)),
        ("ExtendRequest", "amount", Shape::Whole(1, 10_000_000)),
        text("UserRef", "id", USER_ID_MAX),
        text("UserRef", "name", 64),
        text("UserRef", "phone", 32),
        text("UserRef", "plate", 16),
        text("ComplaintRequest", "text", 500),
        text("ContestRequest", "text", 500),
        text("DisputeRequest", "reason", 500),
        text("PaperRequest", "reference", 64),
        text("PaperRequest", "details", 500),
        ("SubscriptionBody", "events", Shape::EachOf(1, 64, "^[a-z_.]*\\.[a-z_.]*$", 64)),
        ("PaperRequest", "kind", Shape::Words(vec!["invoice", "payment", "receipt"])),
        ("MakeKey", "scopes", Shape::ListOf(Scope::ALL.map(Scope::as_str).to_vec())),
        ("MakeKey", "networks", Shape::List(0, 32)),
        ("AllowKey", "networks", Shape::List(0, 32)),
        ("RotateKey", "overlap_s", Shape::Whole(0, OVERLAP_MAX.as_secs())),
        ("MakeEndpoint", "name", Shape::Name(EndpointName::MAX)),
        text("MakeEndpoint", "url", URL_MAX),
        text("ChangeEndpoint", "url", URL_MAX),
        ("RotateEndpoint", "overlap_s", Shape::Whole(0, OVERLAP_MAX.as_secs())),
        ("DebtPayment", "order_id", Shape::Form("^[A-Za-z0-9_/-]{1,96}$")),
        ("Apply", "access_token", Shape::Form("^[A-Za-z0-9_-]{32,128}$")),
        ("ApplicationForm", "company", Shape::Between(2, 100)),
        ("ApplicationForm", "credit_code", Shape::Form("^[0-9A-HJ-NPQRTUWXY]{18}$")),
        ("ApplicationForm", "scopes", Shape::ListOf(Scope::ALL.map(Scope::as_str).to_vec())),
        ("ApplicationForm", "networks", Shape::List(0, 32)),
        ("ApplicationForm", "contacts", Shape::List(1, 8)),
        text("ApplicationForm", "webhook_url", 2000),
        text("Contact", "name", 60),
        ("Contact", "phone", Shape::Form("^[+]?[0-9 -]{7,}$")),
        ("Amount", "currency", currency()),
        ("MoneyView", "currency", currency()),
    ]
}

/// The parameters of a call: how the path begins, the parameter, what it may be.
fn parameters(page_max: usize) -> Vec<(&'static str, &'static str, Shape)> {
    let most = u64::try_from(page_max).unwrap_or(u64::MAX);
    vec![
        ("", "limit", Shape::Whole(1, most)),
        ("", "user_id", Shape::Text(USER_ID_MAX)),
        ("", "charger_id", Shape::Name(ChargerId::MAX)),
        ("", "request_id", Shape::Name(RequestId::MAX)),
        ("", "key_id", Shape::Form("^ck_[0-9a-f]+$")),
        ("/api/v1/chargers", "id", Shape::Name(ChargerId::MAX)),
        ("/api/v1/sites", "id", Shape::Name(SiteId::MAX)),
        ("/api/v1/webhooks", "name", Shape::Name(EndpointName::MAX)),
        ("/api/v1/statuses", "site_id", Shape::Name(SiteId::MAX)),
        ("/api/v1/statuses", "connectors", Shape::Form(NAMED)),
        ("/api/v1/resolve", "code", Shape::Text(TEXT_MAX / 4)),
    ]
}

/// Up to 100 connectors by name.
const NAMED: &str = "^[A-Za-z0-9_-]{1,48}/[1-9][0-9]?(,[A-Za-z0-9_-]{1,48}/[1-9][0-9]?){0,99}$";

/// The document with all of this in it, as it is served. `page_max`: the largest `limit`.
pub(super) fn complete(document: &OpenApi, page_max: usize) -> Value {
    // The document was made from types: it is always JSON.
    let mut whole = serde_json::to_value(document).unwrap_or_default();
    let schemas = &mut whole["components"]["schemas"];
    for (of, member, shape) in members() {
        if let Some(schema) = schemas.pointer_mut(&format!("/{of}/properties/{member}")) {
            shape_of(schema, &shape);
        }
    }
    for schema in schemas.as_object_mut().into_iter().flat_map(Map::values_mut) {
        // Only what is read has this: answers may grow.
        if schema["additionalProperties"] == json!(false) && schema["properties"]["request_id"].is_object() {
            shape_of(&mut schema["properties"]["request_id"], &Shape::Name(RequestId::MAX));
        }
    }
    let known = parameters(page_max);
    let paths = whole["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (method, call) in item.as_object_mut().into_iter().flatten() {
            if !call["responses"].is_object() {
                continue;
            }
            for parameter in call.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                let fits = |(of, name, _): &&(&str, &str, Shape)| path.starts_with(of) && parameter["name"] == *name;
                if let Some((_, _, shape)) = known.iter().find(fits) {
                    shape_of(&mut parameter["schema"], shape);
                }
            }
            let signed = call["security"].to_string().contains("signature");
            if let Some(responses) = call.get_mut("responses").and_then(Value::as_object_mut) {
                spell_out(responses, path, method == "get", signed);
            }
        }
    }
    whole
}

fn shape_of(schema: &mut Value, shape: &Shape) {
    if let (Some(schema), Value::Object(keywords)) = (schema.as_object_mut(), shape.keywords()) {
        schema.extend(keywords);
    }
}

/// Replaces `4XX` and `5XX` by the statuses that a call can end with, and names the headers of all.
fn spell_out(responses: &mut Map<String, Value>, path: &str, read: bool, signed: bool) {
    let own = |responses: &Map<String, Value>, status: &str| responses.contains_key(status);
    if let Some(refused) = responses.remove("4XX") {
        let mut possible = vec![
            ("400", "The request is not well formed; see `details`"),
            ("403", "The key may not do this, or is banned for a while"),
            ("413", "The body is too large"),
            ("429", "Too many calls of this class; see `Retry-After`"),
        ];
        if signed {
            possible.push(("401", "The signature does not hold"));
        }
        if path.contains('{') || !read || NAMES_SOMETHING.iter().any(|named| path.ends_with(named)) {
            possible.push(("404", "There is no such thing, or it is not yours"));
        }
        // A read of the main endpoint, too, says so where none is set.
        if !read || path.contains("/webhook") {
            possible.push(("409", "Not possible now, or this `request_id` was used for something else"));
        }
        for (status, about) in possible {
            if !own(responses, status) {
                responses.insert(status.to_owned(), described(&refused, about));
            }
        }
    }
    if let Some(failed) = responses.remove("5XX") {
        let mut possible = vec![
            ("500", "A fault of ours; tell us the trace id"),
            ("503", "Not now, nothing was done; see `Retry-After`"),
        ];
        if !read {
            possible.push(("504", "It cannot be said whether it was done: repeat it with the same `request_id`"));
        }
        for (status, about) in possible {
            responses.insert(status.to_owned(), described(&failed, about));
        }
    }
    for (status, response) in responses.iter_mut() {
        response["headers"] = headers(status, signed);
    }
}

/// Reads without a path parameter that can miss what they ask for.
const NAMES_SOMETHING: [&str; 5] = ["/webhook", "/webhook/deliveries", "/reservation-terms", "/statuses", "/resolve"];

fn described(response: &Value, about: &str) -> Value {
    let mut response = response.clone();
    response["description"] = about.into();
    response
}

fn headers(status: &str, signed: bool) -> Value {
    let header = |kind: &str, about: &str| json!({"description": about, "schema": {"type": kind}});
    let mut headers = json!({"x-trace-id": header("string", "Name it when asking for support")});
    let mut more = |name: &str, kind: &str, about: &str| headers[name] = header(kind, about);
    // Refused before anybody is proven: nothing was counted.
    if signed && !["401", "403", "413"].contains(&status) {
        more("RateLimit-Policy", "string", "The limit of this class of calls: `\"read\";q=100;w=2`, 100 calls in 2 s");
        more("RateLimit", "string", "What is left of it: `\"read\";r=99;t=1`, 99 calls now, all again in 1 s");
        more("RateLimit-Limit", "integer", "Calls at once of this class, for clients that read the older form");
        more("RateLimit-Remaining", "integer", "Calls left now");
        more("RateLimit-Reset", "integer", "Seconds until another call is possible, 0: now");
    }
    if ["403", "429", "503"].contains(&status) {
        more("Retry-After", "integer", "Seconds after which a repeat can succeed");
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa_axum::router::OpenApiRouter;

    #[test]
    fn every_line_of_the_table_names_something() {
        let head = super::super::openapi::head();
        let routes = super::super::routes().merge(super::super::applications::routes());
        let (_, document) = OpenApiRouter::with_openapi(head).nest("/api/v1", routes).split_for_parts();
        let whole = complete(&document, 500);
        for (of, member, shape) in members() {
            let found = &whole["components"]["schemas"][of]["properties"][member];
            for (keyword, value) in shape.keywords().as_object().unwrap() {
                assert_eq!(&found[keyword], value, "{of}.{member}");
            }
        }
        for (start, name, _) in parameters(500) {
            let text = format!("\"name\":\"{name}\"");
            let paths = whole["paths"].as_object().unwrap().iter();
            assert!(
                paths.filter(|(path, _)| path.starts_with(start)).any(|(_, item)| item.to_string().contains(&text))
            );
        }
        let text = whole.to_string();
        assert!(!text.contains("\"4XX\"") && !text.contains("\"5XX\"") && text.contains("RateLimit-Policy"));
    }
}
