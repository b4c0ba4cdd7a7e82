//! The outside world of `chargeline sandbox`: chargers whose connectors each do one thing wrong, always the same (EM-13).
//!
//! Owns the table of what each connector does and what is registered for it. A partner tests against it by choosing the
//! connector; which charger is all one, so that several people can test at once. `docs/sandbox.md` shows the table, and a test
//! holds the two together.

use crate::charger::{Behaviour, ChargerHandle, ChargerSpec, FleetStore, Profile, Surroundings, spawn};
use crate::fleet::{Access, Endpoints, read_access, write_access};
use crate::history::History;
use crate::operator::Operator;
use crate::partner::Key;
use crate::stats::Stats;
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The partner that is registered.
pub const PARTNER: &str = "sandbox";
/// The site of all chargers.
const SITE: &str = "sandbox-site";
/// The tariff there: one yuan a kWh.
const TARIFF: &str = "sandbox-tariff";

/// One connector of every charger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// What happens there, each time.
    pub behaviour: Behaviour,
    /// What the charger does, for people.
    pub does: &'static str,
    /// What a partner sees of it.
    pub shows: &'static str,
}

const fn script(behaviour: Behaviour, does: &'static str, shows: &'static str) -> Script {
    Script { behaviour, does, shows }
}

/// What happens at connector 1, 2, … of every charger.
pub const SCRIPTS: [Script; 11] = [
    script(
        Behaviour::Normal,
        "charges, with a reading every three seconds, until stopped or full",
        "`session.started`, `session.progress`, `session.ended` with the bill",
    ),
    script(
        Behaviour::RefusesStart,
        "answers the remote start with `Rejected`",
        "`session.failed` with `plug_not_connected`: no vehicle is there",
    ),
    script(
        Behaviour::SilentOnStart,
        "never answers the remote start and does not begin",
        "`session.failed` with `no_confirmation` after 15 s",
    ),
    script(
        Behaviour::NeverStarts,
        "accepts the remote start and never begins",
        "`session.failed` with `no_confirmation` after 15 s",
    ),
    script(
        Behaviour::StartsLate(Duration::from_secs(20)),
        "accepts the remote start and begins after 20 s, when it has been given up",
        "`session.failed` with `no_confirmation` after 15 s; what begins then is stopped, and told as `session.updated` with the flag \
         `late_start`",
    ),
    script(
        Behaviour::DropsInCharge { after: Duration::from_secs(5), offline: Duration::from_secs(15) },
        "loses its connection 5 s after the start for 15 s, and goes on charging",
        "`session.progress` pauses, statuses become `Unknown` if it lasts; then the readings of that time come at once",
    ),
    script(
        Behaviour::LosesAnswer,
        "loses its connection right after sending the start, and sends it again",
        "one session, one `session.started`: the repeat is the same start",
    ),
    script(Behaviour::RepeatsMessages, "sends every start, reading and stop twice", "one session, each event once"),
    script(
        Behaviour::RubbishReadings,
        "sends impossible readings among good ones",
        "flags such as `meter_backwards` and `reading_unreadable`; the energy is right all the same; an order with a doubt is `UnderReview`",
    ),
    script(
        Behaviour::FaultsInCharge { after: Duration::from_secs(5) },
        "reports a fault 5 s after the start and ends the transaction",
        "`connector.status` with `Faulted`, `session.ended` with `fault`",
    ),
    script(
        Behaviour::UnplugsInCharge { after: Duration::from_secs(5) },
        "the plug is pulled 5 s after the start",
        "`session.ended` with `plug_pulled`",
    ),
];

/// What the sandbox is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Chargers, each with all connectors.
    pub chargers: usize,
    /// Where events go to.
    pub webhook: Option<String>,
    /// Where the chargers' memory and the partner's access are kept.
    pub dir: PathBuf,
}

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    chargers: Vec<ChargerHandle>,
    key: Key,
    webhook_secret: Option<String>,
}

impl Sandbox {
    /// Registers partner, site, tariff and chargers, and switches the chargers on. The partner's key and secret are those of an
    /// earlier start, if there was one.
    ///
    /// # Errors
    /// When the server refuses a registration or does not answer, or the directory cannot be written.
    pub async fn start(endpoints: &Endpoints, options: &Options) -> anyhow::Result<Sandbox> {
        std::fs::create_dir_all(&options.dir).with_context(|| options.dir.display().to_string())?;
        let operator = Operator::new(&endpoints.operator, &endpoints.operator_token)?;
        let mut access = read_access(&options.dir);
        register(&operator, options, &mut access).await?;
        write_access(&options.dir, &access)?;
        let mut profile = Profile::towards(&endpoints.ocpp);
        profile.meter_interval = Duration::from_secs(3);
        profile.driver.leaves_after_stop = Duration::from_secs(1);
        profile.reconnect = (Duration::from_millis(200), Duration::from_secs(3));
        let (profile, stats) = (Arc::new(profile), Arc::new(Stats::default()));
        let store = Some(FleetStore::open(&options.dir.join("fleet.json"))?);
        let around = Surroundings { history: History::off(), stats, store };
        let spec = |n: usize| ChargerSpec {
            identity: charger(n),
            password: access.passwords.get(&charger(n)).cloned(),
            max_power_w: 60_000.0,
            scripts: SCRIPTS.iter().map(|script| script.behaviour).collect(),
            seed: n as u64,
        };
        let chargers = (0..options.chargers).map(|n| spawn(spec(n), profile.clone(), around.clone())).collect();
        let key = access.key.context("no key was made")?;
        let webhook_secret = access.webhook_secrets.pop();
        Ok(Sandbox { chargers, key, webhook_secret })
    }

    /// What a partner needs to begin: access, chargers, and what each connector does.
    pub fn describe(&self) -> String {
        let chargers: Vec<&str> = self.chargers.iter().map(ChargerHandle::identity).collect();
        let mut text = format!(
            "partner         {PARTNER}\nkey id          {}\nkey secret      {}\nwebhook secret  {}\nchargers        {}\n\n",
            self.key.key_id,
            self.key.secret,
            self.webhook_secret.as_deref().unwrap_or("none: start with --webhook URL to be told events"),
            chargers.join(", ")
        );
        for (n, script) in SCRIPTS.iter().enumerate() {
            text.push_str(&format!("connector {:>2}  {}\n", n + 1, script.does));
        }
        text
    }

    /// Switches the chargers off; what they know stays for the next start.
    pub async fn shut_down(self) {
        for charger in self.chargers {
            charger.shut_down().await;
        }
    }
}

/// The table as `docs/sandbox.md` has it.
pub fn table() -> String {
    let mut text = String::from("| connector | what the charger does | what a partner sees |\n|---|---|---|\n");
    for (n, script) in SCRIPTS.iter().enumerate() {
        text.push_str(&format!("| {} | {} | {} |\n", n + 1, script.does, script.shows));
    }
    text
}

fn charger(n: usize) -> String {
    format!("{PARTNER}-{}", n + 1)
}

async fn register(operator: &Operator, options: &Options, access: &mut Access) -> anyhow::Result<()> {
    operator.put_site(SITE, "Sandbox").await?;
    let tariff = json!({"id": TARIFF, "currency": "CNY", "time_zone": "Asia/Shanghai",
        "slices": [{"name": "flat", "from": "00:00", "to": "24:00", "electricity": 6_000, "service": 4_000}]});
    let put = operator.call(Method::PUT, &format!("/ops/v1/tariffs/{TARIFF}"), Some(tariff)).await?;
    let roll_out = json!({"version": put["version"].as_u64().unwrap_or(1), "sites": [SITE]});
    operator.call(Method::POST, &format!("/ops/v1/tariffs/{TARIFF}/roll-out"), Some(roll_out)).await?;
    for n in 0..options.chargers {
        let id = charger(n);
        let fresh = || format!("pw-{}", &uuid::Uuid::new_v4().simple().to_string()[..17]);
        let password = access.passwords.entry(id.clone()).or_insert_with(fresh).clone();
        operator.put_charger(&id, SITE, SCRIPTS.len(), &password).await?;
    }
    let mut partner = json!({"name": "Sandbox", "sites": "all"});
    if let (Some(url), Value::Object(members)) = (&options.webhook, &mut partner) {
        members.insert("webhook".to_owned(), json!({"url": url}));
    }
    operator.call(Method::PUT, &format!("/ops/v1/partners/{PARTNER}"), Some(partner)).await?;
    if access.key.is_none() {
        access.key = Some(operator.make_key(PARTNER).await?);
    }
    if options.webhook.is_some() && access.webhook_secrets.is_empty() {
        access.webhook_secrets.push(operator.make_webhook_secret(PARTNER).await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_show_the_table() {
        let docs = include_str!("../../docs/sandbox.md");
        assert!(docs.contains(&table()), "docs/sandbox.md needs this table:\n{}", table());
    }

    #[test]
    fn every_behaviour_that_a_partner_can_see_is_at_one_connector() {
        for (n, script) in SCRIPTS.iter().enumerate() {
            assert!(SCRIPTS[..n].iter().all(|other| other.behaviour != script.behaviour), "{n}");
        }
    }
}
