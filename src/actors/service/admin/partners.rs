//! Partners, their keys and endpoints (EM-2, EM-9).

use crate::actors::partners::Known;
use crate::actors::service::credentials::keys_of;
use crate::actors::service::webhooks::Aim;
use crate::actors::service::{Service, partner_rejected, refused};
use crate::api::catalogue::Code;
use crate::api::port::{
    AllSites, Moment, Page, PageRequest, PartnerPut, PartnerPutAnswer, PartnerView, Refusal, SitesScope, SuspensionView,
};
use crate::domain::delivery::{PartnerCommand, PartnerKey, PartnerOrder, Profile, Sealed, Sites, Wants};
use crate::ids::{EndpointName, PartnerId};
use crate::protocol::webhook::SigningSecret;
use secrecy::{ExposeSecret as _, SecretString};

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
    if let Some(webhook) = &put.webhook {
        service.check_target("webhook.url", &webhook.url)?;
    }
    order(
        service,
        id,
        PartnerOrder::Define(Profile {
            name: put.name,
            sites,
            events: before.events,
            accounts: put.accounts.unwrap_or(before.accounts),
        }),
    )
    .await?;
    service.open_book(id).await?;
    let Some(webhook) = put.webhook else { return Ok(PartnerPutAnswer::default()) };
    let name = EndpointName::default_endpoint();
    let first = known.is_none_or(|known| known.partner.endpoint(&name).is_none());
    let secret = first.then(new_secret);
    let wants = match webhook.events {
        Some(events) => Wants::kinds(events.into_iter().collect()),
        None => Wants::default(),
    };
    let aim = Aim { url: webhook.url, secret: secret.clone(), wants: Some(wants), new: false };
    service.aim(id, &name, aim).await?;
    Ok(PartnerPutAnswer { webhook_secret: secret })
}

fn view(service: &Service, known: &Known) -> PartnerView {
    let profile = known.partner.profile.clone().unwrap_or_default();
    let (mut default, webhooks): (Vec<_>, Vec<_>) =
        service.webhooks_of(known).into_iter().partition(|endpoint| endpoint.name.is_default());
    let webhook = default.pop();
    PartnerView {
        partner_id: known.id.clone(),
        name: profile.name,
        sites: match profile.sites {
            Sites::All => SitesScope::All(AllSites::All),
            Sites::Only(sites) => SitesScope::Only(sites.into_iter().collect()),
        },
        accounts: profile.accounts,
        keys: keys_of(service, known),
        webhook,
        webhooks,
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

/// Destroys the key of a user's personal data: what was kept under it can never be read again, sessions and amounts stay (OP-9).
/// The same for a user that is not known, so that nothing is told by it.
pub(in crate::actors::service) async fn erase(service: &Service, pseudonym: &str) -> Result<(), Refusal> {
    service.vault.forget(&pseudonym.into()).await.map_err(|error| {
        tracing::warn!(%error, "a user's key could not be destroyed");
        Code::Unavailable.into()
    })
}
