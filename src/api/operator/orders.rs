//! Orders, and those that wait for a person, for operators (SE-14, MO-7, OP-2). Owns reading the requests.

use super::accounts::{named, second};
use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{Actor, OrderDecision, OrderFilter, OrderView, Page};
use crate::api::wire::{self, Findings, Query};
use crate::ids::OrderId;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};

/// The body of `POST …/settle` and `POST …/refund`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    /// Minor units.
    #[serde(default)]
    amount: Option<i64>,
}

fn order(id: &str) -> Answered<OrderId> {
    wire::path_id(id, Code::OrderUnknown)
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<OrderView>>> {
    let mut query = Query::read(&uri, &["open", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let filter = OrderFilter { open: query.value("open", "true or false")?, ..OrderFilter::default() };
    Ok(Json(state.port.all_orders(filter, page).await?))
}

pub(super) async fn reviews(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<OrderView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.order_reviews(page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<OrderView>> {
    Ok(Json(state.port.any_order(order(&id)?).await?))
}

async fn decide(
    state: &Shared,
    id: &str,
    decision: OrderDecision,
    actor: &Actor,
) -> Answered<(StatusCode, Json<Value>)> {
    let id = order(id)?;
    let status = state.port.decide_order(id, decision, actor).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"order_id": id, "status": status}))))
}

pub(super) async fn settle(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let Sum { amount } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.check(
        amount.is_none_or(|minor| minor >= 0),
        "amount",
        "is negative",
        "0 or more; absent: the bill's total",
    );
    findings.done()?;
    decide(&state, &id, OrderDecision::Settle(amount), &actor).await
}

pub(super) async fn close(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    decide(&state, &id, OrderDecision::Settle(Some(0)), &actor).await
}

pub(super) async fn refund(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    // A large one needs a second person, and so both need names.
    named(&actor)?;
    let Sum { amount } = wire::json(&body)?;
    let minor = amount.filter(|minor| *minor > 0).unwrap_or(0);
    let mut findings = Findings::default();
    findings.check(minor > 0, "amount", "is missing or not above 0", "1 or more minor units");
    findings.done()?;
    decide(&state, &id, OrderDecision::Refund(minor), &actor).await
}

pub(super) async fn approve_refund(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    second(&actor)?;
    decide(&state, &id, OrderDecision::ApproveRefund, &actor).await
}

pub(super) async fn withdraw_refund(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Value>)> {
    named(&actor)?;
    decide(&state, &id, OrderDecision::WithdrawRefund, &actor).await
}
