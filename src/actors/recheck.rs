//! The nightly look at settled orders by a second path (MO-9). Owns when it is done and that each day is done once; what is wrong with
//! an order is for the rules (`domain::order::recheck`) to say.
//!
//! A day is due at `order.check_after` after midnight UTC. That it is done is a key in the journal, so a day on which the process was
//! down is done when it is back, and a look that a crash has cut short is done again.

use super::alerts::Alerts;
use super::tariffs::Tariffs;
use crate::clock::{SharedClock, Timestamp};
use crate::domain::charging::Policy;
use crate::domain::order::Status;
use crate::domain::order::recheck::{self, OrderRow, SessionRow};
use crate::domain::platform::Alert;
use crate::ids::OrderId;
use crate::persistence::{JournalError, SharedJournal};
use crate::telemetry::metrics::account as metrics;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// How long it is known that a day is done.
const DONE_KEPT: Duration = Duration::from_secs(40 * 86_400);
/// How much older than its end an order may be: a session, its payment window, and a reviewer's week.
const OLDEST: Duration = Duration::from_secs(30 * 86_400);
/// Orders read at a time.
const CHUNK: usize = 500;
/// The clock may jump and the configuration change: it is looked at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Orders on which both paths agree.
    pub same: u64,
    /// Orders with something wrong.
    pub differs: u64,
}

/// The nightly look.
#[derive(Clone)]
pub struct Recheck {
    /// Rows.
    pub journal: SharedJournal,
    /// All versions of all tariffs.
    pub tariffs: Arc<Tariffs>,
    /// The present limits.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Operators.
    pub alerts: Alerts,
    /// The time.
    pub clock: SharedClock,
}

impl std::fmt::Debug for Recheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recheck").finish_non_exhaustive()
    }
}

impl Recheck {
    /// Looks at each day when it is due, for ever; `books` is done after each.
    pub async fn run<F: Future<Output = ()>>(self, books: impl Fn() -> F) {
        loop {
            match self.once().await {
                Ok(Some(tally)) => {
                    tracing::info!(same = tally.same, differs = tally.differs, "settled orders were priced again");
                    books().await;
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "settled orders could not be priced again; it is tried again"),
            }
            let next = (self.due() + DAY).since(self.clock.now());
            tokio::time::sleep(next.clamp(Duration::from_secs(1), LOOK_EVERY)).await;
        }
    }

    /// The last moment at which a look was due.
    fn due(&self) -> Timestamp {
        let after = self.policy.load().order.check_after;
        let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
        let now = self.clock.now() - after;
        Timestamp(now.0 - now.0.rem_euclid(day)) + after
    }

    /// Looks at the orders that came to their end in the day before the last due moment, unless that is done.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn once(&self) -> Result<Option<Tally>, JournalError> {
        let (due, share) = (self.due(), self.policy.load().order.check_share);
        let key = format!("order-check/{}", due.0);
        if share == 0 || self.journal.lookup_once(&key).await?.is_some() {
            return Ok(None);
        }
        let (mut tally, mut before) = (Tally::default(), None);
        'all: loop {
            let rows = self.journal.rows_back("order", "", before.as_deref(), CHUNK).await?;
            for row in &rows {
                let chosen = row.key.parse::<OrderId>().is_ok_and(|id| recheck::is_chosen(id, share));
                if !chosen {
                    continue;
                }
                match serde_json::from_slice::<OrderRow>(&row.value) {
                    Ok(order) if order.created_at < due - DAY - OLDEST => break 'all,
                    Ok(order) => self.look(&order, due, &mut tally).await?,
                    Err(error) => self.wrong(&row.key, &[format!("its row cannot be read: {error}")], &mut tally),
                }
            }
            match rows.last() {
                Some(last) if rows.len() == CHUNK => before = Some(last.key.clone()),
                Some(_) | None => break,
            }
        }
        self.journal.create_once(&key, b"done", DONE_KEPT).await?;
        Ok(Some(tally))
    }

    async fn look(&self, order: &OrderRow, due: Timestamp, tally: &mut Tally) -> Result<(), JournalError> {
        let settled = matches!(order.status, Status::Paid | Status::Unpaid | Status::AwaitingPayment);
        let then = order.ended_at.is_some_and(|at| at >= due - DAY && at < due);
        if !settled || !then {
            return Ok(());
        }
        let session = self.journal.row("session", &order.session_id.to_string()).await?;
        let session: Option<SessionRow> = session.and_then(|row| serde_json::from_slice(&row).ok());
        let book = self.tariffs.book();
        let tariff = book.version(&order.tariff_id, order.tariff_version);
        let problems = recheck::problems(order, session.as_ref(), tariff.map(|tariff| &**tariff));
        if problems.is_empty() {
            tally.same += 1;
            metrics::ORDERS_CHECKED.add(1, ["same"]);
        } else {
            self.wrong(&order.order_id.to_string(), &problems, tally);
        }
        Ok(())
    }

    fn wrong(&self, order: &str, problems: &[String], tally: &mut Tally) {
        tally.differs += 1;
        metrics::ORDERS_CHECKED.add(1, ["differs"]);
        self.alerts.raise(Alert {
            code: "bill_differs".to_owned(),
            level: "critical".to_owned(),
            subject: format!("order/{order}"),
            text: format!("priced again by the second path it is not the same: {}", problems.join("; ")),
            ticket: true,
        });
    }
}

#[cfg(test)]
mod tests;
