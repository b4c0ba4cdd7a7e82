//! What the T/CEC face needs, in memory.

use super::{NOW, Runtime};
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::clock::Timestamp;
use crate::domain::delivery::{Sealed, SealedSet, Tcec};
use crate::domain::tariff::Tariff;
use crate::ids::{PartnerId, SiteId};
use crate::protocol::tcec::Secrets;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

fn set() -> SealedSet {
    SealedSet { secrets: Sealed(String::new()), created: NOW.0, expires: None }
}

#[async_trait]
impl TcecPort for Runtime {
    fn relation(&self, operator_id: &str) -> Option<Arc<Relation>> {
        let relations = self.relations.lock().unwrap();
        relations.values().find(|known| known.tcec.operator_id == operator_id).cloned()
    }

    fn tariff_in_force(&self, _: &SiteId) -> Option<Arc<Tariff>> {
        self.tariff.lock().unwrap().clone()
    }

    async fn put_tcec(&self, id: &PartnerId, put: TcecPut) -> Result<Option<Secrets>, Refusal> {
        self.partner(id).await?;
        let outbound = put.outbound.ok_or_else(|| Refusal::field("outbound", "is missing", "four secrets"))?;
        let outbound = Secrets::try_from(outbound).map_err(|bad| Refusal::field(bad.field, "is bad", bad.allowed))?;
        let given = put.inbound.map(|texts| Secrets::try_from(texts).unwrap());
        let made = given.is_none().then(|| Secrets::make(&[9; 56]));
        let inbound = given.or(made.clone()).into_iter().map(|set| (set, None::<Timestamp>)).collect();
        let tcec = Tcec {
            operator_id: put.operator_id,
            own_id: put.own_id,
            inbound: vec![set()],
            outbound: set(),
            dialect: put.dialect.unwrap_or_default(),
            stations: put.stations.unwrap_or_default(),
        };
        let relation = Relation { partner: id.clone(), tcec, inbound, outbound };
        self.relations.lock().unwrap().insert(id.clone(), Arc::new(relation));
        Ok(made)
    }

    async fn tcec(&self, id: &PartnerId) -> Result<TcecView, Refusal> {
        let known = self.relations.lock().unwrap().get(id).cloned().ok_or(Code::NotFound)?;
        Ok(TcecView {
            operator_id: known.tcec.operator_id.clone(),
            own_id: known.tcec.own_id.clone(),
            base_url: "https://p.example/evcs/v1".into(),
            dialect: known.tcec.dialect.clone(),
            stations: known.tcec.stations.clone(),
            inbound: vec![SetView { created_at: NOW, expires_at: None }],
        })
    }

    async fn rotate_tcec(&self, id: &PartnerId, overlap: Duration) -> Result<Secrets, Refusal> {
        let mut relations = self.relations.lock().unwrap();
        let known = relations.get(id).cloned().ok_or(Code::NotFound)?;
        let mut relation = (*known).clone();
        let made = Secrets::make(&[11; 56]);
        let until = NOW.0 + overlap;
        relation.inbound.iter_mut().for_each(|(_, expires)| *expires = Some(until));
        relation.inbound.insert(0, (made.clone(), None));
        relations.insert(id.clone(), Arc::new(relation));
        Ok(made)
    }
}
