//! Tables of what a charger may say and be asked, one line a case.

mod commands;
mod configuration;
mod gate;
mod link;
mod lists;
mod profiles;
mod refusals;
mod reports;
mod starts;
mod status;
mod stops;
mod transactions;
