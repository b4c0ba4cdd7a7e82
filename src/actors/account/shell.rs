//! Performs what the rules of an account decided: asks the payment gateway, tells the owners of orders, logs cases. Owns no rule
//! and no wait: what does not come back is asked again by the account's own deadlines.

use super::gateway::{GatewayError, Known, PaymentGateway};
use super::handle::recall;
use crate::actors::alerts::{self, Alerts, announce};
use crate::actors::engine::{Partition, Refusal, Shell};
use crate::actors::partners::Partners;
use crate::domain::account::{
    Account, AccountFamily, Action, Command, Effect, Event, Key, Policy, RefundAnswer, Reply, Request, TopUpAnswer,
    payment_cause,
};
use crate::domain::charging::Level;
use crate::domain::ledger::{OrderId, PaymentId};
use crate::domain::money::Money;
use crate::ids::{PartnerId, TopUpId};
use crate::persistence::{SharedJournal, StreamName};
use crate::telemetry::metrics::account as metrics;
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// Who hears that an order's debt is paid: the order's own partition.
pub trait DebtListener: Send + Sync + 'static {
    /// The debt of an order of this account is paid. Told again until it is `Ok`, and perhaps after: idempotent.
    fn settled<'a>(&'a self, account: &'a str, order: &'a OrderId) -> BoxFuture<'a, Result<(), String>>;
}

/// Nobody needs to hear.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyListens;

impl DebtListener for NobodyListens {
    fn settled<'a>(&'a self, _: &'a str, _: &'a OrderId) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}

/// What the shell works with.
#[derive(Clone)]
pub struct AccountParts {
    /// The settings in force.
    pub policy: Arc<ArcSwap<Policy>>,
    /// The payment gateway.
    pub gateway: Arc<dyn PaymentGateway>,
    /// Who hears of paid debts.
    pub listener: Arc<dyn DebtListener>,
    /// For nudges.
    pub partners: Arc<Partners>,
    /// Operators.
    pub alerts: Alerts,
    /// Has the rows of what accounts remember.
    pub journal: SharedJournal,
}

/// The impure half of [`AccountFamily`].
pub struct AccountShell {
    parts: AccountParts,
}

impl AccountShell {
    /// A shell for one arbiter.
    pub fn new(parts: AccountParts) -> Self {
        AccountShell { parts }
    }
}

type Home = Rc<Partition<AccountFamily>>;

async fn tell(partition: &Home, command: Command) {
    // The deadline that led here comes again.
    if let Err(refusal) = partition.submit(Key, command).await {
        tracing::warn!(stream = %partition.stream, %refusal, "an answer could not be kept; it is asked for again");
    }
}

async fn query(partition: Home, parts: AccountParts, intent: TopUpId) {
    let answer = match parts.gateway.query(intent).await {
        Ok(Known::Paid { payment, amount }) => {
            return credit(&partition, &parts.journal, intent, payment, amount).await;
        }
        Ok(Known::Pending) => TopUpAnswer::Pending,
        Ok(Known::Failed) => TopUpAnswer::Failed,
        Err(error) => {
            quiet(&partition, &error);
            TopUpAnswer::Silent
        }
    };
    tell(&partition, Command::TopUpAnswered(intent, answer)).await;
}

fn quiet(partition: &Home, error: &GatewayError) {
    tracing::info!(stream = %partition.stream, %error, "the payment gateway did not say");
}

/// What a query has found paid comes in by the same door as a callback.
async fn credit(partition: &Home, journal: &SharedJournal, intent: TopUpId, payment: PaymentId, amount: Money) {
    let Ok(cause) = payment_cause(&payment) else { return };
    let request = Request::new(cause, Action::Payment { payment, intent, amount, succeeded: true });
    let mut asked = partition.submit(Key, request.clone().into()).await;
    if let Ok(Reply::Recall(keys)) = asked {
        asked = match recall(journal, partition.id(), keys).await {
            Ok(recalled) => {
                let command = Command::Do { request: Box::new(request), recalled: Some(recalled) };
                partition.submit(Key, command).await
            }
            Err(error) => {
                tracing::warn!(stream = %partition.stream, error, "what an account remembers could not be read");
                return;
            }
        };
    }
    match asked {
        Ok(_) => {}
        Err(Refusal::Rejected(rejection)) => {
            tracing::error!(target: "alert", stream = %partition.stream, %intent, %rejection, "a payment found by query is not booked");
        }
        Err(refusal) => tracing::warn!(stream = %partition.stream, %refusal, "a payment is queried again later"),
    }
}

async fn refund(partition: Home, parts: AccountParts, payment: PaymentId, intent: TopUpId, amount: Money) {
    let answer = match parts.gateway.refund(&payment, intent, amount).await {
        Ok(()) => RefundAnswer::Done,
        Err(error) => {
            quiet(&partition, &error);
            RefundAnswer::Silent
        }
    };
    tell(&partition, Command::RefundAnswered(payment, answer)).await;
}

async fn settled(partition: Home, parts: AccountParts, order: OrderId) {
    match parts.listener.settled(partition.id(), &order).await {
        Ok(()) => tell(&partition, Command::SettledHeard(order)).await,
        Err(why) => {
            tracing::info!(stream = %partition.stream, %order, why, "the owner of an order did not hear that it is paid");
        }
    }
}

/// Counts what has happened to an account.
fn count(event: &Event) {
    match event {
        Event::Booked(booked) => {
            for leg in booked.posting.legs() {
                let side = if leg.minor < 0 { "lost" } else { "gained" };
                metrics::BOOKED.add(leg.minor.unsigned_abs(), [leg.account.family(), side]);
            }
        }
        Event::HoldSet { .. } => metrics::HOLDS.add(1, ["set"]),
        Event::HoldClosed { .. } => metrics::HOLDS.add(1, ["closed"]),
        Event::DebtSet { .. } => metrics::DEBTS.add(1, ["set"]),
        Event::DebtSettled { .. } => metrics::DEBTS.add(1, ["settled"]),
        Event::TopUpSet(top_up) => metrics::TOP_UPS.add(1, [top_up.state.name()]),
        _ => {}
    }
}

impl Shell<AccountFamily> for AccountShell {
    fn perform(&self, partition: &Home, _: &Key, effect: Effect) {
        let (home, parts) = (Rc::clone(partition), self.parts.clone());
        match effect {
            Effect::Query(intent) => drop(actix_rt::spawn(query(home, parts, intent))),
            Effect::Refund { payment, intent, amount } => {
                drop(actix_rt::spawn(refund(home, parts, payment, intent, amount)));
            }
            Effect::TellSettled(order) => drop(actix_rt::spawn(settled(home, parts, order))),
            // Its rows are written already.
            Effect::Announce(case) => {
                let level = match case.level {
                    Level::Info => "info",
                    Level::Warning => "warning",
                    Level::Critical => "critical",
                };
                announce(level, &case.code, &case.subject, &case.text);
            }
        }
    }

    fn refresh(&self, partition: &Partition<AccountFamily>) {
        let policy = self.parts.policy.load();
        partition.ambient(|ambient| {
            if *ambient != **policy {
                ambient.clone_from(&policy);
            }
        });
    }

    fn applied(&self, _: &Home, _: &Key, _: &Account) {}

    fn recorded(&self, _: &Home, _: &Key, events: &[Event]) {
        events.iter().for_each(count);
    }

    fn noticed(&self, partners: &BTreeSet<PartnerId>) {
        self.parts.partners.nudge(partners);
    }

    fn quarantined(&self, stream: &StreamName, key: &Key, cause: &str) {
        self.parts.alerts.raise(alerts::quarantined(stream, key, cause));
    }

    fn pinned(&self, _: &Partition<AccountFamily>) -> bool {
        false
    }
}
