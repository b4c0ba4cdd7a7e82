//! Orders of the runtime in a box: each session has one, charging until its session is stopped, then `UnderReview`.

use super::Runtime;
use crate::api::catalogue::Code;
use crate::api::port::*;
use crate::ids::{OrderId, PartnerId, SessionId};
use async_trait::async_trait;

fn yuan(minor: i64) -> MoneyView {
    MoneyView { minor, currency: "CNY".into() }
}

fn status(session: &SessionView) -> OrderStatus {
    match session.status {
        SessionStatus::Starting => OrderStatus::Placed,
        SessionStatus::Charging | SessionStatus::StopPending | SessionStatus::Abnormal => OrderStatus::Open,
        SessionStatus::Ended => OrderStatus::UnderReview,
        SessionStatus::Failed => OrderStatus::Failed,
    }
}

fn view(owner: &PartnerId, session: &SessionView) -> OrderView {
    OrderView {
        order_id: OrderId(session.session_id.0),
        kind: OrderKind::Charging,
        status: status(session),
        session_id: session.session_id,
        linked_order_id: None,
        reservation_id: None,
        partner_id: Some(owner.clone()),
        charger_id: session.charger_id.clone(),
        connector_id: session.connector_id,
        user_id: session.user_id.clone(),
        payer: "account".into(),
        tariff_id: "flat".into(),
        tariff_version: 1,
        created_at: session.created_at,
        ended_at: session.ended_at,
        frozen: yuan(5000),
        bill: None,
        readings: None,
        total: None,
        taken: yuan(0),
        discount: None,
        coupon_id: None,
        debt: yuan(0),
        refunded: yuan(0),
        doubts: Vec::new(),
        failure: None,
        contested: false,
        payment_due: None,
        refund_proposed: None,
        settled_by: None,
        tickets: Vec::new(),
    }
}

impl Runtime {
    fn order_of(&self, eyes: Option<&PartnerId>, id: OrderId) -> Result<OrderView, Refusal> {
        let world = self.world();
        let found = world.sessions.get(&SessionId(id.0)).filter(|(owner, _)| eyes.is_none_or(|me| me == owner));
        found.map(|(owner, session)| view(owner, session)).ok_or(Code::OrderUnknown.into())
    }

    fn all(&self, eyes: Option<&PartnerId>, page: &PageRequest) -> Page<OrderView> {
        let world = self.world();
        let mine = world.sessions.values().rev().filter(|(owner, _)| eyes.is_none_or(|me| me == owner));
        Page { items: mine.map(|(owner, session)| view(owner, session)).take(page.limit).collect(), next: None }
    }
}

#[async_trait]
impl OrderPort for Runtime {
    async fn order(&self, partner: &PartnerId, id: OrderId) -> Result<OrderView, Refusal> {
        self.order_of(Some(partner), id)
    }

    async fn orders(&self, partner: &PartnerId, _: OrderFilter, page: PageRequest) -> Result<Page<OrderView>, Refusal> {
        Ok(self.all(Some(partner), &page))
    }

    async fn wish(&self, partner: &PartnerId, id: OrderId, wish: OrderWish) -> Result<OrderStatus, Refusal> {
        let order = self.order_of(Some(partner), id)?;
        match (wish, order.status) {
            (OrderWish::Extend(..), OrderStatus::Open) => Ok(OrderStatus::Open),
            (OrderWish::Extend(..), _) => Err(Code::OrderNotOpen.into()),
            (OrderWish::Pay, _) => Err(Code::OrderNotOwed.into()),
            (OrderWish::Contest(_), _) => Err(Code::OrderNotBilled.into()),
        }
    }

    async fn any_order(&self, id: OrderId) -> Result<OrderView, Refusal> {
        self.order_of(None, id)
    }

    async fn all_orders(&self, _: OrderFilter, page: PageRequest) -> Result<Page<OrderView>, Refusal> {
        Ok(self.all(None, &page))
    }

    async fn order_reviews(&self, page: PageRequest) -> Result<Page<OrderView>, Refusal> {
        let mut found = self.all(None, &page);
        found.items.retain(|order| order.status == OrderStatus::UnderReview);
        Ok(found)
    }

    async fn decide_order(&self, id: OrderId, _: OrderDecision, _: &Actor) -> Result<OrderStatus, Refusal> {
        match self.order_of(None, id)?.status {
            OrderStatus::UnderReview => Ok(OrderStatus::Paid),
            _ => Err(Code::OrderNotUnderReview.into()),
        }
    }
}
