//! The operators' half of the runtime in memory.

use super::{NOW, Runtime, charger_view, paged};
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::domain::money::Price;
use crate::domain::tariff::{Book, BookRefusal, Bounds, Scope, Tariff, checked};
use crate::ids::{ChargerId, PartnerId, SessionId, SiteId, TariffId};
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::Arc;

#[async_trait]
impl OperatorPort for Runtime {
    fn readiness(&self) -> Readiness {
        let reasons = self.not_ready.lock().unwrap().clone();
        Readiness { ready: reasons.is_empty(), reasons }
    }
    async fn put_site(&self, id: &SiteId, site: SitePut) -> Result<(), Refusal> {
        let SitePut { name, address, time_zone, position, hours, facilities } = site;
        let (site_id, chargers) = (id.clone(), vec![]);
        let (open_now, tariff, status_at) = (None, None, None);
        let view = SiteView {
            site_id,
            name,
            address,
            time_zone,
            position,
            hours,
            open_now,
            facilities,
            tariff,
            chargers,
            status_at,
        };
        self.world().sites.insert(id.clone(), view);
        Ok(())
    }
    async fn all_sites(&self, page: PageRequest) -> Result<Page<SiteView>, Refusal> {
        self.sites(&"x".parse().unwrap(), page).await
    }
    async fn put_charger(&self, id: &ChargerId, put: ChargerPut) -> Result<bool, Refusal> {
        let charger = charger_view(id.as_str(), put.site_id.as_str(), put.connectors);
        let security = SecurityView { profile: put.security_profile.map(u8::from), ..SecurityView::default() };
        let view = OperatorChargerView {
            charger,
            boot: put.boot,
            auth: put.auth,
            security,
            commands: vec![],
            flags: vec![],
            device: None,
        };
        Ok(self.world().chargers.insert(id.clone(), view).is_none())
    }
    async fn charger_exists(&self, id: &ChargerId) -> Result<bool, Refusal> {
        Ok(self.world().chargers.contains_key(id))
    }
    async fn any_charger(&self, id: &ChargerId) -> Result<OperatorChargerView, Refusal> {
        self.world().chargers.get(id).cloned().ok_or(Code::ChargerUnknown.into())
    }
    async fn all_chargers(&self, page: PageRequest) -> Result<Page<OperatorChargerView>, Refusal> {
        Ok(paged(self.world().chargers.iter().map(|(id, c)| (id.to_string(), c.clone())), &page))
    }
    async fn command(&self, id: &ChargerId, command: CommandRequest) -> Result<crate::ids::CommandId, Refusal> {
        self.any_charger(id).await?;
        let command_id = crate::ids::CommandId(uuid::Uuid::from_u128(7));
        let kind = format!("{:?}", command.kind);
        let view = CommandView { command_id, kind, state: "Accepted".into(), result: None, at: NOW };
        self.world().commands.insert(command_id.0, view);
        Ok(command_id)
    }
    async fn command_state(&self, _: &ChargerId, id: crate::ids::CommandId) -> Result<CommandView, Refusal> {
        self.world().commands.get(&id.0).cloned().ok_or(Code::NotFound.into())
    }
    async fn move_lock(
        &self,
        id: &ChargerId,
        connector: crate::ids::ConnectorId,
        _: LockAction,
        _: &Actor,
    ) -> Result<crate::ids::CommandId, Refusal> {
        let charger = self.any_charger(id).await?;
        let known = connector.0 > 0 && usize::from(connector.0) <= charger.charger.connectors.len();
        if known { Ok(crate::ids::CommandId(uuid::Uuid::from_u128(8))) } else { Err(Code::LockUnknown.into()) }
    }
    async fn rotate_key(&self, id: &ChargerId) -> Result<crate::ids::CommandId, Refusal> {
        self.any_charger(id).await?;
        Ok(crate::ids::CommandId(uuid::Uuid::from_u128(7)))
    }
    async fn set_maintenance(&self, id: &ChargerId, on: bool, _: Option<String>) -> Result<(), Refusal> {
        let mut world = self.world();
        world.chargers.get_mut(id).ok_or(Code::ChargerUnknown)?.charger.maintenance = on;
        Ok(())
    }
    async fn messages(&self, search: MessageSearch, page: PageRequest) -> Result<Page<MessageView>, Refusal> {
        if page.cursor.is_some() {
            return Err(Refusal::field("cursor", "is not one", "the `next` of an earlier page"));
        }
        let message = MessageView {
            at: search.from.unwrap_or(NOW),
            direction: if search.oldest_first { "in" } else { "out" },
            action: search.action,
            message_id: None,
            frame: None,
            text: search.text,
            heartbeats: None,
            until: search.to,
            redacted: false,
            cut: false,
        };
        Ok(Page { items: vec![message], next: None })
    }
    async fn put_partner(&self, id: &PartnerId, put: PartnerPut) -> Result<PartnerPutAnswer, Refusal> {
        if put.webhook.as_ref().is_some_and(|w| w.url.contains("169.254.")) {
            return Err(Code::EndpointRefused.into());
        }
        let new = put.webhook.is_some();
        let webhook = put.webhook.map(|w| WebhookView {
            events: w.events,
            ..super::webhooks::endpoint(crate::ids::EndpointName::default_endpoint(), w.url)
        });
        let sites = put.sites.unwrap_or(SitesScope::All(AllSites::All));
        let view = PartnerView {
            partner_id: id.clone(),
            name: put.name,
            sites,
            accounts: put.accounts.unwrap_or_default(),
            keys: vec![],
            webhook,
            webhooks: vec![],
            suspended: None,
        };
        self.world().partners.insert(id.clone(), view);
        Ok(PartnerPutAnswer { webhook_secret: new.then(|| SecretString::from("whsec_shown-once")) })
    }
    async fn partner(&self, id: &PartnerId) -> Result<PartnerView, Refusal> {
        self.world().partners.get(id).cloned().ok_or(Code::PartnerUnknown.into())
    }
    async fn partners(&self, page: PageRequest) -> Result<Page<PartnerView>, Refusal> {
        Ok(paged(self.world().partners.iter().map(|(id, p)| (id.to_string(), p.clone())), &page))
    }
    async fn put_token(&self, id_tag: &str, _: TokenPut) -> Result<(), Refusal> {
        self.world().tokens.push(id_tag.to_owned());
        Ok(())
    }
    async fn publish_tariff(&self, tariff: Tariff, check: bool) -> Result<u32, Refusal> {
        let wide = Price(1_000_000_000);
        let bounds = Bounds { kwh_min: Price(0), kwh_max: wide, hour_max: wide, minute_max: wide, once_max: wide };
        let good = checked(tariff, &bounds).map_err(|found| Refusal {
            code: Code::TariffInvalid,
            retry_after: None,
            details: found
                .into_iter()
                .map(|e| Detail { field: e.path, problem: e.problem, allowed: e.allowed })
                .collect(),
        })?;
        let mut book = self.book();
        let (change, version) = book.publish(good).map_err(told)?;
        if !check {
            book.apply(&change);
        }
        Ok(version)
    }
    async fn roll_out_tariff(&self, id: &TariffId, order: RollOut) -> Result<(), Refusal> {
        let scope = order.sites.map_or(Scope::Everywhere, Scope::Sites);
        let mut book = self.book();
        let change = book.roll_out(id.clone(), order.version, scope, NOW.0, NOW.0).map_err(told)?;
        book.apply(&change);
        Ok(())
    }
    async fn roll_back_tariff(&self, id: &TariffId, sites: Option<Vec<SiteId>>) -> Result<(), Refusal> {
        let mut book = self.book();
        let change = book.roll_back(id.clone(), sites.map_or(Scope::Everywhere, Scope::Sites), NOW.0).map_err(told)?;
        book.apply(&change);
        Ok(())
    }
    async fn tariffs(&self, page: PageRequest) -> Result<Page<TariffView>, Refusal> {
        let book = self.book();
        let views = book.all().map(|(id, versions)| (id.to_string(), tariff_view(id, versions)));
        Ok(paged(views, &page))
    }
    async fn tariff(&self, id: &TariffId) -> Result<TariffView, Refusal> {
        let book = self.book();
        if book.versions(id).is_empty() {
            Err(Code::TariffUnknown.into())
        } else {
            Ok(tariff_view(id, book.versions(id)))
        }
    }
    async fn tariff_version(&self, id: &TariffId, version: Option<u32>) -> Result<Arc<Tariff>, Refusal> {
        let book = self.book();
        let found = version.map_or_else(|| book.versions(id).last(), |version| book.version(id, version));
        found.cloned().ok_or(Code::TariffUnknown.into())
    }
    async fn tariff_at(&self, site: &SiteId, at: Option<Moment>) -> Result<Arc<Tariff>, Refusal> {
        self.book().tariff_at(site, at.unwrap_or(NOW).0).ok_or(Code::TariffUnknown.into())
    }
    async fn any_session(&self, id: SessionId) -> Result<SessionView, Refusal> {
        self.world().sessions.get(&id).map(|(_, s)| s.clone()).ok_or(Code::SessionUnknown.into())
    }
    async fn signed_readings(&self, id: SessionId) -> Result<Vec<serde_json::Value>, Refusal> {
        self.any_session(id).await.map(|_| vec![serde_json::json!({"number": 0, "at": "x", "data": "OCMF|{}"})])
    }
    async fn all_sessions(&self, _: SessionFilter, page: PageRequest) -> Result<Page<SessionView>, Refusal> {
        Ok(paged(self.world().sessions.iter().map(|(id, (_, s))| (id.to_string(), s.clone())), &page))
    }
    async fn force_stop(&self, id: SessionId, _: &Actor) -> Result<SessionStatus, Refusal> {
        let mut world = self.world();
        world.sessions.get_mut(&id).ok_or(Code::SessionUnknown)?.1.status = SessionStatus::StopPending;
        Ok(SessionStatus::StopPending)
    }
    async fn alerts(&self, _: PageRequest) -> Result<Page<serde_json::Value>, Refusal> {
        Ok(Page { items: vec![], next: None })
    }
    async fn quarantined(&self) -> Result<Vec<serde_json::Value>, Refusal> {
        Ok(self.world().quarantined.iter().map(|entity| serde_json::json!({"entity": entity})).collect())
    }
    async fn release(&self, entity: &str) -> Result<(), Refusal> {
        let mut world = self.world();
        let place = world.quarantined.iter().position(|known| known == entity).ok_or(Code::NotFound)?;
        world.quarantined.remove(place);
        Ok(())
    }
    async fn config_versions(&self) -> Result<Vec<ConfigVersionView>, Refusal> {
        Ok(self.world().configs.iter().rev().cloned().collect())
    }
    async fn apply_config(&self, toml: &str, actor: &Actor) -> Result<u64, Refusal> {
        if toml.contains("bad") {
            let problem = Refusal::field("api.page_max", "is 0", "1 to 500");
            return Err(Refusal { code: Code::ConfigInvalid, ..problem });
        }
        let mut world = self.world();
        let version = world.configs.len() as u64 + 1;
        let by = actor.name.clone();
        world.configs.push(ConfigVersionView { version, at: NOW, by, toml: toml.into(), changed: vec![] });
        Ok(version)
    }
    async fn backup_journal(&self, name: &str) -> Result<serde_json::Value, Refusal> {
        Ok(serde_json::json!({"path": format!("backups/{name}"), "bytes": 1}))
    }
    async fn compact_journal(&self) -> Result<serde_json::Value, Refusal> {
        Ok(serde_json::json!({"bytes_before": 2, "bytes_after": 1}))
    }
    async fn journal_stats(&self) -> Result<serde_json::Value, Refusal> {
        Ok(serde_json::json!({"records": 1}))
    }
}

fn told(refusal: BookRefusal) -> Refusal {
    match refusal {
        BookRefusal::Unknown => Code::TariffUnknown.into(),
        BookRefusal::Stale => Code::TariffConflict.into(),
        other => Refusal::field("tariff", other.to_string(), "another"),
    }
}

fn tariff_view(id: &TariffId, versions: &[Arc<Tariff>]) -> TariffView {
    let version = versions.last().map_or(0, |tariff| tariff.version);
    TariffView { tariff_id: id.clone(), name: String::new(), version, places: vec![] }
}

impl Runtime {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }
}
