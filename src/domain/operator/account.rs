//! An operator's account (OP-3): name, roles, bearer tokens, suspension. Owns who an operator is; a token is known by a digest
//! only.
//!
//! Invariants: nobody changes their own roles or suspension; a token that is revoked or over never counts again; a suspended
//! operator has no live token.

use super::family::{Effect, OperatorFamily, Rejection, Reply};
use super::role::Roles;
use crate::clock::Timestamp;
use crate::domain::entity::{Context, Decision};
use crate::ids::OperatorId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Live tokens of one operator: a person, a laptop, some programs.
pub const TOKENS_MAX: usize = 8;
/// Tokens remembered, those that are over too.
const TOKENS_KEPT: usize = 32;

/// A token as a digest. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// Who the operator is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// For people.
    pub name: Box<str>,
    /// What it does here.
    pub roles: Roles,
}

/// A bearer token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is for, for people.
    pub label: Box<str>,
    /// Of its secret.
    pub digest: Digest,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub by: Box<str>,
    /// From when on it no longer counts.
    pub expires: Timestamp,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// When it was last used, to the hour or so: what is exact is in memory only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
}

impl Token {
    /// Whether it opens at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.expires
    }
}

/// Why an operator may not act for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// For people.
    pub reason: Box<str>,
    /// Who said so.
    pub by: Box<str>,
    /// Since when.
    pub at: Timestamp,
}

/// An operator: the fold of its facts. Its row is this, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Absent until it is defined.
    pub profile: Option<Profile>,
    /// When it was first defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// By token id.
    pub tokens: BTreeMap<String, Token>,
    /// Set while it may not act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Suspension>,
}

impl Operator {
    /// The roles with which a token acts at `now`; `None`: it opens nothing.
    pub fn admits(&self, token: &str, now: Timestamp) -> Option<&Roles> {
        let profile = self.profile.as_ref().filter(|_| self.suspended.is_none())?;
        self.tokens.get(token).filter(|token| token.is_live(now)).map(|_| &profile.roles)
    }

    fn live(&self, now: Timestamp) -> usize {
        self.tokens.values().filter(|token| token.is_live(now)).count()
    }
}

/// What an account can be asked.
#[derive(Debug, Clone)]
pub enum OperatorOrder {
    /// Make it, or change its name and roles.
    Define {
        /// Name and roles.
        profile: Profile,
        /// Who wants it.
        by: Box<str>,
    },
    /// Let it act no more, or again.
    Suspend {
        /// Why; `None`: it may act again.
        reason: Option<Box<str>>,
        /// Who wants it.
        by: Box<str>,
    },
    /// Add a token.
    AddToken {
        /// Its public name, made by the shell.
        id: String,
        /// The rest.
        token: Box<Token>,
    },
    /// Revoke a token, at once.
    RevokeToken {
        /// Which.
        id: String,
    },
    /// A token was used; said now and then only.
    NoteUse {
        /// Which.
        id: String,
    },
}

/// What has happened to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorFact {
    /// It was made or changed.
    Defined {
        /// Name and roles.
        profile: Profile,
        /// Who wanted it.
        by: Box<str>,
        /// When.
        at: Timestamp,
    },
    /// It may not act.
    Suspended(Suspension),
    /// It may act again.
    Resumed {
        /// Who wanted it.
        by: Box<str>,
    },
    /// A token was added.
    TokenAdded {
        /// Its public name.
        id: String,
        /// The rest.
        token: Box<Token>,
    },
    /// A token was revoked.
    TokenRevoked {
        /// Which.
        id: String,
        /// When.
        at: Timestamp,
    },
    /// A token was used.
    TokenUsed {
        /// Which.
        id: String,
        /// When.
        at: Timestamp,
    },
}

impl Operator {
    pub(super) fn fold(&mut self, fact: &OperatorFact) {
        match fact {
            OperatorFact::Defined { profile, at, .. } => {
                self.profile = Some(profile.clone());
                self.created.get_or_insert(*at);
            }
            OperatorFact::Suspended(suspension) => self.suspended = Some(suspension.clone()),
            OperatorFact::Resumed { .. } => self.suspended = None,
            OperatorFact::TokenAdded { id, token } => {
                self.tokens.insert(id.clone(), (**token).clone());
                self.forget_oldest(token.created);
            }
            OperatorFact::TokenRevoked { id, at } => {
                if let Some(token) = self.tokens.get_mut(id) {
                    token.revoked = Some(*at);
                }
            }
            OperatorFact::TokenUsed { id, at } => {
                if let Some(token) = self.tokens.get_mut(id) {
                    token.used = token.used.max(Some(*at));
                }
            }
        }
    }

    /// Whoever makes tokens every minute must not grow us: of those that are over, the oldest go.
    fn forget_oldest(&mut self, now: Timestamp) {
        while self.tokens.len() > TOKENS_KEPT {
            let over = self.tokens.iter().filter(|(_, token)| !token.is_live(now));
            let Some(oldest) = over.min_by_key(|(_, token)| token.created).map(|(id, _)| id.clone()) else { return };
            self.tokens.remove(&oldest);
        }
    }
}

pub(super) fn decide(
    id: &OperatorId,
    operator: &Operator,
    order: OperatorOrder,
    context: &Context<'_, ()>,
) -> Result<Decision<OperatorFamily>, Rejection> {
    let done = |fact: OperatorFact| Ok(Decision::reply(Reply::Done).event(fact.into()).effect(Effect::Known));
    let known = operator.profile.is_some();
    let own = |by: &str| if by.eq_ignore_ascii_case(id.as_str()) { Err(Rejection::OwnAccount) } else { Ok(()) };
    match order {
        OperatorOrder::Define { profile, by } => {
            own(&by)?;
            if profile.roles.is_empty() {
                return Err(Rejection::NoRole);
            }
            if operator.profile.as_ref() == Some(&profile) {
                return Ok(Decision::reply(Reply::Done));
            }
            done(OperatorFact::Defined { profile, by, at: context.now })
        }
        _ if !known => Err(Rejection::OperatorUnknown),
        OperatorOrder::Suspend { reason: Some(reason), by } => {
            own(&by)?;
            done(OperatorFact::Suspended(Suspension { reason, by, at: context.now }))
        }
        OperatorOrder::Suspend { reason: None, by } => {
            own(&by)?;
            done(OperatorFact::Resumed { by })
        }
        OperatorOrder::AddToken { id, token } => {
            if operator.live(context.now) >= TOKENS_MAX {
                return Err(Rejection::TooManyTokens(TOKENS_MAX));
            }
            done(OperatorFact::TokenAdded { id, token })
        }
        OperatorOrder::RevokeToken { id } => match operator.tokens.get(&id) {
            None => Err(Rejection::TokenUnknown),
            Some(token) if token.revoked.is_some() => Ok(Decision::reply(Reply::Done)),
            Some(_) => done(OperatorFact::TokenRevoked { id, at: context.now }),
        },
        OperatorOrder::NoteUse { id } => match operator.tokens.contains_key(&id) {
            true => Ok(Decision::reply(Reply::Done).event(OperatorFact::TokenUsed { id, at: context.now }.into())),
            false => Err(Rejection::TokenUnknown),
        },
    }
}
