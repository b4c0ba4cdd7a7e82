//! A partner's own keys, managed by itself, at once, in an emergency (EM-2). Owns the checks that need the calling key: it
//! gives nothing that it does not have, and locks itself out by mistake nowhere.
//!
//! A new secret is stored nowhere in the clear: it follows from the request that made it, so that a repeat gets the same answer.

use super::gate::Caller;
use super::idempotency::{Claim, Write};
use super::keys::derive;
use super::sessions::Named;
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::port::{Detail, KeyView, Moment, OperationKind, Page, Refusal};
use crate::api::trace::Note;
use crate::api::wire;
use crate::domain::access::{self, Grant, NETWORK_FORM, NETWORKS_MAX, Scope};
use crate::ids::RequestId;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use http::StatusCode;
use ipnet::IpNet;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// How long a replaced key signs on, unless said: time to deploy the new one.
pub(crate) const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest such time: a key that leaked must not sign for ever.
pub(crate) const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The body of `POST /keys`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MakeKey {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// What it may do; absent: what the calling key may.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<BTreeSet<Scope>>,
    /// From where it may be used, CIDR or single addresses, at most 32; absent: from everywhere.
    #[serde(default)]
    networks: Vec<String>,
}

/// The body of `POST /keys/{key_id}/rotate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateKey {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// How long the old key signs on, 0 to 604800 s; absent: a day.
    overlap_s: Option<u64>,
}

/// The body of `POST /keys/{key_id}/networks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowKey {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// From where it may be used, CIDR or single addresses, at most 32; empty: from everywhere.
    networks: Vec<String>,
}

/// A new key. The secret is shown in this answer, and in that to a repeat of the request.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the secret is put in beside a stored answer")]
pub(crate) struct KeyMade {
    /// `ck_…`.
    key_id: String,
    /// `cs_…`: what signs.
    secret: String,
    /// When it was made.
    made_at: Moment,
}

/// A change of a key was made.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the answer may be a stored one")]
pub(crate) struct KeyChanged {
    /// Which.
    key_id: String,
}

/// Reads an allow-list; every entry that is none is named.
pub(crate) fn networks(texts: &[String]) -> Result<Vec<IpNet>, Refusal> {
    let mut details = Vec::new();
    if texts.len() > NETWORKS_MAX {
        let (problem, allowed) = ("is too long".to_owned(), format!("at most {NETWORKS_MAX}"));
        details.push(Detail { field: "networks".to_owned(), problem, allowed });
    }
    let mut read = Vec::new();
    for (n, text) in texts.iter().enumerate().take(NETWORKS_MAX) {
        match access::network(text) {
            Ok(network) => read.push(network),
            Err(error) => details.push(Detail {
                field: format!("networks[{n}]"),
                problem: error.to_string(),
                allowed: NETWORK_FORM.to_owned(),
            }),
        }
    }
    if details.is_empty() { Ok(read) } else { Err(Refusal { code: Code::InvalidField, retry_after: None, details }) }
}

/// Reads an overlap.
pub(crate) fn overlap(seconds: Option<u64>) -> Result<Duration, Refusal> {
    let overlap = seconds.map_or(OVERLAP, Duration::from_secs);
    if overlap <= OVERLAP_MAX {
        return Ok(overlap);
    }
    Err(Refusal::field("overlap_s", "is out of range", format!("0 to {}", OVERLAP_MAX.as_secs())))
}

/// Reads scopes that a key is to have: at least one.
pub(crate) fn some_scopes(scopes: &BTreeSet<Scope>) -> Result<(), Refusal> {
    if scopes.is_empty() {
        let all = Scope::ALL.map(Scope::as_str).join(", ");
        return Err(Refusal::field("scopes", "is empty", format!("one or more of {all}")));
    }
    Ok(())
}

/// Refuses what the calling key does not have itself.
fn within(caller: &Caller, scopes: &BTreeSet<Scope>) -> Result<(), Refusal> {
    let lacking = caller.grant.lacking(scopes);
    if lacking.is_empty() {
        return Ok(());
    }
    let named = |scopes: &mut dyn Iterator<Item = Scope>| scopes.map(Scope::as_str).collect::<Vec<_>>().join(", ");
    let problem = format!("the calling key has no {}", named(&mut lacking.into_iter()));
    let detail = Refusal::field("scopes", problem, named(&mut caller.grant.scopes.iter().copied()));
    Err(Refusal { code: Code::Scope, ..detail })
}

/// Your keys, without their secrets.
#[utoipa::path(get, path = "/keys", tag = "keys", security(("key" = ["credentials"])), responses(
    (status = 200, description = "All keys, those too that are over", body = Page<KeyView>),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn list(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
) -> Answered<Json<Page<KeyView>>> {
    Ok(Json(Page { items: state.port.api_keys(&caller.partner).await?, next: None }))
}

/// Makes a key. It can do no more than the key that makes it.
#[utoipa::path(post, path = "/keys", tag = "keys", security(("key" = ["credentials"])), request_body = MakeKey, responses(
    (status = 201, description = "The key and its secret", body = KeyMade),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn make(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let request: MakeKey = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let scopes = request.scopes.clone().unwrap_or_else(|| caller.grant.scopes.clone());
    some_scopes(&scopes)?;
    within(&caller, &scopes)?;
    let grant = Grant { scopes, networks: networks(&request.networks)? };
    let write = write(&caller, &request.request_id, OperationKind::MakeKey, &request)?;
    let (port, seed) = (Arc::clone(&state.port), state.key_seed);
    let (partner, name) = (caller.partner.clone(), request.request_id.clone());
    let drive = move |claim: Claim| async move {
        let key = derive(&seed, &partner, &name, claim.at.0);
        let said = json!({"key_id": key.key_id, "made_at": claim.at});
        port.add_api_key(&partner, key, grant).await?;
        Ok(said)
    };
    let answer = state.idempotency.run(write, drive).await?;
    made(&state, &caller, &request.request_id, answer)
}

/// Replaces a key: the new one may do the same from the same places, the old one signs on for a while.
#[utoipa::path(post, path = "/keys/{key_id}/rotate", tag = "keys", security(("key" = ["credentials"])), request_body = RotateKey,
    params(("key_id" = String, Path, description = "Which key")), responses(
    (status = 201, description = "The new key and its secret", body = KeyMade),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn rotate(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(key_id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let request: RotateKey = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let overlap = overlap(request.overlap_s)?;
    let keys = state.port.api_keys(&caller.partner).await?;
    let old = keys.into_iter().find(|key| key.key_id == key_id).ok_or(Code::NotFound)?;
    within(&caller, &old.scopes.into_iter().collect())?;
    let write = write(&caller, &request.request_id, OperationKind::RotateKey, &(&key_id, &request))?;
    let (port, seed) = (Arc::clone(&state.port), state.key_seed);
    let (partner, name) = (caller.partner.clone(), request.request_id.clone());
    let drive = move |claim: Claim| async move {
        let key = derive(&seed, &partner, &name, claim.at.0);
        let said = json!({"key_id": key.key_id, "made_at": claim.at});
        port.rotate_api_key(&partner, &key_id, key, overlap).await?;
        Ok(said)
    };
    let answer = state.idempotency.run(write, drive).await?;
    made(&state, &caller, &request.request_id, answer)
}

/// The answer with the secret in it, which is not stored with it.
fn made(
    state: &Partners,
    caller: &Caller,
    request: &RequestId,
    mut answer: Value,
) -> Answered<(StatusCode, Json<Value>)> {
    let at: Moment = serde_json::from_value(answer["made_at"].clone()).map_err(|_| Code::Internal)?;
    let key = derive(&state.key_seed, &caller.partner, request, at.0);
    answer["secret"] = key.secret.expose_secret().into();
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revokes a key, at once, the calling one too.
#[utoipa::path(post, path = "/keys/{key_id}/revoke", tag = "keys", security(("key" = ["credentials"])), request_body = Named,
    params(("key_id" = String, Path, description = "Which key")), responses(
    (status = 200, description = "It counts no longer", body = KeyChanged),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn revoke(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(key_id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let request: Named = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let write = write(&caller, &request.request_id, OperationKind::RevokeKey, &(&key_id, &request))?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        port.revoke_api_key(&caller.partner, &key_id).await?;
        Ok(json!({"key_id": key_id}))
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

/// Says from where a key may be used, at once. The calling key cannot shut out the address that it calls from.
#[utoipa::path(post, path = "/keys/{key_id}/networks", tag = "keys", security(("key" = ["credentials"])), request_body = AllowKey,
    params(("key_id" = String, Path, description = "Which key")), responses(
    (status = 200, description = "It counts from there only", body = KeyChanged),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
pub(super) async fn allow(
    State(state): State<Arc<Partners>>,
    Extension(caller): Extension<Caller>,
    Extension(note): Extension<Note>,
    Path(key_id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let request: AllowKey = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let networks = networks(&request.networks)?;
    if key_id == caller.key_id && !access::admits(&networks, caller.address) {
        let problem = format!("shuts out {}, where this call comes from", caller.address);
        let refusal = Refusal::field("networks", problem, "a list that admits it, or another key to make this call");
        return Err(ApiError::from(refusal).of_request(&request.request_id));
    }
    let write = write(&caller, &request.request_id, OperationKind::AllowKey, &(&key_id, &request))?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        port.set_api_key_networks(&caller.partner, &key_id, networks).await?;
        Ok(json!({"key_id": key_id}))
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
