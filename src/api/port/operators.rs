//! Operators, the audit trail, tickets, and what waits for a second person (OP-2, OP-3). Owns the trait and its views; never an
//! implementation.

use super::{Moment, Page, PageRequest, Refusal};
use crate::domain::operator::approval::{Kind, Status};
use crate::domain::operator::person;
use crate::domain::operator::trail::{Findings, Line};
use crate::domain::operator::{Role, Roles};
use crate::ids::{OperatorId, PartnerId, TicketId};
use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// As it is remembered: an account's id, or `root`, or `root/<name>` ([`person`]).
    pub name: String,
    /// With which token of the account; `None`: the installation's.
    pub token: Option<String>,
    /// What they may do.
    pub roles: Roles,
}

impl Actor {
    /// Whoever holds the installation's token, and the name that they gave.
    pub fn root(named: Option<&str>) -> Self {
        Actor { name: person::under_root(named), token: None, roles: Role::ALL.into_iter().collect() }
    }

    /// An account.
    pub fn account(admitted: Opened, token: &str) -> Self {
        Actor { name: admitted.operator.to_string(), token: Some(token.to_owned()), roles: admitted.roles }
    }

    /// Whether it is the installation's token.
    pub fn is_root(&self) -> bool {
        self.token.is_none()
    }

    /// Whether it is the installation's token, and nobody was named.
    pub fn is_nameless(&self) -> bool {
        self.name == person::ROOT
    }

    /// Whether one of these roles is theirs. An administrator may everything.
    pub fn may(&self, roles: &[Role]) -> bool {
        self.roles.contains(&Role::Administrator) || roles.iter().any(|role| self.roles.contains(role))
    }
}

/// What an operator's token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whose it is.
    pub operator: OperatorId,
    /// What they may do.
    pub roles: Roles,
}

/// An operator's master data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorPut {
    /// For people, 1 to 100 characters.
    pub name: String,
    /// At least one.
    pub roles: Roles,
}

/// A token that HTTP has made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its public name.
    pub id: String,
    /// What proves it.
    pub secret: SecretString,
    /// What it is for.
    pub label: String,
    /// How long it counts.
    pub valid: Option<Duration>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its public name.
    pub token_id: String,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created_at: Moment,
    /// By whom.
    pub created_by: String,
    /// From when on it no longer counts.
    pub expires_at: Moment,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Moment>,
    /// When it was last used; after a restart of ours to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Moment>,
}

/// An operator as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorView {
    /// Its id.
    pub operator_id: OperatorId,
    /// For people.
    pub name: String,
    /// What it does here.
    pub roles: Roles,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Moment>,
    /// Why it may not act now: `{"reason", "by", "at"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Value>,
    /// Its tokens, those too that are over.
    pub tokens: Vec<TokenView>,
}

/// Which lines of the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSearch {
    /// Of this actor; `root` finds every name under it.
    pub actor: Option<String>,
    /// Whose action has this text in it.
    pub action: Option<String>,
    /// Whose target has this text in it.
    pub target: Option<String>,
    /// Not before.
    pub from: Option<Moment>,
    /// Before.
    pub to: Option<Moment>,
}

/// Which tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketSearch {
    /// Only open, or only closed ones.
    pub open: Option<bool>,
    /// Of this code.
    pub code: Option<String>,
    /// Of this operator; `none`: of nobody.
    pub assignee: Option<String>,
    /// About this: `order/<id>`, `charger/<id>` …
    pub subject: Option<String>,
}

/// What is done with a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketAct {
    /// This operator is to act; `None`: nobody.
    Assign(Option<OperatorId>),
    /// Something is to be known.
    Note(String),
    /// Nobody need act any more, for this reason.
    Close(String),
}

/// Something that may have to wait for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Make all personal data of a user unreadable (OP-9).
    EraseUser {
        /// Whose user.
        partner: PartnerId,
        /// That partner's name of the user. Personal.
        user_id: String,
    },
    /// Go back to an earlier configuration.
    RollBackConfig {
        /// Its number.
        version: u64,
    },
}

/// What came of a wish.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Granted {
    /// It is done; what that gave.
    Done(Value),
    /// Another person has to agree.
    Waits {
        /// Its name among all that waits.
        approval_id: String,
        /// `waiting`.
        status: Status,
        /// Until when.
        until: Moment,
    },
}

/// What waits for a second person, whatever it is, as one looks at it to decide who may agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// What kind of act.
    pub act: WaitingAct,
    /// All of it, as shown.
    pub view: Value,
}

/// Kinds of acts that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingAct {
    /// An adjustment of a user's account (MO-6).
    Adjustment,
    /// A refund of an order (MO-6).
    Refund,
    /// What the configuration makes wait.
    Other(Kind),
}

/// What operators are asked about themselves and their work.
#[async_trait]
pub trait DeskPort: Send + Sync + 'static {
    /// What a token opens now. `unavailable` while operators are still being read.
    fn operator_of(&self, token_id: &str, secret: &str) -> Result<Option<Opened>, Refusal>;

    /// All operators, by id.
    async fn operators(&self, page: PageRequest) -> Result<Page<OperatorView>, Refusal>;
    /// One of them, or `operator_unknown`.
    async fn operator(&self, id: &OperatorId) -> Result<OperatorView, Refusal>;
    /// Makes or changes one; whether it is new.
    async fn put_operator(&self, id: &OperatorId, put: OperatorPut, actor: &Actor) -> Result<bool, Refusal>;
    /// Lets one act no more, for a reason; or again.
    async fn suspend_operator(&self, id: &OperatorId, reason: Option<String>, actor: &Actor) -> Result<(), Refusal>;
    /// Adds a token; from when on it no longer counts.
    async fn add_token(&self, id: &OperatorId, token: NewToken, actor: &Actor) -> Result<Moment, Refusal>;
    /// Revokes a token; it opens nothing once this has answered.
    async fn revoke_token(&self, id: &OperatorId, token_id: &str) -> Result<(), Refusal>;

    /// Writes a line of the audit trail. Durable on `Ok`.
    async fn note(&self, line: Line) -> Result<(), Refusal>;
    /// Lines of the audit trail, newest first.
    async fn audit(&self, search: AuditSearch, page: PageRequest) -> Result<Page<Value>, Refusal>;
    /// Whether the whole trail is as it was written.
    async fn verify_audit(&self) -> Result<Findings, Refusal>;

    /// Tickets, newest first.
    async fn tickets(&self, search: TicketSearch, page: PageRequest) -> Result<Page<Value>, Refusal>;
    /// One of them with evidence and history, or `ticket_unknown`.
    async fn ticket(&self, id: &TicketId) -> Result<Value, Refusal>;
    /// Does something with it; as it is then.
    async fn work_ticket(&self, id: &TicketId, act: TicketAct, actor: &Actor) -> Result<Value, Refusal>;

    /// Does something, or lets it wait for a second person.
    async fn grant_wish(&self, wish: Wish, actor: &Actor) -> Result<Granted, Refusal>;
    /// What waits for a second person, oldest first.
    async fn approvals(&self, page: PageRequest) -> Result<Page<Value>, Refusal>;
    /// One of them, decided or not, or `approval_unknown`.
    async fn approval(&self, id: &str) -> Result<Waiting, Refusal>;
    /// Agrees to it, and it is done; what that gave.
    async fn agree(&self, id: &str, actor: &Actor) -> Result<Value, Refusal>;
    /// Drops it.
    async fn withdraw(&self, id: &str, actor: &Actor) -> Result<Value, Refusal>;
}
