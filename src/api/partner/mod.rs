//! The partner API, `/api/v1` (EM-2 … EM-6, EM-13; `docs/partner-api.md`). Owns its routes and their OpenAPI document;
//! what they mean to charging is behind [`super::port`].
//!
//! A route and its entry in `/openapi.json` are one registration, so neither can be without the other (control 31).

mod accounts;
mod applications;
pub mod bans;
mod catalogue;
pub(crate) mod credentials;
mod endpoints;
mod fleet;
mod gate;
mod habits;
pub mod idempotency;
pub mod keys;
pub mod limits;
pub mod nonces;
mod openapi;
mod orders;
mod reservations;
mod scopes;
mod sessions;
mod shapes;
pub(in crate::api) mod shed;
pub mod signature;
pub(crate) mod statements;
mod webhooks;

pub use gate::SecurityEvent;
pub use keys::{KeyDirectory, KeyRecord};
pub use shed::Load;
pub(crate) use webhooks::{check_choice, check_replay};

use super::error::ApiError;
use super::port::{OnceStore, PartnerPort};
use super::tcec::{self, tokens::Tokens};
use super::trace;
use super::viewer;
use super::wire::Pages;
use crate::clock::{SharedClock, Timestamp};
use crate::config::live::LiveConfig;
use crate::protocol::payment;
use applications::Applicants;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Html;
use axum::routing::{get, post};
use bans::Bans;
use habits::Habits;
use idempotency::Idempotency;
use limits::Limits;
use nonces::Nonces;
use scopes::RouteScopes;
use shed::Shed;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Called when operators should hear of something; must not wait.
pub type SecurityAlert = Arc<dyn Fn(SecurityEvent) + Send + Sync>;

/// What the partner API is made of.
pub struct PartnerParts {
    /// The runtime.
    pub port: Arc<dyn PartnerPort>,
    /// All keys.
    pub keys: Arc<dyn KeyDirectory>,
    /// The journal's once-store: `Arc::new(shared_journal)`.
    pub once: Arc<dyn OnceStore>,
    /// The time.
    pub clock: SharedClock,
    /// The configuration in force.
    pub config: Arc<LiveConfig>,
    /// A secret of this installation that outlives restarts, under which request bodies are digested (EM-5, OP-9).
    pub digest_key: [u8; 32],
    /// See [`Nonces::new`].
    pub replay_horizon: Timestamp,
    /// Told of bans.
    pub alert: SecurityAlert,
    /// What presses just now (OP-10).
    pub load: Load,
}

/// The state behind all partner routes.
pub(crate) struct Partners {
    pub(in crate::api) port: Arc<dyn PartnerPort>,
    pub(in crate::api) keys: Arc<dyn KeyDirectory>,
    pub(in crate::api) clock: SharedClock,
    pub(in crate::api) config: Arc<LiveConfig>,
    pub(in crate::api) alert: SecurityAlert,
    pub(in crate::api) bans: Bans,
    nonces: Nonces,
    pub(in crate::api) limits: Limits,
    pub(in crate::api) shed: Shed,
    pub(in crate::api) idempotency: Arc<Idempotency>,
    pub(in crate::api) tokens: Tokens,
    habits: Habits,
    applicants: Applicants,
    scopes: RouteScopes,
    /// Under which keys that partners make are derived.
    key_seed: [u8; 32],
}

impl Partners {
    fn new(parts: PartnerParts, scopes: RouteScopes) -> Self {
        let config = parts.config.current();
        let api = &config.api;
        let started = parts.clock.now();
        let once = Arc::clone(&parts.once);
        let nonces = Nonces::new(once, api.signature_window, started, parts.replay_horizon);
        let clock = Arc::clone(&parts.clock);
        let tokens = Tokens::new(parts.digest_key);
        let idempotency = Idempotency::new(parts.once, clock, parts.digest_key, api.request_id_kept);
        Partners {
            bans: Bans::new(api.failures_tracked),
            nonces,
            limits: Limits::new(api),
            shed: Shed::new(parts.load),
            idempotency: Arc::new(idempotency),
            tokens,
            habits: Habits::default(),
            applicants: Applicants::new(api.applications_per_hour),
            scopes,
            key_seed: keys::seed(&parts.digest_key),
            port: parts.port,
            keys: parts.keys,
            clock: parts.clock,
            config: parts.config,
            alert: parts.alert,
        }
    }

    pub(in crate::api) fn pages(&self) -> Pages {
        let config = self.config.current();
        Pages { default: config.api.page_default, max: config.api.page_max }
    }

    /// Forgets what is no longer needed.
    fn prune(&self) {
        self.nonces.prune(self.clock.now());
        self.limits.prune();
        self.shed.calm(self.clock.now());
        self.applicants.prune();
    }
}

/// The partner API, ready to be served.
#[derive(Clone)]
pub struct PartnerApi {
    /// All routes.
    pub(crate) router: Router,
    /// The OpenAPI document.
    pub(crate) document: Arc<serde_json::Value>,
    state: Arc<Partners>,
}

impl std::fmt::Debug for PartnerApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PartnerApi(…)")
    }
}

impl PartnerApi {
    /// Puts the parts together.
    pub fn new(parts: PartnerParts) -> Self {
        let payments = Arc::clone(&parts.port);
        let (signed, mut document) =
            OpenApiRouter::with_openapi(openapi::head()).nest("/api/v1", routes()).split_for_parts();
        let (open, applicants) = OpenApiRouter::new().nest("/api/v1", applications::routes()).split_for_parts();
        document.merge(applicants);
        scopes::complete(&mut document);
        let scopes = RouteScopes::of(&document);
        super::events::describe(&mut document);
        let document = shapes::complete(&document, parts.config.current().api.page_max);
        let state = Arc::new(Partners::new(parts, scopes));
        let gate = from_fn_with_state(Arc::clone(&state), gate::layer);
        let signed = signed.layer(gate).with_state(Arc::clone(&state));
        let bounds = from_fn_with_state(Arc::clone(&state), applications::layer);
        let open = open.layer(bounds).with_state(Arc::clone(&state));
        let text = Arc::new(document.to_string());
        let page = Arc::new(viewer::page(&document));
        let router = Router::new()
            .merge(signed)
            .merge(open)
            .merge(tcec::routes(Arc::clone(&state)))
            .route("/openapi.json", get(move || openapi::json(Arc::clone(&text))))
            .route(
                "/payments/v1/callback",
                post(accounts::callback).with_state(payments).layer(DefaultBodyLimit::max(payment::BODY_MAX)),
            )
            .route("/docs", get(move || viewer_page(Arc::clone(&page))))
            .method_not_allowed_fallback(trace::method_not_allowed)
            .fallback(trace::not_found)
            .layer(CatchPanicLayer::custom(trace::panicked))
            .layer(from_fn(trace::layer));
        PartnerApi { router, document: Arc::new(document), state }
    }

    /// Forgets what is no longer needed. Called every half minute or so.
    pub(crate) fn prune(&self) {
        self.state.prune();
    }

    /// The OpenAPI document, as served.
    pub fn openapi(&self) -> &serde_json::Value {
        &self.document
    }
}

async fn viewer_page(page: Arc<String>) -> impl axum::response::IntoResponse {
    let policy = [("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")];
    (policy, Html(page.as_ref().clone()))
}

/// Every signed route.
fn routes() -> OpenApiRouter<Arc<Partners>> {
    OpenApiRouter::new()
        .routes(routes!(sessions::start, sessions::list))
        .routes(routes!(sessions::show))
        .routes(routes!(sessions::stop))
        .routes(routes!(sessions::operation))
        .routes(routes!(reservations::reserve, reservations::list))
        .routes(routes!(reservations::show))
        .routes(routes!(reservations::cancel))
        .routes(routes!(reservations::complain))
        .routes(routes!(reservations::terms))
        .routes(routes!(orders::list))
        .routes(routes!(orders::show))
        .routes(routes!(orders::extend))
        .routes(routes!(orders::pay))
        .routes(routes!(orders::contest))
        .routes(routes!(fleet::sites))
        .routes(routes!(fleet::site))
        .routes(routes!(fleet::tariff))
        .routes(routes!(fleet::chargers))
        .routes(routes!(fleet::charger))
        .routes(routes!(catalogue::catalogue))
        .routes(routes!(catalogue::statuses))
        .routes(routes!(catalogue::connector))
        .routes(routes!(catalogue::resolve))
        .routes(routes!(webhooks::events))
        .routes(routes!(webhooks::show))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::replay))
        .routes(routes!(statements::list))
        .routes(routes!(statements::show))
        .routes(routes!(statements::lines))
        .routes(routes!(statements::disputes))
        .routes(routes!(statements::csv))
        .routes(routes!(statements::json))
        .routes(routes!(statements::confirm))
        .routes(routes!(statements::confirm_order))
        .routes(routes!(statements::dispute))
        .routes(routes!(statements::paper))
        .routes(routes!(webhooks::pause))
        .routes(routes!(webhooks::resume))
        .routes(routes!(webhooks::subscribe))
        .routes(routes!(endpoints::list, endpoints::make))
        .routes(routes!(endpoints::show, endpoints::change))
        .routes(routes!(endpoints::remove))
        .routes(routes!(endpoints::rotate))
        .routes(routes!(endpoints::verify))
        .routes(routes!(endpoints::pause))
        .routes(routes!(endpoints::resume))
        .routes(routes!(endpoints::test))
        .routes(routes!(endpoints::replay))
        .routes(routes!(endpoints::deliveries))
        .routes(routes!(endpoints::dead_letters))
        .routes(routes!(credentials::list, credentials::make))
        .routes(routes!(credentials::rotate))
        .routes(routes!(credentials::revoke))
        .routes(routes!(credentials::allow))
        .routes(routes!(accounts::balance))
        .routes(routes!(accounts::entries))
        .routes(routes!(accounts::open_top_up))
        .routes(routes!(accounts::top_up))
        .routes(routes!(accounts::pay_debt))
}

/// What a handler gives back.
type Answered<T> = Result<T, ApiError>;
