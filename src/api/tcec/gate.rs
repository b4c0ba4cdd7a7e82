//! The gate before every T/CEC call (102.4 §5; EM-3, EM-4): size, envelope, operator, ban, signature, token, window, limits,
//! places, deadline, then the interface. Owns the order of these checks and the envelope of the answer, which is HTTP 200 also
//! for errors of the protocol.
//!
//! Bans, limits and places are those of the native API, under the key `tcec-<OperatorID>`. A repeated request is no attack
//! here: many peers send the same `Seq` for ever, and writes are idempotent by their sequence numbers.

use super::{Answered, Call, charging, stations, tokens};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, seconds};
use crate::api::partner::{Partners, SecurityEvent};
use crate::api::port::Relation;
use crate::api::trace::{Class, Note};
use crate::config::api::Api;
use crate::domain::overload::Demand;
use crate::protocol::tcec::envelope::{self, to_value};
use crate::protocol::tcec::token::{TokenAnswer, TokenRequest};
use crate::protocol::tcec::{Codec, Interface, Refused, Request, Ret, Secrets};
use crate::telemetry::metrics::api as metrics;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Path, Request as HttpRequest, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, header};
use secrecy::ExposeSecret as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// A caller whose signature is right, and the set that it used.
struct Proven {
    relation: Arc<Relation>,
    set: Secrets,
    request: Request,
}

/// Why the gate stays closed, and with which set the answer is signed: none for a stranger.
struct Closed {
    refused: Refused,
    proven: Option<Box<Proven>>,
    wait: Option<Duration>,
}

impl From<Refused> for Closed {
    fn from(refused: Refused) -> Self {
        Closed { refused, proven: None, wait: None }
    }
}

fn class_of(interface: Interface) -> Class {
    match interface {
        Interface::QueryStartCharge | Interface::QueryStopCharge => Class::Write,
        _ => Class::Read,
    }
}

/// Of which kind a call is when the server is late (OP-10). A stop is one that is kept, though it is called a query; so is the
/// token, without which there is no stop, and what the partner tells us.
fn demand_of(interface: Interface) -> Demand {
    match interface {
        Interface::QueryStartCharge => Demand::Start,
        Interface::QueryStationsInfo
        | Interface::QueryStationStatus
        | Interface::QueryStationStats
        | Interface::QueryEquipAuth
        | Interface::QueryEquipBusinessPolicy
        | Interface::QueryEquipChargeStatus => Demand::Query,
        Interface::QueryToken
        | Interface::QueryStopCharge
        | Interface::NotificationStationStatus
        | Interface::NotificationStartChargeResult
        | Interface::NotificationEquipChargeStatus
        | Interface::NotificationStopChargeResult
        | Interface::NotificationChargeOrderInfo
        | Interface::CheckChargeOrders => Demand::Kept,
    }
}

/// The route.
pub(super) async fn serve(
    State(state): State<Arc<Partners>>,
    Path((_, segment)): Path<(String, String)>,
    Extension(note): Extension<Note>,
    request: HttpRequest,
) -> Response {
    let Some(interface) = Interface::named(&segment) else { return ApiError::from(Code::NotFound).into_response() };
    let settings = Arc::clone(&state.config.current());
    let api = &settings.api;
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    // Without a socket (a test of the router alone) all callers share one address.
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let headers = request.headers().clone();
    let read = async {
        let body = axum::body::to_bytes(request.into_body(), api.body_bytes_max).await;
        body.map_err(|_| Refused::new(Ret::Envelope, "the body is longer than allowed, or broke off"))
    };
    let body = match tokio::time::timeout(api.request_deadline, read).await {
        Ok(Ok(body)) => body,
        Ok(Err(refused)) => return shut(&refused.into()),
        Err(_) => return shut(&Refused::new(Ret::Envelope, "the body did not arrive in time").into()),
    };
    let proven = match prove(&state, api, interface, &headers, &body, address, &note) {
        Ok(proven) => proven,
        Err(closed) => return shut(&closed),
    };
    let answered = within(&state, api, interface, &proven, &note).await;
    metrics::TCEC_ANSWERS.add(1, [answered.as_ref().map_or_else(|refused| refused.ret.label(), |_| "success")]);
    let codec = Codec { secrets: &proven.set, dialect: &proven.relation.tcec.dialect };
    json(codec.answer(answered), None)
}

fn json(body: Vec<u8>, wait: Option<Duration>) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "application/json;charset=utf-8")], body).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
    }
    response
}

fn shut(closed: &Closed) -> Response {
    metrics::TCEC_ANSWERS.add(1, [closed.refused.ret.label()]);
    let body = match &closed.proven {
        Some(proven) => {
            let codec = Codec { secrets: &proven.set, dialect: &proven.relation.tcec.dialect };
            codec.answer(Err(closed.refused.clone()))
        }
        None => envelope::unsigned(&closed.refused),
    };
    json(body, closed.wait)
}

/// Who calls, by envelope, signature, token and window, and within its limits.
fn prove(
    state: &Partners,
    api: &Api,
    interface: Interface,
    headers: &HeaderMap,
    body: &Bytes,
    address: IpAddr,
    note: &Note,
) -> Result<Proven, Closed> {
    let request = Request::read(body)?;
    let key = format!(
        "tcec-{}",
        request.operator_id.chars().filter(char::is_ascii_alphanumeric).take(16).collect::<String>()
    );
    note.key(&key);
    let now = state.clock.now();
    if let Some(wait) = state.bans.remaining(&key, address, now) {
        metrics::REFUSED_CALLERS.add(1, ["banned"]);
        let refused = Refused::new(Ret::Busy, "too many failures in a row from this address");
        return Err(Closed { refused, proven: None, wait: Some(wait) });
    }
    if !state.keys.complete() {
        return Err(Refused::new(Ret::Busy, "starting, try again").into());
    }
    let relation = state.port.relation(&request.operator_id);
    let set = relation.as_ref().and_then(|known| known.live(now).find(|set| request.is_signed(set)).cloned());
    let (Some(relation), Some(set)) = (relation.clone(), set) else {
        failed(state, api, &key, relation.as_deref(), address);
        // The same for a stranger and a wrong key: nothing is told about who is known.
        return Err(Refused::new(Ret::Signature, "Sig does not fit OperatorID, Data, TimeStamp and Seq").into());
    };
    note.actor(relation.partner.as_str());
    let proven = Proven { relation, set, request };
    let closed = |proven: Proven, ret, msg: &str| {
        Err(Closed { refused: Refused::new(ret, msg), proven: Some(Box::new(proven)), wait: None })
    };
    if interface != Interface::QueryToken {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|text| text.trim().strip_prefix("Bearer ")).map(str::trim);
        // A token was asked for with one live set and may be used with another: they overlap.
        let holds = |set| state.tokens.holds(&proven.relation, set, token.unwrap_or_default(), now);
        if !proven.relation.live(now).any(holds) {
            metrics::REFUSED_CALLERS.add(1, ["token"]);
            return closed(proven, Ret::Token, "the token is missing, wrong or over: query_token gives a new one");
        }
    }
    if let Some(window) = proven.relation.tcec.dialect.timestamp_window_s {
        let window = Duration::from_secs(window.into());
        let near = |at| now.since(at) <= window && at.since(now) <= window;
        if !proven.request.made_at().is_some_and(near) {
            metrics::REFUSED_CALLERS.add(1, ["clock"]);
            return closed(proven, Ret::Envelope, "TimeStamp is no yyyyMMddHHmmss of UTC+8 near our time");
        }
    }
    state.bans.succeeded(&key, address);
    if let Some(shed) = state.shed.refusal(demand_of(interface), api, now) {
        let refused = Refused::new(Ret::Busy, "overloaded, see Retry-After");
        return Err(Closed { refused, proven: Some(Box::new(proven)), wait: shed.retry_after });
    }
    let class = class_of(interface);
    if let Some(wait) = state.limits.count(&key, class, api).wait {
        metrics::LIMITED.add(1, [if class == Class::Write { "rate_write" } else { "rate_read" }]);
        let refused = Refused::new(Ret::Busy, "more calls than agreed, see Retry-After");
        return Err(Closed { refused, proven: Some(Box::new(proven)), wait: Some(wait) });
    }
    Ok(proven)
}

/// Answers within a place and the deadline.
async fn within(state: &Arc<Partners>, api: &Api, interface: Interface, proven: &Proven, note: &Note) -> Answered {
    let Some(_place) = state.limits.enter(&proven.relation.partner, api.in_flight_per_partner) else {
        metrics::LIMITED.add(1, ["in_flight"]);
        return Err(Refused::new(Ret::Busy, "too many calls at the same time"));
    };
    let call = Call {
        state: Arc::clone(state),
        relation: Arc::clone(&proven.relation),
        note: note.clone(),
        now: state.clock.now(),
    };
    let answered = tokio::time::timeout(api.request_deadline, answer(&call, interface, proven)).await;
    answered.unwrap_or_else(|_| {
        metrics::LIMITED.add(1, ["deadline"]);
        Err(Refused::new(Ret::Busy, "not answered in time; the same request may be sent again"))
    })
}

async fn answer(call: &Call, interface: Interface, proven: &Proven) -> Answered {
    let dialect = &call.relation.tcec.dialect;
    let codec = Codec { secrets: &proven.set, dialect };
    let request = &proven.request;
    match interface {
        Interface::QueryToken => Ok(token(call, proven, codec.open(request)?)),
        Interface::QueryStationsInfo => stations::infos(call, codec.open(request)?).await,
        Interface::QueryStationStatus => stations::statuses(call, codec.open(request)?).await,
        Interface::QueryStationStats => stations::stats(call, codec.open(request)?).await,
        Interface::QueryEquipAuth => charging::auth(call, codec.open(request)?).await,
        Interface::QueryEquipBusinessPolicy => charging::policy(call, codec.open(request)?).await,
        Interface::QueryStartCharge => charging::start(call, codec.open(request)?).await,
        Interface::QueryEquipChargeStatus => charging::status(call, codec.open(request)?).await,
        Interface::QueryStopCharge => charging::stop(call, codec.open(request)?).await,
        Interface::NotificationStationStatus
        | Interface::NotificationStartChargeResult
        | Interface::NotificationEquipChargeStatus
        | Interface::NotificationStopChargeResult
        | Interface::NotificationChargeOrderInfo
        | Interface::CheckChargeOrders => {
            Err(Refused::new(Ret::Parameter, "this interface is answered by the customer's platform, not by ours"))
        }
    }
}

/// `query_token`.
fn token(call: &Call, proven: &Proven, asked: TokenRequest) -> serde_json::Value {
    let right = proven.set.operator_secret.expose_secret().as_bytes();
    let fail_reason = if asked.operator_id != proven.relation.tcec.operator_id {
        1
    } else if !bool::from(asked.operator_secret.as_bytes().ct_eq(right)) {
        2
    } else {
        0
    };
    let given = fail_reason == 0;
    let made = || call.state.tokens.make(&proven.relation, &proven.set, call.now, rand::random());
    to_value(&TokenAnswer {
        operator_id: asked.operator_id,
        succ_stat: i64::from(!given),
        access_token: if given { made() } else { String::new() },
        token_available_time: if given { i64::try_from(tokens::LIFE.as_secs()).unwrap_or(0) } else { 0 },
        fail_reason,
    })
}

fn failed(state: &Partners, api: &Api, key: &str, relation: Option<&Relation>, address: IpAddr) {
    metrics::REFUSED_CALLERS.add(1, ["bad"]);
    if !state.bans.failed(key, address, state.clock.now(), api.failures_before_ban, api.ban_time) {
        return;
    }
    metrics::BANS.add(1, []);
    tracing::warn!(key, %address, "an operator is banned at this address after failures in a row");
    if let Some(relation) = relation {
        (state.alert)(SecurityEvent::Banned { partner: relation.partner.clone(), key_id: key.to_owned(), address });
    }
}
