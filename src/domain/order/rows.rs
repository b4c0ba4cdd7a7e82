//! The read models that follow from an order's events: `order/<id>`, `user-order/<partner>/<user>/<order>`,
//! `order-review/<order>` as long as a person must look, `approval-open/refund-<order>` as long as a second person is awaited, `settled` and `settled-order` for statements, `alert`, `ticket`. Owns
//! their shape.

use super::{Event, Order, Status, stated};
use crate::domain::charging::case::{self, row};
use crate::domain::entity::Row;
use crate::domain::operator::rows::APPROVAL_OPEN;
use crate::ids::OrderId;

/// The abnormal queue (SE-14).
pub const REVIEWS: &str = "order-review";

/// The rows that follow from a step's events.
pub fn project<'a>(partition: &str, id: OrderId, order: &Order, events: impl Iterator<Item = &'a Event>) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut changed, mut doubted, mut judged, mut proposed) = (false, false, false, false);
    for event in events {
        match event {
            Event::Raised(raised) => rows.extend(case::rows(raised)),
            Event::Stated(stated) => rows.extend(stated::rows(partition, id, order, stated)),
            Event::Became { status, .. } => {
                changed = true;
                doubted |= *status == Status::UnderReview;
            }
            // What changed after it was settled waits for a person as well, until something is given back.
            Event::Doubted { .. } => (changed, doubted) = (true, true),
            Event::RefundWanted { .. } | Event::RefundProposed(_) | Event::RefundWithdrawn { .. } => {
                (changed, proposed) = (true, true);
            }
            Event::ToTake { .. } | Event::Refunded { .. } => (changed, judged) = (true, true),
            Event::Placed(_)
            | Event::Failed { .. }
            | Event::Froze { .. }
            | Event::Released
            | Event::Refused { .. }
            | Event::Captured { .. }
            | Event::Kept { .. }
            | Event::DebtPaid { .. }
            | Event::Priced(_)
            | Event::Contested
            | Event::Linked { .. }
            | Event::Awaited { .. }
            | Event::Done { .. } => changed = true,
            Event::StayBegan(_)
            | Event::Asked(_)
            | Event::AskedLong
            | Event::ExtendWanted { .. }
            | Event::PayWanted
            | Event::FailureNoted
            | Event::Seen { .. }
            | Event::StayWarned
            | Event::GraceOver
            | Event::Told { .. }
            | Event::Forgotten
            | Event::Recalled(_) => {}
        }
    }
    if let Some(view) = order.view(id, partition).filter(|_| changed && order.is_public()) {
        let key = format!("{}/{}/{id}", view.partner, view.user);
        let short = serde_json::json!({"order_id": id, "status": view.status, "open": order.is_open()});
        rows.push(row("user-order", key, &short));
        // Texts and numbers: always JSON.
        let mut value = serde_json::to_value(&view).unwrap_or_default();
        if let (Some(members), Some(Status::Paid | Status::Failed)) = (value.as_object_mut(), order.status) {
            // It leaves memory: what it needs to come back.
            members.insert("kept".to_owned(), serde_json::to_value(order).unwrap_or_default());
        }
        rows.push(row("order", id.to_string(), &value));
    }
    if proposed {
        rows.push(waiting(id, order));
    }
    let undecided = order.status == Some(Status::UnderReview) && order.charge.is_none();
    if undecided || (doubted && !judged) {
        let short = serde_json::json!({"order_id": id, "charger_id": partition, "doubts": order.doubts});
        rows.push(row(REVIEWS, id.to_string(), &short));
    } else if judged {
        rows.push(Row { table: REVIEWS, key: id.to_string(), value: None });
    }
    rows
}

/// The name under which a refund waits for a second person, among all that waits.
fn approval_key(id: OrderId) -> String {
    format!("refund-{id}")
}

fn waiting(id: OrderId, order: &Order) -> Row {
    let key = approval_key(id);
    let Some(proposed) = &order.refund_proposed else { return Row { table: APPROVAL_OPEN, key, value: None } };
    let value = serde_json::json!({"act": "refund", "order_id": id, "amount": order.amount(proposed.minor),
        "status": "waiting", "proposed_by": proposed.by, "at": proposed.at});
    row(APPROVAL_OPEN, key, &value)
}
