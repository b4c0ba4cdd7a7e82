//! The port of partners' calls.

use super::Service;
use super::admin::tariffs::in_force;
use super::sessions::Eyes;
use crate::api::port::{
    ChargerView, OperationRef, OperationState, Page, PageRequest, PartnerPort, Refusal, SessionFilter, SessionStatus,
    SessionView, SiteView, Start, Stop,
};
use crate::domain::tariff::Tariff;
use crate::ids::{ChargerId, PartnerId, SessionId, SiteId};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl PartnerPort for Service {
    async fn start_session(&self, partner: &PartnerId, start: Start) -> Result<(), Refusal> {
        self.start(partner, start).await
    }

    async fn stop_session(&self, partner: &PartnerId, stop: Stop) -> Result<SessionStatus, Refusal> {
        self.stop_for(partner, stop).await
    }

    async fn operation(&self, partner: &PartnerId, which: &OperationRef) -> Result<Option<OperationState>, Refusal> {
        self.operation_state(partner, which).await
    }

    async fn session(&self, partner: &PartnerId, id: SessionId) -> Result<SessionView, Refusal> {
        self.session_view(Eyes::Partner(partner), id).await
    }

    async fn sessions(
        &self,
        partner: &PartnerId,
        filter: SessionFilter,
        page: PageRequest,
    ) -> Result<Page<SessionView>, Refusal> {
        self.sessions_of(Eyes::Partner(partner), filter, page).await
    }

    async fn site(&self, partner: &PartnerId, id: &SiteId) -> Result<SiteView, Refusal> {
        self.site_view(Eyes::Partner(partner), id).await
    }

    async fn site_tariff(&self, partner: &PartnerId, id: &SiteId) -> Result<Arc<Tariff>, Refusal> {
        self.working()?;
        self.site_view(Eyes::Partner(partner), id).await?;
        in_force(self, id, None)
    }

    async fn sites(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<SiteView>, Refusal> {
        self.site_views(Eyes::Partner(partner), &page).await
    }

    async fn charger(&self, partner: &PartnerId, id: &ChargerId) -> Result<ChargerView, Refusal> {
        self.charger_view(Eyes::Partner(partner), id).await
    }

    async fn chargers(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<ChargerView>, Refusal> {
        self.charger_views(Eyes::Partner(partner), &page).await
    }

    async fn events(&self, partner: &PartnerId, page: PageRequest) -> Result<Page<serde_json::Value>, Refusal> {
        self.events_of(partner, &page).await
    }
}
