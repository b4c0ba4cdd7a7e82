//! The driver on virtual time, with a fake entity, a fake outbox and a scripted partner.

use super::*;
use crate::actors::webhook::sender::Delivery;
use crate::actors::webhook::{ReplayRequest, ServiceError, WebhookService};
use crate::clock::{Clock, RuntimeClock};
use crate::domain::delivery::testkit::{Partition, http};
use crate::domain::delivery::{Answer, PartnerOrder, PartnerReply, Profile, Sites, Subscriptions, rows};
use crate::domain::entity::Notice;
use crate::persistence::journal::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep};

/// Runs on a paused clock, on one thread, as an arbiter does.
macro_rules! virtual_test {
    ($(#[$attribute:meta])* $name:ident, $body:expr) => {
        $(#[$attribute])*
        #[tokio::test(start_paused = true)]
        async fn $name() {
            LocalSet::new().run_until($body).await;
        }
    };
}

mod delivery;
mod endpoints;
mod world;
use world::{World, minutes, seconds};
