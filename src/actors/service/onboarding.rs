//! Applications of partners as HTTP asks about them (EM-1). Owns the way to the application's entity, and sealing the contacts;
//! the rules are in `domain::onboarding`.

use super::admin::partners::{order, seal};
use super::{Service, corrupt, partner_rejected, refused};
use crate::api::catalogue::Code;
use crate::api::port::{
    Actor, AllSites, ApplicationPut, ApplicationStep, ApplicationView, ApprovalPut, Contact, Judgement, Moment, NewKey,
    OnboardingPort, Page, PageRequest, Refusal, SitesScope,
};
use crate::domain::delivery::{PartnerCommand, PartnerKey, PartnerOrder, Sealed, Sites};
use crate::domain::onboarding::{Application, ApplicationOrder, Approval, CLAIM_WITHIN, Credentials, Form, Stage};
use crate::domain::platform;
use crate::ids::{PartnerId, RequestId};
use crate::persistence::vault::{self, UserRef, VaultError};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

/// The scope of the pseudonyms under which contacts are sealed.
const CONTACTS: &str = "applicant";

impl Service {
    fn contacts_of(&self, id: &PartnerId) -> UserRef {
        self.vault.pseudonym(CONTACTS, id.as_str())
    }

    async fn ask_application(&self, id: &PartnerId, order: ApplicationOrder) -> Result<(), Refusal> {
        self.working()?;
        let command = PartnerCommand::Application(order);
        let asked = self.partners.ask(id.as_str(), PartnerKey::Application, command).await;
        asked.map(drop).map_err(|refusal| refused(refusal, partner_rejected))
    }

    /// The form with its contacts sealed, its webhook let through by the address guard.
    async fn form_of(&self, id: &PartnerId, put: ApplicationPut) -> Result<Box<Form>, Refusal> {
        if let Some(url) = &put.webhook_url {
            self.check_target("webhook_url", url)?;
        }
        let contacts = serde_json::to_string(&put.contacts).map_err(|error| corrupt(CONTACTS, "", &error))?;
        let sealed = self.vault.seal(&self.contacts_of(id), &contacts).await;
        let sealed = sealed.map_err(|error| corrupt("userkey", id.as_str(), &error))?;
        let ApplicationPut { company, credit_code, face, scopes, networks, webhook_url, note, contacts: _ } = put;
        let contacts = Sealed(sealed.0);
        Ok(Box::new(Form { company, credit_code, face, scopes, networks, webhook_url, contacts, note }))
    }

    async fn contacts(&self, id: &PartnerId, form: &Form) -> Result<Vec<Contact>, Refusal> {
        let sealed = vault::Sealed(form.contacts.0.clone());
        match self.vault.unseal(&self.contacts_of(id), &sealed).await {
            Ok(plain) => serde_json::from_str(&plain).map_err(|error| corrupt(CONTACTS, id.as_str(), &error)),
            Err(VaultError::Erased) => Ok(Vec::new()),
            Err(error) => Err(corrupt(CONTACTS, id.as_str(), &error)),
        }
    }

    fn known_application(&self, id: &PartnerId) -> Result<Arc<Application>, Refusal> {
        self.directory.applications.get(id).ok_or_else(|| Code::ApplicationUnknown.into())
    }
}

/// An application without contacts, as operators see it in a list.
fn view(id: &PartnerId, application: &Application) -> Option<ApplicationView> {
    let form = application.form.as_deref()?;
    let approved = application.since().filter(|_| application.stage == Stage::Approved);
    let step = |step: &crate::domain::onboarding::Step| ApplicationStep {
        at: Moment(step.at),
        stage: step.stage,
        by: step.by.clone(),
        reason: step.reason.clone(),
    };
    Some(ApplicationView {
        application_id: id.clone(),
        stage: application.stage,
        since: Moment(application.since()?),
        company: form.company.clone(),
        credit_code: form.credit_code.to_string(),
        face: form.face,
        scopes: form.scopes.iter().copied().collect(),
        networks: form.networks.clone(),
        webhook_url: form.webhook_url.clone(),
        contacts: Vec::new(),
        note: form.note.clone(),
        steps: application.steps.iter().map(step).collect(),
        credentials_until: approved.filter(|_| application.claimed.is_none()).map(|at| Moment(at + CLAIM_WITHIN)),
        credentials_taken_at: application.claimed.as_ref().map(|(at, _)| Moment(*at)),
        same_code: Vec::new(),
    })
}

fn approval(put: ApprovalPut) -> Approval {
    let sites = match put.sites {
        SitesScope::All(AllSites::All) => Sites::All,
        SitesScope::Only(sites) => Sites::Only(sites.into_iter().collect()),
    };
    Approval { sites, scopes: put.scopes, accounts: put.accounts }
}

#[async_trait]
impl OnboardingPort for Service {
    fn application_opens(&self, id: &PartnerId, token: &SecretString) -> Result<bool, Refusal> {
        self.working()?;
        let known = self.directory.applications.get(id);
        let hash = known.as_deref().map_or("", |application| application.token.as_str());
        Ok(self.vault.verify_credential(token.expose_secret().as_bytes(), hash))
    }

    async fn apply(
        &self,
        id: &PartnerId,
        token: &SecretString,
        request: RequestId,
        form: ApplicationPut,
    ) -> Result<(), Refusal> {
        self.working()?;
        if self.directory.applications.get(id).is_none() {
            let most = self.configuration.live.current().api.applications_waiting_max;
            if self.directory.applications.open() >= most {
                return Err(Code::ApplicationsFull.into());
            }
        }
        let (company, form) = (form.company.clone(), self.form_of(id, form).await?);
        let token = self.vault.hash_credential(token.expose_secret().as_bytes());
        self.ask_application(id, ApplicationOrder::Submit { request, form, token }).await?;
        self.alerts.raise(platform::Alert {
            code: "partner_application".to_owned(),
            level: "warning".to_owned(),
            subject: format!("application {id}"),
            text: format!("{company} wants to become a partner"),
            ticket: false,
        });
        Ok(())
    }

    async fn amend_application(&self, id: &PartnerId, request: RequestId, form: ApplicationPut) -> Result<(), Refusal> {
        let form = self.form_of(id, form).await?;
        self.ask_application(id, ApplicationOrder::Amend { request, form }).await
    }

    async fn withdraw_application(&self, id: &PartnerId) -> Result<(), Refusal> {
        self.ask_application(id, ApplicationOrder::Withdraw).await?;
        self.vault.forget(&self.contacts_of(id)).await.map_err(|error| {
            tracing::warn!(%error, application = %id, "an applicant's key could not be destroyed");
            Code::Unavailable.into()
        })
    }

    async fn claim_credentials(&self, id: &PartnerId, key: NewKey, webhook: SecretString) -> Result<(), Refusal> {
        let (secret, webhook) = (seal(self, &key.secret), seal(self, &webhook));
        let credentials = Credentials { key_id: key.key_id, secret, webhook };
        self.ask_application(id, ApplicationOrder::Claim(credentials)).await
    }

    async fn application(&self, id: &PartnerId) -> Result<ApplicationView, Refusal> {
        let mut view = self.any_application(id).await?;
        view.same_code.clear();
        view.steps.iter_mut().for_each(|step| step.by = None);
        Ok(view)
    }

    async fn any_application(&self, id: &PartnerId) -> Result<ApplicationView, Refusal> {
        let application = self.known_application(id)?;
        let form = application.form.as_deref().ok_or(Code::ApplicationUnknown)?;
        let mut view = view(id, &application).ok_or(Code::ApplicationUnknown)?;
        view.contacts = self.contacts(id, form).await?;
        let others = self.directory.applications.all().into_iter().filter(|(other, known)| {
            other != id && known.form.as_ref().is_some_and(|other| other.credit_code == form.credit_code)
        });
        view.same_code = others.map(|(other, _)| other).collect();
        Ok(view)
    }

    async fn applications(&self, stage: Option<Stage>, page: PageRequest) -> Result<Page<ApplicationView>, Refusal> {
        let all = self.directory.applications.all();
        let wanted = all.iter().filter(|(id, application)| {
            let after = page.cursor.as_deref().is_none_or(|after| id.as_str() > after);
            after && stage.is_none_or(|stage| application.stage == stage)
        });
        let items: Vec<_> = wanted.filter_map(|(id, application)| view(id, application)).take(page.limit).collect();
        let last = items.last().map(|view| view.application_id.to_string());
        Ok(Page { next: last.filter(|_| items.len() == page.limit), items })
    }

    async fn judge_application(&self, id: &PartnerId, judgement: Judgement, actor: &Actor) -> Result<(), Refusal> {
        let by = actor.name.clone();
        let order = match judgement {
            Judgement::Approve(put) => ApplicationOrder::Approve { by, approval: approval(put) },
            Judgement::Return(reason) => ApplicationOrder::Return { by, reason },
            Judgement::Refuse(reason) => ApplicationOrder::Refuse { by, reason },
        };
        let approves = matches!(order, ApplicationOrder::Approve { .. });
        self.ask_application(id, order).await?;
        if approves { self.open_book(id).await } else { Ok(()) }
    }

    async fn suspend_partner(&self, id: &PartnerId, reason: Option<String>, actor: &Actor) -> Result<(), Refusal> {
        let wish = match reason {
            Some(reason) => PartnerOrder::Suspend { by: actor.name.clone(), reason },
            None => PartnerOrder::Resume,
        };
        order(self, id, wish).await
    }
}
