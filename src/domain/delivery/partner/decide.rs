//! Decisions about a partner. Owns the rules of its keys and endpoints; an endpoint that changes takes its queue along in
//! the same step.

use super::{ApiKey, Endpoint, Partner, PartnerFact, PartnerOrder, Sealed, WebhookSecret};
use crate::clock::Timestamp;
use crate::domain::delivery::family::{
    PartnerCommand, PartnerEffect, PartnerEvent, PartnerFamily, PartnerKey, PartnerRejection, PartnerReply, QueueId,
};
use crate::domain::delivery::policy::Policy;
use crate::domain::delivery::queue::{Disabled, QueueCommand};
use crate::domain::entity::{Context, Decision};
use std::time::Duration;

type Decided = Result<Decision<PartnerFamily>, PartnerRejection>;

/// Endpoints a partner can have: one for now, keyed so that more can come.
const ENDPOINTS_MAX: usize = 4;

pub(in crate::domain::delivery) fn decide(
    state: &Partner,
    order: PartnerOrder,
    context: &Context<'_, Policy>,
) -> Decided {
    // A queue's own note is never refused: that would drop the report it came with.
    if state.profile.is_none() && !matches!(order, PartnerOrder::Define(_) | PartnerOrder::NoteDisabled { .. }) {
        return Err(PartnerRejection::NotDefined);
    }
    let now = context.now;
    match order {
        PartnerOrder::Define(profile) => Ok(changed(PartnerFact::Defined(profile))),
        PartnerOrder::AddKey { id, secret } => add_key(state, id, secret, context),
        PartnerOrder::RevokeKey { id } => match state.keys.get(&id) {
            None => Err(PartnerRejection::UnknownKey),
            Some(key) if key.revoked.is_some() => Ok(Decision::reply(PartnerReply::Done)),
            Some(_) => Ok(changed(PartnerFact::KeyRevoked { id, at: now })),
        },
        PartnerOrder::SetEndpoint { queue, url, secret } => set_endpoint(state, queue, url, secret, now),
        PartnerOrder::RemoveEndpoint { queue } => {
            endpoint(state, queue)?;
            Ok(stopped(PartnerFact::EndpointRemoved { queue }, queue, "the endpoint was removed"))
        }
        PartnerOrder::RotateSecret { queue, secret, overlap } => rotate(state, queue, secret, overlap, context),
        PartnerOrder::DisableEndpoint { queue, reason } => {
            endpoint(state, queue)?;
            let disabled = Some(Disabled { reason: reason.clone(), at: now });
            Ok(stopped(PartnerFact::EndpointDisabled { queue, disabled }, queue, &reason))
        }
        PartnerOrder::EnableEndpoint { queue } => {
            endpoint(state, queue)?;
            Ok(started(PartnerFact::EndpointDisabled { queue, disabled: None }, queue))
        }
        PartnerOrder::SetTcec(tcec) => {
            // The queue looks again: where it sends, and how, has changed.
            Ok(changed(PartnerFact::TcecSet(tcec)).effect(PartnerEffect::QueueChanged(QueueId::MAIN)))
        }
        PartnerOrder::NoteDisabled { queue, disabled } => match state.endpoints.get(&queue) {
            // Removed while the last tries were under way: nothing is left to mark.
            None => Ok(Decision::reply(PartnerReply::Done)),
            Some(_) => Ok(changed(PartnerFact::EndpointDisabled { queue, disabled: Some(disabled) })),
        },
    }
}

fn changed(fact: PartnerFact) -> Decision<PartnerFamily> {
    Decision::reply(PartnerReply::Done).event(PartnerEvent::Partner(fact)).effect(PartnerEffect::DirectoryChanged)
}

fn started(fact: PartnerFact, queue: QueueId) -> Decision<PartnerFamily> {
    changed(fact).also(PartnerKey::Queue(queue), PartnerCommand::Queue(QueueCommand::Enable))
}

fn stopped(fact: PartnerFact, queue: QueueId, reason: &str) -> Decision<PartnerFamily> {
    let command = QueueCommand::Disable { reason: reason.to_owned() };
    changed(fact).also(PartnerKey::Queue(queue), PartnerCommand::Queue(command))
}

fn endpoint(state: &Partner, queue: QueueId) -> Result<&Endpoint, PartnerRejection> {
    state.endpoints.get(&queue).ok_or(PartnerRejection::UnknownEndpoint)
}

fn add_key(state: &Partner, id: String, secret: Sealed, context: &Context<'_, Policy>) -> Decided {
    if state.keys.contains_key(&id) {
        return Err(PartnerRejection::KeyExists);
    }
    if state.keys.values().filter(|key| key.revoked.is_none()).count() >= context.ambient.keys_max {
        return Err(PartnerRejection::TooManyKeys);
    }
    Ok(changed(PartnerFact::KeyAdded(ApiKey { id, secret, created: context.now, revoked: None })))
}

fn set_endpoint(state: &Partner, queue: QueueId, url: String, secret: Option<Sealed>, now: Timestamp) -> Decided {
    let old = state.endpoints.get(&queue);
    if old.is_none() && state.endpoints.len() >= ENDPOINTS_MAX {
        return Err(PartnerRejection::TooManyEndpoints);
    }
    let secrets = match (secret, old) {
        // Moving with a new secret drops the old ones: the new place never had them.
        (Some(secret), _) => vec![WebhookSecret { secret, created: now, expires: None }],
        (None, Some(old)) => old.secrets.clone(),
        (None, None) => return Err(PartnerRejection::SecretMissing),
    };
    let endpoint = Endpoint { url, secrets, disabled: None };
    Ok(started(PartnerFact::EndpointSet { queue, endpoint }, queue))
}

fn rotate(
    state: &Partner,
    queue: QueueId,
    secret: Sealed,
    overlap: Duration,
    context: &Context<'_, Policy>,
) -> Decided {
    let mut endpoint = endpoint(state, queue)?.clone();
    let now = context.now;
    let until = now + overlap.min(context.ambient.overlap_max);
    endpoint.secrets.retain(|old| old.expires.is_none_or(|expires| now < expires));
    for old in &mut endpoint.secrets {
        old.expires = Some(old.expires.map_or(until, |expires| expires.min(until)));
    }
    endpoint.secrets.insert(0, WebhookSecret { secret, created: now, expires: None });
    // Newest first, so the oldest go.
    endpoint.secrets.truncate(context.ambient.secrets_max.max(1));
    Ok(changed(PartnerFact::EndpointSet { queue, endpoint }))
}
