//! The arguments of `chargeline admin operator …`, `audit`, `ticket …` and `approval …`. Owns names, help texts and the calls they
//! make.

use super::PageArgs;
use crate::api::cli::Task;
use crate::domain::operator::Role;
use crate::ids::{OperatorId, TicketId};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;

/// Operators and their tokens.
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Makes an operator, or changes name and roles.
    Add {
        /// Its id.
        id: OperatorId,
        /// For people.
        #[arg(long)]
        name: String,
        /// What it does here: support, operations, finance, administrator; several times.
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
    },
    /// Lists operators.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one with its tokens.
    Show {
        /// Which.
        id: OperatorId,
    },
    /// Lets one act no more.
    Suspend {
        /// Whom.
        id: OperatorId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Lets one act again.
    Resume {
        /// Whom.
        id: OperatorId,
    },
    /// Its tokens.
    #[command(subcommand)]
    Token(OperatorToken),
}

/// Tokens of operators.
#[derive(Debug, Subcommand)]
pub enum OperatorToken {
    /// Makes one and shows it once: keep it in a file of mode 0600 and name that with --token-file.
    Add {
        /// Whose.
        id: OperatorId,
        /// What it is for.
        #[arg(long)]
        label: String,
        /// How long it counts, in seconds; otherwise as configured.
        #[arg(long)]
        valid_s: Option<u64>,
    },
    /// Revokes one, at once.
    Revoke {
        /// Whose.
        id: OperatorId,
        /// Its public name.
        token_id: String,
    },
}

impl Operator {
    /// The call that it makes.
    pub(in crate::api::cli) fn task(self) -> Task {
        match self {
            Operator::Add { id, name, roles } => {
                let body = json!({"name": name, "roles": roles});
                Task::send("PUT", format!("/operators/{id}"), body, format!("operator {id} set: {{roles}}"))
            }
            Operator::List { page } => Task::get(page.after("/operators"), "{count} operators"),
            Operator::Show { id } => Task::get(format!("/operators/{id}"), format!("operator {id} shown")),
            Operator::Suspend { id, reason } => {
                let said = format!("operator {id} suspended: its tokens open nothing");
                Task::send("POST", format!("/operators/{id}/suspend"), json!({"reason": reason}), said)
            }
            Operator::Resume { id } => {
                Task::send("POST", format!("/operators/{id}/resume"), json!({}), format!("operator {id} may act again"))
            }
            Operator::Token(OperatorToken::Add { id, label, valid_s }) => {
                let body = json!({"label": label, "valid_s": valid_s});
                let said = "token {token_id} made; it counts until {expires_at}";
                Task::send("POST", format!("/operators/{id}/tokens"), body, said)
            }
            Operator::Token(OperatorToken::Revoke { id, token_id }) => {
                let (path, said) = (format!("/operators/{id}/tokens/{token_id}"), format!("token {token_id} revoked"));
                Task { method: "DELETE", ..Task::get(path, said) }
            }
        }
    }
}

/// Which lines of the audit trail.
#[derive(Debug, ClapArgs)]
pub struct AuditArgs {
    /// Look at the whole trail instead: is every line as it was written?
    #[arg(long)]
    verify: bool,
    /// Of this operator; `root` for the installation's token.
    #[arg(long)]
    actor: Option<String>,
    /// Whose method or route has this in it.
    #[arg(long)]
    action: Option<String>,
    /// Whose target has this in it.
    #[arg(long)]
    target: Option<String>,
    /// Not before (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Before (RFC 3339).
    #[arg(long)]
    to: Option<String>,
    /// Which part.
    #[command(flatten)]
    page: PageArgs,
}

/// A query of those that are there.
fn query(pairs: &[(&str, Option<&str>)]) -> url::form_urlencoded::Serializer<'static, String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query
}

impl AuditArgs {
    /// The call that it makes.
    pub(in crate::api::cli) fn task(self) -> Task {
        if self.verify {
            return Task::get("/audit/verify", "{lines} lines looked at");
        }
        let of = query(&[
            ("actor", self.actor.as_deref()),
            ("action", self.action.as_deref()),
            ("target", self.target.as_deref()),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
        ]);
        Task::get(self.page.after_query("/audit", of), "{count} lines")
    }
}

/// Tickets.
#[derive(Debug, Subcommand)]
pub enum Ticket {
    /// Lists tickets, newest first.
    List(TicketArgs),
    /// Shows one with evidence and history.
    Show {
        /// Which.
        id: TicketId,
    },
    /// Gives it to an operator, or to nobody.
    Assign {
        /// Which.
        id: TicketId,
        /// To whom.
        to: Option<OperatorId>,
    },
    /// Writes something into its history.
    Note {
        /// Which.
        id: TicketId,
        /// What is to be known. Nothing personal.
        text: String,
    },
    /// Closes it; it opens again when its case comes again.
    Close {
        /// Which.
        id: TicketId,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Which tickets.
#[derive(Debug, Default, ClapArgs)]
pub struct TicketArgs {
    /// Only open ones, or only closed ones.
    #[arg(long)]
    open: Option<bool>,
    /// Of this kind.
    #[arg(long)]
    code: Option<String>,
    /// Of this operator; `none`: of nobody.
    #[arg(long)]
    assignee: Option<String>,
    /// About this: `order/ID`, `charger/ID`.
    #[arg(long)]
    subject: Option<String>,
    /// Which part.
    #[command(flatten)]
    page: PageArgs,
}

impl TicketArgs {
    /// The call that it makes.
    pub(in crate::api::cli) fn task(self) -> Task {
        let open = self.open.map(|open| open.to_string());
        let of = query(&[
            ("open", open.as_deref()),
            ("code", self.code.as_deref()),
            ("assignee", self.assignee.as_deref()),
            ("subject", self.subject.as_deref()),
        ]);
        Task::get(self.page.after_query("/tickets", of), "{count} tickets")
    }
}

impl Ticket {
    /// The call that it makes.
    pub(in crate::api::cli) fn task(self) -> Task {
        let post = |id: &TicketId, what: &str, body, said: &str| {
            Task::send("POST", format!("/tickets/{id}/{what}"), body, said)
        };
        match self {
            Ticket::List(which) => which.task(),
            Ticket::Show { id } => Task::get(format!("/tickets/{id}"), "ticket is {state}; its cause: {cause}"),
            Ticket::Assign { id, to } => post(&id, "assign", json!({"to": to}), "ticket assigned to {assignee}"),
            Ticket::Note { id, text } => post(&id, "note", json!({"text": text}), "noted"),
            Ticket::Close { id, reason } => {
                post(&id, "close", json!({"reason": reason}), "ticket is {state}; its cause: {cause}")
            }
        }
    }
}

/// What waits for a second person.
#[derive(Debug, Subcommand)]
pub enum Approval {
    /// Lists what waits.
    List {
        /// Which part.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Shows one.
    Show {
        /// Which.
        id: String,
    },
    /// Agrees to what another operator has proposed, and it is done.
    Approve {
        /// Which.
        id: String,
    },
    /// Drops it.
    Withdraw {
        /// Which.
        id: String,
    },
}

impl Approval {
    /// The call that it makes.
    pub(in crate::api::cli) fn task(self) -> Task {
        match self {
            Approval::List { page } => Task::get(page.after("/approvals"), "{count} acts wait for a second person"),
            Approval::Show { id } => Task::get(format!("/approvals/{id}"), "it is {status}"),
            Approval::Approve { id } => {
                Task::send("POST", format!("/approvals/{id}/approve"), json!({}), "agreed, and done: {outcome}")
            }
            Approval::Withdraw { id } => {
                Task::send("POST", format!("/approvals/{id}/withdraw"), json!({}), "it is {status}")
            }
        }
    }
}
