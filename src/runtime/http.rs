//! Joins HTTP to the runtime: keys, bans, tokens.

use super::Workers;
use super::memory::Memory;
use crate::actors::pulse::Pulse;
use crate::actors::service::{Phase, Service};
use crate::actors::tree::Arbiters;
use crate::api::operator::{OperatorApi, OperatorParts, OperatorToken};
use crate::api::partner::{KeyDirectory, KeyRecord, Load, PartnerApi, PartnerParts, SecurityEvent};
use crate::clock::Timestamp;
use crate::config::live::LiveConfig;
use crate::domain::access::watch::Change;
use crate::domain::overload::Pressure;
use crate::domain::platform::Alert;
use crate::telemetry::metrics::api::HTTP_LATE;
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
            grant: key.grant,
            revoked: key.revoked.is_some(),
            expires: key.expires,
        }))
    }

    fn used(&self, key_id: &str, now: Timestamp) {
        if let Some(partner) = self.0.directory.used(key_id, now) {
            let (service, key_id) = (Arc::clone(&self.0), key_id.to_owned());
            tokio::spawn(async move { service.note_key_use(partner, key_id).await });
        }
    }
}

/// How late the server is: the threads of chargers, or those that answer partners, whichever is later; and how full memory is (OP-10).
pub(super) fn load(arbiters: &Arbiters, memory: Arc<Memory>, http: &Workers) -> Load {
    let (chargers, calls) = (arbiters.pulse(), Pulse::new(1));
    http.spawn(calls.clone().beat(0, &HTTP_LATE));
    Arc::new(move || Pressure { late: chargers.late().max(calls.late()), full: memory.now().full })
}

/// The partner API over the runtime. `started`: no request signed before it can be told from a repeated one.
pub(super) fn partner_api(
    service: &Arc<Service>,
    live: &Arc<LiveConfig>,
    started: Timestamp,
    load: Load,
) -> PartnerApi {
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
        load,
    })
}

fn security(event: &SecurityEvent) -> Alert {
    let (code, partner, text) = match event {
        SecurityEvent::Banned { partner, key_id, address } => {
            ("api_banned", partner, format!("key {key_id} was banned at {address} after failures in a row"))
        }
        SecurityEvent::Elsewhere { partner, key_id, address } => (
            "api_key_elsewhere",
            partner,
            format!("key {key_id} signed at {address}, which its allow-list does not name"),
        ),
        SecurityEvent::Changed { partner, key_id, address, change } => {
            let what = match change {
                Change::Rate { calls, usual } => format!("{calls} calls in a minute where {usual} are usual"),
                Change::Source { network } => format!("calls from the network of {network}, where it never was used"),
                Change::Pattern { writes, usual } => {
                    format!("{writes} of 1000 calls are writes where {usual} are usual")
                }
            };
            ("api_key_changed", partner, format!("key {key_id} at {address}: {what}"))
        }
    };
    Alert {
        code: code.to_owned(),
        level: "warning".to_owned(),
        subject: format!("partner/{partner}"),
        text,
        ticket: false,
    }
}

/// The operator API over the runtime.
pub(super) fn operator_api(service: &Arc<Service>, live: &Arc<LiveConfig>, token: OperatorToken) -> OperatorApi {
    OperatorApi::new(OperatorParts {
        port: service.clone(),
        token,
        config: Arc::clone(live),
        clock: service.clock.clone(),
    })
}
