//! Statements for operators (RC-3, RC-4): looking, cutting early, deciding disputes, settling, papers, revenue rules. Owns
//! reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::partner::statements::{check_paper, download, id};
use crate::api::port::{
    Actor, FiguresView, Moment, MoneyView, Page, PaperView, StatementDispute, StatementFormat, StatementLine,
    StatementView, StatementWish,
};
use crate::api::trace::Note;
use crate::api::wire::{self, Findings, Query};
use crate::domain::statement::shares::{Rule, Share};
use crate::ids::{OrderId, PartnerId, SiteId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::response::Response;
use http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

fn partner(text: &str) -> Answered<PartnerId> {
    wire::path_id(text, Code::PartnerUnknown)
}

pub(super) async fn list(
    State(state): State<Shared>,
    Path(of): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<StatementView>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.statements(&partner(&of)?, page).await?))
}

pub(super) async fn show(
    State(state): State<Shared>,
    Path((of, statement)): Path<(String, String)>,
) -> Answered<Json<StatementView>> {
    Ok(Json(state.port.statement(&partner(&of)?, &id(&statement)?).await?))
}

pub(super) async fn lines(
    State(state): State<Shared>,
    Path((of, statement)): Path<(String, String)>,
    uri: Uri,
) -> Answered<Json<Page<StatementLine>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.statement_lines(&partner(&of)?, &id(&statement)?, page).await?))
}

pub(super) async fn disputes(
    State(state): State<Shared>,
    Path((of, statement)): Path<(String, String)>,
    uri: Uri,
) -> Answered<Json<Page<StatementDispute>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.statement_disputes(&partner(&of)?, &id(&statement)?, page).await?))
}

async fn file(state: &Shared, of: &str, statement: &str, format: StatementFormat) -> Answered<Response> {
    let file = state.port.statement_file(&partner(of)?, &id(statement)?, format).await?;
    Ok(download(&format!("{of}-{statement}"), format, file))
}

pub(super) async fn csv(
    State(state): State<Shared>,
    Path((of, statement)): Path<(String, String)>,
) -> Answered<Response> {
    file(&state, &of, &statement, StatementFormat::Csv).await
}

pub(super) async fn json_file(
    State(state): State<Shared>,
    Path((of, statement)): Path<(String, String)>,
) -> Answered<Response> {
    file(&state, &of, &statement, StatementFormat::Json).await
}

/// Ends the stretch that collects lines now, whatever the day.
pub(super) async fn cut(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(of): Path<String>,
) -> Answered<Json<Value>> {
    note.target(&of);
    Ok(Json(state.port.cut_statement(&partner(&of)?, &actor.name).await?))
}

async fn wish(
    state: &Shared,
    note: &Note,
    (of, statement): (&str, &str),
    wish: StatementWish,
) -> Answered<Json<StatementView>> {
    note.target(format_args!("{of}/{statement}"));
    Ok(Json(state.port.statement_wish(&partner(of)?, &id(statement)?, wish).await?))
}

/// The body of `POST …/orders/{order_id}/resolve`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    note: String,
    /// The difference; absent: the statement was right.
    #[serde(default)]
    correction: Option<FiguresView>,
}

pub(super) async fn resolve(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path((of, statement, order)): Path<(String, String, String)>,
    body: Bytes,
) -> Answered<Json<StatementView>> {
    let Resolve { note: said, correction } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("note", &said, 1, 500);
    let adds_up = |it: &FiguresView| {
        let parts = [it.electricity, it.service, it.other];
        parts.iter().try_fold(0i64, |sum, part| sum.checked_add(*part)) == Some(it.total)
    };
    let allowed = "electricity, service and other together";
    findings.check(correction.as_ref().is_none_or(adds_up), "correction.total", "is not the sum", allowed);
    findings.done()?;
    let order: OrderId = wire::path_id(&order, Code::OrderNotStated)?;
    let resolve = StatementWish::Resolve { order, change: correction, note: said, by: actor.name };
    wish(&state, &note, (&of, &statement), resolve).await
}

/// The body of `POST …/settle`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    #[serde(default)]
    note: String,
}

pub(super) async fn settle(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path((of, statement)): Path<(String, String)>,
    body: Bytes,
) -> Answered<Json<StatementView>> {
    let Settle { note: said } = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("note", &said, 0, 500);
    findings.done()?;
    wish(&state, &note, (&of, &statement), StatementWish::Settle { by: actor.name, note: said }).await
}

/// The body of `POST …/papers`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaperPut {
    kind: String,
    reference: String,
    amount: MoneyView,
    #[serde(default)]
    details: Option<String>,
}

pub(super) async fn paper(
    State(state): State<Shared>,
    Extension(note): Extension<Note>,
    Path((of, statement)): Path<(String, String)>,
    body: Bytes,
) -> Answered<Json<StatementView>> {
    let PaperPut { kind, reference, amount, details } = wire::json(&body)?;
    let paper = PaperView { side: "operator".to_owned(), kind, reference, amount, details };
    check_paper(&paper)?;
    wish(&state, &note, (&of, &statement), StatementWish::Paper(paper)).await
}

pub(super) async fn rules(
    State(state): State<Shared>,
    Path(of): Path<String>,
    uri: Uri,
) -> Answered<Json<Page<Value>>> {
    let page = Query::read(&uri, &["limit", "cursor"])?.page("cursor", state.pages())?;
    Ok(Json(state.port.revenue_rules(&partner(&of)?, page).await?))
}

/// The body of `PUT /revenue-rules/{partner_id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulePut {
    from: Moment,
    #[serde(default)]
    site_id: Option<SiteId>,
    #[serde(default)]
    shares: Vec<Share>,
    remainder: PartnerId,
}

pub(super) async fn put_rule(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Extension(note): Extension<Note>,
    Path(of): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let RulePut { from, site_id, shares, remainder } = wire::json(&body)?;
    note.target(&of);
    let rule = Rule { from: from.0, site: site_id, shares, remainder, by: actor.name.as_str().into() };
    state.port.put_revenue_rule(&partner(&of)?, rule).await?;
    Ok(Json(json!({"partner_id": of, "from": from})))
}
