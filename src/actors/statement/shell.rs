//! Performs what the rules of statements decided: reads the lines of a stretch and says what they come to, logs cases. Owns no
//! rule and no wait: what does not come to an end is tried again by the book's own deadline.

use super::reading::{FileError, Lines};
use crate::actors::alerts::{self, Alerts, announce};
use crate::actors::engine::{Partition, Shell};
use crate::actors::partners::Partners;
use crate::domain::statement::file::{Made, Making};
use crate::domain::statement::shares::Rule;
use crate::domain::statement::{BookCommand, Command, Effect, Key, Open, Policy, State, StatementFamily};
use crate::ids::PartnerId;
use crate::persistence::{SharedJournal, StreamName};
use crate::telemetry::metrics::statement as metrics;
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// What the shell works with.
#[derive(Clone)]
pub struct StatementParts {
    /// The settings in force.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Has the lines.
    pub journal: SharedJournal,
    /// For nudges.
    pub partners: Arc<Partners>,
    /// Operators.
    pub alerts: Alerts,
}

/// The impure half of [`StatementFamily`].
pub struct StatementShell {
    parts: StatementParts,
}

impl StatementShell {
    /// A shell for one arbiter.
    pub fn new(parts: StatementParts) -> Self {
        StatementShell { parts }
    }
}

type Home = Rc<Partition<StatementFamily>>;

/// What the lines of a stretch come to, in one pass, a page in memory at a time.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn made(
    journal: SharedJournal,
    partner: &PartnerId,
    open: &Open,
    rules: &[Rule],
) -> Result<Made, FileError> {
    let mut lines = Lines::between(journal, partner, open.from, open.until);
    let mut making = Making::begin(partner, open)?;
    loop {
        let page = lines.page().await?;
        if page.is_empty() {
            return Ok(making.end()?);
        }
        making.lines(&page, rules)?;
        // The webhook queues run on this thread, too.
        tokio::task::yield_now().await;
    }
}

async fn make(partition: Home, parts: StatementParts, open: Open, rules: Vec<Rule>) {
    let Ok(partner) = partition.id().parse::<PartnerId>() else { return };
    match made(parts.journal, &partner, &open, &rules).await {
        Ok(made) => {
            let (id, lines) = (open.id.clone(), made.lines);
            let command = BookCommand::Made { id: open.id, made: Box::new(made) };
            match partition.submit(Key::Book, Command::Book(command)).await {
                Ok(_) => {
                    metrics::MADE.add(1, ["made"]);
                    tracing::info!(%partner, statement = %id, lines, "a statement is made");
                }
                // The deadline that led here comes again.
                Err(refusal) => {
                    metrics::MADE.add(1, ["again"]);
                    tracing::warn!(%partner, statement = %id, %refusal, "a statement could not be kept; it is made again");
                }
            }
        }
        Err(error) => {
            metrics::MADE.add(1, ["again"]);
            tracing::error!(target: "alert", %partner, statement = %open.id, %error, "a statement could not be made; it is tried again");
        }
    }
}

impl Shell<StatementFamily> for StatementShell {
    fn perform(&self, partition: &Home, _: &Key, effect: Effect) {
        match effect {
            Effect::Make { open, rules } => {
                drop(actix_rt::spawn(make(Rc::clone(partition), self.parts.clone(), open, rules)));
            }
            // Its rows are written already.
            Effect::Announce(case) => {
                metrics::DISPUTES.add(1, []);
                announce("warning", &case.code, &case.subject, &case.text);
            }
        }
    }

    fn refresh(&self, partition: &Partition<StatementFamily>) {
        let policy = self.parts.policy.load();
        partition.ambient(|ambient| {
            if *ambient != **policy {
                ambient.clone_from(&policy);
            }
        });
    }

    fn applied(&self, _: &Home, _: &Key, _: &State) {}

    fn noticed(&self, partners: &BTreeSet<PartnerId>) {
        self.parts.partners.nudge(partners);
    }

    fn quarantined(&self, stream: &StreamName, key: &Key, cause: &str) {
        self.parts.alerts.raise(alerts::quarantined(stream, key, cause));
    }

    fn pinned(&self, _: &Partition<StatementFamily>) -> bool {
        false
    }
}
