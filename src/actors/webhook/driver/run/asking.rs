//! The driver's questions to the queue's entity, one at a time: reports of finished tries, looks at the state, pages of replays.

use super::{READ_RETRY, Run};
use crate::actors::webhook::driver::{DriverError, FactsError};
use crate::actors::webhook::replay::{Page, Whose};
use crate::clock::Clock;
use crate::domain::delivery::{Answer, Queue, QueueCommand, QueueReply, Report, Reported, Verdict};
use crate::persistence::{JournalError, OutboxEntry};
use crate::telemetry::metrics::webhook as metrics;
use tokio::time::Instant;

/// What was asked.
pub(super) enum Question {
    Report(Report),
    Observe,
    Feed,
    Knocked(Answer),
}

/// The question, and its answer.
pub(super) type Answered = (Question, Result<QueueReply, FactsError>);

impl Run {
    pub(super) fn flush_later(&mut self) {
        let at = Instant::now() + self.tuning.settle_delay;
        self.flush_at.get_or_insert(at);
    }

    pub(super) fn has_to_report(&self) -> bool {
        self.held.is_some() || !self.finished.is_empty() || self.scheduler.has_dropped()
    }

    /// Asks the entity the next question, if none is under way: a report first, then a look, then a replay's next page.
    pub(super) fn ask(&mut self) {
        if self.scheduler.has_dropped() {
            self.flush_later();
        }
        let now = Instant::now();
        if self.asking.is_some() || now < self.ask_after {
            return;
        }
        let full = self.finished.len() >= self.tuning.settle_batch;
        let late = self.flush_at.is_some_and(|at| at <= now);
        if self.held.is_some() || (self.has_to_report() && (self.urgent || full || late)) {
            let report = self.held.take().unwrap_or_else(|| self.take_report());
            self.question(Question::Report(report.clone()), QueueCommand::Report(report));
        } else if let Some(said) = self.said() {
            self.question(Question::Knocked(said.clone()), QueueCommand::Knocked(said));
        } else if self.observe {
            self.observe = false;
            self.question(Question::Observe, QueueCommand::Observe);
        } else if !self.stopping && self.scheduler.room() * 2 > self.tuning.pace.window {
            // Half the window is for what is new.
            self.feed();
        }
    }

    fn take_report(&mut self) -> Report {
        self.urgent = false;
        self.flush_at = None;
        metrics::REPORT_ATTEMPTS.record(self.finished.len() as f64, []);
        let finished = std::mem::take(&mut self.finished);
        self.scheduler.report(finished)
    }

    fn question(&mut self, question: Question, command: QueueCommand) {
        let facts = self.with.facts.clone();
        self.asking = Some(Box::pin(async move { (question, facts.ask(command).await) }));
    }

    fn feed(&mut self) {
        let Some(replay) = self.replays.first().cloned() else { return };
        let whose = Whose { partner: self.with.partner.clone(), queue: self.with.queue };
        let (journal, facts) = (self.with.journal.clone(), self.with.facts.clone());
        let Some(target) = self.with.endpoint.target() else { return };
        self.asking = Some(Box::pin(async move {
            let wanted = |row: &OutboxEntry| target.wants.take(&target.name, &row.notice.kind, &row.notice.data);
            let page = whose.page(journal.as_ref(), &replay.selection, replay.cursor, replay.until, &wanted).await;
            let Page { entries, cursor, finished } = match page {
                Ok(page) => page,
                Err(JournalError::Unavailable(_) | JournalError::Full) => {
                    return (Question::Feed, Err(FactsError::Unavailable(READ_RETRY)));
                }
                Err(error @ (JournalError::Corrupt { .. } | JournalError::Fenced)) => {
                    return (Question::Feed, Err(FactsError::Stopped(error.to_string())));
                }
            };
            let command = QueueCommand::FeedReplay { id: replay.id, cursor, entries, finished };
            (Question::Feed, facts.ask(command).await)
        }));
    }

    pub(super) fn answered(&mut self, (question, reply): Answered) -> Result<(), DriverError> {
        match (question, reply) {
            (Question::Report(report), Ok(QueueReply::Reported(reported))) => self.reported(&report, reported),
            (Question::Observe, Ok(QueueReply::State(queue))) => self.observed(&queue),
            (Question::Feed, Ok(QueueReply::Replayed(fed))) => {
                metrics::REPLAYED.add(fed, []);
                self.observe = true;
            }
            (Question::Knocked(_), Ok(QueueReply::Done)) => self.observe = true,
            // Finished or replaced meanwhile.
            (Question::Feed, Err(FactsError::Rejected(_))) => self.observe = true,
            (question, Err(FactsError::Unavailable(wait))) => {
                self.ask_after = Instant::now() + wait;
                match question {
                    Question::Report(report) => {
                        metrics::REPORT_RETRIES.add(1, []);
                        self.held = Some(report);
                    }
                    Question::Observe => self.observe = true,
                    Question::Feed => {}
                    Question::Knocked(said) => self.knocked = Some(said),
                }
            }
            (_, Err(error)) => return Err(error.into()),
            (_, Ok(other)) => return Err(DriverError::Reply(format!("{other:?}"))),
        }
        Ok(())
    }

    fn reported(&mut self, report: &Report, reported: Reported) {
        let attempts = report.attempts.iter().map(|attempt| attempt.entry.position);
        self.scheduler.reported(attempts.chain(report.dropped.iter().copied()));
        if reported.disabled {
            self.scheduler.halt();
            // The reason is read with the next look.
            self.observe = true;
        }
        let now = self.steady.now();
        for (position, verdict) in reported.verdicts {
            match verdict {
                Verdict::Dead => metrics::DEAD_TOTAL.add(1, []),
                Verdict::Held => self.observe = true,
                Verdict::Retry { .. } | Verdict::Settled => {}
            }
            self.scheduler.judged(position, verdict, now);
        }
        self.view.dead = reported.dead;
        self.view.failing_percent = reported.failing_percent;
    }

    pub(super) fn observed(&mut self, queue: &Queue) {
        self.scheduler.sync(queue);
        self.replays.clone_from(&queue.replays);
        self.view.dead = queue.dead;
        self.view.disabled.clone_from(&queue.disabled);
        self.view.paused = queue.paused;
        self.view.unverified.clone_from(&queue.unverified);
        self.view.failing_percent = queue.health.failing_percent(self.settings.health_window);
        self.knock = queue.knock().filter(|_| self.knocking.is_none() && self.knocked.is_none());
    }
}
