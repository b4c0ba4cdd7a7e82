//! The arguments of `chargeline admin partner …`. Owns names and help texts.

use super::PageArgs;
use super::application::Application;
use crate::domain::access::Scope;
use crate::ids::{EndpointName, PartnerId, SiteId};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

/// Partners, their keys and webhooks.
#[derive(Debug, Subcommand)]
pub enum Partner {
    /// Creates or changes a partner.
    Add {
        /// Its id.
        id: PartnerId,
        /// Its master data.
        #[command(flatten)]
        body: PartnerBody,
    },
    /// Lists partners.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one.
    Show {
        /// Which.
        id: PartnerId,
    },
    /// Makes a key, shown once; or revokes, rotates or confines one.
    Key {
        /// Whose.
        id: PartnerId,
        /// What about it.
        #[command(flatten)]
        what: KeyArgs,
    },
    /// Makes a new secret that signs webhooks, shown once.
    Secret {
        /// Whose.
        id: PartnerId,
        /// How long the old one signs too.
        #[arg(long, default_value_t = 86_400)]
        overlap_s: u64,
        /// Of which webhook endpoint; without it the one called `default`.
        #[arg(long)]
        endpoint: Option<EndpointName>,
    },
    /// Webhook endpoints and their queues.
    Webhook {
        /// Whose.
        id: PartnerId,
        /// Which; without it the one called `default`.
        #[arg(long)]
        endpoint: Option<EndpointName>,
        /// What.
        #[command(subcommand)]
        command: Webhook,
    },
    /// What is agreed with it in T/CEC 102.
    Tcec {
        /// Whose.
        id: PartnerId,
        /// What.
        #[command(subcommand)]
        command: Tcec,
    },
    /// Applications of those who want to become partners.
    Application {
        /// What.
        #[command(subcommand)]
        command: Application,
    },
    /// Lets a partner begin nothing new; what runs goes on to its end.
    Suspend {
        /// Which.
        id: PartnerId,
        /// Why: the partner reads it.
        #[arg(long)]
        reason: String,
    },
    /// Lets a suspended partner work on as before.
    Resume {
        /// Which.
        id: PartnerId,
    },
    /// Makes all personal data of a user unreadable, for good; sessions and amounts stay.
    EraseUser {
        /// Whose user.
        id: PartnerId,
        /// The partner's name of the user.
        user_id: String,
    },
    /// Sends events again.
    Replay {
        /// Whose.
        id: PartnerId,
        /// To which webhook endpoint; without it the one called `default`.
        #[arg(long)]
        endpoint: Option<EndpointName>,
        /// Which.
        #[command(flatten)]
        what: ReplayArgs,
    },
}

/// What to do with a partner's keys.
#[derive(Debug, ClapArgs)]
pub struct KeyArgs {
    /// Revoke this one instead, at once.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["rotate", "confine", "scopes", "networks"])]
    revoke: Option<String>,
    /// Put a new key in the place of this one instead.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["confine", "scopes", "networks"])]
    rotate: Option<String>,
    /// How long the replaced key signs on.
    #[arg(long, default_value_t = 86_400, requires = "rotate")]
    overlap_s: u64,
    /// Say from where this one may be used instead; without --networks: from everywhere.
    #[arg(long, value_name = "KEY", conflicts_with = "scopes")]
    confine: Option<String>,
    /// What the new key may do, separated by commas: query, control, settlement, accounts, push, credentials; all without.
    #[arg(long, value_delimiter = ',')]
    scopes: Option<Vec<Scope>>,
    /// From where it may be used: CIDR or addresses, separated by commas; everywhere without.
    #[arg(long, value_delimiter = ',')]
    networks: Vec<String>,
}

impl KeyArgs {
    /// Method, path below the partner's, body, and what is said when it is done.
    pub(in crate::api::cli) fn call(self) -> (&'static str, String, Value, String) {
        if let Some(key) = self.revoke {
            return ("DELETE", format!("/keys/{key}"), Value::Null, format!("key {key} revoked"));
        }
        if let Some(key) = self.rotate {
            let said = format!("key {{key_id}} made; {key} signs too for {{overlap_s}} s");
            return ("POST", format!("/keys/{key}/rotate"), json!({"overlap_s": self.overlap_s}), said);
        }
        let mut body = json!({"networks": self.networks});
        if let Some(key) = self.confine {
            return ("PUT", format!("/keys/{key}/networks"), body, format!("key {key} counts from there only"));
        }
        if let Some(scopes) = self.scopes {
            body["scopes"] = json!(scopes);
        }
        ("POST", "/keys".to_owned(), body, "key {key_id} made".to_owned())
    }
}

/// A partner's master data.
#[derive(Debug, ClapArgs)]
pub struct PartnerBody {
    /// As shown to people.
    #[arg(long)]
    name: String,
    /// Where its webhooks go.
    #[arg(long)]
    webhook: Option<String>,
    /// Event types, separated by commas; all without.
    #[arg(long, value_delimiter = ',', requires = "webhook")]
    events: Option<Vec<String>>,
    /// Sites that it may see, separated by commas; all without.
    #[arg(long, value_delimiter = ',')]
    sites: Option<Vec<SiteId>>,
    /// Whether its users have accounts here: the first-party app.
    #[arg(long)]
    accounts: Option<bool>,
}

impl PartnerBody {
    pub(in crate::api::cli) fn json(&self) -> Value {
        let mut body = json!({"name": self.name});
        if let Some(url) = &self.webhook {
            body["webhook"] = json!({"url": url});
            if let Some(events) = &self.events {
                body["webhook"]["events"] = json!(events);
            }
        }
        if let Some(sites) = &self.sites {
            body["sites"] = json!(sites);
        }
        if let Some(accounts) = self.accounts {
            body["accounts"] = json!(accounts);
        }
        body
    }
}

/// What to do with what is agreed in T/CEC 102.
#[derive(Debug, Subcommand)]
pub enum Tcec {
    /// Sets it: a JSON object (docs/tcec-102.md), or @FILE, which keeps secrets out of the shell's history.
    Set {
        /// The object, or @FILE.
        body: String,
    },
    /// Shows it, without secrets.
    Show,
    /// Makes a new set of secrets for the partner to call us with, shown once.
    Secrets {
        /// How long the old ones count too.
        #[arg(long, default_value_t = 86_400)]
        overlap_s: u64,
    },
}

/// What to do with a webhook.
#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Shows endpoint, health, queue.
    Show,
    /// Sends.
    Enable,
    /// Stops sending; events are kept.
    Disable,
    /// All endpoints of the partner.
    List,
    /// Makes an endpoint, or changes it.
    Set {
        /// Where to; left out: as it is.
        #[arg(long)]
        to: Option<String>,
        /// Event types that it gets, once for each, or `all`; left out: as it is, all for a new one.
        #[arg(long)]
        events: Vec<String>,
        /// Sites whose events it gets, once for each, or `all`; left out: as it is, all for a new one.
        #[arg(long)]
        sites: Vec<String>,
    },
    /// Takes the endpoint away for good; events stay in the partner's list of events.
    Remove,
    /// Asks the endpoint at once for the challenge, or whether it is there again.
    Verify,
    /// Vouches for a URL whose receiver cannot answer the challenge.
    Vouch,
    /// Events that were given up.
    DeadLetters {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// The log of attempts.
    Deliveries {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
}

/// Which events to send again.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = true)]
pub struct ReplayArgs {
    /// All that were given up.
    #[arg(long, conflicts_with_all = ["event", "from", "to"])]
    all_dead: bool,
    /// This event; may be repeated.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    event: Vec<String>,
    /// Events from this moment on (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Events up to this moment (RFC 3339).
    #[arg(long)]
    to: Option<String>,
}

impl ReplayArgs {
    pub(in crate::api::cli) fn json(&self) -> Value {
        let mut body = json!({});
        if self.all_dead {
            body["all_dead"] = json!(true);
        }
        if !self.event.is_empty() {
            body["event_ids"] = json!(self.event);
        }
        for (name, moment) in [("from", &self.from), ("to", &self.to)] {
            if let Some(moment) = moment {
                body[name] = json!(moment);
            }
        }
        body
    }
}
