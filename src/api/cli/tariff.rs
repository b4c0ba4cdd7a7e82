//! `chargeline admin tariff …` as calls of the operator API.

use super::args::Tariff;
use super::{Task, Value, json};
use std::path::Path;
use url::form_urlencoded::Serializer;

pub(super) fn read(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file).map_err(|e| anyhow::anyhow!("{} cannot be read: {e}", file.display()))?;
    serde_json::from_str(&text).map_err(|e| anyhow::anyhow!("{} is no JSON: {e}", file.display()))
}

fn query(path: String, pairs: &[(&str, Option<String>)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The call that does it.
pub(super) fn task(command: Tariff) -> anyhow::Result<Task> {
    Ok(match command {
        Tariff::List { page } => Task::get(page.after("/tariffs"), "{count} tariffs"),
        Tariff::Show { id, version: None } => Task::get(format!("/tariffs/{id}"), format!("tariff {id} shown")),
        Tariff::Show { id, version: Some(version) } => {
            Task::get(format!("/tariffs/{id}/versions/{version}"), format!("version {version} of tariff {id} shown"))
        }
        Tariff::At { site, at } => Task::get(
            query(format!("/sites/{site}/tariff"), &[("at", at)]),
            "tariff {id} version {version} is in force",
        ),
        Tariff::Check { id, file } => {
            Task::send("POST", format!("/tariffs/{id}/check"), read(&file)?, "tariff {tariff_id} is good")
        }
        Tariff::Publish { id, file } => {
            let said = "tariff {tariff_id} published as version {version}; in force nowhere yet";
            Task::send("PUT", format!("/tariffs/{id}"), read(&file)?, said)
        }
        Tariff::RollOut { id, body } => {
            let said = "version {version} of tariff {tariff_id} rolled out";
            Task::send("POST", format!("/tariffs/{id}/roll-out"), json!(body), said)
        }
        Tariff::RollBack { id, sites } => {
            let body = if sites.is_empty() { json!({}) } else { json!({"sites": sites}) };
            Task::send("POST", format!("/tariffs/{id}/roll-back"), body, "tariff {tariff_id} rolled back")
        }
        Tariff::Export { id, version } => {
            let path = query(format!("/tariffs/{id}/ocpi"), &[("version", version.map(|v| v.to_string()))]);
            Task::get(path, format!("tariff {id} shown as OCPI"))
        }
        Tariff::Import { id, file, time_zone, check } => {
            let mut body = read(&file)?;
            // What `export` shows is taken as well as the bare object.
            if body["elements"].is_null() && body["tariff"].is_object() {
                body = body["tariff"].take();
            }
            let pairs = [("time_zone", Some(time_zone)), ("check", check.then(|| "true".to_owned()))];
            let said =
                if check { "tariff {tariff_id} is good" } else { "tariff {tariff_id} published as version {version}" };
            Task::send("POST", query(format!("/tariffs/{id}/ocpi"), &pairs), body, said)
        }
    })
}
