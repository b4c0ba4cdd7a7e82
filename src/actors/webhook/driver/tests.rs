//! The driver on virtual time, with a fake entity, a fake outbox and a scripted partner.

use super::*;
use crate::actors::webhook::sender::Delivery;
use crate::actors::webhook::{ReplayRequest, ServiceError, WebhookService};
use crate::clock::{Clock, RuntimeClock};
use crate::domain::delivery::testkit::{Partition, http};
use crate::domain::delivery::{Answer, PartnerOrder, PartnerReply, Profile, rows};
use crate::domain::entity::Notice;
use crate::persistence::journal::*;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep};

mod delivery;
mod world;
use world::{World, minutes, seconds};
