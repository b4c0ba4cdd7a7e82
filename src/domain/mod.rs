//! Pure rules. Owns every decision about charging, delivery and partners; never sees actix, tokio, a store, HTTP, a
//! clock, randomness or a log: what it needs comes in with the command (architecture §3).

pub mod access;
pub mod account;
pub mod charger;
pub mod charging;
pub mod delivery;
pub mod entity;
pub mod fault;
pub mod ledger;
pub mod money;
pub mod onboarding;
pub mod operator;
pub mod order;
pub mod overload;
pub mod platform;
pub mod pricing;
pub mod rare;
pub mod reservation;
pub mod session;
pub mod statement;
pub mod tariff;
