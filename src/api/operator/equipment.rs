//! Sites and chargers as operators put them, one by one and many at once (EM-6, CH-3). Owns the checks of their members.

use super::{Answered, Shared};
use crate::api::catalogue::Code;
use crate::api::port::{BootPolicy, ChargerAuth, ChargerPut, Refusal, SitePut};
use crate::api::wire::{self, Findings};
use crate::domain::charger::SecurityProfile;
use crate::domain::platform::ConnectorFacts;
use crate::domain::platform::equipment::CONNECTORS_MAX;
use crate::ids::{ChargerId, SiteId};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Length of a charger's password (control 3).
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 16..=40;
/// Most sites, and most chargers, of one import: some seconds of work.
const IMPORT_MAX: usize = 500;

/// How many connectors, or what they are.
#[derive(Deserialize)]
#[serde(untagged)]
enum Connectors {
    /// So many, of which nothing more is said.
    Count(u16),
    /// These, from 1 on.
    Facts(Vec<ConnectorFacts>),
}

/// The body of `PUT /chargers/{id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargerBody {
    site_id: SiteId,
    #[serde(deserialize_with = "connectors")]
    connectors: Connectors,
    #[serde(default)]
    boot: BootPolicy,
    #[serde(default)]
    auth: ChargerAuth,
    security_profile: Option<u8>,
    password: Option<String>,
}

/// A number or a list; what is wrong within the list is told, which an untagged enum would not.
fn connectors<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Connectors, D::Error> {
    use serde::de::Error as _;
    match Value::deserialize(deserializer)? {
        list @ Value::Array(_) => {
            let facts = serde_path_to_error::deserialize(list);
            facts
                .map(Connectors::Facts)
                .map_err(|error| D::Error::custom(format!("{}: {}", error.path(), error.inner())))
        }
        number => serde_json::from_value(number)
            .map(Connectors::Count)
            .map_err(|_| D::Error::custom("neither a number from 1 to 64 nor a list of connectors")),
    }
}

fn check_site(site: &SitePut, path: &str, findings: &mut Findings) {
    let at = |member: &str| format!("{path}{member}");
    findings.text(&at("name"), &site.name, 1, 100);
    if let Some(address) = &site.address {
        findings.text(&at("address"), address, 1, 200);
    }
    if let Some(zone) = &site.time_zone {
        let known = jiff::tz::TimeZone::get(zone).is_ok();
        findings.check(known, &at("time_zone"), "is not known", "an IANA name such as Asia/Shanghai");
    }
    if let Some(position) = site.position {
        let (lat, lon) = (position.lat, position.lon);
        findings.check((-90.0..=90.0).contains(&lat), &at("position.lat"), "is out of range", "-90 to 90");
        findings.check((-180.0..=180.0).contains(&lon), &at("position.lon"), "is out of range", "-180 to 180");
    }
    if let Some(hours) = &site.hours {
        let zoned = site.time_zone.is_some();
        findings.check(zoned, &at("time_zone"), "is missing", "the zone by whose clock the hours are");
        for flaw in hours.flaws() {
            findings.check(false, &at(&format!("hours.{}", flaw.field)), flaw.problem, flaw.allowed);
        }
    }
}

/// A charger that is good to be put.
struct Good {
    put: ChargerPut,
    auth: ChargerAuth,
}

fn check_charger(body: ChargerBody, path: &str, findings: &mut Findings) -> Good {
    let at = |member: &str| format!("{path}{member}");
    let (count, facts) = match body.connectors {
        Connectors::Count(count) => (usize::from(count), None),
        Connectors::Facts(facts) => (facts.len(), Some(facts)),
    };
    findings.check((1..=CONNECTORS_MAX).contains(&count), &at("connectors"), "is out of range", "1 to 64");
    for (n, of) in facts.iter().flatten().enumerate().take(CONNECTORS_MAX) {
        for flaw in of.flaws(&at(&format!("connectors[{n}]"))) {
            findings.check(false, &flaw.field, flaw.problem, flaw.allowed);
        }
    }
    if let Some(password) = &body.password {
        let fits = PASSWORD_BYTES.contains(&password.len());
        findings.check(fits, &at("password"), "is too short or too long", "16 to 40 bytes, as text or hex");
        let needed = body.auth == ChargerAuth::Basic;
        findings.check(needed, &at("password"), "is of no use", "no password with auth `none` or `certificate`");
    }
    let profile = body.security_profile.map(SecurityProfile::try_from).transpose();
    let profile = profile
        .map_err(|allowed| findings.check(false, &at("security_profile"), "is out of range", allowed))
        .unwrap_or_default();
    if let Some(profile) = profile {
        let (fits, allowed) = match body.auth {
            ChargerAuth::None => (profile == SecurityProfile::Open, "0 with auth `none`"),
            ChargerAuth::Basic => (profile != SecurityProfile::Open, "1 to 3 with auth `basic`"),
            ChargerAuth::Certificate => (profile == SecurityProfile::Mutual, "3 with auth `certificate`"),
        };
        findings.check(fits, &at("security_profile"), "does not go with auth", allowed);
    }
    let password = body.password.map(SecretString::from);
    let connectors = u16::try_from(count).unwrap_or(0);
    let (site_id, boot, auth) = (body.site_id, body.boot, body.auth);
    Good { put: ChargerPut { site_id, connectors, facts, boot, auth, security_profile: profile, password }, auth }
}

/// Puts a charger; whether it is new, and the password that was made for it.
async fn put(state: &Shared, id: &ChargerId, good: Good) -> Result<(bool, Option<String>), Refusal> {
    // A known charger keeps its password unless a new one is given; a new one gets one made for it, shown once.
    let known = state.port.charger_exists(id).await?;
    let wanted = good.auth == ChargerAuth::Basic && !known && good.put.password.is_none();
    let made = wanted.then(|| hex::encode(rand::random::<[u8; 20]>()));
    let password = good.put.password.or_else(|| made.clone().map(SecretString::from));
    let new = state.port.put_charger(id, ChargerPut { password, ..good.put }).await?;
    Ok((new, made))
}

pub(super) async fn put_site(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<Json<Value>> {
    let id: SiteId = wire::path_id(&id, Code::NotFound)?;
    let site: SitePut = wire::json(&body)?;
    let mut findings = Findings::default();
    check_site(&site, "", &mut findings);
    findings.done()?;
    state.port.put_site(&id, site).await?;
    Ok(Json(json!({"site_id": id})))
}

pub(super) async fn put_charger(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answered<(StatusCode, Json<Value>)> {
    let id: ChargerId = wire::path_id(&id, Code::ChargerUnknown)?;
    let body: ChargerBody = wire::json(&body)?;
    let mut findings = Findings::default();
    let good = check_charger(body, "", &mut findings);
    findings.done()?;
    let (new, made) = put(&state, &id, good).await?;
    let mut answer = json!({"charger_id": id, "new": new});
    if let (Some(made), Some(object)) = (made, answer.as_object_mut()) {
        object.insert("password".into(), made.into());
    }
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)))
}

/// A site of an import.
#[derive(Deserialize)]
struct ImportedSite {
    site_id: SiteId,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A charger of an import.
#[derive(Deserialize)]
struct ImportedCharger {
    charger_id: ChargerId,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The body of `POST /import`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Import {
    #[serde(default)]
    sites: Vec<ImportedSite>,
    #[serde(default)]
    chargers: Vec<ImportedCharger>,
    /// Checks only.
    #[serde(default)]
    check: bool,
}

/// Reads what is within a list, so that what is wrong there is named with its place.
fn within<T: serde::de::DeserializeOwned>(rest: Map<String, Value>, path: &str, findings: &mut Findings) -> Option<T> {
    let read = wire::json(&serde_json::to_vec(&rest).unwrap_or_default());
    let error = match read {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    for detail in error.refusal.details {
        findings.check(false, &format!("{path}{}", detail.field), &detail.problem, detail.allowed);
    }
    None
}

/// Creates or changes many sites and chargers. All of it is checked before anything is done; then each is put by itself, so
/// one that is interrupted is simply sent again.
pub(super) async fn import(State(state): State<Shared>, body: Bytes) -> Answered<Json<Value>> {
    let Import { sites, chargers, check } = wire::json(&body)?;
    let mut findings = Findings::default();
    let few = sites.len() <= IMPORT_MAX && chargers.len() <= IMPORT_MAX;
    findings.check(few, "sites", "is too long, or chargers is", format_args!("at most {IMPORT_MAX} of each"));
    let (mut good_sites, mut good_chargers) = (Vec::new(), Vec::new());
    for (n, site) in sites.into_iter().enumerate().take(IMPORT_MAX) {
        let path = format!("sites[{n}].");
        if let Some(put) = within::<SitePut>(site.rest, &path, &mut findings) {
            check_site(&put, &path, &mut findings);
            good_sites.push((site.site_id, put));
        }
    }
    for (n, charger) in chargers.into_iter().enumerate().take(IMPORT_MAX) {
        let path = format!("chargers[{n}].");
        if let Some(body) = within::<ChargerBody>(charger.rest, &path, &mut findings) {
            good_chargers.push((charger.charger_id, check_charger(body, &path, &mut findings)));
        }
    }
    findings.done()?;
    let counts = (good_sites.len(), good_chargers.len());
    let mut passwords = Map::new();
    if !check {
        for (id, site) in good_sites {
            state.port.put_site(&id, site).await?;
        }
        for (id, good) in good_chargers {
            if let (_, Some(made)) = put(&state, &id, good).await? {
                passwords.insert(id.to_string(), made.into());
            }
        }
    }
    Ok(Json(json!({"sites": counts.0, "chargers": counts.1, "checked_only": check, "passwords": passwords})))
}
