//! Showing orders, and what users and operators want of them (docs/orders.md). An order's row has all of it at every change, so
//! nobody need be asked to show one; one that has left memory is brought back from its row before it is asked anything.

use super::sessions::Eyes;
use super::{Service, corrupt, refused, rejected};
use crate::actors::engine::Refusal as Refused;
use crate::api::catalogue::Code;
use crate::api::port::{
    Actor, OrderDecision, OrderFilter, OrderPort, OrderStatus, OrderView, OrderWish, Page, PageRequest, Refusal,
};
use crate::domain::charging::{Key, Rejection, Reply};
use crate::domain::order::{self, Order, REVIEWS};
use crate::ids::{ChargerId, OrderId, PartnerId};
use crate::persistence::StoredRow;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

/// The table of orders.
const TABLE: &str = "order";
/// Orders by partner and user.
const BY_USER: &str = "user-order";

#[async_trait]
impl OrderPort for Service {
    async fn order(&self, partner: &PartnerId, id: OrderId) -> Result<OrderView, Refusal> {
        self.order_in_full(Eyes::Partner(partner), id).await
    }

    async fn orders(
        &self,
        partner: &PartnerId,
        filter: OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderView>, Refusal> {
        if let Some((from, until)) = filter.settled {
            return self.orders_settled(partner, (from.0, until.0), &page).await;
        }
        let eyes = Eyes::Partner(partner);
        let listing = self.listing(eyes, (TABLE, BY_USER), filter.user_id.as_deref());
        self.orders_of(eyes, listing, &filter, page).await
    }

    async fn wish(&self, partner: &PartnerId, id: OrderId, wish: OrderWish) -> Result<OrderStatus, Refusal> {
        let command = match wish {
            OrderWish::Extend(request, minor) => order::Command::Extend { minor, request },
            OrderWish::Pay => order::Command::Pay,
            OrderWish::Contest(text) => order::Command::Contest { text: text.into() },
        };
        self.ask_order(Eyes::Partner(partner), id, command).await
    }

    async fn any_order(&self, id: OrderId) -> Result<OrderView, Refusal> {
        self.order_in_full(Eyes::Operator, id).await
    }

    async fn all_orders(&self, filter: OrderFilter, page: PageRequest) -> Result<Page<OrderView>, Refusal> {
        self.orders_of(Eyes::Operator, (TABLE, String::new()), &filter, page).await
    }

    async fn order_reviews(&self, page: PageRequest) -> Result<Page<OrderView>, Refusal> {
        let reviews = (REVIEWS, String::new());
        let mut page = self.orders_of(Eyes::Operator, reviews, &OrderFilter::default(), page).await?;
        for view in &mut page.items {
            view.tickets = self.open_tickets_about(&format!("order/{}", view.order_id)).await?;
        }
        Ok(page)
    }

    async fn decide_order(&self, id: OrderId, decision: OrderDecision, actor: &Actor) -> Result<OrderStatus, Refusal> {
        let by = actor.name.clone().into();
        let command = match decision {
            OrderDecision::Settle(minor) => order::Command::Settle { minor, by },
            OrderDecision::Refund(minor) => order::Command::Refund { minor, by },
            OrderDecision::ApproveRefund => order::Command::ApproveRefund { by },
            OrderDecision::WithdrawRefund => order::Command::WithdrawRefund { by },
        };
        self.ask_order(Eyes::Operator, id, command).await
    }
}

impl Service {
    async fn order_row(&self, eyes: Eyes<'_>, id: OrderId) -> Result<Value, Refusal> {
        let row = self.journal.row(TABLE, &id.to_string()).await?.ok_or(Code::OrderUnknown)?;
        let value: Value = serde_json::from_slice(&row).map_err(|error| corrupt(TABLE, &id.to_string(), &error))?;
        let partner: Option<PartnerId> = value["partner"].as_str().and_then(|text| text.parse().ok());
        match eyes.may_see(partner.as_ref()) {
            true => Ok(value),
            false => Err(Code::OrderUnknown.into()),
        }
    }

    pub(super) async fn order_view(&self, eyes: Eyes<'_>, id: OrderId, full: bool) -> Result<OrderView, Refusal> {
        let mut value = self.order_row(eyes, id).await?;
        self.dress(&mut value, matches!(eyes, Eyes::Operator)).await?;
        if let Some(members) = value.as_object_mut() {
            members.remove("kept");
            if !full {
                members.remove("bill");
            }
            if matches!(eyes, Eyes::Partner(_)) {
                members.remove("settled_by");
                members.remove("refund_proposed");
            }
        }
        serde_json::from_value(value).map_err(|error| corrupt(TABLE, &id.to_string(), &error))
    }

    /// With the readings behind its bill.
    async fn order_in_full(&self, eyes: Eyes<'_>, id: OrderId) -> Result<OrderView, Refusal> {
        let mut view = self.order_view(eyes, id, true).await?;
        if view.bill.is_some() {
            view.readings = self.session_view(eyes, view.session_id).await?.readings;
        }
        if matches!(eyes, Eyes::Operator) {
            view.tickets = self.open_tickets_about(&format!("order/{id}")).await?;
        }
        Ok(view)
    }

    async fn orders_of(
        &self,
        eyes: Eyes<'_>,
        (table, prefix): (&str, String),
        filter: &OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderView>, Refusal> {
        let listed = |StoredRow { key, .. }| async move {
            let id: OrderId =
                key.rsplit('/').next().unwrap_or(&key).parse().map_err(|error| corrupt(table, &key, &error))?;
            let view = self.order_view(eyes, id, false).await?;
            let open = !matches!(view.status, OrderStatus::Paid | OrderStatus::Failed);
            Ok(filter.open.is_none_or(|wanted| wanted == open).then_some(view))
        };
        self.newest_first((table, &prefix), page, listed).await
    }

    /// What somebody wants of an order. One that has left memory comes back as its row has it.
    async fn ask_order(&self, eyes: Eyes<'_>, id: OrderId, command: order::Command) -> Result<OrderStatus, Refusal> {
        self.working()?;
        let row = self.order_row(eyes, id).await?;
        let charger = ChargerId::deserialize(&row["charger_id"]).map_err(|e| corrupt(TABLE, &id.to_string(), &e))?;
        let asked = self.chargers.ask(charger.as_str(), Key::Order(id), command.clone().into()).await;
        let asked = match (asked, Order::deserialize(&row["kept"])) {
            (Err(Refused::Rejected(Rejection::OrderUnknown)), Ok(kept)) => {
                let recall = order::Command::Recall(Box::new(kept));
                let recalled = self.chargers.ask(charger.as_str(), Key::Order(id), recall.into()).await;
                recalled.map_err(|refusal| refused(refusal, rejected))?;
                self.chargers.ask(charger.as_str(), Key::Order(id), command.into()).await
            }
            (asked, _) => asked,
        };
        match asked {
            Ok(Reply::OrderNow(status)) => Ok(wire_status(status)),
            Err(refusal) => Err(refused(refusal, rejected)),
            Ok(reply) => {
                tracing::error!(?reply, "an order gave another reply than its own");
                Err(Code::Internal.into())
            }
        }
    }
}

fn wire_status(status: order::Status) -> OrderStatus {
    match status {
        order::Status::Placed => OrderStatus::Placed,
        order::Status::Failed => OrderStatus::Failed,
        order::Status::Open => OrderStatus::Open,
        order::Status::UnderReview => OrderStatus::UnderReview,
        order::Status::AwaitingPayment => OrderStatus::AwaitingPayment,
        order::Status::Paid => OrderStatus::Paid,
        order::Status::Unpaid => OrderStatus::Unpaid,
    }
}
