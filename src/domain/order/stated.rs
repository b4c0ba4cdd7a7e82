//! What of an order counts towards its partner's statement (RC-3): figures when it is first settled, and the difference
//! whenever they change. Owns that difference; never a statement.
//!
//! Invariants: the changes of an order add up to its figures; a line that was written is never written again.

use super::{Event, Order, OrderStep, Status};
use crate::clock::Timestamp;
use crate::domain::entity::Row;
use crate::domain::pricing::LineKind;
use crate::domain::statement::line::{self, Figures, Line};
use crate::ids::OrderId;
use serde::{Deserialize, Serialize};

/// One line of an order, and what all of them come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// Its place among the order's lines, from 1; from 2 on it corrects.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// When the first was written.
    pub first_at: Timestamp,
    /// What this line says: the first time everything, then the difference.
    pub change: Figures,
    /// What all lines say together.
    pub figures: Figures,
}

/// The figures of a settled order. What is neither electricity nor service is `other`, also what a person changed or gave back.
fn figures(order: &Order) -> Figures {
    let of = |kind| order.bill.as_ref().map_or(0, |bill| bill.sum(kind).minor);
    let (electricity, service) = (of(LineKind::Electricity), of(LineKind::Service));
    let total = order.charge.unwrap_or(0).saturating_sub(order.refunded);
    Figures {
        energy_wh: order.bill.as_ref().map_or(0, |bill| bill.energy_wh),
        electricity,
        service,
        other: total.saturating_sub(electricity).saturating_sub(service),
        total,
    }
}

/// Writes what is new of a settled order.
pub(super) fn note(step: &mut OrderStep<'_>) {
    if step.state.status != Some(Status::Paid) || !step.state.is_public() {
        return;
    }
    let (at, now, before) = (step.context.now, figures(&step.state), step.state.stated);
    let change = now.minus(before.map_or_else(Figures::default, |before| before.figures));
    // Staying that cost nothing, or a change that changes nothing here.
    if change.is_zero() && (before.is_some() || !step.state.is_public_kind()) {
        return;
    }
    let number = before.map_or(1, |before| before.number.saturating_add(1));
    let first_at = before.map_or(at, |before| before.first_at);
    step.emit(Event::Stated(Stated { number, at, first_at, change, figures: now }));
}

/// The rows of a line.
pub(super) fn rows(charger: &str, id: OrderId, order: &Order, stated: &Stated) -> Vec<Row> {
    let Some(placed) = &order.placed else { return Vec::new() };
    let bill = order.bill.as_deref();
    let line = Line {
        order: id,
        number: stated.number.to_string().into(),
        corrects: stated.number > 1,
        at: stated.at,
        first_at: stated.first_at,
        session: placed.session,
        charger: charger.into(),
        connector: placed.connector,
        site: placed.site.clone(),
        kind: placed.kind,
        account: placed.account,
        started: bill.map_or(placed.at, |bill| bill.from),
        ended: bill.map_or(order.ended_at.unwrap_or(stated.at), |bill| bill.to),
        figures: stated.change,
        currency: placed.currency,
        tariff: placed.tariff.clone(),
        version: placed.version,
        note: None,
    };
    line::rows(&placed.partner, &line)
}
