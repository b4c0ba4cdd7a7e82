//! Applications of partners, and their suspension, for operators (EM-1). Owns reading the requests.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::partner::credentials::some_scopes;
use crate::api::port::{Actor, ApplicationView, ApprovalPut, Judgement, Page, Refusal};
use crate::api::wire::{self, Findings, Query};
use crate::domain::onboarding::Stage;
use crate::ids::PartnerId;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::Uri;
use serde::Deserialize;
use serde_json::{Value, json};

fn application(id: &str) -> Answered<PartnerId> {
    wire::path_id(id, Code::ApplicationUnknown)
}

/// The parameter of `GET /applications`.
fn stage(query: &mut Query) -> Answered<Option<Stage>> {
    let Some(text) = query.text("stage") else { return Ok(None) };
    let allowed = "waiting, returned, approved, refused or withdrawn";
    let stage = serde_json::from_value(Value::from(text));
    Ok(Some(stage.map_err(|_| Refusal::field("stage", "is no stage", allowed))?))
}

pub(super) async fn list(State(state): State<Shared>, uri: Uri) -> Answered<Json<Page<ApplicationView>>> {
    let mut query = Query::read(&uri, &["stage", "limit", "cursor"])?;
    let page = query.page("cursor", state.pages())?;
    Ok(Json(state.port.applications(stage(&mut query)?, page).await?))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<ApplicationView>> {
    Ok(Json(state.port.any_application(&application(&id)?).await?))
}

pub(super) async fn approve(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id = application(&id)?;
    let put: ApprovalPut = wire::json(&body)?;
    if let Some(scopes) = &put.scopes {
        some_scopes(scopes)?;
    }
    state.port.judge_application(&id, Judgement::Approve(put), &actor).await?;
    Ok(Json(json!({"application_id": id, "partner_id": id, "stage": Stage::Approved})))
}

/// The body of a call that needs a reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

fn reason(body: &Bytes) -> Answered<String> {
    let Reason { reason } = wire::json(body)?;
    let mut findings = Findings::default();
    findings.text("reason", &reason, 1, 500);
    findings.done()?;
    Ok(reason)
}

async fn judged(
    state: &Shared,
    id: &str,
    actor: &Actor,
    (judgement, stage): (Judgement, Stage),
) -> Answered<Json<Value>> {
    let id = application(id)?;
    state.port.judge_application(&id, judgement, actor).await?;
    Ok(Json(json!({"application_id": id, "stage": stage})))
}

pub(super) async fn give_back(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    judged(&state, &id, &actor, (Judgement::Return(reason(&body)?), Stage::Returned)).await
}

pub(super) async fn refuse(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    judged(&state, &id, &actor, (Judgement::Refuse(reason(&body)?), Stage::Refused)).await
}

pub(super) async fn suspend(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id = wire::path_id(&id, Code::PartnerUnknown)?;
    state.port.suspend_partner(&id, Some(reason(&body)?), &actor).await?;
    Ok(Json(json!({"partner_id": id, "suspended": true})))
}

pub(super) async fn resume(
    State(state): State<Shared>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Answered<Json<Value>> {
    let id = wire::path_id(&id, Code::PartnerUnknown)?;
    state.port.suspend_partner(&id, None, &actor).await?;
    Ok(Json(json!({"partner_id": id, "suspended": false})))
}
