//! Where a partner's webhooks go, and which of them (EM-8, EM-9). Owns what an endpoint takes; never the order of sending.
//!
//! **What an event's site is.** Every event about a charger, a session, a reservation or an order says in `site_id` where that is.
//! What has none (a statement, an account, a test) goes to every endpoint that takes the type.

use super::partner::{Sealed, Sites};
use super::queue::TEST_KIND;
use crate::clock::Timestamp;
use crate::ids::EndpointName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which event types go to an endpoint. `GET /events` shows all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subscriptions {
    /// Every type.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
}

/// What an endpoint takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    /// Of which types.
    #[serde(default)]
    pub events: Subscriptions,
    /// Of which sites.
    #[serde(default)]
    pub sites: Sites,
}

impl Wants {
    /// Everything of these types.
    pub fn kinds(kinds: BTreeSet<String>) -> Self {
        Wants { events: Subscriptions::Only(kinds), sites: Sites::All }
    }

    /// Whether the endpoint of this name is sent such an event. A test goes to the endpoint that it is a test of, always.
    pub fn take(&self, name: &EndpointName, kind: &str, data: &serde_json::Value) -> bool {
        let text = |member: &str| data.get(member).and_then(serde_json::Value::as_str);
        if kind == TEST_KIND {
            return text("endpoint").is_none_or(|tested| tested == name.as_str());
        }
        let by_kind = match &self.events {
            Subscriptions::All => true,
            Subscriptions::Only(kinds) => kinds.contains(kind),
        };
        by_kind
            && match (&self.sites, text("site_id")) {
                (Sites::All, _) | (Sites::Only(_), None) => true,
                (Sites::Only(sites), Some(site)) => sites.iter().any(|wanted| wanted.as_str() == site),
            }
    }
}

/// A secret that signs webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// The `whsec_…` or `whsk_…` text, sealed.
    pub secret: Sealed,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it still signs; `None` for the newest.
    pub expires: Option<Timestamp>,
}

/// Where a partner's webhooks go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The partner's name of it.
    #[serde(default = "EndpointName::default_endpoint")]
    pub name: EndpointName,
    /// Checked by the shell against the address guard when set, and again at each connection.
    pub url: String,
    /// Newest first; all that have not expired sign.
    pub secrets: Vec<WebhookSecret>,
    /// Why nothing is sent, if so.
    pub disabled: Option<super::queue::Disabled>,
    /// What it takes. `None`: what the profile says, as before there were several endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<Wants>,
}

/// An endpoint that was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// What it was called.
    pub name: EndpointName,
    /// When.
    pub at: Timestamp,
    /// Events that were kept for it and not delivered.
    pub dropped: u64,
    /// Its dead letters.
    pub dead: u64,
}

impl Endpoint {
    /// The secrets that sign at `now`, newest first.
    pub fn live_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Sealed> {
        self.secrets.iter().filter(move |s| s.expires.is_none_or(|t| now < t)).map(|s| &s.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_takes_what_its_types_and_its_sites_say() {
        let kinds = |kinds: &[&str]| Subscriptions::Only(kinds.iter().map(|kind| (*kind).to_owned()).collect());
        let sites = |ids: &[&str]| Sites::Only(ids.iter().map(|id| id.parse().unwrap()).collect());
        let at = |site: &str| json!({"site_id": site});
        let all = || Subscriptions::All;
        for (events, at_sites, kind, data, taken) in [
            (all(), Sites::All, "session.ended", at("A"), true),
            (all(), sites(&["A"]), "session.ended", at("A"), true),
            (all(), sites(&["A", "B"]), "connector.status", at("B"), true),
            (all(), sites(&["A"]), "session.ended", at("B"), false),
            (all(), sites(&["A"]), "statement.ready", json!({}), true),
            (all(), sites(&["A"]), "session.ended", json!({"site_id": null}), true),
            (kinds(&["session.ended"]), Sites::All, "session.ended", at("B"), true),
            (kinds(&["session.ended"]), Sites::All, "session.started", at("B"), false),
            (kinds(&["session.ended"]), sites(&["A"]), "session.ended", at("B"), false),
            (kinds(&["session.ended"]), sites(&["A"]), "statement.ready", json!({}), false),
            (kinds(&["session.ended"]), sites(&["A"]), TEST_KIND, json!({}), true),
            (kinds(&["session.ended"]), sites(&["A"]), TEST_KIND, json!({"endpoint": "one"}), true),
            (all(), Sites::All, TEST_KIND, json!({"endpoint": "two"}), false),
        ] {
            let wants = Wants { events, sites: at_sites };
            assert_eq!(wants.take(&"one".parse().unwrap(), kind, &data), taken, "{wants:?} {kind} {data}");
        }
    }

    #[test]
    fn an_endpoint_of_old_is_called_default_and_takes_what_the_profile_says() {
        let text = r#"{"url":"https://a.example/","secrets":[],"disabled":null}"#;
        let endpoint: Endpoint = serde_json::from_str(text).unwrap();
        assert!(endpoint.name.is_default() && endpoint.wants.is_none());
    }
}
