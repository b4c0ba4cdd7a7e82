//! Becoming a partner (EM-1): the only calls under `/api/v1` that no key signs. Owns the checks of the form, who may look at an
//! application, and how often strangers may ask; what becomes of it is behind [`OnboardingPort`].
//!
//! The applicant chooses a token, by which it proves from then on that the application is its own; the application's id follows
//! from it. So a lost answer costs nothing: the same call gives the same id again, and no secret was in the answer.
//!
//! Order of the checks: the ban, the body's bound, the form, and only then the count of the address: who mistypes a code may try again.
//!
//! [`OnboardingPort`]: crate::api::port::OnboardingPort

use super::credentials::{networks, some_scopes};
use super::idempotency::{Claim, Write};
use super::keys::{self, derive_webhook};
use super::sessions::Named;
use super::{Answered, Partners};
use crate::api::catalogue::Code;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::port::{ApplicationPut, ApplicationView, Contact, ContactRole, Moment, OperationKind, Refusal};
use crate::api::trace::{Class, Note};
use crate::api::wire::{self, Findings};
use crate::domain::access::Scope;
use crate::domain::onboarding::{CREDIT_CODE_FORM, CreditCode, Face, Stage};
use crate::ids::{PartnerId, RequestId};
use crate::telemetry::metrics::api as metrics;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::{StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Contacts of one application.
const CONTACTS_MAX: usize = 8;
/// Addresses whose applications are counted; a stranger who has more of them waits until some are forgotten.
const ADDRESSES_MAX: usize = 65_536;

/// How often one address may apply.
pub(super) struct Applicants {
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, DefaultClock>,
    clock: DefaultClock,
}

impl Applicants {
    /// So many in an hour, at once or spread.
    pub(super) fn new(per_hour: u32) -> Self {
        let most = NonZeroU32::new(per_hour).unwrap_or(NonZeroU32::MIN);
        Applicants { limiter: RateLimiter::keyed(Quota::per_hour(most)), clock: DefaultClock::default() }
    }

    /// Counts one.
    fn count(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.limiter.len() >= ADDRESSES_MAX {
            self.limiter.retain_recent();
        }
        let wait = match self.limiter.check_key(&super::bans::network(address)) {
            Ok(()) if self.limiter.len() <= ADDRESSES_MAX => return Ok(()),
            Ok(()) => Duration::from_secs(60),
            Err(not_until) => not_until.wait_time_from(self.clock.now()),
        };
        metrics::LIMITED.add(1, ["applications"]);
        Err(Refusal::from(Code::RateLimited).after(wait))
    }

    /// Forgets addresses that are at rest.
    pub(super) fn prune(&self) {
        self.limiter.retain_recent();
    }
}

/// The body of `POST /applications`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apply {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// Proves from now on that the application is yours: 32 to 128 characters of `A-Za-z0-9_-`, made at random, kept secret.
    access_token: String,
    /// What you tell of yourself.
    application: ApplicationForm,
}

/// The body of `PUT /applications/{application_id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Amend {
    /// Your name of this operation.
    #[schema(value_type = String)]
    request_id: RequestId,
    /// All of it anew.
    application: ApplicationForm,
}

/// What an applicant tells of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplicationForm {
    /// Your company's registered name, 2 to 100 characters.
    company: String,
    /// Its unified social credit code (GB 32100), 18 characters with the right check digit.
    credit_code: String,
    /// `native` for this API, `tcec` for T/CEC 102.
    #[serde(default)]
    face: Face,
    /// What your first key should be able to do; absent: everything but `accounts`.
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<BTreeSet<Scope>>,
    /// From where that key may be used, CIDR or single addresses, at most 32; absent: from everywhere.
    #[serde(default)]
    networks: Vec<String>,
    /// Where webhooks should go: `https`, a public address.
    webhook_url: Option<String>,
    /// Persons to talk to, 1 to 8: one for `business` and one for `technical` at least.
    contacts: Vec<Contact>,
    /// What else you want to say, up to 1000 characters.
    note: Option<String>,
}

/// An application was made.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the answer may be a stored one")]
pub(crate) struct Applied {
    /// Its id, and yours once it is approved.
    application_id: String,
    /// Where it stands.
    stage: Stage,
}

/// Your first key and what signs your webhooks. Shown in this answer, and in that to a repeat of the request.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "only described: the secrets are put in beside a stored answer")]
pub(crate) struct CredentialsTaken {
    /// You, from now on.
    partner_id: String,
    /// `ck_…`.
    key_id: String,
    /// `cs_…`: what signs your calls.
    secret: String,
    /// `whsec_…`: what signs our webhooks; absent without a webhook.
    webhook_secret: Option<String>,
    /// When they were made.
    made_at: Moment,
}

/// Every call of an applicant.
pub(super) fn routes() -> OpenApiRouter<Arc<Partners>> {
    OpenApiRouter::new()
        .routes(routes!(apply))
        .routes(routes!(show, amend))
        .routes(routes!(withdraw))
        .routes(routes!(claim))
}

/// The bounds of every call of an applicant: size and time.
pub(super) async fn layer(State(state): State<Arc<Partners>>, request: Request, next: Next) -> Response {
    let settings = state.config.current();
    let (parts, body) = request.into_parts();
    let whole = async {
        let Ok(body) = axum::body::to_bytes(body, settings.api.body_bytes_max).await else {
            metrics::LIMITED.add(1, ["body"]);
            return ApiError::from(Code::BodyTooLarge).into_response();
        };
        next.run(Request::from_parts(parts, body.into())).await
    };
    tokio::time::timeout(settings.api.request_deadline, whole).await.unwrap_or_else(|_| {
        metrics::LIMITED.add(1, ["deadline"]);
        ApiError::from(Code::OutcomeUnknown).into_response()
    })
}

/// Without a socket (a test of the router alone) all callers share one address.
fn address_of(connected: Option<&SocketAddr>) -> IpAddr {
    connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SocketAddr::ip)
}

fn is_token(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let different: BTreeSet<u8> = text.bytes().collect();
    (32..=128).contains(&text.len()) && text.bytes().all(word) && different.len() >= 10
}

/// The application's id, which follows from its token.
fn id_of(state: &Partners, token: &str) -> Result<PartnerId, Refusal> {
    let id = format!("p-{}", &hex::encode(keys::digest(&state.key_seed, "application", token))[..16]);
    id.parse().map_err(|_| Code::Internal.into())
}

fn check_contacts(findings: &mut Findings, contacts: &[Contact]) {
    let few = (1..=CONTACTS_MAX).contains(&contacts.len());
    findings.check(few, "application.contacts", "are too few or too many", format!("1 to {CONTACTS_MAX}"));
    for role in [ContactRole::Business, ContactRole::Technical] {
        let there = contacts.iter().any(|contact| contact.role == role);
        findings.check(
            there,
            "application.contacts",
            "name nobody for this role",
            format!("one at least for {role:?}").to_lowercase(),
        );
    }
    for (n, contact) in contacts.iter().enumerate().take(CONTACTS_MAX) {
        findings.text(&format!("application.contacts[{n}].name"), &contact.name, 1, 60);
        let digits = contact.phone.bytes().filter(u8::is_ascii_digit).count();
        let plain = contact
            .phone
            .bytes()
            .enumerate()
            .all(|(n, b)| b.is_ascii_digit() || b" -".contains(&b) || (n == 0 && b == b'+'));
        let allowed = "7 to 15 digits, blanks and -, + before a country's code";
        findings.check(
            plain && (7..=15).contains(&digits),
            &format!("application.contacts[{n}].phone"),
            "is no telephone number",
            allowed,
        );
        let email = email_address::EmailAddress::is_valid(&contact.email);
        findings.check(email, &format!("application.contacts[{n}].email"), "is no e-mail address", "name@domain");
    }
}

fn checked(form: &ApplicationForm) -> Result<ApplicationPut, Refusal> {
    let mut findings = Findings::default();
    findings.text("application.company", &form.company, 2, 100);
    let code = form.credit_code.parse::<CreditCode>();
    if let Err(error) = &code {
        findings.check(false, "application.credit_code", &error.to_string(), CREDIT_CODE_FORM);
    }
    if let Some(url) = &form.webhook_url {
        findings.text("application.webhook_url", url, 1, 2000);
    }
    if let Some(note) = &form.note {
        let good = note.chars().count() <= 1000 && !note.chars().any(|c| c.is_control() && c != '\n');
        findings.check(
            good,
            "application.note",
            "is too long, or holds control characters",
            "up to 1000 characters and line feeds",
        );
    }
    check_contacts(&mut findings, &form.contacts);
    findings.done()?;
    let scopes = form
        .scopes
        .clone()
        .unwrap_or_else(|| Scope::ALL.into_iter().filter(|scope| *scope != Scope::Accounts).collect());
    some_scopes(&scopes)?;
    Ok(ApplicationPut {
        company: form.company.trim().to_owned(),
        credit_code: code.map_err(|_| Code::Internal)?,
        face: form.face,
        scopes,
        networks: networks(&form.networks)?,
        webhook_url: form.webhook_url.clone(),
        contacts: form.contacts.clone(),
        note: form.note.clone(),
    })
}

/// The application whose token was shown. A token that opens nothing counts towards a ban, as a wrong signature does (EM-3).
fn opened(
    state: &Partners,
    id: &str,
    connected: Option<&SocketAddr>,
    headers: &http::HeaderMap,
) -> Answered<PartnerId> {
    let (address, now, settings) = (address_of(connected), state.clock.now(), state.config.current());
    if let Some(wait) = state.bans.remaining(APPLICANT, address, now) {
        metrics::REFUSED_CALLERS.add(1, ["banned"]);
        return Err(Refusal::from(Code::Banned).after(wait).into());
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = SecretString::from(shown.unwrap_or_default());
    let opens = |id: PartnerId| Ok::<_, Refusal>(state.port.application_opens(&id, &token)?.then_some(id));
    let Some(id) = id.parse().ok().map(opens).transpose()?.flatten() else {
        metrics::REFUSED_CALLERS.add(1, ["token"]);
        let api = &settings.api;
        if state.bans.failed(APPLICANT, address, now, api.failures_before_ban, api.ban_time) {
            metrics::BANS.add(1, []);
        }
        return Err(Code::ApplicationUnknown.into());
    };
    state.bans.succeeded(APPLICANT, address);
    Ok(id)
}

/// What applicants' failures are counted under, all of one address together: it is the token that is guessed, not the id.
const APPLICANT: &str = "applicant";

fn limited(state: &Partners, id: &PartnerId, class: Class) -> Result<(), Refusal> {
    let allowance = state.limits.count(id.as_str(), class, &state.config.current().api);
    match allowance.wait {
        None => Ok(()),
        Some(wait) => {
            metrics::LIMITED.add(1, ["applications"]);
            Err(Refusal::from(Code::RateLimited).after(wait))
        }
    }
}

fn write(id: &PartnerId, request_id: &RequestId, body: &impl Serialize) -> Answered<Write> {
    Ok(Write {
        partner: id.clone(),
        request_id: request_id.clone(),
        kind: OperationKind::Application,
        canonical: serde_json::to_vec(body).map_err(|_| Code::Internal)?,
        session_id: None,
        reservation_id: None,
        charger_id: None,
    })
}

/// Asks to become a partner. A person looks at it.
#[utoipa::path(post, path = "/applications", tag = "applications", security(()), request_body = Apply, responses(
    (status = 201, description = "Your application waits for a person", body = Applied),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
async fn apply(
    State(state): State<Arc<Partners>>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    Extension(note): Extension<Note>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let settings = state.config.current();
    if !settings.api.applications {
        return Err(Code::NotFound.into());
    }
    let request: Apply = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let refused = |refusal: Refusal| ApiError::from(refusal).of_request(&request.request_id);
    if !is_token(&request.access_token) {
        let allowed = "32 to 128 characters of A-Za-z0-9_-, ten different ones at least, made at random";
        return Err(refused(Refusal::field("access_token", "is no token", allowed)));
    }
    let form = checked(&request.application).map_err(refused)?;
    let id = id_of(&state, &request.access_token)?;
    note.target(&id);
    state.applicants.count(address_of(connected.as_ref().map(|it| &it.0.0))).map_err(refused)?;
    let write = write(&id, &request.request_id, &request)?;
    let (port, token, name) =
        (Arc::clone(&state.port), SecretString::from(request.access_token), request.request_id.clone());
    let drive = move |_: Claim| async move {
        port.apply(&id, &token, name, form).await?;
        Ok(json!({"application_id": id, "stage": Stage::Waiting}))
    };
    Ok((StatusCode::CREATED, Json(state.idempotency.run(write, drive).await?)))
}

/// Your application.
#[utoipa::path(get, path = "/applications/{application_id}", tag = "applications", security(("application" = [])),
    params(("application_id" = String, Path, description = "Which application")), responses(
    (status = 200, description = "All that you told, and what happened", body = ApplicationView),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
async fn show(
    State(state): State<Arc<Partners>>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    Path(id): Path<String>,
    headers: http::HeaderMap,
) -> Answered<Json<ApplicationView>> {
    let id = opened(&state, &id, connected.as_ref().map(|it| &it.0.0), &headers)?;
    limited(&state, &id, Class::Read)?;
    Ok(Json(state.port.application(&id).await?))
}

/// Puts another form in the place of the one there is, while it is not decided.
#[utoipa::path(put, path = "/applications/{application_id}", tag = "applications", security(("application" = [])),
    request_body = Amend, params(("application_id" = String, Path, description = "Which application")), responses(
    (status = 200, description = "It waits for a person again", body = Applied),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
async fn amend(
    State(state): State<Arc<Partners>>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    headers: http::HeaderMap,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id = opened(&state, &id, connected.as_ref().map(|it| &it.0.0), &headers)?;
    limited(&state, &id, Class::Write)?;
    let request: Amend = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let form =
        checked(&request.application).map_err(|refusal| ApiError::from(refusal).of_request(&request.request_id))?;
    let write = write(&id, &request.request_id, &("amend", &request))?;
    let (port, name) = (Arc::clone(&state.port), request.request_id.clone());
    let drive = move |_: Claim| async move {
        port.amend_application(&id, name, form).await?;
        Ok(json!({"application_id": id, "stage": Stage::Waiting}))
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

/// Takes an application back. Its contacts are erased.
#[utoipa::path(post, path = "/applications/{application_id}/withdraw", tag = "applications", security(("application" = [])),
    request_body = Named, params(("application_id" = String, Path, description = "Which application")), responses(
    (status = 200, description = "It is no longer considered", body = Applied),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
async fn withdraw(
    State(state): State<Arc<Partners>>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    headers: http::HeaderMap,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id = opened(&state, &id, connected.as_ref().map(|it| &it.0.0), &headers)?;
    limited(&state, &id, Class::Write)?;
    let request: Named = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let write = write(&id, &request.request_id, &("withdraw", &request))?;
    let port = Arc::clone(&state.port);
    let drive = move |_: Claim| async move {
        port.withdraw_application(&id).await?;
        Ok(json!({"application_id": id, "stage": Stage::Withdrawn}))
    };
    Ok(Json(state.idempotency.run(write, drive).await?))
}

/// Takes the credentials of an approved application, once, within 30 days. No operator ever sees them.
#[utoipa::path(post, path = "/applications/{application_id}/credentials", tag = "applications",
    security(("application" = [])), request_body = Named,
    params(("application_id" = String, Path, description = "Which application")), responses(
    (status = 201, description = "Your first key, and what signs your webhooks", body = CredentialsTaken),
    (status = "4XX", description = "Refused", body = ErrorBody),
    (status = "5XX", description = "Not now", body = ErrorBody)
))]
async fn claim(
    State(state): State<Arc<Partners>>,
    connected: Option<Extension<ConnectInfo<SocketAddr>>>,
    Extension(note): Extension<Note>,
    Path(id): Path<String>,
    headers: http::HeaderMap,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id = opened(&state, &id, connected.as_ref().map(|it| &it.0.0), &headers)?;
    limited(&state, &id, Class::Write)?;
    let request: Named = wire::json(&body)?;
    note.request(request.request_id.as_str());
    let application = state.port.application(&id).await?;
    let hooked = application.webhook_url.is_some() && application.face == Face::Native;
    let write = write(&id, &request.request_id, &("credentials", &request))?;
    let (port, seed) = (Arc::clone(&state.port), state.key_seed);
    let (partner, name) = (id.clone(), request.request_id.clone());
    let drive = move |claim: Claim| async move {
        let key = keys::derive(&seed, &partner, &name, claim.at.0);
        let webhook = derive_webhook(&seed, &partner, &name, claim.at.0);
        let said = json!({"partner_id": partner, "key_id": key.key_id, "made_at": claim.at});
        port.claim_credentials(&partner, key, webhook).await?;
        Ok(said)
    };
    let mut answer = state.idempotency.run(write, drive).await?;
    let at: Moment = serde_json::from_value(answer["made_at"].clone()).map_err(|_| Code::Internal)?;
    let key = keys::derive(&state.key_seed, &id, &request.request_id, at.0);
    note.key(&key.key_id);
    answer["secret"] = key.secret.expose_secret().into();
    if hooked {
        let webhook = derive_webhook(&state.key_seed, &id, &request.request_id, at.0);
        answer["webhook_secret"] = webhook.expose_secret().into();
    }
    Ok((StatusCode::CREATED, Json(answer)))
}
