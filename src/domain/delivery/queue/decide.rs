//! Decisions of a webhook queue (EM-8). Owns what a finished try, a replay, a pause or a disabling leads to.

use super::{
    Dead, Disabled, Open, Proof, Queue, QueueCommand, QueueFact, QueueReply, Replay, ReplayEntry, Report, Reported,
    Selection, Stopped, TEST_KIND, Told, Verdict, knock,
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
use crate::ids::EndpointName;
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
        command if state.retired => of_retired(command),
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
            let disabled = Disabled { reason, at: context.now, by: Stopped::Operator, probe: None };
            Ok(controlled(id, QueueFact::Disabled(disabled)))
        }
        // Also when it is enabled already: the endpoint may have moved, so the shell looks again.
        QueueCommand::Enable if state.disabled.is_none() => Ok(looked_at(id, answer(QueueReply::Done))),
        QueueCommand::Enable => Ok(controlled(id, QueueFact::Enabled)),
        QueueCommand::Aim { from, proof } => Ok(aim(id, state, from, proof, context)),
        QueueCommand::Verify => knock::verify(state, context.now).map(|outcome| knocked(id, outcome)),
        QueueCommand::Vouch if state.unverified.is_none() => Ok(answer(QueueReply::Done)),
        QueueCommand::Vouch => Ok(controlled(id, QueueFact::Verified)),
        QueueCommand::Knocked(said) => Ok(knocked(id, knock::answered(state, &said, context))),
        QueueCommand::Discard(dead) => {
            Ok(answer(QueueReply::Done).event(PartnerEvent::Queue(QueueFact::Discarded { dead })))
        }
        QueueCommand::Retire { dead } => {
            let slots = state.log_pages.min(context.ambient.log_pages.max(1));
            Ok(controlled(id, QueueFact::Retired { dead, slots, open: state.dead > 0 }))
        }
        QueueCommand::Test(name) => test(&name, context),
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

/// A late word to a queue that is gone changes nothing.
fn of_retired(command: QueueCommand) -> Decided {
    match command {
        QueueCommand::Report(report) => {
            let settled = report.attempts.iter().map(|attempt| (attempt.entry.position, Verdict::Settled));
            let verdicts = settled.collect();
            Ok(answer(QueueReply::Reported(Reported { verdicts, dead: 0, failing_percent: 0, disabled: true })))
        }
        QueueCommand::Knocked(_) | QueueCommand::Disable { .. } | QueueCommand::Retire { .. } => {
            Ok(answer(QueueReply::Done))
        }
        _ => Err(PartnerRejection::UnknownEndpoint),
    }
}

/// Begins at a URL, or goes on at it or another.
fn aim(
    id: QueueId,
    state: &Queue,
    from: Option<u64>,
    proof: Proof,
    context: &Context<'_, Policy>,
) -> Decision<PartnerFamily> {
    let begin = from.filter(|from| *from > state.low_water);
    let advanced = begin.map(|to| QueueFact::Advanced { to, listed: Vec::new(), at: context.now });
    let enabled = state.disabled.is_some().then_some(QueueFact::Enabled);
    let proved = match proof {
        Proof::Needed => Some(knock::challenge(context.now)),
        Proof::Spared => state.unverified.is_some().then_some(QueueFact::Verified),
        Proof::AsBefore => None,
    };
    let mut decision = answer(QueueReply::Done);
    decision.events = [advanced, enabled, proved].into_iter().flatten().map(PartnerEvent::Queue).collect();
    looked_at(id, decision)
}

/// What follows from a question to the endpoint, or from the wish to ask it.
fn knocked(queue: QueueId, outcome: knock::Outcome) -> Decision<PartnerFamily> {
    let knock::Outcome { facts, alert, opened } = outcome;
    let mut decision = answer(QueueReply::Done);
    decision.events = facts.into_iter().map(PartnerEvent::Queue).collect();
    if opened {
        let order = PartnerOrder::NoteDisabled { queue, disabled: None };
        decision = decision.also(PartnerKey::Partner, PartnerCommand::Partner(order));
    }
    let decision = looked_at(queue, decision);
    match alert {
        Some(kind) => decision.effect(PartnerEffect::Alert(Alert { queue, kind })),
        None => decision,
    }
}

fn test(endpoint: &EndpointName, context: &Context<'_, Policy>) -> Decided {
    let partner = context.partition.parse().map_err(|_| PartnerRejection::WrongEntity)?;
    let notice = Notice {
        partner,
        kind: TEST_KIND.to_owned(),
        // A key of its own: a test waits for nothing and is never coalesced with another.
        order_key: format!("{TEST_KIND}/{}", context.uuid(0)),
        sequence: None,
        at: context.now,
        data: serde_json::json!({"endpoint": endpoint}),
    };
    // A notice needs a record to travel in, and this fact changes nothing.
    let carrier = PartnerEvent::Queue(QueueFact::Settled { positions: Vec::new() });
    Ok(answer(QueueReply::Done).event(carrier).notice(notice))
}

/// Those that are not outstanding anyway.
fn again(state: &Queue, entries: Vec<ReplayEntry>) -> Vec<ReplayEntry> {
    named(entries, |position| state.is_settled(position))
}

/// Each of those once, in order.
fn named(mut entries: Vec<ReplayEntry>, wanted: impl Fn(u64) -> bool) -> Vec<ReplayEntry> {
    entries.retain(|again| wanted(again.entry.position));
    entries.sort_by_key(|again| again.entry.position);
    entries.dedup_by_key(|again| again.entry.position);
    entries
}

/// Also what is not settled yet, for it may have arrived before this was asked and only its report is still on its way. What waits
/// for its first try is sent once all the same: the scheduler makes that the one that was asked for.
fn resend(
    id: QueueId,
    state: &Queue,
    entries: Vec<ReplayEntry>,
    context: &Context<'_, Policy>,
) -> Decision<PartnerFamily> {
    let asked_for = |position| state.open.get(&position).is_some_and(|open| open.replayed);
    let entries = named(entries, |position| !asked_for(position));
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
    /// Something that arrived is to be sent once more.
    again: bool,
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
            failing_percent: state.health.failing_percent(context.ambient.health_window),
            again: false,
        }
    }

    fn run(mut self, report: Report) -> Decision<PartnerFamily> {
        // What was dropped and then asked for is sent.
        let asked_for = |position: &u64| self.state.open.get(position).is_some_and(|open| open.replayed);
        let (asked_for, dropped): (Vec<_>, Vec<_>) = report.dropped.into_iter().partition(asked_for);
        (self.settled, self.again) = (dropped, !asked_for.is_empty());
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
                // One that began before it was asked for again says nothing about what was asked.
                if replayed && !attempt.replayed {
                    self.again = true;
                } else {
                    self.settled.push(position);
                }
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
        self.disable("the endpoint answered 410 gone".to_owned(), Stopped::Gone, AlertKind::EndpointGone);
        Outcome::Held
    }

    fn disable(&mut self, reason: String, by: Stopped, alert: AlertKind) {
        if self.state.disabled.is_some() || self.disabled.is_some() {
            return;
        }
        let disabled = Disabled { reason, at: self.context.now, by, probe: knock::probe_at(by, self.context) };
        self.facts.push(QueueFact::Disabled(disabled.clone()));
        self.alerts.push(alert);
        self.disabled = Some(disabled);
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
        self.log.iter().for_each(|tried| health.note(tried.outcome == Outcome::Delivered, tried.started));
        let (page, slots) = (self.state.log_pages, self.context.ambient.log_pages.max(1));
        let attempts = std::mem::take(&mut self.log);
        self.facts.push(QueueFact::Logged { page, slot: page % slots, attempts });
        let policy = self.context.ambient;
        self.failing_percent = health.failing_percent(policy.health_window);
        if let Some(since) = health.failing_since.filter(|_| health.is_hopeless(self.context.now, policy)) {
            let reason = format!("every try since {} has failed", since.to_rfc3339());
            self.disable(reason, Stopped::Failing, AlertKind::EndpointDisabled);
        }
        match health.crossing(policy) {
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
            disabled: self.disabled.is_some(),
        }));
        decision.events = self.facts.into_iter().map(PartnerEvent::Queue).collect();
        if self.again {
            decision = looked_at(queue, decision);
        }
        if let Some(disabled) = self.disabled {
            let order = PartnerOrder::NoteDisabled { queue, disabled: Some(disabled) };
            decision = looked_at(queue, decision.also(PartnerKey::Partner, PartnerCommand::Partner(order)));
        }
        for kind in self.alerts {
            decision = decision.effect(PartnerEffect::Alert(Alert { queue, kind }));
        }
        decision
    }
}
