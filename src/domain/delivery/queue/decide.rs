//! Decisions of a webhook queue (EM-8). Owns what a finished try, a replay, a pause or a disabling leads to.

use super::{
    Dead, Disabled, Open, Queue, QueueCommand, QueueFact, QueueReply, Replay, ReplayEntry, Report, Reported, Selection,
    TEST_KIND, Told, Verdict,
};
use crate::domain::delivery::answer::{Answer, Attempt, Class, Logged, Outcome};
use crate::domain::delivery::family::{
    Alert, AlertKind, PartnerCommand, PartnerEffect, PartnerEvent, PartnerFamily, PartnerKey, PartnerRejection,
    PartnerReply, QueueId,
};
use crate::domain::delivery::health::Crossing;
use crate::domain::delivery::partner::PartnerOrder;
use crate::domain::delivery::policy::Policy;
use crate::domain::delivery::schedule;
use crate::domain::entity::{Context, Decision, Notice};
use std::time::Duration;

type Decided = Result<Decision<PartnerFamily>, PartnerRejection>;

pub(in crate::domain::delivery) fn decide(
    id: QueueId,
    state: &Queue,
    command: QueueCommand,
    context: &Context<'_, Policy>,
) -> Decided {
    match command {
        QueueCommand::Observe => Ok(answer(QueueReply::State(Box::new(state.clone())))),
        QueueCommand::Report(report) => Ok(Reporting::new(id, state, context).run(report)),
        QueueCommand::Resend(entries) => Ok(resend(id, state, entries, context)),
        QueueCommand::StartReplay { selection, until } => start_replay(id, state, selection, until, context),
        QueueCommand::FeedReplay { id: replay, cursor, entries, finished } => {
            feed_replay(state, replay, cursor, entries, finished, context)
        }
        QueueCommand::Pause if state.paused => Ok(answer(QueueReply::Done)),
        QueueCommand::Pause => Ok(controlled(id, QueueFact::Paused)),
        QueueCommand::Resume if !state.paused => Ok(answer(QueueReply::Done)),
        QueueCommand::Resume => Ok(controlled(id, QueueFact::Resumed)),
        QueueCommand::Disable { reason } => {
            Ok(controlled(id, QueueFact::Disabled(Disabled { reason, at: context.now })))
        }
        // Also when it is enabled already: the endpoint may have moved, so the shell looks again.
        QueueCommand::Enable if state.disabled.is_none() => Ok(looked_at(id, answer(QueueReply::Done))),
        QueueCommand::Enable => Ok(controlled(id, QueueFact::Enabled)),
        QueueCommand::Test => test(context),
        QueueCommand::Tell(told) => tell(told, context),
    }
}

fn answer(reply: QueueReply) -> Decision<PartnerFamily> {
    Decision::reply(PartnerReply::Queue(reply))
}

fn looked_at(id: QueueId, decision: Decision<PartnerFamily>) -> Decision<PartnerFamily> {
    decision.effect(PartnerEffect::QueueChanged(id))
}

fn controlled(id: QueueId, fact: QueueFact) -> Decision<PartnerFamily> {
    looked_at(id, answer(QueueReply::Done).event(PartnerEvent::Queue(fact)))
}

/// Puts events into the outbox that no other partition tells (EM-11: statuses every so often, a day's reconciliation).
fn tell(told: Vec<Told>, context: &Context<'_, Policy>) -> Decided {
    let partner: crate::ids::PartnerId = context.partition.parse().map_err(|_| PartnerRejection::WrongEntity)?;
    let at = context.now;
    // A notice needs a record to travel in, and this fact changes nothing.
    let carrier = PartnerEvent::Queue(QueueFact::Settled { positions: Vec::new() });
    let decision = answer(QueueReply::Done).event(carrier);
    Ok(told.into_iter().fold(decision, |decision, Told { kind, order_key, data }| {
        decision.notice(Notice { partner: partner.clone(), kind, order_key, sequence: None, at, data })
    }))
}

fn test(context: &Context<'_, Policy>) -> Decided {
    let partner = context.partition.parse().map_err(|_| PartnerRejection::WrongEntity)?;
    let notice = Notice {
        partner,
        kind: TEST_KIND.to_owned(),
        // A key of its own: a test waits for nothing and is never coalesced with another.
        order_key: format!("{TEST_KIND}/{}", context.uuid(0)),
        sequence: None,
        at: context.now,
        data: serde_json::json!({}),
    };
    // A notice needs a record to travel in, and this fact changes nothing.
    let carrier = PartnerEvent::Queue(QueueFact::Settled { positions: Vec::new() });
    Ok(answer(QueueReply::Done).event(carrier).notice(notice))
}

/// Those that are not outstanding anyway.
fn again(state: &Queue, mut entries: Vec<ReplayEntry>) -> Vec<ReplayEntry> {
    entries.retain(|again| state.is_settled(again.entry.position));
    entries.sort_by_key(|again| again.entry.position);
    entries.dedup_by_key(|again| again.entry.position);
    entries
}

fn resend(
    id: QueueId,
    state: &Queue,
    entries: Vec<ReplayEntry>,
    context: &Context<'_, Policy>,
) -> Decision<PartnerFamily> {
    let entries = again(state, entries);
    let decision = answer(QueueReply::Replayed(entries.len() as u64));
    if entries.is_empty() {
        return decision;
    }
    looked_at(id, decision.event(PartnerEvent::Queue(QueueFact::Replayed { entries, at: context.now })))
}

fn start_replay(
    id: QueueId,
    state: &Queue,
    selection: Selection,
    until: u64,
    context: &Context<'_, Policy>,
) -> Decided {
    if state.replays.len() >= context.ambient.replays_max {
        return Err(PartnerRejection::TooManyReplays);
    }
    let number = state.replays_begun + 1;
    let cursor = match &selection {
        Selection::Positions { from, .. } => from.saturating_sub(1),
        Selection::Times { .. } | Selection::Dead => 0,
    };
    let fact = QueueFact::ReplayStarted(Replay { id: number, selection, cursor, until, fed: 0 });
    Ok(looked_at(id, answer(QueueReply::ReplayStarted(number)).event(PartnerEvent::Queue(fact))))
}

fn feed_replay(
    state: &Queue,
    id: u64,
    cursor: u64,
    entries: Vec<ReplayEntry>,
    finished: bool,
    context: &Context<'_, Policy>,
) -> Decided {
    if !state.replays.iter().any(|replay| replay.id == id && cursor >= replay.cursor) {
        return Err(PartnerRejection::UnknownReplay);
    }
    let entries = again(state, entries);
    let fed = entries.len() as u64;
    let mut decision = answer(QueueReply::Replayed(fed));
    if !entries.is_empty() {
        decision = decision.event(PartnerEvent::Queue(QueueFact::Replayed { entries, at: context.now }));
    }
    let fact = if finished { QueueFact::ReplayFinished { id } } else { QueueFact::ReplayAdvanced { id, cursor, fed } };
    Ok(decision.event(PartnerEvent::Queue(fact)))
}

/// The working copy while a report is decided.
struct Reporting<'a> {
    id: QueueId,
    state: &'a Queue,
    context: &'a Context<'a, Policy>,
    settled: Vec<u64>,
    facts: Vec<QueueFact>,
    log: Vec<Logged>,
    alerts: Vec<AlertKind>,
    verdicts: Vec<(u64, Verdict)>,
    disabled: Option<Disabled>,
    dead: u64,
    failing_percent: u8,
}

impl<'a> Reporting<'a> {
    fn new(id: QueueId, state: &'a Queue, context: &'a Context<'a, Policy>) -> Self {
        Reporting {
            id,
            state,
            context,
            settled: Vec::new(),
            facts: Vec::new(),
            log: Vec::new(),
            alerts: Vec::new(),
            verdicts: Vec::new(),
            disabled: None,
            dead: state.dead,
            failing_percent: state.health.failing_percent(),
        }
    }

    fn run(mut self, report: Report) -> Decision<PartnerFamily> {
        self.settled = report.dropped;
        for (n, attempt) in report.attempts.into_iter().enumerate() {
            self.judge(n, attempt);
        }
        if !self.settled.is_empty() {
            // Before all else, so that the mark below never passes an event whose settling comes after it.
            self.facts.insert(0, QueueFact::Settled { positions: std::mem::take(&mut self.settled) });
        }
        if report.low_water > self.state.low_water || !report.listed.is_empty() {
            let (to, at) = (report.low_water, self.context.now);
            self.facts.push(QueueFact::Advanced { to, listed: report.listed, at });
        }
        self.health();
        self.finish()
    }

    fn judge(&mut self, n: usize, attempt: Attempt) {
        let position = attempt.entry.position;
        let known = self.state.open.get(&position);
        if self.state.is_settled(position) {
            self.verdicts.push((position, Verdict::Settled));
            return;
        }
        let (failures, replayed) = known.map_or((0, false), |open| (open.failures, open.replayed));
        let tries = failures.saturating_add(1);
        let outcome = match attempt.answer.class() {
            Class::Delivered => {
                self.settled.push(position);
                Outcome::Delivered
            }
            Class::Gone => self.gone(&attempt, failures, replayed),
            Class::SlowDown | Class::Failed => {
                let fraction = schedule::fraction(self.context.entropy, n);
                let retry_after = attempt.answer.retry_after();
                let ambient = self.context.ambient;
                let wait = match &attempt.waits {
                    Some(waits) => schedule::wait_in(waits, tries, ambient, retry_after, fraction),
                    None => schedule::wait_after(tries, ambient, retry_after, fraction),
                };
                match wait {
                    Some(wait) => self.retry(&attempt, tries, replayed, wait),
                    None => self.bury(&attempt, tries),
                }
            }
            Class::Hopeless => self.bury(&attempt, tries),
        };
        self.log(attempt, tries, outcome);
    }

    fn retry(&mut self, attempt: &Attempt, failures: u16, replayed: bool, wait: Duration) -> Outcome {
        let due = self.context.now + wait;
        self.facts.push(QueueFact::Failed(Open { entry: attempt.entry.clone(), failures, due, replayed }));
        self.verdicts.push((attempt.entry.position, Verdict::Retry { failures, due, wait }));
        Outcome::Retry(due)
    }

    fn bury(&mut self, attempt: &Attempt, attempts: u16) -> Outcome {
        let (entry, answer) = (attempt.entry.clone(), attempt.answer.clone());
        self.alerts.push(AlertKind::DeadLetter { event_id: entry.event_id.clone() });
        self.verdicts.push((entry.position, Verdict::Dead));
        self.facts.push(QueueFact::DeadLettered(Dead { entry, attempts, answer, at: self.context.now }));
        Outcome::Dead
    }

    /// 410: the endpoint is disabled, the event kept with the tries it had, due as soon as it is enabled.
    fn gone(&mut self, attempt: &Attempt, failures: u16, replayed: bool) -> Outcome {
        let now = self.context.now;
        self.facts.push(QueueFact::Failed(Open { entry: attempt.entry.clone(), failures, due: now, replayed }));
        self.verdicts.push((attempt.entry.position, Verdict::Held));
        if self.state.disabled.is_none() && self.disabled.is_none() {
            let disabled = Disabled { reason: "the endpoint answered 410 gone".to_owned(), at: now };
            self.facts.push(QueueFact::Disabled(disabled.clone()));
            self.alerts.push(AlertKind::EndpointGone);
            self.disabled = Some(disabled);
        }
        Outcome::Held
    }

    fn log(&mut self, attempt: Attempt, tries: u16, outcome: Outcome) {
        let Attempt { entry, started, took_ms, answer, .. } = attempt;
        let (position, event_id, kind) = (entry.position, entry.event_id, entry.kind);
        // The body of a success says nothing that anyone needs.
        let answer = match answer {
            Answer::Status { code, retry_after_ms, .. } if outcome == Outcome::Delivered => {
                Answer::Status { code, retry_after_ms, excerpt: String::new() }
            }
            other => other,
        };
        self.log.push(Logged { position, event_id, kind, attempt: tries, started, took_ms, answer, outcome });
    }

    fn health(&mut self) {
        if self.log.is_empty() {
            return;
        }
        let mut health = self.state.health.clone();
        let buried = self.log.iter().filter(|tried| tried.outcome == Outcome::Dead).count();
        self.dead += buried as u64;
        self.log.iter().for_each(|tried| health.note(tried.outcome == Outcome::Delivered));
        let (page, slots) = (self.state.log_pages, self.context.ambient.log_pages.max(1));
        let attempts = std::mem::take(&mut self.log);
        self.facts.push(QueueFact::Logged { page, slot: page % slots, attempts });
        self.failing_percent = health.failing_percent();
        match health.crossing(self.context.ambient.health_samples_min) {
            Some(Crossing::Failing(level)) => {
                self.facts.push(QueueFact::HealthAlerted { level });
                self.alerts.push(AlertKind::Failing { percent: level });
            }
            Some(Crossing::Recovered) => {
                self.facts.push(QueueFact::HealthAlerted { level: 0 });
                self.alerts.push(AlertKind::Recovered);
            }
            None => {}
        }
    }

    fn finish(self) -> Decision<PartnerFamily> {
        let queue = self.id;
        let mut decision = answer(QueueReply::Reported(Reported {
            verdicts: self.verdicts,
            dead: self.dead,
            failing_percent: self.failing_percent,
        }));
        decision.events = self.facts.into_iter().map(PartnerEvent::Queue).collect();
        if let Some(disabled) = self.disabled {
            let order = PartnerOrder::NoteDisabled { queue, disabled };
            decision = looked_at(queue, decision.also(PartnerKey::Partner, PartnerCommand::Partner(order)));
        }
        for kind in self.alerts {
            decision = decision.effect(PartnerEffect::Alert(Alert { queue, kind }));
        }
        decision
    }
}
