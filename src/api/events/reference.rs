//! `docs/events.md`: the catalogue as people read it, made from the types. Owns the page; never what an event holds.

use super::{KINDS, Kind, Schemas};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEAD: &str = "# Events

Generated from the types by `cargo xtask docs`; the examples are what the rules have told in a run. Every event of a partner is in
`GET /events`; its webhook endpoints get those that they take ([partner API](partner-api.md)). Around `data` each has `id`, `type`,
`timestamp`, `partner_id`, `order_key` and, where gaps can show, `sequence`. Members may be added; take no offence at one that is new.

";

/// A member's type, its unit by its name, and what it is.
fn row(out: &mut String, name: &str, schema: &Value, required: bool) {
    // Of what may be absent it stands with the part that is there.
    let parts = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|several| schema[several].as_array()).flatten();
    let about = schema["description"].as_str().or_else(|| parts.filter_map(|part| part["description"].as_str()).next());
    let about = about.unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    let optional = if required { "" } else { "optional" };
    let _ = writeln!(out, "| `{name}` | {} | {} | {optional} | {about} |", type_of(schema), unit(name));
}

fn unit(name: &str) -> &'static str {
    let units = [
        ("_wh", "Wh"),
        ("power_w", "W"),
        ("_percent", "%"),
        ("_s", "s"),
        ("_at", "RFC 3339, UTC"),
        ("minor", "fen, cent …"),
        ("bytes", "bytes"),
    ];
    units.iter().find(|(ending, _)| name.ends_with(ending)).map_or("", |(_, unit)| unit)
}

fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[several].as_array() {
            let named: Vec<String> = parts
                .iter()
                .filter(|part| part["type"] != "null")
                .map(type_of)
                .filter(|part| !part.is_empty())
                .collect();
            return named.join(" or ");
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .filter_map(Value::as_str)
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let plain = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(some) => {
            some.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    };
    match (plain.as_str(), schema["format"].as_str()) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("string", Some("date-time")) => "moment".to_owned(),
        ("string", Some("uuid")) => "UUID".to_owned(),
        _ => plain,
    }
}

/// The members of an object, those of the objects that it takes in first.
fn members(schema: &Value, schemas: &BTreeMap<String, Value>) -> (Map<String, Value>, Vec<String>) {
    let (mut all, mut required) = (Map::new(), Vec::new());
    let mut take = |part: &Value| {
        let part = match part["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            Some(name) => schemas.get(name).cloned().unwrap_or_default(),
            None => part.clone(),
        };
        let (more, needed) = members(&part, schemas);
        all.extend(more);
        required.extend(needed);
    };
    schema["allOf"].as_array().into_iter().flatten().for_each(&mut take);
    if let Some(own) = schema["properties"].as_object() {
        all.extend(own.clone());
    }
    let own = schema["required"].as_array().into_iter().flatten();
    required.extend(own.filter_map(|name| name.as_str().map(str::to_owned)));
    (all, required)
}

fn table(out: &mut String, name: &str, schemas: &BTreeMap<String, Value>) {
    let schema = &schemas[name];
    if let Some(about) = schema["description"].as_str() {
        let _ = writeln!(out, "{}\n", about.trim());
    }
    let (all, required) = members(schema, schemas);
    if all.is_empty() {
        let _ = writeln!(out, "{}\n", type_of(schema));
        return;
    }
    out.push_str("| member | type | unit | | what |\n|---|---|---|---|---|\n");
    for (member, schema) in &all {
        row(out, member, schema, required.contains(member));
    }
    out.push('\n');
}

/// Names of the schemas that a text mentions.
fn mentioned(text: &str) -> Vec<String> {
    let links = text.split("](#").skip(1).filter_map(|rest| rest.split(')').next());
    links.map(str::to_owned).collect()
}

/// The whole page. `examples` is an object: event type to event.
pub fn markdown(examples: &Value) -> String {
    let mut found = Schemas::new();
    let named: Vec<(&Kind, String)> = KINDS.iter().map(|kind| (kind, (kind.schema)(&mut found))).collect();
    let as_json = |(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default());
    let schemas: BTreeMap<String, Value> = found.into_iter().map(as_json).collect();
    let mut out = HEAD.to_owned();
    out.push_str("| type | sent when | `data` |\n|---|---|---|\n");
    for (kind, data) in &named {
        let _ = writeln!(out, "| `{}` | {} | [{data}](#{}) |", kind.name, kind.when, data.to_lowercase());
    }
    let mut shown: Vec<&str> = Vec::new();
    for (_, data) in &named {
        if shown.contains(&data.as_str()) {
            continue;
        }
        shown.push(data);
        let _ = writeln!(out, "\n## {data}\n");
        table(&mut out, data, &schemas);
        for (kind, _) in named.iter().filter(|(_, of)| of == data) {
            let example = serde_json::to_string_pretty(&examples[kind.name]).unwrap_or_default();
            let _ = writeln!(out, "`{}`, such as:\n\n```json\n{example}\n```\n", kind.name);
        }
    }
    out.push_str("\n# Types within them\n");
    // What is mentioned may mention more.
    loop {
        let wanted = mentioned(&out);
        let next = schemas
            .keys()
            .find(|name| wanted.contains(&name.to_lowercase()) && !out.contains(&format!("\n## {name}\n")));
        let Some(next) = next else { break };
        let _ = writeln!(out, "\n## {next}\n");
        table(&mut out, next, &schemas);
    }
    format!("{}\n", out.replace("\n\n\n", "\n\n").trim_end())
}
