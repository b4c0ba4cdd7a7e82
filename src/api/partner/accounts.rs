//! Users' accounts for the first-party app (MO-3, MO-5): balance, entries, top-ups, debts. Owns reading the requests; what they
//! mean is behind [`AccountPort`](crate::api::port::AccountPort).

use super::gate::Caller;
use super::idempotency::{Claim, Write};
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::ErrorBody;
use crate::api::port::{
    Amount, BalanceView, Callback, DebtPaidView, EntryView, OperationKind, Page, PartnerPort, TopUpView,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::domain::ledger::OrderId;
use crate::ids::{RequestId, TopUpId};
use crate::protocol::payment;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::{HeaderMap, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// The longest name that a partner may give a user.
pub(super) const USER_ID_MAX: usize = 64;

/// The body of `POST /users/{user_id}/top-ups`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopUpRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// How much.
    amount: Amount,
}

/// The body of `POST /users/{user_id}/debts/pay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DebtPayment {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Which order.
    #[schema(value_type = String)]
    order_id: OrderId,
    /// How much; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
}

fn user(id: &str) -> Answered<()> {
    let mut findings = Findings::default();
    findings.text("user_id", id, 1, USER_ID_MAX);
    Ok(findings.done()?)
}

/// A user's balance, what is frozen, what is owed, and why they cannot start.
#[utoipa::path(get, path = "/users/{user_id}/account", tag = "accounts", security(("key" = ["accounts"])),
    params(("user_id" = String, Path, description = "Your user")), responses(
    (status = 200, description = "The account", body = BalanceView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn balance(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(user_id): Path<String>,
) -> Answered<Json<BalanceView>> {
    user(&user_id)?;
    Ok(Json(state.port.balance(&caller.partner, &user_id).await?))
}

/// The entries of a user's account, newest first.
#[utoipa::path(get, path = "/users/{user_id}/entries", tag = "accounts", security(("key" = ["accounts"])), params(
    ("user_id" = String, Path, description = "Your user"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<EntryView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn entries(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(user_id): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<EntryView>>> {
    user(&user_id)?;
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.entries(&caller.partner, &user_id, page).await?))
}

/// Begins a top-up: send the user to the payment gateway with the id that comes back.
#[utoipa::path(post, path = "/users/{user_id}/top-ups", tag = "accounts", security(("key" = ["accounts"])), request_body = TopUpRequest,
    params(("user_id" = String, Path, description = "Your user")), responses(
    (status = 202, description = "The gateway is waited for", body = TopUpView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn open_top_up(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(user_id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    user(&user_id)?;
    let request: TopUpRequest = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::TopUp, &(&user_id, &request))?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let view = port.open_top_up(&caller.partner, &user_id, &request.request_id, request.amount.0).await?;
        serde_json::to_value(view).map_err(|_| Code::Internal.into())
    };
    let answer = state.idempotency.run(write, drive).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

/// A top-up and where it stands.
#[utoipa::path(get, path = "/users/{user_id}/top-ups/{top_up_id}", tag = "accounts", security(("key" = ["accounts"])), params(
    ("user_id" = String, Path, description = "Your user"),
    ("top_up_id" = uuid::Uuid, Path, description = "Which top-up")), responses(
    (status = 200, description = "The top-up", body = TopUpView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn top_up(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path((user_id, id)): Path<(String, String)>,
) -> Answered<Json<TopUpView>> {
    user(&user_id)?;
    let id: TopUpId = wire::path_id(&id, Code::TopUpUnknown)?;
    Ok(Json(state.port.top_up(&caller.partner, &user_id, id).await?))
}

/// Pays debt of an order from the user's balance.
#[utoipa::path(post, path = "/users/{user_id}/debts/pay", tag = "accounts", security(("key" = ["accounts"])), request_body = DebtPayment,
    params(("user_id" = String, Path, description = "Your user")), responses(
    (status = 200, description = "Paid", body = DebtPaidView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn pay_debt(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(user_id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    user(&user_id)?;
    let request: DebtPayment = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::DebtPayment, &(&user_id, &request))?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let wish = (&request.request_id, request.amount.map(|amount| amount.0));
        let view = port.pay_debt(&caller.partner, &user_id, &request.order_id, wish).await?;
        serde_json::to_value(view).map_err(|_| Code::Internal.into())
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

fn write(caller: &Caller, request_id: &RequestId, kind: OperationKind, body: &impl Serialize) -> Answered<Write> {
    Ok(Write {
        partner: caller.partner.clone(),
        request_id: request_id.clone(),
        kind,
        canonical: serde_json::to_vec(body).map_err(|_| Code::Internal)?,
        session_id: None,
        reservation_id: None,
        charger_id: None,
    })
}

/// The payment gateway's callback (`docs/payments.md`). Signed by the gateway's secret, not a partner's key.
pub(super) async fn callback(
    State(port): State<Arc<dyn PartnerPort>>,
    Extension(note): Extension<Note>,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<Json<Value>> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (timestamp, signature) = (header(payment::TIMESTAMP), header(payment::SIGNATURE));
    port.payment_callback(Callback { timestamp, signature, body: body.to_vec() }).await?;
    note.actor("payment-gateway");
    Ok(Json(serde_json::json!({"received": true})))
}
