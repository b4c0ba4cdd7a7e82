//! Live statuses, one connector with all that a user is shown, and what a QR text or a typed number means (EM-6).

use super::Service;
use super::feed::tariff_ref;
use super::sessions::Eyes;
use crate::api::catalogue::Code;
use crate::api::port::{
    CataloguePage, CataloguePort, ChargerView, ConnectorDetail, ConnectorView, LiveStatus, Moment, PriceNow, PullFrom,
    Refusal, StatusOf, StatusPage,
};
use crate::domain::platform::code::{Reading, readings};
use crate::domain::tariff::Calendar;
use crate::ids::{ChargerId, ConnectorId, PartnerId, SiteId};
use async_trait::async_trait;

fn live(charger: &ChargerView, connector: ConnectorView) -> LiveStatus {
    LiveStatus {
        site_id: charger.site_id.clone(),
        charger_id: charger.charger_id.clone(),
        connector_id: connector.connector_id,
        online: charger.online,
        maintenance: charger.maintenance,
        status: connector.status,
        status_at: connector.status_at,
        error: connector.error,
        lock: connector.lock,
    }
}

fn all(mut charger: ChargerView) -> Vec<LiveStatus> {
    let connectors = std::mem::take(&mut charger.connectors);
    connectors.into_iter().map(|connector| live(&charger, connector)).collect()
}

/// Whether a refusal says that there is no such thing for this caller.
fn absent(refusal: &Refusal) -> bool {
    matches!(refusal.code, Code::ChargerUnknown | Code::ConnectorUnknown | Code::NotFound)
}

#[async_trait]
impl CataloguePort for Service {
    async fn catalogue(&self, partner: &PartnerId, from: PullFrom, limit: usize) -> Result<CataloguePage, Refusal> {
        self.catalogue_page(partner, from, limit).await
    }

    async fn statuses(&self, partner: &PartnerId, of: StatusOf) -> Result<StatusPage, Refusal> {
        let eyes = Eyes::Partner(partner);
        match of {
            StatusOf::All(page) => {
                let chargers = self.charger_views(eyes, &page).await?;
                let items = chargers.items.into_iter().flat_map(all).collect();
                Ok(StatusPage { items, unknown: Vec::new(), next: chargers.next })
            }
            StatusOf::Site(site) => {
                let unknown = |refusal| if absent(&refusal) { Code::SiteUnknown.into() } else { refusal };
                let site = self.site_view(eyes, &site).await.map_err(unknown)?;
                Ok(StatusPage {
                    items: site.chargers.into_iter().flat_map(all).collect(),
                    unknown: Vec::new(),
                    next: None,
                })
            }
            StatusOf::Connectors(wanted) => self.some_statuses(eyes, wanted).await,
        }
    }

    async fn connector(
        &self,
        partner: &PartnerId,
        charger: &ChargerId,
        connector: ConnectorId,
    ) -> Result<ConnectorDetail, Refusal> {
        self.detail(Eyes::Partner(partner), charger, Some(connector)).await
    }

    async fn resolve(&self, partner: &PartnerId, text: &str) -> Result<ConnectorDetail, Refusal> {
        for reading in readings(text) {
            let place = match reading {
                Reading::Number(number) => self.feed.numbered(&number).map(|(charger, n)| (charger, Some(n))),
                Reading::Place(charger, connector) => Some((charger, connector)),
            };
            let Some((charger, connector)) = place.filter(|(charger, _)| self.register.knows(charger)) else {
                continue;
            };
            match self.detail(Eyes::Partner(partner), &charger, connector).await {
                Err(refusal) if absent(&refusal) => {}
                found => return found,
            }
        }
        Err(Code::CodeUnknown.into())
    }
}

impl Service {
    async fn some_statuses(
        &self,
        eyes: Eyes<'_>,
        wanted: Vec<(ChargerId, ConnectorId)>,
    ) -> Result<StatusPage, Refusal> {
        let mut page = StatusPage { items: Vec::new(), unknown: Vec::new(), next: None };
        for (charger_id, connector_id) in wanted {
            let charger = match self.charger_view(eyes, &charger_id).await {
                Ok(charger) => Some(charger),
                Err(refusal) if absent(&refusal) => None,
                Err(refusal) => return Err(refusal),
            };
            let of = charger.map(all).and_then(|all| all.into_iter().find(|of| of.connector_id == connector_id));
            match of {
                Some(status) => page.items.push(status),
                None => page.unknown.push(format!("{charger_id}/{connector_id}")),
            }
        }
        Ok(page)
    }

    /// One connector; without a number the only one that the charger has.
    async fn detail(
        &self,
        eyes: Eyes<'_>,
        charger: &ChargerId,
        connector: Option<ConnectorId>,
    ) -> Result<ConnectorDetail, Refusal> {
        let charger = self.charger_view(eyes, charger).await?;
        let of = match connector {
            Some(wanted) => charger.connectors.iter().find(|of| of.connector_id == wanted),
            None => Some(charger.connectors.as_slice()).filter(|all| all.len() == 1).and_then(|all| all.first()),
        };
        let of = of.cloned().ok_or(Code::ConnectorUnknown)?;
        let site = self.bare_site(&charger.site_id).await?;
        let facts = of.facts.clone();
        Ok(ConnectorDetail {
            live: live(&charger, of),
            site_name: site.name,
            open_now: self.open_now(site.hours.as_ref(), site.time_zone.as_deref()),
            power_w: facts.as_ref().map(crate::domain::platform::ConnectorFacts::power_w),
            facts,
            price: self.price_now(&charger.site_id),
        })
    }

    fn price_now(&self, site: &SiteId) -> Option<PriceNow> {
        let now = self.clock.now();
        let tariff = self.tariffs.tariff_at(site, now)?;
        let (slice, until) = Calendar::of(&tariff).ok()?.passage(&tariff, now);
        let slice = tariff.slices.get(usize::from(slice?))?;
        Some(PriceNow {
            tariff: tariff_ref(site, &tariff),
            slice: slice.name,
            electricity: slice.electricity.0,
            service: slice.service.0,
            until: Moment(until),
        })
    }
}
