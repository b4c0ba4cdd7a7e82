//! Tables of what a charger may say and be asked, one line a case.

mod care;
mod commands;
mod configuration;
mod faults;
mod gate;
mod link;
mod lists;
mod lock;
mod odd;
mod profiles;
mod refusals;
mod reports;
mod security;
mod starts;
mod status;
mod stops;
mod transactions;
