//! The gate before every partner call: signature, window, nonce, ban, limits, places, deadline (EM-3, EM-4). Owns the
//! order of these checks; what each one means is in its own file.
//!
//! The order: cheap refusals first (headers, ban, clock), then the body is read within its bound, then the secret is
//! compared, and only a proven caller costs memory (nonce, limits, places). What counts as a failure towards a ban: a wrong
//! signature or unknown key, a replay, and an address that the key may not be used at. A wrong clock and missing headers do not: nothing can be guessed by them.

use super::Partners;
use super::keys::{KeyRecord, look_up};
use super::nonces::Used;
use super::shed::demand_of;
use super::signature::Presented;
use crate::api::catalogue::Code;
use crate::api::error::ApiError;
use crate::api::port::Refusal;
use crate::api::trace::{Class, Note};
use crate::clock::Timestamp;
use crate::config::api::Api;
use crate::domain::access::Grant;
use crate::domain::access::watch::Change;
use crate::ids::PartnerId;
use crate::telemetry::metrics::api as metrics;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Who calls, proven.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The partner.
    pub(crate) partner: PartnerId,
    /// With which key.
    pub(crate) key_id: String,
    /// What that key may do.
    pub(crate) grant: Arc<Grant>,
    /// From where.
    pub(crate) address: IpAddr,
}

/// Something that operators should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityEvent {
    /// A partner's key was banned at an address.
    Banned {
        /// Whose key.
        partner: PartnerId,
        /// Which key.
        key_id: String,
        /// Where.
        address: IpAddr,
    },
    /// A partner's key is used in another way than usual (EM-4).
    Changed {
        /// Whose key.
        partner: PartnerId,
        /// Which key.
        key_id: String,
        /// Where.
        address: IpAddr,
        /// What is different.
        change: Change,
    },
    /// A partner's key signed rightly at an address that its allow-list does not name: somebody else may have its secret.
    Elsewhere {
        /// Whose key.
        partner: PartnerId,
        /// Which key.
        key_id: String,
        /// Where.
        address: IpAddr,
    },
}

/// Why the gate stays closed: the answer, and the metric's word for it.
struct Closed(ApiError, Option<&'static str>);

impl From<Refusal> for Closed {
    fn from(refusal: Refusal) -> Self {
        let kinds = [(Code::ClockSkew, "clock"), (Code::ReplayedNonce, "replay")];
        let kind = kinds.into_iter().find(|(code, _)| *code == refusal.code).map(|(_, kind)| kind);
        Closed(refusal.into(), kind)
    }
}

fn closed(code: Code, kind: &'static str) -> Closed {
    Closed(code.into(), Some(kind))
}

/// The layer.
pub(super) async fn layer(State(state): State<Arc<Partners>>, request: Request, next: Next) -> Response {
    let api = Arc::clone(&state.config.current());
    let write = Class::of(request.method(), request.uri().path()) == Class::Write;
    match tokio::time::timeout(api.api.request_deadline, through(&state, &api.api, request, next)).await {
        Ok(Ok(response)) => response,
        Ok(Err(Closed(error, kind))) => {
            if let Some(kind) = kind {
                metrics::REFUSED_CALLERS.add(1, [kind]);
            }
            error.into_response()
        }
        Err(_) => {
            metrics::LIMITED.add(1, ["deadline"]);
            ApiError::from(if write { Code::OutcomeUnknown } else { Code::Unavailable }).into_response()
        }
    }
}

async fn through(state: &Partners, api: &Api, request: Request, next: Next) -> Result<Response, Closed> {
    let note = request.extensions().get::<Note>().cloned().unwrap_or_default();
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    // Without a socket (a test of the router alone) all callers share one address.
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let presented = Presented::read(request.headers()).map_err(|malformed| {
        let detail = Refusal::field(malformed.0, "is missing, doubled or not well formed", "see docs/partner-api.md");
        Closed(Refusal { code: Code::MissingSignature, ..detail }.into(), Some("missing"))
    })?;
    note.key(&presented.key_id);
    let now = state.clock.now();
    if let Some(wait) = state.bans.remaining(&presented.key_id, address, now) {
        return Err(Closed(Refusal::from(Code::Banned).after(wait).into(), Some("banned")));
    }
    if !presented.is_timely(now, api.signature_window) {
        return Err(closed(Code::ClockSkew, "clock"));
    }
    // Before anything is read or compared: it has to be cheap.
    let demand = demand_of(request.method(), request.uri().path());
    if let Some(refusal) = state.shed.refusal(demand, api, now) {
        return Err(Closed(refusal.into(), None));
    }
    let (request, body) = buffered(request, api.body_bytes_max).await?;
    let key = prove(state, api, &presented, address, &request, &body)?;
    note.actor(key.partner.as_str());
    let class = Class::of(request.method(), request.uri().path());
    if !permitted(state, &key, &request) {
        return Err(closed(Code::Scope, "scope"));
    }
    let allowance = state.limits.count(&presented.key_id, class, api);
    if let Some(wait) = allowance.wait {
        metrics::LIMITED.add(1, [bound_of(class)]);
        let mut response = ApiError::from(Refusal::from(Code::RateLimited).after(wait)).into_response();
        allowance.write(response.headers_mut());
        return Ok(response);
    }
    remember(state, api, &presented, address, &key.partner).await?;
    noticed(state, &presented.key_id, &key.partner, address, (class, now));
    let Some(place) = state.limits.enter(&key.partner, api.in_flight_per_partner) else {
        metrics::LIMITED.add(1, ["in_flight"]);
        return Err(Closed(Code::Busy.into(), None));
    };
    let (mut parts, _) = request.into_parts();
    let (partner, grant) = (key.partner.clone(), Arc::clone(&key.grant));
    parts.extensions.insert(Caller { partner, key_id: presented.key_id.clone(), grant, address });
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    drop(place);
    allowance.write(response.headers_mut());
    Ok(response)
}

/// Reads the whole body, within its bound.
async fn buffered(request: Request, most: usize) -> Result<(Request, Bytes), Closed> {
    let too_large = || {
        metrics::LIMITED.add(1, ["body"]);
        Closed(Code::BodyTooLarge.into(), None)
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, most).await.map_err(|e| {
        let limit = std::error::Error::source(&e).is_some_and(|s| s.to_string().contains("length limit"));
        // Otherwise the caller has gone in the middle of it: nobody reads the answer.
        if limit { too_large() } else { Closed(Code::BadJson.into(), None) }
    })?;
    Ok((Request::from_parts(parts, Body::empty()), body))
}

/// The key, if the signature is right and the nonce not known to have been used.
fn prove(
    state: &Partners,
    api: &Api,
    presented: &Presented,
    address: IpAddr,
    request: &Request,
    body: &Bytes,
) -> Result<Arc<KeyRecord>, Closed> {
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let key = look_up(state.keys.as_ref(), &presented.key_id)?;
    let secret = key.as_deref().map(|key| &key.secret);
    let fits = presented.fits(secret, request.method().as_str(), target, body);
    let Some(key) = key.filter(|_| fits) else {
        failed(state, api, presented, address);
        return Err(closed(Code::BadSignature, "bad"));
    };
    if !key.is_live(state.clock.now()) {
        return Err(closed(Code::RevokedKey, "revoked"));
    }
    if !key.grant.admits(address) {
        elsewhere(state, api, presented, address, &key.partner);
        return Err(closed(Code::AddressRefused, "address"));
    }
    if state.nonces.seen(&presented.key_id, &presented.nonce, presented.timestamp) {
        failed(state, api, presented, address);
        return Err(closed(Code::ReplayedNonce, "replay"));
    }
    Ok(key)
}

/// Uses the nonce up. From here on the row of failures is broken.
async fn remember(
    state: &Partners,
    api: &Api,
    presented: &Presented,
    address: IpAddr,
    partner: &PartnerId,
) -> Result<(), Closed> {
    let now = state.clock.now();
    let (key_id, nonce, timestamp) = (&presented.key_id, &presented.nonce, presented.timestamp);
    match state.nonces.use_up(key_id, nonce, (timestamp, now), api.nonces_bound()) {
        Used::Fresh => {}
        Used::Replayed => {
            failed(state, api, presented, address);
            return Err(closed(Code::ReplayedNonce, "replay"));
        }
        Used::Full => {
            metrics::LIMITED.add(1, ["nonces"]);
            tracing::warn!(%partner, "a key used more nonces than are remembered");
            return Err(Closed(Refusal::from(Code::RateLimited).after(api.signature_window).into(), None));
        }
    }
    state.nonces.across_restarts(key_id, nonce, timestamp, now).await?;
    state.bans.succeeded(key_id, address);
    Ok(())
}

fn failed(state: &Partners, api: &Api, presented: &Presented, address: IpAddr) {
    let now = state.clock.now();
    let key_id = &presented.key_id;
    if !state.bans.failed(key_id, address, now, api.failures_before_ban, api.ban_time) {
        return;
    }
    metrics::BANS.add(1, []);
    tracing::warn!(%key_id, %address, "key banned at this address after failures in a row");
    // Only a real key is worth an alert: strangers make up as many as they like.
    if let Some(key) = state.keys.key(key_id) {
        let partner = key.partner.clone();
        (state.alert)(SecurityEvent::Banned { partner, key_id: key_id.clone(), address });
    }
}

/// A right signature at an address that the key may not be used at: a failure towards a ban, told once a ban.
fn elsewhere(state: &Partners, api: &Api, presented: &Presented, address: IpAddr, partner: &PartnerId) {
    let first = !state.bans.known(&presented.key_id, address);
    failed(state, api, presented, address);
    if first {
        let (partner, key_id) = (partner.clone(), presented.key_id.clone());
        tracing::warn!(%partner, key_id, %address, "a key signed at an address that its allow-list does not name");
        (state.alert)(SecurityEvent::Elsewhere { partner, key_id, address });
    }
}

/// Whether the key may make this call. A path or method that no route has is let through to its own refusal.
fn permitted(state: &Partners, key: &KeyRecord, request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    state.scopes.get(request.method(), route).is_none_or(|scope| scope.is_some_and(|scope| key.grant.permits(scope)))
}

/// Takes note of an accepted call: when the key was last used, and whether that is like it (EM-4).
fn noticed(state: &Partners, key_id: &str, partner: &PartnerId, address: IpAddr, (class, now): (Class, Timestamp)) {
    state.keys.used(key_id, now);
    for change in state.habits.observe(key_id, now, address, class == Class::Write) {
        metrics::KEY_CHANGES.add(1, [change.label()]);
        tracing::warn!(%partner, key_id, %address, ?change, "a key is used in another way than usual");
        let (partner, key_id) = (partner.clone(), key_id.to_owned());
        (state.alert)(SecurityEvent::Changed { partner, key_id, address, change });
    }
}

fn bound_of(class: Class) -> &'static str {
    match class {
        Class::Events => "rate_events",
        Class::Write => "rate_write",
        Class::Read | Class::Operator | Class::Open => "rate_read",
    }
}
