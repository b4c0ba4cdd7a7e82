//! What is agreed with partners who speak T/CEC 102 (EM-11): set, shown, rotated. Owns the sealing of their secrets; never the
//! wire.

use super::Service;
use super::admin::partners::{new_secret, order, seal};
use super::webhooks::Aim;
use crate::api::catalogue::Code;
use crate::api::port::{Moment, Refusal, Relation, SetView, TcecPort, TcecPut, TcecView};
use crate::domain::delivery::{Dialect, PartnerOrder, SealedSet, Tcec, is_operator_id};
use crate::domain::tariff::Tariff;
use crate::ids::{EndpointName, PartnerId, SiteId};
use crate::protocol::tcec::Secrets;
use crate::protocol::tcec::secrets::SecretTexts;
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

#[async_trait]
impl TcecPort for Service {
    fn relation(&self, operator_id: &str) -> Option<Arc<Relation>> {
        self.directory.relation(operator_id)
    }

    fn tariff_in_force(&self, site: &SiteId) -> Option<Arc<Tariff>> {
        self.tariffs.tariff_at(site, self.clock.now())
    }

    async fn put_tcec(&self, id: &PartnerId, put: TcecPut) -> Result<Option<Secrets>, Refusal> {
        let known = self.directory.get(id).ok_or(Code::PartnerUnknown)?;
        let before = known.partner.tcec.as_deref();
        check(&put)?;
        let taken = self.directory.relation(&put.operator_id).is_some_and(|other| other.partner != *id);
        if taken {
            return Err(Refusal::field("operator_id", "is another partner's", "each partner's own organisation code"));
        }
        self.check_target("base_url", &put.base_url)?;
        let outbound = match (put.outbound.map(|texts| read(texts, "outbound")).transpose()?, before) {
            (Some(set), _) => self.sealed(&set),
            (None, Some(before)) => before.outbound.clone(),
            (None, None) => {
                return Err(Refusal::field("outbound", "is missing", "the four secrets that the partner gave"));
            }
        };
        let given = put.inbound.map(|texts| read(texts, "inbound")).transpose()?;
        let made = (given.is_none() && before.is_none()).then(|| Secrets::make(&random()));
        let inbound = match (given.as_ref().or(made.as_ref()), before) {
            (Some(set), _) => vec![self.sealed(set)],
            (None, Some(before)) => before.inbound.clone(),
            (None, None) => Vec::new(),
        };
        let kept = |of: fn(&Tcec) -> &Dialect| before.map(|before| of(before).clone()).unwrap_or_default();
        let stations = put.stations.or_else(|| before.map(|before| before.stations.clone()));
        let tcec = Tcec {
            operator_id: put.operator_id,
            own_id: put.own_id,
            inbound,
            outbound,
            dialect: put.dialect.unwrap_or_else(|| kept(|before| &before.dialect)),
            stations: stations.unwrap_or_default(),
        };
        order(self, id, PartnerOrder::SetTcec(Some(Box::new(tcec)))).await?;
        // The endpoint is the queue's: health, pausing and disabling are the same for both faces.
        let name = EndpointName::default_endpoint();
        let secret = known.partner.endpoint(&name).is_none().then(new_secret);
        self.aim(id, &name, Aim { url: put.base_url, secret, wants: None, new: false }).await?;
        Ok(made)
    }

    async fn tcec(&self, id: &PartnerId) -> Result<TcecView, Refusal> {
        let known = self.directory.get(id).ok_or(Code::PartnerUnknown)?;
        let tcec = known.partner.tcec.as_deref().ok_or(Code::NotFound)?;
        let inbound = tcec
            .inbound
            .iter()
            .map(|set| SetView { created_at: Moment(set.created), expires_at: set.expires.map(Moment) });
        let endpoint = known.partner.endpoint(&EndpointName::default_endpoint());
        let url = endpoint.map(|(_, endpoint)| endpoint.url.clone());
        Ok(TcecView {
            operator_id: tcec.operator_id.clone(),
            own_id: tcec.own_id.clone(),
            base_url: url.unwrap_or_default(),
            dialect: tcec.dialect.clone(),
            stations: tcec.stations.clone(),
            inbound: inbound.collect(),
        })
    }

    async fn rotate_tcec(&self, id: &PartnerId, overlap: Duration) -> Result<Secrets, Refusal> {
        let known = self.directory.get(id).ok_or(Code::PartnerUnknown)?;
        let tcec = known.partner.tcec.as_deref().ok_or(Code::NotFound)?.clone();
        let set = Secrets::make(&random());
        let SealedSet { secrets, created, .. } = self.sealed(&set);
        let rotated = tcec.rotated(secrets, created, overlap);
        order(self, id, PartnerOrder::SetTcec(Some(Box::new(rotated)))).await?;
        Ok(set)
    }
}

impl Service {
    fn sealed(&self, set: &Secrets) -> SealedSet {
        let json = SecretString::from(set.to_json().as_str());
        SealedSet { secrets: seal(self, &json), created: self.clock.now(), expires: None }
    }
}

fn random() -> [u8; 56] {
    // Two draws: the generator fills arrays of up to 32 bytes.
    let (a, b): ([u8; 32], [u8; 24]) = (rand::random(), rand::random());
    let mut bytes = [0; 56];
    for (to, from) in bytes.iter_mut().zip(a.into_iter().chain(b)) {
        *to = from;
    }
    bytes
}

fn read(texts: SecretTexts, of: &str) -> Result<Secrets, Refusal> {
    Secrets::try_from(texts).map_err(|bad| Refusal::field(format!("{of}.{}", bad.field), "is not usable", bad.allowed))
}

fn check(put: &TcecPut) -> Result<(), Refusal> {
    for (field, text) in [("operator_id", &put.operator_id), ("own_id", &put.own_id)] {
        if !is_operator_id(text) {
            return Err(Refusal::field(field, "is no organisation code", "9 digits or capital letters"));
        }
    }
    match put.dialect.as_ref().map(Dialect::flaws).unwrap_or_default().first() {
        Some((field, allowed)) => Err(Refusal::field(*field, "is not allowed", *allowed)),
        None => Ok(()),
    }
}
