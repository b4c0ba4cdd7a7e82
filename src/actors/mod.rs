//! The engine, the supervision tree, the registry, and one thin file per kind of actor. Owns mailboxes, timers and the
//! order decide → append → durable → apply → effects; never a rule of charging (architecture §3).

pub mod account;
pub mod alerts;
pub mod applications;
pub mod catalogue;
pub mod charger;
pub mod configuration;
pub mod engine;
pub mod last_use;
pub mod operators;
pub mod partner;
pub mod partners;
pub mod personal;
pub mod platform;
pub mod pulse;
pub mod recheck;
pub mod service;
pub mod statement;
pub mod tariffs;
pub mod tree;
pub mod webhook;
