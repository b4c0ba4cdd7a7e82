//! Applications of a runtime in memory.

use super::{NOW, Runtime};
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::domain::onboarding::Stage;
use crate::ids::{PartnerId, RequestId};
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

fn shown(id: &PartnerId, put: ApplicationPut) -> ApplicationView {
    ApplicationView {
        application_id: id.clone(),
        stage: Stage::Waiting,
        since: NOW,
        company: put.company,
        credit_code: put.credit_code.to_string(),
        face: put.face,
        scopes: put.scopes.into_iter().collect(),
        networks: put.networks,
        webhook_url: put.webhook_url,
        contacts: put.contacts,
        note: put.note,
        steps: Vec::new(),
        credentials_until: None,
        credentials_taken_at: None,
        same_code: Vec::new(),
    }
}

impl Runtime {
    fn move_application(&self, id: &PartnerId, from: &[Stage], to: Stage) -> Result<(), Refusal> {
        let mut world = self.world();
        let (_, view) = world.applications.get_mut(id).ok_or(Code::ApplicationUnknown)?;
        if !from.contains(&view.stage) {
            return Err(Code::ApplicationDecided.into());
        }
        view.stage = to;
        Ok(())
    }
}

#[async_trait]
impl OnboardingPort for Runtime {
    fn application_opens(&self, id: &PartnerId, token: &SecretString) -> Result<bool, Refusal> {
        if !self.not_ready.lock().unwrap().is_empty() {
            return Err(Code::Unavailable.into());
        }
        Ok(self.world().applications.get(id).is_some_and(|(known, _)| known == token.expose_secret()))
    }

    async fn apply(
        &self,
        id: &PartnerId,
        token: &SecretString,
        _: RequestId,
        form: ApplicationPut,
    ) -> Result<(), Refusal> {
        let mut world = self.world();
        if world.applications.contains_key(id) {
            return Err(Code::ApplicationExists.into());
        }
        world.applications.insert(id.clone(), (token.expose_secret().to_owned(), shown(id, form)));
        Ok(())
    }

    async fn amend_application(&self, id: &PartnerId, _: RequestId, form: ApplicationPut) -> Result<(), Refusal> {
        self.move_application(id, &[Stage::Waiting, Stage::Returned], Stage::Waiting)?;
        if let Some((_, view)) = self.world().applications.get_mut(id) {
            *view = shown(id, form);
        }
        Ok(())
    }

    async fn withdraw_application(&self, id: &PartnerId) -> Result<(), Refusal> {
        self.move_application(id, &[Stage::Waiting, Stage::Returned], Stage::Withdrawn)
    }

    async fn claim_credentials(&self, id: &PartnerId, _: NewKey, _: SecretString) -> Result<(), Refusal> {
        self.move_application(id, &[Stage::Approved], Stage::Approved)
    }

    async fn application(&self, id: &PartnerId) -> Result<ApplicationView, Refusal> {
        self.any_application(id).await
    }

    async fn any_application(&self, id: &PartnerId) -> Result<ApplicationView, Refusal> {
        self.world().applications.get(id).map(|(_, view)| view.clone()).ok_or_else(|| Code::ApplicationUnknown.into())
    }

    async fn applications(&self, stage: Option<Stage>, page: PageRequest) -> Result<Page<ApplicationView>, Refusal> {
        let world = self.world();
        let all = world.applications.iter().filter(|(_, (_, view))| stage.is_none_or(|stage| view.stage == stage));
        Ok(super::paged(all.map(|(id, (_, view))| (id.to_string(), view.clone())), &page))
    }

    async fn judge_application(&self, id: &PartnerId, judgement: Judgement, _: &Actor) -> Result<(), Refusal> {
        let to = match judgement {
            Judgement::Approve(_) => Stage::Approved,
            Judgement::Return(_) => Stage::Returned,
            Judgement::Refuse(_) => Stage::Refused,
        };
        self.move_application(id, &[Stage::Waiting], to)
    }

    async fn suspend_partner(&self, id: &PartnerId, reason: Option<String>, actor: &Actor) -> Result<(), Refusal> {
        let mut world = self.world();
        let partner = world.partners.get_mut(id).ok_or(Code::PartnerUnknown)?;
        partner.suspended = reason.map(|reason| SuspensionView { since: NOW, by: actor.name.clone(), reason });
        Ok(())
    }
}
