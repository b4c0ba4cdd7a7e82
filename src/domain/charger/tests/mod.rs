//! Tables of what a charger may say and be asked, one line a case.

mod commands;
mod gate;
mod link;
mod security;
mod starts;
mod status;
mod stops;
mod transactions;
