//! From the journal to ready (RT-5): the register, the partners, then every partition that has something open.

use super::Runtime;
use crate::actors::recheck::Recheck;
use crate::actors::service::Phase;
use crate::api::port::AccountDesk as _;
use crate::domain::account::AccountFamily;
use crate::domain::charger::Registration;
use crate::domain::charging::ChargingFamily;
use crate::domain::delivery::PartnerFamily;
use crate::domain::entity::Family;
use crate::domain::operator::OperatorFamily;
use crate::domain::platform::{Alert, PlatformFamily};
use crate::domain::statement::StatementFamily;
use crate::ids::ChargerId;
use crate::persistence::{Journal, JournalError, StreamName};
use crate::telemetry::metrics::engine as metrics;
use crate::telemetry::stages::Stages;
use futures_util::future::join_all;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rows read at a time.
const CHUNK: usize = 1000;

/// How often partitions whose old records keep history from being folded away are looked for. Not a search for what is
/// due: only disk space depends on it.
const LAGGARDS_EVERY: Duration = Duration::from_secs(5);
/// The first such look after a start: a process whose lives are short must not let its log grow from life to life.
const LAGGARDS_FIRST: Duration = Duration::from_millis(500);
/// How often the journal's room is looked at. Work is refused by the journal itself; only the alert depends on it.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// How often old lines of the audit trail are looked for: it is kept for months.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked whether recovery is over.
const READY_LOOK: Duration = Duration::from_millis(100);
/// How often the gauges of the queues are set: below any scrape interval.
const GAUGES_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether another tariff has come into force at a site: so late may a partner's mirror be. What an
/// operator changes is listed at once, a tariff at the first hundred sites.
const LISTED_EVERY: Duration = Duration::from_secs(5);
/// How many of them are snapshotted at a time, how many of those together, so that they share a commit, and the pause after that: 400
/// a second. A hundred thousand chargers that each tell something once a minute fill the log so fast that as many fall behind
/// (`journal.snapshot_blocks`).
const LAGGARDS: usize = 2_000;
const LAGGARD_LOT: usize = 20;
const LAGGARD_PAUSE: Duration = Duration::from_millis(50);

#[derive(Deserialize)]
struct Row {
    registration: Option<Arc<Registration>>,
}

impl Runtime {
    /// Rebuilds what is open, then lets chargers and partners in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn recover(&self) -> Result<(), JournalError> {
        let began = self.clock.now();
        let mut stages = Stages::begin();
        let downtime = self.store.downtime();
        self.platform.recover(vec![crate::domain::platform::PARTITION.to_owned()], downtime).await;
        let operators = self.service.fill_operators().await?;
        self.service.office.recover(vec![crate::domain::operator::PARTITION.to_owned()], downtime).await;
        let partners = self.all(PartnerFamily::NAME).await?;
        let partners = self.partners.recover(partners, downtime).await;
        let owing = self.live(AccountFamily::NAME).await?;
        let accounts = self.service.accounts.host().recover(owing, downtime).await;
        let stating = self.live(StatementFamily::NAME).await?;
        self.service.statements.recover(stating, downtime).await;
        self.service.open_books().await;
        stages.over("others");
        let live = self.live(ChargingFamily::NAME).await?;
        let expected = live.len();
        stages.over("streams");
        // None of them needs the others: what one reads is decoded while the next is read.
        let chargers = self.chargers.rebuild(live, downtime);
        let all = tokio::join!(chargers, self.fill_register(), self.service.open_catalogue());
        let (chargers, registered) = (all.0, all.1?);
        all.2?;
        stages.over("chargers");
        if chargers < expected {
            tracing::error!(chargers, expected, "some chargers could not be rebuilt; see the errors above");
        }
        self.open.store(true, Ordering::Release);
        self.phase.set(Phase::Ready);
        let took = self.clock.now().since(began);
        metrics::RECOVERY.set(took.as_secs_f64(), []);
        tracing::info!(registered, operators, partners, accounts, chargers, ?downtime, ?took, %stages, "ready");
        self.give_back();
        Ok(())
    }

    /// Gives chargers our downtime back: all are rebuilt, and whoever asks for one before its turn waits for that one alone.
    fn give_back(&self) {
        let (chargers, clock) = (self.chargers.clone(), self.clock.clone());
        tokio::spawn(async move {
            let began = clock.now();
            chargers.give_back().await;
            let took = clock.now().since(began);
            tracing::info!(?took, "our downtime is given back to all chargers; what fell due meanwhile goes on");
        });
    }

    async fn fill_register(&self) -> Result<usize, JournalError> {
        let mut after: Option<String> = None;
        loop {
            let rows = self.store.rows("charger", "", after.as_deref(), CHUNK).await?;
            let Some(last) = rows.last() else { return Ok(self.service.register.len()) };
            after = Some(last.key.clone());
            for row in &rows {
                let corrupt = |why: String| JournalError::Corrupt { key: format!("charger/{}", row.key), why };
                let id: ChargerId = row.key.parse().map_err(|error| corrupt(format!("{error}")))?;
                let of: Row = serde_json::from_slice(&row.value).map_err(|error| corrupt(error.to_string()))?;
                if let Some(registration) = of.registration {
                    self.service.register.put(&id, &registration);
                }
            }
        }
    }

    async fn all(&self, family: &str) -> Result<Vec<String>, JournalError> {
        let streams = self.store.streams(family).await?;
        Ok(streams.iter().map(|summary| summary.stream.partition().to_owned()).collect())
    }

    async fn live(&self, family: &str) -> Result<Vec<String>, JournalError> {
        let streams = self.store.streams(family).await?;
        Ok(streams.iter().filter(|summary| summary.live).map(|s| s.stream.partition().to_owned()).collect())
    }

    /// Starts what looks after the process until it stops.
    pub(super) fn spawn_watchers(self: &Arc<Self>, workers: &super::Workers) {
        workers.spawn(Arc::clone(self).fold_history());
        workers.spawn(Arc::clone(self).show_queues());
        workers.spawn(Arc::clone(self).watch_room());
        workers.spawn(Arc::clone(self).check_nightly());
        workers.spawn(Arc::clone(self).prune_trail());
        workers.spawn(Arc::clone(self).list_sites());
        workers.spawn(super::tcec::run(Arc::clone(&self.service), self.shutdown.clone()));
    }

    /// Lists sites again where another tariff has come into force, or whose listing failed, until the process stops (EM-6).
    async fn list_sites(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(LISTED_EVERY) => {}
            }
            if matches!(self.phase.get(), Phase::Ready) {
                self.service.look_at_catalogue().await;
            }
        }
    }

    /// Prices a part of the day's settled orders again each night, and looks at all books, until the process stops (MO-9, MO-1).
    async fn check_nightly(self: Arc<Self>) {
        let service = &self.service;
        while !matches!(self.phase.get(), Phase::Ready) {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(READY_LOOK) => {}
            }
        }
        let recheck = Recheck {
            journal: service.journal.clone(),
            tariffs: Arc::clone(&service.tariffs),
            policy: Arc::clone(&service.configuration.swaps.policy),
            alerts: service.alerts.clone(),
            clock: self.clock.clone(),
        };
        let books = || async {
            match service.verify_ledger().await {
                Ok(findings) if findings.sound() => {
                    tracing::info!(accounts = findings.accounts, entries = findings.entries, "the books are right");
                }
                Ok(findings) => service.alerts.raise(books_wrong(findings.wrong, findings.problems.first())),
                Err(refusal) => tracing::warn!(?refusal, "the books could not be looked at"),
            }
        };
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = recheck.run(books) => {}
        }
    }

    /// Does what operators agreed to before the process ended; then takes old lines of the audit trail away, until it stops (OP-3).
    async fn prune_trail(self: Arc<Self>) {
        let mut wait = READY_LOOK;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if !matches!(self.phase.get(), Phase::Ready) {
                continue;
            }
            if wait == READY_LOOK {
                self.service.finish_agreed().await;
                wait = PRUNE_EVERY;
            }
            match self.service.prune_trail().await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(gone, "old lines of the audit trail are gone"),
                Err(refusal) => {
                    tracing::warn!(code = %refusal.code, "old lines of the audit trail could not be taken away")
                }
            }
        }
    }

    /// Snapshots partitions that lag behind, until the process stops (RT-5).
    async fn fold_history(self: Arc<Self>) {
        let mut wait = LAGGARDS_FIRST;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if !matches!(self.phase.get(), Phase::Ready) {
                // Until then nothing is written, and the processor has other things to do.
                continue;
            }
            wait = LAGGARDS_EVERY;
            for lot in self.store.lagging(LAGGARDS).chunks(LAGGARD_LOT) {
                if self.shutdown.is_cancelled() {
                    return;
                }
                join_all(lot.iter().map(|stream| self.fold(stream))).await;
                tokio::time::sleep(LAGGARD_PAUSE).await;
            }
        }
    }

    async fn fold(&self, stream: &StreamName) {
        let id = stream.partition().to_owned();
        match stream.family() {
            ChargingFamily::NAME => self.chargers.snapshot(id).await,
            PartnerFamily::NAME => self.partners.snapshot(id).await,
            StatementFamily::NAME => self.service.statements.snapshot(id).await,
            AccountFamily::NAME => self.service.accounts.host().snapshot(id).await,
            PlatformFamily::NAME => self.platform.snapshot(id).await,
            OperatorFamily::NAME => self.service.office.snapshot(id).await,
            other => tracing::warn!(family = other, "a stream of an unknown family lags behind"),
        }
    }

    /// Tells operators when the journal becomes full, and when there is room again, until the process stops (RT-7).
    async fn watch_room(self: Arc<Self>) {
        let mut told = false;
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(ROOM_EVERY) => {}
            }
            let full = self.store.is_full();
            if full != told {
                told = full;
                self.service.alerts.raise(room(full));
            }
        }
    }

    /// Keeps the gauges of the webhook queues fresh, until the process stops.
    async fn show_queues(self: Arc<Self>) {
        loop {
            self.service.board.publish(self.clock.now());
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(GAUGES_EVERY) => {}
            }
        }
    }
}

fn room(full: bool) -> Alert {
    let (code, level, text) = if full {
        let text = "the disk of the journal is nearly full: starts are refused, stops and readings are kept as long as the \
                    reserve lasts; make room, and work goes on by itself";
        ("journal_full", "critical", text)
    } else {
        ("journal_has_room", "info", "the journal has room again and takes starts")
    };
    Alert {
        code: code.to_owned(),
        level: level.to_owned(),
        subject: "journal".to_owned(),
        text: text.to_owned(),
        ticket: full,
    }
}

fn books_wrong(wrong: u64, first: Option<&String>) -> Alert {
    let first = first.map_or_else(String::new, |first| format!(": {first}"));
    Alert {
        code: "books_wrong".to_owned(),
        level: "critical".to_owned(),
        subject: "ledger".to_owned(),
        text: format!("the look at all books has found {wrong} problems{first}"),
        ticket: true,
    }
}
