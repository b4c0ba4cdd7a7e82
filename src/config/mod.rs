//! Configuration (RT-10). Owns the shape of `config.toml`, one file a section, and its checks; never applies it.
//!
//! Invariant: the documented `config.toml` at the top of the tree is compiled in as the defaults, so it cannot lie.

pub mod accounts;
pub mod api;
pub mod charger;
pub mod check;
pub mod cli;
pub mod document;
pub mod engine;
pub mod faults;
pub mod gateway;
pub mod journal;
pub mod live;
pub mod load;
pub mod message_log;
pub mod operators;
pub mod order;
pub mod reference;
pub mod reservation;
pub mod seconds;
pub mod session;
pub mod statement;
pub mod tariff;
pub mod telemetry;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod webhook;

use check::{Checked, Problem};
use serde::{Deserialize, Serialize};

/// The documented defaults, as text.
pub const DEFAULTS: &str = include_str!("../../config.toml");

/// The whole configuration. Durations in the file are texts such as `60s`, `500ms`, `24h`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Accounts of users.
    pub accounts: accounts::Accounts,
    /// Partner and operator HTTP.
    pub api: api::Api,
    /// What is expected of chargers: liveness, call time-outs, faults.
    pub charger: charger::Charger,
    /// Actors: mailboxes, restarts, snapshots.
    pub engine: engine::Engine,
    /// Faults of chargers: vendor codes, remedies, parking locks.
    pub faults: faults::Faults,
    /// OCPP sockets.
    pub gateway: gateway::Gateway,
    /// The store.
    pub journal: journal::Journal,
    /// OCPP frames kept for people.
    pub message_log: message_log::MessageLog,
    /// Operators: audit trail, second person.
    pub operators: operators::Operators,
    /// Orders: the money side of sessions.
    pub order: order::Order,
    /// Reservations of connectors.
    pub reservation: reservation::Reservation,
    /// The payment gateway.
    pub payments: accounts::Payments,
    /// Charging sessions.
    pub session: session::Session,
    /// Statements of partners.
    pub statement: statement::Statement,
    /// Bounds of tariffs.
    pub tariff: tariff::Tariff,
    /// Metrics and logs.
    pub telemetry: telemetry::Telemetry,
    /// TLS for chargers.
    pub tls: tls::Tls,
    /// Webhooks to partners.
    pub webhook: webhook::Webhook,
}

impl Config {
    /// Adds what is wrong between the keys of each section. A new section with such rules gets a line here.
    pub fn check(&self, problems: &mut Vec<Problem>) {
        let sections: [&dyn Checked; 18] = [
            &self.accounts,
            &self.api,
            &self.charger,
            &self.engine,
            &self.faults,
            &self.gateway,
            &self.journal,
            &self.message_log,
            &self.operators,
            &self.order,
            &self.reservation,
            &self.payments,
            &self.session,
            &self.statement,
            &self.tariff,
            &self.telemetry,
            &self.tls,
            &self.webhook,
        ];
        for section in sections {
            section.check(problems);
        }
    }
}
