//! Decisions about a partner. Owns the rules of its keys and endpoints; an endpoint that changes takes its queue along in
//! the same step.

use super::{ApiKey, Endpoint, Partner, PartnerFact, PartnerOrder, Past, Profile, Sealed, Suspension, WebhookSecret};
use crate::clock::Timestamp;
use crate::domain::access::Grant;
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
        PartnerOrder::Define(profile) => Ok(define(state, profile, now)),
        PartnerOrder::Subscribe(events) => match &state.profile {
            None => Err(PartnerRejection::NotDefined),
            Some(profile) => Ok(changed(PartnerFact::Defined(Profile { events, ..profile.clone() }))),
        },
        PartnerOrder::AddKey { id, secret, grant } => add_key(state, new_key(id, secret, grant, now), context),
        PartnerOrder::RotateKey { id, new_id, secret, overlap } => {
            rotate_key(state, &id, (new_id, secret), overlap, context)
        }
        PartnerOrder::RevokeKey { id } => match state.keys.get(&id) {
            None => Err(PartnerRejection::UnknownKey),
            Some(key) if key.revoked.is_some() => Ok(Decision::reply(PartnerReply::Done)),
            Some(_) => Ok(changed(PartnerFact::KeyRevoked { id, at: now })),
        },
        PartnerOrder::SetKeyNetworks { id, networks } => {
            live_key(state, &id, now)?;
            Ok(changed(PartnerFact::KeyNetworksSet { id, networks }))
        }
        PartnerOrder::NoteKeyUse { id } => match state.keys.get(&id) {
            // Forgotten meanwhile: there is nothing left to note.
            None => Ok(Decision::reply(PartnerReply::Done)),
            Some(_) => Ok(changed(PartnerFact::KeyUsed { id, at: now })),
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
        // Said again, the first word stands: since when it is suspended does not move.
        PartnerOrder::Suspend { .. } if state.suspended.is_some() => Ok(Decision::reply(PartnerReply::Done)),
        PartnerOrder::Suspend { by, reason } => {
            Ok(changed(PartnerFact::Suspended(Some(Suspension { at: now, by, reason }))))
        }
        PartnerOrder::Resume if state.suspended.is_none() => Ok(Decision::reply(PartnerReply::Done)),
        PartnerOrder::Resume => Ok(changed(PartnerFact::Suspended(None))),
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

fn new_key(id: String, secret: Sealed, grant: Grant, created: Timestamp) -> ApiKey {
    ApiKey { id, secret, created, revoked: None, grant, expires: None, used: None }
}

fn live_key<'a>(state: &'a Partner, id: &str, now: Timestamp) -> Result<&'a ApiKey, PartnerRejection> {
    state.keys.get(id).filter(|key| key.is_live(now)).ok_or(PartnerRejection::UnknownKey)
}

/// What it could see until now is kept, so that it can be told what it may see no longer (EM-6).
fn define(state: &Partner, profile: Profile, until: Timestamp) -> Decision<PartnerFamily> {
    let before = state.profile.as_ref().map(|profile| &profile.sites).filter(|sites| **sites != profile.sites);
    let over = before.map(|sites| PartnerFact::SitesChanged(Past { sites: sites.clone(), until }));
    let mut decision = changed(PartnerFact::Defined(profile));
    decision.events.splice(0..0, over.map(PartnerEvent::Partner));
    decision
}

/// Keys that sign at `now`, but for the one called `without`.
fn live_keys(state: &Partner, now: Timestamp, without: &str) -> usize {
    state.keys.values().filter(|key| key.is_live(now) && key.id != without).count()
}

fn add_key(state: &Partner, key: ApiKey, context: &Context<'_, Policy>) -> Decided {
    if state.keys.contains_key(&key.id) {
        return Err(PartnerRejection::KeyExists);
    }
    if live_keys(state, context.now, "") >= context.ambient.keys_max {
        return Err(PartnerRejection::TooManyKeys);
    }
    Ok(changed(PartnerFact::KeyAdded(key)))
}

/// In an emergency this must work with all places taken: the one that goes makes room for the one that comes.
fn rotate_key(
    state: &Partner,
    id: &str,
    (new_id, secret): (String, Sealed),
    overlap: Duration,
    context: &Context<'_, Policy>,
) -> Decided {
    if state.keys.contains_key(&new_id) {
        return Err(PartnerRejection::KeyExists);
    }
    let now = context.now;
    let old = live_key(state, id, now)?;
    if live_keys(state, now, id) >= context.ambient.keys_max {
        return Err(PartnerRejection::TooManyKeys);
    }
    let until = now + overlap.min(context.ambient.overlap_max);
    // One that is on its way out is not given more time.
    let expires = old.expires.map_or(until, |expires| expires.min(until));
    let added = PartnerFact::KeyAdded(new_key(new_id, secret, old.grant.clone(), now));
    let replaced = PartnerFact::KeyReplaced { id: id.to_owned(), expires };
    Ok(changed(added).event(PartnerEvent::Partner(replaced)))
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
