//! Applications of partners behind HTTP (EM-1). Owns the trait, its requests and views.

use super::{Actor, Moment, NewKey, Page, PageRequest, Refusal, SitesScope};
use crate::domain::access::Scope;
use crate::domain::onboarding::{CreditCode, Face, Stage};
use crate::ids::{PartnerId, RequestId};
use async_trait::async_trait;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What a contact is to be talked to about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactRole {
    /// Contracts.
    Business,
    /// Integration and incidents.
    Technical,
    /// Statements and payments.
    Finance,
    /// Danger at a charger, at any hour.
    Emergency,
}

/// A person to talk to. Personal: kept under a key of its own that dies with the application (OP-9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// About what.
    pub role: ContactRole,
    /// 1 to 60 characters.
    pub name: String,
    /// Digits, blanks and `-`, with `+` and the country's code outside mainland China.
    pub phone: String,
    /// An e-mail address.
    pub email: String,
}

/// An application that HTTP has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationPut {
    /// The company's registered name.
    pub company: String,
    /// Its code.
    pub credit_code: CreditCode,
    /// How it wants to work.
    pub face: Face,
    /// What its first key should be able to do.
    pub scopes: BTreeSet<Scope>,
    /// From where that key may be used.
    pub networks: Vec<IpNet>,
    /// Where webhooks should go; not yet checked against the address guard.
    pub webhook_url: Option<String>,
    /// Persons to talk to.
    pub contacts: Vec<Contact>,
    /// What else it wants to say.
    pub note: Option<String>,
}

/// One thing that happened to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplicationStep {
    /// When.
    pub at: Moment,
    /// Where it stood from then on.
    pub stage: Stage,
    /// The operator; shown to operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplicationView {
    /// Its id, and the partner's once it is approved.
    #[schema(value_type = String)]
    pub application_id: PartnerId,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: Moment,
    /// The company's registered name.
    pub company: String,
    /// Its unified social credit code.
    pub credit_code: String,
    /// How it wants to work.
    pub face: Face,
    /// What its first key may do.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// From where that key may be used; empty: from everywhere.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// Where webhooks should go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// Persons to talk to; empty once they were erased.
    pub contacts: Vec<Contact>,
    /// What else it wants to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What happened, oldest first.
    pub steps: Vec<ApplicationStep>,
    /// Until when the credentials can be taken, once it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_until: Option<Moment>,
    /// When they were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_taken_at: Option<Moment>,
    /// Other applications of this code; shown to operators only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub same_code: Vec<PartnerId>,
}

/// What an approved partner may do.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalPut {
    /// Sites visible to it (EM-6).
    pub sites: SitesScope,
    /// What its first key may do; absent: what was asked for.
    #[serde(default)]
    pub scopes: Option<BTreeSet<Scope>>,
    /// Whether its users have accounts here.
    #[serde(default)]
    pub accounts: bool,
}

/// What an operator says to an application.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It becomes a partner.
    Approve(ApprovalPut),
    /// It has to be amended: what.
    Return(String),
    /// It does not become one: why.
    Refuse(String),
}

/// What is done with applications. Every write is journaled before it is answered.
#[async_trait]
pub trait OnboardingPort: Send + Sync + 'static {
    /// Whether this token opens the application. In memory, without waiting; the same work for one that is unknown.
    /// [`Unavailable`] until recovery is over: before that none is known, and nobody may be told so for good.
    ///
    /// [`Unavailable`]: crate::api::catalogue::Code::Unavailable
    fn application_opens(&self, id: &PartnerId, token: &SecretString) -> Result<bool, Refusal>;

    /// Makes an application, which is opened by `token` from now on. [`ApplicationExists`] if there is one,
    /// [`ApplicationsFull`] while too many wait, `endpoint_refused` for a webhook that the address guard does not let through.
    ///
    /// [`ApplicationExists`]: crate::api::catalogue::Code::ApplicationExists
    /// [`ApplicationsFull`]: crate::api::catalogue::Code::ApplicationsFull
    async fn apply(
        &self,
        id: &PartnerId,
        token: &SecretString,
        request: RequestId,
        form: ApplicationPut,
    ) -> Result<(), Refusal>;

    /// Puts another form in the place of the one there is.
    async fn amend_application(&self, id: &PartnerId, request: RequestId, form: ApplicationPut) -> Result<(), Refusal>;

    /// Takes it back; its contacts can never be read again.
    async fn withdraw_application(&self, id: &PartnerId) -> Result<(), Refusal>;

    /// Gives the new partner this key and this signing secret, once; what the key may do.
    async fn claim_credentials(&self, id: &PartnerId, key: NewKey, webhook: SecretString) -> Result<(), Refusal>;

    /// One application, as the applicant sees it, or `application_unknown`.
    async fn application(&self, id: &PartnerId) -> Result<ApplicationView, Refusal>;

    /// The same, as operators see it.
    async fn any_application(&self, id: &PartnerId) -> Result<ApplicationView, Refusal>;

    /// Applications by id, those of one stage only if it is given; contacts are shown one by one only.
    async fn applications(&self, stage: Option<Stage>, page: PageRequest) -> Result<Page<ApplicationView>, Refusal>;

    /// Decides an application, or sends it back.
    async fn judge_application(&self, id: &PartnerId, judgement: Judgement, actor: &Actor) -> Result<(), Refusal>;

    /// Suspends a partner for a reason that it reads; `None`: it works on as before.
    async fn suspend_partner(&self, id: &PartnerId, reason: Option<String>, actor: &Actor) -> Result<(), Refusal>;
}
