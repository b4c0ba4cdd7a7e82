//! The port of operators' calls.

use super::Service;
use super::admin;
use super::messages;
use super::sessions::Eyes;
use crate::api::port::{
    Actor, ChargerPut, CommandRequest, CommandView, ConfigVersionView, LockAction, MessageSearch, MessageView, Moment,
    OperatorChargerView, OperatorPort, Page, PageRequest, PartnerPut, PartnerPutAnswer, PartnerView, Readiness,
    Refusal, RollOut, SessionFilter, SessionStatus, SessionView, SitePut, SiteView, TariffView, TokenPut,
};
use crate::domain::session::StopBy;
use crate::domain::tariff::Tariff;
use crate::ids::{ChargerId, CommandId, ConnectorId, PartnerId, SessionId, SiteId, TariffId};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl OperatorPort for Service {
    fn readiness(&self) -> Readiness {
        self.ready()
    }

    async fn put_site(&self, id: &SiteId, site: SitePut) -> Result<(), Refusal> {
        admin::put_site(self, id, site).await
    }

    async fn all_sites(&self, page: PageRequest) -> Result<Page<SiteView>, Refusal> {
        self.site_views(Eyes::Operator, &page).await
    }

    async fn put_charger(&self, id: &ChargerId, charger: ChargerPut) -> Result<bool, Refusal> {
        admin::chargers::put(self, id, charger).await
    }

    async fn charger_exists(&self, id: &ChargerId) -> Result<bool, Refusal> {
        Ok(self.register.knows(id))
    }

    async fn any_charger(&self, id: &ChargerId) -> Result<OperatorChargerView, Refusal> {
        admin::chargers::show(self, id).await
    }

    async fn all_chargers(&self, page: PageRequest) -> Result<Page<OperatorChargerView>, Refusal> {
        admin::chargers::list(self, &page).await
    }

    async fn command(&self, id: &ChargerId, command: CommandRequest) -> Result<CommandId, Refusal> {
        admin::commands::command(self, id, command).await
    }

    async fn command_state(&self, id: &ChargerId, command: CommandId) -> Result<CommandView, Refusal> {
        admin::commands::state(self, id, command).await
    }

    async fn move_lock(
        &self,
        id: &ChargerId,
        connector: ConnectorId,
        action: LockAction,
        actor: &Actor,
    ) -> Result<CommandId, Refusal> {
        admin::chargers::move_lock(self, id, connector, action, &actor.name).await
    }

    async fn rotate_key(&self, id: &ChargerId) -> Result<CommandId, Refusal> {
        admin::chargers::rotate_key(self, id).await
    }

    async fn set_maintenance(&self, id: &ChargerId, on: bool, note: Option<String>) -> Result<(), Refusal> {
        admin::chargers::set_maintenance(self, id, on, note).await
    }

    async fn messages(&self, search: MessageSearch, page: PageRequest) -> Result<Page<MessageView>, Refusal> {
        messages::search(self, search, page).await
    }

    async fn put_partner(&self, id: &PartnerId, partner: PartnerPut) -> Result<PartnerPutAnswer, Refusal> {
        admin::partners::put(self, id, partner).await
    }

    async fn partner(&self, id: &PartnerId) -> Result<PartnerView, Refusal> {
        admin::partners::show(self, id)
    }

    async fn partners(&self, page: PageRequest) -> Result<Page<PartnerView>, Refusal> {
        admin::partners::list(self, &page)
    }

    async fn publish_tariff(&self, tariff: Tariff, check: bool) -> Result<u32, Refusal> {
        admin::tariffs::publish(self, tariff, check).await
    }

    async fn roll_out_tariff(&self, id: &TariffId, order: RollOut) -> Result<(), Refusal> {
        admin::tariffs::roll_out(self, id, order).await
    }

    async fn roll_back_tariff(&self, id: &TariffId, sites: Option<Vec<SiteId>>) -> Result<(), Refusal> {
        admin::tariffs::roll_back(self, id, sites).await
    }

    async fn tariffs(&self, page: PageRequest) -> Result<Page<TariffView>, Refusal> {
        self.working()?;
        Ok(admin::tariffs::list(&self.tariffs.book(), &page))
    }

    async fn tariff(&self, id: &TariffId) -> Result<TariffView, Refusal> {
        self.working()?;
        admin::tariffs::show(&self.tariffs.book(), id)
    }

    async fn tariff_version(&self, id: &TariffId, version: Option<u32>) -> Result<Arc<Tariff>, Refusal> {
        self.working()?;
        admin::tariffs::version(&self.tariffs.book(), id, version)
    }

    async fn tariff_at(&self, site: &SiteId, at: Option<Moment>) -> Result<Arc<Tariff>, Refusal> {
        self.working()?;
        admin::tariffs::in_force(self, site, at.map(|at| at.0))
    }

    async fn put_token(&self, id_tag: &str, token: TokenPut) -> Result<(), Refusal> {
        admin::put_token(self, id_tag, token).await
    }

    async fn any_session(&self, id: SessionId) -> Result<SessionView, Refusal> {
        self.session_view(Eyes::Operator, id).await
    }

    async fn signed_readings(&self, id: SessionId) -> Result<Vec<serde_json::Value>, Refusal> {
        self.signed_readings_of(id).await
    }

    async fn all_sessions(&self, filter: SessionFilter, page: PageRequest) -> Result<Page<SessionView>, Refusal> {
        self.sessions_of(Eyes::Operator, filter, page).await
    }

    async fn force_stop(&self, id: SessionId, actor: &Actor) -> Result<SessionStatus, Refusal> {
        self.stop(Eyes::Operator, id, StopBy::Operator(actor.name.clone().into())).await
    }

    async fn alerts(&self, page: PageRequest) -> Result<Page<serde_json::Value>, Refusal> {
        admin::newest(self, "alert", &page).await
    }

    async fn quarantined(&self) -> Result<Vec<serde_json::Value>, Refusal> {
        Ok(admin::quarantine::list(self).await)
    }

    async fn release(&self, entity: &str) -> Result<(), Refusal> {
        admin::quarantine::release(self, entity).await
    }

    async fn config_versions(&self) -> Result<Vec<ConfigVersionView>, Refusal> {
        Ok(admin::config_versions(self))
    }

    async fn apply_config(&self, toml: &str, actor: &Actor) -> Result<u64, Refusal> {
        self.configuration.apply(toml, &actor.name).await.map_err(admin::not_applied)
    }

    async fn backup_journal(&self, name: &str) -> Result<serde_json::Value, Refusal> {
        admin::backup(self, name).await
    }

    async fn compact_journal(&self) -> Result<serde_json::Value, Refusal> {
        Ok(serde_json::json!({"removed": self.store.compact().await?}))
    }

    async fn journal_stats(&self) -> Result<serde_json::Value, Refusal> {
        let stats = self.store.stats().await?;
        serde_json::to_value(&stats).map_err(|error| super::corrupt("journal", "stats", &error))
    }
}
