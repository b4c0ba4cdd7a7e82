//! The platform's own partition: sites, RFID tokens, tariffs, applied configurations, and cases that the process itself
//! raises. Pure rules. Owns what belongs to no single charger or partner.
//!
//! Invariant: the state holds only what a decision needs (counters, the book of tariffs, which is shared and bounded);
//! everything else that is listed lives in rows, so that a million tokens cost the writer nothing.

pub mod code;
pub mod equipment;
pub mod hours;
mod listing;

pub use equipment::{ChargerFacts, ConnectorFacts, Facility};
pub use hours::Hours;
pub use listing::{FEED, Listed, Listing};

use crate::clock::Timestamp;
use crate::domain::charging::case;
use crate::domain::entity::{Context, Deadline, Decision, Family, Row, Standing};
use crate::domain::tariff::{Book, BookChange, BookRefusal, Checked, Scope};
use crate::ids::{PartnerId, SiteId, TariffId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// The identity of the one platform partition.
pub const PARTITION: &str = "main";

/// The rules of the platform's partition.
#[derive(Debug)]
pub struct PlatformFamily;

/// The only entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform;

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("platform")
    }
}

/// A site (Location): a place with chargers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub site_id: SiteId,
    /// As shown to people.
    pub name: String,
    /// Postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Degrees WGS 84: latitude, longitude, as decimal texts in micro-degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// When it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// What else is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facilities: Vec<Facility>,
}

/// A position in millionths of a degree, WGS 84.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Latitude, -90,000,000 to 90,000,000.
    pub latitude_micro: i32,
    /// Longitude, -180,000,000 to 180,000,000.
    pub longitude_micro: i32,
}

/// What a token may do. OCPP 1.6 `AuthorizationStatus` without `ConcurrentTx`, which is the charger's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TokenStatus {
    /// May charge.
    Accepted,
    /// Reported lost, or its owner is blocked.
    Blocked,
    /// No longer valid.
    Expired,
    /// Not to be used here.
    Invalid,
}

/// An RFID token, by the pseudonym of its text: the text itself is personal and never journaled in the clear (OP-9).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Pseudonym of the idTag.
    pub reference: String,
    /// What it may do.
    pub status: TokenStatus,
    /// From when on it counts as `Expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The partner whose user holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerId>,
    /// Pseudonym of the user who holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// What the platform can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Creates or changes a site.
    PutSite(Site),
    /// Says what a charger is as equipment (EM-6).
    PutFacts(ChargerFacts),
    /// What partners are shown of a site has changed: it goes to the end of the feed.
    List(Listing),
    /// Creates or changes a token.
    PutToken(Token),
    /// Keeps an applied configuration as a numbered version (RT-10).
    KeepConfig {
        /// Its number: one more than the last.
        number: u64,
        /// All of it, in the configuration room's own form.
        document: serde_json::Value,
    },
    /// Tells the operators (OP-5).
    Raise(Alert),
    /// Publishes the next version of a tariff (MO-2); the reply is its number.
    PublishTariff(Box<Checked>),
    /// Rolls a version of a tariff out.
    RollOutTariff {
        /// Which tariff.
        id: TariffId,
        /// Which version.
        version: u32,
        /// Where.
        scope: Scope,
        /// From when on; `None`: now.
        from: Option<Timestamp>,
    },
    /// Takes the newest roll-out of a tariff back, now.
    RollBackTariff {
        /// Which tariff.
        id: TariffId,
        /// Where.
        scope: Scope,
    },
}

/// Something that operators are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable code, snake case.
    pub code: String,
    /// `warning` or `critical`.
    pub level: String,
    /// What it is about: a stream, a partner, a charger.
    pub subject: String,
    /// One sentence.
    pub text: String,
    /// Whether a person must act: a ticket is opened too (OP-2).
    pub ticket: bool,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A site was created or changed.
    SitePut(Site),
    /// What a charger is as equipment was said.
    FactsPut(ChargerFacts),
    /// What partners are shown of a site has changed.
    SiteListed(Listed),
    /// A token was created or changed.
    TokenPut(Token),
    /// A configuration was applied.
    ConfigKept {
        /// Its number, from 1.
        number: u64,
        /// All of it.
        document: serde_json::Value,
    },
    /// Operators were told.
    Raised {
        /// The sequence of the step: the alert's id is made from it.
        sequence: u64,
        /// When.
        at: Timestamp,
        /// What.
        alert: Alert,
    },
    /// The book of tariffs changed.
    Tariffs(BookChange),
}

/// What a decision needs to know of the past.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The newest configuration version; 0: none applied yet.
    pub config_version: u64,
    /// Tariffs and where they are in force.
    #[serde(default)]
    pub tariffs: Arc<Book>,
}

/// The answer: the number of the version of a configuration or tariff, where one was kept; none for a configuration: another
/// came in between.
pub type Reply = Option<u64>;

/// The platform has no timers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {}

impl From<Timer> for Command {
    fn from(timer: Timer) -> Self {
        match timer {}
    }
}

/// No effects: rows tell all.
#[derive(Debug)]
pub enum Effect {}

impl Family for PlatformFamily {
    const NAME: &'static str = "platform";
    type Key = Platform;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Effect = Effect;
    type Reply = Reply;
    type Rejection = BookRefusal;
    type Timer = Timer;
    type Ambient = ();

    fn root() -> Platform {
        Platform
    }

    fn birth(_: &Platform) -> State {
        State::default()
    }

    fn decide(
        _: &Platform,
        state: &State,
        command: Command,
        context: &Context<'_, ()>,
    ) -> Result<Decision<Self>, BookRefusal> {
        Ok(match command {
            Command::PutSite(site) => Decision::reply(None).event(Event::SitePut(site)),
            Command::PutFacts(facts) => Decision::reply(None).event(Event::FactsPut(facts)),
            Command::List(listing) => {
                let listed = Listed { listing, sequence: context.sequence, at: context.now };
                Decision::reply(Some(context.sequence)).event(Event::SiteListed(listed))
            }
            Command::PutToken(token) => Decision::reply(None).event(Event::TokenPut(token)),
            Command::KeepConfig { number, .. } if number != state.config_version + 1 => Decision::reply(None),
            Command::KeepConfig { number, document } => {
                Decision::reply(Some(number)).event(Event::ConfigKept { number, document })
            }
            Command::Raise(alert) => {
                Decision::reply(None).event(Event::Raised { sequence: context.sequence, at: context.now, alert })
            }
            Command::PublishTariff(checked) => {
                let (change, version) = state.tariffs.publish(*checked)?;
                Decision::reply(Some(u64::from(version))).event(Event::Tariffs(change))
            }
            Command::RollOutTariff { id, version, scope, from } => {
                let from = from.unwrap_or(context.now);
                let change = state.tariffs.roll_out(id, version, scope, from, context.now)?;
                Decision::reply(None).event(Event::Tariffs(change))
            }
            Command::RollBackTariff { id, scope } => {
                Decision::reply(None).event(Event::Tariffs(state.tariffs.roll_back(id, scope, context.now)?))
            }
        })
    }

    fn apply(state: &mut State, event: &Event) {
        match event {
            Event::ConfigKept { number, .. } => state.config_version = *number,
            Event::Tariffs(change) => Arc::make_mut(&mut state.tariffs).apply(change),
            Event::SitePut(_)
            | Event::FactsPut(_)
            | Event::SiteListed(_)
            | Event::TokenPut(_)
            | Event::Raised { .. } => {}
        }
    }

    fn timers(_: &State) -> SmallVec<[Deadline<Timer>; 4]> {
        SmallVec::new()
    }

    fn standing(_: &State) -> Standing {
        Standing::Open
    }

    fn project(_: &str, _: &Platform, _: &State, events: &[Event]) -> Vec<Row> {
        events.iter().flat_map(rows).collect()
    }

    fn give_back(_: &State, _: std::time::Duration) -> Option<Command> {
        None
    }
}

fn rows(event: &Event) -> Vec<Row> {
    match event {
        Event::SitePut(site) => vec![row("site", site.site_id.to_string(), site)],
        Event::FactsPut(facts) => vec![row("charger-facts", facts.charger_id.to_string(), facts)],
        Event::SiteListed(listed) => listed.rows(),
        Event::TokenPut(token) => vec![row("token", token.reference.clone(), token)],
        // They are few, and read from memory.
        Event::Tariffs(_) => Vec::new(),
        Event::ConfigKept { number, document } => vec![row("config-version", format!("{number:020}"), document)],
        Event::Raised { sequence, at, alert } => {
            // Zero-padded so that keys sort by age.
            let id = format!("platform-{sequence:020}");
            let value = serde_json::json!({"id": id, "at": at.to_rfc3339(), "level": alert.level, "code": alert.code,
                "subject": alert.subject, "text": alert.text});
            let mut rows = vec![row("alert", id, &value)];
            if alert.ticket {
                rows.extend(case::ticket_rows(value, *at, Vec::new()));
            }
            rows
        }
    }
}

fn row(table: &'static str, key: String, value: &impl Serialize) -> Row {
    // Plain structs of texts and numbers: they are always JSON.
    Row { table, key, value: serde_json::to_vec(value).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(state: &mut State, sequence: u64, command: Command) -> (Reply, Vec<Row>) {
        let context = Context { now: Timestamp(1000), partition: PARTITION, sequence, entropy: 7, ambient: &() };
        let decision = PlatformFamily::decide(&Platform, state, command, &context).unwrap();
        decision.events.iter().for_each(|event| PlatformFamily::apply(state, event));
        (decision.reply, PlatformFamily::project(PARTITION, &Platform, state, &decision.events))
    }

    #[test]
    fn a_configuration_is_kept_only_under_the_next_number() {
        let mut state = State::default();
        for (number, kept) in [(1, Some(1)), (1, None), (3, None), (2, Some(2))] {
            let command = Command::KeepConfig { number, document: serde_json::json!({}) };
            assert_eq!(decide(&mut state, 1, command).0, kept, "{number}");
        }
    }

    #[test]
    fn a_tariff_is_published_rolled_out_and_taken_back_and_old_states_have_none() {
        use crate::domain::tariff::{Bounds, Tariff, checked};
        let wide = crate::domain::money::Price(1_000_000);
        let free = crate::domain::money::Price(0);
        let bounds = Bounds { kwh_min: free, kwh_max: wide, hour_max: wide, minute_max: wide, once_max: wide };
        let tariff = serde_json::json!({"id": "t", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices":
            [{"name": "flat", "from": "00:00", "to": "24:00", "electricity": 10_000}]});
        let tariff: Tariff = serde_json::from_value(tariff).unwrap();
        let (id, site): (TariffId, SiteId) = ("t".parse().unwrap(), "A".parse().unwrap());
        let mut state: State = serde_json::from_str("{\"config_version\":3}").unwrap();
        let publish = || Command::PublishTariff(Box::new(checked(tariff.clone(), &bounds).unwrap()));
        assert_eq!((decide(&mut state, 1, publish()).0, decide(&mut state, 2, publish()).0), (Some(1), Some(2)));
        for version in [1, 2] {
            let scope = Scope::Everywhere;
            decide(&mut state, 3, Command::RollOutTariff { id: id.clone(), version, scope, from: None });
        }
        let shown = |state: &State| state.tariffs.tariff_at(&site, Timestamp(1000)).map(|tariff| tariff.version);
        assert_eq!(shown(&state), Some(2));
        decide(&mut state, 4, Command::RollBackTariff { id: id.clone(), scope: Scope::Everywhere });
        assert_eq!(shown(&state), Some(1));
        let kept = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&kept).unwrap(), state);
    }

    #[test]
    fn a_site_of_the_time_before_hours_is_read_and_written_as_it_was() {
        let old = serde_json::json!({"SitePut": {"site_id": "A", "name": "A", "time_zone": "Asia/Shanghai",
            "position": {"latitude_micro": 1, "longitude_micro": 2}}});
        let read: Event = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), old);
    }

    #[test]
    fn an_alert_for_a_person_opens_a_ticket_under_the_same_id() {
        let alert = Alert {
            code: "quarantined".into(),
            level: "critical".into(),
            subject: "charger/CP1".into(),
            text: "failed too often".into(),
            ticket: true,
        };
        let (_, rows) = decide(&mut State::default(), 9, Command::Raise(alert));
        for table in ["alert", case::TICKET] {
            let row = rows.iter().find(|row| row.table == table).unwrap();
            assert_eq!(row.key, "platform-00000000000000000009", "{table}");
        }
    }
}
