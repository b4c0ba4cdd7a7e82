//! Whether a URL is who it is said to be, and whether an endpoint is there again. Owns when it is asked and what an answer leads to.
//!
//! A new URL gets a signed challenge and nothing else until it has given that back (control 37 of the abuse list: nobody points
//! our queues at a stranger). It is asked by a schedule of its own, and then no more until somebody says so. An endpoint that
//! was disabled because every try failed is asked now and then in the same way; any 2xx opens it again (half-open).

use super::{Disabled, Queue, QueueFact, Stopped};
use crate::clock::Timestamp;
use crate::domain::delivery::answer::{Answer, Class};
use crate::domain::delivery::family::{AlertKind, PartnerRejection};
use crate::domain::delivery::policy::Policy;
use crate::domain::delivery::schedule;
use crate::domain::entity::Context;
use serde::{Deserialize, Serialize};

/// A URL that has not proved itself yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unverified {
    /// Since when.
    pub since: Timestamp,
    /// Challenges that were not answered rightly.
    pub failures: u16,
    /// When the next one goes out; `None`: when somebody asks for it.
    pub due: Option<Timestamp>,
    /// What came of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A question to an endpoint that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knock {
    /// From when on.
    pub due: Timestamp,
    /// Only an answer that gives the challenge back is right; otherwise any 2xx is.
    pub proof: bool,
}

/// What a command about this leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) facts: Vec<QueueFact>,
    pub(super) alert: Option<AlertKind>,
    /// The endpoint is open again.
    pub(super) opened: bool,
}

impl Outcome {
    fn of(fact: QueueFact) -> Self {
        Outcome { facts: vec![fact], ..Outcome::default() }
    }
}

impl Queue {
    /// What is to be asked of the endpoint, and when. Nothing while a person holds it back.
    pub fn knock(&self) -> Option<Knock> {
        if self.paused || self.retired {
            return None;
        }
        match (&self.disabled, &self.unverified) {
            (Some(Disabled { by: Stopped::Operator, .. }), _) => None,
            (_, Some(unverified)) => unverified.due.map(|due| Knock { due, proof: true }),
            (Some(disabled), None) => disabled.probe.map(|due| Knock { due, proof: false }),
            (None, None) => None,
        }
    }
}

/// A URL has to prove itself from now on.
pub(super) fn challenge(now: Timestamp) -> QueueFact {
    QueueFact::Unverified(Unverified { since: now, failures: 0, due: Some(now), last_error: None })
}

/// Somebody wants to know at once.
pub(super) fn verify(state: &Queue, now: Timestamp) -> Result<Outcome, PartnerRejection> {
    match (&state.disabled, &state.unverified) {
        (Some(Disabled { by: Stopped::Operator, .. }), _) => Err(PartnerRejection::HeldByOperator),
        (_, Some(unverified)) => {
            let again = Unverified { failures: 0, due: Some(now), ..unverified.clone() };
            Ok(Outcome::of(QueueFact::Unverified(again)))
        }
        (Some(disabled), None) => {
            Ok(Outcome::of(QueueFact::Disabled(Disabled { probe: Some(now), ..disabled.clone() })))
        }
        (None, None) => Ok(Outcome::default()),
    }
}

/// The endpoint has answered, or not.
pub(super) fn answered(state: &Queue, answer: &Answer, context: &Context<'_, Policy>) -> Outcome {
    let passed = answer.class() == Class::Delivered;
    match (&state.disabled, &state.unverified) {
        // Asked before an operator stopped it: nothing opens by itself any more.
        (Some(Disabled { by: Stopped::Operator, .. }), _) | (None, None) => Outcome::default(),
        (disabled, Some(_)) if passed => {
            let opened = disabled.is_some();
            let enabled = disabled.is_some().then_some(QueueFact::Enabled);
            let facts = [QueueFact::Verified].into_iter().chain(enabled).collect();
            Outcome { facts, alert: opened.then_some(AlertKind::EndpointBack), opened }
        }
        (_, Some(unverified)) => unproved(unverified, answer, context),
        (Some(_), None) if passed => {
            Outcome { facts: vec![QueueFact::Enabled], alert: Some(AlertKind::EndpointBack), opened: true }
        }
        (Some(disabled), None) => {
            let probe = probe_at(disabled.by, context);
            Outcome::of(QueueFact::Disabled(Disabled { probe, ..disabled.clone() }))
        }
    }
}

/// When an endpoint that was disabled for this cause is asked next.
pub(super) fn probe_at(by: Stopped, context: &Context<'_, Policy>) -> Option<Timestamp> {
    let every = context.ambient.probe_every;
    match by {
        Stopped::Failing if !every.is_zero() => Some(context.now + every),
        // One that said that it is gone is not asked again unless its owner says so.
        Stopped::Failing | Stopped::Gone | Stopped::Operator => None,
    }
}

fn unproved(unverified: &Unverified, answer: &Answer, context: &Context<'_, Policy>) -> Outcome {
    let failures = unverified.failures.saturating_add(1);
    let (policy, fraction) = (context.ambient, schedule::fraction(context.entropy, 0));
    let wait = schedule::wait_in(&policy.challenge_schedule, failures, policy, answer.retry_after(), fraction);
    let due = wait.map(|wait| context.now + wait);
    let last_error = Some(answer.told());
    let fact = QueueFact::Unverified(Unverified { since: unverified.since, failures, due, last_error });
    Outcome { alert: due.is_none().then_some(AlertKind::Unverified), ..Outcome::of(fact) }
}

#[cfg(test)]
mod tests;
