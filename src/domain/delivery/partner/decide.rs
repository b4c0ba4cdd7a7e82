//! Decisions about a partner. Owns the rules of its keys and endpoints; an endpoint that changes takes its queue along in
//! the same step.

use super::{
    ApiKey, Endpoint, Partner, PartnerFact, PartnerOrder, Past, Profile, Sealed, Suspension, Wants, WebhookSecret,
};
use crate::clock::Timestamp;
use crate::domain::access::Grant;
use crate::domain::delivery::family::{
    PartnerCommand, PartnerEffect, PartnerEvent, PartnerFamily, PartnerKey, PartnerRejection, PartnerReply, QueueId,
};
use crate::domain::delivery::policy::Policy;
use crate::domain::delivery::queue::{Disabled, Proof, QueueCommand, Stopped};
use crate::domain::entity::{Context, Decision, Notice};
use crate::ids::EndpointName;
use std::time::Duration;

type Decided = Result<Decision<PartnerFamily>, PartnerRejection>;

/// Told to the partner when one of its endpoints is sent nothing any more, and when it is again.
const DISABLED_KIND: &str = "webhook.disabled";
const ENABLED_KIND: &str = "webhook.enabled";

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
        PartnerOrder::Subscribe { queue, wants } => {
            let endpoint = Endpoint { wants: Some(wants), ..endpoint(state, queue)?.clone() };
            Ok(changed(PartnerFact::EndpointSet { queue, endpoint }))
        }
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
        PartnerOrder::SetEndpoint { name, url, secret, wants, from, new } => {
            if new && state.endpoint(&name).is_some() {
                return Err(PartnerRejection::EndpointExists);
            }
            set_endpoint(state, Aimed { name, url, secret, wants, from }, context)
        }
        PartnerOrder::RemoveEndpoint { queue, dead, removed } => {
            endpoint(state, queue)?;
            let retire = PartnerCommand::Queue(QueueCommand::Retire { dead });
            Ok(changed(PartnerFact::EndpointRemoved { queue, removed: Some(removed) })
                .also(PartnerKey::Queue(queue), retire))
        }
        PartnerOrder::RotateSecret { queue, secret, overlap } => rotate(state, queue, secret, overlap, context),
        PartnerOrder::DisableEndpoint { queue, reason } => {
            let known = endpoint(state, queue)?;
            let disabled = Disabled { reason: reason.clone(), at: now, by: Stopped::Operator, probe: None };
            let told = told(known, Some(&disabled), context)?;
            let command = PartnerCommand::Queue(QueueCommand::Disable { reason });
            let fact = PartnerFact::EndpointDisabled { queue, disabled: Some(disabled) };
            Ok(changed(fact).also(PartnerKey::Queue(queue), command).notice(told))
        }
        PartnerOrder::EnableEndpoint { queue } => {
            let known = endpoint(state, queue)?;
            let command = PartnerCommand::Queue(QueueCommand::Enable);
            let fact = PartnerFact::EndpointDisabled { queue, disabled: None };
            let decision = changed(fact).also(PartnerKey::Queue(queue), command);
            match known.disabled {
                None => Ok(decision),
                Some(_) => Ok(decision.notice(told(known, None, context)?)),
            }
        }
        PartnerOrder::SetTcec(tcec) => {
            let native = tcec.is_none() && state.tcec.is_some();
            let decision = changed(PartnerFact::TcecSet(tcec));
            match state.endpoint(&EndpointName::default_endpoint()) {
                None => Ok(decision),
                // What was a base of T/CEC has never proved itself to be a webhook's URL.
                Some((queue, _)) if native => Ok(decision.also(PartnerKey::Queue(queue), aim(None, Proof::Needed))),
                // The queue looks again: where it sends, and how, has changed.
                Some((queue, _)) => Ok(decision.effect(PartnerEffect::QueueChanged(queue))),
            }
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
            Some(known) => {
                let told = told(known, disabled.as_ref(), context)?;
                // When it is asked again is the queue's business.
                let disabled = disabled.map(|disabled| Disabled { probe: None, ..disabled });
                Ok(changed(PartnerFact::EndpointDisabled { queue, disabled }).notice(told))
            }
        },
    }
}

fn changed(fact: PartnerFact) -> Decision<PartnerFamily> {
    Decision::reply(PartnerReply::Done).event(PartnerEvent::Partner(fact)).effect(PartnerEffect::DirectoryChanged)
}

fn aim(from: Option<u64>, proof: Proof) -> PartnerCommand {
    PartnerCommand::Queue(QueueCommand::Aim { from, proof })
}

/// The event by which the partner hears what became of an endpoint: in `GET /events`, and at its other endpoints.
fn told(
    endpoint: &Endpoint,
    disabled: Option<&Disabled>,
    context: &Context<'_, Policy>,
) -> Result<Notice, PartnerRejection> {
    let partner = context.partition.parse().map_err(|_| PartnerRejection::WrongEntity)?;
    let name = &endpoint.name;
    let (kind, data) = match disabled {
        Some(Disabled { reason, by, .. }) => {
            (DISABLED_KIND, serde_json::json!({"endpoint": name, "reason": reason, "by": by}))
        }
        None => (ENABLED_KIND, serde_json::json!({"endpoint": name})),
    };
    let order_key = format!("webhook/{name}");
    Ok(Notice { partner, kind: kind.to_owned(), order_key, sequence: None, at: context.now, data })
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

/// What is asked of an endpoint that is to be set.
struct Aimed {
    name: EndpointName,
    url: String,
    secret: Option<Sealed>,
    wants: Option<Wants>,
    from: u64,
}

fn set_endpoint(state: &Partner, aimed: Aimed, context: &Context<'_, Policy>) -> Decided {
    let Aimed { name, url, secret, wants, from } = aimed;
    let old = state.endpoint(&name);
    let full = state.endpoints.len() >= context.ambient.endpoints_max.max(1) || state.next_queue == u16::MAX;
    if old.is_none() && full {
        return Err(PartnerRejection::TooManyEndpoints);
    }
    let secrets = match (secret, old) {
        // Moving with a new secret drops the old ones: the new place never had them.
        (Some(secret), _) => vec![WebhookSecret { secret, created: context.now, expires: None }],
        (None, Some((_, old))) => old.secrets.clone(),
        (None, None) => return Err(PartnerRejection::SecretMissing),
    };
    let proof = match old {
        _ if state.tcec.is_some() && name.is_default() => Proof::Spared,
        Some((_, old)) if old.url == url => Proof::AsBefore,
        Some(_) | None => Proof::Needed,
    };
    let back = match old {
        Some((_, old)) if old.disabled.is_some() => Some(told(old, None, context)?),
        Some(_) | None => None,
    };
    let wants = match (wants, old) {
        (Some(wants), _) => Some(wants),
        (None, Some((_, old))) => old.wants.clone(),
        (None, None) => Some(Wants::default()),
    };
    // Records of before this was counted have an endpoint all the same.
    let next = state.endpoints.keys().next_back().map_or(0, |last| last.0.saturating_add(1)).max(state.next_queue);
    let queue = old.map_or(QueueId(next), |(queue, _)| queue);
    let begin = old.is_none().then_some(from);
    let endpoint = Endpoint { name, url, secrets, disabled: None, wants };
    let fact = PartnerFact::EndpointSet { queue, endpoint };
    let mut decision = changed(fact).also(PartnerKey::Queue(queue), aim(begin, proof));
    decision.notices.extend(back);
    Ok(decision)
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
