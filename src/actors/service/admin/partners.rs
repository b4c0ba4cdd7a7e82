//! Partners, their keys and endpoints (EM-2, EM-9).

use crate::actors::partners::Known;
use crate::actors::service::credentials::keys_of;
use crate::actors::service::{Service, partner_rejected, refused};
use crate::api::catalogue::Code;
use crate::api::port::{
    AllSites, Moment, Page, PageRequest, PartnerPut, PartnerPutAnswer, PartnerView, Refusal, SitesScope, SuspensionView,
};
use crate::domain::delivery::{
    PartnerCommand, PartnerKey, PartnerOrder, Profile, QueueId, Sealed, Sites, Subscriptions,
};
use crate::ids::PartnerId;
use crate::protocol::webhook::SigningSecret;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

use crate::actors::partners::PARTNER_SECRETS;

pub(in crate::actors::service) async fn order(
    service: &Service,
    id: &PartnerId,
    order: PartnerOrder,
) -> Result<(), Refusal> {
    service.working()?;
    let asked = service.partners.ask(id.as_str(), PartnerKey::Partner, PartnerCommand::Partner(order)).await;
    asked.map(drop).map_err(|refusal| refused(refusal, partner_rejected))
}

pub(in crate::actors::service) fn seal(service: &Service, secret: &SecretString) -> Sealed {
    Sealed(service.vault.seal_secret(PARTNER_SECRETS, secret.expose_secret().as_bytes()))
}

pub(in crate::actors::service) fn new_secret() -> SecretString {
    let random: [u8; 32] = rand::random();
    SecretString::from(SigningSecret::make(&random).to_string())
}

/// Refuses a URL that the address guard does not let through.
pub(in crate::actors::service) fn guarded(service: &Service, field: &str, url: &str) -> Result<(), Refusal> {
    let refused = |problem: String| Refusal {
        code: Code::EndpointRefused,
        ..Refusal::field(field, problem, "https, a public address, an open port")
    };
    service.sender.policy().check_url(url).map(drop).map_err(|error| refused(error.to_string()))
}

pub(in crate::actors::service) async fn put(
    service: &Service,
    id: &PartnerId,
    put: PartnerPut,
) -> Result<PartnerPutAnswer, Refusal> {
    let known = service.directory.get(id);
    let before = known.as_ref().and_then(|known| known.partner.profile.clone()).unwrap_or_default();
    let sites = match put.sites {
        Some(SitesScope::All(AllSites::All)) => Sites::All,
        Some(SitesScope::Only(sites)) => Sites::Only(sites.into_iter().collect()),
        None => before.sites,
    };
    let events = match put.webhook.as_ref().map(|webhook| &webhook.events) {
        Some(Some(events)) => Subscriptions::Only(events.iter().cloned().collect()),
        Some(None) => Subscriptions::All,
        None => before.events,
    };
    if let Some(webhook) = &put.webhook {
        guarded(service, "webhook.url", &webhook.url)?;
    }
    order(
        service,
        id,
        PartnerOrder::Define(Profile {
            name: put.name,
            sites,
            events,
            accounts: put.accounts.unwrap_or(before.accounts),
        }),
    )
    .await?;
    service.open_book(id).await?;
    let Some(webhook) = put.webhook else { return Ok(PartnerPutAnswer::default()) };
    let first = known.is_none_or(|known| !known.partner.endpoints.contains_key(&QueueId::MAIN));
    let secret = first.then(new_secret);
    let sealed = secret.as_ref().map(|secret| seal(service, secret));
    order(service, id, PartnerOrder::SetEndpoint { queue: QueueId::MAIN, url: webhook.url, secret: sealed }).await?;
    Ok(PartnerPutAnswer { webhook_secret: secret })
}

fn view(service: &Service, known: &Known) -> PartnerView {
    let profile = known.partner.profile.clone().unwrap_or_default();
    PartnerView {
        partner_id: known.id.clone(),
        name: profile.name,
        sites: match profile.sites {
            Sites::All => SitesScope::All(AllSites::All),
            Sites::Only(sites) => SitesScope::Only(sites.into_iter().collect()),
        },
        accounts: profile.accounts,
        keys: keys_of(service, known),
        webhook: service.webhook_of(&known.id).ok(),
        suspended: known.partner.suspended.as_ref().map(|suspension| SuspensionView {
            since: Moment(suspension.at),
            by: suspension.by.clone(),
            reason: suspension.reason.clone(),
        }),
    }
}

pub(in crate::actors::service) fn show(service: &Service, id: &PartnerId) -> Result<PartnerView, Refusal> {
    let known = service.directory.get(id).ok_or(Code::PartnerUnknown)?;
    Ok(view(service, &known))
}

pub(in crate::actors::service) fn list(service: &Service, page: &PageRequest) -> Result<Page<PartnerView>, Refusal> {
    let all = service.directory.all();
    let after = |known: &&std::sync::Arc<Known>| page.cursor.as_deref().is_none_or(|after| known.id.as_str() > after);
    let items: Vec<PartnerView> = all.iter().filter(after).take(page.limit).map(|known| view(service, known)).collect();
    let last = items.last().map(|partner| partner.partner_id.to_string());
    Ok(Page { next: last.filter(|_| items.len() == page.limit), items })
}

pub(in crate::actors::service) async fn rotate_secret(
    service: &Service,
    id: &PartnerId,
    overlap: Duration,
) -> Result<SecretString, Refusal> {
    let secret = new_secret();
    let sealed = seal(service, &secret);
    order(service, id, PartnerOrder::RotateSecret { queue: QueueId::MAIN, secret: sealed, overlap }).await?;
    Ok(secret)
}

pub(in crate::actors::service) async fn enable_webhook(
    service: &Service,
    id: &PartnerId,
    on: bool,
) -> Result<(), Refusal> {
    service.webhook_of(id)?;
    let command = match on {
        true => PartnerOrder::EnableEndpoint { queue: QueueId::MAIN },
        false => PartnerOrder::DisableEndpoint { queue: QueueId::MAIN, reason: "by an operator".to_owned() },
    };
    order(service, id, command).await
}

/// Destroys the key of a user's personal data: what was kept under it can never be read again, sessions and amounts stay (OP-9).
/// The same for a user that is not known, so that nothing is told by it.
pub(in crate::actors::service) async fn erase(service: &Service, pseudonym: &str) -> Result<(), Refusal> {
    service.vault.forget(&pseudonym.into()).await.map_err(|error| {
        tracing::warn!(%error, "a user's key could not be destroyed");
        Code::Unavailable.into()
    })
}
