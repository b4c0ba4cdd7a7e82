//! The arguments of `chargeline admin …`. Owns names and help texts.

mod account;
mod application;
mod desk;
mod messages;
mod partner;
pub(super) mod statement;
mod tariff;

pub(super) use account::Account;
pub(super) use desk::{Approval, AuditArgs, Operator, Ticket, TicketArgs};
pub(super) use messages::MessageArgs;
pub(super) use partner::{Partner, Tcec, Webhook};
pub(super) use statement::Statement;
pub(super) use tariff::Tariff;

use crate::api::port::{BootPolicy, CommandKind, LockAction, TokenState};
use crate::ids::{ChargerId, CommandId, PartnerId, ReservationId, SessionId, SiteId};
use clap::{Args as ClapArgs, Parser, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `chargeline admin …`.
#[derive(Debug, Parser)]
#[command(name = "admin", about = "Speak to a running server through its operator API")]
pub struct Args {
    /// Where the server is.
    #[command(flatten)]
    pub reach: Reach,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How to reach the server.
#[derive(Debug, Clone, ClapArgs)]
pub struct Reach {
    /// The operator API.
    #[arg(long, global = true, env = "CHARGELINE_OPERATOR_URL", default_value = "http://127.0.0.1:8081")]
    pub url: String,
    /// The file with your token, or the installation's.
    #[arg(long, global = true, env = "CHARGELINE_OPERATOR_TOKEN_FILE", default_value = "./chargeline-operator.key")]
    pub token_file: PathBuf,
    /// Your name, for the audit trail, where the token is the installation's; otherwise $USER. Your own token says who you are.
    #[arg(long, global = true)]
    pub operator: Option<String>,
    /// Print the server's answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sites.
    #[command(subcommand)]
    Site(Site),
    /// Creates or changes many sites and chargers out of a file (docs/operator-api.md).
    Import {
        /// The file, JSON.
        file: PathBuf,
        /// Only checks it.
        #[arg(long)]
        check: bool,
    },
    /// Chargers and commands to them.
    #[command(subcommand)]
    Charger(Charger),
    /// Partners, their keys and webhooks.
    #[command(subcommand)]
    Partner(Partner),
    /// Tariffs.
    #[command(subcommand)]
    Tariff(Tariff),
    /// Users' accounts.
    #[command(subcommand)]
    Account(Account),
    /// Statements and settlement with partners.
    #[command(subcommand)]
    Statement(Statement),
    /// Looks at all books of the running server.
    LedgerVerify,
    /// RFID tokens.
    #[command(subcommand)]
    Token(Token),
    /// Charging sessions.
    #[command(subcommand)]
    Session(Session),
    /// Reservations of connectors.
    #[command(subcommand)]
    Reservation(Reservation),
    /// Cases for a person: the list of `ticket list`.
    Tickets(TicketArgs),
    /// Cases for a person, and what is done with them.
    #[command(subcommand)]
    Ticket(Ticket),
    /// Operators, their roles and tokens.
    #[command(subcommand)]
    Operator(Operator),
    /// The audit trail.
    Audit(AuditArgs),
    /// What waits for a second person.
    #[command(subcommand)]
    Approval(Approval),
    /// Alerts.
    Alerts {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// The configuration in force.
    #[command(subcommand)]
    Config(Config),
    /// Entities that failed too often.
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// The store while the server runs.
    #[command(subcommand)]
    Journal(Journal),
}

/// Which part of a list.
#[derive(Debug, Default, ClapArgs)]
pub struct PageArgs {
    /// Most items.
    #[arg(long)]
    limit: Option<usize>,
    /// What an earlier page gave.
    #[arg(long)]
    cursor: Option<String>,
}

impl PageArgs {
    /// The path with this part's query.
    pub(in crate::api::cli) fn after(&self, path: &str) -> String {
        self.after_query(path, url::form_urlencoded::Serializer::new(String::new()))
    }

    /// The same, with what the query has already.
    fn after_query(&self, path: &str, mut query: url::form_urlencoded::Serializer<'_, String>) -> String {
        if let Some(limit) = self.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if let Some(cursor) = &self.cursor {
            query.append_pair("cursor", cursor);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// Sites.
#[derive(Debug, Subcommand)]
pub enum Site {
    /// Creates or changes a site.
    Set {
        /// Its id.
        id: SiteId,
        /// Its master data.
        #[command(flatten)]
        body: SiteBody,
    },
    /// Lists sites.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
}

/// A site's master data.
#[derive(Debug, ClapArgs, Serialize)]
pub struct SiteBody {
    /// As shown to people.
    #[arg(long)]
    name: String,
    /// Postal.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// IANA name, such as Asia/Shanghai.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// Latitude and longitude in degrees, such as 31.2304,121.4737.
    #[arg(long, value_parser = position, allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Value>,
}

fn position(text: &str) -> Result<Value, String> {
    let numbers: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match numbers[..] {
        [lat, lon] => Ok(json!({"lat": lat, "lon": lon})),
        _ => Err("two numbers with a comma are allowed: LAT,LON".into()),
    }
}

/// Chargers and commands to them.
#[derive(Debug, Subcommand)]
pub enum Charger {
    /// Registers a charger or changes it; a password is made and shown once if none is given.
    Add {
        /// Its id, the last part of its WebSocket URL.
        id: ChargerId,
        /// Its registration.
        #[command(flatten)]
        body: ChargerBody,
    },
    /// Lists chargers.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one.
    Show {
        /// Which.
        id: ChargerId,
    },
    /// Sends a command.
    Command {
        /// To which.
        id: ChargerId,
        /// Which command.
        kind: CommandKind,
        /// Its OCPP payload, a JSON object, or @FILE with one: certificates and lists are long.
        #[arg(default_value = "{}")]
        payload: String,
    },
    /// Shows what became of a command.
    CommandShow {
        /// Of which charger.
        id: ChargerId,
        /// Which command.
        command_id: CommandId,
    },
    /// Moves a parking lock or barrier; `charger show` tells what came of it.
    Lock {
        /// Of which charger.
        id: ChargerId,
        /// Before which connector.
        connector: u16,
        /// Up, so that nobody gets in, or down.
        action: LockAction,
    },
    /// Gives a charger a new password, made and kept by the server.
    RotateKey {
        /// Which.
        id: ChargerId,
    },
    /// Shows the OCPP frames that passed its socket, newest first.
    Messages {
        /// Whose.
        id: ChargerId,
        /// Which of them.
        #[command(flatten)]
        which: MessageArgs,
    },
    /// Takes a charger out of service, or back.
    Maintenance {
        /// Which.
        id: ChargerId,
        /// Out of service?
        #[arg(action = clap::ArgAction::Set)]
        on: bool,
        /// Why.
        #[arg(long)]
        note: Option<String>,
    },
}

/// A charger's registration.
#[derive(Debug, ClapArgs, Serialize)]
pub struct ChargerBody {
    /// Where it stands.
    #[arg(long)]
    #[serde(rename = "site_id")]
    site: SiteId,
    /// How many connectors.
    #[arg(long, default_value_t = 1)]
    connectors: u16,
    /// How its boot is answered: Accepted, Pending or Rejected.
    #[arg(long, default_value = "Accepted", value_parser = boot)]
    boot: BootPolicy,
    /// How it proves who it is: basic, none, or certificate (security profile 3).
    #[arg(long, default_value = "basic", value_parser = ["basic", "none", "certificate"])]
    auth: String,
    /// Below this security profile it does not come in, 0 to 3; unchanged if not given.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    security_profile: Option<u8>,
    /// Its password, 16 to 40 bytes.
    #[arg(long, env = "CHARGELINE_CHARGER_PASSWORD", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Password>,
}

/// A password from the command line, which no log shows (control 39).
#[derive(Clone, Serialize)]
#[serde(transparent)]
struct Password(String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl std::str::FromStr for Password {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Password(text.to_owned()))
    }
}

fn boot(text: &str) -> Result<BootPolicy, String> {
    serde_json::from_value(json!(text)).map_err(|_| "Accepted, Pending or Rejected is allowed".into())
}

/// RFID tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Creates or changes a token.
    Set {
        /// Its text, as the charger reads it: 1 to 20 letters and digits.
        #[arg(value_parser = id_tag)]
        id_tag: String,
        /// What it may do.
        #[command(flatten)]
        body: TokenBody,
    },
}

fn id_tag(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    if (1..=20).contains(&text.len()) && plain {
        Ok(text.to_owned())
    } else {
        Err("1 to 20 of A-Z a-z 0-9 - _ . : are allowed".into())
    }
}

/// What a token may do.
#[derive(Debug, ClapArgs, Serialize)]
pub struct TokenBody {
    /// What it may do.
    #[arg(long, value_enum, default_value = "Accepted")]
    status: TokenState,
    /// From when on it counts as expired (RFC 3339).
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// The partner whose user holds it.
    #[arg(long)]
    #[serde(rename = "partner_id", skip_serializing_if = "Option::is_none")]
    partner: Option<PartnerId>,
    /// That partner's name of the user.
    #[arg(long, requires = "partner")]
    #[serde(rename = "user_id", skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

/// Charging sessions.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// Lists sessions, newest first.
    List {
        /// Only open (`true`) or closed (`false`) ones.
        #[arg(long)]
        open: Option<bool>,
        /// Of this charger.
        #[arg(long)]
        charger: Option<ChargerId>,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one with its readings.
    Show {
        /// Which.
        id: SessionId,
    },
    /// Shows the OCPP frames of its charger while it lasted, oldest first.
    Messages {
        /// Which.
        id: SessionId,
        /// Which of them.
        #[command(flatten)]
        which: MessageArgs,
    },
    /// Stops one, whoever owns it.
    Stop {
        /// Which.
        id: SessionId,
    },
}

/// Reservations of connectors.
#[derive(Debug, Subcommand)]
pub enum Reservation {
    /// Lists reservations, newest first.
    List {
        /// Only open (`true`) or closed (`false`) ones.
        #[arg(long)]
        open: Option<bool>,
        /// Of this charger.
        #[arg(long)]
        charger: Option<ChargerId>,
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one.
    Show {
        /// Which.
        id: ReservationId,
    },
    /// Gives one up; nothing is charged.
    Cancel {
        /// Which.
        id: ReservationId,
    },
}

/// The configuration in force.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Shows the versions, newest first.
    Show,
    /// Applies a file.
    Apply {
        /// Which.
        file: PathBuf,
    },
    /// Goes back to a version.
    Rollback {
        /// Which.
        version: u64,
    },
}

/// Entities that failed too often.
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// Lists them.
    List,
    /// Lets one start again.
    Release {
        /// Which, as listed.
        entity: String,
    },
}

/// The store while the server runs.
#[derive(Debug, Subcommand)]
pub enum Journal {
    /// Backs it up.
    Backup {
        /// The backup's name.
        name: String,
    },
    /// Folds old history away.
    Compact,
    /// Shows figures.
    Stats,
}
