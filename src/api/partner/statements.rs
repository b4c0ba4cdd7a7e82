//! Statements (docs/statements.md, RC-3, RC-4): looking, downloading, agreeing, disputing, invoices and payments. Owns reading
//! the requests and the form of the answers; never a figure.

use super::gate::Caller;
use super::idempotency::{Claim, Write};
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::ErrorBody;
use crate::api::port::{
    MoneyView, OperationKind, Page, PaperView, StatementDispute, StatementFile, StatementFormat, StatementLine,
    StatementView, StatementWish,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::ids::{OrderId, RequestId, StatementId};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{Uri, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// The longest reason of a dispute, in characters.
const REASON_MAX: usize = 500;

/// The body of a confirmation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
}

/// The body of a dispute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisputeRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// What is wrong, 1 to 500 characters.
    reason: String,
}

/// The body of `POST /statements/{statement_id}/papers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaperRequest {
    /// Your name of this operation, 1 to 64 characters of `A-Za-z0-9_-`.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// `invoice`, `payment` (you have sent money), `receipt` (money has come).
    kind: String,
    /// Its number, or the bank's, 1 to 64 characters.
    reference: String,
    /// How much.
    amount: MoneyView,
    /// Title, tax number, bank, up to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

/// What papers must be, whoever writes them.
pub(crate) fn check_paper(paper: &PaperView) -> Answered<()> {
    let mut findings = Findings::default();
    findings.text("reference", &paper.reference, 1, 64);
    if let Some(details) = &paper.details {
        findings.text("details", details, 1, REASON_MAX);
    }
    let kinds = ["invoice", "payment", "receipt"];
    findings.check(kinds.contains(&paper.kind.as_str()), "kind", "is not known", "invoice, payment, receipt");
    findings.check(paper.amount.minor > 0, "amount.minor", "is not above 0", "1 or more minor units");
    Ok(findings.done()?)
}

/// A statement's id in a path.
pub(crate) fn id(text: &str) -> Answered<StatementId> {
    wire::path_id(text, Code::StatementUnknown)
}

/// A file as an answer: its digest is in the head, its bytes follow as they are made.
pub(crate) fn download(name: &str, format: StatementFormat, file: StatementFile) -> Response {
    let (kind, ending) = match format {
        StatementFormat::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        StatementFormat::Json => ("application/json", "json"),
    };
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, file.sum.bytes.to_string()),
        (header::ETAG, format!("\"{}\"", file.sum.sha256)),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.{ending}\"")),
        (header::HeaderName::from_static("x-content-sha256"), file.sum.sha256),
    ];
    (headers, Body::from_stream(file.content)).into_response()
}

/// Statements, newest first.
#[utoipa::path(get, path = "/statements", tag = "statements", security(("key" = ["settlement"])), params(
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<StatementView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn list(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Answered<Json<Page<StatementView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.statements(&caller.partner, page).await?))
}

/// One statement: totals, digests, state.
#[utoipa::path(get, path = "/statements/{statement_id}", tag = "statements", security(("key" = ["settlement"])),
    params(("statement_id" = String, Path, description = "Which statement: a local day")), responses(
    (status = 200, description = "The statement", body = StatementView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn show(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(statement): Path<String>,
) -> Answered<Json<StatementView>> {
    Ok(Json(state.port.statement(&caller.partner, &id(&statement)?).await?))
}

/// Its lines, oldest first, with who gets what of each.
#[utoipa::path(get, path = "/statements/{statement_id}/lines", tag = "statements", security(("key" = ["settlement"])), params(
    ("statement_id" = String, Path, description = "Which statement"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<StatementLine>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn lines(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(statement): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<StatementLine>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.statement_lines(&caller.partner, &id(&statement)?, page).await?))
}

/// Its disputes.
#[utoipa::path(get, path = "/statements/{statement_id}/disputes", tag = "statements", security(("key" = ["settlement"])), params(
    ("statement_id" = String, Path, description = "Which statement"),
    ("limit" = Option<u32>, Query, description = "Most items"),
    ("cursor" = Option<String>, Query, description = "The `next` of an earlier page")), responses(
    (status = 200, description = "A page", body = Page<StatementDispute>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn disputes(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(statement): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<StatementDispute>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.statement_disputes(&caller.partner, &id(&statement)?, page).await?))
}

/// The statement as CSV (RFC 4180 with a header). Its SHA-256 is in `x-content-sha256` and in the statement.
#[utoipa::path(get, path = "/statements/{statement_id}/csv", tag = "statements", security(("key" = ["settlement"])),
    params(("statement_id" = String, Path, description = "Which statement")), responses(
    (status = 200, description = "The file", body = String, content_type = "text/csv"),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn csv(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(statement): Path<String>,
) -> Answered<Response> {
    let format = StatementFormat::Csv;
    let file = state.port.statement_file(&caller.partner, &id(&statement)?, format).await?;
    Ok(download(&statement, format, file))
}

/// The statement as one JSON object. Its SHA-256 is in `x-content-sha256` and in the statement.
#[utoipa::path(get, path = "/statements/{statement_id}/json", tag = "statements", security(("key" = ["settlement"])),
    params(("statement_id" = String, Path, description = "Which statement")), responses(
    (status = 200, description = "The file", body = Object),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn json(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Path(statement): Path<String>,
) -> Answered<Response> {
    let format = StatementFormat::Json;
    let file = state.port.statement_file(&caller.partner, &id(&statement)?, format).await?;
    Ok(download(&statement, format, file))
}

async fn write(
    state: &Partners,
    caller: Caller,
    note: &Note,
    (statement, request_id): (&str, RequestId),
    (wish, canonical): (StatementWish, &impl Serialize),
) -> Answered<Json<Value>> {
    let id = id(statement)?;
    note.request(request_id.as_str());
    let write = Write {
        partner: caller.partner.clone(),
        request_id,
        kind: OperationKind::Statement,
        canonical: serde_json::to_vec(&(statement, canonical)).map_err(|_| Code::Internal)?,
        session_id: None,
        reservation_id: None,
        charger_id: None,
    };
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        let view = port.statement_wish(&caller.partner, &id, wish).await?;
        serde_json::to_value(view).map_err(|_| Code::Internal.into())
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

/// Agrees with the statement. Not while orders of it are disputed.
#[utoipa::path(post, path = "/statements/{statement_id}/confirm", tag = "statements", security(("key" = ["settlement"])), request_body = ConfirmRequest,
    params(("statement_id" = String, Path, description = "Which statement")), responses(
    (status = 200, description = "The statement", body = StatementView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn confirm(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(statement): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let request: ConfirmRequest = wire::json(&body)?;
    let name = (statement.as_str(), request.request_id.clone());
    write(&state, caller, &note, name, (StatementWish::Confirm, &("confirm", &request))).await
}

/// Agrees about one order of the statement.
#[utoipa::path(post, path = "/statements/{statement_id}/orders/{order_id}/confirm", tag = "statements", security(("key" = ["settlement"])),
    request_body = ConfirmRequest, params(
    ("statement_id" = String, Path, description = "Which statement"),
    ("order_id" = uuid::Uuid, Path, description = "Which order of it")), responses(
    (status = 200, description = "The statement", body = StatementView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn confirm_order(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path((statement, order)): Path<(String, String)>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let request: ConfirmRequest = wire::json(&body)?;
    let order: OrderId = wire::path_id(&order, Code::OrderNotStated)?;
    let name = (statement.as_str(), request.request_id.clone());
    write(&state, caller, &note, name, (StatementWish::ConfirmOrder(order), &("confirm", order, &request))).await
}

/// Disagrees about one order of the statement: a person looks into it.
#[utoipa::path(post, path = "/statements/{statement_id}/orders/{order_id}/dispute", tag = "statements", security(("key" = ["settlement"])),
    request_body = DisputeRequest, params(
    ("statement_id" = String, Path, description = "Which statement"),
    ("order_id" = uuid::Uuid, Path, description = "Which order of it")), responses(
    (status = 200, description = "The statement", body = StatementView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn dispute(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path((statement, order)): Path<(String, String)>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let request: DisputeRequest = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("reason", &request.reason, 1, REASON_MAX);
    findings.done()?;
    let order: OrderId = wire::path_id(&order, Code::OrderNotStated)?;
    let (name, reason) = ((statement.as_str(), request.request_id.clone()), request.reason.clone());
    let wish = StatementWish::Dispute { order, request: request.request_id.clone(), reason };
    write(&state, caller, &note, name, (wish, &("dispute", order, &request))).await
}

/// Your invoice for the statement, or word of a payment. Ours are in the statement's `papers`, too.
#[utoipa::path(post, path = "/statements/{statement_id}/papers", tag = "statements", security(("key" = ["settlement"])), request_body = PaperRequest,
    params(("statement_id" = String, Path, description = "Which statement")), responses(
    (status = 200, description = "The statement", body = StatementView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn paper(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(statement): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let request: PaperRequest = wire::json(&body)?;
    let PaperRequest { request_id, kind, reference, amount, details } = request.clone();
    let paper = PaperView { side: "partner".to_owned(), kind, reference, amount, details };
    check_paper(&paper)?;
    write(&state, caller, &note, (&statement, request_id), (StatementWish::Paper(paper), &("paper", &request))).await
}
