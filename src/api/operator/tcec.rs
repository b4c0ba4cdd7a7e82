//! What is agreed with partners who speak T/CEC 102 (EM-11). Owns reading the requests and showing new secrets once.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{TcecPut, TcecView};
use crate::api::wire::{self, Findings};
use crate::ids::PartnerId;
use crate::protocol::tcec::Secrets;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an old inbound set counts, unless said: time for a partner to deploy.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest overlap: a secret that leaked must not count for ever.
const OVERLAP_MAX_S: u64 = 30 * 24 * 60 * 60;

fn partner(id: &str) -> Answered<PartnerId> {
    wire::path_id(id, Code::PartnerUnknown)
}

/// The set as it is shown, once.
fn shown(set: &Secrets) -> Answered<Value> {
    Ok(serde_json::from_str(&set.to_json()).map_err(|_| Code::Internal)?)
}

pub(super) async fn put(State(state): State<Shared>, Path(id): Path<String>, body: Bytes) -> Answered<Json<Value>> {
    let id = partner(&id)?;
    let put: TcecPut = wire::json(&body)?;
    let mut findings = Findings::default();
    findings.text("base_url", &put.base_url, 1, 2000);
    for (field, allowed) in put.dialect.as_ref().map(crate::domain::delivery::Dialect::flaws).unwrap_or_default() {
        findings.check(false, field, "is not allowed", allowed);
    }
    findings.done()?;
    let mut answer = json!({"partner_id": id, "operator_id": put.operator_id});
    if let Some(made) = state.port.put_tcec(&id, put).await? {
        answer["inbound"] = shown(&made)?;
    }
    Ok(Json(answer))
}

pub(super) async fn show(State(state): State<Shared>, Path(id): Path<String>) -> Answered<Json<TcecView>> {
    Ok(Json(state.port.tcec(&partner(&id)?).await?))
}

/// The body of `POST …/tcec/secrets`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    overlap_s: Option<u64>,
}

pub(super) async fn rotate(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id = partner(&id)?;
    let Rotation { overlap_s } = wire::json(&body)?;
    let overlap_s = overlap_s.unwrap_or(OVERLAP.as_secs());
    let mut findings = Findings::default();
    findings.check(overlap_s <= OVERLAP_MAX_S, "overlap_s", "is out of range", format!("0 to {OVERLAP_MAX_S}"));
    findings.done()?;
    let made = state.port.rotate_tcec(&id, Duration::from_secs(overlap_s)).await?;
    Ok((StatusCode::CREATED, Json(json!({"inbound": shown(&made)?, "overlap_s": overlap_s}))))
}
