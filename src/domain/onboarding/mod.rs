//! A partner's application, from the form to the partner (EM-1). Pure rules. Owns its stages and who may move them; the partner
//! that comes of it is the business of [`crate::domain::delivery`].
//!
//! ```text
//! waiting ──return──▶ returned ──amend──▶ waiting
//!    │ ├─refuse─▶ refused        │withdraw
//!    │ └─withdraw─▶ withdrawn ◀──┘
//!    └─approve──▶ approved ──claim──▶ approved, credentials taken
//! ```
//!
//! Invariants: an application is decided once, by a person who is named; what is decided is never amended; its partner exists from
//! the very step of its approval; credentials are taken once, by who applied, and no operator ever sees them.

mod company;
#[cfg(test)]
mod tests;

pub use company::{CREDIT_CODE_FORM, CreditCode, CreditCodeError};

use crate::clock::Timestamp;
use crate::domain::access::{Grant, Scope};
use crate::domain::delivery::{
    PartnerCommand, PartnerEffect, PartnerEvent, PartnerFamily, PartnerKey, PartnerOrder, PartnerRejection,
    PartnerReply, Profile, Sealed, Sites, Subscriptions,
};
use crate::domain::entity::{Decision, Row};
use crate::ids::{EndpointName, RequestId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Table of applications, by the id that the partner will have; the whole [`Application`], contacts sealed.
pub const APPLICATION: &str = "application";
/// How long after the approval credentials can be taken: what nobody comes for must not lie about for ever.
pub const CLAIM_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Amendments of one application: more are no application.
const AMENDMENTS_MAX: usize = 20;

/// Through which face the partner wants to work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    /// The native API.
    #[default]
    Native,
    /// T/CEC 102 (EM-11): what is agreed there is set by an operator.
    Tcec,
}

/// What an applicant tells, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The company's registered name.
    pub company: String,
    /// Its unified social credit code.
    pub credit_code: CreditCode,
    /// How it wants to work.
    pub face: Face,
    /// What its first key should be able to do.
    pub scopes: BTreeSet<Scope>,
    /// From where that key may be used; empty: from everywhere.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// Where webhooks should go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// Persons to talk to, sealed: the shell opens them for operators (OP-9).
    pub contacts: Sealed,
    /// What else it wants to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Where an application stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// An operator has to look at it.
    #[default]
    Waiting,
    /// The applicant has to amend it.
    Returned,
    /// The partner exists.
    Approved,
    /// It does not become a partner.
    Refused,
    /// The applicant has taken it back.
    Withdrawn,
}

/// One thing that happened to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Where it stood from then on.
    pub stage: Stage,
    /// The operator; absent: the applicant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the operator's words, which the applicant reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An application: the fold of its facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// What the applicant told last; absent: there is no application.
    pub form: Option<Box<Form>>,
    /// What is kept of the token that the applicant chose.
    pub token: String,
    /// Where it stands.
    pub stage: Stage,
    /// What happened, oldest first.
    pub steps: Vec<Step>,
    /// The applicant's name of its last form: said again, it is the same.
    pub request: Option<RequestId>,
    /// When the credentials were taken, and which key it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<(Timestamp, String)>,
}

/// What the partner becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Which sites it sees (EM-6).
    pub sites: Sites,
    /// What its first key may do; absent: what was asked for.
    pub scopes: Option<BTreeSet<Scope>>,
    /// Whether its users have accounts here (MO-3).
    pub accounts: bool,
}

/// A key and what signs webhooks, made by the shell, sealed.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `ck_…`.
    pub key_id: String,
    /// The key's secret.
    pub secret: Sealed,
    /// What signs webhooks.
    pub webhook: Sealed,
}

/// What an application can be asked.
#[derive(Debug, Clone)]
pub enum ApplicationOrder {
    /// By the applicant: a first form.
    Submit {
        /// The applicant's name of it.
        request: RequestId,
        /// The form.
        form: Box<Form>,
        /// What is kept of the applicant's token.
        token: String,
    },
    /// By the applicant: another form in its place.
    Amend {
        /// The applicant's name of it.
        request: RequestId,
        /// The form.
        form: Box<Form>,
    },
    /// By the applicant: no more of it.
    Withdraw,
    /// By an operator: something has to be amended.
    Return {
        /// Who.
        by: String,
        /// What.
        reason: String,
    },
    /// By an operator.
    Refuse {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// By an operator.
    Approve {
        /// Who.
        by: String,
        /// What the partner becomes.
        approval: Approval,
    },
    /// By the applicant, once.
    Claim(Credentials),
}

/// What has happened to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApplicationFact {
    /// It was made.
    Submitted {
        /// The applicant's name of it.
        request: RequestId,
        /// What was told.
        form: Box<Form>,
        /// What is kept of the token.
        token: String,
        /// When.
        at: Timestamp,
    },
    /// Something else was told.
    Amended {
        /// The applicant's name of it.
        request: RequestId,
        /// All of it.
        form: Box<Form>,
        /// When.
        at: Timestamp,
    },
    /// It moved on.
    Moved(Step),
    /// It was approved: with this the first key may do.
    Approved {
        /// The step.
        step: Step,
        /// What its first key may do.
        scopes: BTreeSet<Scope>,
    },
    /// The credentials were taken.
    Claimed {
        /// When.
        at: Timestamp,
        /// Which key it is.
        key_id: String,
    },
}

impl Application {
    /// Folds a fact.
    pub fn apply(&mut self, fact: &ApplicationFact) {
        match fact {
            ApplicationFact::Submitted { request, form, token, at } => {
                (self.form, self.request) = (Some(form.clone()), Some(request.clone()));
                self.token.clone_from(token);
                self.moved(own(*at, Stage::Waiting));
            }
            ApplicationFact::Amended { request, form, at } => {
                (self.form, self.request) = (Some(form.clone()), Some(request.clone()));
                self.moved(own(*at, Stage::Waiting));
            }
            ApplicationFact::Moved(step) => self.moved(step.clone()),
            ApplicationFact::Approved { step, scopes } => {
                if let Some(form) = &mut self.form {
                    form.scopes.clone_from(scopes);
                }
                self.moved(step.clone());
            }
            ApplicationFact::Claimed { at, key_id } => self.claimed = Some((*at, key_id.clone())),
        }
    }

    fn moved(&mut self, step: Step) {
        self.stage = step.stage;
        self.steps.push(step);
    }

    /// Since when it stands where it does.
    pub fn since(&self) -> Option<Timestamp> {
        self.steps.last().map(|step| step.at)
    }
}

fn own(at: Timestamp, stage: Stage) -> Step {
    Step { at, stage, by: None, reason: None }
}

type Decided = Result<Decision<PartnerFamily>, PartnerRejection>;

/// Decides an order. What the applicant says again, after an answer was lost, is done already.
///
/// # Errors
/// `ApplicationUnknown` before the first form, `ApplicationExists` for a second one, `ApplicationDecided` where its stage does not
/// allow the order, `CredentialsGone` for a second or late claim, `TooManyAmendments`.
pub fn decide(state: &Application, order: ApplicationOrder, now: Timestamp) -> Decided {
    let Some(form) = &state.form else {
        return match order {
            ApplicationOrder::Submit { request, form, token } => {
                Ok(done(ApplicationFact::Submitted { request, form, token, at: now }))
            }
            _ => Err(PartnerRejection::ApplicationUnknown),
        };
    };
    match order {
        ApplicationOrder::Submit { request, .. } | ApplicationOrder::Amend { request, .. }
            if state.request.as_ref() == Some(&request) =>
        {
            Ok(Decision::reply(PartnerReply::Done))
        }
        ApplicationOrder::Submit { .. } => Err(PartnerRejection::ApplicationExists),
        ApplicationOrder::Amend { request, form } => {
            in_stage(state, &[Stage::Waiting, Stage::Returned])?;
            if state.steps.iter().filter(|step| step.stage == Stage::Waiting).count() > AMENDMENTS_MAX {
                return Err(PartnerRejection::TooManyAmendments);
            }
            Ok(done(ApplicationFact::Amended { request, form, at: now }))
        }
        ApplicationOrder::Withdraw if state.stage == Stage::Withdrawn => Ok(Decision::reply(PartnerReply::Done)),
        ApplicationOrder::Withdraw => {
            in_stage(state, &[Stage::Waiting, Stage::Returned])?;
            Ok(done(ApplicationFact::Moved(own(now, Stage::Withdrawn))))
        }
        ApplicationOrder::Return { by, reason } => judged(state, Stage::Returned, by, reason, now),
        ApplicationOrder::Refuse { by, reason } => judged(state, Stage::Refused, by, reason, now),
        ApplicationOrder::Approve { by, approval } => approve(state, form, by, approval, now),
        ApplicationOrder::Claim(credentials) => claim(state, form, credentials, now),
    }
}

fn done(fact: ApplicationFact) -> Decision<PartnerFamily> {
    Decision::reply(PartnerReply::Done).event(PartnerEvent::Application(fact))
}

fn in_stage(state: &Application, stages: &[Stage]) -> Result<(), PartnerRejection> {
    if stages.contains(&state.stage) { Ok(()) } else { Err(PartnerRejection::ApplicationDecided(state.stage)) }
}

fn judged(state: &Application, stage: Stage, by: String, reason: String, at: Timestamp) -> Decided {
    in_stage(state, &[Stage::Waiting, Stage::Returned])?;
    Ok(done(ApplicationFact::Moved(Step { at, stage, by: Some(by), reason: Some(reason) })))
}

/// The partner is defined in the same step: there is no approved application without its partner.
fn approve(state: &Application, form: &Form, by: String, approval: Approval, at: Timestamp) -> Decided {
    in_stage(state, &[Stage::Waiting])?;
    let Approval { sites, scopes, accounts } = approval;
    let step = Step { at, stage: Stage::Approved, by: Some(by), reason: None };
    let scopes = scopes.unwrap_or_else(|| form.scopes.clone());
    let profile = Profile { name: form.company.clone(), sites, events: Subscriptions::All, accounts };
    let define = PartnerCommand::Partner(PartnerOrder::Define(profile));
    Ok(done(ApplicationFact::Approved { step, scopes }).also(PartnerKey::Partner, define))
}

/// Key and webhook come to be in the same step as the claim: a claim that is repeated after a crash finds all or nothing.
fn claim(state: &Application, form: &Form, credentials: Credentials, now: Timestamp) -> Decided {
    in_stage(state, &[Stage::Approved])?;
    let Credentials { key_id, secret, webhook } = credentials;
    let late = state.since().is_some_and(|approved| now.since(approved) > CLAIM_WITHIN);
    match &state.claimed {
        Some((_, taken)) if *taken == key_id => return Ok(Decision::reply(PartnerReply::Done)),
        Some(_) => return Err(PartnerRejection::CredentialsGone),
        None if late => return Err(PartnerRejection::CredentialsGone),
        None => {}
    }
    let grant = Grant { scopes: form.scopes.clone(), networks: form.networks.clone() };
    let key = PartnerCommand::Partner(PartnerOrder::AddKey { id: key_id.clone(), secret, grant });
    let mut decision = done(ApplicationFact::Claimed { at: now, key_id }).also(PartnerKey::Partner, key);
    // With T/CEC 102 the webhook is part of what an operator agrees on.
    if let (Some(url), Face::Native) = (&form.webhook_url, form.face) {
        let (name, url, secret) = (EndpointName::default_endpoint(), url.clone(), Some(webhook));
        let endpoint = PartnerOrder::SetEndpoint { name, url, secret, wants: None, from: 0, new: false };
        let endpoint = PartnerCommand::Partner(endpoint);
        decision = decision.also(PartnerKey::Partner, endpoint);
    }
    Ok(decision.effect(PartnerEffect::DirectoryChanged))
}

/// The application's row.
pub fn rows(partition: &str, application: &Application) -> Vec<Row> {
    // Text, numbers and lists: writing them as JSON cannot fail.
    let value = serde_json::to_vec(application).ok();
    vec![Row { table: APPLICATION, key: partition.to_owned(), value }]
}
