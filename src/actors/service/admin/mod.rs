//! What operators do besides looking: master data, configuration, backups, quarantine.

pub(super) mod chargers;
pub(super) mod commands;
mod device;
pub(super) mod partners;
pub(super) mod quarantine;
pub(super) mod tariffs;

use super::sessions::user_scope;
use super::{Service, corrupt, refused};
use crate::actors::configuration::ApplyError;
use crate::api::catalogue::Code;
use crate::api::port::{ConfigVersionView, Detail, Moment, Page, PageRequest, Refusal, SitePut, TokenPut, TokenState};
use crate::domain::platform::{Command, PARTITION, Platform, Position, Site, Token, TokenStatus};
use crate::ids::SiteId;

/// The longest name of a backup.
const NAME_MAX: usize = 64;

async fn platform(service: &Service, command: Command) -> Result<(), Refusal> {
    service.working()?;
    let asked = service.platform.ask(PARTITION, Platform, command).await;
    asked.map(drop).map_err(|refusal| refused(refusal, tariffs::rejected))
}

pub(super) async fn put_site(service: &Service, id: &SiteId, site: SitePut) -> Result<(), Refusal> {
    if let Some(zone) = &site.time_zone {
        jiff::tz::TimeZone::get(zone)
            .map_err(|_| Refusal::field("time_zone", "unknown", "an IANA name such as Asia/Shanghai"))?;
    }
    // Degrees to millionths: a rounding below 10 cm.
    let micro = |degrees: f64| (degrees * 1e6).round() as i32;
    let position = site
        .position
        .map(|position| Position { latitude_micro: micro(position.lat), longitude_micro: micro(position.lon) });
    let SitePut { name, address, time_zone, hours, facilities, .. } = site;
    let site = Site { site_id: id.clone(), name, address, time_zone, position, hours, facilities };
    platform(service, Command::PutSite(site)).await?;
    service.relist([id.clone()].into()).await;
    Ok(())
}

pub(super) async fn put_token(service: &Service, id_tag: &str, token: TokenPut) -> Result<(), Refusal> {
    let user = match (&token.partner_id, &token.user_id) {
        (Some(partner), Some(user)) => Some(service.vault.pseudonym(&user_scope(partner), user).to_string()),
        (None, Some(_)) => return Err(Refusal::field("user_id", "without a partner", "together with `partner_id`")),
        (Some(_) | None, None) => None,
    };
    let status = match token.status {
        TokenState::Accepted => TokenStatus::Accepted,
        TokenState::Blocked => TokenStatus::Blocked,
        TokenState::Expired => TokenStatus::Expired,
        TokenState::Invalid => TokenStatus::Invalid,
    };
    let reference = service.tokens.reference(id_tag);
    let expires = token.expires.map(|at| at.0);
    platform(service, Command::PutToken(Token { reference, status, expires, partner: token.partner_id, user })).await
}

/// The newest rows of a table whose keys rise with time within each of their writers.
pub(super) async fn newest(
    service: &Service,
    table: &'static str,
    page: &PageRequest,
) -> Result<Page<serde_json::Value>, Refusal> {
    let rows = service.journal.rows_back(table, "", page.cursor.as_deref(), page.limit).await?;
    let next = (rows.len() == page.limit).then(|| rows.last().map(|row| row.key.clone())).flatten();
    let items = rows.iter().map(|row| serde_json::from_slice(&row.value).map_err(|e| corrupt(table, &row.key, &e)));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

pub(super) fn config_versions(service: &Service) -> Vec<ConfigVersionView> {
    let versions = service.configuration.live.versions();
    let views = versions.into_iter().rev().map(|version| ConfigVersionView {
        version: version.number,
        at: Moment(version.at),
        by: version.by,
        toml: version.settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect(),
        changed: version.changed,
    });
    views.collect()
}

pub(super) fn not_applied(error: ApplyError) -> Refusal {
    match error {
        ApplyError::Problems(problems) => {
            let details = problems.0.into_iter().map(|problem| Detail {
                field: problem.key.clone(),
                problem: problem.to_string(),
                allowed: problem.allowed.clone(),
            });
            Refusal { code: Code::ConfigInvalid, retry_after: None, details: details.collect() }
        }
        ApplyError::Stale => Code::ConfigConflict.into(),
        ApplyError::NotStored(why) => {
            tracing::warn!(why, "a configuration could not be stored");
            Code::Unavailable.into()
        }
    }
}

pub(super) async fn backup(service: &Service, name: &str) -> Result<serde_json::Value, Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(allowed) {
        return Err(Refusal::field("name", "not allowed", "1 to 64 characters of A-Z a-z 0-9 _ -"));
    }
    let directory = service.backups.join(name);
    let findings = service.store.backup(&directory).await?;
    Ok(serde_json::json!({"directory": directory, "findings": format!("{findings:?}")}))
}
