//! Reservations of the runtime in a box.

use super::Runtime;
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::clock::Timestamp;
use crate::ids::{ChargerId, PartnerId, ReservationId};
use async_trait::async_trait;

fn terms() -> ReservationTerms {
    let amount = |minor| MoneyView { minor, currency: "CNY".into() };
    ReservationTerms {
        deposit: amount(0),
        free_cancel_until: Moment(Timestamp(300_000)),
        late_cancel_fee: amount(500),
        no_show_fee: amount(1000),
    }
}

impl Runtime {
    fn end(
        &self,
        eyes: Option<&PartnerId>,
        id: ReservationId,
        to: ReservationStatus,
    ) -> Result<ReservationStatus, Refusal> {
        let mut world = self.world();
        let mine = |owner: &PartnerId| eyes.is_none_or(|me| me == owner);
        let found = world.reservations.get_mut(&id).filter(|(owner, _)| mine(owner)).ok_or(Code::ReservationUnknown)?;
        if found.1.status != ReservationStatus::Reserved {
            return Err(Code::ReservationEnded.into());
        }
        found.1.status = to;
        Ok(to)
    }

    fn look(&self, eyes: Option<&PartnerId>, id: ReservationId) -> Result<ReservationView, Refusal> {
        let world = self.world();
        let found = world.reservations.get(&id).filter(|(owner, _)| eyes.is_none_or(|me| me == owner));
        found.map(|(_, view)| view.clone()).ok_or(Code::ReservationUnknown.into())
    }

    fn listed(
        &self,
        eyes: Option<&PartnerId>,
        filter: &ReservationFilter,
        page: &PageRequest,
    ) -> Page<ReservationView> {
        let world = self.world();
        let wanted = |(owner, view): &&(PartnerId, ReservationView)| {
            let open = view.status == ReservationStatus::Reserved;
            eyes.is_none_or(|me| me == owner)
                && filter.open.is_none_or(|want| want == open)
                && filter.user_id.as_ref().is_none_or(|user| view.user_id.as_ref() == Some(user))
                && filter.charger_id.as_ref().is_none_or(|charger| *charger == view.charger_id)
        };
        let found = world.reservations.values().rev().filter(wanted).map(|(_, view)| view.clone());
        Page { items: found.take(page.limit).collect(), next: None }
    }
}

#[async_trait]
impl ReservationPort for Runtime {
    async fn reserve(&self, partner: &PartnerId, reserve: Reserve) -> Result<ReservationStatus, Refusal> {
        let lost = self.fault().await?;
        let mut world = self.world();
        if !world.chargers.contains_key(&reserve.charger_id) {
            return Err(Code::ChargerUnknown.into());
        }
        let view = ReservationView {
            reservation_id: reserve.reservation_id,
            request_id: Some(reserve.request_id),
            partner_id: None,
            charger_id: reserve.charger_id,
            connector_id: reserve.connector_id,
            user_id: Some(reserve.user.id),
            status: ReservationStatus::Reserved,
            created_at: Moment(Timestamp(0)),
            from: Moment(Timestamp(0)),
            until: Moment(Timestamp(1_800_000)),
            terms: Some(terms()),
            payment_due: None,
            ended_at: None,
            end_cause: None,
            text_zh: None,
            text_en: None,
            fee: None,
            returned: None,
            session_id: None,
            arrival: None,
            alternatives: vec![],
        };
        let (_, kept) = world.reservations.entry(reserve.reservation_id).or_insert((partner.clone(), view));
        if lost { Err(Code::OutcomeUnknown.into()) } else { Ok(kept.status) }
    }

    async fn quote(&self, _: &PartnerId, charger: &ChargerId) -> Result<ReservationQuote, Refusal> {
        let (charger_id, from, until) = (charger.clone(), Moment(Timestamp(0)), Moment(Timestamp(1_800_000)));
        Ok(ReservationQuote { charger_id, from, until, terms: terms() })
    }

    async fn cancel_reservation(&self, partner: &PartnerId, id: ReservationId) -> Result<ReservationStatus, Refusal> {
        self.end(Some(partner), id, ReservationStatus::Cancelled)
    }

    async fn complain(
        &self,
        partner: &PartnerId,
        id: ReservationId,
        _: Grievance,
        _: Option<String>,
    ) -> Result<ReservationStatus, Refusal> {
        self.end(Some(partner), id, ReservationStatus::Disputed)
    }

    async fn reservation(&self, partner: &PartnerId, id: ReservationId) -> Result<ReservationView, Refusal> {
        self.look(Some(partner), id)
    }

    async fn reservations(
        &self,
        partner: &PartnerId,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal> {
        Ok(self.listed(Some(partner), &filter, &page))
    }

    async fn any_reservation(&self, id: ReservationId) -> Result<ReservationView, Refusal> {
        self.look(None, id)
    }

    async fn all_reservations(
        &self,
        filter: ReservationFilter,
        page: PageRequest,
    ) -> Result<Page<ReservationView>, Refusal> {
        Ok(self.listed(None, &filter, &page))
    }

    async fn release_reservation(&self, id: ReservationId, _: &Actor) -> Result<ReservationStatus, Refusal> {
        self.end(None, id, ReservationStatus::Cancelled)
    }
}
