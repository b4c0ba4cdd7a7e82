//! Orders (docs/orders.md). Owns reading the requests and the form of the answers; never what is to be paid.

use super::gate::Caller;
use super::idempotency::{Claim, Write};
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::ErrorBody;
use crate::api::port::{Moment, OperationKind, OrderFilter, OrderStatus, OrderView, OrderWish, Page};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::ids::{OrderId, RequestId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// The body of `POST /orders/{order_id}/extend`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtendRequest {
    /// Your name of this operation; the same one again changes nothing.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// How much more is set aside, 1 to 10,000,000 minor units.
    amount: i64,
}

/// The body of `POST /orders/{order_id}/pay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PayRequest {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
}

/// The body of `POST /orders/{order_id}/contest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContestRequest {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// In the user's words, 1 to 500 characters.
    text: String,
}

/// A write about an order was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderTaken {
    /// Your name of the operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// The order.
    #[schema(value_type = uuid::Uuid)]
    order_id: OrderId,
    /// Its status then; what becomes of it is pushed.
    status: OrderStatus,
}

/// A wish about an order and its name, told to the order once whatever happens (EM-5).
async fn wish(
    state: &Partners,
    caller: Caller,
    note: &Note,
    id: &str,
    (kind, body): (OperationKind, &impl Serialize),
    (request_id, wish): (RequestId, OrderWish),
) -> Answered<(StatusCode, Json<Value>)> {
    let order_id: OrderId = wire::path_id(id, Code::OrderUnknown)?;
    note.request(request_id.as_str());
    let write = Write {
        partner: caller.partner.clone(),
        request_id: request_id.clone(),
        kind,
        canonical: serde_json::to_vec(&(order_id, body)).map_err(|_| Code::Internal)?,
        session_id: None,
        reservation_id: None,
        charger_id: None,
    };
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let status = port.wish(&caller.partner, order_id, wish).await?;
        serde_json::to_value(OrderTaken { request_id, order_id, status }).map_err(|_| Code::Internal.into())
    };
    Ok((StatusCode::ACCEPTED, Json(state.idempotency.run(write, drive).await?)))
}

/// Sets more aside for an order that is charging. Refused for want of money, the user is told (`user.notice`).
#[utoipa::path(post, path = "/orders/{order_id}/extend", tag = "orders", security(("key" = ["control"])), request_body = ExtendRequest,
    params(("order_id" = uuid::Uuid, Path, description = "Which order")), responses(
    (status = 202, description = "The account is asked", body = OrderTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn extend(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let request: ExtendRequest = wire::json(&body)?;
    let ExtendRequest { request_id, amount } = request.clone();
    let mut findings = Findings::default();
    findings.check((1..=10_000_000).contains(&amount), "amount", "is out of range", "1 to 10000000");
    findings.done()?;
    let extend = (request_id.clone(), OrderWish::Extend(request_id, amount));
    wish(&state, caller, &note, &id, (OperationKind::ExtendOrder, &request), extend).await
}

/// Pays what is owed for an order from the user's balance. Paid already: nothing happens.
#[utoipa::path(post, path = "/orders/{order_id}/pay", tag = "orders", security(("key" = ["settlement"])), request_body = PayRequest,
    params(("order_id" = uuid::Uuid, Path, description = "Which order")), responses(
    (status = 202, description = "The account is asked", body = OrderTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn pay(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let request: PayRequest = wire::json(&body)?;
    let pay = (request.request_id.clone(), OrderWish::Pay);
    wish(&state, caller, &note, &id, (OperationKind::PayOrder, &request), pay).await
}

/// Contests a bill: a person looks into it. What was taken stays taken until then.
#[utoipa::path(post, path = "/orders/{order_id}/contest", tag = "orders", security(("key" = ["settlement"])), request_body = ContestRequest,
    params(("order_id" = uuid::Uuid, Path, description = "Which order")), responses(
    (status = 202, description = "A ticket is open", body = OrderTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn contest(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let request: ContestRequest = wire::json(&body)?;
    let ContestRequest { request_id, text } = request.clone();
    let mut findings = Findings::default();
    findings.text("text", &text, 1, 500);
    findings.done()?;
    let contest = (request_id, OrderWish::Contest(text));
    wish(&state, caller, &note, &id, (OperationKind::ContestOrder, &request), contest).await
}

/// One order, with its bill and the readings behind it.
#[utoipa::path(get, path = "/orders/{order_id}", tag = "orders", security(("key" = ["query"])),
    params(("order_id" = uuid::Uuid, Path, description = "Which order")), responses(
    (status = 200, description = "The order", body = OrderView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn show(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Answered<Json<OrderView>> {
    let id: OrderId = wire::path_id(&id, Code::OrderUnknown)?;
    Ok(Json(state.port.order(&caller.partner, id).await?))
}

/// Orders, newest first: of one user, or open ones. With `from` and `to`: those that were settled or corrected in that time,
/// oldest first, as statements have them; an order may come again on a later page.
#[utoipa::path(get, path = "/orders", tag = "orders", security(("key" = ["query"])), params(
    ("from" = Option<crate::api::port::Moment>, Query, description = "Settled or corrected from then on; with `to`"),
    ("to" = Option<crate::api::port::Moment>, Query, description = "Before then; with `from`"),
    ("user_id" = Option<String>, Query, description = "Of this user"),
    ("open" = Option<bool>, Query, description = "Only open (`true`) or closed (`false`) ones"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<OrderView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn list(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<Page<OrderView>>> {
    let mut query = Query::read(&uri, &["user_id", "open", "from", "to", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let (open, user_id) = (query.value("open", "true or false")?, query.text("user_id"));
    if let Some(user_id) = &user_id {
        let mut findings = Findings::default();
        findings.text("user_id", user_id, 1, 64);
        findings.done()?;
    }
    let moment = "an RFC 3339 time with an offset";
    let (from, to) = (query.value::<Moment>("from", moment)?, query.value::<Moment>("to", moment)?);
    let mut findings = Findings::default();
    findings.check(from.is_some() == to.is_some(), "to", "is there without `from`, or not", "both or none");
    let alone = from.is_none() || (user_id.is_none() && open.is_none());
    findings.check(alone, "from", "is together with `user_id` or `open`", "by itself");
    findings.done()?;
    let filter = OrderFilter { user_id, open, settled: from.zip(to) };
    Ok(Json(state.port.orders(&caller.partner, filter, page).await?))
}
