//! The catalogue's part of the runtime in memory: one page, and the chargers' statuses.

use super::Runtime;
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::ids::{ChargerId, ConnectorId, PartnerId};
use async_trait::async_trait;

fn live(charger: &ChargerView, of: &ConnectorView) -> LiveStatus {
    LiveStatus {
        site_id: charger.site_id.clone(),
        charger_id: charger.charger_id.clone(),
        connector_id: of.connector_id,
        online: charger.online,
        maintenance: charger.maintenance,
        status: of.status,
        status_at: of.status_at,
        error: None,
        lock: None,
    }
}

#[async_trait]
impl CataloguePort for Runtime {
    async fn catalogue(&self, _: &PartnerId, from: PullFrom, limit: usize) -> Result<CataloguePage, Refusal> {
        let next = format!("{from:?}, {limit}");
        Ok(CataloguePage { items: vec![], removed: vec![], reset: false, next, more: false })
    }

    async fn statuses(&self, partner: &PartnerId, of: StatusOf) -> Result<StatusPage, Refusal> {
        let mut page = StatusPage { items: vec![], unknown: vec![], next: None };
        match of {
            StatusOf::Connectors(wanted) => {
                for (charger, connector) in wanted {
                    match self.connector(partner, &charger, connector).await {
                        Ok(detail) => page.items.push(detail.live),
                        Err(_) => page.unknown.push(format!("{charger}/{connector}")),
                    }
                }
            }
            StatusOf::Site(_) => return Err(Code::SiteUnknown.into()),
            StatusOf::All(wanted) => {
                let chargers = self.chargers(partner, wanted).await?;
                page.next = chargers.next;
                page.items.extend(chargers.items.iter().flat_map(|c| c.connectors.iter().map(|of| live(c, of))));
            }
        }
        Ok(page)
    }

    async fn connector(
        &self,
        partner: &PartnerId,
        charger: &ChargerId,
        connector: ConnectorId,
    ) -> Result<ConnectorDetail, Refusal> {
        let charger = self.charger(partner, charger).await?;
        let of = charger.connectors.iter().find(|of| of.connector_id == connector).ok_or(Code::ConnectorUnknown)?;
        Ok(ConnectorDetail {
            live: live(&charger, of),
            site_name: "S1".into(),
            open_now: None,
            facts: None,
            power_w: None,
            price: None,
        })
    }

    async fn resolve(&self, partner: &PartnerId, text: &str) -> Result<ConnectorDetail, Refusal> {
        let charger = text.parse().map_err(|_| Code::CodeUnknown)?;
        self.connector(partner, &charger, ConnectorId(1)).await.map_err(|_| Code::CodeUnknown.into())
    }
}
