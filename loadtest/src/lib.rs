//! A simulated charger fleet, a partner and its webhook sink, load scenarios and their verification.
//!
//! Owns the outside world of Chargeline: everything that speaks to it over its public faces (OCPP, partner API, operator
//! API, webhooks). Never shares code with the product, so that it is an independent check of it; what it knows comes from
//! `docs/partner-api.md` and `docs/operator-api.md`.

pub mod bare;
pub mod charger;
pub mod check;
pub mod crash;
pub mod demo;
pub mod fleet;
pub mod history;
pub mod load;
pub mod money;
pub mod net;
pub mod operator;
pub mod partner;
pub mod report;
pub mod sandbox;
pub mod scenario;
pub mod server;
pub mod stats;
pub mod time;
