//! The operator API (`docs/operator-api.md`): master data, keys, webhooks, sessions, cases, configuration, the store. Owns its
//! routes and the proof that an operator asks; what they do is behind [`super::port::OperatorPort`].
//!
//! Invariants: it has a listener of its own and no partner's signature opens it (control 26); every route names the roles that may
//! call it; every write and every refusal is in the audit trail with actor, action, target and outcome; a secret is shown once,
//! in the answer that made it.

mod accounts;
mod applications;
mod approvals;
mod audit;
mod door;
mod equipment;
mod fleet;
mod health;
mod messages;
mod operators;
mod orders;
mod partners;
pub(crate) mod permissions;
mod platform;
pub mod reference;
mod reservations;
mod sessions;
mod statements;
mod tariffs;
mod tcec;
mod tickets;
pub mod token;
mod webhooks;

pub use token::{OperatorToken, TokenError};

use super::error::ApiError;
use super::partner::bans::Bans;
use super::port::OperatorPort;
use super::trace;
use super::wire::Pages;
use crate::clock::SharedClock;
use crate::config::live::LiveConfig;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, post, put};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// Names the person who acts under the installation's token. With an operator's own token it can only say the same.
pub const OPERATOR_HEADER: &str = "x-chargeline-operator";

/// What the operator API is made of.
pub struct OperatorParts {
    /// The runtime.
    pub port: Arc<dyn OperatorPort>,
    /// The installation's token, which opens it before there are operators, and when none can come in.
    pub token: OperatorToken,
    /// The configuration in force.
    pub config: Arc<LiveConfig>,
    /// The time.
    pub clock: SharedClock,
}

/// The state behind all operator routes.
pub(crate) struct Operators {
    port: Arc<dyn OperatorPort>,
    token: OperatorToken,
    config: Arc<LiveConfig>,
    clock: SharedClock,
    bans: Bans,
}

impl Operators {
    fn pages(&self) -> Pages {
        let config = self.config.current();
        Pages { default: config.api.page_default, max: config.api.page_max }
    }
}

/// The operator API, ready to be served.
#[derive(Clone)]
pub struct OperatorApi {
    pub(crate) router: Router,
}

impl std::fmt::Debug for OperatorApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorApi(…)")
    }
}

type Shared = Arc<Operators>;

/// Method, path, handler.
type Route = (&'static str, &'static str, MethodRouter<Shared>);

/// Every guarded route, so that the inventory test sees all of them (control 31).
pub(crate) fn routes() -> Vec<Route> {
    [
        fleet_routes(),
        partner_routes(),
        webhook_routes(),
        charging_routes(),
        statement_routes(),
        desk_routes(),
        platform_routes(),
    ]
    .concat()
}

/// Sites, tariffs, chargers, tokens.
fn fleet_routes() -> Vec<Route> {
    vec![
        ("GET", "/sites", get(fleet::sites)),
        ("PUT", "/sites/{site_id}", put(equipment::put_site)),
        ("GET", "/sites/{site_id}/tariff", get(tariffs::in_force)),
        ("GET", "/tariffs", get(tariffs::list)),
        ("GET", "/tariffs/{id}", get(tariffs::show)),
        ("PUT", "/tariffs/{id}", put(tariffs::publish)),
        ("POST", "/tariffs/{id}/check", post(tariffs::check)),
        ("GET", "/tariffs/{id}/versions/{version}", get(tariffs::version)),
        ("POST", "/tariffs/{id}/roll-out", post(tariffs::roll_out)),
        ("POST", "/tariffs/{id}/roll-back", post(tariffs::roll_back)),
        ("GET", "/tariffs/{id}/ocpi", get(tariffs::export)),
        ("POST", "/tariffs/{id}/ocpi", post(tariffs::import)),
        ("GET", "/chargers", get(fleet::chargers)),
        ("GET", "/chargers/{id}", get(fleet::charger)),
        ("PUT", "/chargers/{id}", put(equipment::put_charger)),
        ("POST", "/import", post(equipment::import)),
        ("POST", "/chargers/{id}/commands", post(fleet::command)),
        ("GET", "/chargers/{id}/commands/{command_id}", get(fleet::command_state)),
        ("POST", "/chargers/{id}/lock", post(fleet::move_lock)),
        ("POST", "/chargers/{id}/authorization-key", post(fleet::rotate_key)),
        ("POST", "/chargers/{id}/maintenance", post(fleet::maintenance)),
        ("GET", "/chargers/{id}/messages", get(messages::of_charger)),
        ("PUT", "/tokens/{id_tag}", put(fleet::put_token)),
    ]
}

/// Partners and their keys.
fn partner_routes() -> Vec<Route> {
    vec![
        ("GET", "/applications", get(applications::list)),
        ("GET", "/applications/{id}", get(applications::show)),
        ("POST", "/applications/{id}/approve", post(applications::approve)),
        ("POST", "/applications/{id}/return", post(applications::give_back)),
        ("POST", "/applications/{id}/refuse", post(applications::refuse)),
        ("POST", "/partners/{id}/suspend", post(applications::suspend)),
        ("POST", "/partners/{id}/resume", post(applications::resume)),
        ("GET", "/partners", get(partners::list)),
        ("GET", "/partners/{id}", get(partners::show)),
        ("PUT", "/partners/{id}", put(partners::put)),
        ("POST", "/partners/{id}/keys", post(partners::add_key)),
        ("DELETE", "/partners/{id}/keys/{key_id}", delete(partners::revoke_key)),
        ("POST", "/partners/{id}/keys/{key_id}/rotate", post(partners::rotate_key)),
        ("PUT", "/partners/{id}/keys/{key_id}/networks", put(partners::confine_key)),
        ("GET", "/partners/{id}/tcec", get(tcec::show)),
        ("PUT", "/partners/{id}/tcec", put(tcec::put)),
        ("POST", "/partners/{id}/tcec/secrets", post(tcec::rotate)),
        ("POST", "/partners/{id}/users/erase", post(partners::erase_user)),
    ]
}

/// Partners' webhook endpoints; without a name the one called `default`.
fn webhook_routes() -> Vec<Route> {
    vec![
        ("GET", "/partners/{id}/webhook", get(webhooks::show)),
        ("POST", "/partners/{id}/webhook/secret", post(webhooks::rotate_secret)),
        ("POST", "/partners/{id}/webhook/enable", post(webhooks::enable)),
        ("POST", "/partners/{id}/webhook/disable", post(webhooks::disable)),
        ("POST", "/partners/{id}/webhook/verify", post(webhooks::verify)),
        ("POST", "/partners/{id}/webhook/vouch", post(webhooks::vouch)),
        ("POST", "/partners/{id}/webhook/replay", post(webhooks::replay)),
        ("GET", "/partners/{id}/webhook/dead-letters", get(webhooks::dead_letters)),
        ("GET", "/partners/{id}/webhook/deliveries", get(webhooks::deliveries)),
        ("GET", "/partners/{id}/webhooks", get(webhooks::list)),
        ("GET", "/partners/{id}/webhooks/{name}", get(webhooks::show)),
        ("PUT", "/partners/{id}/webhooks/{name}", put(webhooks::put)),
        ("DELETE", "/partners/{id}/webhooks/{name}", delete(webhooks::remove)),
        ("POST", "/partners/{id}/webhooks/{name}/secret", post(webhooks::rotate_secret)),
        ("POST", "/partners/{id}/webhooks/{name}/enable", post(webhooks::enable)),
        ("POST", "/partners/{id}/webhooks/{name}/disable", post(webhooks::disable)),
        ("POST", "/partners/{id}/webhooks/{name}/verify", post(webhooks::verify)),
        ("POST", "/partners/{id}/webhooks/{name}/vouch", post(webhooks::vouch)),
        ("POST", "/partners/{id}/webhooks/{name}/replay", post(webhooks::replay)),
        ("GET", "/partners/{id}/webhooks/{name}/dead-letters", get(webhooks::dead_letters)),
        ("GET", "/partners/{id}/webhooks/{name}/deliveries", get(webhooks::deliveries)),
    ]
}

/// Sessions, reservations, orders, and the money in them.
fn charging_routes() -> Vec<Route> {
    vec![
        ("GET", "/accounts", get(accounts::list)),
        ("GET", "/accounts/{account}", get(accounts::show)),
        ("GET", "/accounts/{account}/entries", get(accounts::entries)),
        ("POST", "/accounts/{account}/block", post(accounts::block)),
        ("POST", "/accounts/{account}/unblock", post(accounts::unblock)),
        ("PUT", "/accounts/{account}/credit", put(accounts::credit)),
        ("POST", "/accounts/{account}/coupons", post(accounts::grant)),
        ("POST", "/accounts/{account}/adjustments", post(accounts::propose)),
        ("POST", "/accounts/{account}/adjustments/{adjustment_id}/approve", post(accounts::approve)),
        ("POST", "/accounts/{account}/adjustments/{adjustment_id}/withdraw", post(accounts::withdraw)),
        ("GET", "/ledger/verify", get(accounts::verify)),
        ("GET", "/sessions", get(sessions::list)),
        ("GET", "/sessions/{id}", get(sessions::show)),
        ("GET", "/sessions/{id}/signed", get(sessions::signed)),
        ("POST", "/sessions/{id}/stop", post(sessions::stop)),
        ("GET", "/sessions/{id}/messages", get(messages::of_session)),
        ("GET", "/orders", get(orders::list)),
        ("GET", "/orders/{id}", get(orders::show)),
        ("POST", "/orders/{id}/settle", post(orders::settle)),
        ("POST", "/orders/{id}/close", post(orders::close)),
        ("POST", "/orders/{id}/refund", post(orders::refund)),
        ("POST", "/orders/{id}/refund/approve", post(orders::approve_refund)),
        ("POST", "/orders/{id}/refund/withdraw", post(orders::withdraw_refund)),
        ("GET", "/order-reviews", get(orders::reviews)),
        ("GET", "/reservations", get(reservations::list)),
        ("GET", "/reservations/{id}", get(reservations::show)),
        ("POST", "/reservations/{id}/cancel", post(reservations::cancel)),
    ]
}

/// Statements and settlement with partners.
fn statement_routes() -> Vec<Route> {
    vec![
        ("GET", "/partners/{id}/statements", get(statements::list)),
        ("POST", "/partners/{id}/statements/cut", post(statements::cut)),
        ("GET", "/partners/{id}/statements/{statement_id}", get(statements::show)),
        ("GET", "/partners/{id}/statements/{statement_id}/lines", get(statements::lines)),
        ("GET", "/partners/{id}/statements/{statement_id}/disputes", get(statements::disputes)),
        ("GET", "/partners/{id}/statements/{statement_id}/csv", get(statements::csv)),
        ("GET", "/partners/{id}/statements/{statement_id}/json", get(statements::json_file)),
        ("POST", "/partners/{id}/statements/{statement_id}/orders/{order_id}/resolve", post(statements::resolve)),
        ("POST", "/partners/{id}/statements/{statement_id}/settle", post(statements::settle)),
        ("POST", "/partners/{id}/statements/{statement_id}/papers", post(statements::paper)),
        ("GET", "/revenue-rules/{id}", get(statements::rules)),
        ("PUT", "/revenue-rules/{id}", put(statements::put_rule)),
    ]
}

/// What people do: tickets, second persons, operators, the audit trail.
fn desk_routes() -> Vec<Route> {
    vec![
        ("GET", "/tickets", get(tickets::list)),
        ("GET", "/tickets/{id}", get(tickets::show)),
        ("POST", "/tickets/{id}/assign", post(tickets::assign)),
        ("POST", "/tickets/{id}/note", post(tickets::note)),
        ("POST", "/tickets/{id}/close", post(tickets::close)),
        ("GET", "/approvals", get(approvals::list)),
        ("GET", "/approvals/{id}", get(approvals::show)),
        ("POST", "/approvals/{id}/approve", post(approvals::approve)),
        ("POST", "/approvals/{id}/withdraw", post(approvals::withdraw)),
        ("GET", "/operators", get(operators::list)),
        ("GET", "/operators/{id}", get(operators::show)),
        ("PUT", "/operators/{id}", put(operators::put)),
        ("POST", "/operators/{id}/suspend", post(operators::suspend)),
        ("POST", "/operators/{id}/resume", post(operators::resume)),
        ("POST", "/operators/{id}/tokens", post(operators::add_token)),
        ("DELETE", "/operators/{id}/tokens/{token_id}", delete(operators::revoke_token)),
        ("GET", "/audit", get(audit::list)),
        ("GET", "/audit/verify", get(audit::verify)),
    ]
}

/// What the runtime itself is asked.
fn platform_routes() -> Vec<Route> {
    vec![
        ("GET", "/alerts", get(platform::alerts)),
        ("GET", "/quarantine", get(platform::quarantine)),
        ("POST", "/quarantine/release", post(platform::release)),
        ("GET", "/config", get(platform::config)),
        ("PUT", "/config", put(platform::apply_config)),
        ("POST", "/config/rollback", post(platform::rollback)),
        ("POST", "/journal/backup", post(platform::backup)),
        ("POST", "/journal/compact", post(platform::compact)),
        ("GET", "/journal/stats", get(platform::stats)),
    ]
}

impl OperatorApi {
    /// Puts the parts together.
    pub fn new(parts: OperatorParts) -> Self {
        let OperatorParts { port, token, config, clock } = parts;
        let bans = Bans::new(config.current().api.failures_tracked);
        let state = Arc::new(Operators { port, token, config, clock, bans });
        let mut guarded = Router::new();
        for (_, path, route) in routes() {
            guarded = guarded.route(path, route);
        }
        let guarded = guarded.route_layer(from_fn_with_state(Arc::clone(&state), door::guard));
        let router = Router::new()
            .nest("/ops/v1", guarded)
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .method_not_allowed_fallback(trace::method_not_allowed)
            .fallback(trace::not_found)
            .with_state(state)
            .layer(CatchPanicLayer::custom(trace::panicked))
            .layer(from_fn(trace::layer));
        OperatorApi { router }
    }
}

/// What a handler gives back.
type Answered<T> = Result<T, ApiError>;
