//! Joins HTTP to the runtime: keys, bans, tokens.

use crate::actors::service::{Phase, Service};
use crate::api::operator::{OperatorApi, OperatorParts, OperatorToken};
use crate::api::partner::{KeyDirectory, KeyRecord, PartnerApi, PartnerParts, Scopes, SecurityEvent};
use crate::clock::Timestamp;
use crate::config::live::LiveConfig;
use crate::domain::platform::Alert;
use std::sync::Arc;

/// The partners' keys.
struct Keys(Arc<Service>);

impl KeyDirectory for Keys {
    fn complete(&self) -> bool {
        match self.0.phase.get() {
            Phase::Recovering => false,
            Phase::Ready | Phase::Stopping => true,
        }
    }

    fn key(&self, key_id: &str) -> Option<Arc<KeyRecord>> {
        let key = self.0.directory.api_key(key_id)?;
        Some(Arc::new(KeyRecord {
            partner: key.partner,
            secret: key.secret,
            scopes: Scopes::ALL,
            revoked: key.revoked.is_some(),
        }))
    }
}

/// The partner API over the runtime. `started`: no request signed before it can be told from a repeated one.
pub(super) fn partner_api(service: &Arc<Service>, live: &Arc<LiveConfig>, started: Timestamp) -> PartnerApi {
    let alerts = service.alerts.clone();
    PartnerApi::new(PartnerParts {
        port: service.clone(),
        keys: Arc::new(Keys(Arc::clone(service))),
        once: Arc::new(service.journal.clone()),
        clock: service.clock.clone(),
        config: Arc::clone(live),
        digest_key: service.vault.digest_key(),
        replay_horizon: started,
        alert: Arc::new(move |event| alerts.raise(security(&event))),
    })
}

fn security(event: &SecurityEvent) -> Alert {
    Alert {
        code: "api_banned".to_owned(),
        level: "warning".to_owned(),
        subject: "api/partner".to_owned(),
        text: format!("{event:?}"),
        ticket: false,
    }
}

/// The operator API over the runtime.
pub(super) fn operator_api(service: &Arc<Service>, live: &Arc<LiveConfig>, token: OperatorToken) -> OperatorApi {
    OperatorApi::new(OperatorParts { port: service.clone(), token, config: Arc::clone(live) })
}
