//! Users' accounts for operators (MO-3, MO-6, MO-8, OP-1), and the look at all books (MO-1). Owns reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{AccountOrder, AccountSearch, Actor, Moment, Page, totals};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::domain::account::risk::Rule;
use crate::domain::account::{Coupon, Discount};
use crate::domain::ledger::{CouponId, OrderId};
use crate::domain::money::Money;
use crate::ids::{AdjustmentId, RequestId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

/// An account's name: the pseudonym of its user.
fn account(id: &str) -> Answered<&str> {
    let plain = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if plain { Ok(id) } else { Err(Code::AccountUnknown.into()) }
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<Value>>> {
    let mut query = Query::read(&uri, &["partner_id", "user_id", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    let search =
        AccountSearch { partner_id: query.value("partner_id", "a partner's id")?, user_id: query.text("user_id") };
    Ok(Json(state.port.accounts(search, page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<Value>> {
    Ok(Json(state.port.account(account(&id)?).await?))
}

pub(super) async fn entries(
    State(state): State<Shared>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<Value>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.account_entries(account(&id)?, page).await?))
}

async fn order(
    state: &Shared,
    note: &Note,
    id: &str,
    (order, request_id): (AccountOrder, Option<RequestId>),
    actor: &Actor,
) -> Answered<Json<Value>> {
    note.target(account(id)?);
    let outcome = state.port.account_order(account(id)?, order, request_id.as_ref(), actor).await?;
    let outcome = serde_json::to_value(outcome).map_err(|_| Code::Internal)?;
    Ok(Json(json!({"account": id, "outcome": outcome})))
}

/// A text that people write.
fn text(field: &str, text: &str) -> Answered<()> {
    let mut findings = Findings::default();
    findings.text(field, text, 1, 200);
    Ok(findings.done()?)
}

/// Adjustments and refunds need two people, and so whoever wants one says who they are.
pub(super) fn named(actor: &Actor) -> Answered<()> {
    if actor.is_nameless() { Err(Code::OperatorNameless.into()) } else { Ok(()) }
}

/// Whoever agrees to what another has proposed does it with a token of their own.
pub(super) fn second(actor: &Actor) -> Answered<()> {
    if actor.is_root() { Err(Code::OperatorAccount.into()) } else { Ok(()) }
}

/// The body of `POST …/block`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    reason: String,
    request_id: Option<RequestId>,
}

pub(super) async fn block(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Block { reason, request_id } = wire::json(&body)?;
    text("reason", &reason)?;
    order(&state, &note, &id, (AccountOrder::Block { reason }, request_id), &actor).await
}

/// The body of `POST …/unblock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    rule: Option<Rule>,
    request_id: Option<RequestId>,
}

pub(super) async fn unblock(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Lift { rule, request_id } = wire::json(&body)?;
    let rule = rule.unwrap_or(Rule::Blacklist);
    order(&state, &note, &id, (AccountOrder::Lift { rule }, request_id), &actor).await
}

/// The body of `PUT …/credit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credit {
    limit: Money,
    request_id: Option<RequestId>,
}

pub(super) async fn credit(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let Credit { limit, request_id } = wire::json(&body)?;
    order(&state, &note, &id, (AccountOrder::Credit { limit }, request_id), &actor).await
}

/// The body of `POST …/coupons`: an `amount`, or a `percent` with the greatest discount `most`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    coupon_id: CouponId,
    amount: Option<Money>,
    percent: Option<u8>,
    most: Option<Money>,
    least: Option<Money>,
    from: Moment,
    until: Moment,
    request_id: Option<RequestId>,
}

pub(super) async fn grant(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let grant: Grant = wire::json(&body)?;
    let mut findings = Findings::default();
    let one = grant.amount.is_some() != grant.percent.is_some();
    findings.check(one, "amount", "is there with `percent`, or neither is", "exactly one of amount, percent");
    findings.check(grant.most.is_none() || grant.percent.is_some(), "most", "goes with `percent`", "with percent only");
    findings.done()?;
    let discount = match (grant.amount, grant.percent) {
        (Some(amount), _) => Discount::Amount(amount),
        (None, percent) => Discount::Percent { percent: percent.unwrap_or_default(), most: grant.most },
    };
    let (from, until) = (grant.from.0, grant.until.0);
    let coupon = Coupon { id: grant.coupon_id, discount, from, until, least: grant.least };
    order(&state, &note, &id, (AccountOrder::Coupon(coupon), grant.request_id), &actor).await
}

/// The body of `POST …/adjustments`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Propose {
    amount: Money,
    order_id: Option<OrderId>,
    reason: String,
    request_id: Option<RequestId>,
}

pub(super) async fn propose(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    named(&actor)?;
    let Propose { amount, order_id, reason, request_id } = wire::json(&body)?;
    text("reason", &reason)?;
    let propose = AccountOrder::Propose { amount, order: order_id, reason };
    order(&state, &note, &id, (propose, request_id), &actor).await
}

pub(super) async fn approve(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path((id, adjustment)): Path<(String, String)>,
) -> Answered<Json<Value>> {
    second(&actor)?;
    let adjustment: AdjustmentId = wire::path_id(&adjustment, Code::AdjustmentUnknown)?;
    order(&state, &note, &id, (AccountOrder::Approve(adjustment), None), &actor).await
}

pub(super) async fn withdraw(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path((id, adjustment)): Path<(String, String)>,
) -> Answered<Json<Value>> {
    named(&actor)?;
    let adjustment: AdjustmentId = wire::path_id(&adjustment, Code::AdjustmentUnknown)?;
    order(&state, &note, &id, (AccountOrder::Withdraw(adjustment), None), &actor).await
}

pub(super) async fn verify(State(state): State<Shared>) -> Answered<Json<Value>> {
    let findings = state.port.verify_ledger().await?;
    let totals = totals(&findings);
    Ok(Json(json!({"sound": findings.sound(), "accounts": findings.accounts, "entries": findings.entries,
        "wrong": findings.wrong, "problems": findings.problems, "totals": totals})))
}
