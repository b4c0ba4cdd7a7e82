//! Keeps the certificates of charger connections fresh (CH-3). Owns when files are read again and when operators are told
//! that one ends; never what counts in them.
//!
//! Invariant: what cannot be used changes nothing: the certificates that were in use stay.

use crate::actors::alerts::Alerts;
use crate::clock::{SharedClock, Timestamp};
use crate::config::live::LiveConfig;
use crate::config::tls::Tls as Settings;
use crate::domain::platform::Alert;
use crate::gateway::listener::TlsPort;
use crate::gateway::tls::{Door, TlsError};
use crate::telemetry::metrics::gateway as metric;
use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400;

/// Below so many days operators are not only warned.
const CRITICAL_DAYS: i64 = 7;

/// What tells whether something has changed.
type Print = [u8; 32];

/// Looks after the door until the process stops.
pub(super) struct Keeper {
    door: Arc<ArcSwap<Door>>,
    /// Of the files that were read last, whether they could be used or not.
    print: Print,
    /// On which day operators were told last that a certificate ends.
    told: Option<i64>,
    live: Arc<LiveConfig>,
    alerts: Alerts,
    clock: SharedClock,
}

fn print(settings: &Settings) -> Print {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(settings.organisation.as_bytes());
    for file in [&settings.certificate_file, &settings.key_file, &settings.client_ca_file, &settings.client_crl_file] {
        part(file.as_os_str().as_encoded_bytes());
        // One that cannot be read is told by whoever uses it.
        part(&std::fs::read(file).unwrap_or_default());
    }
    hash.finalize().into()
}

/// Opens the door, if TLS is to be spoken.
///
/// # Errors
/// The first file that cannot be used.
pub(super) fn open(
    live: &Arc<LiveConfig>,
    alerts: &Alerts,
    clock: &SharedClock,
) -> Result<Option<(TlsPort, Keeper)>, TlsError> {
    let settings = &live.current().tls;
    // Seen from the start: no end is a figure, too.
    ["server", "client_ca"].into_iter().for_each(|which| metric::CERTIFICATE_DAYS.set(f64::INFINITY, [which]));
    let Some(listen) = settings.address() else { return Ok(None) };
    let print = print(settings);
    let door = Arc::new(ArcSwap::from_pointee(Door::open(settings)?));
    let port = TlsPort { listen, door: Arc::clone(&door) };
    let (live, alerts, clock) = (Arc::clone(live), alerts.clone(), clock.clone());
    let mut keeper = Keeper { door, print, told: None, live, alerts, clock };
    keeper.watch_ends();
    Ok(Some((port, keeper)))
}

impl Keeper {
    /// Looks at the files now and then, and when a configuration has been applied.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut applied = self.live.subscribe();
        loop {
            let pause = self.live.current().tls.check_interval;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                // The sender lives as long as the configuration, which is here.
                _ = applied.changed() => {}
            }
            self.look().await;
            self.watch_ends();
        }
    }

    async fn look(&mut self) {
        let (config, known) = (self.live.current(), self.print);
        let read = move || {
            let print = print(&config.tls);
            (print, (print != known).then(|| Door::open(&config.tls)))
        };
        // A panic has told so.
        let Ok((print, opened)) = tokio::task::spawn_blocking(read).await else { return };
        self.print = print;
        match opened {
            None => {}
            Some(Ok(door)) if door.expires <= seconds(self.clock.now()) => {
                self.refused("the new certificate has ended already");
            }
            Some(Ok(door)) => {
                self.door.store(Arc::new(door));
                self.told = None;
                metric::TLS_RELOADS.add(1, ["taken"]);
                tracing::info!("the certificates of charger connections were read again");
            }
            Some(Err(error)) => self.refused(&error.to_string()),
        }
    }

    fn refused(&self, why: &str) {
        metric::TLS_RELOADS.add(1, ["refused"]);
        let text = format!("changed files of [tls] cannot be used, and the old ones stay: {why}");
        self.raise("certificate_refused", "critical", text);
    }

    /// Sets the gauges, and tells operators once a day that a certificate ends soon.
    fn watch_ends(&mut self) {
        let (door, now) = (self.door.load_full(), seconds(self.clock.now()));
        let alert = self.live.current().tls.expiry_alert;
        let days = |ends: i64| (ends - now).div_euclid(DAY);
        metric::CERTIFICATE_DAYS.set(days(door.expires) as f64, ["server"]);
        let authority = door.authority_expires.map_or(f64::INFINITY, |ends| days(ends) as f64);
        metric::CERTIFICATE_DAYS.set(authority, ["client_ca"]);
        let today = now.div_euclid(DAY);
        if self.told == Some(today) {
            return;
        }
        for (what, ends) in [
            ("the server's certificate", Some(door.expires)),
            ("a client authority's certificate", door.authority_expires),
        ] {
            if let Some((level, text)) = ends.and_then(|ends| ending(what, ends - now, alert)) {
                self.told = Some(today);
                self.raise("certificate_expires", level, text);
            }
        }
    }

    fn raise(&self, code: &str, level: &str, text: String) {
        let (code, level, subject) = (code.to_owned(), level.to_owned(), "gateway/tls".to_owned());
        self.alerts.raise(Alert { code, level, subject, text, ticket: true });
    }
}

fn seconds(now: Timestamp) -> i64 {
    now.0.div_euclid(1000)
}

/// What operators are told of a certificate that ends in so many seconds, and how urgently.
fn ending(what: &str, left: i64, alert: Duration) -> Option<(&'static str, String)> {
    if left > i64::try_from(alert.as_secs()).unwrap_or(i64::MAX) {
        return None;
    }
    let days = left.div_euclid(DAY);
    let level = if days < CRITICAL_DAYS { "critical" } else { "warning" };
    Some((
        level,
        match left {
            ..=0 => format!("{what} of charger connections has ended: chargers cannot connect with TLS"),
            _ => format!("{what} of charger connections ends in {days} days; replace the file, it is read by itself"),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_told_in_time_and_more_urgently_at_the_end() {
        let month = Duration::from_secs(30 * 86_400);
        for (left, level) in
            [(31 * DAY, None), (30 * DAY, Some("warning")), (6 * DAY, Some("critical")), (-1, Some("critical"))]
        {
            assert_eq!(ending("it", left, month).map(|(level, _)| level), level, "{left}");
        }
    }
}
