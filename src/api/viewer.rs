//! The page at `/docs` (EM-13): the OpenAPI document as one HTML page, made by the server. Owns its looks; never a script and
//! never anything from another host, so it works where there is no network.

use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430;background:#fff}\
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid #d5dbe3}code,pre{font:14px/1.45 ui-monospace,monospace}\
pre{background:#f4f6f9;padding:.6rem .8rem;overflow:auto;border-radius:4px}details{border:1px solid #d5dbe3;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}\
summary{cursor:pointer}.get{color:#0b6b3a}.post{color:#8a4b00}.put{color:#4b3d9e}.delete{color:#a11}\
table{border-collapse:collapse;width:100%}td,th{border:1px solid #d5dbe3;padding:.25rem .5rem;text-align:left;vertical-align:top}\
@media(prefers-color-scheme:dark){body{color:#dfe5ee;background:#14181f}pre{background:#1d232d}details,td,th,h2{border-color:#39424f}\
.get{color:#6fd39b}.post{color:#f0b25f}.put{color:#b3a7ff}.delete{color:#ff8d8d}a{color:#8fb7ff}}";

/// The page.
pub fn page(document: &Value) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let title = escape(text(&document["info"]["title"]));
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    );
    paragraphs(&mut out, text(&document["info"]["description"]));
    out.push_str("<p>The exact reference is <a href=\"/openapi.json\">/openapi.json</a>.</p>");
    for tag in array(&document["tags"]) {
        let _ = write!(out, "<h2>{}</h2><p>{}</p>", escape(text(&tag["name"])), escape(text(&tag["description"])));
        operations(&mut out, document, text(&tag["name"]));
    }
    out.push_str("<h2>Types</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let _ = write!(out, "<details id=\"{0}\"><summary><code>{0}</code></summary>", escape(name));
        described_schema(&mut out, schema);
        out.push_str("</details>");
    }
    out.push_str("</body></html>");
    out
}

fn operations(out: &mut String, document: &Value, tag: &str) {
    for (path, item) in members(&document["paths"]) {
        for (method, operation) in members(item) {
            if !array(&operation["tags"]).iter().any(|t| text(t) == tag) {
                continue;
            }
            let _ = write!(
                out,
                "<details><summary><b class=\"{method}\">{}</b> <code>{}</code> {}</summary>",
                method.to_uppercase(),
                escape(path),
                escape(text(&operation["summary"])),
            );
            paragraphs(out, text(&operation["description"]));
            parameters(out, operation);
            if let Some(schema) = operation["requestBody"]["content"]["application/json"].get("schema") {
                let _ = write!(out, "<p>Body: {}</p>", type_of(schema));
            }
            responses(out, operation);
            out.push_str("</details>");
        }
    }
}

fn parameters(out: &mut String, operation: &Value) {
    let all = array(&operation["parameters"]);
    if all.is_empty() {
        return;
    }
    out.push_str("<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>");
    for parameter in all {
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(text(&parameter["name"])),
            escape(text(&parameter["in"])),
            type_of(&parameter["schema"]),
            escape(text(&parameter["description"])),
        );
    }
    out.push_str("</table>");
}

fn responses(out: &mut String, operation: &Value) {
    out.push_str("<table><tr><th>status</th><th></th><th>body</th></tr>");
    for (status, response) in members(&operation["responses"]) {
        let schema = response["content"]["application/json"].get("schema").map(type_of).unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{schema}</td></tr>",
            escape(status),
            escape(text(&response["description"]))
        );
    }
    out.push_str("</table>");
}

fn described_schema(out: &mut String, schema: &Value) {
    paragraphs(out, text(&schema["description"]));
    let properties: Vec<_> = members(&schema["properties"]).collect();
    if properties.is_empty() {
        let _ = write!(out, "<p>{}</p>", type_of(schema));
        return;
    }
    let required: Vec<&str> = array(&schema["required"]).iter().map(text).collect();
    out.push_str("<table><tr><th>member</th><th>type</th><th></th></tr>");
    for (name, property) in properties {
        let optional = if required.contains(&name) { "" } else { " (optional)" };
        let _ = write!(
            out,
            "<tr><td><code>{}</code>{optional}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            type_of(property),
            escape(text(&property["description"])),
        );
    }
    out.push_str("</table>");
}

/// A type in a few words, with a link where it has a name.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{0}\"><code>{0}</code></a>", escape(name));
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let parts = array(&schema[key]);
        if !parts.is_empty() {
            return parts
                .iter()
                .filter(|part| text(&part["type"]) != "null")
                .map(type_of)
                .collect::<Vec<_>>()
                .join(" or ");
        }
    }
    let values = array(&schema["enum"]);
    if !values.is_empty() {
        return values.iter().map(|v| format!("<code>{}</code>", escape(text(v)))).collect::<Vec<_>>().join(", ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or "),
        other => text(other).to_owned(),
    };
    if kind == "array" {
        return format!("list of {}", type_of(&schema["items"]));
    }
    let format = text(&schema["format"]);
    escape(&if format.is_empty() { kind } else { format!("{kind} ({format})") })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// Paragraphs, `code` and **bold**: as much of Markdown as our own texts use.
fn paragraphs(out: &mut String, markdown: &str) {
    for paragraph in markdown.split("\n\n").filter(|p| !p.trim().is_empty()) {
        let escaped = escape(paragraph.trim());
        let code = alternate(&escaped, "`", "<code>", "</code>");
        let _ = write!(out, "<p>{}</p>", alternate(&code, "**", "<b>", "</b>"));
    }
}

fn alternate(text: &str, mark: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (n, part) in text.split(mark).enumerate() {
        match n {
            0 => {}
            n if n % 2 == 1 => out.push_str(open),
            _ => out.push_str(close),
        }
        out.push_str(part);
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_tags_and_texts_cannot() {
        let mut out = String::new();
        paragraphs(&mut out, "a `<b>` **c**\n\nd");
        assert_eq!(out, "<p>a <code>&lt;b&gt;</code> <b>c</b></p><p>d</p>");
    }
}
