//! Tables of what a charger may say and be asked, one line a case.

mod care;
mod commands;
mod faults;
mod gate;
mod link;
mod lock;
mod odd;
mod starts;
mod status;
mod stops;
mod transactions;
