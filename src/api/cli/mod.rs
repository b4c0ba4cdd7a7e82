//! `chargeline admin …`: the operator API from the command line. Owns arguments and what is printed; never touches the store
//! or a charger itself.
//!
//! Every command ends with one line that says what happened, and with a non-zero status if that is not what was asked for. With
//! `--json` the server's answer is printed as it came.

mod args;
mod export;
mod http;
mod tariff;

pub use args::Args;

use crate::ids::{ChargerId, EndpointName, PartnerId};
use args::{
    Account, Charger, Command, Config, Journal, MessageArgs, Partner, Quarantine, Reservation, Session, Site, Tcec,
    Token, Webhook,
};
use http::{Answer, Client};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// A call of the operator API and how its outcome is told.
struct Task {
    method: &'static str,
    path: String,
    body: Option<Value>,
    /// The last line when it went well; `{…}` are members of the answer.
    said: String,
    /// Where all pages of a list go, instead of one being shown.
    file: Option<PathBuf>,
}

impl Task {
    fn get(path: impl Into<String>, said: impl Into<String>) -> Self {
        Task { method: "GET", path: path.into(), body: None, said: said.into(), file: None }
    }

    fn send(method: &'static str, path: impl Into<String>, body: Value, said: impl Into<String>) -> Self {
        Task { method, path: path.into(), body: Some(body), said: said.into(), file: None }
    }
}

/// What is printed, and whether all went well.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    good: bool,
    lines: Vec<String>,
}

/// Runs an admin command; the exit code says whether it did what was asked for.
///
/// # Errors
/// When the server cannot be reached, the token file cannot be read, or an argument names a file that is not there.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let told = execute(args).await?;
    for line in &told.lines {
        if told.good {
            println!("{line}");
        } else {
            eprintln!("{line}");
        }
    }
    Ok(if told.good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn execute(args: Args) -> anyhow::Result<Told> {
    let client = Client::new(&args.reach)?;
    let task = task(args.command)?;
    if let Some(file) = &task.file {
        return export::run(&client, &task, file).await;
    }
    let answer = client.send(task.method, &task.path, task.body.as_ref()).await?;
    Ok(tell(&answer, &task, args.reach.json))
}

/// What is said of an act that waits for a second person.
const WAITS: &str = "another operator has to agree until {until}: `chargeline admin approval approve {approval_id}`";

/// What to print of an answer: its content, and the last line.
fn tell(answer: &Answer, task: &Task, as_json: bool) -> Told {
    if !answer.good() {
        let error = &answer.json["error"];
        let detail = |d: &Value| {
            format!("  {}: {} (allowed: {})", plain(&d["field"]), plain(&d["problem"]), plain(&d["allowed"]))
        };
        let mut lines: Vec<_> = error["details"].as_array().into_iter().flatten().map(detail).collect();
        let message = error["message"].as_str().unwrap_or("no explanation");
        lines.push(format!("failed: {message} ({}, HTTP {})", plain(&error["code"]), answer.status));
        return Told { good: false, lines };
    }
    if as_json {
        let text = serde_json::to_string_pretty(&answer.json).unwrap_or_default();
        return Told { good: true, lines: vec![text] };
    }
    let mut lines = lines(&answer.json);
    // Not done yet: another operator has to agree.
    let waits = answer.status == 202 && answer.json["approval_id"].is_string();
    let pattern = if waits { WAITS } else { &task.said };
    lines.push(said(pattern, &answer.json));
    // A look at the books says itself whether they are right.
    Told { good: answer.json["sound"] != json!(false), lines }
}

/// Fills `{member}` from the answer; `{count}` is the number of items.
fn said(pattern: &str, json: &Value) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((head, tail)) = rest.split_once('{') {
        let (name, tail) = tail.split_once('}').unwrap_or((tail, ""));
        out.push_str(head);
        match name {
            "count" => out.push_str(&json["items"].as_array().map_or(0, Vec::len).to_string()),
            name => out.push_str(&plain(&json[name])),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The items of a list, one a line; one object as its members, one a line; secrets stand out.
fn lines(json: &Value) -> Vec<String> {
    if let Some(items) = json["items"].as_array() {
        let mut lines: Vec<_> = items.iter().map(row).collect();
        if let Some(next) = json["next"].as_str() {
            lines.push(format!("more: --cursor {next}"));
        }
        return lines;
    }
    let members = json.as_object().into_iter().flatten();
    members.map(|(name, value)| format!("{name}: {}{}", plain(value), once(name))).collect()
}

fn once(name: &str) -> &'static str {
    if ["password", "secret", "token", "webhook_secret"].contains(&name) { "   (shown once: keep it)" } else { "" }
}

fn row(item: &Value) -> String {
    let members = item.as_object().into_iter().flatten();
    let short = members.filter(|(_, value)| !value.is_null()).map(|(name, value)| format!("{name}={}", plain(value)));
    short.collect::<Vec<_>>().join("  ")
}

/// A value on one line, without what could steer a terminal (control 20).
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn task(command: Command) -> anyhow::Result<Task> {
    Ok(match command {
        Command::Site(Site::Set { id, body }) => {
            Task::send("PUT", format!("/sites/{id}"), json!(body), format!("site {id} set"))
        }
        Command::Site(Site::List { page }) => Task::get(page.after("/sites"), "{count} sites"),
        Command::Import { file, check } => {
            let mut body = tariff::read(&file)?;
            if let (true, Some(members)) = (check, body.as_object_mut()) {
                members.insert("check".to_owned(), json!(true));
            }
            let done = if check { "checked" } else { "imported" };
            Task::send("POST", "/import", body, format!("{{sites}} sites and {{chargers}} chargers {done}"))
        }
        Command::Charger(command) => charger(command)?,
        Command::Partner(command) => partner(command)?,
        Command::Tariff(command) => tariff::task(command)?,
        Command::Account(command) => account(command),
        Command::Statement(command) => args::statement::task(command),
        Command::LedgerVerify => {
            Task::get("/ledger/verify", "{accounts} accounts, {entries} entries, {wrong} problems")
        }
        Command::Token(Token::Set { id_tag, body }) => {
            Task::send("PUT", format!("/tokens/{id_tag}"), json!(body), "token set to {status}")
        }
        Command::Session(command) => session(command),
        Command::Reservation(command) => reservation(command),
        Command::Tickets(which) => which.task(),
        Command::Ticket(command) => command.task(),
        Command::Operator(command) => command.task(),
        Command::Audit(which) => which.task(),
        Command::Approval(command) => command.task(),
        Command::Alerts { page } => Task::get(page.after("/alerts"), "{count} alerts"),
        Command::Config(command) => config(command)?,
        Command::Quarantine(Quarantine::List) => Task::get("/quarantine", "{count} entities in quarantine"),
        Command::Quarantine(Quarantine::Release { entity }) => {
            let said = format!("{entity} released");
            Task::send("POST", "/quarantine/release", json!({"entity": entity}), said)
        }
        Command::Journal(Journal::Backup { name }) => {
            let said = format!("journal backed up as {name}");
            Task::send("POST", "/journal/backup", json!({"name": name}), said)
        }
        Command::Journal(Journal::Compact) => Task::send("POST", "/journal/compact", json!({}), "journal compacted"),
        Command::Journal(Journal::Stats) => Task::get("/journal/stats", "journal statistics shown"),
    })
}

fn charger(command: Charger) -> anyhow::Result<Task> {
    Ok(match command {
        Charger::Add { id, body } => {
            Task::send("PUT", format!("/chargers/{id}"), json!(body), format!("charger {id} registered"))
        }
        Charger::List { page } => Task::get(page.after("/chargers"), "{count} chargers"),
        Charger::Show { id } => Task::get(format!("/chargers/{id}"), format!("charger {id} shown")),
        Charger::Command { id, kind, payload } => {
            let payload = payload_of(&payload)?;
            let body = json!({"kind": kind, "payload": payload});
            Task::send(
                "POST",
                format!("/chargers/{id}/commands"),
                body,
                format!("command {{command_id}} to {id} taken"),
            )
        }
        Charger::CommandShow { id, command_id } => {
            Task::get(format!("/chargers/{id}/commands/{command_id}"), "command is {state}")
        }
        Charger::Lock { id, connector, action } => {
            let body = json!({"connector_id": connector, "action": action});
            let said = format!("command {{command_id}} to {id} taken: `charger show {id}` tells what the lock does");
            Task::send("POST", format!("/chargers/{id}/lock"), body, said)
        }
        Charger::RotateKey { id } => {
            let said =
                format!("command {{command_id}} to {id} taken: the old password counts until the new one was used");
            Task::send("POST", format!("/chargers/{id}/authorization-key"), json!({}), said)
        }
        Charger::Messages { id, which } => messages(&format!("/chargers/{id}/messages"), which),
        Charger::Maintenance { id, on, note } => {
            let body = json!({"on": on, "note": note});
            let said = format!("charger {id} {} service", if on { "taken out of" } else { "back in" });
            Task::send("POST", format!("/chargers/{id}/maintenance"), body, said)
        }
    })
}

/// A command's payload: as given, or from the file behind `@`.
fn payload_of(given: &str) -> anyhow::Result<Value> {
    let text = match given.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|e| anyhow::anyhow!("{file} cannot be read: {e}"))?,
        None => given.to_owned(),
    };
    serde_json::from_str(&text).map_err(|e| {
        anyhow::anyhow!("the payload is no JSON ({e}): an object such as '{{\"type\":\"Soft\"}}' is allowed, or @FILE")
    })
}

fn tcec(id: &PartnerId, command: Tcec) -> anyhow::Result<Task> {
    let path = format!("/partners/{id}/tcec");
    Ok(match command {
        Tcec::Set { body } => Task::send("PUT", path, payload_of(&body)?, "T/CEC 102 set for operator {operator_id}"),
        Tcec::Show => Task::get(path, "operator {operator_id} at {base_url}"),
        Tcec::Secrets { overlap_s } => {
            let said = "new secrets made; the old ones count too for {overlap_s} s";
            Task::send("POST", format!("{path}/secrets"), json!({"overlap_s": overlap_s}), said)
        }
    })
}

fn partner(command: Partner) -> anyhow::Result<Task> {
    Ok(match command {
        Partner::Add { id, body } => {
            Task::send("PUT", format!("/partners/{id}"), body.json(), format!("partner {id} set"))
        }
        Partner::List { page } => Task::get(page.after("/partners"), "{count} partners"),
        Partner::Show { id } => Task::get(format!("/partners/{id}"), format!("partner {id} shown")),
        Partner::Key { id, what } => {
            let (method, path, body, said) = what.call();
            let path = format!("/partners/{id}{path}");
            match method {
                "DELETE" => Task { method, ..Task::get(path, said) },
                _ => Task::send(method, path, body, said),
            }
        }
        Partner::Secret { id, overlap_s, endpoint } => {
            let said = "new signing secret made; the old one signs too for {overlap_s} s";
            let path = format!("{}/secret", webhook_path(&id, endpoint.as_ref()));
            Task::send("POST", path, json!({"overlap_s": overlap_s}), said)
        }
        Partner::Webhook { id, endpoint, command } => webhook(&id, endpoint, command),
        Partner::EraseUser { id, user_id } => {
            let path = format!("/partners/{id}/users/erase");
            Task::send("POST", path, json!({"user_id": user_id}), "the user's personal data cannot be read any more")
        }
        Partner::Replay { id, what, endpoint } => {
            let path = format!("{}/replay", webhook_path(&id, endpoint.as_ref()));
            Task::send("POST", path, what.json(), "{replayed} events sent again")
        }
        Partner::Tcec { id, command } => tcec(&id, command)?,
        Partner::Application { command } => command.task(),
        Partner::Suspend { id, reason } => {
            let path = format!("/partners/{id}/suspend");
            Task::send("POST", path, json!({"reason": reason}), format!("partner {id} begins nothing new"))
        }
        Partner::Resume { id } => {
            Task::send("POST", format!("/partners/{id}/resume"), json!({}), format!("partner {id} works on as before"))
        }
    })
}

fn webhook_path(id: &PartnerId, endpoint: Option<&EndpointName>) -> String {
    match endpoint {
        Some(name) => format!("/partners/{id}/webhooks/{name}"),
        None => format!("/partners/{id}/webhook"),
    }
}

/// A list of the command line: `all`, or these; nothing where none is given.
fn choice(given: Vec<String>) -> Option<Value> {
    match given.as_slice() {
        [] => None,
        [all] if all == "all" => Some(json!("all")),
        _ => Some(json!(given)),
    }
}

fn webhook(id: &PartnerId, endpoint: Option<EndpointName>, command: Webhook) -> Task {
    let path = |tail: &str| format!("{}{tail}", webhook_path(id, endpoint.as_ref()));
    // What only the routes with a name have.
    let named = || webhook_path(id, Some(&endpoint.clone().unwrap_or_else(EndpointName::default_endpoint)));
    match command {
        Webhook::Show => Task::get(path(""), "{depth} events wait"),
        Webhook::List => Task::get(format!("/partners/{id}/webhooks"), "{count} endpoints"),
        Webhook::Set { to, events, sites } => {
            let mut body = serde_json::Map::new();
            body.extend(to.map(|url| ("url".to_owned(), json!(url))));
            body.extend(choice(events).map(|events| ("events".to_owned(), events)));
            body.extend(choice(sites).map(|sites| ("sites".to_owned(), sites)));
            Task::send("PUT", named(), Value::Object(body), "endpoint {name} set")
        }
        Webhook::Remove => {
            let said = "endpoint removed with {dropped} events that waited and {dead_letters} dead letters";
            Task { method: "DELETE", ..Task::get(named(), said) }
        }
        Webhook::Verify => Task::send("POST", path("/verify"), json!({}), "endpoint asked"),
        Webhook::Vouch => Task::send("POST", path("/vouch"), json!({}), "endpoint verified by hand"),
        Webhook::Enable => Task::send("POST", path("/enable"), json!({}), "webhook enabled"),
        Webhook::Disable => Task::send("POST", path("/disable"), json!({}), "webhook disabled"),
        Webhook::DeadLetters { page } => Task::get(page.after(&path("/dead-letters")), "{count} dead letters"),
        Webhook::Deliveries { page } => Task::get(page.after(&path("/deliveries")), "{count} attempts"),
    }
}

fn account(command: Account) -> Task {
    let (call, said) = (command.call(), command.said());
    match call {
        ("GET", path, _) => Task::get(path, said),
        (method, path, body) => Task::send(method, path, body, said),
    }
}

fn session(command: Session) -> Task {
    match command {
        Session::List { open, charger, page } => {
            Task::get(filtered(page.after("/sessions"), open, charger), "{count} sessions")
        }
        Session::Show { id } => Task::get(format!("/sessions/{id}"), "session is {status}"),
        Session::Messages { id, which } => messages(&format!("/sessions/{id}/messages"), which),
        Session::Stop { id } => {
            Task::send("POST", format!("/sessions/{id}/stop"), json!({}), "stop taken; session is {status}")
        }
    }
}

fn reservation(command: Reservation) -> Task {
    match command {
        Reservation::List { open, charger, page } => {
            Task::get(filtered(page.after("/reservations"), open, charger), "{count} reservations")
        }
        Reservation::Show { id } => Task::get(format!("/reservations/{id}"), "reservation is {status}"),
        Reservation::Cancel { id } => {
            Task::send("POST", format!("/reservations/{id}/cancel"), json!({}), "given up; reservation is {status}")
        }
    }
}

/// A list's path with what narrows it down.
fn filtered(mut path: String, open: Option<bool>, charger: Option<ChargerId>) -> String {
    for (name, value) in [("open", open.map(|o| o.to_string())), ("charger_id", charger.map(|c| c.to_string()))] {
        if let Some(value) = value {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&format!("{name}={value}"));
        }
    }
    path
}

fn messages(path: &str, which: MessageArgs) -> Task {
    Task { file: which.file.clone(), ..Task::get(which.after(path), "{count} messages") }
}

fn config(command: Config) -> anyhow::Result<Task> {
    Ok(match command {
        Config::Show => Task::get("/config", "version {current} is in force"),
        Config::Apply { file } => {
            let toml = std::fs::read_to_string(&file)
                .map_err(|e| anyhow::anyhow!("{} cannot be read: {e}", file.display()))?;
            Task::send("PUT", "/config", json!({"toml": toml}), "applied as version {version}")
        }
        Config::Rollback { version } => {
            let said = format!("rolled back to version {version}, now version {{version}}");
            Task::send("POST", "/config/rollback", json!({"version": version}), said)
        }
    })
}

#[cfg(test)]
mod tests;
